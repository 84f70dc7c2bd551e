"""Training pairs: small and large crops of the same photos.

The low-resolution side is Pillow's antialiased bicubic (a = -0.5), rounded to 8 bits as the benchmark files are.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_core.errors import OptionError

__all__ = [
    "PairBatches",
    "PhotoPair",
    "hash_photos",
    "load_pairs",
    "read_photos",
    "read_rgb",
    "reduce_photo",
    "validation_pairs",
]

_SUFFIXES = frozenset({".png", ".webp", ".jpg", ".jpeg", ".bmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoPair:
    """One photo at two sizes, both uint8 RGB: low (H, W, 3) and high (scale*H, scale*W, 3)."""

    name: str
    low: NDArray[np.uint8]
    high: NDArray[np.uint8]


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Returns the picture file as (H, W, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def read_photos(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields the name and the pixels (H, W, 3) of every photo below a folder, in the order of names.

    Raises:
        OptionError: The folder holds no photo.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise OptionError(f"The folder {folder} holds no PNG, WebP, JPEG or BMP photo.")
    for path in paths:
        yield path.stem, read_rgb(path)


def hash_photos(folder: Path) -> str:
    """Returns which photos a folder holds: the sha256 of their shapes and of all their values, as they are read.

    Raises:
        OptionError: The folder holds no photo.
    """
    digest = hashlib.sha256()
    for _, photo in read_photos(folder):
        digest.update(str(photo.shape).encode())
        digest.update(np.ascontiguousarray(photo).tobytes())
    return digest.hexdigest()


def load_pairs(folder: Path, *, scale: int, cell: int | None = None) -> list[PhotoPair]:
    """Returns every photo below a folder with its reduced copy, in the order of names.

    Args:
        folder: Searched with its subfolders for PNG, WebP, JPEG and BMP.
        scale: How much smaller the low side is.
        cell: When the files are contact strips, the side of one square; each square becomes a photo of its own.

    Raises:
        OptionError: The folder holds no photo.
    """
    pairs: list[PhotoPair] = []
    for name, photo in read_photos(folder):
        for part in _cells(photo, cell):
            low = reduce_photo(part, scale)
            high = part[: low.shape[0] * scale, : low.shape[1] * scale]
            pairs.append(PhotoPair(name=name, low=low, high=high))
    return pairs


def reduce_photo(photo: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Returns the photo (H, W, 3) ``scale`` times smaller; rows and columns that do not fill a pixel are left out."""
    h, w = photo.shape[0] // scale, photo.shape[1] // scale
    high = photo[: h * scale, : w * scale]
    return np.asarray(Image.fromarray(high).resize((w, h), Image.Resampling.BICUBIC))


def _cells(photo: NDArray[np.uint8], cell: int | None) -> Iterator[NDArray[np.uint8]]:
    if cell is None:
        yield photo
        return
    for top in range(0, photo.shape[0] - cell + 1, cell):
        for left in range(0, photo.shape[1] - cell + 1, cell):
            yield photo[top : top + cell, left : left + cell]


def validation_pairs(folder: Path, *, scale: int) -> list[PhotoPair]:
    """Returns the pairs of a benchmark folder.

    Where the folder has ``HR`` and ``LR_bicubic/X<scale>`` its own low-resolution files are used, as published;
    a plain folder of photos is reduced here.

    Raises:
        OptionError: A high-resolution file has no low-resolution partner, or there is no photo.
    """
    low_folder = folder / "LR_bicubic" / f"X{scale}"
    if not low_folder.is_dir():
        return load_pairs(folder, scale=scale)
    pairs: list[PhotoPair] = []
    for path in sorted((folder / "HR").glob("*.png")):
        partner = low_folder / f"{path.stem}x{scale}.png"
        if not partner.is_file():
            raise OptionError(f"The benchmark {folder.name} has no file {partner.name} for {path.name}.")
        low = read_rgb(partner)
        high = read_rgb(path)[: low.shape[0] * scale, : low.shape[1] * scale]
        pairs.append(PhotoPair(name=path.stem, low=low, high=high))
    if not pairs:
        raise OptionError(f"The benchmark {folder.name} holds no PNG photo.")
    return pairs


