from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from ratings.bradley_terry import PairModel, model_of, solve, table_of
from ratings.clustered import Interval
from ratings.equivalence import equivalence_of, fewest_to_turn, verdict_of, votes_to_decide
from ratings.vote import Choice, PairVote
from tests.ratings.crowd import EVEN, pair_vote, sample, twins


def fitted(votes: list[PairVote] | tuple[PairVote, ...], systems: tuple[str, ...]) -> PairModel:
    return model_of(table_of(votes, systems))


def small_crowd(seed: int, number: int = 30) -> list[PairVote]:
    rng = np.random.default_rng(seed)
    votes: list[PairVote] = []
    for n in range(number):
        left, right = rng.choice(3, 2, replace=False)
        choice: Choice = ("left", "right", "tie")[rng.choice(3, p=[0.45, 0.35, 0.2])]
        votes.append(pair_vote(n, n % 10, "abc"[left], "abc"[right], choice))
    return votes


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.1, 0.1, "equivalent"),
        (0.01, 0.19, "equivalent"),
        (-0.19, -0.01, "equivalent"),
        (-0.2, 0.1, "open"),
        (-0.1, 0.2, "open"),
        (-0.5, -0.01, "worse"),
        (0.01, 0.5, "better"),
        (-0.5, 0.5, "open"),
        (-0.3, 0.0, "open"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert verdict_of(low, high, 0.2) == verdict


def test_equivalence_is_two_one_sided_tests() -> None:
    crowd = twins(0.0, 2.2, 60)
    votes = sample(crowd, 0).votes
    model = fitted(votes, crowd.systems)
    said = equivalence_of(model, model.sandwich(), ("v1", "v0"), 0.2, is_shown=True)
    one, other = crowd.systems.index("v1"), crowd.systems.index("v0")
    assert said.difference == pytest.approx(model.coefficients[one] - model.coefficients[other])
    covariance = model.sandwich().covariance
    error = np.sqrt(covariance[one, one] + covariance[other, other] - 2 * covariance[one, other])
    assert (said.high - said.low) / 2 == pytest.approx(norm.ppf(0.95) * error, rel=0.1)
    assert (said.low + said.high) / 2 == pytest.approx(said.difference)
    turned = equivalence_of(model, model.sandwich(), ("v0", "v1"), 0.2, is_shown=True)
    assert (turned.low, turned.high) == pytest.approx((-said.high, -said.low))
    hidden = equivalence_of(model, model.sandwich(), ("v1", "v0"), 10.0, is_shown=False)
    assert (hidden.verdict, hidden.votes_needed, hidden.drop) == ("open", None, None)
    assert equivalence_of(model, model.sandwich(), ("v1", "v0"), 10.0, is_shown=True).verdict == "equivalent"


def test_votes_needed_follow_from_the_root_of_the_votes() -> None:
    def needed(value: float, error: float, votes: int = 1000) -> int | None:
        return votes_to_decide(Interval(value=value, error=error, freedom=1e9), 0.2, votes)

    # At a difference of 0 each of two tests must have nine chances of ten: 0.2 is 1.645 + 1.282 errors.
    assert needed(0.0, 0.2) == pytest.approx(1000 * ((2.9264 / 1.0) ** 2 - 1), abs=3)
    assert needed(0.1, 0.2) == pytest.approx(1000 * ((2.4865 * 2) ** 2 - 1), abs=5)
    assert needed(0.05, 0.2) == needed(-0.05, 0.2) > needed(0.15, 0.2)
    assert needed(1.0, 0.6) == pytest.approx(1000 * ((2.4865 * 0.6) ** 2 - 1), abs=3)
    assert needed(0.1, 1.0) is None, "more than a hundred times the votes"
    assert needed(0.0, 0.001) == 1, "undecided by a hair"


@pytest.mark.parametrize("difference", [0.0, 0.02, 0.05, 0.08, 0.15, 0.4])
def test_with_the_votes_that_are_told_eight_of_ten_are_decided(difference: float) -> None:
    votes, error = 1000, 0.4
    more = votes_to_decide(Interval(value=difference, error=error, freedom=1e9), 0.2, votes)
    assert more is not None
    then = error * (votes / (votes + more)) ** 0.5
    seen = difference + then * np.random.default_rng(0).standard_normal(20_000)
    reach = 1.6449 * then
    none = (np.abs(seen) + reach < 0.2).mean()
    some = ((seen - reach > 0) & (seen + reach >= 0.2)).mean()
    assert max(none, some) == pytest.approx(0.8, abs=0.02)


@given(st.floats(-1, 1), st.floats(0.01, 0.3), st.floats(1, 500))
def test_more_uncertainty_never_needs_fewer_votes(value: float, error: float, freedom: float) -> None:
    few = votes_to_decide(Interval(value=value, error=error, freedom=freedom), 0.2, 500)
    many = votes_to_decide(Interval(value=value, error=error * 1.2, freedom=freedom), 0.2, 500)
    assert many is None or (few is not None and few <= many)


def leads_without(model: PairModel, votes: list[PairVote], gone: set[int], ahead: int, behind: int) -> bool:
    table = table_of([vote for n, vote in enumerate(votes) if n not in gone], model.table.systems)
    fit = solve(*table.counts())
    return bool(fit[ahead] >= fit[behind])


@pytest.mark.parametrize("seed", range(8))
def test_the_number_to_drop_is_right_in_small_crowds(seed: int) -> None:
    votes = small_crowd(seed)
    model = fitted(votes, ("a", "b", "c"))
    order = np.argsort(-model.coefficients[:3])
    ahead, behind = int(order[0]), int(order[1])
    said = fewest_to_turn(model, model.sandwich(), ahead, behind)
    limit = len(votes) // 10
    truth = next(
        (
            k
            for k in range(1, limit + 1)
            if any(
                not leads_without(model, votes, set(gone), ahead, behind) for gone in combinations(range(len(votes)), k)
            )
        ),
        None,
    )
    assert said == truth


def test_no_simple_choice_of_votes_turns_with_fewer() -> None:
    votes = sample(EVEN, 5).votes
    model = fitted(votes, EVEN.systems)
    found = 0
    for ahead, behind in pairwise(np.argsort(-model.coefficients[: len(EVEN.systems)]).tolist()):
        said = fewest_to_turn(model, model.sandwich(), ahead, behind)
        if said is None:
            continue
        found += 1
        # What comes to mind: take the leader's wins, or the losses of the other one.
        names = {EVEN.systems[ahead]}, {EVEN.systems[behind]}
        wins = [n for n, vote in enumerate(votes) if winner(vote) in names[0]]
        losses = [n for n, vote in enumerate(votes) if loser(vote) in names[1]]
        for gone in (wins, losses, [*wins[: said // 2], *losses[: said // 2]]):
            assert leads_without(model, list(votes), set(gone[: said - 1]), ahead, behind)
    assert found >= 3


def winner(vote: PairVote) -> str | None:
    return {"left": vote.left, "right": vote.right}.get(vote.choice)


def loser(vote: PairVote) -> str | None:
    return {"left": vote.right, "right": vote.left}.get(vote.choice)


def test_a_clear_lead_does_not_turn() -> None:
    votes = sample(EVEN, 0).votes
    model = fitted(votes, EVEN.systems)
    assert fewest_to_turn(model, model.sandwich(), 0, 1) is None
    assert fewest_to_turn(fitted([], ("a", "b")), fitted([], ("a", "b")).sandwich(), 0, 1) is None
