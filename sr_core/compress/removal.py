"""Structured pruning: whole heads, hidden units and stages go, and the network that remains is really smaller.

What goes with a head: its rows of queries, keys and values with their biases, its column of position biases, and its
columns of the projection. With a hidden unit: its row of the first layer of the MLP with its bias, and its column of
the second. A branch that has lost everything does not exist any more, and its norm goes with it. With a stage go all
of its blocks and the convolution that closes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sr_core.arch.build import build
from sr_core.arch.swinir import Mlp, SwinIR, WindowAttention
from sr_core.compress.blocks import stages_of
from sr_core.errors import OptionError
from sr_core.spec import PerBlock, SwinIRSpec

__all__ = ["HeadsPerBlock", "Removal", "UnitsPerBlock", "none_of", "remove"]

HeadsPerBlock: TypeAlias = tuple[tuple[tuple[int, ...], ...], ...]
"""Numbers of heads of each block, grouped by stage; heads of a block are counted from 0."""

UnitsPerBlock: TypeAlias = tuple[tuple[tuple[int, ...], ...], ...]
"""Numbers of hidden units of each block's MLP, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What goes from a network, by its numbers there.

    Attributes:
        heads: Attention heads of each block; an empty tuple for none.
        units: Hidden units of each block's MLP, likewise.
        stages: Stages that go with everything in them, which heads and units must name as well.
    """

    heads: HeadsPerBlock
    units: UnitsPerBlock
    stages: tuple[int, ...] = ()


def none_of(spec: SwinIRSpec) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """Returns an empty choice for each block of a network."""
    return tuple(tuple(() for _ in stage) for stage in spec.heads)


def remove(module: SwinIR, removal: Removal) -> SwinIR:
    """Returns a smaller network that computes what ``module`` computes without what these heads and units contribute.

    Where a block loses a whole branch, the constant which that branch still added, the bias of its last layer, moves to
    the layer that wrote to the residual stream before it.

    Args:
        module: The network; it is not changed.
        removal: What goes.

    Raises:
        OptionError: The network has no such stage, or a block no such head or unit; one is named twice; a stage goes
            and something in it stays; or no stage is left.
    """
    heads = _left("heads", module.spec.heads, removal.heads)
    units = _left("hidden units", module.spec.hidden, removal.units)
    if removal.stages:
        staying = _staying(module.spec, removal.stages)
        if any(left for i in removal.stages for left in (*heads[i], *units[i])):
            raise OptionError("A stage can only go with all its heads and hidden units.")
        module = _with_stages(module, staying)
        heads, units = ([left[i] for i in staying] for left in (heads, units))
    spec = module.spec
    pruned = build(replace(spec, heads=_counts(heads), hidden=_counts(units)))
    whole, own = module.state_dict(), pruned.state_dict()
    pruned.load_state_dict({key: whole[key] if whole[key].shape == own[key].shape else own[key] for key in own})
    with torch.no_grad():
        for i, (stage, source_stage) in enumerate(zip(stages_of(pruned), stages_of(module), strict=True)):
            for j, (block, source) in enumerate(zip(stage, source_stage, strict=True)):
                if source.attn is not None and block.attn is not None:
                    _keep_heads(block.attn, source.attn, heads[i][j])
                elif source.attn is not None:
                    _add_before(pruned, i, j, source.attn.proj.bias)
                if source.mlp is not None and block.mlp is not None:
                    _keep_units(block.mlp, source.mlp, units[i][j])
                elif source.mlp is not None and block.attn is not None:
                    block.attn.proj.bias.add_(source.mlp.fc2.bias)
                elif source.mlp is not None:
                    _add_before(pruned, i, j, source.mlp.fc2.bias)
    return pruned.eval()


def _staying(spec: SwinIRSpec, gone: tuple[int, ...]) -> list[int]:
    """Returns the stages that stay."""
    count = len(spec.depths)
    if len(set(gone)) < len(gone) or not set(gone) <= set(range(count)):
        raise OptionError(f"The network has {count} stages, counted from 0, and cannot lose the stages {list(gone)}.")
    if len(gone) == count:
        raise OptionError("A network cannot lose all of its stages.")
    return [stage for stage in range(count) if stage not in gone]


def _with_stages(module: SwinIR, staying: list[int]) -> SwinIR:
    """Returns a copy with these stages only."""
    spec = module.spec
    shorter = build(
        replace(
            spec, heads=tuple(spec.heads[stage] for stage in staying), hidden=tuple(spec.hidden[i] for i in staying)
        )
    )
    weights: dict[str, Tensor] = {}
    for key, value in module.state_dict().items():
        first, _, rest = key.partition(".")
        number, _, inside = rest.partition(".")
        if first != "layers":
            weights[key] = value
        elif int(number) in staying:
            weights[f"layers.{staying.index(int(number))}.{inside}"] = value
    shorter.load_state_dict(weights)
    return shorter.eval()


def _left(kind: str, counts: PerBlock, gone: Sequence[Sequence[Sequence[int]]]) -> list[list[list[int]]]:
    """Returns the numbers that stay in each block."""
    if [len(stage) for stage in gone] != [len(stage) for stage in counts]:
        raise OptionError(
            f"The {kind} to remove are listed for {[len(stage) for stage in gone]} blocks per stage, "
            f"but the network has {[len(stage) for stage in counts]}."
        )
    for i, (stage, counts_of_stage) in enumerate(zip(gone, counts, strict=True)):
        for j, (numbers, count) in enumerate(zip(stage, counts_of_stage, strict=True)):
            if len(set(numbers)) != len(numbers) or not set(numbers) <= set(range(count)):
                raise OptionError(
                    f"Block {j} of stage {i} has {count} {kind}, counted from 0, and cannot lose the {kind} "
                    f"{list(numbers)}."
                )
    return [
        [[n for n in range(count) if n not in set(numbers)] for count, numbers in zip(*stage, strict=True)]
        for stage in zip(counts, gone, strict=True)
    ]


def _counts(left: list[list[list[int]]]) -> PerBlock:
    return tuple(tuple(len(numbers) for numbers in stage) for stage in left)


def _keep_heads(attn: WindowAttention, source: WindowAttention, kept: list[int]) -> None:
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


def _keep_units(mlp: Mlp, source: Mlp, kept: list[int]) -> None:
    """Gives an MLP the hidden units ``kept`` of another one."""
    mlp.fc1.weight.copy_(source.fc1.weight[kept])  # (hidden, C)
    mlp.fc1.bias.copy_(source.fc1.bias[kept])
    mlp.fc2.weight.copy_(source.fc2.weight[:, kept])  # (C, hidden)
    mlp.fc2.bias.copy_(source.fc2.bias)


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
    if last.bias is None:
        raise ValueError("every convolution of SwinIR has a bias")
    return last.bias
