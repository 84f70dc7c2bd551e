"""Choosing a model's overlap: the smallest at which no seam shows."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from sr_core.errors import OptionError
from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.infer.upscale import seam_report
from zoo.release import TilingRecord

__all__ = ["SEAM_LIMIT", "choose_overlap", "largest_seam"]

SEAM_LIMIT = 0.5
"""Largest difference between tiled and whole-image output, in steps of 1/255: half an 8-bit step."""


def largest_seam(model: LoadedModel, photos: Iterable[NDArray[np.uint8]], tiling: Tiling) -> float:
    """Returns the largest difference between tiled and whole-image output over photos (H, W, 3), in 1/255."""
    pictures = (Picture(pixels=photo, bit_depth=8) for photo in photos)
    return max(seam_report(picture, model.engine, tiling).max for picture in pictures)


def choose_overlap(
    model: LoadedModel,
    photos: Iterable[tuple[str, NDArray[np.uint8]]],
    *,
    tile: int,
    overlaps: Iterable[int],
    data: str,
    report: Callable[[str], None],
) -> TilingRecord:
    """Returns the tiling with the smallest of the overlaps that stays within :data:`SEAM_LIMIT`.

    Args:
        model: The network.
        photos: Name and pixels of natural photos, larger than a tile.
        tile: Side of a tile in input pixels.
        overlaps: Overlaps to try, in input pixels.
        data: Name of the set of photos.
        report: Called with a line for each overlap that was tried.

    Raises:
        OptionError: Every overlap shows seams, or no photo is larger than a tile.
    """
    if tile % model.engine.multiple:
        raise OptionError(f"A tile of {tile} pixels is no multiple of the network's window of {model.engine.multiple}.")
    larger = [photo for _, photo in photos if max(photo.shape[:2]) > tile]
    if not larger:
        raise OptionError(f"The folder {data} holds no photo larger than a tile of {tile} pixels.")
    for overlap in sorted(overlaps):
        tiling = Tiling(tile=tile, overlap=overlap, batch=1)
        worst = largest_seam(model, larger, tiling)
        report(f"tile {tile}, overlap {overlap}: largest seam difference {worst:.4f}/255")
        if worst <= SEAM_LIMIT:
            return TilingRecord(tile=tile, overlap=overlap, batch=1, seam_max=round(worst, 4), seam_data=data)
    raise OptionError(f"Tiles of {tile} pixels show seams with every overlap tried; take larger ones.")
