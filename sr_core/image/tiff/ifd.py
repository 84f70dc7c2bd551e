"""Directories of TIFF files and of EXIF blocks, read from untrusted bytes and written anew.

Nothing is followed and nothing is taken on trust: a directory lists what it says, as far as it lies inside the bytes,
and values are fetched one by one. Classic TIFF, BigTIFF and the few marks under which cameras hide a TIFF are read.

Source: TIFF 6.0, section 2; the BigTIFF design (Adobe, AWare Systems, 2007); CIPA DC-008 (Exif 2.32), 4.6.2.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Directory", "Entry", "Form", "Numbers", "Order", "Value", "directory_bytes", "form_of", "reordered"]

Order: TypeAlias = Literal["little", "big"]
Numbers: TypeAlias = tuple[int | float, ...]

_MOST_ENTRIES: Final = 4096
_CLASSIC: Final = 42
_BIG: Final = 43
_RAW_MARKS: Final = (0x55, 0x4F52, 0x5352)  # Panasonic RW2; Olympus ORF ("RO" and "RS")

# Size of a value of each type, and of the parts that byte order turns around (a rational is two numbers).
_TYPE_BYTES: Final = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1,
}  # fmt: skip
_RATIONALS: Final = (5, 10)
_LETTERS: Final = {
    1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How the numbers of a TIFF are written.

    Attributes:
        order: Byte order.
        is_big: Whether offsets and counts have 8 bytes, as in a BigTIFF, and not 4.
        first_at: Offset of IFD0.
        is_standard: Whether the file names itself a TIFF, and not a RAW file that has tags of its own.
    """

    order: Order
    is_big: bool
    first_at: int
    is_standard: bool = True

    @property
    def offset_bytes(self) -> int:
        """Size of an offset, and of the values that an entry holds itself."""
        return 8 if self.is_big else 4

    @property
    def header_bytes(self) -> int:
        """Size of the header, before which nothing can lie."""
        return 16 if self.is_big else 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a directory whose values lie inside the bytes.

    Attributes:
        tag: What it is.
        kind: Type of its values (TIFF 6.0, section 2).
        count: How many values.
        at: Offset of the values, in the entry or elsewhere.
        entry_at: Offset of the entry itself.
    """

    tag: int
    kind: int
    count: int
    at: int
    entry_at: int

    @property
    def size_bytes(self) -> int:
        """Size of the values."""
        return self.count * _TYPE_BYTES[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One entry of a directory to be written.

    Attributes:
        tag: What it is.
        kind: Type of its values.
        count: How many values.
        data: The values, in the byte order of the file that they go into.
    """

    tag: int
    kind: int
    count: int
    data: bytes


