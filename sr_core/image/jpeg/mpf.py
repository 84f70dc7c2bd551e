"""The index of a JPEG file that holds several pictures, one behind the other.

Source: CIPA DC-007 (Multi-Picture Format), 5.2.
"""

import struct
from collections.abc import Sequence
from typing import Final

from sr_core.image.jpeg.segments import APP2, segment

__all__ = ["MARK", "index_segment", "indexed_pictures"]

MARK: Final = b"MPF\x00"
"""What the body of its segment starts with."""

_VERSION: Final = 0xB000
_COUNT: Final = 0xB001
_ENTRIES: Final = 0xB002
_UNDEFINED: Final = 7
_LONG: Final = 4
_IFD_ENTRY_BYTES: Final = 12
_ENTRY_BYTES: Final = 16
_MOST_TAGS: Final = 64
_MOST_PICTURES: Final = 256
_PRIMARY: Final = 0x030000  # baseline primary picture, JPEG, no dependence
_BEGIN: Final = b"MM\x00*\x00\x00\x00\x08"


def indexed_pictures(body: bytes, at: int) -> tuple[tuple[int, int], ...]:
    """Returns where each picture that an index lists starts and ends in the file; the first is the primary one.

    A picture that is counted and not listed is said to start and end at 0. Nothing is known yet of whether a place is
    in the file.

    Args:
        body: Body of the segment.
        at: Its offset in the file.

    Raises:
        ValueError: The index is broken, or lists far too many pictures.
    """
    index = body.removeprefix(MARK)
    base = at + len(MARK)
    order = "<" if index[:2] == b"II" else ">"
    try:
        first = struct.unpack_from(order + "I", index, 4)[0]
        tags = min(struct.unpack_from(order + "H", index, first)[0], _MOST_TAGS)
        values = dict(
            struct.unpack_from(order + "H6xI", index, first + 2 + _IFD_ENTRY_BYTES * tag) for tag in range(tags)
        )
    except struct.error as error:
        raise ValueError("the index of pictures is cut short") from error
    count, entries_at = values.get(_COUNT, 1), values.get(_ENTRIES, len(index))
    if count > _MOST_PICTURES:
        raise ValueError("far too many pictures in the index")
    places: list[tuple[int, int]] = []
    for number in range(count):
        at_entry = entries_at + _ENTRY_BYTES * number
        is_listed = at_entry + _ENTRY_BYTES <= len(index)
        size, offset = struct.unpack_from(order + "4xII", index, at_entry) if is_listed else (0, 0)
        start = base + offset if offset else 0
        places.append((start, start + size))
    return tuple(places)


def index_segment(at: int, sizes_bytes: Sequence[int]) -> bytes:
    """Returns the segment with the index of pictures that follow each other without gaps.

    Args:
        at: Offset of the segment in the file.
        sizes_bytes: Size of each picture, this segment counted in the first.
    """
    base = at + 4 + len(MARK)
    places_at = len(_BEGIN) + 2 + 3 * _IFD_ENTRY_BYTES + 4
    tags = (
        struct.pack(">HHI4s", _VERSION, _UNDEFINED, 4, b"0100"),
        struct.pack(">HHII", _COUNT, _LONG, 1, len(sizes_bytes)),
        struct.pack(">HHII", _ENTRIES, _UNDEFINED, _ENTRY_BYTES * len(sizes_bytes), places_at),
    )
    start = 0
    places: list[bytes] = []
    for size in sizes_bytes:
        kind, offset = (_PRIMARY, 0) if start == 0 else (0, start - base)
        places.append(struct.pack(">IIIHH", kind, size, offset, 0, 0))
        start += size
    index = _BEGIN + struct.pack(">H", len(tags)) + b"".join(tags) + bytes(4) + b"".join(places)
    return segment(APP2, MARK + index)
