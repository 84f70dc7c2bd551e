"""What packages are proven on, where seams are looked for, and what is scored on."""

from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_core.coreml.verify import Tiles
from sr_core.errors import OptionError
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling, plan_tiles
from zoo.workshop.packages import cut_tiles, tiles_sha256
from zoo.workshop.photos import PhotoPair, read_photos, validation_pairs
from zoo.workshop.seams import SEAM_LIMIT, largest_seam

__all__ = ["Inspection"]

SEAM_CROP: Final = 320
"""Longest side of the middle of each photo that is looked at: larger than a tile of the page."""

PHOTOS: Final = 8
"""Photos that are looked at."""


class Inspection:
    """The photos of a folder and the benchmarks, read once.

    Args:
        photos: Folder of photos: tiles of them prove packages, and the first one shows seams.
        datasets: Benchmark folders.
        scale: Output pixels per input pixel, for the benchmarks.
    """

    def __init__(self, photos: Path, datasets: Sequence[Path] = (), scale: int = 2) -> None:
        self._photos, self._folders, self._scale = photos, datasets, scale

    def tiles(self, tile: int) -> Tiles:
        """Returns what packages of a tile are proven on.

        Raises:
            OptionError: A photo is smaller than a tile, or there is none.
        """
        for name, crop in self._crops:
            if min(crop.shape[:2]) < tile:
                raise OptionError(f"The photo {name} is smaller than a tile of {tile} pixels.")
        name = f"{len(self._crops)} photos in {self._photos.name}"
        return cut_tiles([crop for _, crop in self._crops], tile, name)

    def tiles_sha256(self, tile: int) -> str:
        """Returns which tiles these are."""
        if tile not in self._hashes:
            self._hashes[tile] = tiles_sha256(self.tiles(tile))
        return self._hashes[tile]

    def seam(self, model: LoadedModel, window: int, tiling: Tiling) -> tuple[float | None, str]:
        """Returns the largest seam difference on the first photo, and what that is; None where one tile covers it.

        Args:
            model: The network.
            window: Side of its attention window.
            tiling: How the photo is cut up.

        Raises:
            OptionError: It is larger than :data:`zoo.workshop.seams.SEAM_LIMIT`.
        """
        name, crop = self._crops[0]
        height, width = crop.shape[:2]
        if plan_tiles(height, width, window, tiling).tiles == 1:
            return None, ""
        seam = round(largest_seam(model, [crop], tiling), 4)
        if seam > SEAM_LIMIT:
            raise OptionError(
                f"Tiles of {tiling.tile} pixels with an overlap of {tiling.overlap} show seams of {seam}/255 in "
                f"{model.id}; a larger overlap is needed."
            )
        return seam, f"the middle {width} x {height} pixels of {name}"

    @cached_property
    def datasets(self) -> Sequence[tuple[str, list[PhotoPair]]]:
        """The name and the pairs of each benchmark.

        Raises:
            OptionError: A benchmark folder does not serve.
        """
        return [(folder.name, validation_pairs(folder, scale=self._scale)) for folder in self._folders]

    @cached_property
    def _hashes(self) -> dict[int, str]:
        return {}

    @cached_property
    def _crops(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """The names of the photos, and their middle (H, W, 3) of at most ``SEAM_CROP`` a side."""
        crops: list[tuple[str, NDArray[np.uint8]]] = []
        for name, photo in islice(read_photos(self._photos), PHOTOS):
            top, left = (max(side - SEAM_CROP, 0) // 2 for side in photo.shape[:2])
            crops.append((name, photo[top : top + SEAM_CROP, left : left + SEAM_CROP]))
        return crops
