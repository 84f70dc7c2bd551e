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
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratings.export import anonymous_lines, votes_zip
from ratings.rank import board_of
from ratings.table import COLUMNS, csv_from, csv_of, text_of, votes_of
from ratings.vote import OWN, GradeVote, Record, Vote, record_of
from sr_core.errors import VoteError
from tests.ratings.crowd import Crowd, sample
from tests.ratings.votes import ANN, BEN, START, VIEW, grade, pair, wish

CROWD = Crowd(qualities=(1.5, -1.5, 0.9, 0.8, 0.1, -2.0), votes=(24,) * 40, idle=0.1, tie=0.2)
REFERENCES = {"v1": "v0", "v2": "v0"}


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
    return votes_zip(votes, CROWD.systems, REFERENCES)


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
        "decision_ms": 4300,
        "viewport": [1300, 700],
        "pixel_ratio": 1.0,
        "zoom": 0.1,
    }


def test_a_forgotten_rater_is_not_given_away() -> None:
    records: list[Record] = [pair(1, ANN), pair(2, BEN), grade(3, ANN), wish(4, ANN)]
    [line] = anonymous_lines(records)
    assert json.loads(line)["picture"] == "picture2"
    assert json.loads(line)["rater"] == "r1"


def test_equal_votes_make_equal_files(votes: tuple[Vote, ...], exported: bytes) -> None:
    assert votes_zip(votes[::-1], CROWD.systems, REFERENCES) == exported
    assert votes_zip(votes[:40], CROWD.systems, REFERENCES) != votes_zip(votes[:41], CROWD.systems, REFERENCES)


def test_no_votes_make_a_file_too() -> None:
    content = votes_zip((), ("original", "bicubic", "tiny"), {})
    files = unpacked(content)
    assert files["votes.jsonl"] == b""
    rows = rows_of(files["table.csv"].decode())
    assert {row["votes"] for row in rows.values()} == {"0"}
    assert next(csv.reader(io.StringIO(files["table.csv"].decode()))) == [n for group in COLUMNS for n in group]


def test_a_margin_is_kept_in_the_file(votes: tuple[Vote, ...]) -> None:
    board = json.loads(unpacked(votes_zip(votes, CROWD.systems, REFERENCES, margin=3.0))["board.json"])
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
