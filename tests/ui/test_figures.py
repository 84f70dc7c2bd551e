import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.errors import OptionError
from tests.ui.studies import LIGHT, LOSSES, MIXED, PRUNED, compressed, study
from tests.ui.studio import family, studio, zoo
from ui import text, text_zoo
from ui.factory import create_app
from ui.poll import Poll
from ui.settings import Settings
from ui.tabs.zoo import draw_energy
from ui.tabs.zoo_figures import WATT_HOURS_FIELD, WATTS, energy_of, figures_of, number_of
from ui.tabs.zoo_rows import table_of
from ui.tabs.zoo_sheet import sheet_html
from zoo.energy import inferences_per_budget
from zoo.manifest import Manifest
from zoo.release import DeviceRecord
from zoo.report.techniques import LOOKS
from zoo.study import Technique, load_study

ATTACK = "<img src=x onerror=alert(1)>\"'"
MODELS = family()
QUICK = "swinir-quick-x2-photos39-float16"


def drawn(html: str) -> list[str]:
    """Returns the plots, whether on show or not."""
    return re.findall(r'<figure class="plot.*?</figure>', html)


def said(plot: str) -> dict[str, str]:
    """Returns what is said of each point, by its label; of points that have one label, of the last one."""
    found = re.findall(r'class="plot-mark[^"]*" aria-label="([^"]*): ([^":]*)"', plot)
    return {unescape(label): unescape(words) for label, words in found}


def buttons(html: str) -> list[str]:
    return re.findall(r'<input type="radio"[^>]*><span>([^<]*)<', html)


def options(html: str) -> list[str]:
    return [unescape(one) for one in re.findall(r"<option[^>]*>([^<]*)<", html)]


def test_one_of_three_figures_is_on_show() -> None:
    html = figures_of(MODELS, [study()])
    assert buttons(html) == [text_zoo.FIGURE_SIZE, text_zoo.FIGURE_ENERGY, text_zoo.FIGURE_PRUNING]
    outer = re.findall(r'<div data-panel="\d"( hidden)?>', html)
    assert outer == ["", " hidden", " hidden", "", " hidden", " hidden"]
    assert html.count(" checked") == 1


def test_a_figure_of_which_nothing_was_measured_is_not_offered() -> None:
    bare = tuple(replace(one, speed=None, compression=None, parent=None) for one in MODELS.releases)
    alone = figures_of(Manifest(releases=bare), [])
    assert buttons(alone) == []
    assert len(drawn(alone)) == 1
    assert "<form" not in alone
    nothing = Manifest(releases=tuple(replace(one, metrics=()) for one in bare))
    assert figures_of(nothing, []) == ""
    untrained = replace(study(), points=())
    assert figures_of(Manifest(releases=bare), [untrained]) == alone


def test_photos_within_a_budget_come_from_the_measured_time() -> None:
    [plot] = drawn(energy_of(MODELS, 3, 10))
    light = MODELS.release(LIGHT)
    assert light.speed
    photos = inferences_per_budget(light.speed.seconds_per_megapixel, 3, 10)
    assert said(plot)[light.label] == f"1.86 MB, {photos:.0f} photos of 54.3 s"
    assert len(said(plot)) == len(MODELS.releases)
    assert "10 Wh at 3 W" in plot
    assert "assumption" in plot
    assert "not on a phone" in plot
    [half] = drawn(energy_of(MODELS, 6, 10))
    assert said(half)[light.label] == f"1.86 MB, {photos / 2:.0f} photos of 54.3 s"
    assert energy_of(Manifest(releases=(replace(light, speed=None),)), 3, 10) == ""


def test_times_of_two_runs_are_not_in_one_plot() -> None:
    one = MODELS.releases[3]
    assert one.speed
    later = replace(one, speed=replace(one.speed, machine="later"))
    models = Manifest(releases=tuple(later if other.id == one.id else other for other in MODELS.releases))
    html = unescape(energy_of(models, 3, 10))
    assert len(said(html)) == len(MODELS.releases) - 1
    assert f"times of two runs cannot be compared: {one.label}." in html
    rows = dict(re.findall(r'name="variant" value="([^"]+)"(.*?)</tr>', table_of(models)))
    assert f">{one.speed.seconds_per_megapixel:.1f}<" not in rows[one.id]
    assert text_zoo.OTHER_RUNS in table_of(models)
    assert text_zoo.OTHER_RUNS not in table_of(MODELS)


