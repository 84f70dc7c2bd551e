from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.bradley_terry import fit_pairs
from ratings.trial import Counts, Knowledge, Seen, Trial, draw_grade, draw_pair, known_from, seen_by
from ratings.vote import Choice, Forget, GradeVote, PairVote, Record, View, slot_of

VIEW = View(decision_ms=2000, viewport=(1200, 800), pixel_ratio=1, zoom=1)
AT = datetime(2026, 11, 21, tzinfo=UTC)
RATER = "0123456789abcdef"
PICTURES = ("cat", "coffee", "rocket")
MANY = (*PICTURES, "astronaut", "camera", "moon")
SYSTEMS = ("original", "bicubic", "full", "w8", "w4")


def pair(left: str, right: str, picture: str = "cat", **changes: object) -> PairVote:
    fields: dict[str, object] = {
        "id": f"{Random().getrandbits(128):032x}", "at": AT, "rater": RATER, "picture_set": "set",
        "picture": picture, "left": left, "right": right, "choice": "left", "view": VIEW,
    }  # fmt: skip
    return PairVote.model_validate(fields | changes)


def grade(system: str, picture: str = "cat", **changes: object) -> GradeVote:
    fields: dict[str, object] = {
        "id": f"{Random().getrandbits(128):032x}", "at": AT, "rater": RATER, "picture_set": "set",
        "picture": picture, "system": system, "grade": 4, "view": VIEW,
    }  # fmt: skip
    return GradeVote.model_validate(fields | changes)


def known(
    *records: Record,
    systems: tuple[str, ...] = SYSTEMS,
    pictures: tuple[str, ...] = PICTURES,
    references: Mapping[str, str] | None = None,
) -> Knowledge:
    fit = fit_pairs([record for record in records if isinstance(record, PairVote)], systems)
    return known_from(records, fit, "set", pictures, references or {})


def nothing(knowledge: Knowledge) -> Seen:
    return seen_by((), knowledge)


def test_a_system_without_votes_comes_first() -> None:
    votes = [pair(a, b) for a in SYSTEMS[:4] for b in SYSTEMS[:4] if a < b for _ in range(5)]
    knowledge = known(*votes)
    for seed in range(30):
        trial = draw_pair(knowledge, nothing(knowledge), Random(seed))
        assert trial is not None
        assert "w4" in trial.systems


def test_pairs_whose_winner_is_known_are_worth_less() -> None:
    votes = [pair("full", "w8", choice=choice) for choice in ("left", "right") for _ in range(20)]
    votes += [pair("full", "w4", choice="left") for _ in range(40)]
    worth = known(*votes, systems=("full", "w8", "w4")).worth()
    assert worth[0, 2] < worth[0, 1]
    assert worth == pytest.approx(worth.T)
    assert (np.diag(worth) == 0).all()


def test_a_variant_and_its_full_network_count_twice() -> None:
    plain, doubled = known(), known(references={"w8": "full", "w4": "gone", "lost": "full"})
    ratio = np.divide(doubled.worth(), plain.worth(), out=np.ones((5, 5)), where=plain.worth() > 0)
    expected = np.ones((5, 5))
    expected[2, 3] = expected[3, 2] = 2
    assert ratio == pytest.approx(expected)


def test_the_golden_pair_is_drawn_only_when_it_is_asked_for() -> None:
    knowledge = known()
    drawn = [draw_pair(knowledge, nothing(knowledge), Random(seed)) for seed in range(200)]
    golden = [draw_pair(knowledge, nothing(knowledge), Random(seed), golden=True) for seed in range(50)]
    assert not any(set(trial.systems) == {"original", "bicubic"} for trial in drawn if trial)
    assert len({frozenset(trial.systems) for trial in drawn if trial}) == 9, "all others, when nothing is known"
    assert {trial.systems for trial in golden if trial} == {("original", "bicubic"), ("bicubic", "original")}
    assert {trial.picture for trial in golden if trial} == set(PICTURES)


def test_where_one_sort_is_used_up_the_other_is_drawn() -> None:
    knowledge = known(systems=("original", "bicubic", "full"))
    golden = [slot_of(pair("original", "bicubic", picture)) for picture in PICTURES]
    others = [slot_of(pair(name, "full", picture)) for picture in PICTURES for name in ("original", "bicubic")]
    no_golden = draw_pair(knowledge, seen_by(filter(None, golden), knowledge), Random(1), golden=True)
    no_others = draw_pair(knowledge, seen_by(filter(None, others), knowledge), Random(1))
    nothing_left = seen_by(filter(None, [*golden, *others]), knowledge)
    assert no_golden is not None
    assert "full" in no_golden.systems
    assert no_others is not None
    assert set(no_others.systems) == {"original", "bicubic"}
    assert draw_pair(knowledge, nothing_left, Random(1)) is None
    assert draw_pair(knowledge, nothing_left, Random(1), golden=True) is None


