"""A studio with small fake networks, for tests that need an app but no weights."""

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sr_core.infer.engine import Compute
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.spec import swinir_spec
from ui.settings import Settings
from ui.studio import Studio
from zoo.manifest import FileRecord, Manifest, Metric, Release, SpeedRecord, TilingRecord, TrainingRecord, Variant

GPS_IFD, MAKE, ORIENTATION = 34853, 271, 274
MAKER = "CameraMaker"


class FakeEngine:
    """Enlarges by nearest neighbour and brightens a little; counts its runs and can take its time."""

    def __init__(self, scale: int, seconds: float = 0.0) -> None:
        self._scale, self._seconds = scale, seconds
        self.runs = 0

    @property
    def scale(self) -> int:
        return self._scale

    @property
    def multiple(self) -> int:
        return 8

    @property
    def compute(self) -> Compute:
        return "float32"

    def run(self, tiles: Tensor) -> Tensor:
        self.runs += 1
        time.sleep(self._seconds)
        return torch.nn.functional.interpolate(tiles, scale_factor=self._scale, mode="nearest") * 0.9 + 0.05


def release(
    scale: int = 2, *, label: str | None = None, trained: str = "fake", seconds: float | None = 60.0
) -> Release:
    spec = swinir_spec(scale=scale, embed_dim=12, depths=(2,), heads=2)
    variant = Variant(family="swinir-fake", spec=spec, task="lightweight", trained=trained, precision="float32")
    return Release(
        variant=variant,
        label=label or f"Fake ×{scale}",
        recommended_for="tests",
        parent=None,
        licence="Apache-2.0",
        training=TrainingRecord(data="none", steps=0, selected_on="nothing", recipe="none"),
        parameters=123_456,
        files=(FileRecord(path="fake.safetensors", bytes=500_000, sha256="0" * 64, format="safetensors"),),
        tiling=TilingRecord(tile=32, overlap=8, batch=1, seam_max=0.1, seam_data="tests"),
        metrics=(
            Metric(
                dataset="Set5",
                channels="y",
                border=2,
                psnr_db=37.5,
                ssim=0.95,
                bicubic_psnr_db=33.67,
                pictures=5,
                tool="tests",
            ),
        ),
        speed=None
        if seconds is None
        else SpeedRecord(seconds_per_megapixel=seconds, compute="float32", machine="another machine"),
    )


def manifest() -> Manifest:
    return Manifest(releases=(release(2), release(4)))


class Loader:
    """Makes fake models and keeps their engines for the test to look at."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self.engines: dict[str, FakeEngine] = {}

    @property
    def runs(self) -> int:
        return sum(engine.runs for engine in self.engines.values())

    def load(self, one: Release) -> LoadedModel:
        engine = self.engines.setdefault(one.id, FakeEngine(one.variant.spec.scale, self._seconds))
        tiling = Tiling(tile=one.tiling.tile, overlap=one.tiling.overlap, batch=one.tiling.batch)
        return LoadedModel(id=one.id, engine=engine, tiling=tiling)


def studio(settings: Settings | None = None, loader: Loader | None = None, models: Manifest | None = None) -> Studio:
    return Studio.open(settings or Settings(), models or manifest(), (loader or Loader()).load)


def write_photo(path: Path, height: int = 48, width: int = 72, *, orientation: int = 1) -> Path:
    """Writes a photo, reddish at the top left, whose EXIF holds a maker and a place."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([255 - columns * 2, rows * 3 % 256, (rows + columns) % 256], axis=2).clip(0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[MAKE] = MAKER
    exif[ORIENTATION] = orientation
    exif.get_ifd(GPS_IFD).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path
