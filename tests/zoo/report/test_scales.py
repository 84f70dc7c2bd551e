"""Any values have a place on their axis, and what is written along it can be read and is true."""

import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zoo.report.scales import Scale, ScaleKind, scale_of, short_number, signed_number, ticks_of

UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
KINDS: tuple[ScaleKind, ...] = ("linear", "log")
numbers = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 6))
amounts = st.floats(1e-4, 1e9)


def read(words: str) -> float:
    """The number that was meant."""
    found = re.fullmatch(r"([+−]?)([\d.,]+(?:e-\d+)?)([kMG]?)", words)
    assert found, words
    return (-1 if found[1] == "−" else 1) * float(found[2].replace(",", "")) * UNITS[found[3]]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_all_values_have_their_place_in_order(kind: ScaleKind, data: st.DataObject) -> None:
    values = sorted(data.draw(st.lists(numbers if kind == "linear" else amounts, min_size=1, max_size=6)))
    scale = scale_of(values, kind)
    places = [scale.place(value) for value in values]
    assert places == sorted(places)
    assert 0 < places[0] <= places[-1] < 1
    assert scale.strip == 0
    assert not any(map(scale.is_below, values))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_is_written_along_an_axis_is_short_and_true(kind: ScaleKind, data: st.DataObject) -> None:
    low, high = sorted(data.draw(st.tuples(*[numbers if kind == "linear" else amounts] * 2)))
    assume(high - low > 1e-3 * max(abs(low), abs(high)))
    scale = scale_of([low, high], kind)
    ticks = ticks_of(scale, is_signed=data.draw(st.booleans()))
    assert 2 <= len(ticks) <= 12
    for value, words in ticks:
        assert scale.low <= value <= scale.high
        assert read(words) == pytest.approx(value, rel=1e-9, abs=1e-9)
        assert len(words) <= 9
    assert len({words for _, words in ticks}) == len(ticks)


def test_what_is_below_the_floor_stands_in_a_strip_that_is_kept_for_it() -> None:
    scale = scale_of([0.0, 0.002, 0.05, 1.0], "log", floor=0.01)
    assert scale.low == 0.01
    below = scale.place(0.002)
    assert 0 < scale.place(0.0) == below < scale.strip == scale.place(0.01) < scale.place(0.05)
    assert [scale.is_below(value) for value in (0.0, 0.002, 0.00999, 0.01)] == [True, True, True, False]
    assert scale_of([0.02, 1.0], "log", floor=0.01).strip == 0
    assert scale_of([0.01, 1.0], "log", floor=0.01).strip == 0
    assert all(value >= 0.01 for value, _ in ticks_of(scale))


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_floor_even_the_smallest_has_its_place(kind: ScaleKind) -> None:
    """What would stand below a floor does not, where none is given."""
    scale = scale_of([0.0001, 1.0], kind)
    assert scale.low < 0.0001
    assert scale.strip == 0
    assert scale_of([0.0001, 1.0], kind, floor=0.5).low == 0.5


def test_a_logarithmic_axis_holds_no_zero() -> None:
    scale = scale_of([0.0, -5.0, 2.0], "log")
    assert scale.is_below(0.0)
    assert scale.is_below(-5.0)
    assert not scale.is_below(2.0)
    assert 0 < scale.place(0.0) < scale.strip < scale.place(2.0) < 1
    alone = scale_of([0.0], "log")
    assert alone.place(0.0) < alone.strip
    assert scale_of([0.001], "log", floor=0.01).low == 0.01


def test_equal_steps_and_equal_factors_are_equally_far_apart() -> None:
    linear, log = scale_of([0.0, 4.0]), scale_of([1.0, 4.0], "log")
    assert linear.place(4) - linear.place(3) == pytest.approx(linear.place(1) - linear.place(0))
    assert log.place(4) - log.place(2) == pytest.approx(log.place(2) - log.place(1))
    assert scale_of([0.0, 4.0], above=2).high == pytest.approx(4 + 2 * 0.32)
    assert scale_of([0.0, 4.0]).low == pytest.approx(-0.32)
    assert linear.place(99) == log.place(99) == 1


def test_small_differences_are_not_blown_up_and_equal_values_have_room() -> None:
    assert scale_of([37.0, 37.0]).low == pytest.approx(37 * 0.98)
    assert scale_of([37.0, 37.001]).low == pytest.approx(37 * 0.999, abs=0.002)
    assert scale_of([37.0, 37.001], room=0.5).high == pytest.approx(37.501)
    assert (scale_of([0.0]).low, scale_of([0.0]).high) == (-1, 1)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0, 9_000, ["0", "2,000", "4,000", "6,000", "8,000"]),
        (0, 90_000, ["0", "20k", "40k", "60k", "80k"]),
        (0, 12_000, ["0", "2k", "4k", "6k", "8k", "10k", "12k"]),
        (900_000, 1_300_000, ["0.9M", "1.0M", "1.1M", "1.2M", "1.3M"]),
        (0, 5e6, ["0", "1M", "2M", "3M", "4M", "5M"]),
        (-2e9, 2e9, ["−2G", "−1G", "0", "1G", "2G"]),
        (-0.04, 0.02, ["−0.04", "−0.03", "−0.02", "−0.01", "0.00", "0.01", "0.02"]),
    ],
)
def test_large_numbers_are_written_in_thousands_and_millions(low: float, high: float, words: list[str]) -> None:
    assert [said for _, said in ticks_of(Scale(low, high, "linear"))] == words


def test_a_logarithmic_axis_of_many_decades_has_room_for_all_that_is_written() -> None:
    shown = [said for _, said in ticks_of(Scale(8e-4, 2e6, "log"))]
    assert shown == ["0.001", "0.01", "0.1", "1", "10", "100", "1,000", "10k", "100k", "1M"]
    far = [said for _, said in ticks_of(Scale(1e-9, 1e9, "log"))]
    assert 2 <= len(far) <= 12
    assert [math.log10(value) % 2 for value, _ in ticks_of(Scale(1e-9, 1e9, "log"))] == [0] * len(far)


def test_numbers_are_short() -> None:
    assert [short_number(v) for v in (0.05, 2000, 9999, 10_000, 2.5e5, 1e6, 3.6e9)] == [
        "0.05", "2,000", "9,999", "10k", "250k", "1M", "3.6G",
    ]  # fmt: skip


def test_a_sign_is_a_real_one_and_zero_has_none() -> None:
    assert [signed_number(v, 2) for v in (0.25, -0.25, 0.001, -0.001, 0.0)] == [
        "+0.25",
        "−0.25",
        "0.00",
        "0.00",
        "0.00",
    ]
    assert [said for _, said in ticks_of(Scale(-100, 100, "linear"), is_signed=True)] == [
        "−100",
        "−50",
        "0",
        "+50",
        "+100",
    ]
