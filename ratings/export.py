"""Votes to give away: without whose they are, with the table that they make and the code that makes it."""

import ast
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ratings.rank import MARGIN
from ratings.table import csv_from
from ratings.vote import OWN, Forget, GradeVote, PairVote, Record, Vote, line_of

__all__ = ["anonymous_lines", "finished", "votes_zip"]

_ROOT: Final = Path(__file__).parent.parent
_TEMPLATES: Final = Path(__file__).parent / "templates"
_FIRST_MODULE: Final = "ratings.table"
_LIBRARIES: Final = ("numpy", "pydantic", "scipy")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of all files: the earliest that a zip can have, so that equal votes make equal files."""
_MS_STEP: Final = 500
_PIXEL_STEP: Final = 200
_FINISHED: Final = """\
The votes are those of finished days, in UTC: those of the day on which this file was made come later, so that nobody
can tell from two files which votes are of the person who has just voted.\
"""
_ALL: Final = """\
All votes are here, also those of the day on which this file was made. It is for their owner: who has two such files can
tell which votes are of a person who voted in between. The app gives away those of finished days alone.\
"""


def anonymous_lines(records: Sequence[Record]) -> tuple[str, ...]:
    """Returns votes as lines of JSON that do not tell whose they are or when on a day they were given.

    Raters are called r1, r2 and so on, and own photos own1, own2: in an order that nobody can tell who does not have
    the words of all raters, and that is another one whenever there is another vote. So are the lines. Wishes to forget
    are left out, and votes that they are about.
    """
    forgotten = {word for record in records if isinstance(record, Forget) for word in record.raters}
    votes = [record for record in records if not isinstance(record, Forget) and record.rater not in forgotten]
    salt = hashlib.sha256("\n".join(sorted(line_of(vote) for vote in votes)).encode()).digest()

    def place(word: str) -> bytes:
        return hashlib.sha256(salt + word.encode()).digest()

    raters = _numbered("r", sorted({vote.rater for vote in votes}, key=place))
    photos = _numbered(OWN, sorted({vote.picture for vote in votes if _is_own(vote)}, key=place))
    return tuple(
        _line_of(vote, raters[vote.rater], photos[vote.picture] if _is_own(vote) else vote.picture)
        for vote in sorted(votes, key=lambda vote: place(vote.id))
    )


def finished(records: Sequence[Record], at: datetime) -> tuple[Record, ...]:
    """Returns the votes of days that are over at a time, in UTC, and all wishes to forget.

    Who fetches the votes again and again would otherwise see one line come when one person votes, and with it which of
    the other lines are that person's.
    """
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return tuple(record for record in records if isinstance(record, Forget) or record.at < midnight)


def votes_zip(
    records: Sequence[Record],
    systems: Sequence[str],
    references: Mapping[str, str],
    at: datetime | None,
    margin: float = MARGIN,
) -> bytes:
    """Returns a zip of votes, the table that they make, and the code that makes it; the same for equal votes.

    Args:
        records: All that is stored.
        systems: Which may stand on the board.
        references: From a variant to the full-precision network that it was made from.
        at: When it is given away: the votes of days that are over by then are in it. None for all votes, which are for
            their owner alone.
        margin: Difference in log odds that counts as none.
    """
    lines = anonymous_lines(records if at is None else finished(records, at))
    board = json.dumps({"systems": list(systems), "references": dict(references), "margin": margin}, indent=1)
    files = {
        "README.txt": _read_me(_ALL if at is None else _FINISHED),
        "LICENSE.txt": (_ROOT / "LICENSE").read_bytes(),
        "votes.jsonl": "".join(line + "\n" for line in lines).encode(),
        "table.csv": csv_from(lines, board).encode(),
        "board.json": (board + "\n").encode(),
        "make_table.py": (_TEMPLATES / "make_table.py").read_bytes(),
        "requirements.txt": "".join(f"{library}=={version(library)}\n" for library in _LIBRARIES).encode(),
    }
    files |= {path.relative_to(_ROOT).as_posix(): path.read_bytes() for path in _sources(_FIRST_MODULE)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(member, content)
    return stream.getvalue()


def _read_me(which: str) -> bytes:
    return (_TEMPLATES / "export.txt").read_text(encoding="utf-8").replace("{which}", which).encode()


def _is_own(vote: Vote) -> bool:
    return vote.picture_set == OWN


def _numbered(prefix: str, words: Iterable[str]) -> dict[str, str]:
    return {word: f"{prefix}{number}" for number, word in enumerate(words, start=1)}


def _line_of(vote: Vote, rater: str, picture: str) -> str:
    """Returns a vote as JSON, coarser where it could tell one rater from others."""
    fields: dict[str, Any] = {"kind": vote.kind, "day": vote.at.date().isoformat(), "rater": rater}
    fields |= {"picture_set": vote.picture_set, "picture": picture}
    match vote:
        case PairVote():
            fields |= {"left": vote.left, "right": vote.right, "choice": vote.choice}
        case GradeVote():
            fields |= {"system": vote.system, "grade": vote.grade}
    view = vote.view
    fields["view"] = {
        "decision_ms": _in_steps(view.decision_ms, _MS_STEP),
        "viewport": [_in_steps(side, _PIXEL_STEP) for side in view.viewport],
        "pixel_ratio": max(round(view.pixel_ratio, 1), 0.1),
        "zoom": max(round(view.zoom, 1), 0.1),
    }
    return json.dumps(fields)


def _in_steps(value: int, step: int) -> int:
    return round(value / step) * step


def _sources(module: str) -> list[Path]:
    """Returns the files of a module of this project and of all that it imports, packages included, in a fixed order."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _ROOT.joinpath(*name.split("."))
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source in found or not source.is_file():
            continue
        found.add(source)
        package = name.rpartition(".")[0]
        waiting += [*([package] if package else []), *_imported(source)]
    return sorted(found)


def _imported(source: Path) -> list[str]:
    """Returns the modules that a file of the project imports; the project has no relative imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.partition(".")[0] in ("ratings", "sr_core")]
