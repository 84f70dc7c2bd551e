"""Photoshop's resources, which hold IPTC notes among others, without the thumbnails that a new picture makes stale.

Source: Adobe Photoshop file formats specification (2019), "Image resource blocks".
"""

import struct
from typing import Final

__all__ = ["MARK", "without_thumbnails"]

MARK: Final = b"Photoshop 3.0\x00"
"""What the body of each of their segments in a JPEG starts with."""

_THUMBNAILS: Final = frozenset({0x0409, 0x040C})
_SIGNATURE: Final = b"8BIM"


def without_thumbnails(resources: bytes) -> bytes:
    """Returns resources without thumbnails; from where they are broken on, they stay as they are.

    Args:
        resources: What follows the mark, put together from all segments.
    """
    kept: list[bytes] = []
    at = 0
    while resources[at : at + 4] == _SIGNATURE and at + 12 <= len(resources):
        name_bytes = (resources[at + 6] + 2) & ~1  # with its length in front, padded to even
        size_at = at + 6 + name_bytes
        if size_at + 4 > len(resources):
            break
        size = struct.unpack_from(">I", resources, size_at)[0]
        end = size_at + 4 + size + (size & 1)
        if size_at + 4 + size > len(resources):
            break
        if struct.unpack_from(">H", resources, at + 4)[0] not in _THUMBNAILS:
            kept.append(resources[at:end])
        at = end
    return b"".join((*kept, resources[at:]))
