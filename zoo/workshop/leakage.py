"""Leakage: pictures that are scored, and were calibrated on.

A tile is looked for in every picture at every place and at sizes from half to twice its own, because a photo is often
handed on smaller, and saved again with small errors. Both are compared as they look from afar: blurred, and 12 pixels
a side.

Measured with 32 tiles of the example photos, which are smaller copies of what four of the ratings' pictures show: each
of these four shows a tile to within 0.008 to 0.035 of its variance. Of 576 tiles of camera photos none comes nearer
than 0.060 to any of these pictures, of Set5 and of Kodak24.

Not found are photos that were turned or mirrored, and not looked at are the photos of a distillation, nor what is
scored later with ``zoo evaluate``: that is left to who names the photos, and the record says which they were.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sr_core.errors import OptionError
from zoo.workshop.calibration import Calibration
from zoo.workshop.photos import PhotoPair

__all__ = ["refuse_leakage", "shared_pictures"]

AFAR: Final = 12
"""Side of a tile as it is compared."""

BLUR: Final = 0.6
"""Radius, in pixels of that, of the blur before: it lets places match that lie between those that are tried."""

NEAR: Final = 0.045
"""Mean square difference, over the tile's variance, up to which a place shows the same."""

FLAT: Final = 4.0
"""Standard deviation, in steps of 1/255, below which a tile shows nothing that could be known again."""

NAMED: Final = 3
"""Pictures that a refusal names."""

SIZES: Final = tuple(2 ** (step / 16) for step in range(-16, 17))
"""How many times larger than in the tile something may be shown."""


def refuse_leakage(calibration: Calibration, datasets: Iterable[tuple[str, Sequence[PhotoPair]]]) -> None:
    """Refuses to calibrate on what is scored.

    Args:
        calibration: The tiles.
        datasets: The name and the pairs of each benchmark.

    Raises:
        OptionError: A picture of a benchmark shows what a tile does.
    """
    values = calibration.tiles.mul(255).round().byte().permute(0, 2, 3, 1).numpy()  # (n, side, side, 3)
    for name, pairs in datasets:
        shared = shared_pictures(values, pairs)
        if shared:
            more = f" and {len(shared) - NAMED} more" if len(shared) > NAMED else ""
            raise OptionError(
                f"The photos to calibrate on, {calibration.record.photos}, show what is scored in {name} "
                f"({', '.join(shared[:NAMED])}{more}): name others with --calibration, or leave {name} out."
            )


def shared_pictures(tiles: NDArray[np.uint8], pairs: Sequence[PhotoPair]) -> list[str]:
    """Returns the names of the pictures that show what a tile does, on their low-resolution side.

    Args:
        tiles: (n, side, side, 3), low-resolution.
        pairs: The pictures.
    """
    side = tiles.shape[1]
    small = np.stack([_smaller(tile, AFAR, AFAR) for tile in tiles])  # (n, AFAR, AFAR, 3)
    variances = small.reshape(len(tiles), -1, 3).var(axis=1).mean(axis=1)  # (n,)
    known = variances >= FLAT**2
    wanted, variances = small[known].reshape(-1, small[0].size), variances[known]
    return [pair.name for pair in pairs if _shows(pair.low, wanted, variances, side)]


def _shows(low: NDArray[np.uint8], wanted: NDArray[np.float32], variances: NDArray[np.float32], side: int) -> bool:
    """Returns whether a picture (H, W, 3) shows one of the tiles (n, AFAR * AFAR * 3) of a side somewhere."""
    for size in SIZES:
        height, width = (round(length * AFAR / side / size) for length in low.shape[:2])
        if min(height, width) < AFAR:
            continue
        windows = sliding_window_view(_smaller(low, height, width), (AFAR, AFAR, 3))[:, :, 0]
        for row in windows:
            found = row.reshape(-1, wanted.shape[1])  # (places, AFAR * AFAR * 3)
            squares = np.square(found).mean(axis=1)[:, None] + np.square(wanted).mean(axis=1)
            differences = squares - found @ wanted.T * (2 / wanted.shape[1])  # (places, n): mean square differences
            if (differences <= NEAR * variances).any():
                return True
    return False


def _smaller(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Returns pixels (H, W, 3) at another size, blurred."""
    radii = (BLUR * pixels.shape[1] / width, BLUR * pixels.shape[0] / height)
    blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radii))
    return np.asarray(blurred.resize((width, height), Image.Resampling.HAMMING), np.float32)
