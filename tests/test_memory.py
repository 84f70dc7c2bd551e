"""The memory that one photo takes from its bytes to the bytes of the result, measured in a process of its own."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_core.image.decode import Limits, decode
from sr_core.image.encode import encode
from sr_core.infer.engine import Compute
from sr_core.infer.tiles import Tiling
from sr_core.infer.upscale import run_to_end, upscale

ROOT = Path(__file__).parent.parent
MOST_KB = 900_000  # ru_maxrss counts units of 1024 bytes on Linux; a float copy of the result would not fit
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
    """Makes the three calls for one photo and writes the peak memory of this process to its standard output."""
    torch.set_num_threads(1)
    photo = decode(source, Limits())
    result = run_to_end(upscale(photo, NearestEngine(), Tiling(tile=256, overlap=32)))
    encode(result, target)
    sys.stdout.write(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))  # kB


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_phone_photo_of_12_megapixels_doubles_in_bounded_memory(tmp_path):
    source, target = tmp_path / "source.heic", tmp_path / "target.heic"
    write_phone_photo(source)
    # A process starts with the peak of the one that forks it, here pytest with all that it holds: a shell, which is
    # small, stands between. The second command keeps it from becoming Python itself.
    run = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.test_memory", str(source), str(target)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    peak_kb = json.loads(run.stdout)
    sys.stdout.write(f"peak {peak_kb} kB\n")  # shown by pytest -rP
    assert peak_kb < MOST_KB
    result = decode(target, Limits())
    assert (result.height, result.width, result.source_format) == (8000, 6000, "heic")
    side, reach = 2 * CORNER, 32
    top_right = result.pixels[reach : side - reach, reach - side : -reach].reshape(-1, 3)
    top_left = result.pixels[reach : side - reach, reach : side - reach].reshape(-1, 3)
    assert np.abs(top_right.mean(axis=0) - RED).max() < 6
    assert np.abs(top_left.mean(axis=0) - (DARK[0] + 5,) * 3).max() < 10


if __name__ == "__main__":
    enlarge(Path(sys.argv[1]), Path(sys.argv[2]))
