"""Small photos and a small network, made on the spot."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sr_core.spec import Variant, swinir_spec

TINY = Variant(
    family="tiny",
    spec=swinir_spec(scale=2, embed_dim=8, depths=(1, 1), heads=2),
    task="lightweight",
    trained="drawn",
    precision="float32",
)


def draw(seed: int, size: int = 64) -> Image.Image:
    """A smooth gradient with a few hard-edged shapes: something that interpolation blurs."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, size)
    base = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], random.uniform(0, 255)), axis=-1)
    image = Image.fromarray(base.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, w, h = random.integers(0, size // 2, 4)
        pen.ellipse([x, y, x + w + 4, y + h + 4], fill=tuple(int(v) for v in random.integers(0, 255, 3)))
    return image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for i in range(3):
        draw(i).save(folder / f"{i}.png")
    draw(3).save(folder / "deep" / "3.webp", lossless=True)
    (folder / "notes.txt").write_text("not a photo")
    return folder


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Path:
    """A benchmark in the layout of the published ones, with low-resolution files of its own."""
    folder = tmp_path / "Drawn2"
    (folder / "HR").mkdir(parents=True)
    (folder / "LR_bicubic" / "X2").mkdir(parents=True)
    for name, seed in (("one", 11), ("two", 12)):
        image = draw(seed, 48)
        image.save(folder / "HR" / f"{name}.png")
        image.resize((24, 24), Image.Resampling.BICUBIC).save(folder / "LR_bicubic" / "X2" / f"{name}x2.png")
    return folder
