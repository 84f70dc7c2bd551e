"""From a family's whole network to all of its variants: weights, Core ML packages, proofs, seams and scores.

Every stage is a function of the records and of the files it starts from, so a second build writes the same bytes. What
is already there for the same weights is not made again; an interrupted build goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
from sr_core.coreml.package import CoreMLCompute
from sr_core.errors import ModelError, OptionError
from sr_core.infer.model import LoadedModel
from sr_core.infer.window_engine import WindowEngine
from sr_core.metrics.fidelity import Channels
from zoo.card import compression_text, model_card
from zoo.files import EmbeddedFiles
from zoo.manifest import BUILTIN, Manifest, load_manifest, save_manifest
from zoo.release import CompressionRecord, CoreMLRecord, FileRecord, ProofRecord, Release
from zoo.workshop.evaluate import evaluate, summarize
from zoo.workshop.packages import Networks, PackageOptions, cut_tiles, make_package, prove_again
from zoo.workshop.photos import PhotoPair, read_photos, validation_pairs
from zoo.workshop.plans import PlannedVariant, plan
from zoo.workshop.records import cost_record, put_metrics, put_release, store_weights
from zoo.workshop.seams import largest_seam

__all__ = ["BuildOptions", "Report", "build", "export_again", "verify", "whole_releases"]

SEAM_CROP: Final = 320
"""Longest side of the middle of each photo that is looked at: larger than a tile of the page."""

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
        if release.compression is None and family in (None, release.variant.family)
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
        planned = plan(whole.variant.family, options.heads)
        builder = _Builder(options, whole)
        stages = (builder.weigh, builder.pack, builder.show_seams, builder.score)
        for i, (one, stage) in enumerate(product(planned, stages)):
            release, words = stage(one)
            save_manifest(put_release(load_manifest(path), release), path)
            (options.home / BUILTIN.name / f"{release.id}.md").write_text(model_card(release), encoding="utf-8")
            report(release.id, words, done=i + 1, total=len(planned) * len(stages))
    manifest = _in_order(load_manifest(path))
    save_manifest(manifest, path)
    return manifest


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


def verify(options: BuildOptions, release: Release, record: CoreMLRecord) -> ProofRecord:
    """Returns what is found when a listed package is run again.

    Raises:
        PackageError: The file is not the listed one, or does not pass a gate.
        ModelError: The release before quantization is not listed.
    """
    return _Builder(options, release).prove(release, record)


class _Builder:
    """The stages for the variants of one family; each one takes the release as it stands and returns the next form."""

    def __init__(self, options: BuildOptions, whole: Release) -> None:
        self._options, self._whole = options, whole
        self._folder = options.home / BUILTIN.name
        self._files = EmbeddedFiles(self._folder)

    def weigh(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its weight file, made from its parent's."""
        variant = planned.variant(self._whole.variant)
        if variant == self._whole.variant:
            whole = self._stored(self._whole.id) or self._whole
            return replace(whole, cost=cost_record(variant.spec, variant.spec)), "the whole network"
        parent = self._parent(planned)
        removes = planned.method if planned.precision == self._whole.variant.precision else None
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
        if before and before.compression == record and self._is_intact(before) and not self._options.is_fresh:
            return self._worded(before, planned), "weights are there"
        file = store_weights(module, variant, self._whole.training, self._folder)
        if before and before.weights.sha256 == file.sha256:  # made again, and nothing changed
            return self._worded(replace(before, compression=record), planned), "the same weights again"
        release = replace(
            self._whole,
            variant=variant,
            parent=parent.id,
            compression=record,
            cost=cost_record(module.spec, self._whole.variant.spec, zeros),
            files=(file,),
            tiling=replace(self._whole.tiling, seam_max=None, seam_data=""),
            metrics=(),
            speed=None,
            coreml=None,
        )
        return self._worded(release, planned), f"weights of {file.bytes:,} bytes"

    def pack(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its Core ML package, proven, or without one where none is planned."""
        release, options = self._current(planned), self._options.package
        if planned.package is None:
            return replace(release, files=(release.weights,), coreml=None), "no package planned"
        listed = release.coreml
        if (
            listed is not None
            and not self._options.is_fresh
            and (listed.compute, listed.tile, listed.overlap) == (planned.package, options.tile, options.overlap)
            and release.package is not None
            and self._files.is_here(release.package)
        ):
            self._files.path_of(release.package, release.id)
            return release, "package is there"
        file, record = self.make(release, planned.package, self._folder)
        seam = round(largest_seam(self._model(release), self._crops[:1], record.plain_tiling()), 4)
        record = replace(record, seam_max=seam, seam_data=f"the first of {self._data}")
        words = f"package of {record.package_bytes:,} bytes, gate A {record.proof.gate_a_db:.1f} dB"
        return replace(release, files=(release.weights, file), coreml=record), words

    def make(self, release: Release, compute: CoreMLCompute, folder: Path) -> tuple[FileRecord, CoreMLRecord]:
        """Returns the records of a new package of a release, proven, in ``folder``."""
        options = self._options.package
        return make_package(
            release,
            self._networks(release),
            cut_tiles(self._crops, options.tile, self._data),
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
            cut_tiles(self._crops, record.tile, self._data),
        )

    def show_seams(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with the largest seam difference of its tiles, which are those of the whole network."""
        release = self._current(planned)
        if release.tiling.seam_max is not None and not self._options.is_fresh:
            return release, "seams are known"
        seam = round(largest_seam(self._model(release), self._crops[:1], release.tiling.plain()), 4)
        tiling = replace(release.tiling, seam_max=seam, seam_data=f"the first of {self._data}")
        return replace(release, tiling=tiling), f"largest seam {seam}/255"

    def score(self, planned: PlannedVariant) -> tuple[Release, str]:
        """Returns the release with its scores on every data set that was given."""
        release = self._current(planned)
        scale, scored = release.variant.spec.scale, list[str]()
        for folder, pairs in self._datasets(scale):
            if release.metric(folder.name) is None or self._options.is_fresh:
                scores = list(evaluate(self._model(release), pairs))
                channels: tuple[Channels, ...] = ("y", "rgb")
                metrics = (summarize(scores, dataset=folder.name, channels=one, border=scale) for one in channels)
                release = put_metrics(release, tuple(metrics))
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
                module = quantize(module, planned.precision)
        return module, record

    def _worded(self, release: Release, planned: PlannedVariant) -> Release:
        """Returns the release with what the plan says of it."""
        return replace(
            release,
            label=f"{self._whole.label}, {planned.words}",
            recommended_for=planned.recommended_for,
            description=f"{self._whole.label} with {compression_text(release)}.",
        )

    def _parent(self, planned: PlannedVariant) -> Release:
        """Returns what a variant is made from: the float16 variant of the same shape, or the whole network."""
        same_shape = replace(planned, precision=self._whole.variant.precision).variant(self._whole.variant)
        if planned.precision == self._whole.variant.precision or same_shape == self._whole.variant:
            return self._stored(self._whole.id) or self._whole
        parent = self._stored(same_shape.id)
        if parent is None:
            raise ModelError(f"The variant {same_shape.id} must be built first.")
        return parent

    def _networks(self, release: Release) -> Networks:
        own = self._module(release)
        if release.variant.precision in ("float32", "float16") or release.parent is None:
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

    def _stored(self, release_id: str) -> Release | None:
        releases = load_manifest(self._options.home / "manifest.json").releases
        return next((release for release in releases if release.id == release_id), None)

    def _is_intact(self, release: Release) -> bool:
        try:
            self._files.path_of(release.weights, release.id)
        except ModelError:
            return False
        return True

    def _module(self, release: Release) -> SwinIR:
        return load_weights(self._files.path_of(release.weights, release.id), release.variant)

    def _model(self, release: Release) -> LoadedModel:
        engine = WindowEngine(self._module(release), "float32")
        return LoadedModel(id=release.id, engine=engine, tiling=release.tiling.plain())

    @cached_property
    def _crops(self) -> list[NDArray[np.uint8]]:
        """The middle (H, W, 3) of the photos, at most ``SEAM_CROP`` a side."""
        crops: list[NDArray[np.uint8]] = []
        for name, photo in islice(read_photos(self._options.photos), PHOTOS):
            top, left = (max(side - SEAM_CROP, 0) // 2 for side in photo.shape[:2])
            crops.append(photo[top : top + SEAM_CROP, left : left + SEAM_CROP])
            if min(crops[-1].shape[:2]) < self._options.package.tile:
                raise OptionError(f"The photo {name} is smaller than a tile of {self._options.package.tile} pixels.")
        return crops

    @property
    def _data(self) -> str:
        return f"{len(self._crops)} photos in {self._options.photos.name}"

    def _datasets(self, scale: int) -> Sequence[tuple[Path, list[PhotoPair]]]:
        return [(folder, validation_pairs(folder, scale=scale)) for folder in self._options.datasets]


def _in_order(manifest: Manifest) -> Manifest:
    """Returns the manifest with the variants of a family beside each other, in the order of its plan."""
    families = list(dict.fromkeys(release.variant.family for release in manifest.releases))

    def place(release: Release) -> tuple[int, int]:
        family = release.variant.family
        whole = next(one for one in manifest.releases if one.variant.family == family)
        ids = [one.variant(whole.variant).id for one in plan(family, None)]
        return families.index(family), ids.index(release.id) if release.id in ids else len(ids)

    return Manifest(releases=tuple(sorted(manifest.releases, key=place)))
