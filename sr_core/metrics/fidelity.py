"""PSNR and SSIM on RGB or on luma, with the border and the data range stated by the caller."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from sr_core.errors import OptionError

__all__ = ["Channels", "luma", "psnr_db", "ssim"]

Channels: TypeAlias = Literal["y", "rgb"]

_LUMA_8BIT = (65.481, 128.553, 24.966)
"""BT.601 studio-range luma of RGB in [0, 1], in 8-bit steps above 16 (ITU-R BT.601-7, section 2.5)."""


def luma(rgb: NDArray[np.generic], *, data_range: float) -> NDArray[np.float64]:
    """Returns the BT.601 studio-range luma that the field measures on, on the scale of ``data_range``.

    Args:
        rgb: (H, W, 3) with values from 0 to ``data_range``.
        data_range: The value of full intensity.

    Returns:
        (H, W), from 16/255 to 235/255 of ``data_range``; not rounded.
    """
    y = rgb.astype(np.float64) / data_range @ np.array(_LUMA_8BIT) + 16.0
    return y / 255.0 * data_range


def psnr_db(
    result: NDArray[np.generic], truth: NDArray[np.generic], *, data_range: float, border: int, channels: Channels
) -> float:
    """Returns the peak signal-to-noise ratio in dB; infinite when both are equal.

    Args:
        result: (H, W, 3), 0 to ``data_range``.
        truth: Same shape and range.
        data_range: The value of full intensity.
        border: Pixels left out on every side (the field leaves out as many as the scale).
        channels: ``"y"`` for BT.601 luma, ``"rgb"`` for all three at once.

    Raises:
        OptionError: The shapes differ, or nothing is left inside the border.
    """
    a, b = _comparable(result, truth, data_range, border, channels)
    mse = float(np.mean((a - b) ** 2))
    return float("inf") if mse == 0.0 else float(10.0 * np.log10(data_range**2 / mse))


def ssim(
    result: NDArray[np.generic], truth: NDArray[np.generic], *, data_range: float, border: int, channels: Channels
) -> float:
    """Returns the mean structural similarity, 1.0 when both are equal.

    Gaussian window of deviation 1.5 cut to 11 x 11, population covariance, constants 0.01 and 0.03.
    RGB is the mean of the three channels.

    Args and errors as for :func:`psnr_db`; at least 11 x 11 pixels must be left inside the border.

    Source: Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, section III.
    """
    a, b = _comparable(result, truth, data_range, border, channels)
    if min(a.shape[:2]) < 11:
        raise OptionError(f"SSIM needs at least 11 x 11 pixels inside the border, but {a.shape[:2]} are left.")
    value: Any = structural_similarity(  # untyped; a number, because neither gradient nor full map is asked for
        a,
        b,
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if a.ndim == 3 else None,
    )
    return float(value)


def _comparable(
    result: NDArray[np.generic], truth: NDArray[np.generic], data_range: float, border: int, channels: Channels
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if result.shape != truth.shape or result.ndim != 3 or result.shape[2] != 3:
        raise OptionError(f"Two RGB pictures of one size are needed, not {result.shape} and {truth.shape}.")
    if border < 0 or 2 * border >= min(result.shape[:2]):
        raise OptionError(f"A border of {border} pixels leaves nothing of a picture of {result.shape[:2]} pixels.")
    inside = slice(border, -border or None)
    pair = (result[inside, inside], truth[inside, inside])
    if channels == "y":
        return luma(pair[0], data_range=data_range), luma(pair[1], data_range=data_range)
    return pair[0].astype(np.float64), pair[1].astype(np.float64)
