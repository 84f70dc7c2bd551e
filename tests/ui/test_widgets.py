import re
from collections.abc import Sequence
from dataclasses import replace

import gradio as gr
import pytest

from ui.theme import STYLE
from ui.widgets.axes import Axis
from ui.widgets.board_table import (
    Bar,
    Entry,
    Heading,
    Row,
    bar,
    board_table,
    key,
    listed,
    marked,
    paragraphs,
    part,
    progress,
    system_name,
)
from ui.widgets.budget import Quantity, budget_html
from ui.widgets.download import Offer, answer_value, offer_value
from ui.widgets.looks import network_look
from ui.widgets.panels import Panel, listed_panels_html, panels_html
from ui.widgets.plot import Level, Plot, Point, plot_html
from ui.widgets.press import fixed_template, pressed_id
from ui.widgets.sheet import (
    code_block,
    code_words,
    facts,
    filled_table,
    folded,
    gates,
    section,
    table,
    variant_links,
    words,
)  # fmt: skip
from ui.widgets.variants import Cell, Column, VariantRow, variants_html
from zoo.report.techniques import LOOKS

FAMILIES = ["light", "quick", "single", *(f"family {name}" for name in "defgh")]
LOG, LINEAR = Axis(title="MB", kind="log"), Axis(title="dB", room=0.05)
ATTACK = "<img src=x onerror=alert(1)>\"'"


def point(
    name: str,
    x: float,
    y: float,
    *,
    family: str = "light",
    is_filled: bool = True,
    interval: tuple[float, float] | None = None,
) -> Point:
    return Point(
        id=name, label=name.upper(), family=family, look=network_look(FAMILIES.index(family)), x=x, y=y,
        words=f"{x:g} MB · {y:.2f} dB", interval=interval, is_filled=is_filled,
    )  # fmt: skip


def plot(points: Sequence[Point], bicubic: float | None = None, x: Axis = LOG, y: Axis = LINEAR) -> str:
    levels = () if bicubic is None else (Level(y=bicubic, words="Bicubic"),)
    floor = replace(y, floor=None if bicubic is None else bicubic - 0.5)
    words = Plot(
        title="T", group="G", x=x, y=floor, points=tuple(points), levels=levels, filled="with a package",
        hollow="without", front="best",
    )  # fmt: skip
    return plot_html(words)


def places(html: str) -> dict[str, tuple[float, float]]:
    """Returns where each variant stands, in percent."""
    found = re.findall(r'<svg x="([\d.]+)%" y="([\d.]+)%".*?data-variant="(\w+)"', html)
    return {name: (float(x), float(y)) for x, y, name in found}


def lines(html: str, group: str) -> list[list[float]]:
    [inside] = re.findall(rf'<g class="{group}">(.*?)</g>', html)
    return [
        [float(number) for number in re.findall(r'[xy][12]="([-\d.]+)%"', line)]
        for line in re.findall("<line.*?/>", inside)
    ]


