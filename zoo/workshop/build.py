"""From a family's whole network to all of its variants: weights, Core ML packages, proofs, seams and scores.

Every stage is a function of the records and of the files it starts from, so a second build writes the same bytes. What
is already there for the same weights is not made again; an interrupted build goes on where it stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from sr_core.coreml.package import SUFFIX, CoreMLCompute
from sr_core.errors import ModelError, OptionError
from sr_core.infer.tiles import Tiling
from zoo.card import compression_text
from zoo.manifest import BUILTIN, Manifest, load_manifest
from zoo.release import (
    CompressionRecord,
    CoreMLRecord,
    CostRecord,
    FileRecord,
    Release,
    TilingRecord,
)
from zoo.workshop.calibration import CalibrationOptions
from zoo.workshop.derivation import Derivation, Derived, Means
from zoo.workshop.distill import DistillOptions
from zoo.workshop.evaluate import evaluate, summarize
from zoo.workshop.inspection import Inspection
from zoo.workshop.leakage import refuse_leakage
from zoo.workshop.packages import (
    FOLDER,
    TOOL,
    PackageOptions,
    exporter,
    has_compact_bias,
    make_package,
)
from zoo.workshop.plans import PlannedVariant, plan
from zoo.workshop.records import change_manifest, cost_record, put_metrics, store_release, store_weights
from zoo.workshop.stock import Stock

__all__ = ["BuildOptions", "Report", "build", "whole_releases"]


class Report(Protocol):
    """Is told of every stage of every variant."""

    def __call__(self, release_id: str, words: str, *, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How to build.

    Attributes:
        home: Folder of ``manifest.json`` and ``builtin``.
        photos: Folder of photos: tiles of them prove packages, and the first one shows seams. What must be calibrated
            is calibrated on them where no others are named.
        datasets: Benchmark folders to score on; on others, scores of unchanged weights stay.
        heads: Numbers of heads to remove, instead of those of the family's plan.
        package: How packages are made.
        calibration: Named photos to calibrate on, or None; see :class:`zoo.workshop.derivation.Means`.
        finetune: How networks are distilled, or None for not at all: what is there already, stays.
        runs: Folder for unfinished distillations, or None.
        is_fresh: Whether to make everything again.
    """

    home: Path
    photos: Path
    datasets: tuple[Path, ...] = ()
    heads: tuple[int, ...] | None = None
    package: PackageOptions = field(default_factory=PackageOptions)
    calibration: CalibrationOptions | None = None
    finetune: DistillOptions | None = None
    runs: Path | None = None
    is_fresh: bool = False


def whole_releases(manifest: Manifest, family: str | None) -> list[Release]:
    """Returns the whole network of a family, or those of all families.

    Raises:
        OptionError: No release is the whole network of that family.
    """
    whole = [
        release
        for release in manifest.releases
        if release.compression is None
        and release.variant.precision in ("float32", "float16")
        and family in (None, release.variant.family)
    ]
    if not whole:
        families = sorted({release.variant.family for release in manifest.releases})
        raise OptionError(f"There is no whole network of the family {family!r}; there are {', '.join(families)}.")
    return whole


def build(options: BuildOptions, family: str | None, report: Report) -> Manifest:
    """Builds every planned variant of a family, or of all; the manifest is written as it grows.

    Raises:
        OptionError: There is no such family, the photos do not serve, or what is calibrated on is scored.
        PackageError: A package did not pass its gates; what was built before it is in the manifest.
        WeightsError: The whole network's weights are missing or damaged.
    """
    path = options.home / "manifest.json"
    for whole in whole_releases(load_manifest(path), family):
        planned = plan(whole.variant, options.heads)
        builder = _Builder(options, whole)
        builder.check()
        _build_family(builder, planned, report)
    manifest = change_manifest(options.home, _in_order)
    _sweep(options.home, manifest, report)
    return manifest


def _build_family(builder: "_Builder", planned: Sequence[PlannedVariant], report: Report) -> None:
    stages = (builder.pack, builder.show_seams, builder.score)
    steps, total = 1 + len(stages), len(planned) * (1 + len(stages))
    for i, one in enumerate(planned):
        release_id = one.id(builder.whole.variant)
        made, words = builder.weigh(one, partial(report, release_id, done=i * steps, total=total))
        if made is None:
            report(release_id, words, done=(i + 1) * steps, total=total)
            continue
        builder.store(made)
        report(release_id, words, done=i * steps + 1, total=total)
        for j, stage in enumerate(stages):
            release, words = stage(one)
            builder.store(release)
            report(release_id, words, done=i * steps + j + 2, total=total)


def _with_measured(release: Release, now: Release | None) -> Release:
    """Returns the release with what others may have measured meanwhile of the same weights."""
    if now is None or now.weights != release.weights:
        return release
    return replace(release, speed=now.speed, metrics=put_metrics(now, release.metrics).metrics)


