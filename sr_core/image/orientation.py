"""The eight EXIF orientations as array operations.

Source: CIPA DC-008 (Exif 2.32), 4.6.4 A, Orientation.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["swaps_sides", "upright"]

_Sample = TypeVar("_Sample", bound=np.uint8 | np.uint16)


def swaps_sides(orientation: int) -> bool:
    """Returns whether height and width change places when a photo is turned upright."""
    return orientation in (5, 6, 7, 8)


def upright(samples: NDArray[_Sample], orientation: int) -> NDArray[_Sample]:
    """Returns the samples turned upright.

    Args:
        samples: (H, W, C) or (H, W), as stored.
        orientation: EXIF orientation 1 to 8.

    Returns:
        A contiguous array, height and width swapped for 5 to 8; ``samples`` itself for 1.
    """
    match orientation:
        case 1:
            turned = samples
        case 2:
            turned = samples[:, ::-1]
        case 3:
            turned = samples[::-1, ::-1]
        case 4:
            turned = samples[::-1]
        case 5:
            turned = samples.swapaxes(0, 1)
        case 6:
            turned = samples.swapaxes(0, 1)[:, ::-1]
        case 7:
            turned = samples.swapaxes(0, 1)[::-1, ::-1]
        case 8:
            turned = samples.swapaxes(0, 1)[::-1]
        case _:
            raise ValueError(f"an EXIF orientation is 1 to 8, not {orientation}")
    return np.ascontiguousarray(turned)
