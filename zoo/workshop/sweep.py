"""A study of one whole network: what each technique makes of it at each amount, measured.

Networks are stored as float16 and scored as they were stored. What is in the study already for the same weights and
the same calibration tiles is not made again, so a sweep that was interrupted goes on where it stopped.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_described, read_formats, read_note, save_weights
from sr_core.compress.cost import count_parameters
from sr_core.compress.magnitude import weight_sparsity
from sr_core.coreml.export import export_package
from sr_core.coreml.package import package_bytes
from sr_core.errors import OptionError
from sr_core.infer.engine import Compute
from sr_core.infer.model import LoadedModel
from sr_core.infer.window_engine import WindowEngine, fast_compute
from sr_core.spec import Formats, Variant
from zoo.release import Metric, Release, SpeedRecord
from zoo.report.accounts import count_qkv_zeros, sparsity_qkv
from zoo.study import STUDY_PATH, Study, StudyPoint, add_points, change_studies, load_study
from zoo.workshop.calibration import Calibration, CalibrationOptions, calibrate
from zoo.workshop.candidates import Amounts, Candidate, Candidates, Source
from zoo.workshop.evaluate import evaluate, summarize
from zoo.workshop.inspection import Inspection
from zoo.workshop.leakage import refuse_leakage
from zoo.workshop.packages import Networks, PackageOptions, package_text, plan_package, prove_package
from zoo.workshop.photos import PhotoPair, validation_pairs
from zoo.workshop.plans import ANY_FORMATS
from zoo.workshop.records import cost_record
from zoo.workshop.speed import name_run, time_models
from zoo.workshop.stock import Stock

__all__ = ["SweepOptions", "sweep", "time_points"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What to sweep over, and where.

    Attributes:
        home: Folder of ``manifest.json``, ``builtin`` and ``study.json``.
        datasets: Benchmark folders to score on.
        calibration: What is measured and solved on.
        amounts: Techniques, and how much each one removes or how coarsely it stores.
        photos: Folder of photos, tiles of which prove packages; None for no packages.
        runs: Folder for unfinished distillations, or None.
        keep: Folder for the networks and for what was measured to choose them, or None to keep none.
        compute: Number format of the products when pictures are scored; the scores tell when it is not float32.
        is_fresh: Whether to measure anew what is asked for, and to begin a study of other weights or tiles.
    """

    home: Path
    datasets: tuple[Path, ...]
    calibration: CalibrationOptions
    amounts: Amounts = field(default_factory=Amounts)
    photos: Path | None = None
    runs: Path | None = None
    keep: Path | None = None
    compute: Compute = "float32"
    is_fresh: bool = False

    def __post_init__(self) -> None:
        """Refuses a sweep that cannot be made, in one sentence."""
        names = [folder.name for folder in self.datasets]
        if len(set(names)) < len(names):
            raise OptionError("Two benchmark folders have the same name, which is how a study tells them apart.")
        if self.photos is None and any("mixed-bit" in technique for technique in self.amounts.techniques):
            raise OptionError("Techniques with mixed-bit are about packages, so packages must be made as well.")

    @property
    def study_path(self) -> Path:
        """Where the study is written."""
        return self.home / STUDY_PATH.name


