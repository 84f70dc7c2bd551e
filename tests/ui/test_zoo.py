import re
import zipfile
from dataclasses import replace
from html import unescape
from pathlib import Path

import gradio as gr
import pytest
from gradio.block_function import BlockFunction

from sr_core.errors import PackageError
from tests.ui.studio import FakeFiles, Loader, family, manifest, release, studio, zoo
from ui import text
from ui.kits import copy_weights, kit_offer, make_kit, weights_offer
from ui.settings import Settings
from ui.studio import Studio
from ui.tabs.downloads import hand_over
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import lay_out
from ui.tabs.page import Choice
from ui.tabs.upscale import build_upscale_tab
from ui.tabs.zoo import build_zoo_tab, show_variant
from ui.tabs.zoo_rows import plot_of, table_of
from ui.tabs.zoo_sheet import card_html, sheet_html
from zoo.manifest import Manifest
from zoo.release import DeviceRecord, FileRecord

LIGHT, INT8 = "swinir-light-x2-photos39-float16", "swinir-light-x2-photos39-int8"
HEADS4 = "swinir-light-x2-photos39-heads4-float16"


def cells(table: str) -> dict[str, list[str]]:
    """Returns what the table shows of each variant."""
    rows = re.findall(r'name="variant" value="([^"]+)"(.*?)</tr>', table)
    return {key: re.findall(r"<td[^>]*>([^<]*)<", rest) for key, rest in rows}


def choice_of(one: Studio) -> Choice:
    with gr.Blocks(analytics_enabled=False):
        view = lay_out(one)
        return Choice(one, view, build_zoo_tab(one), UpscaleHandlers(one, view).closer)


def test_the_table_shows_the_numbers_of_the_manifest() -> None:
    shown = cells(table_of(family()))
    assert list(shown) == [one.id for one in family().releases]
    light, four = family().release(LIGHT), family().release(HEADS4)
    assert light.coreml
    package = f"{light.coreml.package_bytes / 1e6:.2f}"
    assert shown[LIGHT] == [
        "33.14", "0.00", "37.08", "1.86", package, "54.3", "float16", "6", "120", "0.91", "0.0", "71.2", "1",
    ]  # fmt: skip
    assert shown[HEADS4][:2] == ["32.31", "−0.83"]
    assert shown[HEADS4][4] == shown[HEADS4][-1] == text.NO_TIME
    assert shown[HEADS4][7:11] == ["4", "120", f"{four.parameters / 1e6:.2f}", "20.0"]
    assert "measured on another machine" in table_of(family())


def test_numbers_are_sorted_by_what_they_are_and_not_by_what_is_shown() -> None:
    assert f'data-order="{33.136}"' in table_of(family())
    assert 'data-order=""' in table_of(family())


def test_a_variant_is_measured_against_the_whole_network_that_it_comes_from() -> None:
    models = family()
    found = models.whole(models.release("swinir-light-x2-photos39-heads5-int8"))
    assert found is not None
    assert found.id == LIGHT
    orphan = replace(models.release(INT8), parent="gone")
    assert models.whole(orphan) is None
    assert cells(table_of(Manifest(releases=(orphan,))))[INT8][1] == text.NO_TIME


def test_the_plot_leaves_out_what_was_not_measured_and_says_so() -> None:
    first, second, *_ = family().releases
    unmeasured = replace(second, metrics=second.metrics[:1])
    plot = plot_of(Manifest(releases=(first, unmeasured)))
    assert first.id in plot
    assert unmeasured.id not in plot
    assert f"not measured on Kodak24: {second.label}" in plot
    assert plot_of(Manifest(releases=(replace(first, metrics=()),))) == ""
    assert "PSNR on Set5" in plot_of(manifest())


