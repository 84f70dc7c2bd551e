"""From a family's whole network to all of its variants: weights, Core ML packages, proofs, seams and scores.

Every stage is a function of the records and of the files it starts from, so a second build writes the same bytes. What
is already there for the same weights is not made again; an interrupted build goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice, product
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_weights
from sr_core.compress.cost import count_parameters
from sr_core.compress.heads import prune_heads
from sr_core.compress.magnitude import prune_magnitude, weight_sparsity
from sr_core.compress.quantize import quantize
from sr_core.coreml.package import SUFFIX, CoreMLCompute
from sr_core.coreml.verify import Tiles
from sr_core.errors import ModelError, OptionError, PackageError
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling, plan_tiles
from sr_core.infer.window_engine import WindowEngine
from zoo.card import compression_text
from zoo.files import EmbeddedFiles
from zoo.manifest import BUILTIN, Manifest, load_manifest
from zoo.release import (
    CompressionRecord,
    CoreMLRecord,
    CostRecord,
    FileRecord,
    ProofRecord,
    Release,
    TilingRecord,
)
from zoo.workshop.evaluate import evaluate, summarize
from zoo.workshop.packages import (
    FOLDER,
    TOOL,
    Networks,
    PackageOptions,
    cut_tiles,
    exporter,
    make_package,
    prove_again,
    tiles_sha256,
)
from zoo.workshop.photos import PhotoPair, read_photos, validation_pairs
from zoo.workshop.plans import PlannedVariant, plan
from zoo.workshop.records import change_manifest, cost_record, put_metrics, store_release, store_weights
from zoo.workshop.seams import SEAM_LIMIT, largest_seam

__all__ = ["BuildOptions", "Report", "build", "export_again", "verify", "whole_releases"]

SEAM_CROP: Final = 320
"""Longest side of the middle of each photo that is looked at: larger than a tile of the page."""

TOLERANCE_DB: Final = 0.5
"""How far a proof may differ on another processor, which may add in another order."""

PHOTOS: Final = 8
"""Photos that are looked at."""


class Report(Protocol):
    """Is told of every stage of every variant."""

    def __call__(self, release_id: str, words: str, *, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """How to build.

    Attributes:
        home: Folder of ``manifest.json`` and ``builtin``.
        photos: Folder of photos: tiles of them prove packages, and the first one shows seams.
        datasets: Benchmark folders to score on; on others, scores of unchanged weights stay.
        heads: Numbers of heads to remove, instead of those of the family's plan.
        package: How packages are made.
        is_fresh: Whether to make everything again.
    """

    home: Path
    photos: Path
    datasets: tuple[Path, ...] = ()
    heads: tuple[int, ...] | None = None
    package: PackageOptions = field(default_factory=PackageOptions)
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
        OptionError: There is no such family, or the photos do not serve.
        PackageError: A package did not pass its gates; what was built before it is in the manifest.
        WeightsError: The whole network's weights are missing or damaged.
    """
    path = options.home / "manifest.json"
    for whole in whole_releases(load_manifest(path), family):
        planned = plan(whole.variant, options.heads)
        builder = _Builder(options, whole)
        builder.check()
        stages = (builder.weigh, builder.pack, builder.show_seams, builder.score)
        for i, (one, stage) in enumerate(product(planned, stages)):
            release, words = stage(one)
            store_release(options.home, release.id, partial(_with_measured, release))
            report(release.id, words, done=i + 1, total=len(planned) * len(stages))
    manifest = change_manifest(options.home, _in_order)
    _sweep(options.home, manifest, report)
    return manifest


def _with_measured(release: Release, now: Release | None) -> Release:
    """Returns the release with what others may have measured meanwhile of the same weights."""
    if now is None or now.weights != release.weights:
        return release
    return replace(release, speed=now.speed, metrics=put_metrics(now, release.metrics).metrics)


def export_again(
    options: BuildOptions, release: Release, compute: CoreMLCompute, folder: Path
) -> tuple[FileRecord, CoreMLRecord]:
    """Returns the records of a package that is made of a listed release, in another arithmetic or for another tile.

    Args:
        options: Where the zoo is, which photos prove the package, and its tile.
        release: The release; its record stays as it is.
        compute: Number format of the arithmetic.
        folder: Where the package goes, into a folder ``coreml``.

    Raises:
        PackageError: It does not pass a gate.
        OptionError: It cannot be exported here.
    """
    builder = _Builder(options, release)
    return builder.make(release, compute, folder)


def verify(options: BuildOptions, release: Release, record: CoreMLRecord) -> tuple[ProofRecord, bool]:
    """Returns what is found when a listed package is run again, and whether that was on the recorded tiles.

    Raises:
        PackageError: The file is not the listed one, does not pass a gate, or what is found on the recorded tiles is
            not what is recorded.
        ModelError: The release before quantization is not listed.
    """
    found = _Builder(options, release).prove(release, record)
    if found.tiles_sha256 != record.proof.tiles_sha256:
        return found, False
    for name in ("gate_a_db", "gate_b_db", "gate_b_saturated_db", "gate_b_black_db", "screen_db", "max_lsb"):
        listed_value, found_value = (getattr(one, name) for one in (record.proof, found))
        if listed_value is None or found_value is None:
            is_equal = listed_value == found_value
        else:
            is_equal = abs(listed_value - found_value) <= (0 if name == "max_lsb" else TOLERANCE_DB)
        if not is_equal:
            raise PackageError(
                f"The manifest says {listed_value} as the {name} of {record.name}, but {found_value} was found."
            )
    return found, True


