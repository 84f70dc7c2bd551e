"""From a network to the record of a release: the stored weight file, its facts, and its place in the manifest."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

from filelock import FileLock

from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import save_weights, sha256_of
from sr_core.compress.cost import count_macs_per_megapixel, count_parameters
from sr_core.spec import SwinIRSpec, Variant
from zoo.card import model_card
from zoo.manifest import BUILTIN, MANIFEST_PATH, Manifest, load_manifest, save_manifest
from zoo.release import (
    AUTHOR,
    LICENSE,
    CostRecord,
    FileRecord,
    LicenseRecord,
    Metric,
    Release,
    TilingRecord,
    TrainingRecord,
)
from zoo.workshop.recipes import Recipe

__all__ = [
    "change_manifest",
    "cost_record",
    "new_release",
    "put_metrics",
    "put_release",
    "store_release",
    "store_weights",
]


def store_weights(module: SwinIR, variant: Variant, training: TrainingRecord, folder: Path = BUILTIN) -> FileRecord:
    """Writes the weight file of a variant and returns its record.

    Raises:
        WeightsError: A weight cannot be stored at the variant's precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{variant.id}.safetensors"
    note = {"training_data": training.data, "steps": str(training.steps), "recipe": training.recipe, "license": LICENSE}
    save_weights(module, path, variant, note)
    return FileRecord(path=path.name, bytes=path.stat().st_size, sha256=sha256_of(path), format="safetensors")


def cost_record(spec: SwinIRSpec, whole: SwinIRSpec, zeros: int = 0) -> CostRecord:
    """Returns what a network costs, and how much of its family's whole network is gone from it.

    Args:
        spec: The network.
        whole: The whole network of its family.
        zeros: Parameters that are zero because they were set to it.
    """
    parameters, macs = count_parameters(spec), count_macs_per_megapixel(spec)
    return CostRecord(
        parameters=parameters.total,
        attention_parameters=parameters.attention,
        mlp_parameters=parameters.mlp,
        sparsity=round(1 - (parameters.total - zeros) / count_parameters(whole).total, 4),
        macs_per_megapixel=macs.total,
        attention_macs=macs.attention,
        mlp_macs=macs.mlp,
    )


def new_release(
    source: Recipe,
    variant: Variant,
    file: FileRecord,
    training: TrainingRecord,
    *,
    parent: str | None,
    published: tuple[str, tuple[LicenseRecord, ...]] | None = None,
) -> Release:
    """Returns the release of a whole network with its files and origin; what is measured is still to come.

    Tiles of 272 pixels (the square of a preview and its margins) with an overlap of 32 stand until
    :mod:`zoo.workshop.seams` has measured them.

    Args:
        source: What to say of it.
        variant: Its record.
        file: Its weight file.
        training: How the weights came about.
        parent: Id of the release that it was grown from.
        published: Author and licence chain of weights from elsewhere; by default they were trained here.
    """
    scale = variant.spec.scale
    own = LicenseRecord(covers="weights", terms=LICENSE, source=f"trained by {AUTHOR}")
    photos = LicenseRecord(covers="training photos", terms="those of their source", source=training.data)
    author, chain = published or (AUTHOR, (own, photos))
    return Release(
        variant=variant,
        label=f"{source.label} ×{scale}",
        recommended_for=source.recommended_for,
        description=f"A SwinIR network that makes photos {scale} times as large along each side.",
        author=author,
        date=date.today().isoformat(),
        tags=("super-resolution", "swinir", variant.task),
        parent=parent,
        license=LICENSE,
        license_chain=chain,
        training=training,
        compression=None,
        cost=cost_record(variant.spec, variant.spec),
        files=(file,),
        tiling=TilingRecord(tile=272, overlap=32, batch=1, seam_max=None, seam_data=""),
        metrics=(),
        speed=None,
        coreml=None,
    )


def change_manifest(home: Path, change: Callable[[Manifest | None], Manifest]) -> Manifest:
    """Changes the manifest of a folder and returns it; the only way in which the workshop writes one.

    Whoever else changes it meanwhile, waits, so that nobody writes back what another has just replaced.

    Args:
        home: Folder of ``manifest.json``, which may be missing.
        change: Given the manifest as it stands, or None where there is none, returns what it is to be.
    """
    path = home / MANIFEST_PATH.name
    with FileLock(path.with_name(f".{path.name}.lock")):
        manifest = change(load_manifest(path) if path.is_file() else None)
        save_manifest(manifest, path)
    return manifest


def store_release(home: Path, release_id: str, change: Callable[[Release | None], Release]) -> None:
    """Changes one release in the manifest of a folder, and writes its card.

    Args:
        home: Folder of ``manifest.json``, which may be missing, and ``builtin``.
        release_id: Which release.
        change: Given the release as it stands, or None where there is none, returns what it is to be.
    """

    def put(manifest: Manifest | None) -> Manifest:
        releases = () if manifest is None else manifest.releases
        release = change(next((one for one in releases if one.id == release_id), None))
        (home / BUILTIN.name / f"{release_id}.md").write_text(model_card(release), encoding="utf-8")
        return put_release(manifest, release)

    (home / BUILTIN.name).mkdir(parents=True, exist_ok=True)
    change_manifest(home, put)


def put_release(manifest: Manifest | None, release: Release) -> Manifest:
    """Returns the manifest with the release in the place of the one of the same id, or at the end."""
    if manifest is None:
        return Manifest(releases=(release,))
    releases = manifest.releases
    if any(one.id == release.id for one in releases):
        return replace(manifest, releases=tuple(release if one.id == release.id else one for one in releases))
    return replace(manifest, releases=(*releases, release))


def put_metrics(release: Release, metrics: tuple[Metric, ...]) -> Release:
    """Returns the release with these scores, in the place of earlier ones on the same data set and channels."""
    new = {(metric.dataset, metric.channels) for metric in metrics}
    kept = tuple(metric for metric in release.metrics if (metric.dataset, metric.channels) not in new)
    return replace(release, metrics=(*kept, *metrics))