def test_words_from_outside_are_escaped_in_every_widget() -> None:
    attacks = [
        variants_html(
            [Column(words=ATTACK), Column(words=ATTACK, unit=ATTACK)],
            [VariantRow(id=ATTACK, label=ATTACK, cells=(Cell(shown=ATTACK, order=ATTACK),))],
            [ATTACK],
        ),
        plot_html(
            Plot(
                title=ATTACK,
                group=ATTACK,
                x=Axis(title=ATTACK),
                y=Axis(title=ATTACK),
                filled=ATTACK,
                hollow=ATTACK,
                points=(replace(point(ATTACK, 1, 2, is_filled=False), family=ATTACK, words=ATTACK),),
                levels=(Level(y=1, words=ATTACK),),
                front=ATTACK,
                note=ATTACK,
            )
        ),
        board_table(
            ATTACK,
            [Heading(words=ATTACK, unit=ATTACK), Heading(words="b")],
            [
                Row(
                    before=None,
                    name=system_name(ATTACK, ATTACK, ATTACK),
                    cells=(Entry(content=words(ATTACK)),),
                    kind="variant",
                )
            ],
            [(ATTACK, 2)],
        ),
        bar(Bar(low=0, at=0, high=1, ends=(0, 1), line=0), ATTACK),
        progress(0.5, ATTACK),
        marked(ATTACK, ATTACK, ATTACK, ATTACK),
        key([(ATTACK, ATTACK)]),
        listed([ATTACK]),
        paragraphs([ATTACK]),
        part(ATTACK),
        *(
            str(part)
            for part in offer_value(Offer(id=ATTACK, words=ATTACK, busy="", detail=ATTACK, reason=ATTACK)).values()
        ),
        panels_html(ATTACK, ATTACK, [Panel(words=ATTACK, content=words(ATTACK))] * 2),
        listed_panels_html(ATTACK, [Panel(words=ATTACK, content=words(ATTACK))] * 2),
        budget_html(ATTACK, [Quantity(name=ATTACK, words=ATTACK, value=ATTACK)], words(ATTACK)),
        filled_table(ATTACK, ATTACK, [ATTACK], [[(ATTACK, 0.5)]]),
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
    html = plot([point("a", 1, 33.0), point("b", 2, 33.5), point("c", 4, 32.0)], 30.0)
    at = places(html)
    assert at["a"][0] < at["b"][0] < at["c"][0]
    assert at["b"][0] - at["a"][0] == pytest.approx(at["c"][0] - at["b"][0], abs=0.02)  # twice as large, as far again
    assert at["b"][1] < at["a"][1] < at["c"][1]
    [[_, *low]] = lines(html, "plot-level")
    assert at["c"][1] < low[0] == low[1] <= 100
    assert 'aria-label="B: 2 MB · 33.50 dB"' in html
    assert 'href="?variant=b"' in html


def test_a_linear_axis_has_equal_steps() -> None:
    at = places(plot([point("a", 31, 0.0), point("b", 32, 1.0), point("c", 34, 2.0)], x=LINEAR))
    assert at["c"][0] - at["b"][0] == pytest.approx(2 * (at["b"][0] - at["a"][0]), abs=0.03)
    assert 0 < at["a"][0] < at["c"][0] < 100


@pytest.mark.parametrize(
    ("axis", "values", "words"),
    [
        (LOG, (0.5, 4), ["0.5", "1", "2", "5"]),
        (LOG, (1.2, 1.3), ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]),  # no two of 1, 2, 5
        (LOG, (2, 3000), ["2", "5", "10", "20", "50", "100", "200", "500", "1,000", "2,000"]),
        (LINEAR, (31, 33), ["31.0", "31.5", "32.0", "32.5", "33.0"]),
        (LINEAR, (5, 5), ["4.96", "4.98", "5.00", "5.02", "5.04"]),
        (Axis(title="p", is_signed=True), (-180, 200), ["−200", "−100", "0", "+100", "+200"]),
        (Axis(title="J"), (0.001, 0.0042), ["0.001", "0.002", "0.003", "0.004"]),
        (Axis(title="n"), (1e6, 6e6), ["1M", "2M", "3M", "4M", "5M", "6M"]),
        (Axis(title="n"), (0, 90_000), ["0", "20k", "40k", "60k", "80k"]),
    ],
)
def test_round_values_stand_along_an_axis(axis: Axis, values: tuple[float, float], words: list[str]) -> None:
    html = plot([point("a", values[0], 1.0), point("b", values[1], 2.0)], x=axis)
    shown = re.findall(r'dy="20" text-anchor="middle">([^<]*)<', html)
    assert shown == words


def test_whiskers_reach_to_the_ends_of_the_interval() -> None:
    points = [point("a", 1, 10.0, interval=(8.0, 14.0)), point("b", 2, 11.0)]
    html = plot(points)
    at = places(html)
    [[low, high], *ends] = lines(html, "plot-whisker")
    step = at["a"][1] - at["b"][1]  # one unit, downwards
    assert (low, high) == pytest.approx((2 * step, -4 * step), abs=0.05)
    assert ends == [[low, low], [high, high]]
    assert 0 < at["a"][1] + high < at["a"][1] + low < 100  # all of it is on the plot
    assert html.count("plot-whisker") == 1


