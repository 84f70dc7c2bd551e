from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sr_core.arch.padding import align
from sr_core.errors import OptionError
from sr_core.infer.tiles import WEIGHT_SUM, Axis, Tiling, blend_weights, overlap_spans, picture_span, plan_tiles

WINDOWS = st.sampled_from([1, 2, 4, 7, 8, 16])


@st.composite
def tilings(draw: st.DrawFn, multiple: int) -> Tiling:
    overlap = draw(st.integers(0, 64))
    least = max(2 * align(overlap, multiple), multiple)
    return Tiling(tile=draw(st.integers(least, least + 200)), overlap=overlap)


@st.composite
def axes(draw: st.DrawFn) -> tuple[Axis, int, Tiling]:
    multiple = draw(WINDOWS)
    tiling = draw(tilings(multiple))
    size = draw(st.integers(1, 600))
    return plan_tiles(size, 1, multiple, tiling).rows, multiple, tiling


@given(axes())
@settings(deadline=None, max_examples=150)
def test_tiles_cover_the_picture_and_its_margin_from_end_to_end(case: tuple[Axis, int, Tiling]) -> None:
    axis, multiple, _ = case
    assert axis.lead == multiple
    assert axis.padded == align(axis.size + 2 * multiple, multiple)
    assert multiple <= axis.padded - axis.lead - axis.size < 2 * multiple
    assert axis.starts[0] == 0
    assert axis.starts[-1] + axis.tile == axis.padded
    assert list(axis.starts) == sorted(set(axis.starts))


@given(axes())
@settings(deadline=None, max_examples=150)
def test_tiles_lie_on_windows_and_are_not_larger_than_asked(case: tuple[Axis, int, Tiling]) -> None:
    axis, multiple, tiling = case
    assert axis.tile % multiple == 0
    assert 0 < axis.tile <= tiling.tile
    assert all(start % multiple == 0 for start in axis.starts)


@given(axes())
@settings(deadline=None, max_examples=150)
def test_neighbours_overlap_as_asked_and_by_one_window_more_at_most(case: tuple[Axis, int, Tiling]) -> None:
    axis, multiple, tiling = case
    asked = align(tiling.overlap, multiple)
    for before, after in pairwise(axis.starts):
        assert asked <= before + axis.tile - after <= asked + multiple


@given(axes(), st.integers(1, 4))
@settings(deadline=None, max_examples=150)
def test_overlap_spans_are_the_output_pixels_of_the_picture_that_two_tiles_see(
    case: tuple[Axis, int, Tiling], scale: int
) -> None:
    axis, _, _ = case
    spans = overlap_spans(axis, scale)
    assert all(0 <= first < end <= axis.size * scale for first, end in spans)
    wanted: list[tuple[int, int]] = []
    for before, after in pairwise(axis.starts):
        seen = [at for at in range(after, before + axis.tile) if 0 <= at - axis.lead < axis.size]
        if seen:
            wanted.append(((seen[0] - axis.lead) * scale, (seen[-1] + 1 - axis.lead) * scale))
    assert list(spans) == wanted


def test_overlaps_in_the_margin_are_no_seams() -> None:
    axis = plan_tiles(1, 1, 8, Tiling(tile=16, overlap=8)).rows
    assert (axis.starts, axis.padded) == ((0, 8), 24)
    assert overlap_spans(axis, 2) == ((0, 2),)  # 16 pixels of the grid, one of the picture
    assert overlap_spans(plan_tiles(1, 17, 8, Tiling(tile=16, overlap=8)).columns, 2) == ((0, 16), (16, 32), (32, 34))
    assert overlap_spans(plan_tiles(1, 1, 8, Tiling(tile=8, overlap=0)).columns, 2) == ()


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ((0, 8), (0, 0)),
        ((0, 9), (0, 3)),
        ((8, 18), (0, 30)),
        ((10, 99), (6, 30)),
        ((18, 32), (30, 30)),
        ((9, 9), (3, 3)),
    ],
)
def test_the_picture_begins_behind_its_margin(span: tuple[int, int], expected: tuple[int, int]) -> None:
    axis = plan_tiles(10, 1, 8, Tiling()).rows
    assert axis.padded == 32
    assert picture_span(axis, span, 3) == expected


@given(axes())
@settings(deadline=None, max_examples=150)
def test_there_are_no_more_tiles_than_needed_and_none_is_larger_than_needed(case: tuple[Axis, int, Tiling]) -> None:
    axis, multiple, tiling = case
    overlap, count = align(tiling.overlap, multiple), len(axis.starts)
    largest = tiling.tile // multiple * multiple
    if count > 1:
        assert (count - 1) * (largest - overlap) + overlap < axis.padded
    assert count * (axis.tile - multiple - overlap) + overlap < axis.padded


