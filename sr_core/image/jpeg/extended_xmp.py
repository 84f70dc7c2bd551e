"""The part of XMP that does not fit one segment of a JPEG: a second packet, which the first names by its digest.

Source: Adobe XMP specification, part 3 (2020), 1.1.3.1.
"""

import hashlib
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from sr_core.image.jpeg.segments import APP1, MOST_BODY_BYTES, segment

__all__ = ["MARK", "extension_segments", "joined_extension"]

MARK: Final = b"http://ns.adobe.com/xmp/extension/\x00"
"""What the body of each of its segments starts with."""

_HEAD: Final = struct.Struct(">32sII")
_NAMED: Final = re.compile(rb"xmpNote:HasExtendedXMP\s*+(?:=\s*+[\"']|>)\s*+([0-9A-Fa-f]{32})")


def joined_extension(bodies: Sequence[bytes], xmp: bytes | None) -> bytes | None:
    """Returns the second packet, or None when it is not whole or the first does not name it.

    Args:
        bodies: Bodies of its segments, in the order of the file.
        xmp: The first packet, or None without one.
    """
    named = _NAMED.search(xmp or b"")
    if named is None:
        return None
    parts: dict[int, bytes] = {}
    for body in bodies:
        if len(body) < len(MARK) + _HEAD.size:
            return None
        digest, _, offset = _HEAD.unpack_from(body, len(MARK))
        if digest.upper() == named[1].upper():
            parts[offset] = body[len(MARK) + _HEAD.size :]
    whole = b"".join(parts[offset] for offset in sorted(parts))
    return whole if _digest(whole) == named[1].upper() else None


def extension_segments(packet: bytes) -> Iterator[bytes]:
    """Yields the segments of a second packet."""
    digest = _digest(packet)
    room = MOST_BODY_BYTES - len(MARK) - _HEAD.size
    for start in range(0, len(packet), room):
        yield segment(APP1, MARK + _HEAD.pack(digest, len(packet), start) + packet[start : start + room])


def _digest(packet: bytes) -> bytes:
    return hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode()
