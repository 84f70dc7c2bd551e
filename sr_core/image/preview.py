"""What a browser is shown of a picture: 8-bit sRGB without metadata, since browsers cannot show HEIC or 16 bits."""

from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from sr_core.image.colour import to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.picture import Picture
from sr_core.image.resize import area_average

__all__ = ["reduced", "save_png", "to_srgb_preview"]

_BACKGROUND: Final = 255
_FAST: Final = 1
_BAND_ROWS: Final = 256


def to_srgb_preview(picture: Picture, max_side: int | None = None) -> NDArray[np.uint8]:
    """Returns a picture as sRGB for display, alpha laid over white.

    The colour of a pixel depends on that pixel alone, so a crop looks as it does in the whole picture.

    Args:
        picture: Any picture, or a crop of one.
        max_side: Longest side of the preview; a larger picture is averaged down, a smaller one is left as it is.
            None keeps the size.

    Returns:
        (H, W, 3).
    """
    picture = reduced(picture, max_side)
    shown = cast("NDArray[np.uint8]", to_srgb(picture.pixels, picture.bit_depth, picture.metadata, bits=8))
    if picture.alpha is None:
        return shown
    opacity = change_depth(picture.alpha, picture.bit_depth, 8)
    laid = np.empty_like(shown)
    for top in range(0, shown.shape[0], _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        share = opacity[band, :, np.newaxis].astype(np.uint16)
        laid[band] = (shown[band] * share + _BACKGROUND * (255 - share) + 127) // 255
    return laid


def reduced(picture: Picture, max_side: int | None) -> Picture:
    """Returns a picture averaged down.

    Args:
        picture: Any picture.
        max_side: Longest side wanted; a picture that is not larger is returned as it is. None keeps the size.
    """
    longest = max(picture.height, picture.width)
    if max_side is None or longest <= max_side:
        return picture
    height, width = (max(1, round(side * max_side / longest)) for side in (picture.height, picture.width))
    alpha = picture.alpha
    if alpha is not None:
        alpha = area_average(alpha[:, :, np.newaxis], height, width)[:, :, 0]
    return replace(picture, pixels=area_average(picture.pixels, height, width), alpha=alpha)


def save_png(array: NDArray[np.uint8], path: Path) -> None:
    """Writes a preview fast, as a PNG without any metadata.

    Args:
        array: (H, W, 3) sRGB.
        path: File to write; a file of this name is replaced.
    """
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array), level=_FAST))