@given(axes(), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_weights_sum_to_one_at_every_output_pixel(case: tuple[Axis, int, Tiling], scale: int) -> None:
    axis, _, _ = case
    total = np.zeros(axis.padded * scale, np.int64)
    weights = blend_weights(axis, scale)
    assert len(weights) == len(axis.starts)
    for start, part in zip(axis.starts, weights, strict=True):
        assert len(part) == axis.tile * scale
        assert min(part) >= 0
        total[start * scale : (start + axis.tile) * scale] += part
    assert (total == WEIGHT_SUM).all()


@given(axes(), st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_float32_weights_of_both_axes_are_exact(case: tuple[Axis, int, Tiling], scale: int) -> None:
    axis, _, _ = case
    weights = np.array(blend_weights(axis, scale), np.float32) / WEIGHT_SUM
    product = weights[0][:, None] * weights[-1]
    exact = np.array(blend_weights(axis, scale), np.float64) / WEIGHT_SUM
    assert (product == exact[0][:, None] * exact[-1]).all()


@given(axes())
@settings(deadline=None, max_examples=30)
def test_a_tile_counts_for_nothing_in_the_outer_three_eighths_of_an_overlap(case: tuple[Axis, int, Tiling]) -> None:
    axis, multiple, tiling = case
    assume(len(axis.starts) > 1)
    margin = align(tiling.overlap, multiple) * 3 // 8
    for index, part in enumerate(blend_weights(axis, 1)):
        if index:
            assert not any(part[:margin])
        if index < len(axis.starts) - 1:
            assert not any(part[len(part) - margin :])


def test_the_ramp_rises_smoothly_and_alike_from_both_sides() -> None:
    axis = plan_tiles(80, 1, 8, Tiling(tile=64, overlap=32)).rows
    assert axis.starts == (0, 32)
    first, second = (np.array(part) for part in blend_weights(axis, 2))
    ramp = first[64:128]  # the output pixels of the overlap
    assert (ramp[:24] == WEIGHT_SUM).all()
    assert (ramp[40:] == 0).all()
    assert (np.diff(ramp[23:41]) < 0).all()
    assert np.abs(ramp + ramp[::-1] - WEIGHT_SUM).max() <= 1
    assert (second[:64] == WEIGHT_SUM - ramp).all()
    steps = -np.diff(ramp[23:41])
    assert steps[0] < steps[len(steps) // 2] / 4  # it starts gently
    t = (np.arange(16) + 0.5) / 16
    assert np.abs(ramp[24:40] / WEIGHT_SUM - (1 - 3 * t**2 + 2 * t**3)).max() <= 0.5 / WEIGHT_SUM + 1e-12


def test_without_overlap_each_pixel_belongs_to_one_tile() -> None:
    axis = plan_tiles(48, 1, 8, Tiling(tile=32, overlap=0)).rows
    assert axis.starts == (0, 32)
    assert blend_weights(axis, 1) == ((WEIGHT_SUM,) * 32, (WEIGHT_SUM,) * 32)


@pytest.mark.parametrize(
    ("size", "starts", "tile"),
    [
        (1, (0,), 24),
        (48, (0,), 64),  # with its margin, exactly one tile
        (49, (0, 24), 48),  # 72 with its margin: two tiles of 48, not one of 64 and a sliver
        (84, (0, 40), 64),
        (96, (0, 48), 64),
        (97, (0, 32, 64), 56),
        (484, (0, 40, 88, 128, 176, 216, 264, 304, 352, 392, 440), 64),
    ],
)
def test_known_plans(size: int, starts: tuple[int, ...], tile: int) -> None:
    axis = plan_tiles(1, size, 8, Tiling(tile=64, overlap=16)).columns
    assert (axis.starts, axis.tile) == (starts, tile)


def test_values_between_windows_are_rounded_to_the_safe_side() -> None:
    loose, exact = Tiling(tile=71, overlap=9), Tiling(tile=64, overlap=16)
    assert plan_tiles(300, 200, 8, loose) == plan_tiles(300, 200, 8, exact)


def test_bands_are_the_rows_of_tiles_in_batches() -> None:
    plan = plan_tiles(90, 200, 8, Tiling(tile=64, overlap=16))
    bands = list(plan.bands(2))
    assert tuple(top for top, _ in bands) == plan.rows.starts
    for _, batches in bands:
        assert sum(batches, ()) == plan.columns.starts
        assert [len(batch) for batch in batches] == [2] * (len(plan.columns.starts) // 2) + [1] * (
            len(plan.columns.starts) % 2
        )
    assert plan.tiles == len(plan.rows.starts) * len(plan.columns.starts)
    assert plan.tile_pixels == plan.rows.tile * plan.columns.tile


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tile": 0}, "at least 1 pixel a side, not 0"),
        ({"tile": -8}, "at least 1 pixel a side, not -8"),
        ({"overlap": -1}, "cannot be negative, but is -1"),
        ({"batch": 0}, "At least 1 tile"),
        ({"tile": 64, "overlap": 33}, "64 pixels is too small for an overlap of 33; at least 66"),
    ],
)
def test_impossible_tilings_are_refused(options: dict[str, int], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        Tiling(**options)


def test_the_smallest_tiling_that_is_possible_is_accepted() -> None:
    assert Tiling(tile=64, overlap=32).overlap == 32
    assert plan_tiles(100, 100, 8, Tiling(tile=8, overlap=0)).tiles == 15 * 15
    assert plan_tiles(100, 1, 8, Tiling(tile=16, overlap=8)).rows.starts == tuple(range(0, 112, 8))


@pytest.mark.parametrize(
    ("tiling", "sentence"),
    [
        (Tiling(tile=7, overlap=0), "smaller than the network's window; at least 8"),
        (Tiling(tile=20, overlap=10), "16 pixels is too small for an overlap of 16; at least 32"),
    ],
)
def test_what_rounding_makes_impossible_is_refused_even_for_one_tile(tiling: Tiling, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        plan_tiles(4, 4, 8, tiling)


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0)])
def test_an_empty_picture_is_a_bug(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="0 pixels"):
        plan_tiles(height, width, 8, Tiling())