def test_a_very_long_whisker_does_not_flatten_the_others() -> None:
    points = [point(name, 1, 50.0 * place, interval=(50.0 * place - 90, 50.0 * place + 90))
              for place, name in enumerate("abc")]  # fmt: skip
    far = replace(points[1], interval=(-1e6, 1e6))
    html = plot([points[0], far, points[2]])
    at, with_far = places(plot(points)), places(html)
    assert at["a"][1] - at["c"][1] > with_far["a"][1] - with_far["c"][1] > 8
    whisker = html[html.index('data-variant="b"') : html.index('data-variant="c"')]
    [[low, high], *_] = lines(whisker, "plot-whisker")
    assert [with_far["b"][1] + end for end in (low, high)] == pytest.approx([100, 0], abs=0.02)  # to the plot's edges


def test_what_is_far_below_bicubic_does_not_flatten_the_others() -> None:
    good = [point("a", 1, 33.0), point("b", 2, 33.5)]
    near, far = (places(plot([*good, point("c", 3, psnr)], 31.0)) for psnr in (30.5, 8.0))
    farther = places(plot([*good, point("c", 3, -800.0)], 31.0))
    assert farther == far
    assert far["a"][1] - far["b"][1] > 0.8 * (near["a"][1] - near["b"][1]) > 4
    assert "8.00 dB, below the scale" in plot([*good, point("c", 3, 8.0)], 31.0)
    assert "below the scale" not in plot([*good, point("c", 3, 30.5)], 31.0)


def test_without_a_floor_all_points_have_their_place_on_the_scale() -> None:
    points = [point("a", 1, 33.0), point("b", 2, 33.5), point("c", 3, 8.0)]
    at = places(plot(points))
    assert (at["a"][1] - at["b"][1]) / (at["c"][1] - at["a"][1]) == pytest.approx(0.5 / 25, abs=0.002)
    assert "below the scale" not in plot(points)
    assert "plot-down" not in plot(points)


def test_what_lies_below_the_scale_keeps_clear_of_what_is_written_below_it() -> None:
    html = plot([point("a", 1, 33.0), point("b", 2, 33.5), point("c", 3, 8.0)], 31.0)
    down = places(html)["c"][1]
    assert html.count("plot-down") == 1
    for height in (300, 360):  # of the plot on a phone and elsewhere, in pixels; 16 of them are below the mark's middle
        assert down / 100 * height + 16 < height + 2
    assert down > max(float(y) for y in re.findall(r'<text x="-10" y="([\d.]+)%"', html))


def test_what_stands_along_the_upright_axis_has_room() -> None:
    for low, high in ((1.0, 2.0), (1e3, 9e3), (-4e6, 4e6), (36.901, 36.902)):
        html = plot([point("a", 1, low), point("b", 2, high)], y=Axis(title="y"))
        [left] = re.findall(r'style="--left:(\d+)px"', html)
        words = re.findall(r'<text x="-10" [^>]*>([^<]*)<', html)
        assert int(left) >= 40
        assert all(7 * len(one) + 10 < int(left) for one in words)


def test_the_line_joins_those_that_nothing_smaller_beats() -> None:
    names = {"small": (1, 30.0), "worse": (2, 29.0), "tie": (3, 30.0), "best": (4, 33.0), "big": (5, 32.0)}
    points = tuple(point(name, size, psnr) for name, (size, psnr) in names.items())
    html = plot(points)
    [line] = lines(html, "plot-front")
    at = places(html)
    assert line == pytest.approx([*at["small"], *at["best"]])
    assert "plot-front" not in plot_html(Plot(title="T", group="G", x=LOG, y=LINEAR, points=points))


def test_one_point_is_a_plot_too() -> None:
    html = plot([point("a", 1, 33.0)], 33.0)
    assert 0 < places(html)["a"][0] < 100
    assert 0 < places(html)["a"][1] < 100
    assert lines(html, "plot-front") == []
    alone = plot_html(Plot(title="T", group="G", x=Axis(title="x"), y=Axis(title="y"), points=(point("a", 0, 0.0),)))
    assert 0 < places(alone)["a"][0] < 100