def test_the_picture_with_the_fewest_votes_on_the_pair_is_taken() -> None:
    pairs = [("full", "w8", "cat"), ("w8", "full", "rocket"), ("full", "w8", "rocket")]
    knowledge = known(*(pair(*one) for one in pairs), systems=("full", "w8"))
    for seed in range(20):
        trial = draw_pair(knowledge, nothing(knowledge), Random(seed))
        assert trial is not None
        assert trial.picture == "coffee"
    had = seen_by([str(slot_of(pair("full", "w8", "coffee")))], knowledge)
    assert {trial.picture for seed in range(20) if (trial := draw_pair(knowledge, had, Random(seed)))} == {"cat"}


def test_of_equal_pictures_the_rater_gets_the_one_seen_least() -> None:
    knowledge = known(systems=("full", "w8", "w4"))
    had = seen_by([str(slot_of(pair("full", "w8", "cat"))), str(slot_of(grade("w4", "rocket")))], knowledge)
    for seed in range(20):
        trial = draw_pair(knowledge, had, Random(seed))
        assert trial is not None
        assert trial.picture == "coffee"


def test_skips_tell_nothing_and_still_move_on_to_another_picture() -> None:
    skips = [pair("full", "w8", "cat", choice="skip") for _ in range(30)]
    knowledge = known(*skips, systems=("full", "w8", "w4"))
    assert knowledge.counts.answers.sum() == 0
    assert knowledge.worth() == pytest.approx(known(systems=("full", "w8", "w4")).worth())
    drawn = [draw_pair(knowledge, nothing(knowledge), Random(seed)) for seed in range(60)]
    assert {trial.picture for trial in drawn if trial and "w4" not in trial.systems} == {"coffee", "rocket"}


def test_votes_on_other_sets_and_systems_count_in_no_cell() -> None:
    gone = [pair("full", "gone"), pair("full", "w8", picture_set="older"), pair("full", "w8", "gone"), grade("gone")]
    own = grade("w8", "0123456789abcdef", picture_set="own")
    wish = Forget(id="1" * 32, at=AT, raters=(RATER,))
    knowledge = known(*gone, own, wish)
    assert knowledge.counts.pairs.sum() == knowledge.counts.grades.sum() == 0
    assert knowledge.scores[2] > knowledge.scores[3], "what an older set told of the systems stays known"


