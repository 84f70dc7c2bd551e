"""The memory that one photo takes from its file to the file of the result, in all processes together."""

import os
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_core.image.decode import Limits, decode
from sr_core.image.sandbox import Sandbox
from sr_core.infer.engine import Compute
from sr_core.infer.tiles import Tiling
from sr_core.infer.upscale import run_to_end, upscale
from tests.tree_memory import run_measured

ROOT = Path(__file__).parent.parent
MOST_BYTES = 900_000_000  # of all processes together; a float copy of the result would not fit
CORNER = 256
RED, DARK = (230, 20, 20), (40, 40, 40)


class NearestEngine:
    """Doubles by nearest neighbour, so that all memory is that of the way around the network."""

    @property
    def scale(self) -> int:
        return 2

    @property
    def multiple(self) -> int:
        return 8

    @property
    def compute(self) -> Compute:
        return "float32"

    def run(self, tiles: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(tiles, scale_factor=2, mode="nearest")


def write_phone_photo(path: Path) -> None:
    """Writes a HEIC of 12 megapixels, stored 3000 x 4000 with a red top left corner, to be turned right by 90°."""
    pixels = np.empty((3000, 4000, 3), np.uint8)
    pixels[:] = np.linspace(DARK[0], 200, 4000).astype(np.uint8)[np.newaxis, :, np.newaxis]
    pixels[:CORNER, :CORNER] = RED
    exif = Image.Exif()
    exif[274] = 6
    file = pillow_heif.from_bytes("RGB", (4000, 3000), pixels.data.cast("B"))
    file[0].info["exif"] = exif.tobytes()
    file.save(path, quality=40, chroma=420, enc_params={"preset": "ultrafast"})


def enlarge(source: Path, target: Path) -> None:
    """Makes the three calls for one photo, as the command line does."""
    torch.set_num_threads(1)
    with Sandbox() as sandbox:
        job = upscale(sandbox.decode(source, Limits()), NearestEngine(), Tiling(tile=272, overlap=32))
        sandbox.encode(run_to_end(job), target)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="there is no proportional set size elsewhere")
def test_a_phone_photo_of_12_megapixels_doubles_in_bounded_memory(tmp_path):
    source, target = tmp_path / "source.heic", tmp_path / "target.heic"
    write_phone_photo(source)
    run = run_measured(
        [sys.executable, "-m", "tests.test_memory", str(source), str(target)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert run.returncode == 0
    sys.stdout.write(f"peak {run.peak_bytes / 1e6:.0f} MB\n")  # shown by pytest -rP
    assert run.peak_bytes < MOST_BYTES
    result = decode(target, Limits())
    assert (result.height, result.width, result.source_format) == (8000, 6000, "heic")
    side, reach = 2 * CORNER, 32
    top_right = result.pixels[reach : side - reach, reach - side : -reach].reshape(-1, 3)
    top_left = result.pixels[reach : side - reach, reach : side - reach].reshape(-1, 3)
    assert np.abs(top_right.mean(axis=0) - RED).max() < 6
    assert np.abs(top_left.mean(axis=0) - (DARK[0] + 5,) * 3).max() < 10


if __name__ == "__main__":
    enlarge(Path(sys.argv[1]), Path(sys.argv[2]))