class _Builder:
    """The stages for the variants of one family; each one takes the release as it stands and returns the next form."""

    def __init__(self, options: BuildOptions, whole: Release) -> None:
        self._options, self._whole = options, whole
        self._folder = options.home / BUILTIN.name
        self._files = EmbeddedFiles(self._folder)

    def check(self) -> None:
        """Refuses before any work what would be refused after it.

        Raises:
            OptionError: There are no photos, they are too small, or a benchmark folder does not serve.
        """
        self._tiles(self._options.package.tile)
        _ = self._datasets

    def weigh(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its weight file, made from its parent's."""
        variant = planned.variant(self._whole.variant)
        if variant == self._whole.variant:
            return replace(self._whole, cost=cost_record(variant.spec, variant.spec)), "the whole network"
        parent = self._parent(planned)
        removes = planned.method if planned.precision is None else None
        record = CompressionRecord(
            method=removes or "quantize",
            amount=planned.amount if removes else 0,
            parent_sha256=parent.weights.sha256,
        )
        module, record = self._compressed(self._module(parent), planned, record)
        zeros = 0
        if planned.method == "magnitude-l1":
            zeros = round(weight_sparsity(module).parameters * count_parameters(module.spec).total)
        variant = replace(variant, spec=module.spec)
        before = self._stored(variant.id)
        cost = cost_record(module.spec, self._whole.variant.spec, zeros)
        if before and before.compression == record and self._is_there(before, before.weights):
            return self._described(before, planned, cost), "weights are there"
        file = store_weights(module, variant, self._whole.training, self._folder)
        if before and before.weights.sha256 == file.sha256:  # made again, and nothing changed
            return self._described(replace(before, compression=record), planned, cost), "the same weights again"
        release = replace(
            self._whole,
            variant=variant,
            parent=parent.id,
            compression=record,
            files=(file,),
            tiling=_unmeasured(self._whole.tiling),
            metrics=(),
            speed=None,
            coreml=None,
        )
        return self._described(release, planned, cost), f"weights of {file.bytes:,} bytes"

    def pack(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its Core ML package, proven, or without one where none is planned."""
        release, options = self._current(planned), self._options.package
        listed = release.coreml
        if planned.package is None:
            return replace(release, files=(release.weights,), coreml=None), "no package planned"
        if listed is not None and release.package is not None and self._is_there(release, release.package):
            wanted = (planned.package, options.tile, options.overlap, exporter(), TOOL, self._tiles_sha256)
            proof = listed.proof
            there = (listed.compute, listed.tile, listed.overlap, listed.exporter, proof.tool, proof.tiles_sha256)
            if wanted == there:
                return release, "package is there"
        file, record = self.make(release, planned.package, self._folder)
        seam, data = self._seam(release, record.plain_tiling())
        record = replace(record, seam_max=seam, seam_data=data)
        words = f"package of {record.package_bytes:,} bytes, gate A {record.proof.gate_a_db:.1f} dB"
        if listed is not None and listed.devices:
            is_same = listed.contents == record.contents
            record = replace(record, devices=listed.devices if is_same else ())
            words += "" if is_same else "; times on devices were of another package and are dropped"
        return replace(release, files=(release.weights, file), coreml=record), words

    def make(self, release: Release, compute: CoreMLCompute, folder: Path) -> tuple[FileRecord, CoreMLRecord]:
        """Returns the records of a new package of a release, proven, in ``folder``."""
        options = self._options.package
        return make_package(
            release,
            self._networks(release),
            self._tiles(options.tile),
            compute=compute,
            options=options,
            folder=folder,
        )

    def prove(self, release: Release, record: CoreMLRecord) -> ProofRecord:
        """Returns what is found when a listed package is run again."""
        package = release.package
        if package is None:
            raise ModelError(f"The release {release.id} has no package.")
        return prove_again(
            release,
            record,
            self._files.path_of(package, release.id),
            self._networks(release),
            self._tiles(record.tile),
        )

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
        for folder, pairs in self._datasets:
            if release.metric(folder.name) is None or self._options.is_fresh:
                scores = list(evaluate(self._model(release), pairs))
                release = put_metrics(release, summarize(scores, dataset=folder.name, border=scale))
                scored.append(folder.name)
        return release, f"scored on {', '.join(scored)}" if scored else "no new scores"

    def _compressed(
        self, module: SwinIR, planned: PlannedVariant, record: CompressionRecord
    ) -> tuple[SwinIR, CompressionRecord]:
        match record.method:
            case "heads-l1":
                module, removed = prune_heads(module, int(record.amount))
                record = replace(record, removed_heads=removed)
            case "magnitude-l1":
                module = prune_magnitude(module, record.amount)
            case "quantize":
                module = quantize(module, planned.precision or self._whole.variant.precision)
        return module, record

    def _described(self, release: Release, planned: PlannedVariant, cost: CostRecord) -> Release:
        """Returns the release with what its plan and its whole network say of it, and not its measurements."""
        whole, tiling = self._whole, release.tiling
        if _unmeasured(tiling) != _unmeasured(whole.tiling):
            tiling = _unmeasured(whole.tiling)
        removed = next((one for one in self._releases() if one.id == release.parent), whole)
        done = [compression_text(one) for one in (removed, release) if one.compression is not None]
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

    def _parent(self, planned: PlannedVariant) -> Release:
        """Returns what a variant is made from: the float16 variant of the same shape, or the whole network."""
        same_shape = replace(planned, precision=None).variant(self._whole.variant)
        if planned.precision is None or same_shape == self._whole.variant:
            return self._whole
        parent = self._stored(same_shape.id)
        if parent is None:
            raise ModelError(f"The variant {same_shape.id} must be built first.")
        return parent

    def _networks(self, release: Release) -> Networks:
        own = self._module(release)
        done = release.compression
        if done is None or done.method != "quantize" or release.parent is None:
            return Networks(own=own, original=own, original_id=release.id)
        parent = self._stored(release.parent)
        if parent is None:
            raise ModelError(f"The release {release.parent}, from which {release.id} was made, is not listed.")
        return Networks(own=own, original=self._module(parent), original_id=parent.id)

    def _current(self, planned: PlannedVariant) -> Release:
        release_id = planned.variant(self._whole.variant).id
        release = self._stored(release_id)
        if release is None:
            raise ModelError(f"The variant {release_id} has no weights yet.")
        return release

    def _releases(self) -> tuple[Release, ...]:
        return load_manifest(self._options.home / "manifest.json").releases

    def _stored(self, release_id: str) -> Release | None:
        return next((release for release in self._releases() if release.id == release_id), None)

    def _is_there(self, release: Release, file: FileRecord) -> bool:
        """Returns whether a file is the listed one and need not be made again."""
        try:
            self._files.path_of(file, release.id)
        except ModelError:
            return False
        return not self._options.is_fresh

    def _module(self, release: Release) -> SwinIR:
        return load_weights(self._files.path_of(release.weights, release.id), release.variant)

    def _model(self, release: Release) -> LoadedModel:
        engine = WindowEngine(self._module(release), "float32")
        return LoadedModel(id=release.id, engine=engine, tiling=release.tiling.plain())

    def _tiles(self, tile: int) -> Tiles:
        """Returns what packages of a tile are proven on."""
        for name, crop in self._crops:
            if min(crop.shape[:2]) < tile:
                raise OptionError(f"The photo {name} is smaller than a tile of {tile} pixels.")
        name = f"{len(self._crops)} photos in {self._options.photos.name}"
        return cut_tiles([crop for _, crop in self._crops], tile, name)

    @cached_property
    def _tiles_sha256(self) -> str:
        return tiles_sha256(self._tiles(self._options.package.tile))

    def _seam(self, release: Release, tiling: Tiling) -> tuple[float | None, str]:
        """Returns the largest seam difference on the first photo, and what that is; None where one tile covers it.

        Raises:
            OptionError: It is larger than :data:`zoo.workshop.seams.SEAM_LIMIT`.
        """
        name, crop = self._crops[0]
        height, width = crop.shape[:2]
        if plan_tiles(height, width, release.variant.spec.window, tiling).tiles == 1:
            return None, ""
        seam = round(largest_seam(self._model(release), [crop], tiling), 4)
        if seam > SEAM_LIMIT:
            raise OptionError(
                f"Tiles of {tiling.tile} pixels with an overlap of {tiling.overlap} show seams of {seam}/255 in "
                f"{release.id}; a larger overlap is needed."
            )
        return seam, f"the middle {width} x {height} pixels of {name}"

    @cached_property
    def _crops(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """The names of the photos, and their middle (H, W, 3) of at most ``SEAM_CROP`` a side."""
        crops: list[tuple[str, NDArray[np.uint8]]] = []
        for name, photo in islice(read_photos(self._options.photos), PHOTOS):
            top, left = (max(side - SEAM_CROP, 0) // 2 for side in photo.shape[:2])
            crops.append((name, photo[top : top + SEAM_CROP, left : left + SEAM_CROP]))
        return crops

    @cached_property
    def _datasets(self) -> Sequence[tuple[Path, list[PhotoPair]]]:
        scale = self._whole.variant.spec.scale
        return [(folder, validation_pairs(folder, scale=scale)) for folder in self._options.datasets]


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
        ids = [one.variant(whole.variant).id for one in plan(whole.variant)]
        return families.index(family), ids.index(release.id) if release.id in ids else len(ids)

    return Manifest(releases=tuple(sorted(manifest.releases, key=place)))