@given(seed=st.integers(0, 2**32), votes=st.integers(0, 60), more=st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_counting_on_top_of_a_fit_is_as_good_as_a_new_one(seed: int, votes: int, more: int) -> None:
    rng, choices = Random(seed), ("left", "right", "tie")
    drawn = [
        pair(*rng.sample(SYSTEMS, 2), rng.choice(PICTURES), choice=rng.choice(choices)) for _ in range(votes + more)
    ]
    counts = Counts.none(len(PICTURES), len(SYSTEMS))
    for vote in drawn[votes:]:
        counts.add(PICTURES.index(vote.picture), (SYSTEMS.index(vote.left), SYSTEMS.index(vote.right)))
    before, whole = known(*drawn[:votes]), known(*drawn)
    after = before.with_more(counts)
    assert (after.counts.pairs == whole.counts.pairs).all()
    assert (after.counts.answers == whole.counts.answers).all()
    assert after.covariance == pytest.approx(after.covariance.T, abs=1e-9)
    assert np.linalg.eigvalsh(before.covariance - after.covariance).min() > -1e-9, "more is never less"
    # By the definition: information adds up, on the space in which the scores' mean is zero.
    p = 1 / (1 + np.exp(before.scores[None, :] - before.scores[:, None]))
    added = counts.answers * p * (1 - p)
    expected = np.linalg.pinv(np.linalg.pinv(before.covariance) + np.diag(added.sum(axis=1)) - added)
    assert after.covariance == pytest.approx(expected, abs=1e-8)


def test_what_was_counted_can_be_taken_away() -> None:
    counts = Counts.none(3, 5)
    counts.add(1, (2, 3))
    counts.add(1, (3, 2), tells=False)
    counts.add(2, (4,))
    assert counts.pairs[1, 2, 3] == counts.pairs[1, 3, 2] == 2
    assert counts.answers[2, 3] == counts.answers[3, 2] == 1
    assert counts.grades[2, 4] == counts.grades.sum() == 1
    counts.add(1, (2, 3), -1)
    counts.add(1, (2, 3), -1, tells=False)
    counts.add(2, (4,), -1)
    assert not counts.pairs.any()
    assert not counts.answers.any()
    assert not counts.grades.any()


def test_grades_go_where_the_fewest_are_and_twice_as_often_to_the_original() -> None:
    rng, records, slots = Random(7), list[Record](), set[str]()
    for _ in range(360):
        knowledge = known(*records)
        trial = draw_grade(knowledge, seen_by(slots, knowledge), rng)
        if trial is None:
            slots.clear()  # the next rater
            trial = draw_grade(knowledge, nothing(knowledge), rng)
        assert trial is not None
        vote = grade(trial.systems[0], trial.picture)
        assert str(slot_of(vote)) not in slots
        slots.add(str(slot_of(vote)))
        if len(slots) == 8:
            slots.clear()
        records.append(vote)
    of_systems = Counter(vote.system for vote in records if isinstance(vote, GradeVote))
    assert of_systems["original"] == 2 * of_systems["full"] == 120
    assert set(of_systems.values()) == {60, 120}
    cells = Counter((vote.system, vote.picture) for vote in records if isinstance(vote, GradeVote))
    assert max(cells.values()) / min(cells.values()) <= 3


def test_who_graded_everything_gets_nothing() -> None:
    knowledge = known()
    slots = [str(slot_of(grade(system, picture))) for system in SYSTEMS for picture in PICTURES]
    assert draw_grade(knowledge, seen_by(slots, knowledge), Random(1)) is None
    last = draw_grade(knowledge, seen_by(slots[:-1], knowledge), Random(1))
    assert last == Trial(picture="rocket", systems=("w4",))


def test_seen_counts_pairs_of_all_sets_and_marks_those_of_this_one() -> None:
    knowledge = known()
    votes = [pair("w4", "w8", "coffee"), pair("full", "w8", "cat", picture_set="older"), pair("gone", "w8"),
             grade("bicubic", "rocket"), grade("w8", "0123456789abcdef", picture_set="own")]  # fmt: skip
    seen = seen_by([str(slot_of(vote)) for vote in votes], knowledge)
    assert seen.pair_trials == 3
    assert seen.pairs[1, 3, 4]
    assert seen.pairs[1, 4, 3]
    assert seen.pairs.sum() == 2
    assert seen.grades[2, 1]
    assert seen.grades.sum() == 1


def crowd(
    systems: tuple[str, ...], truth: Mapping[str, float], votes: int, references: Mapping[str, str], seed: int = 1
) -> list[PairVote]:
    """Votes of raters who stay for 18 trials each and answer by the model, drawn with a fit every 20 votes."""
    rng, records = Random(seed), list[PairVote]()
    knowledge, more = known(systems=systems, pictures=MANY, references=references), Counts.none(len(MANY), len(systems))
    slots = dict[str, set[str]]()
    for n in range(votes):
        rater = f"{n // 18:016x}"
        had = slots.setdefault(rater, set())
        now = knowledge.with_more(more)
        trial = draw_pair(now, seen_by(had, now), rng, golden=len(had) % 6 == 2)
        assert trial is not None
        left, right = trial.systems
        win = 1 / (1 + np.exp(truth.get(right, 0.0) - truth.get(left, 0.0)))
        choice: Choice = "left" if rng.random() < win else "right"
        vote = pair(left, right, trial.picture, rater=rater, choice=choice)
        assert slot_of(vote) not in had, "nobody gets the same twice"
        had.add(str(slot_of(vote)))
        records.append(vote)
        more.add(MANY.index(trial.picture), (systems.index(left), systems.index(right)))
        if n % 20 == 19:
            knowledge = known(*records, systems=systems, pictures=MANY, references=references)
            more = Counts.none(len(MANY), len(systems))
    return records


def test_the_draws_are_balanced() -> None:
    votes = crowd((*SYSTEMS, "h12"), {}, 1200, {})
    golden = [vote for vote in votes if {vote.left, vote.right} == {"original", "bicubic"}]
    others = [vote for vote in votes if vote not in golden]
    pairs = Counter(frozenset((vote.left, vote.right)) for vote in others)
    cells = Counter((frozenset((vote.left, vote.right)), vote.picture) for vote in others)
    assert len(golden) == 200
    assert len(pairs) == 14
    assert max(pairs.values()) / min(pairs.values()) < 1.7
    for one in pairs:
        on_pictures = [cells[one, picture] for picture in MANY]
        assert max(on_pictures) - min(on_pictures) <= 2
    assert sum(vote.left < vote.right for vote in votes) == pytest.approx(600, abs=70), "sides are even: 4 sigma"
    assert sum(vote.left == "original" for vote in golden) == pytest.approx(100, abs=29)


def test_votes_go_where_verdicts_need_them() -> None:
    truth = {"original": 2.5, "bicubic": -1.5, "full": 0.6, "w8": 0.6, "w4": 0.3}
    plain = Counter(frozenset((v.left, v.right)) for v in crowd(SYSTEMS, truth, 800, {}))
    votes = crowd(SYSTEMS, truth, 800, {"w8": "full", "w4": "full"})
    pairs = Counter(frozenset((vote.left, vote.right)) for vote in votes)
    for variant in ("w8", "w4"):
        assert pairs[frozenset(("full", variant))] > 1.5 * plain[frozenset(("full", variant))]
    wanted, unwanted = fit_pairs(votes, SYSTEMS).model_covariance, fit_pairs(crowd(SYSTEMS, truth, 800, {}), SYSTEMS)
    difference = np.array([0, 0, 1, -1, 0])
    assert difference @ wanted @ difference < difference @ unwanted.model_covariance @ difference
