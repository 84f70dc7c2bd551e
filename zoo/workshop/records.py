"""From a network to the record of a release: the stored weight file, its facts, and its place in the manifest."""

from dataclasses import replace
from pathlib import Path

from sr_core.arch.build import parameter_count
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import save_weights, sha256_of
from sr_core.spec import Variant
from zoo.manifest import BUILTIN, FileRecord, Manifest, Metric, Release, TilingRecord, TrainingRecord
from zoo.workshop.recipes import Recipe

__all__ = ["new_release", "put_metrics", "put_release", "store_weights"]

LICENCE = "Apache-2.0"


def store_weights(module: SwinIR, variant: Variant, training: TrainingRecord, folder: Path = BUILTIN) -> FileRecord:
    """Writes the weight file of a variant and returns its record.

    Raises:
        WeightsError: A weight cannot be stored at the variant's precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{variant.id}.safetensors"
    note = {"training_data": training.data, "steps": str(training.steps), "recipe": training.recipe, "licence": LICENCE}
    save_weights(module, path, variant, note)
    return FileRecord(path=path.name, bytes=path.stat().st_size, sha256=sha256_of(path), format="safetensors")


def new_release(
    source: Recipe, module: SwinIR, variant: Variant, file: FileRecord, training: TrainingRecord, parent: str | None
) -> Release:
    """Returns a release with its files and origin; scores, speed and seams are still to be measured.

    Tiles of 272 pixels (the square of a preview and its margins) with an overlap of 32 stand until
    :mod:`zoo.workshop.seams` has measured them.
    """
    return Release(
        variant=variant,
        label=f"{source.label} ×{variant.spec.scale}",
        recommended_for=source.recommended_for,
        parent=parent,
        licence=LICENCE,
        training=training,
        parameters=parameter_count(module),
        files=(file,),
        tiling=TilingRecord(tile=272, overlap=32, batch=1, seam_max=None, seam_data=""),
        metrics=(),
        speed=None,
    )


def put_release(manifest: Manifest | None, release: Release) -> Manifest:
    """Returns the manifest with the release in the place of the one of the same id, or at the end."""
    releases = () if manifest is None else manifest.releases
    if any(one.id == release.id for one in releases):
        return Manifest(releases=tuple(release if one.id == release.id else one for one in releases))
    return Manifest(releases=(*releases, release))


def put_metrics(release: Release, metrics: tuple[Metric, ...]) -> Release:
    """Returns the release with these scores, in the place of earlier ones on the same data set and channels."""
    new = {(metric.dataset, metric.channels) for metric in metrics}
    kept = tuple(metric for metric in release.metrics if (metric.dataset, metric.channels) not in new)
    return replace(release, metrics=(*kept, *metrics))
