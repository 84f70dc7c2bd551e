"""Where every pixel of a map sits when windows stay windows: integers only.

A map is kept as windows for a whole stage. Inside a window the tokens stand in the order of its four sub-blocks
(top left, top right, bottom left, bottom right; each half a window wide, its pixels in reading order). A cyclic
shift by half a window then moves whole sub-blocks, and one table of sub-block numbers replaces roll, partition,
reverse and roll back.

After a shift only the windows of the last row, the last column and the corner hold pixels that were not neighbours.
They stand last, so that every other window needs no mask.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import torch
from torch import Tensor

__all__ = ["KINDS", "Kind", "Run", "WindowPlan", "apart", "plan_windows", "token_order"]

Kind: TypeAlias = Literal["inner", "last column", "last row", "corner"]
"""What a window's mask depends on; windows of an unshifted block are all ``inner``."""

KINDS: tuple[Kind, ...] = ("inner", "last column", "last row", "corner")


@dataclass(frozen=True, slots=True)
class Run:
    """Windows ``start`` to ``stop`` (not included) that are all of one kind."""

    start: int
    stop: int
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPlan:
    """The tables of one batch of maps of one size.

    Attributes:
        windows: Number of windows in the whole batch.
        enter: For each row piece (half a window wide) of the plain windows, its number in the map; int64.
        leave: The inverse of ``enter``.
        to_shifted: For each sub-block of the shifted windows, its number in the plain windows; int64.
        to_plain: The inverse of ``to_shifted``.
        plain: The one run of the plain windows.
        shifted: The runs of the shifted windows, in the order in which they are stored.
    """

    windows: int
    enter: Tensor
    leave: Tensor
    to_shifted: Tensor
    to_plain: Tensor
    plain: tuple[Run, ...]
    shifted: tuple[Run, ...]


def plan_windows(batch: int, height: int, width: int, window: int) -> WindowPlan:
    """Returns the tables for ``batch`` maps of ``height`` x ``width``, both multiples of the even ``window``."""
    half = window // 2
    rows, columns = height // window, width // window
    pieces = torch.arange(batch * height * (width // half)).view(batch, rows, 2, half, columns, 2)
    enter = pieces.permute(0, 1, 4, 2, 5, 3).reshape(-1)  # (batch*rows*columns*2*2*half,)

    blocks = torch.arange(batch * rows * columns * 4).view(batch, rows, columns, 2, 2)
    grid = blocks.transpose(2, 3).reshape(batch, rows * 2, columns * 2)  # sub-blocks as they lie in the map
    shifted = grid.roll((-1, -1), (1, 2)).view(batch, rows, 2, columns, 2).transpose(2, 3)
    kind = torch.zeros(batch, rows, columns, dtype=torch.int64)
    kind[:, :, -1] += 1
    kind[:, -1, :] += 2
    order = kind.reshape(-1).argsort(stable=True)
    to_shifted = shifted.reshape(-1, 4)[order].reshape(-1)  # (windows*4,)

    edges = [0, *kind.reshape(-1).bincount(minlength=4).cumsum(0).tolist()]
    runs = (Run(a, b, name) for (a, b), name in zip(pairwise(edges), KINDS, strict=True))
    windows = batch * rows * columns
    return WindowPlan(
        windows=windows,
        enter=enter,
        leave=enter.argsort(),
        to_shifted=to_shifted,
        to_plain=to_shifted.argsort(),
        plain=(Run(0, windows, "inner"),),
        shifted=tuple(run for run in runs if run.stop > run.start),
    )


def token_order(window: int) -> Tensor:
    """Returns for each token of a window in sub-block order its place in reading order, as int64 (N,)."""
    half = window // 2
    places = torch.arange(window * window).view(2, half, 2, half)
    return places.transpose(1, 2).reshape(-1)


def apart(kind: Kind, window: int) -> Tensor:
    """Returns which pairs of tokens (in sub-block order) a shift brought together, as bool (N, N).

    Source: Liu et al., "Swin Transformer", ICCV 2021, section 3.2, "Efficient batch computation for shifted
    configuration".
    """
    block = torch.arange(window * window) // (window // 2) ** 2  # (N,), 0 to 3
    row, column = block // 2, block % 2
    rows_apart = row[:, None] != row[None, :]  # (N, N)
    columns_apart = column[:, None] != column[None, :]
    match kind:
        case "inner":
            return torch.zeros_like(rows_apart)
        case "last column":
            return columns_apart
        case "last row":
            return rows_apart
        case "corner":
            return rows_apart | columns_apart
