"""The one loop over tiles: cut, run, blend; whole rows of the float result come out as soon as they are finished.

Tiles are cut from the integer samples through index lists, so neither a padded nor a float copy of the picture exists.
The only float array besides the tiles at work is one band: as many output rows as a tile has, as wide as the grid of
:mod:`sr_core.infer.tiles`. Rows and columns of the grid's margin are cropped when rows come out.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from sr_core.arch.padding import mirror_indices
from sr_core.errors import ModelError
from sr_core.image.picture import Picture, Samples
from sr_core.infer.engine import Engine
from sr_core.infer.tiles import WEIGHT_SUM, Axis, Plan, blend_weights, picture_span

__all__ = ["FloatRows", "Step", "blend_tiles", "fill_transparent"]

FloatRows = NDArray[np.float32]
"""(channels, rows, W), full intensity is 1, not clamped."""

_FILL_ROUNDS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one batch of tiles brought.

    Attributes:
        tiles: Tiles in the batch.
        top: First output row of ``rows`` in the picture.
        rows: The rows of the picture that no later tile reaches, without the margin, or None where there are none. They
            are overwritten when the loop goes on.
    """

    tiles: int
    top: int = 0
    rows: FloatRows | None = None


def blend_tiles(picture: Picture, engine: Engine, plan: Plan, batch: int) -> Generator[Step, None, None]:
    """Yields a step for each batch of tiles; the rows of all steps together are the whole result, top to bottom.

    Args:
        picture: What to upscale; of its alpha only full transparency counts (see :func:`fill_transparent`).
        engine: The network.
        plan: The tiles of this picture.
        batch: Most tiles that go through the network at once.

    Yields:
        Rows with as many channels as the picture: of a grey picture, the mean of the network's three.

    Raises:
        ModelError: The network gave a value that is not a finite number.
    """
    scale = engine.scale
    channels = picture.pixels.shape[2]
    row_weights, column_weights = _weights(plan.rows, scale), _weights(plan.columns, scale)
    cut = _Cutter(picture, plan).cut
    band = np.zeros((channels, plan.rows.tile * scale, plan.columns.padded * scale), np.float32)
    ends = (*plan.rows.starts[1:], plan.rows.padded)
    for (top, batches), end in zip(plan.bands(batch), ends, strict=True):
        for lefts in batches:
            results = _run(engine, np.stack([cut(top, left) for left in lefts]), channels)
            for left, result in zip(lefts, results, strict=True):
                weight = row_weights[top][:, None] * column_weights[left]  # exact: two multiples of 1/4096
                part = band[:, :, left * scale : (left + plan.columns.tile) * scale]
                part += result * weight
            if lefts is not batches[-1]:
                yield Step(tiles=len(lefts))
        finished = (end - top) * scale
        yield _cropped(band[:, :finished], top, len(batches[-1]), plan, scale)
        band[:, : band.shape[1] - finished] = band[:, finished:]
        band[:, band.shape[1] - finished :] = 0.0


def fill_transparent(colours: NDArray[np.float32], opaque: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns colours whose fully transparent pixels continue their visible neighbours.

    What a file stores under full transparency is arbitrary, often black, and would bleed into the visible edge as a
    fringe. Round by round, each unknown pixel next to known ones takes the mean of those among its eight neighbours;
    what is further than 32 pixels from anything visible takes the mean of all that is known by then.

    Args:
        colours: (H, W, C).
        opaque: (H, W), whether a pixel is visible at all.

    Returns:
        (H, W, C); ``colours`` itself when all or none of it is visible.
    """
    if opaque.all() or not opaque.any():
        return colours
    known = opaque[:, :, None].astype(np.float32)
    filled = colours * known
    for _ in range(_FILL_ROUNDS):
        count = _sum_of_nine(known)
        new = (known == 0.0) & (count > 0.0)
        if not new.any():
            break
        filled += np.where(new, _sum_of_nine(filled) / np.maximum(count, 1.0), 0.0)
        known[new] = 1.0
    mean: NDArray[np.float32] = filled.sum(axis=(0, 1)) / known.sum()
    return np.where(known > 0.0, filled, mean)


class _Cutter:
    """Cuts tiles out of a picture as float32 RGB, mirrored where they reach beyond it."""

    def __init__(self, picture: Picture, plan: Plan) -> None:
        self._pixels: Samples = picture.pixels
        # Where nothing or everything is transparent there is no edge to protect.
        self._alpha = None if picture.alpha is None or picture.alpha.min() == picture.alpha.max() else picture.alpha
        self._peak = np.float32(picture.peak)
        self._plan = plan
        self._rows, self._columns = _sources(plan.rows), _sources(plan.columns)

    def cut(self, top: int, left: int) -> NDArray[np.float32]:
        """Returns the tile that begins there, as (3, tile rows, tile columns) in [0, 1]."""
        rows = self._rows[top : top + self._plan.rows.tile, None]
        columns = self._columns[left : left + self._plan.columns.tile]
        tile = self._pixels[rows, columns].astype(np.float32) / self._peak  # (rows, columns, C)
        if self._alpha is not None:
            tile = fill_transparent(tile, self._alpha[rows, columns] > 0)
        planes = tile.transpose(2, 0, 1)
        return np.broadcast_to(planes, (3, *planes.shape[1:]))


def _run(engine: Engine, tiles: NDArray[np.float32], channels: int) -> FloatRows:
    """Returns what the network makes of tiles (B, 3, H, W): the one place where arrays become tensors and back."""
    results: NDArray[np.float32] = engine.run(torch.from_numpy(tiles)).numpy()
    if not np.isfinite(results).all():
        raise ModelError(
            "The model gave values that are not numbers for this photo; please choose another model or float32."
        )
    return results if channels == 3 else results.mean(axis=1, keepdims=True, dtype=np.float32)


def _cropped(rows: FloatRows, top: int, tiles: int, plan: Plan, scale: int) -> Step:
    """Returns the step that brings what of finished rows of the grid, the first from input row ``top``, is picture."""
    end = top + rows.shape[1] // scale
    first_row, end_row = picture_span(plan.rows, (top, end), scale)
    if first_row == end_row:
        return Step(tiles=tiles)
    above = max(plan.rows.lead - top, 0) * scale  # rows of margin
    left = plan.columns.lead * scale
    inside = rows[:, above : above + end_row - first_row, left : left + plan.columns.size * scale]
    return Step(tiles=tiles, top=first_row, rows=inside)


def _sources(axis: Axis) -> NDArray[np.int64]:
    """Returns for each input pixel of the grid the pixel of the picture that it shows."""
    return np.array(mirror_indices(axis.size, axis.padded, lead=axis.lead), np.int64)


def _weights(axis: Axis, scale: int) -> dict[int, NDArray[np.float32]]:
    """Returns the blend weights of each tile, by its first input pixel, as parts of 1."""
    weights = np.array(blend_weights(axis, scale), np.float32) / WEIGHT_SUM
    return dict(zip(axis.starts, weights, strict=True))


def _sum_of_nine(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns for each pixel of (H, W, C) the sum of itself and its eight neighbours, zero beyond the border."""
    framed = np.pad(planes, ((1, 1), (1, 1), (0, 0)))
    rows: NDArray[np.float32] = framed[:-2] + framed[1:-1] + framed[2:]
    total: NDArray[np.float32] = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    return total