class Directory:
    """What one directory lists.

    Args:
        data: The file or block.
        form: How its numbers are written.
        at: Offset of the directory.

    Attributes:
        entries: By tag; of entries with the same tag the first counts.
        is_whole: Whether every entry could be read.
        end: Offset behind the entries, where that of the next directory is written.
        next_at: Offset of the next directory, or 0.
    """

    def __init__(self, data: bytes, form: Form, at: int) -> None:
        self._data = data
        self._form = form
        self.entries: dict[int, Entry] = {}
        self.is_whole = True
        self.end = at
        self.next_at = 0
        count_bytes, entry_bytes = (8, 20) if form.is_big else (2, 12)
        if at < form.header_bytes or at + count_bytes > len(data):
            self.is_whole = False
            return
        count = self._number(at, count_bytes)
        room = (len(data) - at - count_bytes) // entry_bytes
        if count > min(room, _MOST_ENTRIES):
            self.is_whole = False
        starts = at + count_bytes
        for number in range(min(count, room, _MOST_ENTRIES)):
            self._take(starts + number * entry_bytes)
        self.end = starts + count * entry_bytes
        if self.is_whole:
            self.next_at = self._number(self.end, form.offset_bytes)

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def _number(self, at: int, size: int) -> int:
        """Returns the unsigned number at an offset, as much of it as is there."""
        return int.from_bytes(self._data[at : at + size], self._form.order)

    def _take(self, at: int) -> None:
        """Adds the entry at an offset, unless its values are not there."""
        room = self._form.offset_bytes
        tag, kind, count = self._number(at, 2), self._number(at + 2, 2), self._number(at + 4, room)
        size = _TYPE_BYTES.get(kind, 0) * count
        values_at = at + 4 + room if size <= room else self._number(at + 4 + room, room)
        is_inside = self._form.header_bytes <= values_at and values_at + size <= len(self._data)
        if kind not in _TYPE_BYTES or not is_inside:
            self.is_whole = False
        elif tag not in self.entries:
            self.entries[tag] = Entry(tag=tag, kind=kind, count=count, at=values_at, entry_at=at)

    def data_of(self, entry: Entry, most: int | None = None) -> bytes:
        """Returns the values of an entry as they are stored.

        Args:
            entry: One of this directory.
            most: Take no more than this many values.
        """
        count = entry.count if most is None else min(entry.count, most)
        return self._data[entry.at : entry.at + count * _TYPE_BYTES[entry.kind]]

    def value_of(self, entry: Entry) -> Value:
        """Returns an entry with its values, as they are stored."""
        return Value(tag=entry.tag, kind=entry.kind, count=entry.count, data=self.data_of(entry))

    def numbers(self, tag: int, most: int = 64) -> Numbers:
        """Returns the first values of a tag as numbers; empty where there is none, or where they are no numbers.

        Args:
            tag: Which.
            most: How many values to return at most.
        """
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        sign = "<" if self._form.order == "little" else ">"
        data = self.data_of(entry, most)
        if entry.kind in _RATIONALS:
            parts = struct.unpack(f"{sign}{len(data) // 4}{'I' if entry.kind == 5 else 'i'}", data)
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return tuple(above / below if below else 0.0 for above, below in pairs)
        letter = _LETTERS.get(entry.kind)
        return () if letter is None else struct.unpack(f"{sign}{len(data) // _TYPE_BYTES[entry.kind]}{letter}", data)

    def whole(self, tag: int, default: int = 0) -> int:
        """Returns the first value of a tag as an integer, or a default where there is none."""
        found = self.numbers(tag, 1)
        return found[0] if found and isinstance(found[0], int) else default


def form_of(data: bytes) -> Form | None:
    """Returns how the numbers of a TIFF, a file built like one, or an EXIF block are written; None for other bytes.

    Args:
        data: From its first byte; 16 bytes are enough.
    """
    order: Order
    match data[:2]:
        case b"II":
            order = "little"
        case b"MM":
            order = "big"
        case _:
            return None
    mark = int.from_bytes(data[2:4], order)
    if mark == _BIG:
        if len(data) < 16 or int.from_bytes(data[4:6], order) != 8:
            return None
        return Form(order=order, is_big=True, first_at=int.from_bytes(data[8:16], order))
    if len(data) < 8 or (mark != _CLASSIC and mark not in _RAW_MARKS):
        return None
    first_at = int.from_bytes(data[4:8], order)
    return Form(order=order, is_big=False, first_at=first_at, is_standard=mark == _CLASSIC)


def reordered(value: Value) -> Value:
    """Returns the value for a file of the other byte order, its bytes turned around by its type."""
    size = _TYPE_BYTES[value.kind] // (2 if value.kind in _RATIONALS else 1)
    if size == 1:
        return value
    turned = bytearray(len(value.data))
    for place in range(size):
        turned[place::size] = value.data[size - 1 - place :: size]
    return Value(tag=value.tag, kind=value.kind, count=value.count, data=bytes(turned))


def directory_bytes(values: Sequence[Value], at: int, form: Form, next_at: int = 0) -> bytes:
    """Returns a directory with the values that do not fit into its entries behind it.

    Args:
        values: What it lists, in any order; in the byte order of ``form``.
        at: Even offset where the result will lie.
        form: How numbers are written.
        next_at: Offset of the next directory.

    Returns:
        An even number of bytes; it depends on ``values`` alone, not on what offsets say.

    Raises:
        OverflowError: An offset does not fit.
    """
    room, order = form.offset_bytes, form.order
    count_bytes = 8 if form.is_big else 2
    listed = sorted(values, key=lambda value: value.tag)
    entries = bytearray(len(listed).to_bytes(count_bytes, order))
    outside = bytearray()
    outside_at = at + count_bytes + len(listed) * (4 + 2 * room) + room
    for value in listed:
        entries += value.tag.to_bytes(2, order) + value.kind.to_bytes(2, order) + value.count.to_bytes(room, order)
        if len(value.data) <= room:
            entries += value.data.ljust(room, b"\x00")
        else:
            entries += (outside_at + len(outside)).to_bytes(room, order)
            outside += value.data + bytes(len(value.data) % 2)
    return bytes(entries + next_at.to_bytes(room, order) + outside)
