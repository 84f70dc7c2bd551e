"""The board as tables of text, and the votes that are given away, read again.

With the modules that it imports, this is the code that makes the table from the raw votes; both are in the file that
:func:`ratings.export.votes_zip` returns.
"""

import csv
import io
import json
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, cast

from ratings.board import Board, Equivalence, GradeScore, PairScore
from ratings.rank import board_of
from ratings.vote import ORIGINAL, Vote, record_of
from sr_core.errors import VoteError

__all__ = ["COLUMNS", "csv_from", "csv_of", "text_of", "votes_of"]

COLUMNS: Final = (
    ("system", "rank", "group", "standing", "votes", "score", "low", "high"),
    ("reference", "difference", "difference_low", "difference_high", "verdict", "votes_needed"),
    ("mos", "mos_low", "mos_high", "dmos", "grades"),
    ("own_mos", "own_mos_low", "own_mos_high", "own_grades"),
)
"""Of the table: by pairs, against full precision, by grades on the set of pictures, by grades on own photos. A system
with too few votes has no figures, as on the board."""


def csv_from(lines: Iterable[str], board: str) -> str:
    """Returns the table that votes make.

    Args:
        lines: The votes, as :func:`ratings.export.anonymous_lines` makes them.
        board: JSON with the systems, the full-precision network of each variant that has one, and the margin.

    Raises:
        VoteError: A line is no vote.
    """
    asked = cast(dict[str, Any], json.loads(board))
    return csv_of(board_of(votes_of(lines), asked["systems"], asked["references"], asked["margin"]))


def votes_of(lines: Iterable[str]) -> tuple[Vote, ...]:
    """Returns votes that were given away; their ids and times are made up, but for the day.

    Raises:
        VoteError: A line is no vote.
    """
    return tuple(_vote_of(line, number) for number, line in enumerate(lines, start=1))


def csv_of(board: Board) -> str:
    """Returns the board as CSV, a row for each system in the order of the board."""
    verdicts, shown = {verdict.system: verdict for verdict in board.equivalences}, _shown(board)
    grades = {(grade.system, grade.own): grade for grade in board.grades}
    original = grades.get((ORIGINAL, False))
    has_dmos = original is not None and original.standing != "hidden"  # else it would tell of the original's score
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([name for group in COLUMNS for name in group])
    for pair in board.pairs:
        writer.writerow(
            [
                *_pair_cells(pair),
                *_verdict_cells(verdicts.get(pair.system), shown),
                *_grade_cells(grades.get((pair.system, False)), len(COLUMNS[2]), has_dmos=has_dmos),
                *_grade_cells(grades.get((pair.system, True)), len(COLUMNS[3]), has_dmos=False),
            ]
        )
    return stream.getvalue()


def text_of(board: Board) -> str:
    """Returns the board as aligned text for a terminal, and below it who was counted."""
    verdicts, shown = {verdict.system: verdict for verdict in board.equivalences}, _shown(board)
    rows = [("rank", "system", "score", "95 % interval", "votes", "group", "against full precision")]
    for pair in board.pairs:
        rank, group, standing, votes, score, low, high = _pair_cells(pair)[1:]
        verdict = verdicts.get(pair.system)
        words = "" if verdict is None or not _is_shown(verdict, shown) else _verdict_words(verdict)
        interval = f"{low} to {high}" if score else standing
        rows.append((rank, pair.system, score, interval, votes, group, words))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    looked = board.screening
    out = looked.raters_failed_golden + looked.raters_one_sided + looked.raters_inconsistent
    lines += [
        "",
        f"{looked.votes} votes of {looked.raters} raters; {looked.skips} skipped; "
        f"{looked.votes_left_out} votes of {out} raters left out.",
        f"{looked.golden_right} of {looked.golden} golden trials answered as they must be.",
    ]
    return "\n".join(lines)


def _vote_of(line: str, number: int) -> Vote:
    """Returns the vote of a line; its rater and an own photo get words as stored votes have them."""
    try:
        fields = cast(dict[str, Any], json.loads(line))
        day, rater = fields.pop("day"), int(fields.pop("rater").removeprefix("r"))
        fields |= {"id": f"{number:032x}", "at": f"{day}T00:00:00Z", "rater": f"{rater:016x}"}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise VoteError(f"Line {number} of the votes is no vote.") from error
    vote = record_of(json.dumps(fields))
    if vote.kind == "forget":
        raise VoteError(f"Line {number} of the votes is no vote.")
    return vote


def _pair_cells(pair: PairScore) -> tuple[str, ...]:
    is_shown = pair.standing != "hidden"
    figures = [_figure(value) if is_shown else "" for value in (pair.score, pair.low, pair.high)]
    rank, group = (str(pair.rank), pair.group) if is_shown else ("", "")
    return pair.system, rank, group, pair.standing, str(pair.votes), *figures


def _shown(board: Board) -> frozenset[str]:
    """Returns the systems that have a score."""
    return frozenset(pair.system for pair in board.pairs if pair.standing != "hidden")


def _is_shown(verdict: Equivalence, shown: Collection[str]) -> bool:
    """Returns whether both sides have a score, so that a difference tells of no score that is hidden."""
    return {verdict.system, verdict.reference} <= set(shown)


def _verdict_cells(verdict: Equivalence | None, shown: Collection[str]) -> Sequence[str]:
    if verdict is None:
        return [""] * len(COLUMNS[1])
    if not _is_shown(verdict, shown):
        return [verdict.reference, *[""] * (len(COLUMNS[1]) - 1)]
    figures = [_figure(value) for value in (verdict.difference, verdict.low, verdict.high)]
    needed = "" if verdict.votes_needed is None else str(verdict.votes_needed)
    return verdict.reference, *figures, verdict.verdict, needed


def _verdict_words(verdict: Equivalence) -> str:
    words = f"{verdict.verdict} ({_figure(verdict.low)} to {_figure(verdict.high)})"
    return words if verdict.votes_needed is None else f"{words}, about {verdict.votes_needed} more votes"


def _grade_cells(grade: GradeScore | None, columns: int, *, has_dmos: bool) -> Sequence[str]:
    """Returns the cells of a mean opinion score; with five columns, one is for the DMOS."""
    if grade is None:
        return [""] * columns
    figures: list[float | None] = [None] * (columns - 1)
    if grade.standing != "hidden":
        figures[:3] = grade.mos, grade.low, grade.high
        if has_dmos:
            figures[3] = grade.dmos
    return *map(_figure, figures), str(grade.votes)


def _figure(value: float | None) -> str:
    """Returns a number with four decimals, or nothing where there is none."""
    return "" if value is None or not math.isfinite(value) else f"{round(value, 4) + 0.0:.4f}"
