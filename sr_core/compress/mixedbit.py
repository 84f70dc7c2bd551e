"""Selective quantization: each layer gets the format that it bears, under a budget of bytes of the Core ML package.

Three steps on calibration tiles:

1. Measured. Each layer alone is put on each grid, with care (:mod:`sr_core.compress.rounding`) and its bias corrected,
   and the rest of the network is run behind it: the mean square difference at the output is what the format costs.
2. Chosen. The differences of different layers nearly add, so the choice of least sum that fits into the budget is a
   knapsack, which is solved exactly. What a format takes in a package is known to the byte
   (:mod:`sr_core.compress.package_size`).
3. Rounded. The whole network and the one that is being quantized run side by side. Layer by layer, the quantized one is
   first solved for by least squares, such that from the inputs that it really gets it gives what is missing to the
   whole network's output, or stream; then it is rounded; then its bias takes up the mean of what is left. So each layer
   mends what the layers before it have done.

Sums are taken in float64; nothing is random.

Sources: measured costs in a knapsack: Hubara et al., "Accurate post training quantization with small calibration sets",
ICML 2021, section 3.3; targets of the whole network on the inputs of the quantized one: He et al., "Channel Pruning for
Accelerating Very Deep Neural Networks", ICCV 2017, section 3.2; means into biases: Nagel et al., "Data-free
quantization through weight equalization and bias correction", ICCV 2019, section 4.2.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import torch
from torch import Tensor, nn

from sr_core.arch.storage import choices, has_choice, is_table, palette_bits
from sr_core.arch.swinir import SwinIR, WindowAttention
from sr_core.compress.blocks import copy_network
from sr_core.compress.fold import fold_norms
from sr_core.compress.knapsack import pick_most, pick_options
from sr_core.compress.least_squares import Sums, bias_of, sum_up
from sr_core.compress.package_size import package_bytes_of
from sr_core.compress.quantize import palette_of, to_int8
from sr_core.compress.rounding import Floats, round_to_int8, round_to_palette
from sr_core.compress.segments import (
    Layer,
    Segment,
    State,
    begin,
    layers_of,
    run,
    seen,
    segments_of,
    shortcut,
    writer_of,
)
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import Formats, LayerFormat, SwinIRSpec

__all__ = ["BitBudget", "Choice", "choose_formats", "measure_formats", "quantize_selective", "round_network"]

MEASURED_TILES: Final = 8
MEASURED_SIDE: Final = 32
"""Of so many tiles at most so many pixels a side, or a window, are run to measure what a format costs."""

RIDGE: Final = 1e-4
"""Weight of the penalty on leaving the weights, in units of the mean square of the layer's inputs."""

CELL: Final = 16
"""Bytes that the knapsack counts in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BitBudget:
    """How much a package may take.

    Attributes:
        package_bytes: Length of its files, unzipped.
        tile: Side of the square pictures that it takes.
    """

    package_bytes: int
    tile: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Weights that have one format, and what each format costs.

    Attributes:
        names: The weight of a layer, or all tables of position biases, which a package holds as one.
        errors: Mean square difference at the output when only these weights are in a format; float16 counts as
            nothing, because a package computes in it anyway.
    """

    names: tuple[str, ...]
    errors: Mapping[LayerFormat, float]


def quantize_selective(
    module: SwinIR,
    tiles: Tensor,
    budget: BitBudget,
    report: Callable[[str], None] = lambda _words: None,
) -> tuple[SwinIR, Formats]:
    """Returns a network of the same spec whose weights lie on the grids of the formats that are returned with it.

    Args:
        module: The network; it is not changed.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        budget: What the package may take.
        report: Is told what is being done.

    Raises:
        OptionError: Even the coarsest formats take more than the budget, or the side of the tiles is not a multiple of
            the window.
        WeightsError: A weight is not a finite number, or too large for its format.
    """
    formats = choose_formats(module.spec, measure_formats(module, tiles, report), budget)
    return round_network(module, tiles, formats, report), formats


