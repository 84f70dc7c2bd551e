import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest

import ratings.draws
from ratings.ballot import Ballot
from ratings.bradley_terry import Fit, fit_pairs
from ratings.draws import Draws
from ratings.trial import draw_pair, seen_by
from ratings.vote import Forget, PairVote, Record, View

SYSTEMS = ("original", "bicubic", "full", "w8")
PICTURES = ("cat", "coffee")
VIEW = View(decision_ms=2000, viewport=(1200, 800), pixel_ratio=1, zoom=1)


@dataclass
class Votes:
    """Votes in memory, a clock, and how often all were asked for."""

    kept: list[Record] = field(default_factory=list)
    time: datetime = datetime(2026, 11, 21, tzinfo=UTC)
    asked: int = 0
    revision: int = 0

    def records(self) -> tuple[Record, ...]:
        self.asked += 1
        return tuple(self.kept)

    def add(self, record: Record) -> None:
        self.kept.append(record)
        self.revision += 1

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def votes() -> Votes:
    return Votes()


@pytest.fixture
def draws(votes: Votes) -> Draws:
    return Draws(votes, "set", PICTURES, SYSTEMS, {"w8": "full"}, lambda: votes.time)


def ballot(votes: Votes, number: int, rater: int = 1, systems: tuple[str, ...] = ("full", "w8")) -> Ballot:
    return Ballot(id=f"{number:032x}", rater=f"{rater:016x}", at=votes.time, picture="cat", systems=systems)


def vote_on(ballot: Ballot) -> PairVote:
    left, right = ballot.systems
    return PairVote(
        id=ballot.id, at=ballot.at, rater=ballot.rater, picture_set="set", picture=ballot.picture, left=left,
        right=right, choice="left", view=VIEW,
    )  # fmt: skip


def count(draws: Draws) -> int:
    return int(draws.knowledge().counts.pairs[0, 2, 3])


def test_an_open_draw_counts_for_a_while(votes: Votes, draws: Draws) -> None:
    before = draws.knowledge().worth()[2, 3]
    draws.open(ballot(votes, 1))
    votes.wait(100)
    draws.open(ballot(votes, 2, rater=2))
    assert count(draws) == 2
    assert draws.knowledge().worth()[2, 3] < before
    votes.wait(81)
    assert count(draws) == 1
    votes.wait(100)
    assert count(draws) == 0
    assert draws.knowledge().worth()[2, 3] == pytest.approx(before)


def test_an_open_draw_may_be_answered_for_an_hour(votes: Votes, draws: Draws) -> None:
    mine, other = ballot(votes, 1), ballot(votes, 2, rater=2)
    draws.open(mine)
    draws.open(other)
    votes.wait(3600)
    assert draws.open_ballots(mine.rater) == (mine,)
    votes.wait(1)
    assert draws.open_ballots(mine.rater) == ()
    assert draws.open_ballots("0" * 16) == ()


def test_a_vote_takes_the_place_of_its_draw(votes: Votes, draws: Draws) -> None:
    draws.knowledge()
    draws.open(ballot(votes, 1))
    draws.close(ballot(votes, 1), tells=True)
    assert count(draws) == 1
    assert draws.open_ballots(f"{1:016x}") == ()
    votes.wait(10_000)
    assert count(draws) == 1, "a vote does not run out"


def test_a_skip_is_no_information(votes: Votes, draws: Draws) -> None:
    before = draws.knowledge().worth()
    draws.close(ballot(votes, 1), tells=False)
    assert count(draws) == 1
    assert draws.knowledge().worth() == pytest.approx(before)


def test_a_fit_takes_votes_and_skips_off_just_as_they_were_counted(votes: Votes, draws: Draws) -> None:
    before = draws.knowledge().worth()
    for number in range(20):
        draws.close(ballot(votes, number, rater=number), tells=number % 2 == 0)
    votes.wait(1)
    assert count(draws) == 0, "this store is empty"
    assert votes.asked == 2
    assert draws.knowledge().worth() == pytest.approx(before)


def test_a_ballot_that_is_given_out_anew_counts_once_and_is_the_youngest(votes: Votes, draws: Draws) -> None:
    for number in range(50):
        draws.open(ballot(votes, number % 2))
        votes.wait(10)
    assert count(draws) == 2
    assert [one.id for one in draws.open_ballots(f"{1:016x}")] == [f"{0:032x}", f"{1:032x}"]
    draws.open(ballot(votes, 0))
    assert [one.id for one in draws.open_ballots(f"{1:016x}")] == [f"{1:032x}", f"{0:032x}"]
    votes.wait(3595)
    assert [one.id for one in draws.open_ballots(f"{1:016x}")] == [f"{0:032x}"], "its hour began anew"
    assert count(draws) == 0
    votes.wait(6)
    assert draws.open_ballots(f"{1:016x}") == ()


