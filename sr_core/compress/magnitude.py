"""Unstructured pruning: the smallest weights become zero, wherever they stand.

It is the contrast to pruning heads: the network keeps its shape, and without special hardware its time.

Source: Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015, section 3, with
one share for all layers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network
from sr_core.errors import OptionError

__all__ = ["Sparsity", "prune_magnitude", "weight_sparsity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """How much of a network is zero.

    Attributes:
        linear: Share of zeros among the weights of the linear layers (queries, keys, values, projections, MLPs).
        parameters: Share of zeros among all learned values.
    """

    linear: float
    parameters: float


def prune_magnitude(module: SwinIR, sparsity: float) -> SwinIR:
    """Returns a network of the same spec in which each linear layer has lost its smallest weights.

    Of the ``n`` weights of a layer, the ``round(sparsity * n)`` of least magnitude are zero; biases stay.

    Args:
        module: The network; it is not changed.
        sparsity: Share of each layer's weights to set to zero, from 0 to less than 1.

    Raises:
        OptionError: The sparsity is outside its range.
    """
    if not 0 <= sparsity < 1:
        raise OptionError(f"The share of weights to remove must be from 0 to less than 1, not {sparsity}.")
    pruned = copy_network(module)
    with torch.no_grad():
        for weight in _linear_weights(pruned):
            flat = weight.view(-1)
            flat[flat.abs().argsort(stable=True)[: round(sparsity * len(flat))]] = 0.0
    return pruned


def weight_sparsity(module: SwinIR) -> Sparsity:
    """Returns which share of the weights is zero."""
    return Sparsity(linear=_share(_linear_weights(module)), parameters=_share(list(module.parameters())))


def _linear_weights(module: SwinIR) -> list[Tensor]:
    return [part.weight for part in module.modules() if isinstance(part, nn.Linear)]


def _share(values: list[Tensor]) -> float:
    """Returns the share of zeros; 0 where there are no values at all."""
    count = sum(value.numel() for value in values)
    zeros = count - sum(int(value.detach().count_nonzero()) for value in values)
    return zeros / count if count else 0.0
