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
from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.arch.swinir import SwinBlock, SwinIR, pad
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.branches import begin

__all__ = ["RIDGE", "repair", "without_each_stage"]

RIDGE: Final = 1e-4
"""Weight of the penalty: the squared change of a weight, in units of the mean square of the layer's inputs."""

ROWS: Final = 16_384
"""Positions whose inputs are in float64 at a time."""


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
    """
    repaired = copy_network(pruned)
    with torch.inference_mode():
        _repair(repaired, copy_network(whole), tiles, stages, ridge)
    return repaired


def _repair(own: SwinIR, whole: SwinIR, tiles: Tensor, gone: tuple[int, ...], ridge: float) -> None:
    x = pad(tiles, whole.spec.window) - whole.mean
    shallow = own.conv_first(x), whole.conv_first(x)
    mine, theirs = (net.patch_norm(y.permute(0, 2, 3, 1)) for net, y in zip((own, whole), shallow, strict=True))
    mask = whole.mask(mine.shape[1], mine.shape[2], mine.device)
    kept = iter(zip(own.layers, stages_of(own), strict=True))
    for i, (stage, blocks) in enumerate(zip(whole.layers, stages_of(whole), strict=True)):
        if i in gone:
            theirs = stage(theirs, mask)
            continue
        own_stage, own_blocks = next(kept)
        begin_mine, begin_theirs = mine, theirs
        for own_block, block in zip(own_blocks, blocks, strict=True):
            mine, theirs = _mend_block(own_block, block, (mine, theirs), mask, ridge)
        theirs = begin_theirs + _on_map(stage.get_submodule("conv"), theirs)
        target = _behind(whole, i, gone, theirs, mask)
        own_closing = own_stage.get_submodule("conv")
        _solve_closing(own_closing, mine, target - begin_mine, ridge)
        mine = begin_mine + _on_map(own_closing, mine)
    deep = shallow[1] + whole.conv_after_body(whole.norm(theirs).permute(0, 3, 1, 2))
    normed = own.norm(mine)
    _solve_closing(own.conv_after_body, normed, (deep - shallow[0]).permute(0, 2, 3, 1), ridge)
    features = shallow[0] + own.conv_after_body(normed.permute(0, 3, 1, 2))
    first, own_first = whole.reconstruction[0], own.reconstruction[0]
    _solve_closing(own_first, features.permute(0, 2, 3, 1), first(deep).permute(0, 2, 3, 1), ridge)


def without_each_stage(module: SwinIR, tiles: Tensor, *, repairs: bool) -> Iterator[Tensor]:
    """Yields for each stage the picture (B, channels, scale*H, scale*W) that the network makes without it.

    Args:
        module: The network; it is not changed.
        tiles: Pictures (B, channels, S, S) in 0..1; S is a multiple of the window.
        repairs: Whether the convolution before the stage takes over what it can of what the stage did.
    """
    start = begin(module, tiles)
    x, mask = start.x, module.mask(start.x.shape[1], start.x.shape[2], start.x.device)
    before: tuple[Tensor, Tensor, nn.Module] | None = None  # input and last map of the stage before, its convolution
    for i, stage in enumerate(module.layers):
        last = stage.get_submodule("residual_group")(x, mask)
        behind = x + _on_map(stage.get_submodule("conv"), last)
        without = x
        if repairs and before is not None:
            stage_input, before_last, closing = before
            mended = copy.deepcopy(closing)
            _solve_closing(mended, before_last, behind - stage_input, RIDGE)
            without = stage_input + _on_map(mended, before_last)
        for following in list(module.layers)[i + 1 :]:
            without = following(without, mask)
        deep = module.conv_after_body(module.norm(without).permute(0, 3, 1, 2))
        yield module.reconstruction(deep + start.shallow) + module.mean
        x, before = behind, (x, last, stage.get_submodule("conv"))


def _behind(whole: SwinIR, stage: int, gone: tuple[int, ...], theirs: Tensor, mask: Tensor) -> Tensor:
    """Returns the whole network's stream behind the stages that follow a stage and are gone."""
    following = stage + 1
    while following in gone:
        theirs = whole.layers[following](theirs, mask)
        following += 1
    return theirs