def choose_formats(spec: SwinIRSpec, measured: Sequence[Choice], budget: BitBudget) -> Formats:
    """Returns the formats of least error that fit into the budget.

    Args:
        spec: The network that was measured.
        measured: What was measured, every weight that has a choice.
        budget: What the package may take.

    Raises:
        OptionError: Even the coarsest formats take more than the budget.
    """
    offers = _offers(spec, measured, budget.tile)
    saved, errors = [[one.saved for one in item] for item in offers], [[one.error for one in item] for item in offers]

    def formats_of(numbers: Sequence[int]) -> Formats:
        chosen = (item[number] for item, number in zip(offers, numbers, strict=True))
        return _sorted({name: one.word for one in chosen for name in one.names})

    smallest = formats_of(pick_most(saved, errors))
    most, least = (package_bytes_of(spec, one, budget.tile) for one in (formats_of([0] * len(offers)), smallest))
    if least > budget.package_bytes:
        raise OptionError(
            f"The package takes at least {least:,} bytes in the coarsest formats, which is more than the budget of "
            f"{budget.package_bytes:,}."
        )
    numbers = pick_options(saved, errors, max(most - budget.package_bytes, 0), CELL)
    # Together, formats save a few bytes more or less than the sum of what each of them saves, far less than cells do.
    return smallest if numbers is None else formats_of(numbers)


@dataclass(frozen=True, slots=True)
class _Offer:
    """A format of some weights, the bytes that it saves, and what it costs; of each choice the first saves nothing."""

    names: tuple[str, ...]
    word: LayerFormat
    saved: int
    error: float


def _offers(spec: SwinIRSpec, measured: Sequence[Choice], tile: int) -> list[list[_Offer]]:
    """Returns what can be chosen from: of each choice its formats, without those that take more than the first one."""
    widest: dict[str, LayerFormat] = {name: next(iter(one.errors)) for one in measured for name in one.names}
    everything = package_bytes_of(spec, _sorted(widest), tile)
    offers: list[list[_Offer]] = []
    for choice in measured:
        item: list[_Offer] = []
        for word, error in choice.errors.items():
            changed: dict[str, LayerFormat] = {**widest, **dict.fromkeys(choice.names, word)}
            saved = everything - package_bytes_of(spec, _sorted(changed), tile)
            item += [_Offer(choice.names, word, saved, error)] if saved >= 0 else []
        offers.append(item)
    return offers


def measure_formats(
    module: SwinIR, tiles: Tensor, report: Callable[[str], None] = lambda _words: None
) -> tuple[Choice, ...]:
    """Returns what each format of each weight costs at the network's output.

    Args:
        module: The network; it is not changed.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        report: Is told what is being done.

    Raises:
        OptionError: The side of the tiles is not a multiple of the window.
    """
    module = fold_norms(module)
    segments = segments_of(module)
    found: list[Choice] = []
    with torch.inference_mode():
        state = begin(module, tiles)
        few = begin(module, _some(tiles, module.spec.window))
        expected = run(module, segments, few).x
        found += _measure_tables(module, few, expected)
        for i, segment in enumerate(segments):
            for name, inputs, output in seen(module, segment, state):
                weight, layer = f"{name}.weight", layers_of(module, segment)[name]
                if has_choice(weight, layer.weight.shape):
                    report(f"measuring {name}")
                    moments = _moments(sum_up(layer, inputs, torch.zeros_like(output)))
                    errors: dict[LayerFormat, float] = {"float16": 0.0}
                    for word in choices(weight)[1:]:
                        with _swapped(layer, *_rounded(layer, moments, word)):
                            difference = run(module, segments[i:], few).x - expected
                        errors[word] = float(difference.double().square().mean())
                    found.append(Choice(names=(weight,), errors=errors))
            state, few = run(module, (segment,), state), run(module, (segment,), few)
    return tuple(found)


