"""What is given away: everything that the table needs, and nothing of who voted."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.board import Board, Equivalence, GradeScore, PairScore, Screening, Standing
from ratings.export import anonymous_lines, finished, votes_zip
from ratings.rank import board_of
from ratings.table import COLUMNS, csv_from, csv_of, text_of, votes_of
from ratings.vote import OWN, GradeVote, Record, Vote, record_of
from sr_core.errors import VoteError
from tests.ratings.crowd import Crowd, sample
from tests.ratings.votes import ANN, BEN, START, VIEW, grade, pair, wish

CROWD = Crowd(qualities=(1.5, -1.5, 0.9, 0.8, 0.1, -2.0), votes=(24,) * 40, idle=0.1, tie=0.2)
REFERENCES = {"v1": "v0", "v2": "v0"}
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


def crowd_votes() -> tuple[Vote, ...]:
    """Pairs and grades of a crowd, as its raters' words, months and photos are."""
    pairs = sample(CROWD, 3).votes
    grades = [
        GradeVote(
            id=f"{10**6 + number:032x}",
            at=START + timedelta(minutes=number),
            rater=f"{number % 40:016x}",
            picture_set=OWN if number % 3 == 0 else "set",
            picture=f"{number:015x}f" if number % 3 == 0 else f"p{number % 7}",
            system=("v0", "v1", "original", "bicubic")[number % 4],
            grade=1 + (number % 4 < 3) * (2 + number % 3),
            view=VIEW,
        )
        for number in range(720)
    ]
    return (*pairs, *grades)


@pytest.fixture(scope="module")
def votes() -> tuple[Vote, ...]:
    return crowd_votes()


@pytest.fixture(scope="module")
def exported(votes: tuple[Vote, ...]) -> bytes:
    return votes_zip(votes, CROWD.systems, REFERENCES, None)


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rows_of(table: str) -> dict[str, dict[str, str]]:
    return {row["system"]: row for row in csv.DictReader(io.StringIO(table))}


