from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sureal.dataset_reader import RawDatasetReader
from sureal.subjective_model import BiasremvMosModel, MosModel, SubjectiveModel

from ratings.board import GradeScore
from ratings.grades import GradeTable, grade_model_of, grade_table_of, inconsistent_graders
from ratings.rank import board_of
from ratings.vote import BICUBIC, ORIGINAL, OWN, GradeVote
from tests.ratings.crowd import EVEN, sample, stuffing
from tests.ratings.graders import CROWDS, Graders, figures, grade_vote, graded, scores_of

SYSTEMS = (ORIGINAL, BICUBIC, "v0", "v1")


def of(grades: tuple[GradeScore, ...], system: str, *, own: bool = False) -> GradeScore:
    return next(score for score in grades if (score.system, score.own) == (system, own))


def full_design(seed: int = 0, raters: int = 12, pictures: int = 5) -> tuple[list[GradeVote], NDArray[np.int64]]:
    """Everybody grades everything; grades by rater, picture and system."""
    rng = np.random.default_rng(seed)
    felt = 3 + np.array([1.2, -1.2, 0.6, 0.0]) + rng.normal(0, 0.5, (pictures, 1)) + rng.normal(0, 0.6, (raters, 1, 1))
    grades = np.clip(np.round(felt + rng.normal(0, 0.6, (raters, pictures, 4))), 1, 5).astype(int)
    votes = [
        grade_vote(n, r, SYSTEMS[s], int(grades[r, p, s]), f"p{p}")
        for n, (r, p, s) in enumerate(np.ndindex(*grades.shape))
    ]
    return votes, grades


