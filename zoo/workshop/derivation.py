"""From the weights of a parent to those of a planned variant, with the record of what was done to them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final, assert_never

from sr_core.arch.swinir import SwinIR
from sr_core.compress.cost import count_parameters
from sr_core.compress.heads import prune_heads
from sr_core.compress.magnitude import prune_magnitude, weight_sparsity
from sr_core.compress.mixedbit import BitBudget, quantize_selective
from sr_core.compress.quantize import quantize
from sr_core.compress.removal import Removal
from sr_core.compress.selective import Budget, Costs, prune_selective
from sr_core.errors import OptionError
from sr_core.spec import Formats
from zoo.release import CalibrationRecord, CompressionRecord, FinetuneRecord, Release
from zoo.workshop.calibration import Calibration, CalibrationOptions, calibrate
from zoo.workshop.costs import costs_of
from zoo.workshop.distill import DistillOptions, distill, finetune_record
from zoo.workshop.plans import PlannedVariant
from zoo.workshop.stock import Stock

__all__ = ["LESSONS", "Derivation", "Derived", "Means"]

SPARE_BYTES: Final = 500
"""Kept free in a package for what a plan does not count to the byte: names, and multiplications by the rescale."""

LESSONS: Final = "lessons"
"""Where the teacher's pictures are kept below the folder for unfinished distillations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a variant may be made with, besides the weights of its parent.

    Attributes:
        photos: Photos to calibrate on where no others are named; what is there already, keeps its own.
        calibration: Named photos to calibrate on; what was calibrated on others is made again. None for none.
        finetune: How networks are distilled. None for not at all; what is there already, stays.
        runs: Folder for unfinished distillations, by id, and for what the teacher made for all of them; None to begin
            again each time.
        tile: Side of the tiles of packages, whose bytes mixed-bit storage counts.
        is_fresh: Whether to measure and to teach anew what waits in ``runs``.
    """

    photos: Path
    calibration: CalibrationOptions | None = None
    finetune: DistillOptions | None = None
    runs: Path | None = None
    tile: int = 64
    is_fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A network that was made, and what is to be recorded of it.

    Attributes:
        module: The network.
        record: What was done to the parent.
        formats: How each layer is stored, in ``mixed-bit``.
        zeros: Parameters that were set to zero.
    """

    module: SwinIR
    record: CompressionRecord
    formats: Formats = ()
    zeros: int = 0


