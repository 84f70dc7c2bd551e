"""Pictures at another size: bicubic (the baseline that a network must beat) and area averages (previews).

Work goes in bands of rows, so that memory holds the source and the result and little else.

Source: R. Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5 (Pillow's bicubic);
when a picture gets smaller the kernel is widened, which is the antialiased form.
"""

import math
from dataclasses import replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_core.image.picture import Picture
from sr_core.image.scratch import canvas, rest

__all__ = ["area_average", "bicubic", "bicubic_picture"]

_Sample = TypeVar("_Sample", bound=np.uint8 | np.uint16)

_BAND_SAMPLES: Final = 4_000_000
_SUPPORT: Final[dict[Image.Resampling, float]] = {Image.Resampling.BICUBIC: 2.0, Image.Resampling.BOX: 0.5}


def bicubic(pixels: NDArray[_Sample], height: int, width: int, *, peak: int | None = None) -> NDArray[_Sample]:
    """Returns pixels at another size by bicubic interpolation.

    Args:
        pixels: (H, W, C).
        height: Rows wanted.
        width: Columns wanted.
        peak: Largest value that a sample may have; the largest of the type when None.

    Returns:
        (height, width, C) of the same type, rounded once and clipped to 0 to ``peak``.
    """
    return _resample(pixels, height, width, Image.Resampling.BICUBIC, peak)


def area_average(pixels: NDArray[_Sample], height: int, width: int) -> NDArray[_Sample]:
    """Returns pixels at a smaller size, each the average of the area that it covers.

    Args:
        pixels: (H, W, C).
        height: Rows wanted, at most H.
        width: Columns wanted, at most W.
    """
    return _resample(pixels, height, width, Image.Resampling.BOX, None)


def bicubic_picture(picture: Picture, height: int, width: int) -> Picture:
    """Returns a picture at another size by bicubic interpolation, alpha included and metadata as it is."""
    alpha = picture.alpha
    if alpha is not None:
        alpha = bicubic(alpha[:, :, np.newaxis], height, width, peak=picture.peak)[:, :, 0]
    return replace(picture, pixels=bicubic(picture.pixels, height, width, peak=picture.peak), alpha=alpha)


def _resample(
    pixels: NDArray[_Sample], height: int, width: int, kernel: Image.Resampling, peak: int | None
) -> NDArray[_Sample]:
    """Returns pixels at another size, computed band by band; the bands meet exactly."""
    rows_in, _, channels = pixels.shape
    if (height, width) == pixels.shape[:2]:
        return pixels
    ceiling = int(np.iinfo(pixels.dtype).max) if peak is None else peak
    resized: NDArray[_Sample] = canvas((height, width, channels), pixels.dtype)
    step = rows_in / height
    reach = math.ceil(_SUPPORT[kernel] * max(step, 1.0)) + 1
    band_rows = max(1, _BAND_SAMPLES // (max(width, 1) * channels))
    for top in range(0, height, band_rows):
        bottom = min(top + band_rows, height)
        first = max(0, math.floor(top * step) - reach)
        last = min(rows_in, math.ceil(bottom * step) + reach)
        window = (top * step - first, min(bottom * step, rows_in) - first)
        for channel in range(channels):
            plane = _resample_plane(pixels[first:last, :, channel], bottom - top, width, kernel, window)
            resized[top:bottom, :, channel] = np.minimum(plane, ceiling)
        rest(resized)
    return resized


def _resample_plane(
    plane: NDArray[_Sample], height: int, width: int, kernel: Image.Resampling, window: tuple[float, float]
) -> NDArray[_Sample]:
    """Returns the rows of ``window`` (top and bottom, in rows of ``plane``) at another size."""
    box = (0, window[0], plane.shape[1], window[1])
    if plane.dtype == np.uint8:
        return np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), kernel, box))
    # Pillow's own 16-bit path rounds and clips between its two passes, which loses overshoot: floats keep it.
    smooth = np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), kernel, box))
    return np.clip(np.rint(smooth), 0, np.iinfo(plane.dtype).max).astype(plane.dtype)
