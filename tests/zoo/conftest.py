"""A small release with real files, made on the spot."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sr_core.arch.build import build
from zoo.manifest import Manifest
from zoo.release import (
    CoreMLRecord,
    FeatureRecord,
    FileRecord,
    HashRecord,
    Metric,
    ProofRecord,
    Release,
    SpeedRecord,
    TrainingRecord,
)
from zoo.workshop.recipes import Recipe
from zoo.workshop.records import new_release, store_weights

RECIPE = Recipe(
    family="tiny", label="Tiny", task="lightweight", recommended_for="tests", embed_dim=8, depths=(2, 1), heads=2
)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A release whose weight file stands in ``tmp_path / "files"``."""
    torch.manual_seed(0)
    variant = RECIPE.variant(scale=2, trained="drawn", precision="float16")
    module = build(variant.spec)
    training = TrainingRecord(data="drawings", steps=7, selected_on="Set5", recipe="by hand")
    file = store_weights(module, variant, training, tmp_path / "files")
    return new_release(RECIPE, variant, file, training, parent=None)


@pytest.fixture
def scored(release: Release) -> Release:
    """The release with a score and a speed."""
    metric = Metric(
        dataset="Set5",
        channels="y",
        border=2,
        psnr_db=34.5,
        ssim=0.93,
        pictures=5,
        tool="test 1",
        bicubic_psnr_db=33.67,
    )
    speed = SpeedRecord(seconds_per_megapixel=12.5, compute="float32", machine="two cores")
    return replace(release, metrics=(metric,), speed=speed)


@pytest.fixture
def packed(scored: Release) -> Release:
    """The release with the record of a Core ML package that does not exist."""
    proof = ProofRecord(
        gate_a_db=160.0,
        gate_b_db=71.0,
        gate_b_saturated_db=70.0,
        gate_b_black_db=75.0,
        reference=scored.id,
        screen_db=68.0,
        max_lsb=1,
        tiles="3 tiles",
        tiles_sha256="2" * 64,
        tool="test 1",
    )
    side = FeatureRecord(name="image", kind="image RGB 8 bit", height=64, width=64)
    record = CoreMLRecord(
        name="TinyX2DrawnFloat16_T64",
        compute="float16",
        min_ios="16.0",
        specification_version=7,
        compute_units="all",
        tile=64,
        overlap=24,
        margin=8,
        seam_max=0.1,
        seam_data="drawings",
        input=side,
        output=replace(side, name="upscaled", height=128, width=128),
        rescale=0,
        package_bytes=2_000,
        contents=(HashRecord(path="Manifest.json", bytes=10, sha256="0" * 64),),
        is_experimental=False,
        exporter="test 1",
        proof=proof,
    )
    path = f"coreml/{record.name}.mlpackage.zip"
    file = FileRecord(path=path, bytes=1_000, sha256="1" * 64, format="mlpackage.zip")
    return replace(scored, files=(*scored.files, file), coreml=record)


@pytest.fixture
def manifest(scored: Release) -> Manifest:
    return Manifest(releases=(scored,))
