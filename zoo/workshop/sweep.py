"""A study of one whole network: what each technique makes of it at each amount, measured.

Networks are stored as float16 and scored as they were stored. What is in the study already for the same weights and
the same calibration tiles is not made again, so a sweep that was interrupted goes on where it stopped.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

from torch import nn

from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_described, read_note, save_weights
from sr_core.compress.cost import count_parameters
from sr_core.compress.heads import prune_heads
from sr_core.compress.magnitude import prune_magnitude, weight_sparsity
from sr_core.compress.quantize import quantize
from sr_core.compress.removal import remove
from sr_core.compress.repair import repair
from sr_core.compress.selective import Budget, Costs, choose
from sr_core.errors import OptionError
from sr_core.infer.engine import Compute
from sr_core.infer.model import LoadedModel
from sr_core.infer.window_engine import WindowEngine, fast_compute
from sr_core.spec import Variant
from zoo.release import Metric, Release, SpeedRecord
from zoo.report.accounts import count_qkv_zeros, sparsity_qkv
from zoo.study import STUDY_PATH, Study, StudyPoint, Technique, load_study, put_points, save_study
from zoo.workshop.calibration import Calibration, CalibrationOptions, calibrate
from zoo.workshop.costs import costs_of
from zoo.workshop.derivation import LESSONS
from zoo.workshop.distill import DistillOptions, distill
from zoo.workshop.evaluate import evaluate, summarize
from zoo.workshop.photos import PhotoPair, validation_pairs
from zoo.workshop.records import cost_record
from zoo.workshop.speed import time_models
from zoo.workshop.stock import Stock

__all__ = ["SHARES", "TECHNIQUES", "SweepOptions", "sweep", "time_points"]

SHARES: Final = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
TECHNIQUES: Final[tuple[Technique, ...]] = (
    "whole",
    "heads-l1",
    "magnitude-l1",
    "selective",
    "selective-repair",
    "selective-distilled",
)
"""Those that a sweep knows."""

_Make: TypeAlias = Callable[[], SwinIR]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What to sweep over.

    Attributes:
        home: Folder of ``manifest.json``, ``builtin`` and ``study.json``.
        datasets: Benchmark folders to score on.
        calibration: What is measured and solved on.
        shares: Shares of the parameters that are to go.
        techniques: Of :data:`TECHNIQUES`; distilled ones are left out without ``finetune``.
        finetune: How networks are distilled, or None for not at all.
        runs: Folder for unfinished distillations, or None.
        keep: Folder for the networks and for what was measured to choose them, or None to keep none.
        compute: Number format of the products when pictures are scored; the scores tell when it is not float32.
        is_fresh: Whether to begin the study anew.
    """

    home: Path
    datasets: tuple[Path, ...]
    calibration: CalibrationOptions
    shares: tuple[float, ...] = SHARES
    techniques: tuple[Technique, ...] = TECHNIQUES
    finetune: DistillOptions | None = None
    runs: Path | None = None
    keep: Path | None = None
    compute: Compute = "float32"
    is_fresh: bool = False

    def __post_init__(self) -> None:
        """Refuses a sweep that cannot be made, in one sentence."""
        unknown = [one for one in self.techniques if one not in TECHNIQUES]
        if unknown:
            raise OptionError(f"A study sweeps over {', '.join(TECHNIQUES)}, not over {unknown[0]}.")
        if not all(0 < share < 1 for share in self.shares):
            raise OptionError("The shares to remove must be above 0 and below 1.")

    @property
    def study_path(self) -> Path:
        """Where the study is written."""
        return self.home / STUDY_PATH.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A point to measure: what it is called, and how its network is made.

    Attributes:
        technique: How it is made.
        words: What tells it from others of its technique.
        name: The same as a word for file names.
        make: Makes it.
        share: What is aimed at.
        iterations: Steps of the technique.
        zeroed: Share of each layer's weights that is set to zero.
    """

    technique: Technique
    words: str
    name: str
    make: _Make
    share: float = 0.0
    iterations: int = 0
    zeroed: float = 0.0


def sweep(options: SweepOptions, whole: Release, report: Callable[[str], None]) -> Study:
    """Returns the study of a whole network with every point measured; the file is written as it grows.

    Args:
        options: What to sweep over.
        whole: The release of the whole network.
        report: Is told of every point.

    Raises:
        OptionError: The photos or a benchmark folder do not serve, or the study that is there was made of other
            weights or on other tiles.
        ModelError: The study that is there is damaged.
    """
    spec = whole.variant.spec
    calibration = calibrate(options.calibration, spec.scale)
    bench = _Bench(options, whole, calibration)
    study = next((one for one in load_study(options.study_path) if one.whole == whole.id), None)
    if study is None or options.is_fresh:
        study = Study(
            family=whole.variant.family,
            scale=spec.scale,
            date=date.today().isoformat(),
            calibration=bench.identity,
            whole=whole.id,
            points=(),
        )
    elif study.calibration != bench.identity:
        raise OptionError(
            f"The study of {whole.id} was made with {study.calibration}, and this is {bench.identity}; "
            f"--fresh begins a new one."
        )
    for task in bench.tasks(report):
        before = next((one for one in study.points if (one.technique, one.words) == (task.technique, task.words)), None)
        point = bench.measure(task, before)
        if point != before:
            study = put_points(replace(study, date=date.today().isoformat()), (point,))
            save_study(study, options.study_path)
        report(f"{task.technique}, {task.words}: {_told(point)}{' (was there)' if point == before else ''}")
    return study


def time_points(options: SweepOptions, whole: Release, machine: str, *, side: int, rounds: int) -> Study:
    """Returns the study with the time of every point whose network was kept, all timed in one interleaved run.

    Args:
        options: Those of the sweep, with ``keep``.
        whole: The release of the whole network.
        machine: One phrase that names this machine.
        side: Side of the photo that is timed.
        rounds: Rounds that count.

    Raises:
        OptionError: No network was kept.
    """
    calibration = calibrate(options.calibration, whole.variant.spec.scale)
    bench = _Bench(options, whole, calibration)
    [study] = [one for one in load_study(options.study_path) if one.whole == whole.id]
    tasks = {(task.technique, task.words): task for task in bench.tasks(lambda _words: None)}
    kept = [
        (point, task)
        for point in study.points
        if (task := tasks.get((point.technique, point.words))) is not None and bench.is_kept(task)
    ]
    if not kept:
        raise OptionError("No network of the study was kept; name a folder for them with --keep.")
    compute = fast_compute()
    loads = [partial(bench.model, task, compute) for _, task in kept]
    timings = time_models(loads, side=side, rounds=rounds)
    timed = [
        replace(
            point,
            speed=SpeedRecord(
                seconds_per_megapixel=round(timing.seconds_per_megapixel, 2), compute=compute, machine=machine
            ),
        )
        for (point, _), timing in zip(kept, timings, strict=True)
    ]
    study = put_points(study, timed)
    save_study(study, options.study_path)
    return study


class _Bench:
    """Makes, stores and scores the networks of a study."""

    def __init__(self, options: SweepOptions, whole: Release, calibration: Calibration) -> None:
        self._options, self._whole, self._calibration = options, whole, calibration
        self._module = Stock(options.home).module(whole)
        self._costs: dict[bool, Costs] = {}
        scale = whole.variant.spec.scale
        self._pairs: dict[str, list[PhotoPair]] = {
            folder.name: validation_pairs(folder, scale=scale) for folder in options.datasets
        }
        record = calibration.record
        self.identity = (
            f"{record.tiles} tiles of {record.side} × {record.side} pixels from {record.photos} "
            f"(sha256 {record.sha256[:16]}), weights {whole.weights.sha256[:16]}"
        )

    def tasks(self, report: Callable[[str], None]) -> Iterator[_Task]:
        """Yields everything that is to be measured, technique by technique."""
        spec, options = self._module.spec, self._options
        for technique in options.techniques:
            match technique:
                case "whole":
                    yield _Task(technique="whole", words="whole", name="whole", make=lambda: self._module)
                case "heads-l1":
                    most = max(map(max, spec.heads))
                    for count in range(1, most):
                        words = f"{most - count} {'head' if most - count == 1 else 'heads'} a block"
                        make = partial(self._with_heads_removed, count)
                        yield _Task(
                            technique=technique, words=words, name=f"heads-l1-{count}", make=make, iterations=count
                        )
                case _:
                    for share in options.shares:
                        yield from self._task_of_share(technique, share, report)

    def measure(self, task: _Task, before: StudyPoint | None) -> StudyPoint:
        """Returns the point of a task; what ``before`` says of it is not measured again."""
        metrics = before.metrics if before is not None else ()
        missing = [name for name in self._pairs if name not in {metric.dataset for metric in metrics}]
        if before is not None and not missing and (self._options.keep is None or self.is_kept(task)):
            return before
        with tempfile.TemporaryDirectory(prefix="psr-study-") as work:
            path = self._stored(task, self._options.keep or Path(work))
            _, module = load_described(path)
            scored = self._scores(module, missing)
            if before is not None:
                return replace(before, metrics=(*metrics, *scored))
            return self._point(task, module, path.stat().st_size, scored)

    def is_kept(self, task: _Task) -> bool:
        """Returns whether the network of a task was kept, made from the same weights on the same tiles."""
        return self._options.keep is not None and self._is_own(self._options.keep / self._file(task))

    def model(self, task: _Task, compute: Compute) -> LoadedModel:
        """Returns a network that was kept, ready to run."""
        assert self._options.keep is not None, "only kept networks are timed"
        _, module = load_described(self._options.keep / self._file(task))
        return LoadedModel(id=task.name, engine=WindowEngine(module, compute), tiling=self._whole.tiling.plain())

    def _task_of_share(self, technique: Technique, share: float, report: Callable[[str], None]) -> Iterator[_Task]:
        number, finetune = f"{100 * share:g}", self._options.finetune
        task = _Task(
            technique=technique,
            words=f"{number} % of the parameters",
            name=f"{technique}{number}",
            make=partial(self._pruned, share, technique != "selective", report),
            share=share,
        )
        if technique == "magnitude-l1":
            linear = sum(layer.weight.numel() for layer in self._module.modules() if isinstance(layer, nn.Linear))
            zeroed = share * count_parameters(self._module.spec).total / linear
            if zeroed < 1:
                words, make = f"{number} % zeros", partial(self._with_zeros, zeroed)
                yield replace(task, words=words, make=make, zeroed=zeroed)
        elif technique == "selective-distilled":
            if finetune is not None:
                name = f"distilled{number}-{finetune.steps}"
                words = f"{task.words}, {finetune.steps:,} steps"
                yield replace(
                    task, words=words, name=name, make=partial(self._distilled, share, finetune, name, report)
                )
        else:
            yield task

    def _with_heads_removed(self, count: int) -> SwinIR:
        return prune_heads(self._module, count)[0]

    def _with_zeros(self, share: float) -> SwinIR:
        return prune_magnitude(self._module, share)

    def _pruned(self, share: float, repairs: bool, report: Callable[[str], None]) -> SwinIR:
        if repairs not in self._costs:
            self._costs[repairs] = costs_of(
                self._module,
                self._whole.weights.sha256,
                self._calibration,
                repairs=repairs,
                folder=self._options.keep,
                report=report,
            )
        gone = choose(self._module.spec, self._costs[repairs], Budget(share=share))
        module = remove(self._module, gone)
        return repair(module, self._module, self._calibration.tiles, stages=gone.stages) if repairs else module

    def _distilled(self, share: float, finetune: DistillOptions, name: str, report: Callable[[str], None]) -> SwinIR:
        [before] = self._task_of_share("selective-repair", share, report)
        if self.is_kept(before) and self._options.keep is not None:
            _, student = load_described(self._options.keep / self._file(before))
        else:
            student = quantize(before.make(), "float16")  # as it would have been kept
        runs = self._options.runs
        if runs is None:
            return distill(self._module, student, finetune)
        return distill(self._module, student, replace(finetune, lessons=runs / LESSONS), runs / name)

    def _variant(self, task: _Task) -> Variant:
        return replace(self._whole.variant, compression=task.name, precision="float16")

    def _file(self, task: _Task) -> str:
        return f"{self._variant(task).id}.safetensors"

    def _is_own(self, path: Path) -> bool:
        return path.is_file() and read_note(path).get("study") == self.identity

    def _stored(self, task: _Task, folder: Path) -> Path:
        """Returns the weight file of a task, which is made unless it was kept."""
        path = folder / self._file(task)
        if self._options.is_fresh or not self._is_own(path):
            folder.mkdir(parents=True, exist_ok=True)
            module = task.make()
            save_weights(module, path, replace(self._variant(task), spec=module.spec), {"study": self.identity})
        return path

    def _scores(self, module: SwinIR, names: Sequence[str]) -> tuple[Metric, ...]:
        compute = self._options.compute
        engine = WindowEngine(module, compute)
        model = LoadedModel(id=self._whole.id, engine=engine, tiling=self._whole.tiling.plain())
        told = "" if compute == "float32" else f", {compute} products"
        return tuple(
            replace(metric, tool=f"{metric.tool}{told}")
            for name in names
            for metric in summarize(list(evaluate(model, self._pairs[name])), dataset=name, border=module.spec.scale)
        )

    def _point(self, task: _Task, module: SwinIR, weights_bytes: int, metrics: tuple[Metric, ...]) -> StudyPoint:
        spec, whole = module.spec, self._module.spec
        total = count_parameters(whole).total
        zeros = round(weight_sparsity(module).parameters * count_parameters(spec).total) if task.zeroed else 0
        qkv_zeros = count_qkv_zeros(spec, task.zeroed) if task.zeroed else 0
        cost = cost_record(spec, whole, zeros)
        return StudyPoint(
            technique=task.technique,
            words=task.words,
            share=task.share,
            parameters=cost.parameters,
            sparsity=cost.sparsity,
            sparsity_qkv=round(sparsity_qkv(spec, whole, total, qkv_zeros), 4),
            iterations=task.iterations,
            heads=sum(map(sum, spec.heads)),
            hidden=sum(map(sum, spec.hidden)),
            weights_bytes=weights_bytes,
            package_bytes=None,
            metrics=metrics,
            speed=None,
            agreement_db=None,
        )


def _told(point: StudyPoint) -> str:
    """Returns the sparsity and the scores of a point, in words."""
    scores = [f"{one.dataset} {one.psnr_db:.3f} dB" for one in point.metrics if one.channels == "y"]
    return ", ".join([f"{point.sparsity:.1%} gone", *scores])
