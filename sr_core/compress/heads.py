"""Pruning by magnitude: in each step every block loses the attention head whose weights have the least L1 norm.

This is the technique of "Single Image Super Resolution on iPhone"; ``selective`` is the one to use.
"""

from collections.abc import Callable
from typing import TypeAlias

from sr_core.arch.swinir import SwinIR, WindowAttention
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.removal import HeadsPerBlock, Removal, none_of, remove
from sr_core.errors import OptionError

__all__ = ["HeadScores", "head_scores", "prune_heads", "remove_heads"]

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

    Args:
        module: The network; it is not changed.
        removed: The heads to remove from each block; an empty tuple for none.

    Raises:
        OptionError: A block of the network has no such head, or a head is named twice.
    """
    return remove(module, Removal(heads=removed, units=none_of(module.spec)))


def _scores(attn: WindowAttention | None) -> tuple[float, ...]:
    if attn is None:
        return ()
    rows = attn.qkv.weight.detach().double().view(3, attn.heads, -1)  # (3, heads, head_dim*C)
    return tuple(rows.abs().sum((0, 2)).tolist())