def test_times_on_a_device_have_a_plot_of_their_own() -> None:
    device = DeviceRecord(
        device="iPhone 99", system="iOS 40", compute_units="all", milliseconds_per_tile=10, date="2026-01-02"
    )
    packed = [one for one in MODELS.releases if one.coreml]
    timed = {one.id: replace(one, coreml=replace(one.coreml, devices=(device,))) for one in packed if one.coreml}
    html = energy_of(Manifest(releases=tuple(timed.get(one.id, one) for one in MODELS.releases)), 3, 10)
    assert len(said(html)) == len(packed)
    assert "package on iPhone 99, iOS 40, all." in html
    assert "not on a phone" not in html


def test_a_difference_is_between_scores_of_one_tool() -> None:
    one = MODELS.releases[1]
    other = replace(one, metrics=tuple(replace(metric, tool="another") for metric in one.metrics))
    models = Manifest(releases=tuple(other if release.id == one.id else release for release in MODELS.releases))
    changed = re.compile(rf'name="variant" value="{one.id}".*?</tr>')
    before, after = (changed.findall(table_of(each))[0] for each in (MODELS, models))
    assert before.count(text.NO_TIME) + 1 == after.count(text.NO_TIME)


@pytest.mark.parametrize(
    ("found", "value"), [("3", 3), ("2.5", 2.5), ("2,5", 2.5), ("0.1", 0.1), ("500", 500), ("007", 7), ("1.250", 1.25)]
)
def test_numbers_are_taken_as_people_write_them(found: str, value: float) -> None:
    assert number_of(WATTS, found) == value


@pytest.mark.parametrize(
    "found",
    ["", "lots", "0", "-3", "0.09", "500.1", "1e3", "1e999", "nan", "inf", "1,000", "1.2.3", "3 W", "٣", "0x3", "<b>"],
)
def test_nonsense_is_refused_in_a_sentence_that_names_the_field(found: str) -> None:
    with pytest.raises(OptionError) as caught:
        number_of(WATTS, found)
    sentence = str(caught.value)
    assert sentence.startswith(f"{WATTS.words}: please give a number from 0.1 to 500, such as 3; ")
    assert ("empty" if not found else f"“{found}”") in sentence


@given(st.text(max_size=12))
def test_whatever_is_written_is_a_number_in_range_or_a_sentence(found: str) -> None:
    value = None
    with suppress(OptionError):
        value = number_of(WATT_HOURS_FIELD, found)
    assert value is None or WATT_HOURS_FIELD.low <= value <= WATT_HOURS_FIELD.high


@pytest.mark.parametrize(
    "data", [None, {}, {"watts": None, "watt_hours": []}, {"watts": {"a": 1}}, {"watts": "9" * 999}]
)
def test_whatever_a_browser_sends_is_answered(data: object) -> None:
    answer = draw_energy(studio(models=MODELS), gr.EventData(None, data))
    assert answer["refused"] == "watts"
    assert len(answer["refusal"]) < 200
    assert answer["drawn"] == ""


def test_a_budget_is_answered_with_a_plot_or_with_the_field_that_is_wrong() -> None:
    one = studio(models=MODELS)
    answer = draw_energy(one, gr.EventData(None, {"watts": " 1,5 ", "watt_hours": "20"}))
    assert answer["drawn"] == energy_of(MODELS, 1.5, 20)
    assert (answer["refusal"], answer["refused"]) == ("", "")
    wrong = draw_energy(one, gr.EventData(None, {"watts": "1", "watt_hours": "<b>"}))
    assert (wrong["refused"], wrong["drawn"]) == ("watt_hours", "")
    again = draw_energy(one, gr.EventData(None, {"watts": "1", "watt_hours": "<b>"}))
    assert wrong["key"] != again["key"]  # so that a second one is noticed


