"""The segments of a JPEG file before its first scan: found in a file, and made for one; and where its picture ends.

Source: ITU-T T.81, Annex B.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = [
    "APP0", "APP1", "APP2", "APP13", "COMMENT", "FRAMES", "MOST_BODY_BYTES", "START", "Segment", "end_of_picture",
    "find_segments", "segment", "segments_of",
]  # fmt: skip

START: Final = b"\xff\xd8"
APP0: Final = 0xE0
APP1: Final = 0xE1
APP2: Final = 0xE2
APP13: Final = 0xED
COMMENT: Final = 0xFE
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The markers of frame headers."""
MOST_BODY_BYTES: Final = 65533

_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN: Final = 0xDA
_BEGIN: Final = 0xD8
_END: Final = 0xD9
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # stuffing and restarts are part of a scan
# A long ICC profile takes 255, the longest XMP packet that is read a few hundred.
_MOST_SCANS: Final = 200
_MOST_SEGMENTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment; ``at`` is the offset of its body in the file."""

    marker: int
    body: bytes
    at: int


def find_segments(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Segment]:
    """Yields the segments of a JPEG up to its first scan.

    Args:
        data: A file.
        start: Where in it the JPEG starts.
        end: Where in it the JPEG ends at the latest; None for the end of the file.

    Raises:
        ValueError: They are broken, cut short or far too many.
    """
    end = len(data) if end is None else end
    at = start + len(START)
    for _ in range(_MOST_SEGMENTS):
        if at >= end or data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        while at < end and data[at] == 0xFF:
            at += 1
        if at + 3 > end or data[at] == _SCAN:
            return
        marker, at = data[at], at + 1
        if marker in _ALONE:
            continue
        size = struct.unpack_from(">H", data, at)[0]
        if size < 2 or at + size > end:
            raise ValueError("a segment is cut short")
        yield Segment(marker=marker, body=data[at + 2 : at + size], at=at + 2)
        at += size
    raise ValueError("far too many segments")


def end_of_picture(data: bytes, start: int = 0) -> int | None:
    """Returns the offset behind a JPEG, or None when it is cut short or broken.

    Args:
        data: A file.
        start: Where in it the JPEG starts.

    Raises:
        ValueError: It has far more scans than a progressive JPEG needs: each takes as long as a whole picture.
    """
    at, scans = start + len(START), 0
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)  # behind a segment it is there at once, behind the head of a scan far away
        if found is None:
            return None
        marker, at = data[found.end() - 1], found.end()
        if marker == _END:
            return at
        if marker == _BEGIN or at + 2 > len(data):
            return None
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise ValueError("far too many scans")
        if marker not in _ALONE:
            at += struct.unpack_from(">H", data, at)[0]
    return None


def segment(marker: int, body: bytes) -> bytes:
    """Returns a segment.

    Args:
        marker: Its marker.
        body: Its body, at most ``MOST_BODY_BYTES``.
    """
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def segments_of(marker: int, mark: bytes, data: bytes) -> Iterator[bytes]:
    """Yields as many segments as a block of data takes, each with a mark in front."""
    room = MOST_BODY_BYTES - len(mark)
    for start in range(0, len(data), room):
        yield segment(marker, mark + data[start : start + room])