def test_the_card_and_the_sheet_say_what_the_manifest_says() -> None:
    models = family()
    for one in models.releases:
        card, sheet = unescape(card_html(models, one)), unescape(sheet_html(models, one))
        assert one.label in card
        assert one.id in card
        assert f"{one.parameters:,}" in card
        for words in (
            one.weights.sha256, one.license, one.license_chain[0].source, one.training.recipe, one.author, one.date,
        ):  # fmt: skip
            assert words in sheet
        if one.coreml is None or one.package is None:
            assert text.NO_KIT in sheet
            assert "Gate A" not in sheet
            continue
        record, proof = one.coreml, one.coreml.proof
        for words in (
            "not on a device", f"{proof.gate_a_db} dB", f"{proof.gate_b_db:.1f} dB", f"at most {proof.max_lsb}/255",
            proof.tiles, one.package.sha256, record.contents[0].sha256, f"iOS {record.min_ios}", "×2⁻¹"[1:],
            f"{record.tile} pixels, {record.overlap} of overlap", "let upscaler", record.name,
        ):  # fmt: skip
            assert words in sheet, words
        assert ("experimental" in sheet) == record.is_experimental


def test_the_sheet_leads_back_to_where_a_variant_comes_from() -> None:
    models = family()
    sheet = sheet_html(models, models.release("swinir-light-x2-photos39-heads5-int8"))
    links = re.findall(r'data-variant="([^"]+)"', sheet)
    assert links == [LIGHT, "swinir-light-x2-photos39-heads5-float16", "swinir-light-x2-photos39-heads5-int8"]
    pruned = sheet_html(models, models.release(HEADS4))
    assert "Removed heads" in pruned
    assert "<td>1.1</td><td>4, 5</td>" in pruned
    assert "Removed heads" not in sheet


def test_times_on_devices_are_shown_where_somebody_measured_them() -> None:
    one = family().release(LIGHT)
    assert one.coreml
    device = DeviceRecord(
        device="iPhone 99", system="iOS 40", compute_units="all", milliseconds_per_tile=12.34, date="2026-01-02"
    )
    timed = replace(one, coreml=replace(one.coreml, devices=(device,)))
    assert "iPhone 99" in sheet_html(Manifest(releases=(timed,)), timed)
    assert "12.3" in sheet_html(Manifest(releases=(timed,)), timed)
    assert "Device" not in sheet_html(Manifest(releases=(one,)), one)


def test_a_kit_holds_the_package_of_its_variant(tmp_path: Path) -> None:
    one = studio(models=family())
    chosen = one.manifest.release(INT8)
    path = make_kit(one, chosen, tmp_path)
    with zipfile.ZipFile(path) as kit:
        names = kit.namelist()
        assert chosen.coreml
        assert f"{chosen.coreml.name}.mlpackage/Manifest.json" in names
        assert chosen.id in kit.read("PROOF.md").decode()
    copy = copy_weights(one, chosen, tmp_path)
    assert copy.name == f"{INT8}.safetensors"
    assert copy.stat().st_size == chosen.weights.bytes


def test_what_has_no_package_has_a_reason_and_no_kit(tmp_path: Path) -> None:
    one = studio(models=family())
    offer = kit_offer(one.manifest.release(HEADS4))
    assert offer.reason == text.NO_KIT
    assert kit_offer(one.manifest.release(LIGHT)).reason == ""
    assert weights_offer(one.manifest.release(HEADS4)).reason == ""
    with pytest.raises(PackageError, match="No Core ML package"):
        make_kit(one, one.manifest.release(HEADS4), tmp_path)


