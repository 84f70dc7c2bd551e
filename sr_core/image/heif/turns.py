"""The turns of a picture in a HEIF file, irot and imir, as EXIF orientations.

Source: ISO/IEC 23008-12:2022, 6.5.10 (irot) and 6.5.12 (imir); CIPA DC-008 (Exif 2.32), 4.6.4 A, Orientation.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from sr_core.image.heif.items import Property
from sr_core.image.orientation import upright
from sr_core.image.picture import Samples

__all__ = ["TURNS", "stored_view", "turn_of", "turn_properties"]

TURNS: Final = (b"irot", b"imir")

_CORNERS: Final = ((1, 2), (3, 4))
_ANGLES: Final = {3: 2, 6: 3, 8: 1, 5: 1, 7: 3}
_MIRRORED: Final = {2: 1, 4: 0, 5: 0, 7: 0}


def turn_of(properties: Iterable[Property]) -> int:
    """Returns the EXIF orientation that does the same to a picture as its irot and imir, in their order.

    Raises:
        ValueError: One of them has no body.
    """
    corners = np.array(_CORNERS, dtype=np.uint8)
    for prop in properties:
        if prop.kind in TURNS and not prop.body:
            raise ValueError("a turn without an angle or axis")
        if prop.kind == b"irot":
            corners = np.rot90(corners, prop.body[0] & 3)  # anti-clockwise
        elif prop.kind == b"imir":
            corners = corners[:, ::-1] if prop.body[0] & 1 else corners[::-1]
    plain = np.array(_CORNERS, dtype=np.uint8)
    return next(turn for turn in range(1, 9) if np.array_equal(upright(plain, turn), corners))


def turn_properties(orientation: int) -> tuple[Property, ...]:
    """Returns the irot and imir that do the same to a picture as an EXIF orientation; none for 1."""
    turns: list[Property] = []
    if orientation in _ANGLES:
        turns.append(Property(kind=b"irot", body=bytes((_ANGLES[orientation],)), essential=True))
    if orientation in _MIRRORED:
        turns.append(Property(kind=b"imir", body=bytes((_MIRRORED[orientation],)), essential=True))
    return tuple(turns)


def stored_view(samples: Samples, orientation: int) -> Samples:
    """Returns an upright picture as it is stored when an EXIF orientation turns it upright; nothing is copied.

    Args:
        samples: (H, W, C) or (H, W).
        orientation: EXIF orientation.
    """
    backward = {6: 8, 8: 6}.get(orientation, orientation)
    view = samples.swapaxes(0, 1) if backward in (5, 6, 7, 8) else samples
    rows = slice(None, None, -1 if backward in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if backward in (2, 3, 6, 7) else 1)
    return view[rows, columns]
