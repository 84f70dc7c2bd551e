from dataclasses import replace

import numpy as np
import pytest

from ratings.bradley_terry import table_of
from ratings.screen import Screened, screened
from ratings.vote import BICUBIC, ORIGINAL, Choice, PairVote
from tests.ratings.crowd import EVEN, pair_vote, sample, stuffing, word

HONEST = sample(EVEN, 0).votes


def looked_at(extra: list[PairVote], votes: tuple[PairVote, ...] = HONEST) -> Screened:
    return screened(table_of([*votes, *extra], EVEN.systems))


def reason(found: Screened, rater: int) -> str | None:
    place = found.raters.index(word(rater))
    reasons = {"golden": found.failed_golden, "side": found.one_sided, "inconsistent": found.inconsistent}
    named = [name for name, flags in reasons.items() if flags[place]]
    assert len(named) <= 1, "one reason each"
    assert found.out[place] == bool(named)
    return named[0] if named else None


def golden(rater: int, right: int, wrong: int, ties: int = 0) -> list[PairVote]:
    answers = ["right"] * right + ["wrong"] * wrong + ["tie"] * ties
    votes: list[PairVote] = []
    for n, answer in enumerate(answers):
        sides = (ORIGINAL, BICUBIC) if n % 2 else (BICUBIC, ORIGINAL)
        better: Choice = "left" if n % 2 else "right"
        worse: Choice = "right" if n % 2 else "left"
        choice: Choice = "tie" if answer == "tie" else better if answer == "right" else worse
        votes.append(pair_vote(10**6 * rater + n, rater, *sides, choice, n))
    return votes


def others(rater: int, number: int, *, side: Choice | None = None, turned: bool = False) -> list[PairVote]:
    """Votes on pairs without anchors: as qualities are (always), always on one side, or the other way round."""
    quality = dict(zip(EVEN.systems, EVEN.qualities, strict=True))
    votes: list[PairVote] = []
    rng = np.random.default_rng(rater)
    while len(votes) < number:
        left, right = (EVEN.systems[n] for n in rng.choice(range(2, 8), 2, replace=False))
        choice: Choice = side or ("left" if (quality[left] > quality[right]) != turned else "right")
        votes.append(pair_vote(10**6 * rater + 1000 + len(votes), rater, left, right, choice, len(votes)))
    return votes


def test_nobody_honest_is_out() -> None:
    found = looked_at([])
    assert found.out.sum() <= 2
    answered = [vote for vote in HONEST if {vote.left, vote.right} == {ORIGINAL, BICUBIC}]
    assert found.golden == len(answered)
    right = [vote for vote in answered if (vote.left == ORIGINAL) == (vote.choice == "left")]
    assert found.golden_right == len(right)


def test_golden_trials_decide_four_of_five() -> None:
    # Honest votes as background that keep the rate of others near 0.97, as it should be with good golden trials.
    good = [vote for n in range(40) for vote in golden(200 + n, 5, 0)]
    for right, wrong, ties, expected in (
        (4, 1, 0, None),
        (3, 2, 0, "golden"),
        (5, 0, 0, None),
        (8, 2, 0, None),
        (7, 3, 0, "golden"),
        (1, 0, 0, None),
        (0, 1, 0, None),
        (3, 0, 2, None),
        (0, 0, 5, "golden"),
    ):
        found = looked_at([*good, *others(900, 10), *golden(900, right, wrong, ties)], ())
        assert reason(found, 900) == expected, (right, wrong, ties)


def test_where_the_better_one_is_hard_to_see_misses_are_forgiven() -> None:
    poor = [vote for n in range(40) for vote in golden(200 + n, 7, 3)]
    found = looked_at([*poor, *golden(900, 3, 2)], ())
    assert reason(found, 900) is None
    assert not found.failed_golden.any()
    fair = [vote for n in range(40) for vote in golden(200 + n, 9, 1)]
    assert reason(looked_at([*fair, *golden(900, 77, 23)], ()), 900) is None
    assert reason(looked_at([*fair, *golden(900, 72, 28)], ()), 900) == "golden"