def sureal_scores(model: type[SubjectiveModel], grades: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scores of each system by sureal: of each picture and system as a stimulus, then the mean over pictures."""
    raters, pictures, systems = grades.shape
    marks = grades.reshape(raters, -1).T.astype(float).tolist()
    dataset = SimpleNamespace(
        ref_videos=[{"content_id": picture, "content_name": str(picture), "path": ""} for picture in range(pictures)],
        dis_videos=[
            {"asset_id": n, "content_id": n // systems, "path": "", "os": marks[n]} for n in range(pictures * systems)
        ],
    )
    result = model(RawDatasetReader(dataset)).run_modeling()
    return np.array(result["quality_scores"]).reshape(pictures, systems).mean(axis=0)


def test_as_sureal_where_everybody_grades_everything() -> None:
    votes, grades = full_design()
    ours = [of(board_of(votes, SYSTEMS, {}).grades, system).mos for system in SYSTEMS]
    for model in (MosModel, BiasremvMosModel):
        assert ours == pytest.approx(sureal_scores(model, grades), abs=1e-3)


def test_strict_raters_and_hard_pictures_are_no_fault_of_the_system() -> None:
    systems, pictures, raters = np.array([0, 1, 2, 2]), np.array([0, 1, 0, -1]), np.arange(40) % 3 - 1
    rng = np.random.default_rng(0)
    rows: list[GradeVote] = []
    for rater, leniency in enumerate(raters):
        for picture, ease in enumerate(pictures):
            for system, quality in enumerate(systems):
                # Who is lenient, and the easy picture, meet the first system more often.
                if rng.random() < (0.9 if (leniency + ease > 0) == (system == 0) else 0.2):
                    grade = int(np.clip(2 + quality + ease + leniency, 1, 5))
                    rows.append(grade_vote(len(rows), rater, SYSTEMS[system], grade, f"p{picture}"))
    plain = [np.mean([vote.grade for vote in rows if vote.system == name]) for name in SYSTEMS[:3]]
    fitted = [opinion.value for opinion in grade_model_of(grade_table_of(rows, SYSTEMS[:3], own=False)).opinions()]
    # Grades end at 1 and 5, so that gaps are a little less than 1.
    assert plain[0] > plain[1]
    assert fitted[1] - fitted[0] > 0.5
    assert fitted[2] - fitted[1] > 0.5


def test_pictures_count_alike() -> None:
    rows = [grade_vote(n, n % 20, "v0", 5, "easy") for n in range(180)]
    rows += [grade_vote(1000 + n, n, "v0", 1, "hard") for n in range(20)]
    assert of(board_of(rows, ("v0",), {}).grades, "v0").mos == pytest.approx(3, abs=0.05)


def test_dmos_is_against_the_hidden_reference() -> None:
    votes, _ = full_design()
    grades = board_of(votes, SYSTEMS, {}).grades
    reference = of(grades, ORIGINAL)
    assert reference.dmos == 5
    for score in grades:
        assert score.dmos == pytest.approx(score.mos - reference.mos + 5)
    assert [score.mos for score in grades] == sorted((score.mos for score in grades), reverse=True)
    without = [vote for vote in votes if vote.system != ORIGINAL]
    assert {score.dmos for score in board_of(without, SYSTEMS, {}).grades} == {None}


def test_own_photos_stand_apart() -> None:
    votes, _ = full_design()
    own = [
        grade_vote(10**6 + n, 50 + n, "v0" if n % 2 else "v1", 5 if n % 2 else 2, f"{n:x}", picture_set=OWN)
        for n in range(240)
    ]
    board = board_of([*votes, *own], SYSTEMS, {})
    alone = board_of(votes, SYSTEMS, {})
    assert [score for score in board.grades if not score.own] == list(alone.grades)
    first, second = [score for score in board.grades if score.own]
    assert (first.system, first.votes, first.dmos, first.standing) == ("v0", 120, None, "preliminary")
    assert first.mos == pytest.approx(5, abs=0.05)
    assert second.mos == pytest.approx(2, abs=0.05)
    assert board.screening.votes == len(votes) + 240


def test_one_grade_per_rater_counts_too() -> None:
    assert CROWDS["600 raters of 1 or 2"].grades == (1, 2) * 300
    votes, truth = graded(replace(CROWDS["600 raters of 1 or 2"], grades=(1,) * 600), 0)
    graders = Graders()
    assert [score.mos for score in scores_of(graders, votes)] == pytest.approx(truth, abs=0.45)


def test_standing_by_grades_and_raters() -> None:
    def standing(raters: int, each: int) -> str:
        rows = [grade_vote(n, n % raters, "v0", 3 + n % 2, f"p{n}") for n in range(raters * each)]
        return of(board_of(rows, SYSTEMS, {}).grades, "v0").standing

    assert standing(9, 11) == "hidden"
    assert standing(10, 10) == "preliminary"
    assert standing(10, 30) == "ranked"
    assert standing(4, 100) == "hidden", "four raters"


def test_who_grades_regardless_or_the_other_way_round_is_left_out() -> None:
    graders = Graders(grades=(20,) * 40)
    votes, truth = graded(graders, 1)
    bad = [vote for vote in graded(replace(graders, idle=1.0), 2)[0] if int(vote.rater, 16) < 20]
    bad = [
        vote.model_copy(update={"rater": f"{100 + int(vote.rater, 16):016x}", "id": f"{10**6 + n:032x}"})
        for n, vote in enumerate(bad)
    ]
    table = grade_table_of([*votes, *bad], graders.systems, own=False)
    out = {int(word, 16) for word, is_out in zip(table.raters, inconsistent_graders(table), strict=True) if is_out}
    assert out & set(range(40)) == set()
    assert len(out) >= 16
    board = board_of([*votes, *bad], graders.systems, {})
    assert board.screening.raters_inconsistent == len(out)
    assert board.screening.votes_left_out == 20 * len(out)
    scores = [of(board.grades, system).mos for system in graders.systems]
    assert scores == pytest.approx(truth, abs=0.4)


def test_who_graded_little_or_only_equal_pictures_stays() -> None:
    votes, _ = graded(Graders(), 0)
    few = [grade_vote(10**6 + n, 500, BICUBIC, 5, f"p{n}") for n in range(1)]
    equal = [grade_vote(10**7 + n, 501, "v1", 3, f"p{n}") for n in range(4)]
    table = grade_table_of([*votes, *few, *equal], Graders().systems, own=False)
    assert not inconsistent_graders(table).any()


def test_a_rater_out_by_pairs_is_out_by_grades() -> None:
    votes, _ = full_design()
    pairs = sample(EVEN, 0).votes
    liar = stuffing(EVEN, 100, "v5", 0, careful=False)
    grades = [grade_vote(10**8 + n, 10**9, "v0", 1, f"p{n}") for n in range(4)]
    board = board_of([*pairs, *liar, *votes, *grades], EVEN.systems, {})
    clean = board_of([*pairs, *votes], EVEN.systems, {})
    assert board.grades == clean.grades
    assert board.screening.votes_left_out == clean.screening.votes_left_out + 104


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(SYSTEMS), st.integers(1, 5), st.integers(0, 3), st.booleans()),
        max_size=40,
    )
)
def test_any_grades_make_a_sound_board(rows: list[tuple[int, str, int, int, bool]]) -> None:
    votes = [
        grade_vote(n, rater, system, grade, f"p{picture}", OWN if own else "set")
        for n, (rater, system, grade, picture, own) in enumerate(rows)
    ]
    board = board_of(votes, SYSTEMS, {})
    counted = sum(score.votes for score in board.grades)
    assert counted + board.screening.votes_left_out == len(votes) == board.screening.votes
    for score in board.grades:
        assert score.low <= score.mos <= score.high
        assert np.isfinite([score.low, score.high]).all()
        assert score.votes > 0


def test_one_rater_tells_little() -> None:
    rows = [grade_vote(n, 0, SYSTEMS[n % 4], 2 + n % 4 // 2, f"p{n // 4}") for n in range(400)]
    for score in board_of(rows, SYSTEMS, {}).grades:
        assert score.high - score.low > 1
        assert score.standing == "hidden"


def test_intervals_of_grades_hold() -> None:
    tau, covered, _, left_out = figures(Graders(grades=(20,) * 30), 12)
    assert tau > 0.9
    assert covered > 0.88
    assert left_out < 0.05


def test_idle_graders_change_little() -> None:
    tau, _, _, left_out = figures(CROWDS["60 raters of 20, 40 % idle"], 6)
    assert tau > 0.93
    assert 0.3 < left_out < 0.45


def test_an_empty_table_is_average() -> None:
    model = grade_model_of(grade_table_of([], SYSTEMS, own=True))
    assert [opinion.value for opinion in model.opinions()] == [3.0] * 4
    assert isinstance(model.table, GradeTable)