def _some(tiles: Tensor, window: int) -> Tensor:
    """Returns a part of a few of the tiles, whose sides are multiples of the window."""
    side = max(MEASURED_SIDE // window, 1) * window
    return tiles[:: max(len(tiles) // MEASURED_TILES, 1)][:MEASURED_TILES, :, :side, :side]


def round_network(
    module: SwinIR, tiles: Tensor, formats: Formats, report: Callable[[str], None] = lambda _words: None
) -> SwinIR:
    """Returns a network of the same spec whose weights lie on the grids of formats, with little lost at its output.

    Args:
        module: The network; it is not changed.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        formats: The format of each weight that has a choice.
        report: Is told what is being done.

    Raises:
        OptionError: The side of the tiles is not a multiple of the window.
        WeightsError: A weight is not a finite number, or too large for its format.
    """
    whole, own, words = fold_norms(module), fold_norms(module), dict(formats)
    with torch.inference_mode():
        _round_small(own, words)
        theirs, mine = begin(whole, tiles), begin(own, tiles)
        for segment in segments_of(own):
            pairs = zip(seen(own, segment, mine), seen(whole, segment, theirs), strict=True)
            layers = layers_of(own, segment)
            for (name, inputs, output), (_, _, target) in pairs:
                report(f"rounding {name}")
                missing = target - output
                if layers[name] is writer_of(own, segment):
                    missing = missing + _missing_before(segment, mine, theirs)
                layer = layers[name]
                moments = _moments(sum_up(layer, inputs, missing))
                weight, bias = _rounded(layer, moments, words.get(f"{name}.weight", "float16"))
                _set(layer, weight, bias)
            theirs, mine = run(whole, (segment,), theirs), run(own, (segment,), mine)
    for name, value in own.named_parameters():
        if not torch.isfinite(value.half()).all():
            raise WeightsError(f"The weight {name} is not finite as {words.get(name, 'float16')}.")
    return own


@dataclass(frozen=True, slots=True)
class _Moments:
    """What a layer sees, in float64: rows x are its inputs (K,), and m (outputs,) is missing from its output for x.

    Attributes:
        mean: Of x.
        covariance: Of x, (K, K).
        missing: Mean of m.
        cross: Covariance of m and x, (outputs, K).
    """

    mean: Tensor
    covariance: Tensor
    missing: Tensor
    cross: Tensor


def _moments(sums: Sums) -> _Moments:
    """Returns the moments of a layer from its sums."""
    gram, right = sums.gram / sums.gram[-1, -1], sums.right / sums.gram[-1, -1]
    mean, lack = gram[-1, :-1], right[-1]
    return _Moments(mean, gram[:-1, :-1] - torch.outer(mean, mean), lack, right[:-1].t() - torch.outer(lack, mean))


def _rounded(layer: Layer, moments: _Moments, word: LayerFormat) -> tuple[Tensor, Tensor]:
    """Returns the weight on the grid of a format, and the bias, that give what a layer gives and what is missing."""
    own = layer.weight.flatten(1).double()  # (outputs, K)
    damped = moments.covariance.clone()
    damped.diagonal().add_(RIDGE * damped.diagonal().mean().clamp(min=1e-30))
    wanted = own + torch.linalg.solve(damped, moments.cross.t()).t()
    weight = torch.from_numpy(_on_grid(wanted.numpy(), moments.covariance.numpy(), word))
    bias = bias_of(layer).double() + moments.missing + (own - weight) @ moments.mean
    return weight.view(layer.weight.shape).float(), bias.half().float()


def _on_grid(weight: Floats, covariance: Floats, word: LayerFormat) -> Floats:
    match word:
        case "float16":
            return weight.astype(np.float16).astype(np.float64)
        case "int8":
            return round_to_int8(weight, covariance)
        case "palette6" | "palette4":
            begin = palette_of(np.sort(weight.reshape(-1)), 2 ** palette_bits(word))
            return round_to_palette(weight, covariance, begin)
        case _:
            assert_never(word)


def _round_small(module: SwinIR, words: Mapping[str, LayerFormat]) -> None:
    """Rounds what is no weight or bias of a layer: tables of position biases, and norms."""
    for name, part in module.named_modules():
        if isinstance(part, nn.LayerNorm):
            part.weight.copy_(part.weight.half())
            part.bias.copy_(part.bias.half())
        elif isinstance(part, WindowAttention):
            table = part.relative_position_bias_table
            is_int8 = words[f"{name}.relative_position_bias_table"] == "int8"
            table.copy_(to_int8(table, 1) if is_int8 else table.half())


def _measure_tables(module: SwinIR, state: State, expected: Tensor) -> list[Choice]:
    """Returns what it costs to store the tables of all blocks as int8 or as float16; nothing where there are none."""
    names = tuple(name for name, _ in module.named_parameters() if is_table(name))
    if not names:
        return []
    changed = copy_network(module)
    _round_small(changed, dict.fromkeys(names, "int8"))
    difference = run(changed, segments_of(changed), state).x - expected
    return [Choice(names=names, errors={"float16": 0.0, "int8": float(difference.double().square().mean())})]


@contextmanager
def _swapped(layer: Layer, weight: Tensor, bias: Tensor) -> Generator[None]:
    """Lets a layer have another weight and bias for a while."""
    before = layer.weight.clone(), bias_of(layer).clone()
    _set(layer, weight, bias)
    try:
        yield
    finally:
        _set(layer, *before)


def _set(layer: Layer, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    bias_of(layer).copy_(bias)


def _missing_before(segment: Segment, mine: State, theirs: State) -> Tensor | float:
    """Returns what the shortcut lacks that a segment's last layer is added to."""
    here, there = shortcut(segment, mine), shortcut(segment, theirs)
    return 0.0 if here is None or there is None else there - here


def _sorted(formats: Mapping[str, LayerFormat]) -> Formats:
    return tuple(sorted(formats.items()))
