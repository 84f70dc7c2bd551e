"""Sums over what a layer takes and what is missing from its output: all that least squares needs, in float64."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.compress.segments import Layer

__all__ = ["Sums", "bias_of", "solve", "sum_up"]

ROWS: Final = 16_384
"""Positions whose inputs are in float64 at a time; of a convolution those of one tile."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over positions, in float64. A row x is what a layer takes at one position, with a one at its end.

    Attributes:
        gram: Of the outer products of x with itself (K + 1, K + 1).
        right: Of the outer products of x with what is missing there (K + 1, outputs).
    """

    gram: Tensor
    right: Tensor


def sum_up(layer: Layer, inputs: Tensor, missing: Tensor) -> Sums:
    """Returns the sums of a layer.

    Args:
        layer: The layer.
        inputs: What it takes: (..., K), or (B, K, H, W) for a convolution, whose rows are the pixels under its kernel.
        missing: What is missing from its output, likewise.
    """
    outputs, size = layer.weight.shape[0], layer.weight[0].numel() + 1
    gram, right = (torch.zeros(size, width, dtype=torch.float64) for width in (size, outputs))
    for rows, rest in _rows(layer, inputs, missing):
        with_one = torch.cat([rows, rows.new_ones(len(rows), 1)], 1).double()
        gram += with_one.t() @ with_one
        right += with_one.t() @ rest.double()
    return Sums(gram, right)


def solve(sums: Sums, ridge: float) -> Tensor:
    """Returns the change (K + 1, outputs) of a layer's weights and bias that best gives what is missing, in float64.

    Args:
        sums: Of the layer.
        ridge: Penalty on the squared change of a weight, in units of the mean square of the inputs; the bias is free.
    """
    gram = sums.gram.clone()
    gram.diagonal()[:-1].add_(ridge * gram.diagonal()[:-1].mean())
    return torch.linalg.solve(gram, sums.right)


def bias_of(layer: Layer) -> Tensor:
    """Returns the bias of a layer; SwinIR has no layer without."""
    if layer.bias is None:
        raise ValueError("every layer of SwinIR has a bias")
    return layer.bias


def _rows(layer: Layer, inputs: Tensor, missing: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields rows (n, K) and what is missing there (n, outputs), some at a time."""
    if isinstance(layer, nn.Linear):
        yield from zip(inputs.flatten(0, -2).split(ROWS), missing.flatten(0, -2).split(ROWS), strict=True)
        return
    side = layer.kernel_size[0]
    for given, rest in zip(inputs.split(1), missing.split(1), strict=True):
        yield F.unfold(given, side, padding=side // 2)[0].t(), rest[0].flatten(1).t().contiguous()
