"""The colours of a RAW photo: what a camera's own channels mean, and how they look on a screen.

Source: Adobe, Digital Negative Specification 1.7.1, chapter 6; dcraw by D. Coffin for the matrix that maps the camera's
white to that of the screen; IEC 61966-2-1 (sRGB).
"""

from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["D65_XYZ", "UNKNOWN_FROM_XYZ", "CameraColour", "Matrix", "as_matrix", "moderate_exposure", "to_linear_srgb"]

Matrix: TypeAlias = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

_XYZ_OF_SRGB: Final = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
D65_XYZ: Final = (0.950470, 1.0, 1.088830)
"""White of daylight and of screens."""
_LUMA: Final = (0.2126, 0.7152, 0.0722)
UNKNOWN_FROM_XYZ: Final[Matrix] = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
"""XYZ to sRGB, for cameras of which nothing is known: their channels are shown as if they were the screen's."""

_LEAST_DETERMINANT: Final = 1e-3
_LEAST_SUM: Final = 1e-3
_MOST_NUMBER: Final = 1e3
_BRIGHT_PART: Final = 0.99
_BRIGHT: Final = 0.90
_MIDDLE: Final = 0.16
_DARKEST: Final = 1e-5
_MOST_GAIN: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraColour:
    """What the channels of a RAW photo mean; the light of its Picture is in camera space, not white-balanced.

    Attributes:
        neutral: What the camera gives for white (DNG: AsShotNeutral), the greatest being 1.
        from_xyz: XYZ to camera space (DNG: ColorMatrix1).
        exposure: By how much light is multiplied for display, 1 being display white after the white balance.
    """

    neutral: tuple[float, float, float]
    from_xyz: Matrix
    exposure: float = 1.0


def as_matrix(numbers: NDArray[np.floating]) -> Matrix | None:
    """Returns a (3, 3) array as XYZ to camera space, or None where no colours could be told by it."""
    white = numbers @ np.asarray(D65_XYZ)
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > _MOST_NUMBER or white.min() < _LEAST_SUM:
        return None
    if abs(np.linalg.det(numbers / white[:, np.newaxis])) < _LEAST_DETERMINANT:
        return None
    return cast("Matrix", tuple(tuple(float(number) for number in row) for row in numbers))


def to_linear_srgb(light: NDArray[np.float32], camera: CameraColour) -> NDArray[np.float32]:
    """Returns camera light as linear sRGB for display: white-balanced, exposed, in the colours of the screen.

    A channel that the sensor could not tell apart any more would leave the others too bright, which is seen as magenta;
    therefore all of them end, after the white balance, where the first one does.

    Args:
        light: (..., 3) or, for a camera without colours, (..., 1); 1 for the greatest that the sensor tells apart.
        camera: What the channels mean.

    Returns:
        (..., 3); 1 for display white, above which it is not clipped, and slightly below 0 for colours that no screen
        shows.
    """
    exposure = np.float32(camera.exposure)
    if light.shape[-1] == 1:
        return np.repeat(np.clip(light, 0, 1) * exposure, 3, axis=-1)
    neutral = np.asarray(camera.neutral, np.float32)
    balanced = light * (neutral.max() / neutral)
    np.clip(balanced, 0, 1, out=balanced)
    return balanced @ (_to_screen(camera.from_xyz).T * exposure)


def moderate_exposure(light: NDArray[np.float32], camera: CameraColour) -> float:
    """Returns by how much more the light of a photo is to be multiplied for it to look as a camera would show it.

    Bright parts (the brightest hundredth left out) go near display white, as far as that does not lift the middle of
    the photo above that of usual photos; nothing is made darker.

    Args:
        light: (..., C) camera light of all of the photo, or of pixels spread over it.
        camera: What the channels mean, and an exposure that the file asks for.

    Returns:
        1 to 8.
    """
    screen = np.maximum(to_linear_srgb(light, camera) @ np.asarray(_LUMA, np.float32), _DARKEST)
    bright, middle = float(np.quantile(screen, _BRIGHT_PART)), float(np.exp(np.log(screen).mean()))
    return min(max(min(_BRIGHT / bright, _MIDDLE / middle), 1.0), _MOST_GAIN)


def _to_screen(from_xyz: Matrix) -> NDArray[np.float32]:
    """Returns (3, 3) white-balanced camera light to linear sRGB, white to white."""
    from_screen = np.asarray(from_xyz, np.float64) @ np.asarray(_XYZ_OF_SRGB)
    return np.linalg.inv(from_screen / from_screen.sum(axis=1, keepdims=True)).astype(np.float32)
