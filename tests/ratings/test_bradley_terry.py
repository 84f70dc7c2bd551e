from dataclasses import replace

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.bradley_terry import RIDGE, Fit, fit_pairs, model_of, solve, table_of
from ratings.vote import Choice, PairVote
from tests.ratings.crowd import EVEN, Crowd, pair_vote, sample, stuffing

SYSTEMS = ("a", "b", "c", "d")


def cast(*rows: tuple[int, str, str, Choice]) -> list[PairVote]:
    return [pair_vote(number, *row) for number, row in enumerate(rows)]


def gap(fit: Fit, one: str, other: str) -> float:
    return float(fit.scores[fit.systems.index(one)] - fit.scores[fit.systems.index(other)])


def test_as_choix_with_the_same_penalty() -> None:
    drawn = sample(replace(EVEN, tie=0.7), 3).votes
    table = table_of(drawn, EVEN.systems)
    votes, points = table.counts()
    # A crowd without sides: each vote as often the other way round, so that the constant for the left is 0.
    votes, points = votes + votes.T, points + (votes - points).T
    ours = solve(votes / 2, points / 2)
    pairs: list[tuple[int, int]] = []
    for left, right, got in zip(table.left, table.right, table.points, strict=True):
        won = [(left, right)] * int(2 * got) + [(right, left)] * int(2 - 2 * got)
        pairs += won
    theirs = choix.opt_pairwise(len(EVEN.systems), pairs, alpha=RIDGE, method="Newton-CG", tol=1e-10)
    assert ours[-1] == pytest.approx(0, abs=1e-9)
    assert ours[:-1] - ours[:-1].mean() == pytest.approx(theirs - theirs.mean(), abs=1e-3)


def test_as_choix_spectral_where_there_are_many_votes() -> None:
    crowd = Crowd(qualities=(0.9, 0.3, 0.0, -1.2), votes=(40,) * 200, golden=False, side=0.0)
    drawn = sample(crowd, 1).votes
    both = [*drawn, *(replaced(vote) for vote in drawn)]
    pairs = [
        (crowd.systems.index(vote.left), crowd.systems.index(vote.right))[:: 1 if vote.choice == "left" else -1]
        for vote in both
    ]
    theirs = choix.ilsr_pairwise(4, pairs)
    assert fit_pairs(both, crowd.systems).scores == pytest.approx(theirs - theirs.mean(), abs=1e-3)


def replaced(vote: PairVote) -> PairVote:
    """The same answer with both pictures on the other side."""
    other: dict[Choice, Choice] = {"left": "right", "right": "left"}
    return vote.model_copy(
        update={"left": vote.right, "right": vote.left, "choice": other.get(vote.choice, vote.choice)}
    )


def test_a_win_rate_is_the_logistic_of_the_difference() -> None:
    rows = [(n, "a", "b", "left" if n % 4 else "right") for n in range(400)]
    rows += [(n, "b", "a", "right" if n % 4 else "left") for n in range(400)]
    assert gap(fit_pairs(cast(*rows), ("a", "b")), "a", "b") == pytest.approx(np.log(3), abs=2e-3)


def test_who_clicks_left_is_told_from_who_likes_it() -> None:
    rows: list[tuple[int, str, str, Choice]] = [(n, "a", "b", "left") for n in range(60)]
    rows += [(n, "b", "a", "left") for n in range(60)]
    fit = fit_pairs(cast(*rows), ("a", "b"))
    assert fit.left_bias > 3
    assert gap(fit, "a", "b") == pytest.approx(0, abs=1e-9)
    fit = fit_pairs([replaced(vote) for vote in cast(*rows)], ("a", "b"))
    assert fit.left_bias < -3


@pytest.mark.parametrize("choice", ["tie", "both_bad"])
def test_a_tie_is_half_a_win_each(choice: Choice) -> None:
    sides = [("a", "b"), ("b", "a")]
    ties = fit_pairs(cast(*[(n, *sides[n % 2], choice) for n in range(40)]), ("a", "b"))
    halves = fit_pairs(cast(*[(n, *sides[n % 2], "left" if n % 4 < 2 else "right") for n in range(40)]), ("a", "b"))
    assert ties.scores == pytest.approx(halves.scores)
    assert ties.left_bias == pytest.approx(halves.left_bias)
    assert ties.model_covariance == pytest.approx(halves.model_covariance)
    assert ties.covariance[0, 0] < 0.5 * halves.covariance[0, 0], "raters who all say the same do not differ"


