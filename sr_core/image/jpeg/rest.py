"""What stands behind the picture of a JPEG file, where cameras and phones append what the picture has no room for.

Source: CIPA DC-007, 4 (pictures behind the first one); Dynamic Depth 1.0 and its forerunner, Depthmap Metadata.
"""

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from sr_core.image.jpeg.segments import START, end_of_picture
from sr_core.image.xmp import without_claims

__all__ = ["has_rest", "picture_behind", "without_depth_claims"]

_NO_PADDING: Final = re.compile(rb"[^\x00\t\n\r ]")
_MOST_PADDING_BYTES: Final = 16  # so few bytes are what some writer left over
_DEPTH_IN_XMP: Final = ("GDepth:", "GImage:")
_DEPTH_IN_ITEMS: Final = ("Device:Cameras", "Device:Profiles", "Device:Container")


def picture_behind(data: bytes, end: int) -> tuple[int, int] | None:
    """Returns where a JPEG that directly follows a picture starts and ends, or None without a whole one.

    Args:
        data: A file.
        end: Where its picture ends; padding may follow.
    """
    found = _NO_PADDING.search(data, end)
    if found is None or not data.startswith(START + b"\xff", found.start()):
        return None
    its_end = end_of_picture(data, found.start())
    return None if its_end is None else (found.start(), its_end)


def has_rest(data: bytes, end: int, places: Iterable[tuple[int, int]]) -> bool:
    """Returns whether more than padding follows the picture of a file.

    Args:
        data: A file.
        end: Where its picture ends.
        places: Where things that are known start and end; they do not count.
    """
    count = 0
    for start, stop in (*sorted(places), (len(data), len(data))):
        count += sum(1 for _ in islice(_NO_PADDING.finditer(data, end, max(start, end)), _MOST_PADDING_BYTES + 1))
        end = max(end, stop)
    return count > _MOST_PADDING_BYTES


def without_depth_claims(xmp: bytes, extension: bytes) -> bytes:
    """Returns the XMP without what it says of a depth map behind the picture; one that XMP itself holds stays.

    Args:
        xmp: XMP packet of the photo.
        extension: Its second packet; empty without one.
    """
    names = [(prefix, f"{prefix}Data".encode()) for prefix in _DEPTH_IN_XMP]
    behind = tuple(prefix for prefix, name in names if name not in xmp and name not in extension)
    return without_claims(xmp, behind + _DEPTH_IN_ITEMS)
