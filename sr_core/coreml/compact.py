"""What a compact package holds in small and spreads by its own operations when it starts: position biases, shift mask.

A position bias depends only on how two tokens lie to each other, so for a window of w pixels a head has (2w - 1)^2
values where the matrix of all pairs of tokens has w^4: 225 instead of 4096. The matrix is made from them with slices,
concatenations and reshapes and without a gather: w copies of a row t of 2w - 1 values, behind one another and from
place w - 1 on, cut into lines of 2w - 2, hold ``t[c - r + w - 1]`` at column c of line r, because
``r * (2w - 2) = -r`` modulo 2w - 1. That is a Toeplitz matrix, first along x and then along y.

The shift mask of a tile is the same for most windows: there are those inside, below, at the right, and one corner.

Nothing here imports coremltools; ``builder`` is its ``Builder``, with the function open.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BIASES", "MASK", "Place", "kinds_of_windows", "spread_biases", "spread_mask", "stack_tables"]

BIASES: Final = "position_bias"
"""What the constant with the tables of all blocks is called, (heads of all blocks, 2w - 1, 2w - 1)."""

MASK: Final = "mask"
"""What the constant with the shift mask is called; in a compact package (kinds of windows, 1, N, N)."""

Place: TypeAlias = Any
"""The operation of coremltools that new ones stand before."""


def stack_tables(tables: Sequence[Tensor], window: int) -> Tensor:
    """Returns the tables of all blocks, ((2w - 1)^2, heads) each, as one (heads of all blocks, 2w - 1, 2w - 1)."""
    side = 2 * window - 1
    return torch.cat([table.T.reshape(-1, side, side) for table in tables])


def kinds_of_windows(mask: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Returns the different windows of a mask (windows, 1, N, N) as (kinds, 1, N, N), and the kind of each window."""
    kinds, places = np.unique(mask, axis=0, return_inverse=True)
    return kinds, tuple(int(place) for place in places.reshape(-1))


def spread_mask(builder: Any, kinds: Any, places: Sequence[int], before: Place) -> Any:
    """Returns the mask of all windows, (windows, 1, N, N), as the value of new operations.

    Args:
        builder: See above.
        kinds: The value with the different windows, (kinds, 1, N, N).
        places: The kind of each window.
        before: Where.
    """
    single = [kinds]
    if kinds.shape[0] > 1:
        count = np.int32(kinds.shape[0])
        single = builder.split(x=kinds, num_splits=count, axis=0, name=f"{MASK}_kinds", before_op=before)
    values = tuple(single[place] for place in places)
    return builder.concat(values=values, axis=0, name=f"{MASK}_windows", before_op=before)


def spread_biases(builder: Any, stacked: Any, heads: Sequence[int], window: int, before: Place) -> list[Any]:
    """Returns the position bias of each block, (1, heads, N, N), as values of new operations.

    Args:
        builder: See above.
        stacked: The value with the tables of all blocks, (heads of all blocks, 2w - 1, 2w - 1): for each head query
            minus key along y, then along x.
        heads: Heads of each block, each at least 1.
        window: Side w of a window.
        before: Where.
    """
    x = _toeplitz(builder, stacked, window, before)  # (heads, dy, key x, query x)
    x = builder.transpose(x=x, perm=[0, 2, 3, 1], name=f"{BIASES}_last", before_op=before)
    x = _toeplitz(builder, x, window, before)  # (heads, key x, query x, key y, query y)
    x = builder.transpose(x=x, perm=[0, 4, 2, 3, 1], name=f"{BIASES}_pairs", before_op=before)
    shape = [1, sum(heads), window * window, window * window]
    x = builder.reshape(x=x, shape=shape, name=f"{BIASES}_all", before_op=before)
    if len(heads) == 1:
        return [x]
    sizes = np.array(heads, np.int32)
    return list(builder.split(x=x, split_sizes=sizes, axis=1, name=f"{BIASES}_blocks", before_op=before))


def _toeplitz(builder: Any, x: Any, window: int, before: Place) -> Any:
    """Returns the last axis, of 2w - 1 differences of a query and a key, as a matrix (w keys, w queries)."""
    shape, side = [int(size) for size in x.shape[:-1]], 2 * window - 1
    begin, name = [0] * len(shape), f"{BIASES}_{len(shape)}"
    x = builder.concat(values=(x,) * window, axis=-1, name=f"{name}_copies", before_op=before)
    row = {"begin": [*begin, window - 1], "end": [*shape, window * side - 1]}
    x = builder.slice_by_index(x=x, **row, name=f"{name}_row", before_op=before)
    x = builder.reshape(x=x, shape=[*shape, window, side - 1], name=f"{name}_lines", before_op=before)
    square = {"begin": [*begin, 0, 0], "end": [*shape, window, window]}
    return builder.slice_by_index(x=x, **square, name=f"{name}_matrix", before_op=before)
