"""Pictures of any figure are sound: they parse, say what the figure says, and keep its points on the page."""

import re
from typing import get_args
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.report import Figure, FigureAxis, FigurePoint, Series
from zoo.report.drawing import svg_of
from zoo.report.techniques import COARSE, LOOKS, PRUNING, TECHNIQUES
from zoo.study import Technique

SVG = "{http://www.w3.org/2000/svg}"
words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\ufffe\uffff"), max_size=20)


@st.composite
def figures(draw: st.DrawFn) -> Figure:
    kinds = [draw(st.sampled_from(["linear", "log"])) for _ in range(2)]
    numbers = [st.floats(1e-3, 1e5) if kind == "log" else st.floats(-1e5, 1e5) for kind in kinds]

    def one() -> FigurePoint:
        x, y = (draw(number) for number in numbers)
        interval = draw(st.none() | st.just((y, y)) | st.just((y, y + 1)))
        return FigurePoint(id=None, label=draw(words), x=x, y=y, words=draw(words), interval=interval)

    series = tuple(
        Series(
            name=draw(words),
            points=tuple(one() for _ in range(draw(st.integers(1, 3)))),
            technique=draw(st.sampled_from(list(TECHNIQUES))),
            whole=draw(st.sampled_from("abcde")),
            is_joined=draw(st.booleans()),
        )
        for _ in range(draw(st.integers(0, 4)))
    )
    axes = [FigureAxis(words=draw(words), kind=kind, floor=draw(st.sampled_from([None, 0.01]))) for kind in kinds]
    return Figure(title=draw(words), x=axes[0], y=axes[1], series=series, note=draw(words))


def marks(root: ET.Element) -> list[tuple[float, float, str]]:
    """Where points are drawn, and what is said of each."""
    found = []
    for group in root.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        place = re.fullmatch(r"translate\((-?[\d.]+) (-?[\d.]+)\)", group.get("transform", ""))
        if title is not None and place:
            found.append((float(place[1]), float(place[2]), title.text or ""))
    return found


@settings(max_examples=80, deadline=None)
@given(figure=figures())
def test_any_figure_becomes_a_sound_picture(figure: Figure) -> None:
    root = ET.fromstring(svg_of(figure))  # noqa: S314  made right here
    width, height = (float(root.get(name, "")) for name in ("width", "height"))
    title = root.find(f"{SVG}title")
    assert title is not None
    assert (title.text or "") == figure.title
    drawn = marks(root)
    points = [point for series in figure.series for point in series.points]
    assert [said for *_, said in drawn] == [f"{point.label}: {point.words}" for point in points]
    assert all(0 < x < width and 0 < y < height for x, y, _ in drawn)
    lines = [len((line.get("points") or "").split()) for line in root.iter(f"{SVG}polyline")]
    assert lines == [len(one.points) for one in figure.series if one.is_joined and len(one.points) > 1]
    said = [text.text for text in root.iter(f"{SVG}text")]
    if figure.series:
        assert {figure.x.words or None, figure.y.words or None} <= set(said)
        assert [one.name or None for one in figure.series] == said[-len(figure.series) :]
    else:
        assert said == [figure.title or None, figure.note or None]


def drawn(*ys: float, floor: float | None = None, kind: str = "linear") -> str:
    points = tuple(FigurePoint(id=None, label="p", x=float(i), y=y, words="w") for i, y in enumerate(ys))
    series = Series(name="s", points=points, technique="selective", whole="a")
    axis = FigureAxis(words="y", kind=kind, floor=floor)  # type: ignore[arg-type]
    return svg_of(Figure(title="t", x=FigureAxis(words="x"), y=axis, series=(series,), note=""))


def test_more_stands_higher_and_further_to_the_right() -> None:
    places = marks(ET.fromstring(drawn(1.0, 2.0, 4.0)))  # noqa: S314
    assert [x for x, *_ in places] == sorted(x for x, *_ in places)
    assert [y for _, y, _ in places] == sorted((y for _, y, _ in places), reverse=True)
    low, middle, high = (y for _, y, _ in places)
    assert low - middle == pytest.approx((middle - high) / 2, abs=0.2)
    low, middle, high = (y for _, y, _ in marks(ET.fromstring(drawn(1.0, 2.0, 4.0, kind="log"))))  # noqa: S314
    assert low - middle == pytest.approx(middle - high, abs=0.2)


def test_what_is_below_the_floor_stands_at_the_foot_with_an_arrow() -> None:
    text = drawn(-1.0, 0.001, 0.1, floor=0.01, kind="log")
    first, second, third = (y for _, y, _ in marks(ET.fromstring(text)))  # noqa: S314
    assert first == second > third
    assert first + 13 < 404 < 404 + 18 - 13  # the arrow's tip is above the foot, and so above the words below it
    assert text.count('<path d="M-4 9 0 13 4 9"') == 2
    assert '<path d="M-4 9' not in drawn(0.01, 0.1, floor=0.01, kind="log")