def sweep(options: SweepOptions, whole: Release, report: Callable[[str], None]) -> Study:
    """Returns the study of a whole network with every point measured; the file is written as it grows.

    Args:
        options: What to sweep over.
        whole: The release of the whole network.
        report: Is told of every point.

    Raises:
        OptionError: The photos or a benchmark folder do not serve, what is calibrated on is scored, or the study that
            is there was made of other weights or on other tiles.
        ModelError: The study that is there is damaged.
    """
    spec = whole.variant.spec
    calibration = calibrate(options.calibration, spec.scale, spec.window)
    bench = _Bench(options, whole, calibration, report)
    study = next((one for one in load_study(options.study_path) if one.whole == whole.id), None)
    if study is not None and _basis(study.calibration) != _basis(bench.identity):
        if not options.is_fresh:
            raise OptionError(
                f"The study of {whole.id} was made with {study.calibration}, and this is {bench.identity}; "
                f"--fresh begins a new one."
            )
        change_studies(options.study_path, lambda studies: tuple(one for one in studies if one.whole != whole.id))
        study = None
    study = study or Study(
        family=whole.variant.family,
        scale=spec.scale,
        date=date.today().isoformat(),
        calibration=bench.identity,
        whole=whole.id,
        points=(),
    )
    if any("selective" in one or "mixed" in one for one in options.amounts.techniques):
        refuse_leakage(calibration, bench.pairs.items())
    for candidate in bench.candidates.list_all():
        key = (candidate.technique, candidate.words)
        known = (one for one in study.points if (one.technique, one.words) == key and one.recipe == candidate.recipe)
        before = None if options.is_fresh else next(known, None)
        point = bench.measure(candidate, before)
        if point != before:
            study = add_points(replace(study, date=date.today().isoformat()), (point,), options.study_path)
        report(f"{point.technique}, {point.words}: {_told(point)}{' (was there)' if point == before else ''}")
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
    spec = whole.variant.spec
    calibration = calibrate(options.calibration, spec.scale, spec.window)
    bench = _Bench(options, whole, calibration, lambda _words: None)
    [study] = [one for one in load_study(options.study_path) if one.whole == whole.id]
    candidates = {(one.technique, one.words): one for one in bench.candidates.list_all()}
    kept = [
        (point, candidate)
        for point in study.points
        if (candidate := candidates.get((point.technique, point.words))) is not None and bench.is_kept(candidate)
    ]
    if not kept:
        raise OptionError("No network of the study was kept; name a folder for them with --keep.")
    compute, run = fast_compute(), name_run()
    loads = [partial(bench.model, candidate, compute) for _, candidate in kept]
    timings = time_models(loads, side=side, rounds=rounds)
    timed = [
        replace(
            point,
            speed=SpeedRecord(
                seconds_per_megapixel=round(timing.seconds_per_megapixel, 2), compute=compute, machine=machine, run=run
            ),
        )
        for (point, _), timing in zip(kept, timings, strict=True)
    ]
    return add_points(study, timed, options.study_path)


def _basis(identity: str) -> str:
    """Returns on which tiles and weights a study rests, without the words for the photos."""
    return identity[max(identity.rfind("(sha256 "), 0) :]