def test_a_press_hands_over_the_file_of_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pressed = hand_over(studio(models=family()), INT8, make_kit)
    answer = next(pressed)
    file = Path(answer["file"]["path"])
    assert answer["id"] == INT8
    assert file.name == "SwinirLightX2Photos39Int8_T64-kit.zip"
    assert zipfile.is_zipfile(file)
    assert list(pressed) == []
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_comes_after_another_choice_leaves_the_choice() -> None:
    one = studio(models=family())
    with gr.Blocks(analytics_enabled=False) as app, gr.Tab("Upscale") as tab:
        upscale, handlers = build_upscale_tab(one, tab)
        view = build_zoo_tab(one)
    offers = {upscale.kit, view.kit, view.weights}
    presses = {
        next(component for component in offers if component._id == function.targets[0][0]): function
        for function in app.fns.values()
        if function.targets[0] in {(offer._id, "click") for offer in offers}
    }
    assert set(presses) == offers
    press = presses[view.kit].fn
    assert press
    late = press(gr.EventData(None, {"id": LIGHT}))  # pressed,
    shown = show_variant(one, view, INT8)  # then another variant is chosen,
    answer = next(late)  # and only then there is a file
    late.close()
    assert answer["id"] == LIGHT != shown[view.kit]["id"]
    assert handlers._emptied()[upscale.kit] is None
    for component, function in presses.items():
        changed = {output for listener in app.fns.values() if _is_of(listener, function) for output in listener.outputs}
        assert len(changed) == 1  # the answers, of failures too, go to one component
        assert not changed & set(view.shown())
        assert upscale.kit not in changed
        assert component.elem_id in changed.pop().js_on_load  # which knows the button
        assert function.trigger_mode == "multiple"  # the other variant's button works meanwhile


def _is_of(listener: BlockFunction, press: BlockFunction) -> bool:
    """Returns whether a listener is a press, or follows it."""
    return listener is press or listener.trigger_after == press._id


def test_a_press_of_nonsense_is_a_sentence() -> None:
    with pytest.raises(gr.Error, match="no model 'nonsense'"):
        list(hand_over(studio(), "nonsense", make_kit))


def test_a_package_that_cannot_be_had_is_a_sentence_and_changes_no_offer() -> None:
    class Offline(FakeFiles):
        def path_of(self, file: FileRecord, release_id: str) -> Path:
            raise PackageError("The hub cannot be reached.")

    one = Studio.open(Settings(), replace(zoo(family()), files=Offline()), Loader().load)
    with pytest.raises(gr.Error, match="cannot be reached"):
        next(hand_over(one, INT8, make_kit))


def test_what_was_not_stated_of_the_training_is_not_made_up() -> None:
    one = family().release(LIGHT)
    known = unescape(sheet_html(family(), one))
    assert "1,000 steps; none" in known
    assert "nothing: scores on it are a little too good" in known
    bare = replace(one, training=replace(one.training, steps=None, selected_on=None))
    sheet = unescape(sheet_html(Manifest(releases=(bare,)), bare))
    assert "steps not stated; none" in sheet
    assert "<dt>Chosen on</dt><dd>not stated</dd>" in sheet
    assert "too good" not in sheet
    assert "0 steps" not in sheet


def test_a_choice_shows_the_same_variant_everywhere() -> None:
    choice = choice_of(studio(models=family()))
    models, plot, table = choice.choosers
    updates = choice.made_with(table)(INT8, text.BICUBIC)
    assert updates[models] == updates[plot] == INT8
    assert table not in updates
    assert set(updates) == set(choice.outputs(table))
    card, kit, weights, sheet = (updates[one] for one in choice.outputs(None)[3:7])
    assert INT8 in card
    assert kit["id"] == weights["id"] == INT8
    assert INT8 in sheet
    followed = choice.follow(text.BICUBIC, gr.EventData(None, {"id": LIGHT}))
    assert [followed[one] for one in choice.choosers] == [LIGHT] * 3
    with pytest.raises(gr.Error, match="no model"):
        choice.made_with(None)("<b>", text.BICUBIC)


def test_a_variant_is_not_compared_with_itself() -> None:
    choice = choice_of(studio(models=family()))
    kept = choice.made_with(None)(LIGHT, INT8)[choice.against]
    assert kept["value"] == INT8
    assert LIGHT not in {value for _, value in kept["choices"]}
    assert len(kept["choices"]) == len(family().releases)
    assert choice.made_with(None)(INT8, INT8)[choice.against]["value"] == text.BICUBIC


def test_only_variants_of_one_scale_are_compared() -> None:
    models = Manifest(releases=(release(2), release(4), release(2, trained="other", label="Other")))
    choice = choice_of(studio(models=models))
    choices = choice.made_with(None)(models.releases[0].id, text.BICUBIC)[choice.against]["choices"]
    assert [label for label, _ in choices] == [text.BICUBIC_CHOICE, "Other"]
