"""The networks of a study: what each technique makes of a whole network, at each amount."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from torch import nn

from sr_core.arch.swinir import SwinIR
from sr_core.compress.cost import count_parameters
from sr_core.compress.heads import prune_heads
from sr_core.compress.latency import LatencyTable, measure_latency
from sr_core.compress.magnitude import prune_magnitude
from sr_core.compress.mixedbit import (
    BitBudget,
    Choice,
    choose_formats,
    measure_formats,
    quantize_selective,
    round_network,
)
from sr_core.compress.package_size import package_bytes_of
from sr_core.compress.quantize import quantize
from sr_core.compress.removal import Removal
from sr_core.compress.selective import Budget, Costs, Measure, measure_costs, prune_selective
from sr_core.errors import OptionError
from sr_core.infer.window_engine import fast_compute
from sr_core.spec import Formats, LayerFormat, Precision
from zoo.study import Technique
from zoo.workshop.calibration import Calibration
from zoo.workshop.costs import costs_of
from zoo.workshop.derivation import LESSONS, SPARE_BYTES
from zoo.workshop.distill import DistillOptions, distill

__all__ = ["SHARES", "TECHNIQUES", "Amounts", "Candidate", "Candidates", "Made", "Source"]

SHARES: Final = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
TECHNIQUES: Final[tuple[Technique, ...]] = (
    "whole",
    "heads-l1",
    "magnitude-l1",
    "selective",
    "selective-repair",
    "selective-distilled",
    "uniform-bits",
    "mixed-bit",
    "selective-mixed-bit",
    "mixed-bit-selective",
)
"""All, in the order in which they are swept over."""

_UNIFORM: Final[tuple[Precision, ...]] = ("int8", "palette6", "palette4")
_SHARE_OF: Final[dict[Measure, tuple[str, str]]] = {
    "parameters": ("of the parameters", ""),
    "macs": ("of the multiplications", "m"),
    "milliseconds": ("of the measured time", "t"),
}
"""In words, and as a letter in file names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much is removed and how coarsely is stored.

    Attributes:
        techniques: Of :data:`TECHNIQUES`.
        shares: Shares of ``measure`` that are to go.
        measure: What they are shares of.
        megabytes: Sizes of packages, for techniques with ``mixed-bit``.
        finetune: How networks are distilled; None where none is.
    """

    techniques: tuple[Technique, ...] = TECHNIQUES[:5]
    shares: tuple[float, ...] = SHARES
    measure: Measure = "parameters"
    megabytes: tuple[float, ...] = ()
    finetune: DistillOptions | None = None

    def __post_init__(self) -> None:
        """Refuses what cannot be swept over, in one sentence."""
        if not all(0 < share < 1 for share in self.shares):
            raise OptionError("The shares to remove must be above 0 and below 1.")
        if not all(size > 0 for size in self.megabytes):
            raise OptionError("The sizes of packages must be above 0.")
        if "selective-distilled" in self.techniques and self.finetune is None:
            raise OptionError("The technique selective-distilled needs to be told how to distill.")
        if not self.megabytes and any("mixed-bit" in technique for technique in self.techniques):
            raise OptionError("Techniques with mixed-bit need sizes of packages.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A network, and the formats of its layers where each has its own."""

    module: SwinIR
    formats: Formats = ()


