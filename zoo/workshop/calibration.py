"""Calibration tiles: the small pictures on which it is measured what a weight is worth."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sr_core.errors import OptionError
from zoo.release import CalibrationRecord
from zoo.workshop.photos import PhotoPair, load_pairs

__all__ = ["Calibration", "CalibrationOptions", "calibrate"]

TILES: Final = 32
SIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationOptions:
    """Which tiles to cut.

    Attributes:
        photos: Folder of photos.
        cell: Side of a square in contact strips, or None for plain photos.
        tiles: How many.
        side: Side of one, in low-resolution pixels, at most: where the window asks for it, they are a little smaller.
        words: What the photos are and where they are from; by default the number of photos and the folder's name.
    """

    photos: Path
    cell: int | None = None
    tiles: int = TILES
    side: int = SIDE
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Tiles (n, 3, side, side), float32 in 0 to 1, and their record."""

    tiles: Tensor
    record: CalibrationRecord


def calibrate(options: CalibrationOptions, scale: int, window: int = 1) -> Calibration:
    """Returns low-resolution tiles from all over the photos, the same for the same photos.

    The photos are dealt out to the tiles in order, several to one tile or several tiles to one photo. Every other tile
    is the one that enlargement gets most wrong, the one after it a usual one: the middle of the ranking.

    Args:
        options: Which.
        scale: How much smaller than a photo its tiles are.
        window: Side of the network's attention window, of which the tiles' side must be a multiple.

    Raises:
        OptionError: There are no photos, or not enough tiles in them; or a window is larger than a tile.
    """
    if window > options.side:
        raise OptionError(f"Tiles of {options.side} pixels hold no window of {window}, so nothing can be calibrated.")
    options = replace(options, side=options.side - options.side % window)
    pairs = load_pairs(options.photos, scale=scale, cell=options.cell)
    for stride in (options.side, options.side // 2):  # tiles overlap only where the photos are few and small
        groups = _groups(pairs, options, stride)
        found = sum(map(len, groups))
        if found >= options.tiles:
            break
    else:
        raise OptionError(
            f"The photos in {options.photos.name} hold {found} tiles of {options.side} pixels after reduction; "
            f"{options.tiles} are needed to calibrate."
        )
    chosen: list[NDArray[np.uint8]] = []
    while len(chosen) < options.tiles:
        for group in groups:
            if group and len(chosen) < options.tiles:
                place = 0 if len(chosen) % 2 == 0 else len(group) // 2
                chosen.append(group.pop(place))
    values = np.ascontiguousarray(np.stack(chosen).transpose(0, 3, 1, 2))  # (n, 3, side, side)
    record = CalibrationRecord(
        photos=options.words or f"{len({pair.name for pair in pairs})} photos in {options.photos.name}",
        tiles=options.tiles,
        side=options.side,
        sha256=hashlib.sha256(values.tobytes()).hexdigest(),
        cell=options.cell,
    )
    return Calibration(tiles=torch.from_numpy(values).float().div(255), record=record)


def _groups(pairs: Sequence[PhotoPair], options: CalibrationOptions, stride: int) -> list[list[NDArray[np.uint8]]]:
    """Returns the tiles of one photo or of several in a row, as many groups as tiles or fewer, most detailed first."""
    count = min(len(pairs), options.tiles)
    groups: list[list[tuple[float, NDArray[np.uint8]]]] = [[] for _ in range(count)]
    for i, pair in enumerate(pairs):
        groups[i * count // len(pairs)] += _tiles(pair, options.side, stride)
    return [[tile for _, tile in sorted(group, key=lambda one: -one[0])] for group in groups]


def _tiles(pair: PhotoPair, side: int, stride: int) -> list[tuple[float, NDArray[np.uint8]]]:
    """Returns the low-resolution tiles (side, side, 3) of a photo, and how wrong bicubic enlargement gets each one."""
    height, width = pair.low.shape[:2]
    scale = pair.high.shape[0] // height
    floor = Image.fromarray(pair.low).resize((width * scale, height * scale), Image.Resampling.BICUBIC)
    error = np.abs(np.asarray(floor, np.int16) - pair.high).mean(axis=2)  # (scale*H, scale*W)
    return [
        (
            float(error[top * scale : (top + side) * scale, left * scale : (left + side) * scale].mean()),
            pair.low[top : top + side, left : left + side],
        )
        for top in _starts(height, side, stride)
        for left in _starts(width, side, stride)
    ]


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Returns where tiles begin, in the middle of what is left over; none where a tile does not fit."""
    count = (length - side) // stride + 1
    return [(length - side - (count - 1) * stride) // 2 + i * stride for i in range(count)]