def test_what_pruning_costs_is_a_curve_for_each_technique_and_a_plot_for_each_data_set() -> None:
    html = figures_of(MODELS, [study()])
    assert options(html) == [
        "SwinIR light ×2: PSNR lost, Kodak24", "SwinIR light ×2: PSNR lost, Set5", "SwinIR light ×2: time",
    ]  # fmt: skip
    kodak = drawn(html)[2]
    points = said(kodak)
    assert points["selective + repair"] == "30.0% gone, −0.28 dB"
    assert points["SwinIR light ×2, 1 head fewer"].endswith("−0.22 dB")
    assert points["SwinIR light ×2, 30 % zeros (of linear weights)"] == "0.0% zero, −0.12 dB"
    assert "Half of the light network has learned nothing" in kodak
    assert kodak.count("plot-curve ") == 5  # heads and single weights of the manifest, three techniques of the study
    links = re.findall(r'data-variant="([^"]*)"', kodak)
    assert len(links) == 6  # what ships and is pruned leads to its sheet,
    assert kodak.count('role="img"') == 18  # and what does not ship leads nowhere
    tabs = re.findall(r'class="plot-mark[^"]*" aria-label="[^"]*"( tabindex="-?\d")?>', kodak)
    assert len(tabs) == 24
    assert [one for one in tabs if one != ' tabindex="-1"'] == [""]  # one stop of the keyboard, a link


def test_a_study_of_an_unlisted_network_with_one_point_is_a_plot_too() -> None:
    whole = replace(study().points[0], technique="whole", words="whole", sparsity=0.0, release=None)
    point = study().points[0]
    one = replace(study(), whole="elsewhere", family="swinir-other", points=(whole, point))
    html = figures_of(MODELS, [one])
    assert "swinir-other ×2: PSNR lost, Kodak24" in options(html)
    [plot] = [plot for plot in drawn(html) if "PSNR lost" in plot and "selective" in plot and "Kodak24" in plot]
    assert said(plot) == {"selective": "5.0% gone, 0.00 dB, below the scale"}
    assert plot.count(' tabindex="0"') == 1
    assert re.findall(r"<line[^>]*/>", plot[plot.index("plot-curve ") : plot.index("</g></g>")]) == []


def test_losses_that_nobody_sees_do_not_flatten_the_others() -> None:
    losses: dict[Technique, tuple[float, ...]] = {"selective": (0.0001, 0.009, 0.02, 0.04, 0.08, 0.16)}
    kodak = drawn(figures_of(Manifest(releases=MODELS.releases[:1]), [study(losses)]))[2]
    assert kodak.count(", below the scale") == 2 * 2  # two points, said and written
    curve = kodak[kodak.index("plot-curve ") :]
    steps = [float(y) for y in re.findall(r'y1="[\d.]+%" x2="[\d.]+%" y2="([\d.]+)%"/>', curve)]
    assert len(steps) == 5
    assert steps[0] > steps[1] > steps[2] > steps[3] > steps[4]
    assert steps[3] - steps[4] > 15  # twice the loss is a good step up
    size = drawn(figures_of(MODELS, []))[0]
    assert size.count(", below the scale") == 2 * sum(
        metric.psnr_db < metric.bicubic_psnr_db - 0.5
        for one in MODELS.releases
        if (metric := one.metric("Kodak24")) is not None
    )


def test_a_technique_looks_the_same_in_every_plot() -> None:
    html = figures_of(MODELS, [study(), replace(study({"selective-repair": LOSSES["selective-repair"]}), whole=QUICK)])
    found = re.findall(r'<li><svg class="(plot-technique-[\w-]+) plot-filled"[^>]*>(.*?)</svg>([^<]*)</li>', html)
    looks = {name: (colour, shape) for colour, shape, name in found}
    assert all(looks[name] == (colour, shape) for colour, shape, name in found)
    repaired = [one for one in found if one[2] == "selective + repair"]
    assert len(repaired) > 3
    assert repaired[0][:2] == ("plot-technique-selective-repair", LOOKS["selective-repair"].shape)
    assert len({colour for colour, _ in looks.values()}) == len({shape for _, shape in looks.values()}) == len(looks)


def test_the_real_test_is_shown_before_what_proves_little() -> None:
    quick = replace(study({"selective-repair": LOSSES["selective-repair"]}), whole=QUICK, family="swinir-quick")
    names = options(figures_of(MODELS, [study(), quick]))
    assert [name.split(":")[0] for name in names] == ["SwinIR quick ×2"] * 3 + ["SwinIR light ×2"] * 3


def test_what_was_chosen_by_another_measure_is_a_dashed_curve_with_its_own_name() -> None:
    points = tuple(replace(one, measure="macs") for one in study().points)
    html = figures_of(MODELS, [replace(study(), points=(*study().points, *points))])
    assert "selective + repair, by multiplications" in html
    kodak = drawn(html)[2]
    assert kodak.count(" plot-dashed") == 3