_Make: TypeAlias = Callable[[], Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A network to measure: what it is called, and how it is made.

    Attributes:
        technique: How it is made.
        words: What tells it from others of its technique.
        name: The same as a word for file names.
        make: Makes it.
        share: What is aimed at.
        measure: What the share is a share of.
        iterations: Steps of the technique.
        zeroed: Share of each layer's weights that is set to zero.
        precision: How its weights are stored.
        recipe: How it is distilled.
    """

    technique: Technique
    words: str
    name: str
    make: _Make
    share: float = 0.0
    measure: Measure = "parameters"
    iterations: int = 0
    zeroed: float = 0.0
    precision: Precision = "float16"
    recipe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """From what candidates are made.

    Attributes:
        module: The whole network.
        sha256: Of its weight file.
        calibration: On what is measured and solved.
        keep: Folder for what was measured, or None.
        runs: Folder for unfinished distillations, or None.
        tile: Side of a package's tile.
        is_fresh: Whether what was kept is not taken.
        report: Is told what is being done.
    """

    module: SwinIR
    sha256: str
    calibration: Calibration
    keep: Path | None = None
    runs: Path | None = None
    tile: int = 64
    is_fresh: bool = False
    report: Callable[[str], None] = field(default=lambda _words: None)


class Candidates:
    """Makes the networks of a study.

    Args:
        source: From what.
        amounts: Which.
    """

    def __init__(self, source: Source, amounts: Amounts) -> None:
        self._source, self._amounts = source, amounts
        self._costs: dict[bool, Costs] = {}
        self._latency: LatencyTable | None = None
        self._measured: Sequence[Choice] | None = None  # of the whole network

    def list_all(self) -> Iterator[Candidate]:
        """Yields everything that is to be measured, technique by technique; nothing is made yet."""
        for technique in self._amounts.techniques:
            match technique:
                case "whole":
                    yield Candidate(technique=technique, words="whole", name="whole", make=self._whole)
                case "heads-l1":
                    yield from self._with_fewer_heads()
                case "magnitude-l1":
                    yield from self._with_zeros()
                case "selective" | "selective-repair":
                    yield from map(partial(self.smaller, repairs=technique != "selective"), self._amounts.shares)
                case "selective-distilled":
                    yield from map(self._distilled, self._amounts.shares)
                case "uniform-bits":
                    for precision in _UNIFORM:
                        make = partial(self._stored_alike, precision)
                        yield Candidate(
                            technique=technique, words=precision, name="whole", make=make, precision=precision
                        )
                case "mixed-bit":
                    for size in self._amounts.megabytes:
                        make = partial(self._mixed, self._whole, size)
                        yield Candidate(
                            technique=technique,
                            words=f"{size:g} MB",
                            name=f"{size:g}mb",
                            make=make,
                            precision="mixed-bit",
                        )
                case "selective-mixed-bit" | "mixed-bit-selective":
                    for share in self._amounts.shares:
                        yield from self._both(technique, share)

    def smaller(self, share: float, *, repairs: bool) -> Candidate:
        """Returns the network without what is missed least, repaired or not."""
        words, letter = _SHARE_OF[self._amounts.measure]
        technique: Technique = "selective-repair" if repairs else "selective"
        return Candidate(
            technique=technique,
            words=f"{_percent(share)} % {words}",
            name=f"{technique}{_percent(share)}{letter}",
            make=partial(self._pruned, share, repairs),
            share=share,
            measure=self._amounts.measure,
        )

    def _whole(self) -> Made:
        return Made(module=self._source.module)

    def _with_fewer_heads(self) -> Iterator[Candidate]:
        most = max(map(max, self._source.module.spec.heads))
        for count in range(1, most):
            left = most - count
            yield Candidate(
                technique="heads-l1",
                words=f"{left} {'head' if left == 1 else 'heads'} a block",
                name=f"heads-l1-{count}",
                make=lambda count=count: Made(module=prune_heads(self._source.module, count)[0]),
                iterations=count,
            )

    def _with_zeros(self) -> Iterator[Candidate]:
        module = self._source.module
        linear = sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Linear))
        for share in self._amounts.shares:
            zeroed = share * count_parameters(module.spec).total / linear
            if zeroed < 1:
                yield Candidate(
                    technique="magnitude-l1",
                    words=f"{_percent(share)} % zeros",
                    name=f"magnitude-l1{_percent(share)}",
                    make=lambda zeroed=zeroed: Made(module=prune_magnitude(module, zeroed)),
                    share=share,
                    zeroed=zeroed,
                )

    def _pruned(self, share: float, repairs: bool) -> Made:
        source = self._source
        if repairs not in self._costs:
            self._costs[repairs] = costs_of(
                source.module,
                source.sha256,
                source.calibration,
                repairs=repairs,
                folder=source.keep,
                is_fresh=source.is_fresh,
                report=source.report,
            )
        return Made(module=self._without(source.module, self._costs[repairs], share, repairs=repairs)[0])

    def _without(self, module: SwinIR, costs: Costs, share: float, *, repairs: bool) -> tuple[SwinIR, Removal]:
        """Returns a network without what these costs say is missed least, and what that is."""
        source = self._source
        tiles = source.calibration.tiles
        return prune_selective(module, tiles, self._budget(share), repairs=repairs, costs=costs, report=source.report)

    def _budget(self, share: float) -> Budget:
        measure = self._amounts.measure
        if measure != "milliseconds":
            return Budget(share=share, measure=measure)
        if self._latency is None:
            self._source.report("measuring the time of branches")
            self._latency = measure_latency(self._source.module.spec, fast_compute())
        return Budget(share=share, measure=measure, latency=self._latency)

    def _distilled(self, share: float) -> Candidate:
        finetune, before = self._amounts.finetune, self.smaller(share, repairs=True)
        assert finetune is not None, "refused when the amounts were made"
        _, letter = _SHARE_OF[before.measure]
        told = hashlib.sha256(f"{finetune.recipe} {finetune.seed} {finetune.photos_words}".encode()).hexdigest()[:6]
        name = f"distilled{_percent(share)}{letter}-{finetune.steps}-{told}"

        def make() -> Made:
            student, source = quantize(before.make().module, "float16"), self._source
            if source.runs is None:
                return Made(module=distill(source.module, student, finetune))
            options = replace(finetune, lessons=source.runs / LESSONS)
            run = source.runs / name
            return Made(module=distill(source.module, student, options, run, is_fresh=source.is_fresh))

        words = f"{before.words}, {finetune.steps:,} steps"
        return replace(
            before, technique="selective-distilled", words=words, name=name, make=make, recipe=finetune.recipe
        )

    def _stored_alike(self, precision: Precision) -> Made:
        return Made(module=quantize(self._source.module, precision))

    def _mixed(self, before: _Make, megabytes: float) -> Made:
        module, source = before().module, self._source
        tiles = source.calibration.tiles
        measured = self._measured if module is source.module else None
        measured = measured or measure_formats(module, tiles, source.report)
        if module is source.module:
            self._measured = measured
        formats = choose_formats(module.spec, measured, self._bits(1e6 * megabytes))
        return Made(module=round_network(module, tiles, formats, source.report), formats=formats)

    def _bits(self, package_bytes: float) -> BitBudget:
        return BitBudget(package_bytes=int(package_bytes) - SPARE_BYTES, tile=self._source.tile)

    def _both(self, technique: Technique, share: float) -> Iterator[Candidate]:
        """Yields networks that are smaller and stored coarser, in one order or the other, of the same package size."""
        before = self.smaller(share, repairs=True)
        for size in self._amounts.megabytes:
            is_pruned_first = technique == "selective-mixed-bit"
            make = partial(self._mixed, before.make, size) if is_pruned_first else partial(self._reversed, share, size)
            letter = _SHARE_OF[before.measure][1]
            words, name = f"{before.words}, {size:g} MB", f"{technique}{_percent(share)}{letter}-{size:g}mb"
            yield replace(before, technique=technique, words=words, name=name, make=make, precision="mixed-bit")

    def _reversed(self, share: float, megabytes: float) -> Made:
        """Returns the network quantized first: formats chosen for the whole one, and what is then removed, repaired.

        The repair moves weights off their grids, so they are put on them again. The whole network's budget begins
        as much larger as the share that is to go, and is made smaller until what is left fits.
        """
        source, tiles = self._source, self._source.calibration.tiles
        wanted = self._bits(1e6 * megabytes).package_bytes
        target = wanted / (1 - share)
        for _ in range(_TRIES):
            whole, formats = quantize_selective(
                source.module, tiles, BitBudget(package_bytes=int(target), tile=source.tile), source.report
            )
            costs = measure_costs(whole, tiles, repairs=True, report=source.report)
            smaller, gone = self._without(whole, costs, share, repairs=True)
            left = _formats_left(formats, smaller, gone.stages)
            size = package_bytes_of(smaller.spec, left, source.tile)
            if size <= wanted:
                break
            target *= wanted / size
        else:
            raise OptionError(f"No network of {megabytes:g} MB was found that is quantized first and pruned then.")
        return Made(module=round_network(smaller, tiles, left, source.report), formats=left)


_STAGE: Final = re.compile(r"layers\.(\d+)\.")
_TRIES: Final = 4
"""Budgets that are tried, each a few minutes of work."""


def _formats_left(formats: Formats, smaller: SwinIR, stages: Sequence[int]) -> Formats:
    """Returns the formats of the layers that are left; stages behind one that is gone have other numbers now."""
    left: list[tuple[str, LayerFormat]] = []
    for name, word in formats:
        match = _STAGE.match(name)
        number = int(match[1]) if match else None
        if number in stages:
            continue
        if match and number is not None:
            name = f"layers.{number - sum(gone < number for gone in stages)}.{name[match.end() :]}"  # noqa: PLW2901
        left.append((name, word))
    known = smaller.state_dict()
    return tuple(sorted(pair for pair in left if pair[0] in known))


def _percent(share: float) -> str:
    return f"{100 * share:g}"
