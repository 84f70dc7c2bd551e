"""A network as segments that run one after the other: each has a few layers, and adds what it gives to a shortcut.

With segments a network can be run from any place on, and two networks of one spec side by side.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, assert_never

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sr_core.arch.swinir import SwinIR, pad
from sr_core.compress.blocks import stages_of

__all__ = ["Segment", "State", "begin", "layers_of", "run", "seen", "segments_of", "shortcut"]

Kind: TypeAlias = Literal["first", "attention", "mlp", "closing", "body", "reconstruction"]

_NO_MAP: Final = torch.zeros(0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a network: stages and their blocks are counted from 0, and 0 where there is no choice."""

    kind: Kind
    stage: int = 0
    block: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What has been computed before a segment.

    Attributes:
        x: Before ``first`` pictures (B, channels, H, W) less their mean; then the residual stream (B, H, W, C); before
            ``reconstruction`` features (B, C, H, W), and at the end pictures (B, channels, scale*H, scale*W).
        stage_input: What the present stage began with (B, H, W, C).
        shallow: Shallow features (B, C, H, W).
    """

    x: Tensor
    stage_input: Tensor = _NO_MAP
    shallow: Tensor = _NO_MAP


def segments_of(module: SwinIR) -> tuple[Segment, ...]:
    """Returns the segments of a network in the order in which they run."""
    segments = [Segment("first")]
    for i, blocks in enumerate(stages_of(module)):
        for j, block in enumerate(blocks):
            segments += [Segment("attention", i, j)] if block.attn is not None else []
            segments += [Segment("mlp", i, j)] if block.mlp is not None else []
        segments.append(Segment("closing", i))
    return (*segments, Segment("body"), Segment("reconstruction"))


def begin(module: SwinIR, tiles: Tensor) -> State:
    """Returns the state before the first segment, for pictures (B, channels, H, W) in 0..1."""
    return State(pad(tiles, module.spec.window) - module.mean)


def run(module: SwinIR, segments: Sequence[Segment], state: State) -> State:
    """Returns the state behind segments."""
    for segment in segments:
        state = _step(module, segment, state)
    return state


def layers_of(module: SwinIR, segment: Segment) -> dict[str, nn.Linear | nn.Conv2d]:
    """Returns the layers of a segment by name, in the order in which they run; the last one writes to the shortcut."""
    names = {
        "first": ("conv_first",),
        "attention": (f"layers.{segment.stage}.residual_group.blocks.{segment.block}.attn",),
        "mlp": (f"layers.{segment.stage}.residual_group.blocks.{segment.block}.mlp",),
        "closing": (f"layers.{segment.stage}.conv",),
        "body": ("conv_after_body",),
        "reconstruction": ("reconstruction",),
    }[segment.kind]
    found: dict[str, nn.Linear | nn.Conv2d] = {}
    for name in names:
        for below, part in module.get_submodule(name).named_modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                found[f"{name}.{below}".rstrip(".")] = part
    return found


def shortcut(segment: Segment, state: State) -> Tensor | None:
    """Returns what the last layer of a segment is added to, in that layer's form; None where there is no shortcut."""
    match segment.kind:
        case "first" | "reconstruction":
            return None
        case "attention" | "mlp":
            return state.x
        case "closing":
            return state.stage_input.permute(0, 3, 1, 2)
        case "body":
            return state.shallow
        case _:
            assert_never(segment.kind)


def seen(module: SwinIR, segment: Segment, state: State) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yields the name, the input and the output of each layer of a segment, as it is when it is asked for.

    A caller that changes a layer gets the inputs of the next ones with the change.
    """
    for name, layer in layers_of(module, segment).items():
        caught: list[Tensor] = []
        handle: RemovableHandle = layer.register_forward_hook(
            lambda _layer, given, output, caught=caught: caught.extend((given[0], output))
        )
        try:
            _step(module, segment, state)
        finally:
            handle.remove()
        yield name, caught[0], caught[1]


def _step(module: SwinIR, segment: Segment, state: State) -> State:
    match segment.kind:
        case "first":
            shallow = module.conv_first(state.x)
            x = module.patch_norm(shallow.permute(0, 2, 3, 1))
            return State(x, x, shallow)
        case "attention" | "mlp":
            return replace(state, x=state.x + _branch(module, segment, state.x))
        case "closing":
            conv = module.layers[segment.stage].get_submodule("conv")
            x = state.stage_input + conv(state.x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            return State(x, x, state.shallow)
        case "body":
            deep = module.conv_after_body(module.norm(state.x).permute(0, 3, 1, 2))
            return State(deep + state.shallow)
        case "reconstruction":
            return State(module.reconstruction(state.x) + module.mean)
        case _:
            assert_never(segment.kind)


def _branch(module: SwinIR, segment: Segment, x: Tensor) -> Tensor:
    block = stages_of(module)[segment.stage][segment.block]
    if segment.kind == "attention" and block.attn is not None:
        return block.attn.proj(block.mix(x, module.mask(x.shape[1], x.shape[2], x.device)))
    if segment.kind == "mlp" and block.mlp is not None:
        return block.mlp.fc2(block.activate(x))
    raise ValueError(f"the network has no branch {segment}")
