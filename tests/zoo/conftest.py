"""A small release with real files, made on the spot."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sr_core.arch.build import build
from zoo.manifest import Manifest, Metric, Release, SpeedRecord, TrainingRecord
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
    return new_release(RECIPE, module, variant, file, training, None)


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
def manifest(scored: Release) -> Manifest:
    return Manifest(releases=(scored,))