def test_one_side_whatever_is_there() -> None:
    for side in ("left", "right"):
        found = looked_at(others(900, 20, side=side))
        assert reason(found, 900) == "side"


def test_who_prefers_a_side_by_chance_stays() -> None:
    quality = dict(zip(EVEN.systems, EVEN.qualities, strict=True))
    better_left = [vote for vote in others(900, 40) if quality[vote.left] > quality[vote.right]][:6]
    assert {vote.choice for vote in better_left} == {"left"}
    assert reason(looked_at(better_left), 900) is None


def test_who_always_likes_a_system_that_others_hardly_know_stays() -> None:
    new = [pair_vote(10**9 + n, 900, "new", "v0", "left", n) for n in range(10)]
    new += [pair_vote(10**9 + 100 + n, 900, "v1", "new", "right", n) for n in range(10)]
    found = screened(table_of([*HONEST, *new], (*EVEN.systems, "new")))
    assert reason(found, 900) is None


def test_the_other_way_round_and_by_chance() -> None:
    assert reason(looked_at(others(900, 20, turned=True)), 900) == "inconsistent"
    rng = np.random.default_rng(1)
    found = 0
    for rater in range(900, 910):
        chance = [
            vote.model_copy(update={"rater": word(rater), "choice": "left" if rng.random() < 0.5 else "right"})
            for vote in HONEST[:60]
        ]
        found += reason(looked_at(chance, HONEST[60:]), rater) is not None
    assert found >= 9


def test_who_voted_little_stays() -> None:
    assert reason(looked_at(others(900, 2, turned=True)), 900) is None
    assert reason(looked_at(others(900, 4, side="left")), 900) is None
    assert reason(looked_at(others(900, 20)), 900) is None


def test_always_for_one_system() -> None:
    for careful in (False, True):
        votes = list(stuffing(EVEN, 120, "v5", 0, careful=careful))
        assert reason(looked_at(votes), 10**9) in {"inconsistent", "golden"}


def test_who_votes_most_is_not_the_measure() -> None:
    few = replace(EVEN, votes=(20,) * 20, idle=0.4)
    for seed in range(3):
        drawn = sample(few, seed)
        loud = list(stuffing(few, 400, "v5", seed, careful=False))
        found = looked_at(loud, drawn.votes)
        assert reason(found, 10**9) in {"inconsistent", "golden"}
        honest = [place for place, rater in enumerate(found.raters) if rater not in drawn.idlers]
        assert found.out[honest].sum() <= 4


@pytest.mark.parametrize("seed", range(3))
def test_who_gave_most_votes_on_a_system_does_not_agree_with_themselves(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def on_new(rater: int, place: int, wins: float) -> PairVote:
        is_left, is_won = rng.random() < 0.5, rng.random() < wins
        rival = EVEN.systems[2 + place % 6]
        sides = ("new", rival) if is_left else (rival, "new")
        return pair_vote(10**7 * rater + place, rater, *sides, "left" if is_left == is_won else "right", place)

    liked = [on_new(200 + place, place, 0.85) for place in range(31)]
    disliked = [on_new(900, place, 0.3) for place in range(60)]
    found = screened(table_of([*HONEST, *liked, *disliked], (*EVEN.systems, "new")))
    assert reason(found, 900) == "inconsistent"


def test_nobody_and_one() -> None:
    none = screened(table_of([], EVEN.systems))
    assert none.raters == ()
    assert (none.golden, none.golden_right) == (0, 0)
    alone = screened(table_of(others(1, 60), EVEN.systems))
    assert not alone.out.any()
    both = screened(table_of([*others(1, 60), *others(2, 60)], EVEN.systems))
    assert not both.out.any()
    without_anchors = screened(table_of(golden(1, 0, 5), ("v0", "v1")))
    assert without_anchors.golden == 0


def test_ties_are_no_reason() -> None:
    """Who sees little difference between systems that hardly differ votes as others do."""
    crowd = replace(EVEN, tie=3.0, qualities=tuple(quality / 2 for quality in EVEN.qualities))
    drawn = sample(crowd, 0)
    found = screened(table_of(drawn.votes, crowd.systems))
    assert found.out.sum() <= 3
