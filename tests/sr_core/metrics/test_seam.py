import numpy as np
import pytest
from numpy.typing import NDArray

from sr_core.errors import OptionError
from sr_core.metrics.seam import SeamReport, compare_seams


def zeros() -> NDArray[np.float32]:
    return np.zeros((40, 60, 3), np.float32)


def compared(tiled: NDArray[np.generic], *, reach: int = 0, data_range: float = 1.0) -> SeamReport:
    return compare_seams(
        tiled, zeros(), row_spans=[(10, 14)], column_spans=[(20, 25), (40, 41)], reach=reach, data_range=data_range
    )


def test_equal_pictures_have_no_seams() -> None:
    assert compared(zeros()) == SeamReport(max_near=0, mean_near=0, max_elsewhere=0, mean_elsewhere=0)


@pytest.mark.parametrize(
    ("row", "column", "is_near"),
    [
        (10, 0, True),
        (13, 59, True),
        (9, 0, False),
        (14, 0, False),
        (0, 20, True),
        (39, 24, True),
        (0, 19, False),
        (0, 25, False),
        (0, 40, True),
        (0, 41, False),
    ],
)
def test_spans_are_exact(row: int, column: int, is_near: bool) -> None:
    tiled = zeros()
    tiled[row, column, 1] = -2 / 255
    report = compared(tiled)
    assert report.max_near == pytest.approx(2.0 * is_near)
    assert report.max_elsewhere == pytest.approx(2.0 * (not is_near))
    assert report.max == pytest.approx(2.0)
    assert (report.mean_near > 0) == is_near
    assert (report.mean_elsewhere > 0) != is_near


@pytest.mark.parametrize(("reach", "is_near"), [(0, False), (2, False), (3, True)])
def test_reach_widens_the_spans(reach: int, is_near: bool) -> None:
    for row, column in ((7, 0), (16, 0), (0, 17), (0, 27)):
        tiled = zeros()
        tiled[row, column] = 1 / 255
        assert (compared(tiled, reach=reach).max_near > 0) == is_near


def test_means_are_over_all_channels() -> None:
    tiled = zeros()
    tiled[10:14, :, 0] = 3 / 255
    report = compare_seams(tiled, zeros(), row_spans=[(10, 14)], column_spans=[], reach=0, data_range=1.0)
    assert report.mean_near == pytest.approx(1.0)
    assert report.mean_elsewhere == 0.0


@pytest.mark.parametrize("data_range", [1.0, 255.0, 65535.0])
def test_differences_are_in_steps_of_eight_bits(data_range: float) -> None:
    tiled = zeros()
    tiled[12, 5] = data_range
    assert compared(tiled, data_range=data_range).max_near == pytest.approx(255.0)


def test_integers_do_not_wrap_around() -> None:
    bright, dark = np.full((4, 4, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    for tiled, whole in ((bright, dark), (dark, bright)):
        report = compare_seams(tiled, whole, row_spans=[(0, 2)], column_spans=[], reach=0, data_range=255)
        assert report == SeamReport(max_near=255, mean_near=255, max_elsewhere=255, mean_elsewhere=255)


def test_pictures_without_seams_and_seams_without_elsewhere() -> None:
    tiled = zeros() + np.float32(0.1)
    bare = compare_seams(tiled, zeros(), row_spans=[], column_spans=[], reach=5, data_range=1.0)
    assert (bare.max_near, bare.mean_near) == (0.0, 0.0)
    assert bare.mean_elsewhere == pytest.approx(25.5)
    full = compare_seams(tiled, zeros(), row_spans=[(0, 40)], column_spans=[], reach=0, data_range=1.0)
    assert (full.max_elsewhere, full.mean_elsewhere) == (0.0, 0.0)
    assert full.mean_near == pytest.approx(25.5)


def test_a_difference_that_is_not_a_number_is_not_hidden() -> None:
    tiled = zeros()
    tiled[0, 0, 0] = np.nan
    assert np.isnan(compared(tiled).max_elsewhere)
    assert np.isnan(compared(tiled).max)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(OptionError, match="Two pictures of one size"):
        compare_seams(zeros(), zeros()[:-1], row_spans=[], column_spans=[], reach=0, data_range=1.0)
    with pytest.raises(OptionError, match="Two pictures of one size"):
        compare_seams(zeros()[0], zeros()[0], row_spans=[], column_spans=[], reach=0, data_range=1.0)
    with pytest.raises(OptionError, match="negative, but is -1"):
        compared(zeros(), reach=-1)
