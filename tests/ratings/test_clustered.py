import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ratings.clustered import Interval, Sandwich, sums_by


def mean_of(values: list[NDArray[np.float64]]) -> Interval:
    """The mean of values in clusters, as a sandwich of one coefficient."""
    every = np.concatenate(values)
    mean = every.mean()
    slopes = np.array([[float((one - mean).sum())] for one in values])
    information = np.array([[[float(len(one))]] for one in values])
    dispersion = float(((every - mean) ** 2).mean())
    sandwich = Sandwich.of(slopes, information, np.array([1e-9]), dispersion)
    (interval,) = sandwich.intervals(np.ones((1, 1)), np.array([mean]))
    return interval


def test_of_single_votes_it_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(0, 1, 12)
    interval = mean_of([values[n : n + 1] for n in range(12)])
    assert interval.error == pytest.approx(values.std(ddof=1) / np.sqrt(12), rel=1e-4)
    assert interval.freedom == pytest.approx(11, rel=1e-3)
    low, high = interval.ends(0.95)
    assert (high - low) / 2 == pytest.approx(2.200985 * interval.error, rel=1e-4)
    assert (low + high) / 2 == pytest.approx(values.mean())


def test_equal_clusters_are_as_their_means() -> None:
    rng = np.random.default_rng(1)
    values = [rng.normal(rng.normal(0, 1), 0.3, 40) for _ in range(9)]
    interval = mean_of(values)
    means = np.array([one.mean() for one in values])
    assert interval.error == pytest.approx(means.std(ddof=1) / 3, rel=0.02)
    assert interval.freedom == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_intervals_hold_where_few_give_most(spread: float) -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(600):
        sizes = [200] * 3 + [8] * 30
        interval = mean_of([rng.normal(rng.normal(0, spread), 1, size) for size in sizes])
        low, high = interval.ends(0.95)
        held += low <= 0 <= high
    assert 0.925 <= held / 600 <= 0.985


def test_few_loud_clusters_have_few_degrees_of_freedom_if_they_differ() -> None:
    rng = np.random.default_rng(3)
    sizes = [200] * 3 + [8] * 30
    alike = mean_of([rng.normal(0, 1, size) for size in sizes])
    apart = mean_of([rng.normal(rng.normal(0, 2), 1, size) for size in sizes])
    assert apart.freedom < 3.5
    assert alike.freedom > 4.5


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 10**6))
def test_any_raters_have_a_sound_covariance(raters: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (raters, 3, width)) * rng.integers(0, 2, (raters, 1, width))
    information = np.swapaxes(rows, 1, 2) @ rows
    slopes = (np.swapaxes(rows, 1, 2) @ rng.normal(0, 1, (raters, 3, 1)))[..., 0]
    sandwich = Sandwich.of(slopes, information, np.full(width, 0.05), 1.0)
    whole = information.sum(axis=0) + 0.05 * np.eye(width)
    assert sandwich.model_covariance @ whole == pytest.approx(np.eye(width), abs=1e-6)
    assert np.linalg.eigvalsh(sandwich.covariance).min() > 0
    intervals = sandwich.intervals(np.eye(width), np.zeros(width))
    plain = np.sqrt(np.diag(sandwich.covariance))
    for interval, error in zip(intervals, plain, strict=True):
        assert interval.error >= error * (1 - 1e-9)
        assert 1 <= interval.freedom <= max(raters - 1, 1)


def test_one_rater_cannot_differ() -> None:
    sandwich = Sandwich.of(np.zeros((1, 1)), np.full((1, 1, 1), 25.0), np.array([0.05]), 1.0)
    (interval,) = sandwich.intervals(np.ones((1, 1)), np.zeros(1))
    assert interval.error == pytest.approx(25.05**-0.5)
    assert interval.freedom == 1
    assert interval.ends(0.95)[1] == pytest.approx(12.706 * 25.05**-0.5, rel=1e-3)


def test_sums() -> None:
    assert sums_by(np.array([0, 2, 2]), np.array([1.0, 2.0, 0.5]), 4).tolist() == [1.0, 0.0, 2.5, 0.0]
    assert sums_by(np.array([], np.int64), np.array([]), 0).tolist() == []
