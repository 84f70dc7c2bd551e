"""Pictures of noise, and the shortest way to upscale one."""

import numpy as np
from numpy.typing import NDArray

from sr_core.image.picture import Picture
from sr_core.infer.engine import Engine
from sr_core.infer.upscale import Tiling, run_to_end, upscale

__all__ = ["DEPTHS", "SMALL", "enlarged", "noise", "picture_of", "run"]

SMALL = Tiling(tile=32, overlap=16)
DEPTHS = [8, 10, 12, 16]


def noise(height: int, width: int, *, bits: int = 8, channels: int = 3, seed: int = 0) -> NDArray[np.uint8 | np.uint16]:
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 1 << bits, (height, width, channels)).astype(dtype)


def picture_of(height: int, width: int, *, bits: int = 8, channels: int = 3, seed: int = 0) -> Picture:
    return Picture(pixels=noise(height, width, bits=bits, channels=channels, seed=seed), bit_depth=bits)


def enlarged(pixels: NDArray[np.uint8 | np.uint16], scale: int) -> NDArray[np.uint8 | np.uint16]:
    return pixels.repeat(scale, 0).repeat(scale, 1)


def run(picture: Picture, engine: Engine, tiling: Tiling = SMALL) -> Picture:
    return run_to_end(upscale(picture, engine, tiling))