class Derivation:
    """Makes the weights of planned variants.

    Args:
        means: With what.
        whole: The whole network of the family.
        stock: Where the networks are.
    """

    def __init__(self, means: Means, whole: Release, stock: Stock) -> None:
        self._means, self._whole, self._stock = means, whole, stock
        self._costs: dict[bool, Costs] = {}  # of the whole network, from which all that is pruned is made

    def wanted(self, planned: PlannedVariant, parent: Release, before: Release | None) -> CompressionRecord | None:
        """Returns the record that a variant is to have, without what only making it tells; None for "as it is".

        Args:
            planned: The variant; not the whole network.
            parent: What it is made from.
            before: The variant as it is listed, or None.
        """
        if planned.is_distilled and planned.precision is None:
            if parent.compression is None or self._finetune_record is None:
                return None
            return replace(parent.compression, parent_sha256=parent.weights.sha256, finetune=self._finetune_record)
        record = CompressionRecord(method="quantize", amount=0, parent_sha256=parent.weights.sha256)
        listed = before.compression.calibration if before is not None and before.compression is not None else None
        if planned.precision == "mixed-bit":
            calibration = self._calibration_record(listed)
            return replace(record, method="mixed-bit", amount=float(planned.package_budget), calibration=calibration)
        if planned.precision is not None or planned.method is None:
            return record
        record = replace(record, method=planned.method, amount=float(planned.amount))
        if planned.method != "selective":
            return record
        calibration = self._calibration_record(listed)
        return replace(record, measure=planned.measure, is_repaired=planned.is_repaired, calibration=calibration)

    def obstacle(self, wanted: CompressionRecord | None, parent: Release, before: Release) -> str:
        """Returns why a variant that is there stays as it is with these means; empty where it can be made again."""
        if wanted is None:
            stale = before.compression is None or before.compression.parent_sha256 != parent.weights.sha256
            return f"{'made from another parent than is listed; ' if stale else ''}distilled again only with --finetune"
        listed = wanted.calibration if wanted.finetune is None else None
        if listed is None or self._means.calibration is not None or self._stands_by(listed):
            return ""
        return f"calibrated on {listed.photos}; made again only with --calibration"

    def derive(
        self, planned: PlannedVariant, wanted: CompressionRecord, parent: Release, report: Callable[[str], None]
    ) -> Derived:
        """Returns the network of a variant.

        Args:
            planned: The variant.
            wanted: From :meth:`wanted`.
            parent: What it is made from.
            report: Is told how far it is.
        """
        module, tile = self._stock.module(parent), self._means.tile
        if wanted.finetune is not None and planned.precision is None:
            return Derived(module=self._distilled(planned, module), record=wanted)
        match wanted.method:
            case "heads-l1":
                module, heads = prune_heads(module, int(wanted.amount))
                return Derived(module=module, record=replace(wanted, removed_heads=heads))
            case "magnitude-l1":
                module = prune_magnitude(module, wanted.amount)
                zeros = round(weight_sparsity(module).parameters * count_parameters(module.spec).total)
                return Derived(module=module, record=wanted, zeros=zeros)
            case "selective":
                budget = Budget(share=wanted.amount, measure=planned.measure)
                module, gone = self._pruned(module, parent, budget, planned.is_repaired, report)
                record = replace(
                    wanted,
                    calibration=self.calibration.record,
                    removed_heads=gone.heads,
                    removed_units=gone.units,
                    removed_stages=gone.stages,
                )
                return Derived(module=module, record=record)
            case "quantize":
                precision = planned.precision or self._whole.variant.precision
                return Derived(module=quantize(module, precision), record=wanted)
            case "mixed-bit":
                bits = BitBudget(package_bytes=int(wanted.amount) - SPARE_BYTES, tile=tile)
                calibration = self.calibration
                module, formats = quantize_selective(module, calibration.tiles, bits, report)
                return Derived(module=module, record=replace(wanted, calibration=calibration.record), formats=formats)
            case _:
                assert_never(wanted.method)

    def _pruned(
        self, module: SwinIR, parent: Release, budget: Budget, repairs: bool, report: Callable[[str], None]
    ) -> tuple[SwinIR, Removal]:
        """Returns the smaller network; what was measured of the parent serves all variants of this build."""
        if repairs not in self._costs:
            sha256, folder = parent.weights.sha256, self._means.runs
            self._costs[repairs] = costs_of(
                module,
                sha256,
                self.calibration,
                repairs=repairs,
                folder=folder,
                report=report,
                is_fresh=self._means.is_fresh,
            )
        return prune_selective(
            module, self.calibration.tiles, budget, repairs=repairs, costs=self._costs[repairs], report=report
        )

    def _distilled(self, planned: PlannedVariant, student: SwinIR) -> SwinIR:
        options, runs = self._means.finetune, self._means.runs
        assert options is not None, "without it, nothing that is distilled is wanted"
        if runs is None:
            return distill(self._stock.module(self._whole), student, options)
        return distill(
            self._stock.module(self._whole),
            student,
            replace(options, lessons=runs / LESSONS),
            runs / planned.id(self._whole.variant),
            is_fresh=self._means.is_fresh,
        )

    @cached_property
    def calibration(self) -> Calibration:
        """What is calibrated on where something is made anew.

        Raises:
            OptionError: The photos do not serve.
        """
        options = self._means.calibration or CalibrationOptions(photos=self._means.photos)
        spec = self._whole.variant.spec
        return calibrate(options, spec.scale, spec.window)

    @cached_property
    def _finetune_record(self) -> FinetuneRecord | None:
        return None if self._means.finetune is None else finetune_record(self._means.finetune)

    def _stands_by(self, listed: CalibrationRecord) -> bool:
        """Returns whether what stands by to calibrate on is what a variant was calibrated on."""
        try:
            return listed == self.calibration.record
        except OptionError:  # photos that one cannot calibrate on are other ones
            return False

    def _calibration_record(self, listed: CalibrationRecord | None) -> CalibrationRecord:
        """Returns on what is calibrated: what is named, else what it was before, else the photos that stand by."""
        return listed if listed is not None and self._means.calibration is None else self.calibration.record