class _Bench:
    """Makes, stores and scores the networks of a study."""

    def __init__(
        self, options: SweepOptions, whole: Release, calibration: Calibration, report: Callable[[str], None]
    ) -> None:
        self._options, self._whole = options, whole
        self._module = Stock(options.home).module(whole)
        source = Source(
            module=self._module,
            sha256=whole.weights.sha256,
            calibration=calibration,
            keep=options.keep,
            runs=options.runs,
            tile=PackageOptions().tile,
            is_fresh=options.is_fresh,
            report=report,
        )
        self.candidates = Candidates(source, options.amounts)
        scale = whole.variant.spec.scale
        self.pairs: dict[str, list[PhotoPair]] = {
            folder.name: validation_pairs(folder, scale=scale) for folder in options.datasets
        }
        self._inspection = None if options.photos is None else Inspection(options.photos)
        record = calibration.record
        self.identity = (
            f"{record.tiles} tiles of {record.side} × {record.side} pixels from {record.photos} "
            f"(sha256 {record.sha256[:16]}), weights {whole.weights.sha256[:16]}"
        )

    def measure(self, candidate: Candidate, before: StudyPoint | None) -> StudyPoint:
        """Returns the point of a candidate; what ``before`` says of it is not measured again."""
        known = () if before is None else before.metrics
        missing = [name for name in self.pairs if name not in {metric.dataset for metric in known}]
        has_package = self._inspection is None or (before is not None and before.package_bytes is not None)
        is_kept = self._options.keep is None or self.is_kept(candidate)
        if before is not None and not missing and has_package and is_kept:
            return before
        with tempfile.TemporaryDirectory(prefix="psr-study-") as work:
            path = self._stored(candidate, self._options.keep or Path(work))
            _, module = load_described(path)
            point = before or self._point(candidate, module, path.stat().st_size)
            point = replace(point, metrics=(*point.metrics, *self._scores(module, missing)))
            return point if has_package else self._packed(point, candidate, module, path, Path(work))

    def is_kept(self, candidate: Candidate) -> bool:
        """Returns whether a network was kept, made from the same weights on the same tiles."""
        return self._options.keep is not None and self._is_own(self._options.keep / self._file(candidate))

    def model(self, candidate: Candidate, compute: Compute) -> LoadedModel:
        """Returns a network that was kept, ready to run."""
        assert self._options.keep is not None, "only kept networks are timed"
        _, module = load_described(self._options.keep / self._file(candidate))
        return LoadedModel(id=candidate.name, engine=WindowEngine(module, compute), tiling=self._whole.tiling.plain())

    def _variant(self, candidate: Candidate, formats: Formats) -> Variant:
        """Returns what a candidate is, with the spec of the whole network still."""
        return replace(self._whole.variant, compression=candidate.name, precision=candidate.precision, formats=formats)

    def _file(self, candidate: Candidate) -> str:
        formats = ANY_FORMATS if candidate.precision == "mixed-bit" else ()
        return f"{self._variant(candidate, formats).id}.safetensors"

    def _is_own(self, path: Path) -> bool:
        return path.is_file() and _basis(read_note(path).get("study", "")) == _basis(self.identity)

    def _stored(self, candidate: Candidate, folder: Path) -> Path:
        """Returns the weight file of a candidate, which is made unless it was kept."""
        path = folder / self._file(candidate)
        if self._options.is_fresh or not self._is_own(path):
            folder.mkdir(parents=True, exist_ok=True)
            made = candidate.make()
            variant = replace(self._variant(candidate, made.formats), spec=made.module.spec)
            save_weights(made.module, path, variant, {"study": self.identity})
        return path

    def _scores(self, module: SwinIR, names: Sequence[str]) -> tuple[Metric, ...]:
        compute = self._options.compute
        engine = WindowEngine(module, compute)
        model = LoadedModel(id=self._whole.id, engine=engine, tiling=self._whole.tiling.plain())
        told = "" if compute == "float32" else f", {compute} products"
        return tuple(
            replace(metric, tool=f"{metric.tool}{told}")
            for name in names
            for metric in summarize(list(evaluate(model, self.pairs[name])), dataset=name, border=module.spec.scale)
        )

    def _point(self, candidate: Candidate, module: SwinIR, weights_bytes: int) -> StudyPoint:
        """Returns the point of a candidate without anything that is measured on pictures."""
        spec, whole = module.spec, self._module.spec
        total = count_parameters(whole).total
        zeros = round(weight_sparsity(module).parameters * count_parameters(spec).total) if candidate.zeroed else 0
        qkv_zeros = count_qkv_zeros(spec, candidate.zeroed) if candidate.zeroed else 0
        cost = cost_record(spec, whole, zeros)
        return StudyPoint(
            technique=candidate.technique,
            words=candidate.words,
            share=candidate.share,
            measure=candidate.measure,
            parameters=cost.parameters,
            sparsity=cost.sparsity,
            sparsity_qkv=round(sparsity_qkv(spec, whole, total, qkv_zeros), 4),
            iterations=candidate.iterations,
            heads=sum(map(sum, spec.heads)),
            hidden=sum(map(sum, spec.hidden)),
            weights_bytes=weights_bytes,
            package_bytes=None,
            metrics=(),
            speed=None,
            agreement_db=None,
            recipe=candidate.recipe,
        )

    def _packed(self, point: StudyPoint, candidate: Candidate, module: SwinIR, path: Path, work: Path) -> StudyPoint:
        """Returns the point with the bytes of its package and, where weights are coarse, what gate B finds of it."""
        assert self._inspection is not None, "without photos, no packages are made"
        options, whole = PackageOptions(), self._whole
        tiles = self._inspection.tiles(options.tile)
        variant = replace(self._variant(candidate, read_formats(path)), spec=module.spec)
        plan = plan_package(variant, module, tiles, "float16", options.tile)
        exported = export_package(module, plan, package_text(whole, options.overlap), work)
        point = replace(point, package_bytes=package_bytes(exported.path))
        if candidate.precision == "float16":
            return point
        networks = Networks(own=module, original=self._module, original_id=whole.id)
        proof = prove_package(exported.path, variant, plan.rescale, networks, tiles)
        return replace(point, agreement_db=round(proof.gate_b_natural_db, 2))


def _told(point: StudyPoint) -> str:
    """Returns the sparsity and the scores of a point, in words."""
    scores = [f"{one.dataset} {one.psnr_db:.3f} dB" for one in point.metrics if one.channels == "y"]
    return ", ".join([f"{point.sparsity:.1%} gone", *scores])
