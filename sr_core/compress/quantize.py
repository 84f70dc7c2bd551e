"""Puts the weights of a network on the grid of a precision, as ``sr_core.arch.storage`` defines it.

The result is an ordinary network in canonical form (``fold_norms``): it runs wherever the float one runs, and storing
it loses nothing.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_core.arch.storage import CODE_MAX, channel_axis, check_covered, grid_of, palette_bits
from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network
from sr_core.compress.fold import fold_norms
from sr_core.errors import WeightsError
from sr_core.spec import Formats, Precision

__all__ = ["palette_of", "quantize", "to_int8"]

LLOYD_STEPS: Final = 10_000
"""Far beyond what weights of any layer need to come to rest."""


def quantize(module: SwinIR, precision: Precision, formats: Formats = ()) -> SwinIR:
    """Returns a network of the same spec whose weights can be stored at a precision without any loss.

    Weights of ``int8`` are rounded to the nearest code; a palette is the k-means of its tensor. Every other value is
    rounded to float16. Zeros of a pruned network stay zero, in a palette where they are many. ``float32`` gives an
    equal copy, ``float16`` rounds only; neither is folded. A quantized network is returned bit for bit.

    Args:
        module: The network; it is not changed.
        precision: The grid.
        formats: The grid of each layer, for ``mixed-bit``; ``sr_core.compress.mixedbit`` chooses them, and rounds with
            more care than is taken here.

    Raises:
        WeightsError: A weight is not a finite number, or too large for the precision; or the formats are not those of
            the network's layers.
    """
    if precision == "mixed-bit":
        check_covered({name: value.shape for name, value in module.state_dict().items()}, formats)
    if precision == "float32":
        return copy_network(module)
    quantized = copy_network(module) if precision == "float16" else fold_norms(module)
    with torch.no_grad():
        for name, value in quantized.named_parameters():
            grid = grid_of(name, value, precision, formats)
            largest = value / CODE_MAX if grid == "int8" else value  # what has to fit into a float16
            if not torch.isfinite(largest.half()).all():
                raise WeightsError(f"The weight {name} is not finite as {precision}.")
            match grid:
                case None:
                    value.copy_(value.half())
                case "int8":
                    value.copy_(to_int8(value, channel_axis(name)))
                case "palette6" | "palette4":
                    value.copy_(_to_palette(value, 2 ** palette_bits(grid)))
    return quantized


def to_int8(weight: Tensor, axis: int) -> Tensor:
    """Returns the nearest weights that are a whole number up to 127 times a float16 step per channel.

    Args:
        weight: In float32.
        axis: That of the channels.
    """
    rows = weight.movedim(axis, 0).flatten(1)  # (channels, weights)
    peak, place = rows.abs().max(1, keepdim=True)  # (channels, 1)
    steps = (peak / CODE_MAX).half().float()
    codes = torch.round(rows / torch.where(steps > 0, steps, 1.0)).clamp(-CODE_MAX, CODE_MAX)
    # A step below 6e-5 is a coarse float16, so the largest weight may miss the code by which storing finds the step.
    codes.scatter_(1, place, CODE_MAX * rows.gather(1, place).sign())
    grid = codes * steps + 0.0  # no negative zeros
    return grid.view(weight.movedim(axis, 0).shape).movedim(0, axis)


def _to_palette(weight: Tensor, size: int) -> Tensor:
    """Returns the weights with each one replaced by the nearest of ``size`` float16 values."""
    values = weight.double().numpy().reshape(-1)
    palette = (
        np.unique(palette_of(np.sort(values), size).astype(np.float16)).astype(np.float64) + 0.0
    )  # no negative zero
    return torch.from_numpy(palette[np.searchsorted(_middles(palette), values)]).view(weight.shape)


def palette_of(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Returns ``size`` or fewer ascending values that stand for the sorted ``values``: k-means in one dimension.

    Lloyd's iteration until nothing moves. Where zeros are more than one value's share, as in a pruned network, one of
    the values stays zero.

    Source: Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982, method I.
    """
    distinct = np.unique(values)
    if len(distinct) <= size:
        return distinct
    keep_zero = np.count_nonzero(values == 0) * size > len(values)
    if keep_zero:
        centres = np.sort(np.append(_starts(distinct[distinct != 0], size - 1), 0.0))
    else:
        centres = _starts(distinct, size)
    zero = np.flatnonzero(centres == 0.0) if keep_zero else np.zeros(0, np.int64)
    sums = np.append(0.0, np.cumsum(values))
    edges = np.zeros(0, np.int64)
    for _ in range(LLOYD_STEPS):
        moved = np.concatenate(([0], np.searchsorted(values, _middles(centres), side="right"), [len(values)]))
        if np.array_equal(moved, edges):
            break
        edges = moved
        counts = np.diff(edges)
        centres = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), centres)
        centres[zero] = 0.0
    return centres


def _starts(distinct: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Returns ``count`` of the ascending ``distinct`` values, as dense as the cube root of the density of all.

    That is where the best values lie when they are many. From evenly spaced ranks, 64 values came to rest at three
    times the squared error on the weights of SwinIR light.

    Source: Panter and Dite, "Quantization distortion in pulse-count modulation", Proceedings of the IRE, 1951.
    """
    order = np.arange(count)
    # The density is one over the gap to the next value, so each gap counts with (1 / gap) ** (1/3) * gap.
    shares = np.append(0.0, np.cumsum(np.diff(distinct) ** (2 / 3)))
    places = np.interp((order + 0.5) / count * shares[-1], shares, np.arange(len(distinct)))
    # No two at one place: a value that begins without a weight would never get one.
    behind = np.maximum.accumulate(np.rint(places).astype(np.int64) - order)
    return distinct[np.minimum(behind, len(distinct) - count) + order]


def _middles(palette: NDArray[np.float64]) -> NDArray[np.float64]:
    return (palette[1:] + palette[:-1]) / 2