def test_draws_beyond_a_number_are_not_remembered(votes: Votes, draws: Draws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratings.draws, "_MOST_OPEN", 10)
    for number in range(50):
        draws.open(ballot(votes, number, rater=number))
    assert len(draws._open) == len(draws._of_rater) == count(draws) == 10
    assert draws.open_ballots(f"{39:016x}") == ()
    assert len(draws.open_ballots(f"{49:016x}")) == 1


def test_replicas_that_know_little_of_each_other_draw_evenly_together(votes: Votes) -> None:
    replicas = [Draws(votes, "set", PICTURES, (*SYSTEMS, "w4"), {}, lambda: votes.time) for _ in range(3)]
    rng, pairs = Random(3), Counter[frozenset[str]]()
    for number in range(900):
        replica, rater = rng.choice(replicas), f"{number // 6:016x}"
        knowledge = replica.knowledge()
        trial = draw_pair(knowledge, seen_by((), knowledge), rng)
        assert trial is not None
        one = Ballot(id=f"{number:032x}", rater=rater, at=votes.time, picture=trial.picture, systems=trial.systems)
        replica.open(one)
        votes.wait(1)
        votes.add(vote_on(one).model_copy(update={"choice": rng.choice(("left", "right"))}))
        replica.close(one, tells=True)
        pairs[frozenset(trial.systems)] += 1
    assert len(pairs) == 9
    assert max(pairs.values()) / min(pairs.values()) < 1.6


def test_votes_that_a_fit_knows_are_counted_once(votes: Votes, draws: Draws) -> None:
    draws.knowledge()
    for number in range(30):
        one = ballot(votes, number, rater=number)
        draws.open(one)
        votes.add(vote_on(one))
        draws.close(one, tells=True)
        votes.wait(1)
        assert count(draws) == number + 1
    assert votes.asked == 2, "one fit at the start, one after 20 votes"
    assert draws.knowledge().scores[2] > draws.knowledge().scores[3]


def test_what_others_store_is_seen_after_half_a_minute(votes: Votes, draws: Draws) -> None:
    assert count(draws) == 0
    votes.add(vote_on(ballot(votes, 1)))
    votes.wait(29)
    assert count(draws) == 0
    votes.wait(1)
    assert count(draws) == 1
    votes.wait(1000)
    assert count(draws) == 1
    assert votes.asked == 2, "nothing new is not fitted again"


def test_fits_take_a_tenth_of_the_time_at_most(votes: Votes, draws: Draws, monkeypatch: pytest.MonkeyPatch) -> None:
    time = [0.0]

    def slow(votes: Sequence[PairVote], systems: Sequence[str]) -> Fit:
        time[0] += 6.0
        return fit_pairs(votes, systems)

    monkeypatch.setattr(ratings.draws, "fit_pairs", slow)
    monkeypatch.setattr(ratings.draws, "perf_counter", lambda: time[0])
    draws.knowledge()
    for number in range(100):
        draws.close(ballot(votes, number), tells=True)
    votes.wait(59)
    draws.knowledge()
    assert votes.asked == 1
    votes.wait(1)
    draws.knowledge()
    assert votes.asked == 2


def test_one_fit_at_a_time_and_nobody_waits(votes: Votes, draws: Draws, monkeypatch: pytest.MonkeyPatch) -> None:
    draws.knowledge()
    for number in range(20):
        draws.close(ballot(votes, number, rater=number), tells=True)
    votes.wait(1)
    begun, may_end = threading.Event(), threading.Event()

    def slow(votes: Sequence[PairVote], systems: Sequence[str]) -> Fit:
        begun.set()
        assert may_end.wait(10)
        return fit_pairs(votes, systems)

    monkeypatch.setattr(ratings.draws, "fit_pairs", slow)
    fitter = threading.Thread(target=draws.knowledge)
    fitter.start()
    assert begun.wait(10)
    assert count(draws) == 20, "from the last fit and what came since"
    draws.close(ballot(votes, 21), tells=True)
    assert count(draws) == 21
    may_end.set()
    fitter.join()
    assert votes.asked == 2
    assert count(draws) == 1, "this store is empty: only the vote that came after the fit began is left"


def test_those_who_want_to_be_forgotten_are_known(votes: Votes, draws: Draws) -> None:
    elsewhere, here = "a" * 16, "b" * 16
    votes.add(Forget(id="1" * 32, at=votes.time, raters=(elsewhere,)))
    draws.knowledge()
    draws.forget([here])
    assert draws.is_forgotten(elsewhere)
    assert draws.is_forgotten(here)
    assert not draws.is_forgotten("c" * 16)


def test_a_storm_of_threads_leaves_the_counts_right(votes: Votes, draws: Draws) -> None:
    def rate(rater: int) -> None:
        for number in range(30):
            one = ballot(votes, rater * 1000 + number, rater=rater)
            draws.open(one)
            draws.knowledge()
            draws.close(one, tells=True)

    threads = [threading.Thread(target=rate, args=(rater,)) for rater in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    votes.wait(100)
    draws.knowledge()
    assert not draws._new or len(draws._new) < 20
    assert count(draws) == len(draws._new)
    assert np.isfinite(draws.knowledge().covariance).all()
    assert not draws._open
    assert not draws._of_rater
