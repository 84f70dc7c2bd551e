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

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sr_core.arch.storage import choices, has_choice, is_table, palette_bits
from sr_core.arch.swinir import SwinIR, WindowAttention
from sr_core.compress.blocks import copy_network
from sr_core.compress.fold import fold_norms
from sr_core.compress.package_size import package_bytes_of
from sr_core.compress.quantize import palette_of, to_int8
from sr_core.compress.rounding import Floats, round_to_int8, round_to_palette
from sr_core.compress.segments import Segment, State, begin, layers_of, run, seen, segments_of, shortcut
from sr_core.errors import OptionError, WeightsError
from sr_core.spec import Formats, LayerFormat, SwinIRSpec

__all__ = ["BitBudget", "Choice", "choose_formats", "measure_formats", "quantize_selective", "round_network"]

MEASURED_TILES: Final = 8
MEASURED_SIDE: Final = 32
"""Of so many tiles the first so many pixels a side are run to measure what a format costs."""

RIDGE: Final = 1e-4
"""Weight of the penalty on leaving the weights, in units of the mean square of the layer's inputs."""

PARTS: Final = 16
"""Parts of the tiles whose inputs are in float64 at a time."""

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
        OptionError: Even the coarsest formats take more than the budget.
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
    words: dict[tuple[str, ...], list[LayerFormat]] = {choice.names: list(choice.errors) for choice in measured}
    widest: dict[str, LayerFormat] = {name: options[0] for names, options in words.items() for name in names}
    everything = package_bytes_of(spec, _sorted(widest), budget.tile)
    saved: list[list[int]] = []
    for choice in measured:
        options: list[dict[str, LayerFormat]] = [
            {**widest, **dict.fromkeys(choice.names, word)} for word in words[choice.names]
        ]
        saved.append([everything - package_bytes_of(spec, _sorted(one), budget.tile) for one in options])
    needed = max(everything - budget.package_bytes, 0)
    if sum(map(max, saved)) < needed:
        raise OptionError(
            f"The package takes at least {everything - sum(map(max, saved)):,} bytes in the coarsest formats, which is "
            f"more than the budget of {budget.package_bytes:,}."
        )
    errors = [[choice.errors[word] for word in words[choice.names]] for choice in measured]
    picked = _knapsack(saved, errors, needed)
    chosen: dict[str, LayerFormat] = {
        name: words[choice.names][number]
        for choice, number in zip(measured, picked, strict=True)
        for name in choice.names
    }
    return _sorted(chosen)


