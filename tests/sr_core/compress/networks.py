"""Small networks that the tests of compression share: every upsampler, unequal heads, absent branches."""

import copy
from dataclasses import replace
from itertools import cycle

import torch
from torch import Tensor

from sr_core.arch.build import build
from sr_core.arch.storage import choices, has_choice, is_table
from sr_core.arch.swinir import SwinIR
from sr_core.compress.least_squares import bias_of, solve, sum_up
from sr_core.compress.segments import Layer
from sr_core.spec import Formats, LayerFormat, Precision, SwinIRSpec, Variant
from tests.peers import randomize

__all__ = [
    "PRUNED",
    "SPECS",
    "WHOLE",
    "explained",
    "formats_for",
    "mixed_formats",
    "picture",
    "random_network",
    "tiny_variant",
]

WHOLE = SwinIRSpec(scale=2, embed_dim=24, head_dim=6, heads=((4, 4, 4), (4, 4)), hidden=((48, 48, 48), (48, 48)))
PRUNED = replace(WHOLE, heads=((4, 1, 0), (2, 3)), hidden=((48, 5, 7), (0, 48)))
SPECS = {
    "whole": WHOLE,
    "pruned": PRUNED,
    "pixelshuffle x3, narrow": replace(PRUNED, upsampler="pixelshuffle", scale=3, features=20, window=4),
    "pixelshuffle x8": replace(WHOLE, upsampler="pixelshuffle", scale=8),
    "nearest x4, 3conv": replace(PRUNED, upsampler="nearest+conv", scale=4, resi_connection="3conv"),
    "nearest x2, one channel": replace(WHOLE, upsampler="nearest+conv", channels=1, mean=(0.0,), features=16),
    "odd widths": replace(WHOLE, embed_dim=18, head_dim=7, hidden=((37, 37, 37), (29, 0)), resi_connection="3conv"),
    "no branches": replace(WHOLE, heads=((0, 0), (0,)), hidden=((0, 0), (0,))),
}


def random_network(spec: SwinIRSpec, seed: int = 0) -> SwinIR:
    """A network whose every weight, norm and bias is random."""
    module = build(spec).eval()
    randomize(module, seed)
    return module


def mixed_formats(spec: SwinIRSpec, table: LayerFormat = "int8") -> Formats:
    """Every format in turn, for the weights that have a choice; one format for all tables."""
    turns, formats = cycle(choices("weight")), dict[str, LayerFormat]()
    for name, value in build(spec).state_dict().items():
        if has_choice(name, value.shape):
            formats[name] = table if is_table(name) else next(turns)
    return tuple(sorted(formats.items()))


def formats_for(spec: SwinIRSpec, precision: Precision) -> Formats:
    """The formats that a variant of this precision needs."""
    return mixed_formats(spec) if precision == "mixed-bit" else ()


def tiny_variant(spec: SwinIRSpec, precision: Precision) -> Variant:
    """A variant of a spec; in every format, if its precision leaves a choice."""
    formats = formats_for(spec, precision)
    return Variant(family="tiny", spec=spec, task="lightweight", trained="noise", precision=precision, formats=formats)


def picture(spec: SwinIRSpec, height: int = 16, width: int = 24) -> torch.Tensor:
    """A random picture (1, channels, height, width)."""
    return torch.rand(1, spec.channels, height, width, generator=torch.Generator().manual_seed(9))


def explained(layer: Layer, inputs: Tensor, missing: Tensor) -> float:
    """The share of what is missing from a layer's output that a change of the layer could give."""
    change = solve(sum_up(layer, inputs, missing), 1e-6).float()
    changed = copy.deepcopy(layer)
    changed.weight.copy_(change[:-1].t().view(layer.weight.shape))
    bias_of(changed).copy_(change[-1])
    return 1 - float((missing - changed(inputs)).square().sum() / missing.square().sum())
