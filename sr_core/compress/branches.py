"""The branches of a network, which is what gets smaller: where each one stands, what its last layer takes.

A branch is the attention or the MLP of one block. Its last layer, a projection or the second layer of an MLP, writes to
the residual stream; it is linear in the heads or hidden units, which are what goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from torch import Tensor, nn

from sr_core.arch.swinir import SwinBlock, SwinIR, pad
from sr_core.compress.blocks import stages_of
from sr_core.spec import SwinIRSpec

__all__ = ["Branch", "BranchKind", "Place", "Stream", "begin", "finish", "group_size", "last_layer", "walk"]

BranchKind: TypeAlias = Literal["attention", "mlp"]


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a branch stands: stages and their blocks are counted from 0."""

    stage: int
    block: int
    kind: BranchKind


@dataclass(frozen=True, slots=True)
class Stream:
    """The residual stream of a run at one place.

    Attributes:
        x: The stream (B, H, W, C).
        stage_input: What the stage that runs began with; its shortcut adds it again.
        shallow: Shallow features (B, C, H, W); the shortcut around the body adds them again.
    """

    x: Tensor
    stage_input: Tensor
    shallow: Tensor


@dataclass(frozen=True, slots=True)
class Place:
    """A branch in a run.

    Attributes:
        branch: Which one.
        before: The stream that it reads.
        inputs: What its last layer takes (B, H, W, K).
        x: The stream behind it (B, H, W, C).
    """

    branch: Branch
    before: Stream
    inputs: Tensor
    x: Tensor


def group_size(spec: SwinIRSpec, kind: BranchKind) -> int:
    """Returns how many inputs of its last layer belong to what goes as one: a head, or a hidden unit."""
    return spec.head_dim if kind == "attention" else 1


def last_layer(module: SwinIR, branch: Branch) -> nn.Linear:
    """Returns the layer of a branch that writes to the residual stream."""
    block = stages_of(module)[branch.stage][branch.block]
    if branch.kind == "attention" and block.attn is not None:
        return block.attn.proj
    if branch.kind == "mlp" and block.mlp is not None:
        return block.mlp.fc2
    raise ValueError(f"the network has no branch {branch}")


def begin(module: SwinIR, tiles: Tensor) -> Stream:
    """Returns the stream before the first block, for pictures (B, channels, H, W) in 0..1."""
    shallow = module.conv_first(pad(tiles, module.spec.window) - module.mean)  # (B, C, H, W)
    x = module.patch_norm(shallow.permute(0, 2, 3, 1))  # (B, H, W, C)
    return Stream(x, x, shallow)


def walk(module: SwinIR, tiles: Tensor) -> Iterator[Place]:
    """Yields each branch that exists, in the order in which they run on pictures (B, channels, H, W)."""
    stream = begin(module, tiles)
    for i, blocks in enumerate(stages_of(module)):
        for j, block in enumerate(blocks):
            for kind in ("attention", "mlp"):
                inputs = _inputs(module, block, kind, stream.x)
                if inputs is not None:
                    branch = Branch(i, j, kind)
                    x = stream.x + last_layer(module, branch)(inputs)
                    yield Place(branch, stream, inputs, x)
                    stream = replace(stream, x=x)
        stream = _close(module, i, stream)


def finish(module: SwinIR, place: Place, x: Tensor) -> Tensor:
    """Returns the picture (B, channels, scale*H, scale*W) when the stream behind a place is ``x`` (B, H, W, C)."""
    branch, blocks = place.branch, stages_of(module)[place.branch.stage]
    here, mask = blocks[branch.block], _mask(module, x)
    if branch.kind == "attention" and here.mlp is not None:
        x = x + here.mlp.fc2(here.activate(x))
    for block in blocks[branch.block + 1 :]:
        x = block(x, mask)
    x = _close(module, branch.stage, replace(place.before, x=x)).x
    for stage in list(module.layers)[branch.stage + 1 :]:
        x = stage(x, mask)
    deep = module.conv_after_body(module.norm(x).permute(0, 3, 1, 2))
    return module.reconstruction(deep + place.before.shallow) + module.mean


def _inputs(module: SwinIR, block: SwinBlock, kind: BranchKind, x: Tensor) -> Tensor | None:
    if kind == "attention":
        return None if block.attn is None else block.mix(x, _mask(module, x))
    return None if block.mlp is None else block.activate(x)


def _close(module: SwinIR, stage: int, stream: Stream) -> Stream:
    conv = module.layers[stage].get_submodule("conv")
    x = stream.stage_input + conv(stream.x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return Stream(x, x, stream.shallow)


def _mask(module: SwinIR, x: Tensor) -> Tensor:
    return module.mask(x.shape[1], x.shape[2], x.device)
