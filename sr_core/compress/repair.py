"""Repair without training: the layers of a pruned network are solved for again, in closed form, one after the other.

The whole network and the pruned one run side by side on calibration tiles. Where the pruned network writes to the
residual stream, its last linear layer of that branch is chosen anew, such that its stream comes as close to the whole
network's as a linear layer can bring it: least squares on the activations, with a small penalty on leaving the present
weights. What one layer cannot mend, because a branch is gone or too small, the next ones see in their target: every
layer is solved for on the stream that the layers before it, already mended, really give. The convolutions at the end of
each stage and of the body, and the first of the reconstruction, are solved for in the same way.

Sums are taken in float64. There are no gradients and no steps, so nothing has to be tuned, and the same tiles give the
same weights.

Source: the least-squares reconstruction of He et al., "Channel Pruning for Accelerating Very Deep Neural Networks",
ICCV 2017, section 3.1, equation 2, and its "whole model pruning", section 3.2: the inputs are those of the pruned
network, the targets those of the whole one.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

import torch
from torch import Tensor

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network
from sr_core.compress.least_squares import bias_of, solve, sum_up
from sr_core.compress.segments import (
    Layer,
    Segment,
    State,
    begin,
    behind,
    inputs_of,
    run,
    segments_of,
    shortcut,
    writer_of,
)

__all__ = ["RIDGE", "repair", "without_each_stage"]

RIDGE: Final = 1e-4
"""Weight of the penalty: the squared change of a weight, in units of the mean square of the layer's inputs."""


def repair(
    pruned: SwinIR, whole: SwinIR, tiles: Tensor, *, stages: tuple[int, ...] = (), ridge: float = RIDGE
) -> SwinIR:
    """Returns a network of the spec of ``pruned`` whose residual stream is as near to that of ``whole`` as it gets.

    Args:
        pruned: The pruned network; it is not changed.
        whole: The network that it was made from.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        stages: Stages of ``whole`` that are gone; the convolution before them takes over what they did.
        ridge: See :data:`RIDGE`.

    Raises:
        OptionError: The side of the tiles is not a multiple of the window.
    """
    repaired = copy_network(pruned)
    with torch.inference_mode():
        _repair(repaired, copy_network(whole), tiles, stages, ridge)
    return repaired


def _repair(own: SwinIR, whole: SwinIR, tiles: Tensor, gone: tuple[int, ...], ridge: float) -> None:
    mine, theirs = begin(own, tiles), begin(whole, tiles)
    segments, left = segments_of(whole), segments_of(own)
    for number, segment in enumerate(segments):
        before, theirs = theirs, run(whole, (segment,), theirs)
        here = _here(segment, gone)
        if here not in left:
            continue
        if here.kind == "first":
            mine = run(own, (here,), mine)
            continue
        layer, inputs = writer_of(own, here), inputs_of(own, here, mine)
        if here.kind == "reconstruction":
            # The last bits of a convolution depend on the layout of what it takes, and repaired networks are published.
            inputs, target = inputs.contiguous(), writer_of(whole, segment)(before.x.contiguous())
        else:
            lost = takewhile(lambda one: one.is_within(gone), segments[number + 1 :])
            target = _missing(here, mine, run(whole, tuple(lost), theirs))
        _mend(layer, inputs, target - layer(inputs), ridge)
        mine = behind(own, here, mine, layer(inputs))


def without_each_stage(module: SwinIR, tiles: Tensor, *, repairs: bool) -> Iterator[Tensor]:
    """Yields for each stage the picture (B, channels, scale*H, scale*W) that the network makes without it.

    Args:
        module: The network; it is not changed.
        tiles: Pictures (B, channels, S, S) in 0..1; S is a multiple of the window.
        repairs: Whether the convolution before the stage takes over what it can of what the stage did.

    Raises:
        OptionError: The side of the pictures is not a multiple of the window.
    """
    segments = segments_of(module)
    state = run(module, segments[:1], begin(module, tiles))
    before: State | None = None  # what the closing of the stage before has read
    for i in range(len(module.spec.depths)):
        own = [segment for segment in segments if segment.is_within((i,))]
        following = segments[segments.index(own[-1]) + 1 :]
        last = run(module, own[:-1], state)
        after = run(module, own[-1:], last)
        without = state
        if repairs and before is not None:
            closing = Segment("closing", i - 1)
            layer, inputs = copy.deepcopy(writer_of(module, closing)), inputs_of(module, closing, before)
            _mend(layer, inputs, _missing(closing, before, after) - layer(inputs), RIDGE)
            without = behind(module, closing, before, layer(inputs))
        yield run(module, following, without).x
        state, before = after, last


def _here(segment: Segment, gone: Sequence[int]) -> Segment | None:
    """Returns what a segment of the whole network is in one without some stages; None where it is gone with them."""
    if segment.is_within(gone):
        return None
    return replace(segment, stage=segment.stage - sum(stage < segment.stage for stage in gone))


def _missing(segment: Segment, state: State, wanted: State) -> Tensor:
    """Returns what is to be added to the shortcut of a segment to get the wanted stream, in its writer's form."""
    way = shortcut(segment, state)
    if way is None:
        raise ValueError(f"{segment} has no shortcut")
    return (wanted.x.permute(0, 3, 1, 2) if segment.kind == "closing" else wanted.x) - way


def _mend(layer: Layer, inputs: Tensor, missing: Tensor, ridge: float) -> None:
    """Changes a layer such that from its inputs it gives what is missing as well, as nearly as it can."""
    change = solve(sum_up(layer, inputs, missing), ridge).float()
    layer.weight.add_(change[:-1].t().view(layer.weight.shape))
    bias_of(layer).add_(change[-1])
