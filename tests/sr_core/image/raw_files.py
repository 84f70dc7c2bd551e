"""Small RAW files for tests, made from what the light of a scene would be."""

import struct
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
CAMERA = "Nobody's Camera 7"
NEUTRAL = (0.5, 1.0, 0.625)
# XYZ to camera space: far from that of sRGB, so that its loss would be seen.
MATRIX = ((0.9194, -0.2787, -0.1059), (-0.8098, 1.5657, 0.2608), (-0.2610, 0.3064, 0.7867))
BAYER = ((0, 1), (1, 2))


def light_scene(height: int, width: int, seed: int = 3) -> NDArray[np.float64]:
    """Returns (H, W, 3) camera light from 0 to 1: smooth colours, no two corners alike, white where not balanced."""
    rows, columns = np.mgrid[0:height, 0:width]
    down, across = rows / max(height - 1, 1), columns / max(width - 1, 1)
    noise = np.random.default_rng(seed).uniform(-0.004, 0.004, (height, width))
    grey = 0.08 + 0.5 * down * across + 0.2 * (down > 0.7) * (across < 0.3) + noise
    tint = np.stack([0.7 + 0.5 * across, np.ones_like(across), 1.2 - 0.5 * down], axis=-1)
    return np.clip(grey[..., np.newaxis] * tint * NEUTRAL, 0, 1)


def mosaic(light: NDArray[np.float64], black: int, white: int) -> NDArray[np.uint16]:
    """Returns the values that an RGGB sensor gives for light."""
    height, width, _ = light.shape
    rows, columns = np.mgrid[0:height, 0:width]
    colours = np.asarray(BAYER)[rows % 2, columns % 2]
    seen = np.take_along_axis(light, colours[..., np.newaxis], axis=2)[..., 0]
    return np.rint(black + seen * (white - black)).astype(np.uint16)


def rationals(*numbers: float, unit: int = 10000) -> tuple[int, ...]:
    """Returns numbers as fractions, as tifffile takes them."""
    return tuple(part for number in numbers for part in (round(number * unit), unit))


def dng_tags(
    orientation: int = 1, name: str = CAMERA, matrix: tuple = MATRIX, neutral: tuple | None = NEUTRAL
) -> list[tuple]:
    """Returns the tags of a DNG that do not depend on its pixels."""
    tags = [
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50707, 1, 4, (1, 1, 0, 0), True),
        (50708, 2, None, name, True),
        (271, 2, None, "Nobody", True),
        (272, 2, None, "Camera 7", True),
        (274, 3, 1, orientation, True),
        (50721, 10, 9, rationals(*np.ravel(matrix)), True),
        (50778, 3, 1, 21, True),
    ]
    if neutral is not None:
        tags.append((50728, 5, 3, rationals(*neutral), True))
    return tags


def bayer_dng(light: NDArray[np.float64], extra: list[tuple] | None = None, **tags: object) -> bytes:
    """Returns a Bayer DNG with 14-bit values, black at 256."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream, byteorder="<") as tiff:
        tiff.write(
            mosaic(light, 256, 16383),
            photometric=32803,
            subfiletype=0,
            metadata=None,
            software=False,
            extratags=[
                (33421, 3, 2, (2, 2), True),
                (33422, 1, 4, (0, 1, 1, 2), True),
                (50714, 3, 1, 256, True),
                (50717, 3, 1, 16383, True),
                *dng_tags(**tags),
                *(extra or []),
            ],
        )
    return stream.getvalue()


def linear_dng(
    samples: NDArray[np.uint16 | np.float32], extra: list[tuple] | None = None, order: str = "<", **tags: object
) -> bytes:
    """Returns a linear DNG, uncompressed."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream, byteorder=order) as tiff:
        tiff.write(
            samples,
            photometric=34892 if samples.ndim == 3 else 1,
            planarconfig="contig" if samples.ndim == 3 else None,
            subfiletype=0,
            metadata=None,
            software=False,
            extratags=[*dng_tags(**tags), *(extra or [])],
        )
    if samples.ndim == 2:  # tifffile writes no linear image of one channel
        stream.seek(0)
        with tifffile.TiffFile(stream) as file:
            file.pages.first.tags[262].overwrite(34892)
    return stream.getvalue()


def packed_dng(
    samples: NDArray[np.uint16], compression: int = 52546, extra: list[tuple] | None = None, **tags: object
) -> bytes:
    """Returns a linear DNG in tiles of JPEG XL (52546) or Deflate (8); the size need not be a multiple of a tile's."""
    stream = BytesIO()

    def packed(tile: NDArray[np.uint16]) -> bytes:
        if compression == 8:
            difference = np.diff(tile, axis=1, prepend=np.zeros_like(tile[:, :1]))
            return imagecodecs.zlib_encode(difference.astype("<u2").tobytes())
        return imagecodecs.jpegxl_encode(tile, lossless=True, level=1, bitspersample=16)

    padded = np.pad(samples, [(0, -samples.shape[0] % 64), (0, -samples.shape[1] % 64), (0, 0)], mode="edge")
    tiles = [
        packed(np.ascontiguousarray(padded[top : top + 64, left : left + 64]))
        for top in range(0, padded.shape[0], 64)
        for left in range(0, padded.shape[1], 64)
    ]
    with tifffile.TiffWriter(stream, byteorder="<") as tiff:
        tiff.write(
            iter(tiles),
            shape=samples.shape,
            dtype=np.uint16,
            photometric=34892,
            planarconfig="contig",
            tile=(64, 64),
            compression=compression,
            predictor=2 if compression == 8 else None,
            subfiletype=0,
            metadata=None,
            software=False,
            extratags=[*dng_tags(**tags), *(extra or [])],
        )
    return stream.getvalue()


def tiff_bytes(
    pixels: NDArray[np.uint8 | np.uint16], order: str = "<", bigtiff: bool = False, **options: object
) -> bytes:
    """Returns a plain TIFF."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream, byteorder=order, bigtiff=bigtiff) as tiff:
        tiff.write(pixels, metadata=None, **options)
    return stream.getvalue()


def gain_table(
    values: NDArray[np.float32], order: str = "<", origin: tuple = (0.125, 0.25), spacing: tuple = (0.25, 0.5)
) -> bytes:
    """Returns a ProfileGainTableMap of (points down, points across, points of the curve)."""
    down, across, depth = values.shape
    header = struct.pack(f"{order}2I4dI5f", down, across, *spacing, *origin, depth, 0.1, 0.2, 0.3, 0.4, 0.5)
    return header + values.astype(f"{order}f4").tobytes()
