"""The canonical form of a network: norms without scale and shift, which stand in the linear layers behind them.

A LayerNorm's scale and shift and the linear layer that follows are one linear map, so they can be written as one
layer. Weights are put on a grid in this form, because only the product of a scale and a weight is what counts, and
because a package of the network holds that product.
"""

import torch
from torch import nn

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network, stages_of

__all__ = ["fold_norms"]


def fold_norms(module: SwinIR) -> SwinIR:
    """Returns an equal network of the same spec in which both norms of every block have scale 1 and shift 0.

    Only the norms before ``attn.qkv`` and ``mlp.fc1`` are folded. Those after the shallow features and after the body
    stay: what follows them is a shortcut and a padded convolution. A folded network is returned bit for bit.

    Args:
        module: The network; it is not changed.
    """
    folded = copy_network(module)
    with torch.no_grad():
        for stage in stages_of(folded):
            for block in stage:
                if block.norm1 is not None and block.attn is not None:
                    _fold(block.norm1, block.attn.qkv)
                if block.norm2 is not None and block.mlp is not None:
                    _fold(block.norm2, block.mlp.fc1)
    return folded


def _fold(norm: nn.LayerNorm, linear: nn.Linear) -> None:
    """Moves scale and shift of a norm into the linear layer that follows it; sums in float64."""
    weight = linear.weight.double()  # (outputs, C)
    linear.bias.copy_(linear.bias.double() + weight @ norm.bias.double())
    linear.weight.copy_(weight * norm.weight.double())
    nn.init.ones_(norm.weight)
    nn.init.zeros_(norm.bias)
