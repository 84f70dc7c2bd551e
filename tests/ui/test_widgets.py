import re

import gradio as gr
import pytest

from ui.widgets.download import Offer, answer_value, offer_value
from ui.widgets.plot import Point, plot_html
from ui.widgets.press import fixed_template, pressed_id
from ui.widgets.sheet import code_block, code_words, facts, folded, gates, section, table, variant_links, words
from ui.widgets.variants import Cell, Column, VariantRow, variants_html

ATTACK = "<img src=x onerror=alert(1)>\"'"


def point(name: str, size_bytes: int, psnr_db: float, *, family: str = "light", has_package: bool = True) -> Point:
    return Point(
        id=name, label=name.upper(), family=family, size_bytes=size_bytes, psnr_db=psnr_db, has_package=has_package
    )


def places(plot: str) -> dict[str, tuple[float, float]]:
    """Returns where each variant stands, in percent."""
    found = re.findall(r'<svg x="([\d.]+)%" y="([\d.]+)%".*?data-variant="(\w+)"', plot)
    return {name: (float(x), float(y)) for x, y, name in found}


def lines(plot: str, group: str) -> list[list[float]]:
    [inside] = re.findall(rf'<g class="{group}">(.*?)</g>', plot)
    return [
        [float(number) for number in re.findall(r'[xy][12]="([\d.]+)%"', line)]
        for line in re.findall("<line.*?/>", inside)
    ]


def test_words_from_outside_are_escaped_in_every_widget() -> None:
    attacks = [
        variants_html(
            [Column(words=ATTACK), Column(words=ATTACK, unit=ATTACK)],
            [VariantRow(id=ATTACK, label=ATTACK, cells=(Cell(shown=ATTACK, order=ATTACK),))],
            [ATTACK],
        ),
        plot_html([point(ATTACK, 10**6, 30.0, family=ATTACK)], ATTACK, 29.0, ATTACK),
        *(
            str(part)
            for part in offer_value(Offer(id=ATTACK, words=ATTACK, busy="", detail=ATTACK, reason=ATTACK)).values()
        ),
        words(ATTACK),
        code_words(ATTACK),
        facts([(ATTACK, words(ATTACK))]),
        gates([(ATTACK, ATTACK, ATTACK, ATTACK)]),
        table([ATTACK], [[ATTACK]], numbers_from=0),
        folded(ATTACK, words(ATTACK)),
        section(ATTACK, note=ATTACK),
        code_block(ATTACK, ATTACK),
        variant_links([(ATTACK, ATTACK)]),
    ]
    for html in attacks:
        assert "<img" not in html
        assert ATTACK not in html


def test_the_table_says_what_each_column_is_sorted_by() -> None:
    columns = [Column(words="Variant"), Column(words="PSNR", unit="dB", first="descending")]
    rows = [
        VariantRow(id="a-1", label="A", cells=(Cell(shown="33.14", order=33.136),)),
        VariantRow(id="b-1", label="B", cells=(Cell(shown="–", order=None),)),
    ]
    html = variants_html(columns, rows, ["A note."])
    assert 'data-first="descending" data-name="PSNR"' in html
    assert re.findall(r'<td data-order="([^"]*)">([^<]*)<', html) == [("33.136", "33.14"), ("", "–")]
    assert re.findall(r'<th scope="row" data-order="(\w)">', html) == ["A", "B"]
    assert html.count('type="radio" name="variant"') == 2
    assert "<p>A note.</p>" in html


def test_a_row_needs_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="zip"):
        variants_html([Column(words="Variant")], [VariantRow(id="a", label="A", cells=(Cell(shown="1", order=1),))], [])


def test_larger_stands_to_the_right_and_better_on_top() -> None:
    plot = plot_html([point("a", 10**6, 33.0), point("b", 2 * 10**6, 33.5), point("c", 4 * 10**6, 32.0)], "K", 30.0)
    at = places(plot)
    assert at["a"][0] < at["b"][0] < at["c"][0]
    assert at["b"][0] - at["a"][0] == pytest.approx(at["c"][0] - at["b"][0], abs=0.02)  # twice as large, as far again
    assert at["b"][1] < at["a"][1] < at["c"][1]
    [[_, *low]] = lines(plot, "plot-bicubic")
    assert at["c"][1] < low[0] == low[1] <= 100
    assert 'aria-label="B: 2.00 MB · 33.50 dB"' in plot
    assert 'href="?variant=b"' in plot


def test_what_is_far_below_bicubic_does_not_flatten_the_others() -> None:
    good = [point("a", 10**6, 33.0), point("b", 2 * 10**6, 33.5)]
    near, far = (places(plot_html([*good, point("c", 3 * 10**6, psnr)], "K", 31.0)) for psnr in (30.5, 8.0))
    assert near["a"] == far["a"]
    assert far["c"][1] == 100
    assert "8.00 dB, below the scale" in plot_html([*good, point("c", 3 * 10**6, 8.0)], "K", 31.0)
    without = places(plot_html([*good, point("c", 3 * 10**6, 8.0)], "K", None))
    assert without["c"][1] < 100


def test_the_line_joins_those_that_nothing_smaller_beats() -> None:
    names = {"small": (1, 30.0), "worse": (2, 29.0), "tie": (3, 30.0), "best": (4, 33.0), "big": (5, 32.0)}
    plot = plot_html([point(name, size * 10**6, psnr) for name, (size, psnr) in names.items()], "K", None)
    [line] = lines(plot, "plot-front")
    at = places(plot)
    assert line == pytest.approx([*at["small"], *at["best"]])


def test_one_point_is_a_plot_too() -> None:
    plot = plot_html([point("a", 10**6, 33.0)], "K", 33.0)
    assert 0 < places(plot)["a"][0] < 100
    assert 0 < places(plot)["a"][1] < 100
    assert lines(plot, "plot-front") == []


def test_family_and_package_can_be_told_without_colour() -> None:
    points = [point("a", 10**6, 33.0), point("b", 10**6, 32.0, family="quick", has_package=False)]
    plot = plot_html(points, "K", None)
    a, b = re.findall(r'<a href="\?variant=\w".*?</a>', plot)
    assert '<circle r="6.5"/>' in a
    assert "<rect" in b
    assert "plot-filled" in a
    assert "plot-hollow" in b
    assert "with a Core ML package" in plot
    assert "with a Core ML package" not in plot_html(points[:1], "K", None)


def test_a_fixed_template_holds_nothing_that_a_template_would_act_on() -> None:
    safe = fixed_template("a{{b}} ${c} `d` \\n <p>")
    assert not set("{`\\") & set(safe)
    assert safe.endswith("<p>")


@pytest.mark.parametrize(("data", "name"), [({"id": "a"}, "a"), ({}, ""), (None, ""), ({"id": 5}, "5")])
def test_what_was_pressed_is_always_a_word(data: object, name: str) -> None:
    assert pressed_id(gr.EventData(None, data)) == name


def test_each_answer_differs_so_that_a_second_one_is_noticed() -> None:
    assert answer_value("a")["key"] != answer_value("a")["key"]