class PairBatches:
    """Endless random batches of crops, flipped and transposed; its state can be saved and restored.

    Args:
        pairs: The photos; those smaller than a crop are left out.
        scale: Size of the high side over the low side.
        patch: Side of a low crop.
        batch: Crops in a batch.
        seed: Of the random choices.
        candidates: Crops that are drawn for each place in a batch; the one that bicubic enlargement gets most
            wrong is taken, so that flat sky does not fill the batches. 1 draws evenly.

    Raises:
        OptionError: No photo is as large as a crop.
    """

    def __init__(
        self, pairs: list[PhotoPair], *, scale: int, patch: int, batch: int, seed: int, candidates: int = 1
    ) -> None:
        self._pairs = [pair for pair in pairs if min(pair.low.shape[:2]) >= patch]
        if not self._pairs:
            raise OptionError(f"No training photo has {patch} x {patch} pixels after reduction.")
        self._scale, self._patch, self._batch = scale, patch, batch
        self.random = np.random.default_rng(seed)
        areas = np.array([pair.low.shape[0] * pair.low.shape[1] for pair in self._pairs], dtype=np.float64)
        self._chances = areas / areas.sum()
        self._candidates = candidates
        self._detail = [_detail_sums(pair) for pair in self._pairs] if candidates > 1 else []

    def draw(self) -> tuple[Tensor, Tensor]:
        """Returns low (B, 3, patch, patch) and high (B, 3, scale*patch, scale*patch), float32 in [0, 1]."""
        crops = [self._crop(*self._place()) for _ in range(self._batch)]
        low, high = (np.stack(side).transpose(0, 3, 1, 2) for side in zip(*crops, strict=True))
        return _unit(low), _unit(high)

    def _place(self) -> tuple[int, int, int]:
        """Returns the photo, the top and the left of a crop."""
        chosen = self.random.choice(len(self._pairs), self._candidates, p=self._chances)
        places = [self._corner(int(i)) for i in chosen]
        if self._candidates == 1:
            return places[0]
        return max(places, key=self._detail_of)

    def _corner(self, photo: int) -> tuple[int, int, int]:
        height, width = self._pairs[photo].low.shape[:2]
        top = int(self.random.integers(height - self._patch + 1))
        left = int(self.random.integers(width - self._patch + 1))
        return photo, top, left

    def _detail_of(self, place: tuple[int, int, int]) -> float:
        (photo, top, left), size = place, self._patch
        sums = self._detail[photo]
        bottom, right = top + size, left + size
        return float(sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left])

    def _crop(self, photo: int, top: int, left: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        pair, size, scale = self._pairs[photo], self._patch, self._scale
        low = pair.low[top : top + size, left : left + size]
        high = pair.high[top * scale : (top + size) * scale, left * scale : (left + size) * scale]
        flip_y, flip_x, transpose = self.random.integers(0, 2, 3)
        sides = (low[:: 1 - 2 * flip_y, :: 1 - 2 * flip_x], high[:: 1 - 2 * flip_y, :: 1 - 2 * flip_x])
        low, high = (side.transpose(1, 0, 2) if transpose else side for side in sides)
        return low, high


def _detail_sums(pair: PhotoPair) -> NDArray[np.float64]:
    """Returns the running sums (H + 1, W + 1) of the error of bicubic enlargement at each low pixel."""
    height, width = pair.low.shape[:2]
    size = (pair.high.shape[1], pair.high.shape[0])
    floor = np.asarray(Image.fromarray(pair.low).resize(size, Image.Resampling.BICUBIC), np.int16)
    scale = size[1] // height
    error = np.abs(floor - pair.high).reshape(height, scale, width, scale * 3).mean(axis=(1, 3))
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = error.cumsum(0).cumsum(1)
    return sums


def _unit(samples: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(samples)).float().div_(255.0)
