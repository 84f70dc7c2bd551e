"""What a phone makes of a photo: tiles of 8 bits, blended in whole numbers, rounded once more."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sr_core.arch.padding import mirror_indices
from sr_core.infer.tiles import WEIGHT_SUM, Tiling, blend_weights, plan_tiles

__all__ = ["phone_picture"]

Pixels = NDArray[np.uint8]


def phone_picture(
    pixels: Pixels, enlarge: Callable[[Pixels], Pixels], scale: int, tiling: Tiling, window: int = 8
) -> Pixels:
    """Returns the enlarged picture (scale*H, scale*W, 3); ``enlarge`` takes a tile (tile, tile, 3) and gives 8 bits."""
    plan = plan_tiles(*pixels.shape[:2], window, tiling)
    rows, columns = (mirror_indices(axis.size, axis.padded, lead=axis.lead) for axis in (plan.rows, plan.columns))
    padded = pixels[np.ix_(rows, columns)]
    sums = np.zeros((plan.rows.padded * scale, plan.columns.padded * scale, 3), np.int64)
    side = tiling.tile
    for top, down in zip(plan.rows.starts, blend_weights(plan.rows, scale), strict=True):
        for left, across in zip(plan.columns.starts, blend_weights(plan.columns, scale), strict=True):
            tile = enlarge(padded[top : top + side, left : left + side]).astype(np.int64)
            part = sums[top * scale : (top + side) * scale, left * scale : (left + side) * scale]
            part += tile * np.outer(down, across)[:, :, None]
    inside = sums[window * scale :, window * scale :][: pixels.shape[0] * scale, : pixels.shape[1] * scale]
    return np.rint(inside / WEIGHT_SUM**2).astype(np.uint8)  # exact: 32 bits over a power of two
