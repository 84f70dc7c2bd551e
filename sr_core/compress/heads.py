"""Structured pruning: whole attention heads go, and the network that remains is really smaller.

Source: the seed idea is "Single Image Super Resolution on iPhone": in each step one head of every block is removed, the
one whose weights have the least L1 norm. What goes with a head: its rows of queries, keys and values with their biases,
its column of position biases, and its columns of the projection.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinIR, WindowAttention
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.errors import OptionError

__all__ = ["HeadScores", "HeadsPerBlock", "head_scores", "prune_heads", "remove_heads"]

HeadsPerBlock: TypeAlias = tuple[tuple[tuple[int, ...], ...], ...]
"""Numbers of heads of each block, grouped by stage; heads of a block are counted from 0."""

HeadScores: TypeAlias = tuple[tuple[tuple[float, ...], ...], ...]
"""A score of each head of each block, grouped by stage."""


def head_scores(module: SwinIR) -> HeadScores:
    """Returns the L1 norm of each head's rows of queries, keys and values (weights, without biases).

    Args:
        module: The network; in canonical form (``fold_norms``) the scores take the norm's scale into account.

    Source: "Single Image Super Resolution on iPhone".
    """
    return tuple(tuple(_scores(block.attn) for block in stage) for stage in stages_of(module))


def prune_heads(
    module: SwinIR, steps: int, repair: Callable[[SwinIR], SwinIR] | None = None
) -> tuple[SwinIR, HeadsPerBlock]:
    """Returns a smaller network and the heads of ``module`` that it lost, in each block in the order they went.

    In each step every block that still has heads loses the one of least score; scores are computed anew in each step.

    Args:
        module: The network; it is not changed.
        steps: Heads to remove from each block, one after the other.
        repair: What is done with the network after each step, such as training; it returns a network of the same spec.

    Raises:
        OptionError: There are not so many heads in any block.
    """
    most = max(max(stage) for stage in module.spec.heads)
    if not 0 <= steps <= most:
        raise OptionError(f"The network has up to {most} heads in a block, so 0 to {most} can go, not {steps}.")
    kept = [[list(range(heads)) for heads in stage] for stage in module.spec.heads]
    removed: list[list[list[int]]] = [[[] for _ in stage] for stage in kept]
    pruned = copy_network(module)
    for _ in range(steps):
        least = tuple(
            tuple((scores.index(min(scores)),) if scores else () for scores in stage) for stage in head_scores(pruned)
        )
        for stage, heads_of_stage in enumerate(least):
            for block, heads in enumerate(heads_of_stage):
                removed[stage][block] += [kept[stage][block].pop(head) for head in heads]
        pruned = remove_heads(pruned, least)
        pruned = repair(pruned) if repair else pruned
    return pruned, tuple(tuple(tuple(heads) for heads in stage) for stage in removed)


def remove_heads(module: SwinIR, removed: HeadsPerBlock) -> SwinIR:
    """Returns a smaller network that computes what ``module`` computes without what these heads contribute.

    A block whose last head goes has no attention branch any more. The constant which that branch still added, its
    projection's bias, moves to the layer that wrote to the residual stream before it.

    Args:
        module: The network; it is not changed.
        removed: The heads to remove from each block; an empty tuple for none.

    Raises:
        OptionError: A block of the network has no such head, or a head is named twice.
    """
    _check(module, removed)
    kept = [
        [[head for head in range(heads) if head not in gone] for heads, gone in zip(*stage, strict=True)]
        for stage in zip(module.spec.heads, removed, strict=True)
    ]
    spec = replace(module.spec, heads=tuple(tuple(len(heads) for heads in stage) for stage in kept))
    pruned = build(spec)
    whole, own = module.state_dict(), pruned.state_dict()
    pruned.load_state_dict({key: whole[key] if whole[key].shape == own[key].shape else own[key] for key in own})
    with torch.no_grad():
        for i, (stage, source_stage) in enumerate(zip(stages_of(pruned), stages_of(module), strict=True)):
            for j, (block, source) in enumerate(zip(stage, source_stage, strict=True)):
                if source.attn is not None and block.attn is not None:
                    _keep(block.attn, source.attn, kept[i][j])
                elif source.attn is not None:
                    _add_before(pruned, i, j, source.attn.proj.bias)
    return pruned.eval()


def _scores(attn: WindowAttention | None) -> tuple[float, ...]:
    if attn is None:
        return ()
    rows = attn.qkv.weight.detach().double().view(3, attn.heads, -1)  # (3, heads, head_dim*C)
    return tuple(rows.abs().sum((0, 2)).tolist())


def _check(module: SwinIR, removed: HeadsPerBlock) -> None:
    if [len(stage) for stage in removed] != list(module.spec.depths):
        raise OptionError(
            f"The heads to remove are listed for {[len(stage) for stage in removed]} blocks per stage, "
            f"but the network has {list(module.spec.depths)}."
        )
    for i, (stage, heads_of_stage) in enumerate(zip(removed, module.spec.heads, strict=True)):
        for j, (gone, heads) in enumerate(zip(stage, heads_of_stage, strict=True)):
            if len(set(gone)) != len(gone) or not set(gone) <= set(range(heads)):
                raise OptionError(
                    f"Block {j} of stage {i} has {heads} heads, counted from 0, and cannot lose the heads {list(gone)}."
                )


def _keep(attn: WindowAttention, source: WindowAttention, kept: list[int]) -> None:
    """Gives an attention the heads ``kept`` of another one."""
    heads = torch.tensor(kept)

    def rows(value: Tensor) -> Tensor:
        return value.unflatten(0, (3, source.heads, source.head_dim))[:, heads].flatten(0, 2)

    attn.qkv.weight.copy_(rows(source.qkv.weight))  # (3*heads*head_dim, C)
    attn.qkv.bias.copy_(rows(source.qkv.bias))
    columns = source.proj.weight.unflatten(1, (source.heads, source.head_dim))[:, heads]
    attn.proj.weight.copy_(columns.flatten(1))  # (C, heads*head_dim)
    attn.proj.bias.copy_(source.proj.bias)
    attn.relative_position_bias_table.copy_(source.relative_position_bias_table[:, heads])


def _add_before(module: SwinIR, stage: int, block: int, constant: Tensor) -> None:
    """Adds a constant (C,) to the residual stream right before a block, exactly, by a bias that is there already."""
    for earlier in reversed(stages_of(module)[stage][:block]):
        writer = earlier.mlp.fc2 if earlier.mlp else earlier.attn.proj if earlier.attn else None
        if writer is not None:
            writer.bias.add_(constant)
            return
    # The stream begins with the stage's input, which also takes the stage's shortcut: there the constant goes again.
    if stage:
        _closing_bias(module, stage - 1).add_(constant)
    else:
        module.patch_norm.bias.add_(constant)
    _closing_bias(module, stage).sub_(constant)


def _closing_bias(module: SwinIR, stage: int) -> Tensor:
    """Returns the bias of the last convolution of a stage."""
    closing = module.layers[stage].get_submodule("conv")
    last = [part for part in closing.modules() if isinstance(part, nn.Conv2d)][-1]
    bias = last.bias
    if bias is None:
        raise ValueError("every convolution of SwinIR has a bias")
    return bias
