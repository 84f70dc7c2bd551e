"""What a browser is shown of a picture: 8-bit sRGB without metadata, since browsers cannot show HEIC or 16 bits."""

from pathlib import Path
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from sr_core.image.colour import to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.picture import Picture
from sr_core.image.resize import area_average

__all__ = ["save_png", "to_srgb_preview"]

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
    pixels, alpha = picture.pixels, picture.alpha
    longest = max(picture.height, picture.width)
    if max_side is not None and longest > max_side:
        height = max(1, round(picture.height * max_side / longest))
        width = max(1, round(picture.width * max_side / longest))
        pixels = area_average(pixels, height, width)
        alpha = None if alpha is None else area_average(alpha[:, :, np.newaxis], height, width)[:, :, 0]
    shown = to_srgb(pixels, picture.bit_depth, picture.metadata)
    if alpha is None:
        return shown
    opacity = change_depth(alpha, picture.bit_depth, 8)
    laid = np.empty_like(shown)
    for top in range(0, shown.shape[0], _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        share = opacity[band, :, np.newaxis].astype(np.uint16)
        laid[band] = (shown[band] * share + _BACKGROUND * (255 - share) + 127) // 255
    return laid


def save_png(array: NDArray[np.uint8], path: Path) -> None:
    """Writes a preview fast, as a PNG without any metadata.

    Args:
        array: (H, W, 3) sRGB.
        path: File to write; a file of this name is replaced.
    """
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(array), level=_FAST))