def test_without_a_floor_no_point_is_moved() -> None:
    text = drawn(0.0001, 0.001, 0.01, kind="log")
    low, middle, high = (y for _, y, _ in marks(ET.fromstring(text)))  # noqa: S314
    assert low - middle == pytest.approx(middle - high, abs=0.2)
    assert '<path d="M-4 9' not in text


def two_networks(*techniques: Technique) -> str:
    series = tuple(
        Series(
            name=f"{technique} of {whole}",
            points=(FigurePoint(id=None, label="p", x=1.0, y=1.0, words="w"),),
            technique=technique,
            whole=whole,
            is_joined=True,
            is_dashed=whole == "b",
        )
        for whole in "abc"
        for technique in techniques
    )
    return svg_of(Figure(title="t", x=FigureAxis(words="x"), y=FigureAxis(words="y"), series=series, note=""))


def looks(text: str) -> dict[str, str]:
    """The mark of each series in the legend, by its name."""
    found = re.findall(r'(<g transform="translate[^>]*>)((?:(?!<title>).)*?)<text x="18"[^>]*>([^<]*)<', text)
    return {name: head.split(")", 1)[1] + mark for head, mark, name in found}


def test_a_technique_always_looks_the_same_whatever_else_is_there() -> None:
    alone, last = looks(two_networks("mixed-bit")), looks(two_networks("whole", "heads-l1", "mixed-bit"))
    assert alone["mixed-bit of a"] == last["mixed-bit of a"]
    assert LOOKS["mixed-bit"].colour in alone["mixed-bit of a"]
    assert LOOKS["mixed-bit"].shape in alone["mixed-bit of a"]
    assert len({alone[f"mixed-bit of {whole}"] for whole in "abc"}) == 3  # networks are told apart by how it is filled


def test_every_technique_has_words_and_a_look_of_its_own() -> None:
    every = set(get_args(Technique))
    assert set(TECHNIQUES) == set(LOOKS) == every
    for part in ("colour", "dark", "shape"):
        assert len({getattr(look, part) for look in LOOKS.values()}) == len(every)
    assert PRUNING | COARSE | {"whole"} == every
    assert not PRUNING & COARSE


def test_a_line_is_dashed_where_the_series_says_so() -> None:
    assert two_networks("selective").count("stroke-dasharray") == 1  # in the legend; one point needs no line
    points = tuple(FigurePoint(id=None, label="p", x=float(i), y=1.0, words="w") for i in range(2))
    series = Series(name="s", points=points, technique="selective", whole="a", is_joined=True, is_dashed=True)
    text = svg_of(Figure(title="t", x=FigureAxis(words="x"), y=FigureAxis(words="y"), series=(series,), note=""))
    assert re.search(r"<polyline [^>]*stroke-dasharray", text)


def test_whiskers_stay_in_the_field() -> None:
    points = (FigurePoint(id=None, label="p", x=1.0, y=1.0, words="w", interval=(-9.0, 30.0)),)
    series = Series(name="s", points=points, technique="whole", whole="a")
    text = svg_of(Figure(title="t", x=FigureAxis(words="x"), y=FigureAxis(words="y"), series=(series,), note=""))
    [(_, y, _)] = marks(ET.fromstring(text))  # noqa: S314
    ends = re.search(r"M0 (-?[\d.]+)V(-?[\d.]+)M", text)
    assert ends
    assert 44 <= y + float(ends[2]) < y < y + float(ends[1]) <= 404


def test_round_values_stand_along_the_axes() -> None:
    def ticks(text: str) -> list[str]:
        return re.findall(r'text-anchor="end">([^<]*)<', text)

    assert ticks(drawn(0.012, 4.0, floor=0.01, kind="log"))[::2] == ["0.01", "0.05", "0.2", "1", "5"]
    assert ticks(drawn(-1.0, 0.4)) == ["−1.0", "−0.5", "0.0", "0.5"]
    assert ticks(drawn(1000.0, 3000.0)) == ["1,000", "1,500", "2,000", "2,500", "3,000"]
    assert ticks(drawn(1e5, 4e6)) == ["0", "1M", "2M", "3M", "4M"]


def test_what_stands_along_the_upright_axis_does_not_meet_its_title() -> None:
    for low, high in ((-4e6, 4e6), (1e3, 9e3), (0.001, 0.002), (30.001, 30.002)):
        ends = re.findall(r'<text x="(\d+)" y="[^"]*" text-anchor="end">([^<]*)<', drawn(low, high))
        assert all(int(x) - 7.2 * len(words) > 20 for x, words in ends)


def test_one_figure_is_always_the_same_text() -> None:
    assert drawn(1.0, 2.0) == drawn(1.0, 2.0)
