"""A network as segments that run one after the other: each has a few layers, and adds what it gives to a shortcut.

This is the network of :mod:`sr_core.arch.swinir` taken apart, so that it can be run from any place on, looked into, and
run side by side with another one. The writer of a segment is its last layer, the one that writes to the shortcut; of
the reconstruction, which has no shortcut, it is the first one. A branch is a segment that gets smaller: the attention
or the MLP of one block, whose writer is linear in the heads or hidden units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, assert_never

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sr_core.arch.swinir import Mlp, SwinBlock, SwinIR, WindowAttention
from sr_core.compress.blocks import stages_of
from sr_core.errors import OptionError

__all__ = [
    "Layer",
    "Place",
    "Segment",
    "State",
    "begin",
    "behind",
    "finish",
    "inputs_of",
    "layers_of",
    "run",
    "seen",
    "segments_of",
    "shortcut",
    "walk",
    "writer_of",
]

Kind: TypeAlias = Literal["first", "attention", "mlp", "closing", "body", "reconstruction"]
Layer: TypeAlias = nn.Linear | nn.Conv2d

_NO_MAP: Final = torch.zeros(0)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a network: stages and their blocks are counted from 0, and 0 where there is no choice."""

    kind: Kind
    stage: int = 0
    block: int = 0

    @property
    def is_branch(self) -> bool:
        """Whether it is the attention or the MLP of a block."""
        return self.kind in ("attention", "mlp")

    def is_within(self, stages: Sequence[int]) -> bool:
        """Returns whether it belongs to one of these stages."""
        return (self.is_branch or self.kind == "closing") and self.stage in stages


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


@dataclass(frozen=True, slots=True)
class Place:
    """A branch in a run.

    Attributes:
        branch: Which one.
        before: The state that it reads.
        inputs: What its writer takes (B, H, W, K).
        x: The stream behind it (B, H, W, C).
    """

    branch: Segment
    before: State
    inputs: Tensor
    x: Tensor


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
    """Returns the state before the first segment, for pictures (B, channels, H, W) in 0..1.

    Raises:
        OptionError: A side of the pictures is not a multiple of the window.
    """
    (height, width), window = tiles.shape[-2:], module.spec.window
    if height % window or width % window:
        raise OptionError(
            f"Calibration tiles must be multiples of the network's window of {window} pixels, not {height} x {width}."
        )
    return State(tiles - module.mean)


def run(module: SwinIR, segments: Sequence[Segment], state: State) -> State:
    """Returns the state behind segments."""
    for segment in segments:
        written = writer_of(module, segment)(inputs_of(module, segment, state))
        state = behind(module, segment, state, written)
    return state


def walk(module: SwinIR, tiles: Tensor) -> Iterator[Place]:
    """Yields each branch in the order in which they run on pictures (B, channels, H, W).

    Raises:
        OptionError: A side of the pictures is not a multiple of the window.
    """
    state = begin(module, tiles)
    for segment in segments_of(module)[:-2]:  # no branch is behind the stages
        inputs = inputs_of(module, segment, state)
        after = behind(module, segment, state, writer_of(module, segment)(inputs))
        if segment.is_branch:
            yield Place(segment, state, inputs, after.x)
        state = after


def finish(module: SwinIR, place: Place, x: Tensor) -> Tensor:
    """Returns the picture (B, channels, scale*H, scale*W) when the stream behind a place is ``x`` (B, H, W, C)."""
    segments = segments_of(module)
    following = segments[segments.index(place.branch) + 1 :]
    return run(module, following, replace(place.before, x=x)).x


