"""Parts: files of votes that never change, named by what they hold.

A part is JSONL, one record a line. Its name holds a piece of its sha256 and, for a fresh part, who wrote it, so two
writers never want the same name, and writing a part again changes nothing. What many fresh parts hold is folded into
merged ones (:func:`fold`), which keeps a repository to a few hundred files.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ratings.vote import Forget, Record, line_of, record_of
from sr_core.errors import VoteError

__all__ = [
    "FOLDER",
    "FULL_BYTES",
    "MERGED",
    "Folding",
    "Part",
    "fold",
    "fresh_part",
    "is_merged",
    "is_part_name",
    "order_of",
    "records_of",
]

FOLDER: Final = "votes/"
"""Where all parts are in a repository."""
MERGED: Final = "votes/merged/"
"""Where the merged ones are."""
FULL_BYTES: Final = 2_000_000
"""A merged part of this length is not merged again."""
_MOST_RECORDS: Final = 8000
"""Records of a merged part, about 4 MB: the Hub keeps much larger files apart from git."""

_HASH_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part: its path in a repository and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """What makes many parts few.

    Attributes:
        added: Merged parts to write.
        removed: Names of the parts that they replace.
        dropped: Copies of votes left out because their rater wants to be forgotten.
    """

    added: tuple[Part, ...]
    removed: tuple[str, ...]
    dropped: int


def fresh_part(lines: Sequence[str], day: date, writer: str, number: int) -> Part:
    """Returns the part of some lines.

    Args:
        lines: Records as lines, without their ends.
        day: Of the writing.
        writer: A random word of who writes.
        number: Larger for each part of a writer.
    """
    content = _content(lines)
    return Part(name=f"{FOLDER}{day.isoformat()}/{writer}-{number:08d}-{_hash(content)}.jsonl", content=content)


def is_part_name(path: str) -> bool:
    """Returns whether a path of a repository is that of a part."""
    return path.startswith(FOLDER) and path.endswith(".jsonl")


def is_merged(name: str) -> bool:
    """Returns whether a part was made of others."""
    return name.startswith(MERGED)


def records_of(content: bytes) -> tuple[list[Record], int]:
    """Returns the records of a part, and how many of its lines are none."""
    records, strange = _read(content)
    return records, len(strange)


def order_of(record: Record) -> tuple[int, str, str]:
    """Returns time in seconds, id and line: by these records are sorted, and of two rivals the lesser counts."""
    return int(record.at.timestamp()), record.id, line_of(record)


def fold(contents: Mapping[str, bytes], forgotten: Collection[str], full_bytes: int = FULL_BYTES) -> Folding:
    """Returns parts that hold what others hold, each record once and without the votes of some raters.

    Full parts stay as they are but for what must go, so that little is sent; all others become one, or few. The same
    records in other parts and another order make the same. A line that is no record is kept as it is, for whoever can
    read it, unless it names such a rater.

    Args:
        contents: Parts by name.
        forgotten: Words of raters; those of the wishes among the records count as well.
        full_bytes: Length from which on a merged part is full.
    """
    read = {name: _read(content) for name, content in contents.items()}
    words = {word for records, _ in read.values() for one in records if isinstance(one, Forget) for word in one.raters}
    words |= set(forgotten)
    full = sorted(name for name, content in contents.items() if is_merged(name) and len(content) >= full_bytes)
    groups = [[name] for name in full] + [sorted(set(contents) - set(full))]
    merged: list[Part] = []
    written: set[str] = set()
    dropped = 0
    for group in groups:
        first: dict[str, str] = {}
        for record in sorted((one for name in group for one in read[name][0]), key=order_of):
            if not isinstance(record, Forget) and record.rater in words:
                dropped += 1
            else:
                first.setdefault(record.id, line_of(record))
        strange = sorted({line for name in group for line in read[name][1]})
        kept = [line for line in strange if not any(word in line for word in words)]
        dropped += len(strange) - len(kept)
        lines = [line for line in (*first.values(), *kept) if line not in written]
        written.update(lines)
        merged += [_merged_part(lines[at : at + _MOST_RECORDS]) for at in range(0, len(lines), _MOST_RECORDS)]
    new = {part.name for part in merged}
    return Folding(
        added=tuple(part for part in merged if part.name not in contents),
        removed=tuple(sorted(name for name in contents if name not in new)),
        dropped=dropped,
    )


def _read(content: bytes) -> tuple[list[Record], list[str]]:
    """Returns the records of a part, and its lines that are none."""
    records: list[Record] = []
    strange: list[str] = []
    for line in content.decode(errors="replace").split("\n"):
        if line.strip():
            try:
                records.append(record_of(line))
            except VoteError:
                strange.append(line)
    return records, strange


def _merged_part(lines: Sequence[str]) -> Part:
    content = _content(lines)
    return Part(name=f"{MERGED}{_hash(content)}.jsonl", content=content)


def _content(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]