def run(folder: Path, elsewhere: Path) -> bytes:
    """Runs the script of an unpacked file where nothing else of the project can be found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-B", "-W", "error", str(folder / "make_table.py")]
    done = subprocess.run(command, cwd=elsewhere, env=kept, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_the_code_in_the_file_makes_its_table(exported: bytes, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "unpacked", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(io.BytesIO(exported)) as archive:
        archive.extractall(folder)
    table = (folder / "table.csv").read_bytes()
    (folder / "table.csv").unlink()  # so that it cannot be copied
    assert run(folder, elsewhere) == table


def test_the_file_holds_the_code_that_is_needed_and_no_other(exported: bytes) -> None:
    files = unpacked(exported)
    assert {"README.txt", "LICENSE.txt", "votes.jsonl", "table.csv", "board.json", "make_table.py"} <= files.keys()
    modules = {name for name in files if name.startswith(("ratings/", "sr_core/"))}
    assert {"ratings/rank.py", "ratings/bradley_terry.py", "ratings/grades.py", "ratings/vote.py"} <= modules
    assert not {f"ratings/{name}.py" for name in ("store", "archive", "identity", "booth", "stimuli")} & modules
    assert {name for name in modules if name.startswith("sr_core/")} == {"sr_core/__init__.py", "sr_core/errors.py"}
    required = {line.partition("==")[0] for line in files["requirements.txt"].decode().split()}
    assert required == {"numpy", "scipy", "pydantic"}
    assert all(word in files["README.txt"].decode() for word in ("make_table.py", "votes.jsonl", "table.csv"))


def test_the_table_is_that_of_the_board(votes: tuple[Vote, ...], exported: bytes) -> None:
    rows = rows_of(unpacked(exported)["table.csv"].decode())
    board = board_of(votes, CROWD.systems, REFERENCES)
    assert list(rows) == [pair.system for pair in board.pairs]
    for one in board.pairs:
        row = rows[one.system]
        assert (row["votes"], row["group"], row["standing"]) == (str(one.votes), one.group, one.standing)
        assert float(row["score"]) == pytest.approx(one.score, abs=1e-3)
        assert float(row["low"]) == pytest.approx(one.low, abs=1e-3)
        assert float(row["high"]) == pytest.approx(one.high, abs=1e-3)
    assert {row["verdict"] for row in rows.values() if row["reference"]} == {
        verdict.verdict for verdict in board.equivalences
    }
    assert rows["v1"]["reference"] == "v0"
    assert float(rows["v1"]["difference_high"]) > float(rows["v1"]["difference_low"])
    for score in board.grades:
        prefix = "own_" if score.own else ""
        row = rows[score.system]
        assert row[f"{prefix}grades"] == str(score.votes)
        if score.standing == "hidden":
            assert row[f"{prefix}mos"] == row[f"{prefix}mos_low"] == ""
        else:
            assert float(row[f"{prefix}mos"]) == pytest.approx(score.mos, abs=1e-3)
    assert {score.standing == "hidden" for score in board.grades} == {True, False}
    assert any(row["mos"] for row in rows.values())


def test_what_the_board_hides_is_not_in_the_table() -> None:
    votes = [pair(number) for number in range(5)]
    board = board_of(votes, ("original", "tiny"), {})
    for row in rows_of(csv_of(board)).values():
        assert row["standing"] == "hidden"
        assert (row["score"], row["low"], row["high"], row["rank"], row["group"]) == ("",) * 5
    assert "hidden" in text_of(board)
    assert "0.0" not in text_of(board)


def board_with(**standings: Standing) -> Board:
    """Returns a board of a variant, its full-precision network and the original, with figures for all of them."""
    pairs = [
        PairScore(system=name, score=0.5, low=0.1, high=0.9, votes=2, standing=standing, rank=1, group="a")
        for name, standing in standings.items()
    ]
    grades = [
        GradeScore(system=name, own=False, mos=3.5, low=3.1, high=3.9, dmos=4.5, votes=2, standing=standing)
        for name, standing in standings.items()
    ]
    verdict = Equivalence(
        system="tiny",
        reference="full",
        difference=0.7,
        low=0.6,
        high=0.8,
        margin=0.2,
        verdict="better",
        votes_needed=7,
        drop=None,
    )
    screening = Screening(
        raters=1,
        votes=2,
        skips=0,
        raters_failed_golden=0,
        raters_one_sided=0,
        raters_inconsistent=0,
        votes_left_out=0,
        golden=0,
        golden_right=0,
        left_bias=0.0,
    )
    return Board(pairs=tuple(pairs), grades=tuple(grades), equivalences=(verdict,), screening=screening, drop=None)


@pytest.mark.parametrize(
    ("tiny", "full", "shown"),
    [
        ("ranked", "ranked", True),
        ("preliminary", "ranked", True),
        ("hidden", "ranked", False),
        ("ranked", "hidden", False),
    ],
)
def test_no_difference_tells_a_score_that_is_hidden(tiny: Standing, full: Standing, shown: bool) -> None:
    board = board_with(tiny=tiny, full=full, original="ranked")
    row = rows_of(csv_of(board))["tiny"]
    figures = [row[name] for name in ("difference", "difference_low", "difference_high", "verdict", "votes_needed")]
    assert figures == (["0.7000", "0.6000", "0.8000", "better", "7"] if shown else [""] * 5)
    assert [row[name] for name in ("score", "low", "high")] == (
        [""] * 3 if tiny == "hidden" else ["0.5000", "0.1000", "0.9000"]
    )
    assert row["reference"] == "full"
    assert ("better" in text_of(board)) == shown


@pytest.mark.parametrize(("original", "shown"), [("ranked", "4.5000"), ("hidden", "")])
def test_no_grade_tells_that_of_an_original_that_is_hidden(original: Standing, shown: str) -> None:
    row = rows_of(csv_of(board_with(tiny="ranked", full="ranked", original=original)))["tiny"]
    assert (row["mos"], row["dmos"], row["grades"]) == ("3.5000", shown, "2")


def test_nothing_in_the_file_tells_whose_a_vote_is(votes: tuple[Vote, ...], exported: bytes) -> None:
    content = unpacked(exported)["votes.jsonl"].decode()
    assert re.findall("[0-9a-f]{15,}", content) == [], "no id, no rater's word, no word of an own photo"
    fields = [json.loads(line) for line in content.splitlines()]
    assert len(fields) == len(votes)
    assert {name for one in fields for name in one} == {
        *("kind", "day", "rater", "picture_set", "picture", "left", "right", "choice", "system", "grade", "view")
    }
    assert {one["day"] for one in fields} == {vote.at.date().isoformat() for vote in votes}
    assert {one["rater"] for one in fields} == {f"r{number}" for number in range(1, 41)}


def test_every_vote_is_there_and_still_one_of_its_rater(votes: tuple[Vote, ...]) -> None:
    def content(vote: Vote) -> tuple[Any, ...]:
        hidden = {"id", "at", "rater", "view"} | ({"picture"} if vote.picture_set == OWN else set())
        return tuple(sorted(vote.model_dump(exclude=hidden).items()))

    def by_rater(some: tuple[Vote, ...]) -> Counter[frozenset[tuple[Any, int]]]:
        kept: dict[str, Counter[Any]] = {}
        for vote in some:
            kept.setdefault(vote.rater, Counter())[content(vote)] += 1
        return Counter(frozenset(counted.items()) for counted in kept.values())

    again = votes_of(anonymous_lines(votes))
    assert by_rater(again) == by_rater(votes)
    photos = Counter(vote.picture for vote in votes if vote.picture_set == OWN)
    assert sorted(Counter(v.picture for v in again if v.picture_set == OWN).values()) == sorted(photos.values())


def test_names_and_order_tell_nothing_and_change_with_each_vote(votes: tuple[Vote, ...]) -> None:
    lines = anonymous_lines(votes)
    assert anonymous_lines(votes[::-1]) == lines, "not from the order they came in"
    by_time = anonymous_lines(sorted(votes, key=lambda vote: vote.at))
    assert by_time == lines
    first_seen = list(dict.fromkeys(json.loads(line)["rater"] for line in lines))
    assert first_seen != sorted(first_seen, key=lambda word: int(word[1:]))
    raters = [json.loads(line)["rater"] for line in lines]
    assert sum(one == other for one, other in pairwise(raters)) < len(lines) / 10, "not as the raters gave them"
    more = anonymous_lines((*votes, votes[0].model_copy(update={"id": "f" * 32})))
    kept = [line for line in more if line in set(lines)]
    assert len(kept) < len(lines) / 2, "raters have other names, so that files cannot be put side by side"


def test_what_could_tell_one_rater_from_others_is_coarse() -> None:
    seen = VIEW.model_copy(
        update={"decision_ms": 4321, "viewport": (1283, 747), "pixel_ratio": 1.0416667, "zoom": 0.0312}
    )
    [line] = anonymous_lines([pair(1).model_copy(update={"view": seen})])
    assert json.loads(line)["view"] == {
        "decision_ms": 4500,
        "viewport": [1200, 800],
        "pixel_ratio": 1.0,
        "zoom": 0.1,
    }


def times(votes: tuple[Vote, ...], hours: float) -> tuple[Vote, ...]:
    """Returns votes that came one after the other, the last of them so long before :data:`MIDNIGHT`."""
    first = MIDNIGHT - timedelta(hours=hours, minutes=len(votes) - 1)
    return tuple(vote.model_copy(update={"at": first + timedelta(minutes=n)}) for n, vote in enumerate(votes))


def test_who_asks_again_and_again_sees_no_vote_come(votes: tuple[Vote, ...]) -> None:
    before = times(votes[:30], hours=1)
    some = votes_zip(before, CROWD.systems, REFERENCES, MIDNIGHT)
    assert len(unpacked(some)["votes.jsonl"].splitlines()) == 30
    for number, hours in ((31, 0), (32, 12), (33, 23.9)):
        records: tuple[Vote, ...] = (
            *before,
            votes[number].model_copy(update={"at": MIDNIGHT + timedelta(hours=hours)}),
        )
        at = MIDNIGHT + timedelta(hours=hours, minutes=5)
        assert votes_zip(records, CROWD.systems, REFERENCES, at) == some, "in no file: not the lines, not the table"
        japan = at.astimezone(timezone(timedelta(hours=9)))
        assert votes_zip(records, CROWD.systems, REFERENCES, japan) == some, "a day is one of UTC"
        next_day = votes_zip(records, CROWD.systems, REFERENCES, MIDNIGHT + timedelta(days=1))
        assert len(unpacked(next_day)["votes.jsonl"].splitlines()) == 31
        assert votes_zip(records, CROWD.systems, REFERENCES, None) != some, "their owner has all"


def test_the_last_second_of_a_day_is_in_and_the_first_of_the_next_is_not() -> None:
    last, first = (pair(n).model_copy(update={"at": MIDNIGHT - timedelta(seconds=1 - n)}) for n in range(2))
    gone = wish(2, ANN).model_copy(update={"at": MIDNIGHT + timedelta(hours=2)})
    assert finished([first, gone, last], MIDNIGHT + timedelta(hours=3)) == (gone, last), "who asks is forgotten at once"
    assert finished([first, last], MIDNIGHT - timedelta(seconds=1)) == ()


def test_the_file_says_which_votes_it_holds(votes: tuple[Vote, ...]) -> None:
    for at, said, other in ((MIDNIGHT, "finished days", "for their owner"), (None, "All votes are here", "come later")):
        read_me = unpacked(votes_zip(votes[:3], CROWD.systems, REFERENCES, at))["README.txt"].decode()
        assert said in read_me
        assert other not in read_me
        assert "{" not in read_me
        assert max(map(len, read_me.splitlines())) <= 120


def test_a_forgotten_rater_is_not_given_away() -> None:
    records: list[Record] = [pair(1, ANN), pair(2, BEN), grade(3, ANN), wish(4, ANN)]
    [line] = anonymous_lines(records)
    assert json.loads(line)["picture"] == "picture2"
    assert json.loads(line)["rater"] == "r1"


def test_equal_votes_make_equal_files(votes: tuple[Vote, ...], exported: bytes) -> None:
    assert votes_zip(votes[::-1], CROWD.systems, REFERENCES, None) == exported
    assert votes_zip(votes[:40], CROWD.systems, REFERENCES, None) != votes_zip(
        votes[:41], CROWD.systems, REFERENCES, None
    )


def test_no_votes_make_a_file_too() -> None:
    content = votes_zip((), ("original", "bicubic", "tiny"), {}, None)
    files = unpacked(content)
    assert files["votes.jsonl"] == b""
    rows = rows_of(files["table.csv"].decode())
    assert {row["votes"] for row in rows.values()} == {"0"}
    assert next(csv.reader(io.StringIO(files["table.csv"].decode()))) == [n for group in COLUMNS for n in group]


def test_a_margin_is_kept_in_the_file(votes: tuple[Vote, ...]) -> None:
    board = json.loads(unpacked(votes_zip(votes, CROWD.systems, REFERENCES, None, margin=3.0))["board.json"])
    assert board["margin"] == 3.0
    assert rows_of(csv_from(anonymous_lines(votes), json.dumps(board)))["v1"]["verdict"] == "equivalent"


@pytest.mark.parametrize(
    "line",
    ["", "[]", "1", "{}", '{"day": "2026-11-03"}', '{"day": "2026-11-03", "rater": "x"}', '{"day": 1, "rater": 2}'],
)
def test_a_line_that_is_no_vote_is_refused(line: str) -> None:
    good = anonymous_lines([pair(1)])
    with pytest.raises(VoteError):
        votes_of([*good, line])


def test_a_wish_to_forget_is_no_vote() -> None:
    with pytest.raises(VoteError):
        votes_of([json.dumps({"kind": "forget", "day": "2026-11-03", "rater": "r1", "raters": [ANN]})])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.dictionaries(st.sampled_from(["day", "rater", "kind"]), st.text()).map(json.dumps))
def test_rubbish_is_refused_with_a_sentence(line: str) -> None:
    with pytest.raises(VoteError):
        votes_of([line])


def test_records_read_again_are_sound(votes: tuple[Vote, ...]) -> None:
    for vote in votes_of(anonymous_lines(votes[::50])):
        assert record_of(vote.model_dump_json()) == vote


def test_text_tells_the_board_in_a_terminal(votes: tuple[Vote, ...]) -> None:
    board = board_of(votes, CROWD.systems, REFERENCES)
    lines = text_of(board).splitlines()
    assert lines[0].split()[:3] == ["rank", "system", "score"]
    assert [line.split()[1] for line in lines[1:7]] == [one.system for one in board.pairs]
    assert f"{board.screening.votes} votes of {board.screening.raters} raters" in lines[-2]
    assert "v0" in lines[[one.system for one in board.pairs].index("v0") + 1]
    assert any(verdict.verdict in "\n".join(lines) for verdict in board.equivalences)