class _Builder:
    """The stages for the variants of one family; each one takes the release as it stands and returns the next form."""

    def __init__(self, options: BuildOptions, whole: Release) -> None:
        self.whole = whole
        self._options = options
        self._stock = Stock(options.home)
        self._inspection = Inspection(options.photos, options.datasets, whole.variant.spec.scale)
        means = Means(
            photos=options.photos,
            calibration=options.calibration,
            finetune=options.finetune,
            runs=options.runs,
            tile=options.package.tile,
            is_fresh=options.is_fresh,
        )
        self._derivation = Derivation(means, whole, self._stock)
        self._is_apart = False

    def check(self) -> None:
        """Refuses before any work what would be refused after it.

        Raises:
            OptionError: There are no photos, they are too small, or a benchmark folder does not serve.
        """
        self._inspection.tiles(self._options.package.tile)
        _ = self._inspection.datasets

    def store(self, release: Release) -> None:
        """Puts a release into the manifest, with what others may have measured of it meanwhile."""
        store_release(self._options.home, release.id, partial(_with_measured, release))

    def weigh(self, planned: PlannedVariant, report: Callable[[str], None]) -> tuple[Release | None, str]:
        """Returns the release with its weight file, made from its parent's, or None where it is left out."""
        whole = self.whole.variant
        if planned.id(whole) == self.whole.id:
            return replace(self.whole, cost=cost_record(whole.spec, whole.spec)), "the whole network"
        origin, before = planned.origin, self._stock.find(planned.id(whole))
        parent = self.whole if origin is None else self._stock.find(origin.id(whole))
        if parent is None:
            return None, "left out, because what it is made from is not there"
        wanted = self._derivation.wanted(planned, parent, before)
        if before is not None and self._stock.has(before, before.weights):
            obstacle = self._derivation.obstacle(wanted, parent, before)
            if obstacle or (not self._options.is_fresh and wanted is not None and _agree(before.compression, wanted)):
                words = f"weights are there; {obstacle}" if obstacle else "weights are there"
                return self._described(before, planned, before.cost), words
        if wanted is None:
            return None, "left out, because it is distilled only with --finetune"
        if wanted.calibration is not None and wanted.finetune is None:
            self._refuse_leakage()
        return self._weighed(planned, parent, before, self._derivation.derive(planned, wanted, parent, report))

    def _refuse_leakage(self) -> None:
        """Refuses to calibrate on what is scored; looked at once, when something is to be calibrated.

        Raises:
            OptionError: A benchmark shows what the photos do.
        """
        if not self._is_apart:
            refuse_leakage(self._derivation.calibration, self._inspection.datasets)
            self._is_apart = True

    def _weighed(
        self, planned: PlannedVariant, parent: Release, before: Release | None, derived: Derived
    ) -> tuple[Release, str]:
        """Returns the release of a network that was made, with its weight file written."""
        module, whole = derived.module, self.whole
        variant = replace(planned.variant(whole.variant, derived.formats), spec=module.spec)
        cost = cost_record(module.spec, whole.variant.spec, derived.zeros)
        file = store_weights(module, variant, whole.training, self._stock.folder)
        if before and before.weights.sha256 == file.sha256:  # made again, and nothing changed
            same = replace(before, compression=derived.record, parent=parent.id)
            return self._described(same, planned, cost), "the same weights again"
        release = replace(
            whole,
            variant=variant,
            parent=parent.id,
            compression=derived.record,
            files=(file,),
            tiling=_unmeasured(whole.tiling),
            metrics=(),
            speed=None,
            coreml=None,
        )
        return self._described(release, planned, cost), f"weights of {file.bytes:,} bytes"

    def pack(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its Core ML package, proven, or without one where none is planned.

        Raises:
            PackageError: It does not pass a gate, or takes more bytes than were planned.
        """
        release, options = self._current(planned), self._options.package
        listed = release.coreml
        if planned.package is None:
            return replace(release, files=(release.weights,), coreml=None), "no package planned"
        if listed is not None and release.package is not None and self._is_there(release, release.package):
            tiles = self._inspection.tiles_sha256(options.tile)
            is_compact = has_compact_bias(release.variant)
            wanted = (planned.package, options.tile, options.overlap, is_compact, exporter(), TOOL, tiles)
            if wanted == _ways(listed):
                return release, "package is there"
        seam, data = self._seam(release, Tiling(tile=options.tile, overlap=options.overlap, fixed=True))
        file, record = make_package(
            release,
            self._stock.networks(release),
            self._inspection.tiles(options.tile),
            compute=planned.package,
            options=replace(options, budget=planned.package_budget),
            folder=self._stock.folder,
        )
        record = replace(record, seam_max=seam, seam_data=data)
        words = f"package of {record.package_bytes:,} bytes, gate A {record.proof.gate_a_db:.1f} dB"
        if listed is not None and listed.devices:
            is_same = listed.contents == record.contents
            record = replace(record, devices=listed.devices if is_same else ())
            words += "" if is_same else "; times on devices were of another package and are dropped"
        return replace(release, files=(release.weights, file), coreml=record), words

    def show_seams(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with the largest seam difference of its tiles, which are those of the whole network."""
        release = self._current(planned)
        if release.tiling.seam_max is not None and not self._options.is_fresh:
            return release, "seams are known"
        seam, data = self._seam(release, release.tiling.plain())
        words = "the photos are too small to show seams" if seam is None else f"largest seam {seam}/255"
        return replace(release, tiling=replace(release.tiling, seam_max=seam, seam_data=data)), words

    def score(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its scores on every data set that was given."""
        release = self._current(planned)
        scale, scored = release.variant.spec.scale, list[str]()
        for name, pairs in self._inspection.datasets:
            if release.metric(name) is None or self._options.is_fresh:
                scores = list(evaluate(self._stock.model(release), pairs))
                release = put_metrics(release, summarize(scores, dataset=name, border=scale))
                scored.append(name)
        return release, f"scored on {', '.join(scored)}" if scored else "no new scores"

    def _described(self, release: Release, planned: PlannedVariant, cost: CostRecord) -> Release:
        """Returns the release with what its plan and its whole network say of it, and not its measurements."""
        whole, tiling = self.whole, release.tiling
        if _unmeasured(tiling) != _unmeasured(whole.tiling):
            tiling = _unmeasured(whole.tiling)
        chain = [release, *self._stock.ancestors(release)]
        # What was distilled repeats what was removed from the one that it began from.
        told = [
            one for later, one in zip((None, *chain), chain, strict=False) if later is None or not _is_taught(later)
        ]
        done = [compression_text(one) for one in reversed(told)]
        return replace(
            release,
            label=f"{whole.label}, {planned.words}",
            recommended_for=planned.recommended_for,
            description=f"{whole.label} with {'; '.join(done)}.",
            author=whole.author,
            tags=whole.tags,
            license=whole.license,
            license_chain=whole.license_chain,
            training=whole.training,
            cost=cost,
            tiling=tiling,
        )

    def _current(self, planned: PlannedVariant) -> Release:
        release_id = planned.id(self.whole.variant)
        release = self._stock.find(release_id)
        if release is None:
            raise ModelError(f"The variant {release_id} has no weights yet.")
        return release

    def _is_there(self, release: Release, file: FileRecord) -> bool:
        """Returns whether a file is the listed one and need not be made again."""
        return not self._options.is_fresh and self._stock.has(release, file)

    def _seam(self, release: Release, tiling: Tiling) -> tuple[float | None, str]:
        return self._inspection.seam(self._stock.model(release), release.variant.spec.window, tiling)


def _agree(done: CompressionRecord | None, wanted: CompressionRecord) -> bool:
    """Returns whether a variant was made as it is wanted."""
    if done is None:
        return False
    # Records from before photos were hashed do not tell which ones they were: their words must do.
    is_told = bool(done.finetune and done.finetune.photos_sha256)
    return _how(done, tells_photos=is_told) == _how(wanted, tells_photos=is_told)


def _how(record: CompressionRecord, *, tells_photos: bool) -> CompressionRecord:
    """Returns what shapes a variant: not what follows from that, and not the device, which only rounds otherwise.

    In how large squares photos were cut for calibration, shows in the hash of the tiles.
    """
    calibration, finetune = record.calibration, record.finetune
    if calibration is not None:
        calibration = replace(calibration, cell=None)
    if finetune is not None:
        finetune = replace(finetune, device="")
        if not tells_photos:
            finetune = replace(finetune, photos_sha256="", cell=None)
    return replace(
        record, removed_heads=(), removed_units=(), removed_stages=(), calibration=calibration, finetune=finetune
    )


def _is_taught(release: Release) -> bool:
    return release.compression is not None and release.compression.finetune is not None


def _ways(record: CoreMLRecord) -> tuple[CoreMLCompute, int, int, bool, str, str, str]:
    """Returns what tells whether a package would be made again as it is."""
    proof = record.proof
    ways = (record.compute, record.tile, record.overlap, record.compact_bias, record.exporter)
    return (*ways, proof.tool, proof.tiles_sha256)


def _unmeasured(tiling: TilingRecord) -> TilingRecord:
    return replace(tiling, seam_max=None, seam_data="")


def _sweep(home: Path, manifest: Manifest, report: Report) -> None:
    """Removes packages that no release lists any more."""
    listed = {file.path for release in manifest.releases for file in release.files}
    for path in sorted((home / BUILTIN.name / FOLDER).glob(f"*{SUFFIX}.zip*")):
        if f"{FOLDER}/{path.name}" not in listed:
            path.unlink()
            report(path.name, "removed, because no release lists it", done=1, total=1)


def _in_order(manifest: Manifest | None) -> Manifest:
    """Returns the manifest, which is there by now, with each family's variants together, in the order of its plan."""
    assert manifest is not None
    families = list(dict.fromkeys(release.variant.family for release in manifest.releases))

    def place(release: Release) -> tuple[int, int]:
        family = release.variant.family
        whole = next(one for one in manifest.releases if one.variant.family == family)
        ids = [one.id(whole.variant) for one in plan(whole.variant)]
        return families.index(family), ids.index(release.id) if release.id in ids else len(ids)

    return replace(manifest, releases=tuple(sorted(manifest.releases, key=place)))