def measure_formats(
    module: SwinIR, tiles: Tensor, report: Callable[[str], None] = lambda _words: None
) -> tuple[Choice, ...]:
    """Returns what each format of each weight costs at the network's output.

    Args:
        module: The network; it is not changed.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        report: Is told what is being done.
    """
    module = fold_norms(module)
    segments = segments_of(module)
    found: list[Choice] = []
    with torch.inference_mode():
        state = begin(module, tiles)
        some = tiles[:: max(len(tiles) // MEASURED_TILES, 1)][:MEASURED_TILES]
        few = begin(module, some[..., :MEASURED_SIDE, :MEASURED_SIDE])
        expected = run(module, segments, few).x
        found += _measure_tables(module, few, expected)
        for i, segment in enumerate(segments):
            for name, inputs, output in seen(module, segment, state):
                weight, layer = f"{name}.weight", layers_of(module, segment)[name]
                if has_choice(weight, layer.weight.shape):
                    report(f"measuring {name}")
                    moments = _moments(layer, inputs, torch.zeros_like(output))
                    errors: dict[LayerFormat, float] = {"float16": 0.0}
                    for word in choices(weight)[1:]:
                        with _swapped(layer, *_rounded(layer, moments, word)):
                            difference = run(module, segments[i:], few).x - expected
                        errors[word] = float(difference.double().square().mean())
                    found.append(Choice(names=(weight,), errors=errors))
            state, few = run(module, (segment,), state), run(module, (segment,), few)
    return tuple(found)


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
                if name == list(layers)[-1]:
                    missing = missing + _missing_before(segment, mine, theirs)
                layer = layers[name]
                moments = _moments(layer, inputs, missing)
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


def _moments(layer: nn.Linear | nn.Conv2d, inputs: Tensor, missing: Tensor) -> _Moments:
    """Returns the moments of a layer from its inputs and what is missing, as it takes and gives them."""
    count, sums = 0, list[Tensor]()
    for rows, rest in _rows(layer, inputs, missing):
        parts = [rows.sum(0), rows.t() @ rows, rest.sum(0), rest.t() @ rows]
        sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
        count += len(rows)
    mean, second, lack, cross = (total / count for total in sums)
    return _Moments(mean, second - torch.outer(mean, mean), lack, cross - torch.outer(lack, mean))


def _rows(layer: nn.Linear | nn.Conv2d, inputs: Tensor, missing: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields rows (n, K) and what is missing there (n, outputs) in float64, for a few tiles or windows at a time."""
    at_a_time = max(len(inputs) // PARTS, 1)
    for given, rest in zip(inputs.split(at_a_time), missing.split(at_a_time), strict=True):
        if isinstance(layer, nn.Linear):
            yield given.flatten(0, -2).double(), rest.flatten(0, -2).double()
        else:
            side = layer.kernel_size[0]
            rows = F.unfold(given, side, padding=side // 2).transpose(1, 2).flatten(0, 1)
            yield rows.double(), rest.flatten(2).transpose(1, 2).flatten(0, 1).double()


def _rounded(layer: nn.Linear | nn.Conv2d, moments: _Moments, word: LayerFormat) -> tuple[Tensor, Tensor]:
    """Returns the weight on the grid of a format, and the bias, that give what a layer gives and what is missing."""
    own = layer.weight.flatten(1).double()  # (outputs, K)
    damped = moments.covariance.clone()
    damped.diagonal().add_(RIDGE * damped.diagonal().mean().clamp(min=1e-30))
    wanted = own + torch.linalg.solve(damped, moments.cross.t()).t()
    weight = torch.from_numpy(_on_grid(wanted.numpy(), moments.covariance.numpy(), word))
    bias = _bias(layer).double() + moments.missing + (own - weight) @ moments.mean
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
def _swapped(layer: nn.Linear | nn.Conv2d, weight: Tensor, bias: Tensor) -> Generator[None]:
    """Lets a layer have another weight and bias for a while."""
    before = layer.weight.clone(), _bias(layer).clone()
    _set(layer, weight, bias)
    try:
        yield
    finally:
        _set(layer, *before)


def _set(layer: nn.Linear | nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight)
    _bias(layer).copy_(bias)


def _bias(layer: nn.Linear | nn.Conv2d) -> Tensor:
    assert layer.bias is not None  # noqa: S101  SwinIR has no layer without
    return layer.bias


def _missing_before(segment: Segment, mine: State, theirs: State) -> Tensor | float:
    """Returns what the shortcut lacks that a segment's last layer is added to."""
    here, there = shortcut(segment, mine), shortcut(segment, theirs)
    return 0.0 if here is None or there is None else there - here


def _knapsack(saved: Sequence[Sequence[int]], errors: Sequence[Sequence[float]], needed: int) -> list[int]:
    """Returns one option for each item, of least error, that together save at least so many bytes."""
    cells = np.arange(-(-needed // CELL) + 1)
    least = np.where(cells > 0, np.inf, 0.0)  # the least error with which at least so many cells are saved
    picks: list[tuple[NDArray[np.int64], NDArray[np.intp]]] = []
    for bytes_saved, costs in zip(saved, errors, strict=True):
        freed = np.array(bytes_saved) // CELL
        sums = np.array(costs)[:, None] + least[np.clip(cells - freed[:, None], 0, cells[-1])]  # (options, cells)
        picks.append((freed, sums.argmin(0)))
        least = sums.min(0)
    place, found = int(cells[-1]), list[int]()
    for freed, best in reversed(picks):
        found.append(int(best[place]))
        place = min(max(place - int(freed[found[-1]]), 0), int(cells[-1]))
    return found[::-1]


def _sorted(formats: Mapping[str, LayerFormat]) -> Formats:
    return tuple(sorted(formats.items()))
