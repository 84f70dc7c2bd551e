"""Short versions of what ``python -m tests.ratings.crowd`` measures."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ratings.rank import board_of
from tests.ratings.crowd import (
    CROWDS,
    EVEN,
    difference_at,
    moves,
    outcome,
    sample,
    stuffing,
    truth_of,
    twins,
    uneven,
    verdicts,
)


def test_a_crowd_is_the_same_for_the_same_seed() -> None:
    assert sample(EVEN, 3).votes == sample(EVEN, 3).votes
    assert sample(EVEN, 3).votes != sample(EVEN, 4).votes
    idle = sample(replace(EVEN, idle=0.4), 0)
    assert len(idle.idlers) == 40


def test_the_truth_of_alike_raters_is_the_quality() -> None:
    plain = CROWDS["no differences of raters and pictures"]
    assert truth_of(plain, np.array([plain.qualities])) == pytest.approx(plain.qualities, abs=1e-3)
    mixed = truth_of(replace(plain, sensitivity=0.5, taste=0.5), np.array([plain.qualities]))
    assert np.abs(mixed).sum() < 0.95 * np.abs(plain.qualities).sum()


def test_two_of_five_idle_and_the_order_stays() -> None:
    even, spread = (outcome(draw, range(8)) for draw in (lambda _: replace(EVEN, idle=0.4), partial(uneven, idle=0.4)))
    assert even.tau.mean() >= 0.93
    assert spread.tau.mean() >= 0.88
    assert even.idle_out.mean() > 0.8
    assert even.honest_out.mean() < 0.08


@pytest.mark.parametrize("name", ["100 raters of 20 votes", "80 % of ties", "the same, strong tastes"])
def test_intervals_hold(name: str) -> None:
    found = outcome(lambda _: CROWDS[name], range(25))
    assert 0.89 <= found.covered.mean() <= 0.99
    assert found.honest_out.mean() < 0.04


@pytest.mark.parametrize("number", [60, 400])
@pytest.mark.parametrize("careful", [False, True])
def test_a_stuffer_moves_nothing_by_more_than_one_rank(number: int, careful: bool) -> None:
    for seed, idle in ((0, 0.0), (1, 0.4), (2, 0.4)):
        crowd = replace(EVEN, idle=idle)
        votes = sample(crowd, seed).votes
        extra = stuffing(crowd, number, "v5", seed, careful=careful)
        assert moves(*(board_of(cast, crowd.systems, {}) for cast in (votes, (*votes, *extra)))) <= 1


def test_who_passes_for_twelve_raters_moves_little_with_the_votes_that_an_address_may_give() -> None:
    for seed, idle in ((0, 0.0), (1, 0.4), (2, 0.4)):
        crowd = replace(EVEN, idle=idle)
        votes = sample(crowd, seed).votes
        extra = stuffing(crowd, 120, "v5", seed, careful=True, raters=12)
        assert moves(*(board_of(cast, crowd.systems, {}) for cast in (votes, (*votes, *extra)))) <= 1


def test_equivalence_is_seldom_wrong_and_often_found() -> None:
    wrong = list(verdicts(twins(difference_at(-0.2, 2.2), 2.2, 60), range(15), at_margin=True))
    assert sum(said.verdict == "equivalent" for said, _ in wrong) <= 3
    found = list(verdicts(twins(0.0, 3.5, 60), range(10), at_margin=False))
    assert sum(said.verdict == "equivalent" for said, _ in found) >= 8