def test_a_study_that_cannot_be_read_is_said_where_its_plots_would_be() -> None:
    html = figures_of(MODELS, [], "It cannot be read <b>.")
    assert html.endswith('<p class="plot-note" role="note">It cannot be read &lt;b&gt;.</p>')
    assert buttons(html)
    bare = Manifest(releases=tuple(replace(one, metrics=(), speed=None) for one in MODELS.releases[:1]))
    assert figures_of(bare, [], "No.") == '<p class="plot-note" role="note">No.</p>'


def test_a_damaged_study_does_not_stop_the_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text('{"schema": 1, "studies": [5]}', encoding="utf-8")
    monkeypatch.setattr("ui.factory.load_study", partial(load_study, tmp_path / "study.json"))
    app = create_app(Settings(), zoo(MODELS), poll=Poll.off(MODELS))
    try:
        assert app.studio.studies == ()
        assert app.studio.study_notice.startswith(
            "What was measured of networks that are not on offer cannot be shown."
        )
        assert "study.json is damaged" in app.studio.study_notice
        [shown] = [block for block in app.blocks.blocks.values() if block.elem_id == "zoo-plot"]
        assert unescape(app.studio.study_notice) in unescape(str(shown.html_template))
    finally:
        app.close()


def test_words_from_outside_are_escaped_in_the_figures() -> None:
    bad = Manifest(releases=tuple(replace(one, label=ATTACK) for one in MODELS.releases))
    points = tuple(replace(point, words=ATTACK + str(at)) for at, point in enumerate(study().points))
    html = figures_of(bad, [replace(study(), points=points)])
    assert len(drawn(html)) == 5
    assert "<img" not in html
    assert ATTACK not in html


def test_a_pruned_variant_says_what_is_left_of_each_block() -> None:
    models = compressed()
    sheet = unescape(sheet_html(models, models.release(PRUNED)))
    assert "113 of 144 heads and 2,283 of 2,880 hidden units are left." in sheet
    assert "Attention is gone from 2 blocks. The MLP is gone from 1 block." in sheet
    heads, hidden = re.findall(r'<table class="sheet-fill">.*?</table>', sheet)
    cells = [re.findall(r'<td(?: class="is-gone")? style="--share:([\d.]+)%">(\d+)<', one) for one in (heads, hidden)]
    spec = models.release(PRUNED).variant.spec
    for found, counts, most in zip(cells, (spec.heads, spec.hidden), (6, 120), strict=True):
        assert [int(shown) for _, shown in found] == [count for stage in counts for count in stage]
        assert [float(share) for share, _ in found] == pytest.approx(
            [100 * count / most for stage in counts for count in stage], abs=0.06
        )
    assert heads.count('class="is-gone"') == 2
    assert "Attention heads, of 6 in a block" in heads
    assert "of 120 in a block" in hidden
    for words in (
        "0 to 6 heads of 10", "0 to 120 in each block", text_zoo.REPAIRED, "32 tiles of 64 × 64 pixels", "c" * 64,
        "3,000 steps", "photos of the tests",
    ):  # fmt: skip
        assert words in sheet, words


def test_only_what_is_gone_is_shown() -> None:
    models = compressed()
    assert "sheet-fill" not in sheet_html(models, models.release(LIGHT))
    orphan = replace(models.release(PRUNED), parent="gone")
    assert "sheet-fill" not in sheet_html(Manifest(releases=(orphan,)), orphan)
    whole = models.release(LIGHT)
    assert text_zoo.REPAIR not in sheet_html(models, whole)
    assert text_zoo.CALIBRATED not in sheet_html(models, whole)
    assert text_zoo.COMPACT_BIAS_WORDS not in sheet_html(models, models.release(PRUNED))


def test_a_network_in_mixed_bits_says_how_many_layers_have_which_format() -> None:
    models = compressed()
    sheet = unescape(sheet_html(models, models.release(MIXED)))
    for words in ("12 as int8", "60 in 6 bits", "1.00 MB", "mixed-bit", text_zoo.COMPACT_BIAS_WORDS):
        assert words in sheet, words
    rows = dict(re.findall(r'name="variant" value="([^"]+)"(.*?)</tr>', table_of(models)))
    assert ">mixed-bit<" in rows[MIXED]
    assert ">0 to 6<" in rows[MIXED]
    assert f'data-order="{2283 / 24}">0 to 120<' in rows[PRUNED].replace(' class="variants-words"', "")