def test_points_that_are_equal_have_a_place_each() -> None:
    for axis in (LOG, LINEAR, Axis(title="x")):
        html = plot([point("a", 1, 33.0), point("b", 1, 33.0)], x=axis, y=axis)
        assert places(html)["a"] == places(html)["b"]
        assert 0 < places(html)["a"][0] < 100


def test_eight_families_look_different() -> None:
    points = [point(name, at + 1, 1.0, family=FAMILIES[at]) for at, name in enumerate("abcdefgh")]
    html = plot(points)
    marks = re.findall(
        r'<a href=.*?class="plot-mark (plot-network-\d) [^"]*".*?<circle class="plot-hit" r="14"/>(<.*?/>)', html
    )
    assert len({look for look, _ in marks}) == len({shape for _, shape in marks}) == 8
    style = STYLE.read_text(encoding="utf-8")
    colours = [re.findall(rf"\.{look} {{ --mark: (#\w+); }}", style) for look, _ in marks]
    assert [len(one) for one in colours] == [2] * 8  # light and dark
    assert len({colour for one in colours for colour in one}) == 16


def test_the_style_sheet_has_the_colours_of_the_techniques() -> None:
    style = STYLE.read_text(encoding="utf-8")
    for technique, look in LOOKS.items():
        light, dark = re.findall(rf"\.plot-technique-{technique} {{ --mark: (#\w+); }}", style)
        assert (light, dark) == (look.colour, look.dark)


def test_a_look_belongs_to_a_family_and_not_to_its_place_among_others() -> None:
    alone = plot([point("b", 2, 33.0, family="quick")])
    both = plot([point("a", 1, 33.0), point("b", 2, 33.0, family="quick")])
    [first], [_, second] = (re.findall(r'<li>(<svg class="plot-network.*?)</li>', html) for html in (alone, both))
    assert first == second


def test_curves_join_the_points_of_a_family_from_left_to_right() -> None:
    points = [
        point("c", 3, 3.0), point("a", 1, 1.0), point("b", 2, 5.0), point("x", 1, 2.0, family="quick"),
        point("y", 3, 2.5, family="quick"), point("alone", 2, 2.0, family="single"),
    ]  # fmt: skip
    curved = Plot(title="T", group="G", x=LINEAR, y=LINEAR, points=tuple(points), has_curves=True)
    html = plot_html(curved)
    at = places(html)
    first, second, third = (
        [[float(n) for n in re.findall(r'[xy][12]="([\d.]+)%"', line)] for line in re.findall("<line.*?/>", inside)]
        for inside in re.findall(r'<g class="plot-curve plot-network-\d">(.*?)</g>', html)
    )
    assert first == [[*at["a"], *at["b"]], [*at["b"], *at["c"]]]
    assert second == [[*at["x"], *at["y"]]]
    assert third == []
    assert list(at) == ["a", "b", "c", "x", "y", "alone"]  # the keyboard goes along each curve
    assert html.count('tabindex="-1"') == 5
    dashed = [replace(one, look=replace(one.look, is_dashed=True)) if one.family == "quick" else one for one in points]
    found = re.findall(
        r'<g class="plot-curve plot-network-\d( plot-dashed)?">', plot_html(replace(curved, points=tuple(dashed)))
    )
    assert found == ["", " plot-dashed", ""]
    assert "plot-curve" not in plot_html(replace(curved, has_curves=False))
    assert "tabindex" not in plot_html(replace(curved, has_curves=False))


def test_what_is_no_variant_is_no_link_but_can_be_read() -> None:
    html = plot([replace(point("a", 1, 33.0), id=None), point("b", 2, 33.0)])
    assert html.count("<a ") == html.count("data-variant=") == 1
    assert (
        '<g role="img" class="plot-mark plot-network-0 plot-filled" aria-label="A: 1 MB · 33.00 dB" tabindex="0">'
        in html
    )