def _mend_block(
    own: SwinBlock, block: SwinBlock, streams: tuple[Tensor, Tensor], mask: Tensor, ridge: float
) -> tuple[Tensor, Tensor]:
    """Solves for the last layers of a block's branches, and returns both streams behind it."""
    mine, theirs = streams
    if block.attn is not None:
        theirs = theirs + block.attn.proj(block.mix(theirs, mask))
    if own.attn is not None:
        inputs = own.mix(mine, mask)
        _solve(own.attn.proj, inputs, theirs - mine, ridge)
        mine = mine + own.attn.proj(inputs)
    if block.mlp is not None:
        theirs = theirs + block.mlp.fc2(block.activate(theirs))
    if own.mlp is not None:
        inputs = own.activate(mine)
        _solve(own.mlp.fc2, inputs, theirs - mine, ridge)
        mine = mine + own.mlp.fc2(inputs)
    return mine, theirs


def _on_map(conv: nn.Module, x: Tensor) -> Tensor:
    """Runs a convolution on a map (B, H, W, C)."""
    return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def _solve(layer: nn.Linear, inputs: Tensor, target: Tensor, ridge: float) -> None:
    """Solves for a linear layer from inputs (..., K) to its target (..., C)."""
    weight, bias = layer.weight, layer.bias
    change = _least_squares(_chunks(inputs.flatten(0, -2), lambda rows: rows), target - layer(inputs), ridge)
    weight.add_(change[:-1].t())
    bias.add_(change[-1])


def _solve_closing(closing: nn.Module, inputs: Tensor, target: Tensor, ridge: float) -> None:
    """Solves for the last convolution of a closing layer, from a map (B, H, W, K) to its target (B, H, W, C)."""
    convolutions = [part for part in closing.modules() if isinstance(part, nn.Conv2d)]
    before = list(closing.children())[:-1] if isinstance(closing, nn.Sequential) else []
    x = inputs.permute(0, 3, 1, 2)
    for part in before:
        x = part(x)
    conv = convolutions[-1]
    missing = target - conv(x).permute(0, 2, 3, 1)  # (B, H, W, C)
    side = conv.kernel_size[0]

    def rows_of(pictures: Tensor) -> Tensor:
        return F.unfold(pictures, side, padding=side // 2).transpose(1, 2).flatten(0, 1)  # (n*H*W, K*side*side)

    change = _least_squares(_chunks(x, rows_of), missing, ridge)
    assert conv.bias is not None  # noqa: S101  SwinIR has no layer without
    conv.weight.add_(change[:-1].t().view(conv.weight.shape))
    conv.bias.add_(change[-1])


def _chunks(inputs: Tensor, rows_of: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Yields the rows (n, K) of a layer's inputs in float64, some at a time."""
    at_a_time = ROWS if inputs.ndim == 2 else 1
    for part in inputs.split(at_a_time):
        yield rows_of(part).double()


def _least_squares(inputs: Iterator[Tensor], missing: Tensor, ridge: float) -> Tensor:
    """Returns the change (K + 1, C) of weights and bias that best explains what is missing from a layer's output.

    Args:
        inputs: The layer's inputs in rows (n, K), float64, together as many as ``missing`` has.
        missing: Target less present output, (..., C).
        ridge: Penalty on the squared change of a weight; the bias is free.
    """
    rest = missing.flatten(0, -2).double()
    size, start = 0, 0
    gram, right = rest.new_zeros(0, 0), rest.new_zeros(0, 0)
    for rows in inputs:
        with_one = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
        if not size:
            size = with_one.shape[1]
            gram, right = rest.new_zeros(size, size), rest.new_zeros(size, rest.shape[1])
        gram += with_one.t() @ with_one
        right += with_one.t() @ rest[start : start + len(rows)]
        start += len(rows)
    gram.diagonal()[:-1].add_(ridge * gram.diagonal()[:-1].mean())
    return torch.linalg.solve(gram, right).float()