def test_what_does_not_count() -> None:
    counted = cast((0, "a", "b", "left"), (1, "b", "c", "tie"))
    other = cast(
        (0, "a", "c", "skip"), (1, "a", "unknown", "left"), (2, "unknown", "b", "right"), (2, "c", "c", "left")
    )
    with_all, alone = fit_pairs([*counted, *other], SYSTEMS), fit_pairs(counted, SYSTEMS)
    assert np.array_equal(with_all.scores, alone.scores)
    assert np.array_equal(with_all.covariance, alone.covariance)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(SYSTEMS),
            st.sampled_from(SYSTEMS),
            st.sampled_from(["left", "right", "tie", "both_bad", "skip"]),
        ),
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_any_votes_make_a_sound_fit(rows: list[tuple[int, str, str, Choice]], random: object) -> None:
    fit = fit_pairs(cast(*rows), SYSTEMS)
    assert fit.scores.mean() == pytest.approx(0, abs=1e-9)
    for covariance in (fit.covariance, fit.model_covariance):
        assert np.isfinite(covariance).all()
        assert covariance == pytest.approx(covariance.T, abs=1e-9)
        assert np.linalg.eigvalsh(covariance).min() > -1e-9
        assert covariance.sum(axis=0) == pytest.approx(np.zeros(4), abs=1e-8)
    assert (np.diag(fit.model_covariance) > 0).all()
    shuffled = list(cast(*rows))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = fit_pairs(shuffled, SYSTEMS)
    assert again.scores == pytest.approx(fit.scores, abs=1e-7)
    assert again.covariance == pytest.approx(fit.covariance, abs=1e-6)


def test_names_of_systems_do_not_matter() -> None:
    drawn = sample(EVEN, 0).votes
    fit, turned = fit_pairs(drawn, EVEN.systems), fit_pairs(drawn, EVEN.systems[::-1])
    assert turned.scores[::-1] == pytest.approx(fit.scores, abs=1e-8)
    assert turned.covariance[::-1, ::-1] == pytest.approx(fit.covariance, abs=1e-8)


def test_always_winning_gives_a_finite_score_that_is_not_certain() -> None:
    fit = fit_pairs(cast(*[(n, "a", "b", "left" if n % 2 else "right") for n in range(50)]), ("a", "b"))
    assert abs(gap(fit, "a", "b")) < 1e-9
    rows: list[tuple[int, str, str, Choice]] = [(n, "a", "b", "left") for n in range(60)]
    rows += [(n, "b", "a", "right") for n in range(60)]
    fit = fit_pairs(cast(*rows), ("a", "b"))
    assert 3 < gap(fit, "a", "b") < 12
    spread = fit.covariance[0, 0] + fit.covariance[1, 1] - 2 * fit.covariance[0, 1]
    assert spread > 0.1


def test_a_system_without_votes_is_average_and_uncertain() -> None:
    fit = fit_pairs(sample(EVEN, 0).votes, (*EVEN.systems, "new"))
    assert fit.covariance[-1, -1] > 10
    assert fit.model_covariance[-1, -1] > 10
    assert abs(fit.scores[-1]) < 0.5


def test_no_votes_and_no_systems() -> None:
    for systems in ((), ("a",), SYSTEMS):
        fit = fit_pairs([], systems)
        assert fit.scores.tolist() == [0.0] * len(systems)
        assert fit.left_bias == 0
        assert fit.covariance == pytest.approx(fit.model_covariance)
    assert fit_pairs([], SYSTEMS).model_covariance[0, 0] == pytest.approx(0.75 / RIDGE)


def test_one_rater_has_the_covariance_of_the_model() -> None:
    fit = fit_pairs(cast(*[(7, "a", "b", "left" if n % 3 else "right") for n in range(90)]), ("a", "b"))
    assert fit.covariance == pytest.approx(fit.model_covariance)


def test_raters_who_agree_among_themselves_only_are_fewer_than_their_votes() -> None:
    split: list[tuple[int, str, str, Choice]] = []
    for n in range(400):
        choice: Choice = "left" if n % 8 < 4 else "right"
        split.append(
            (n % 8, "a", "b", choice) if n % 16 < 8 else (n % 8, "b", "a", "right" if choice == "left" else "left")
        )
    fit = fit_pairs(cast(*split), ("a", "b"))
    alike = fit_pairs(
        [vote.model_copy(update={"rater": f"{n:016x}"}) for n, vote in enumerate(cast(*split))], ("a", "b")
    )
    assert fit.scores == pytest.approx(alike.scores)
    assert fit.covariance[0, 0] > 20 * alike.covariance[0, 0]


def test_leaving_a_rater_out_is_as_a_fit_without_them() -> None:
    crowd = replace(EVEN, votes=(20,) * 40)
    table = table_of([*stuffing(crowd, 400, "v5", 0, careful=False), *sample(crowd, 2).votes], crowd.systems)
    model = model_of(table)
    others = model.without_each()
    for rater in (0, 1, 30):
        alone = np.arange(len(table.raters)) == rater
        again = solve(*table.without(alone).counts())
        assert others[rater] - others[rater].mean() == pytest.approx(again - again.mean(), abs=0.01)
        assert np.abs(others[rater] - model.coefficients).max() > 0.01


def test_a_fit_starts_anywhere() -> None:
    votes, points = table_of(sample(EVEN, 4).votes, EVEN.systems).counts()
    far = np.linspace(-30, 30, len(EVEN.systems) + 1)
    assert solve(votes, points, far) == pytest.approx(solve(votes, points), abs=1e-6)


def test_the_covariance_is_what_samples_scatter() -> None:
    crowd = Crowd(qualities=(0.8, 0.0, -0.8), votes=(30,) * 20, golden=False, special=0.0, taste=0.6)
    fits = [fit_pairs(sample(crowd, seed).votes, crowd.systems) for seed in range(60)]
    scatter = np.var([fit.scores for fit in fits], axis=0)
    told = np.mean([np.diag(fit.covariance) for fit in fits], axis=0)
    assert told == pytest.approx(scatter, rel=0.5)
