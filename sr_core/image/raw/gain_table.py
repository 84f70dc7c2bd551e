"""The local tone map of a DNG (ProfileGainTableMap), turned with its picture.

It says by how much each part of the picture is brightened, in coordinates from 0 to 1, so it fits any number of pixels
of the same view. Its numbers are in the byte order of the file although TIFF calls the value undefined bytes.

Source: Adobe, Digital Negative Specification 1.7.1, chapter 6, ProfileGainTableMap.
"""

import struct
from typing import Final

import numpy as np

from sr_core.image.orientation import swaps_sides, upright
from sr_core.image.tiff.ifd import Order

__all__ = ["GAIN_TABLE", "turned_gain_table"]

GAIN_TABLE: Final = 52525
_HEADER: Final = "2I4dI5f"  # points down and across, spacings, origins, points of the curve, weights of its input
_ROWS_REVERSED: Final = (3, 4, 7, 8)
_COLUMNS_REVERSED: Final = (2, 3, 6, 7)


def turned_gain_table(data: bytes, order: Order, orientation: int) -> bytes | None:
    """Returns the table for the upright picture, in little-endian order; None where its size is not what it says.

    Args:
        data: The value of the tag.
        order: Byte order of the file.
        orientation: EXIF orientation 1 to 8 of the picture that it was made for.
    """
    sign = "<" if order == "little" else ">"
    header_bytes = struct.calcsize(f"={_HEADER}")
    if len(data) < header_bytes:
        return None
    down, across, *places, depth, w0, w1, w2, w3, w4 = struct.unpack(sign + _HEADER, data[:header_bytes])
    if not down * across * depth or len(data) != header_bytes + 4 * down * across * depth:
        return None
    table = np.frombuffer(data, f"{sign}u4", offset=header_bytes).reshape(down, across, depth)
    turned = upright(table.view(np.uint16).reshape(down, across, 2 * depth), orientation)
    (space_down, space_across, from_top, from_left) = places
    if swaps_sides(orientation):
        space_down, space_across, from_top, from_left = space_across, space_down, from_left, from_top
    down, across = turned.shape[:2]
    if orientation in _ROWS_REVERSED:
        from_top = 1 - from_top - (down - 1) * space_down
    if orientation in _COLUMNS_REVERSED:
        from_left = 1 - from_left - (across - 1) * space_across
    header = struct.pack(
        f"<{_HEADER}", down, across, space_down, space_across, from_top, from_left, depth, w0, w1, w2, w3, w4
    )
    return header + turned.view(f"{sign}u4").astype("<u4").tobytes()