def test_what_a_logarithmic_axis_cannot_hold_stands_below_it() -> None:
    points = (point("a", 1, 0.5), point("b", 2, 0.0), point("c", 3, -1.0), point("d", 0, 2.0), point("e", 2, 0.02))
    for floor, lowest in ((None, 0), (0.1, 1)):
        html = plot_html(Plot(title="T", group="G", x=LOG, y=replace(LOG, floor=floor), points=points))
        at = places(html)
        assert 100 > at["b"][1] == at["c"][1] > at["a"][1] > at["d"][1]
        assert (at["e"][1] == at["b"][1]) == (lowest == 1)  # below the floor
        assert 0 < at["d"][0] < at["a"][0]
        assert html.count("below the scale") == 2 * (2 + lowest)  # said and written
    assert len(places(plot([point("a", 0, 0.0)], x=LOG, y=LOG))) == 1


def test_many_decades_are_marked_by_powers_of_ten_only() -> None:
    html = plot([point("a", 0.001, 1.0), point("b", 1e6, 2.0)])
    shown = re.findall(r'dy="20" text-anchor="middle">([^<]*)<', html)
    assert shown == ["0.001", "0.01", "0.1", "1", "10", "100", "1,000", "10k", "100k", "1M"]


def test_one_panel_needs_no_choice() -> None:
    one = Panel(words="One", content=words("first"))
    assert panels_html("g", "L", [one]) == listed_panels_html("L", [one]) == "first"
    two = panels_html("g", "L", [one, Panel(words="Two", content=words("second"))])
    assert '<div data-panel="0">first</div><div data-panel="1" hidden>second</div>' in two
    assert two.count(" checked") == 1


def test_cells_are_filled_by_their_share() -> None:
    html = filled_table("C", "Stage", ["1", "2"], [[("6", 1.0), ("0", 0.0)], [("3", 0.5)]])
    assert '<td style="--share:100.0%">6</td><td class="is-gone" style="--share:0.0%">0</td>' in html
    assert '<td style="--share:50.0%">3</td><td></td></tr>' in html
    assert html.count("<caption>C</caption>") == 1


def test_family_and_package_can_be_told_without_colour() -> None:
    points = [point("a", 1, 33.0), point("b", 1, 32.0, family="quick", is_filled=False)]
    html = plot(points)
    a, b = re.findall(r'<a href="\?variant=\w".*?</a>', html)
    assert '<circle r="6.5"/>' in a
    assert "<rect" in b
    assert "plot-filled" in a
    assert "plot-hollow" in b
    assert "with a package" in html
    assert "with a package" not in plot(points[:1])


def test_bars_stand_where_their_values_are() -> None:
    html = bar(Bar(low=-1, at=0, high=3, ends=(-1, 3), line=1), "-1 to 3")
    assert "--low:0.00%;--at:25.00%;--high:100.00%;--line:50.00%" in html
    cut = bar(Bar(low=-9, at=0, high=9, ends=(-1, 3), line=1), "-9 to 9")
    assert "--low:0.00%;--at:25.00%;--high:100.00%" in cut
    assert "-9 to 9" in cut


def test_a_row_of_the_board_fills_all_columns() -> None:
    headings = [Heading(words="Rank", is_number=True), Heading(words="Name"), Heading(words="A"), Heading(words="B")]
    before = Entry(content=words("1"))
    row = Row(before=before, name=words("x"), cells=(Entry(content=words("y"), columns=2),), kind="waiting")
    html = board_table("C", headings, [row])
    assert '<td class="number">1</td><th scope="row">x</th><td colspan="2">y</td>' in html
    assert "<caption>C</caption>" in html
    assert html.count('scope="col"') == 4
    with pytest.raises(ValueError, match="3 columns"):
        board_table("C", headings, [replace(row, cells=(before,))])


def test_a_fixed_template_holds_nothing_that_a_template_would_act_on() -> None:
    safe = fixed_template("a{{b}} ${c} `d` \\n <p>")
    assert not set("{`\\") & set(safe)
    assert safe.endswith("<p>")


@pytest.mark.parametrize(("data", "name"), [({"id": "a"}, "a"), ({}, ""), (None, ""), ({"id": 5}, "5")])
def test_what_was_pressed_is_always_a_word(data: object, name: str) -> None:
    assert pressed_id(gr.EventData(None, data)) == name


def test_each_answer_differs_so_that_a_second_one_is_noticed() -> None:
    assert answer_value("a")["key"] != answer_value("a")["key"]