def inputs_of(module: SwinIR, segment: Segment, state: State) -> Tensor:
    """Returns what the writer of a segment takes: a map (B, H, W, K), or (B, K, H, W) for a convolution."""
    match segment.kind:
        case "first" | "reconstruction":
            return state.x
        case "attention":
            return _block(module, segment).mix(state.x, module.mask(state.x.shape[1], state.x.shape[2], state.x.device))
        case "mlp":
            return _block(module, segment).activate(state.x)
        case "closing" | "body":
            x = state.x if segment.kind == "closing" else module.norm(state.x)
            x = x.permute(0, 3, 1, 2)
            for part in _convolutions(module, segment)[:-1]:
                x = part(x)
            return x
        case _:
            assert_never(segment.kind)


def writer_of(module: SwinIR, segment: Segment) -> Layer:
    """Returns the layer of a segment that writes to the shortcut, or the first one of the reconstruction."""
    match segment.kind:
        case "attention":
            found = _attention(module, segment).proj
        case "mlp":
            found = _mlp(module, segment).fc2
        case "first" | "closing" | "body":
            found = _convolutions(module, segment)[-1]
        case "reconstruction":
            found = _convolutions(module, segment)[0]
        case _:
            assert_never(segment.kind)
    assert isinstance(found, nn.Linear | nn.Conv2d)  # noqa: S101  nothing else ends a segment of SwinIR
    return found


def behind(module: SwinIR, segment: Segment, state: State, written: Tensor) -> State:
    """Returns the state behind a segment, from the state before it and what its writer gives."""
    match segment.kind:
        case "first":
            x = module.patch_norm(written.permute(0, 2, 3, 1))
            return State(x, x, written)
        case "attention" | "mlp":
            return replace(state, x=state.x + written)
        case "closing":
            x = state.stage_input + written.permute(0, 2, 3, 1)
            return State(x, x, state.shallow)
        case "body":
            return State(written + state.shallow)
        case "reconstruction":
            for part in _convolutions(module, segment)[1:]:
                written = part(written)
            return State(written + module.mean)
        case _:
            assert_never(segment.kind)


def shortcut(segment: Segment, state: State) -> Tensor | None:
    """Returns what a segment's writer is added to, in that layer's form; None where there is no shortcut."""
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


def layers_of(module: SwinIR, segment: Segment) -> dict[str, Layer]:
    """Returns the layers of a segment by name, in the order in which they run."""
    name = {
        "first": "conv_first",
        "attention": f"layers.{segment.stage}.residual_group.blocks.{segment.block}.attn",
        "mlp": f"layers.{segment.stage}.residual_group.blocks.{segment.block}.mlp",
        "closing": f"layers.{segment.stage}.conv",
        "body": "conv_after_body",
        "reconstruction": "reconstruction",
    }[segment.kind]
    parts = module.get_submodule(name).named_modules()
    return {f"{name}.{below}".rstrip("."): part for below, part in parts if isinstance(part, nn.Linear | nn.Conv2d)}


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
            run(module, (segment,), state)
        finally:
            handle.remove()
        yield name, caught[0], caught[1]


def _block(module: SwinIR, segment: Segment) -> SwinBlock:
    return stages_of(module)[segment.stage][segment.block]


def _attention(module: SwinIR, segment: Segment) -> WindowAttention:
    attn = _block(module, segment).attn
    if attn is None:
        raise ValueError(f"the network has no {segment}")
    return attn


def _mlp(module: SwinIR, segment: Segment) -> Mlp:
    mlp = _block(module, segment).mlp
    if mlp is None:
        raise ValueError(f"the network has no {segment}")
    return mlp


def _convolutions(module: SwinIR, segment: Segment) -> list[nn.Module]:
    """Returns the convolutions of a segment, with what stands between them."""
    match segment.kind:
        case "first":
            found = module.conv_first
        case "closing":
            found = module.layers[segment.stage].get_submodule("conv")
        case "body":
            found = module.conv_after_body
        case "reconstruction":
            found = module.reconstruction
        case "attention" | "mlp":
            raise ValueError(f"{segment} has no convolutions")
        case _:
            assert_never(segment.kind)
    return list(found.children()) or [found]
