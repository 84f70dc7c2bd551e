"""A home of the zoo with two small families and real files, made on the spot."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import torch

from sr_core.arch.build import build
from sr_core.spec import Precision
from zoo.manifest import Manifest, save_manifest
from zoo.release import CoreMLRecord, FileRecord, Release, TrainingRecord
from zoo.workshop.recipes import Recipe
from zoo.workshop.records import new_release, store_weights

TINY = Recipe(
    family="tiny", label="Tiny", task="lightweight", recommended_for="tests", embed_dim=8, depths=(2, 1), heads=2
)
OTHER = replace(TINY, family="other", label="Other", depths=(1,))
TRAINING = TrainingRecord(data="drawings", steps=7, selected_on="Set5", recipe="by hand")


def small_release(
    recipe: Recipe, home: Path, precision: Precision = "float16", parent: str | None = None, seed: int = 0
) -> Release:
    """Returns a release whose weight file stands in ``home / "builtin"``."""
    torch.manual_seed(seed)
    variant = recipe.variant(scale=2, trained="drawn", precision=precision)
    file = store_weights(build(variant.spec), variant, TRAINING, home / "builtin")
    one = new_release(recipe, variant, file, TRAINING, parent=parent)
    return replace(one, label=f"{one.label} {precision}", date="2026-01-02")


def with_package(release: Release, record: CoreMLRecord, home: Path) -> Release:
    """Returns the release with a package: a real archive in ``home / "builtin"``, but of nothing that Core ML reads."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{record.name}.mlpackage/Manifest.json"), "{}")
    content = buffer.getvalue()
    path = home / "builtin" / "coreml" / f"{record.name}.mlpackage.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    file = FileRecord(path=f"coreml/{path.name}", bytes=len(content), sha256=digest, format="mlpackage.zip")
    return replace(release, files=(*release.files, file), coreml=record)


def small_home(home: Path, packed: Release) -> Manifest:
    """Makes the home of two families and returns its manifest.

    The family ``tiny`` has two variants, the first one with the scores and the package of ``packed``; the other family
    is ``other``.
    """
    assert packed.coreml
    whole = replace(small_release(TINY, home), metrics=packed.metrics)
    exact = small_release(TINY, home, "float32", parent=whole.id)
    other = small_release(OTHER, home)
    manifest = Manifest(releases=(with_package(whole, packed.coreml, home), exact, other))
    save_manifest(manifest, home / "manifest.json")
    return manifest
