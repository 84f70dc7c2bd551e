from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.board import Board, PairScore
from ratings.rank import board_of, groups_of, ranks_of
from ratings.vote import ANCHORS, BICUBIC, ORIGINAL, Choice, Forget, PairVote, Record
from tests.ratings.crowd import AT, EVEN, REFERENCES, ZOO, pair_vote, sample, word
from tests.ratings.graders import grade_vote

HONEST = sample(EVEN, 0).votes
ENDS = st.lists(st.tuples(st.integers(-20, 20), st.integers(0, 12)), max_size=14)


def of(board: Board, system: str) -> PairScore:
    return next(score for score in board.pairs if score.system == system)


def few(number: int, raters: int, systems: Sequence[str] = ("a", "b")) -> list[PairVote]:
    choices: list[Choice] = ["left", "right", "right", "left"]
    turned = (systems, systems[::-1], systems, systems[::-1])
    return [
        pair_vote(n, n % raters, *turned[n // raters % 4], choices[n // raters // 2 % 4], n // raters)
        for n in range(number)
    ]


@given(ENDS)
def test_ranks_and_groups_say_the_same(rows: list[tuple[int, int]]) -> None:
    lows = [float(low) for low, _ in rows]
    highs = [float(low + width) for low, width in rows]
    ranks, groups = ranks_of(lows, highs), groups_of(lows, highs)
    letters = [{*group} for group in groups]
    for i in range(len(rows)):
        assert ranks[i] == 1 + sum(lows[j] > highs[i] for j in range(len(rows)))
        assert letters[i]
        for j in range(len(rows)):
            overlap = lows[i] <= highs[j] and lows[j] <= highs[i]
            assert bool(letters[i] & letters[j]) == overlap
            if ranks[i] == ranks[j]:
                assert overlap
            if not overlap:
                assert (ranks[i] < ranks[j]) == (lows[i] > highs[j])
    used = sorted({letter for group in letters for letter in group})
    for n, letter in enumerate(used):
        members = {i for i, group in enumerate(letters) if letter in group}
        assert not any(
            members <= {i for i, group in enumerate(letters) if other in group} for other in used[:n] + used[n + 1 :]
        ), "no letter more than is needed"


def test_groups_of_a_known_case() -> None:
    assert groups_of([5, 2.5, 0, -9], [7, 5.5, 3, -8]) == ("a", "ab", "b", "c")
    assert ranks_of([5, 2.5, 0, -9], [7, 5.5, 3, -8]) == (1, 1, 2, 4)
    assert groups_of([], []) == ()
    many = groups_of([float(-n) for n in range(30)], [float(-n) + 0.5 for n in range(30)])
    assert many[0] == "a"
    assert many[25:28] == ("z", "a2", "b2")
    assert len(set(many)) == 30


def test_a_board_of_a_crowd() -> None:
    board = board_of(HONEST, EVEN.systems, {"v1": "v0", "v2": "v1", "v3": "gone", "v4": "v4", "other": "v0"})
    assert {score.system for score in board.pairs} == set(EVEN.systems)
    assert (board.pairs[0].system, board.pairs[0].rank, board.pairs[0].group) == (ORIGINAL, 1, "a")
    assert board.pairs[-1].system == BICUBIC
    assert [(s.rank, -s.low) for s in board.pairs] == sorted((s.rank, -s.low) for s in board.pairs)
    assert sum(score.score for score in board.pairs) == pytest.approx(0, abs=1e-9)
    lows, highs = [s.low for s in board.pairs], [s.high for s in board.pairs]
    assert tuple(s.rank for s in board.pairs) == ranks_of(lows, highs)
    assert tuple(s.group for s in board.pairs) == groups_of(lows, highs)
    assert sum(score.votes for score in board.pairs) == 2 * (len(HONEST) - board.screening.votes_left_out)
    assert [(e.system, e.reference) for e in board.equivalences] == [("v1", "v0"), ("v2", "v1")]
    assert {e.margin for e in board.equivalences} == {0.2}
    assert board.equivalences[0].difference == pytest.approx(of(board, "v1").score - of(board, "v0").score)
    looked = board.screening
    assert (looked.raters, looked.votes, looked.skips) == (100, len(HONEST), 0)
    assert looked.left_bias == pytest.approx(0.1, abs=0.15)


def test_the_margin_decides() -> None:
    wide = board_of(HONEST, EVEN.systems, {"v1": "v0"}, margin=5.0).equivalences[0]
    narrow = board_of(HONEST, EVEN.systems, {"v1": "v0"}, margin=0.01).equivalences[0]
    assert (wide.verdict, wide.margin, wide.votes_needed) == ("equivalent", 5.0, None)
    assert narrow.verdict in {"worse", "open"}
    assert (wide.low, wide.high) == (narrow.low, narrow.high)


@settings(max_examples=12, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(random: object) -> None:
    votes: list[Record] = [*HONEST[:600]]
    random.shuffle(votes)  # type: ignore[attr-defined]
    assert board_of(votes, EVEN.systems, {"v1": "v0"}) == board_of(HONEST[:600], EVEN.systems, {"v1": "v0"})


def test_what_is_not_on_the_board_is_ignored() -> None:
    board = board_of(HONEST, EVEN.systems, {})
    other = [pair_vote(10**6 + n, 800 + n, "v0", "strange", "left") for n in range(50)]
    grades = [grade_vote(10**7 + n, 900 + n, "strange", 5) for n in range(50)]
    assert board_of([*HONEST, *other, *grades], EVEN.systems, {}) == board
    fewer = board_of(HONEST, tuple(s for s in EVEN.systems if s != "v0"), {"v1": "v0"})
    assert {score.system for score in fewer.pairs} == set(EVEN.systems) - {"v0"}
    assert fewer.equivalences == ()
    assert fewer.screening.votes == sum("v0" not in (vote.left, vote.right) for vote in HONEST)


def test_who_asked_to_be_forgotten_does_not_count() -> None:
    wish = Forget(id="f" * 32, at=AT, raters=(word(0), word(1)))
    kept = [vote for vote in HONEST if vote.rater not in wish.raters]
    assert board_of([wish, *HONEST], EVEN.systems, {}) == board_of(kept, EVEN.systems, {})


def test_skips_are_counted_and_count_for_nothing() -> None:
    skips = [pair_vote(10**6 + n, 700 + n % 3, "v0", "v1", "skip", n) for n in range(30)]
    board, plain = board_of([*HONEST, *skips], EVEN.systems, {}), board_of(HONEST, EVEN.systems, {})
    assert board.pairs == plain.pairs
    assert (board.screening.skips, board.screening.votes) == (30, len(HONEST) + 30)
    assert board.screening.raters == 103
    assert board.screening.votes_left_out == plain.screening.votes_left_out


@pytest.mark.parametrize(
    ("votes", "raters", "standing"),
    [(99, 9, "hidden"), (100, 10, "preliminary"), (299, 13, "preliminary"), (300, 10, "ranked"), (300, 4, "hidden")],
)
def test_thresholds(votes: int, raters: int, standing: str) -> None:
    score = of(board_of(few(votes, raters), ("a", "b"), {}), "a")
    assert (score.votes, score.standing) == (votes, standing)


def test_a_hidden_system_comes_last_and_blurs_nobody() -> None:
    new = [pair_vote(10**6 + n, 300 + n, "new", "v0", "left", n) for n in range(20)]
    board, plain = board_of([*HONEST, *new], (*EVEN.systems, "new"), {"new": "v0"}), board_of(HONEST, EVEN.systems, {})
    last = board.pairs[-1]
    assert (last.system, last.standing, last.rank, last.group) == ("new", "hidden", 9, "")
    assert last.votes == 20
    for score in plain.pairs:
        assert of(board, score.system).score == pytest.approx(score.score, abs=0.06)
        assert of(board, score.system).high - of(board, score.system).low < 1.1 * (score.high - score.low)
    verdict = board.equivalences[0]
    assert (verdict.verdict, verdict.votes_needed, verdict.drop) == ("open", None, None)
    assert board.drop == plain.drop


def test_what_stands_first_hangs_on_so_many_votes() -> None:
    board = board_of(HONEST, EVEN.systems, {})
    variants = [score for score in board.pairs if score.system not in ANCHORS]
    first, second = sorted(variants, key=lambda score: -score.score)[:2]
    close = replace(EVEN, qualities=(1.4, -1.4, 0.61, 0.6, 0.2, -0.2, -0.6, -1.0))
    near = board_of(sample(close, 0).votes, EVEN.systems, {})
    assert board.drop is not None
    assert near.drop is not None
    assert 0 < near.drop < board.drop
    turned = board_of(HONEST, EVEN.systems, {second.system: first.system}).equivalences[0]
    assert turned.drop == board.drop
    far = replace(EVEN, qualities=(2.4, -1.4, 3.4, -0.9, -0.9, -1.0, -1.0, -1.0))
    assert board_of(sample(far, 0).votes, EVEN.systems, {}).drop is None
    assert board_of(few(400, 20, ANCHORS), (*ANCHORS, "a"), {}).drop is None, "anchors are no variants"


def test_a_variant_that_looks_the_same_is_equivalent_and_a_worse_one_worse() -> None:
    crowd = replace(ZOO, votes=(40,) * 250, tie=2.2)
    board = board_of(sample(crowd, 1).votes, crowd.systems, REFERENCES)
    verdicts = {e.system: e for e in board.equivalences}
    assert set(verdicts) == set(REFERENCES)
    assert verdicts["v1"].verdict == "equivalent"
    assert verdicts["v9"].verdict == "worse"
    for verdict in verdicts.values():
        assert (verdict.votes_needed is None) or verdict.verdict == "open"
        assert verdict.low < verdict.difference < verdict.high


def test_perfect_separation_stays_finite() -> None:
    rows = [
        pair_vote(n, n % 20, *(("a", "b") if n % 2 else ("b", "a")), "left" if n % 2 else "right", n // 20)
        for n in range(400)
    ]
    board = board_of(rows, ("a", "b"), {"b": "a"})
    assert of(board, "a").rank == 1
    assert of(board, "b").rank == 2
    assert 2 < of(board, "a").score < 8
    assert of(board, "a").high - of(board, "a").low > 0.1
    assert board.equivalences[0].verdict == "worse"
    assert board.drop is None


def test_degenerate_votes() -> None:
    for systems in ((), ("a",), ("a", "b"), EVEN.systems):
        board = board_of([], systems, {"b": "a"})
        assert [score.votes for score in board.pairs] == [0] * len(systems)
        assert {score.standing for score in board.pairs} <= {"hidden"}
        assert {score.score for score in board.pairs} <= {0.0}
        assert board.grades == ()
        assert board.drop is None
        assert board.screening.raters == 0
    skips = [pair_vote(n, n, "a", "b", "skip", n) for n in range(200)]
    board = board_of(skips, ("a", "b"), {"a": "b"})
    assert (board.screening.skips, board.screening.votes_left_out, board.screening.raters) == (200, 0, 200)
    assert of(board, "a").votes == 0
    alone = board_of(few(400, 1), ("a", "b"), {"a": "b"})
    assert of(alone, "a").standing == "hidden"
    ties = [pair_vote(n, n % 20, *("ab" if n // 20 % 2 else "ba"), "tie", n // 20) for n in range(400)]
    board = board_of(ties, ("a", "b"), {"a": "b"})
    assert board.equivalences[0].verdict == "equivalent"
    assert {score.rank for score in board.pairs} == {1}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.sampled_from([*ANCHORS, "v0", "v1"]),
            st.sampled_from([*ANCHORS, "v0", "v1"]),
            st.sampled_from(["left", "right", "tie", "both_bad", "skip"]),
        ),
        max_size=200,
    )
)
def test_any_votes_make_a_sound_board(rows: list[tuple[int, str, str, Choice]]) -> None:
    votes = [pair_vote(n, *row, picture=n) for n, row in enumerate(rows) if row[1] != row[2]]
    board = board_of(votes, (*ANCHORS, "v0", "v1"), {"v1": "v0"})
    looked = board.screening
    counted = sum(score.votes for score in board.pairs)
    assert counted == 2 * (len(votes) - looked.skips - looked.votes_left_out)
    assert looked.raters == len({vote.rater for vote in votes})
    assert looked.golden_right <= looked.golden
    for score in board.pairs:
        assert np.isfinite([score.low, score.score, score.high]).all()
        assert score.low <= score.score <= score.high


def test_twenty_thousand_votes_take_less_than_a_second() -> None:
    crowd = replace(ZOO, votes=(40,) * 500, tie=2.2)
    votes = sample(crowd, 0).votes
    assert len(votes) == 20_000
    start = process_time()
    board_of(votes, crowd.systems, REFERENCES)
    assert process_time() - start < 1.0


def test_times_do_not_matter() -> None:
    later = [vote.model_copy(update={"at": datetime(2027, 1, 1, tzinfo=UTC)}) for vote in HONEST]
    assert board_of(later, EVEN.systems, {}) == board_of(HONEST, EVEN.systems, {})
