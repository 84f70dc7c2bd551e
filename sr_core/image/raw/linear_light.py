"""The light in linear DNGs, which have all colours at each pixel already.

LibRaw unpacks most of them. JPEG XL and Deflate, which the LibRaw of rawpy 0.28 is built without, are unpacked here:
newer phones write them. The levels are applied here in any case: LibRaw 0.22 takes the black level of such files off
twice or not at all, and needs 22 bytes for a pixel where 14 are enough.

Source: Adobe, Digital Negative Specification 1.7.1, chapter 5 (mapping raw values to linear reference values).
"""

import math
import zlib
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from sr_core.errors import UnsupportedFormatError
from sr_core.image.camera import D65_XYZ
from sr_core.image.raw.libraw import Developed, open_raw
from sr_core.image.raw.profile import matrix_of, neutral_of
from sr_core.image.raw.tags import RawTags
from sr_core.image.raw.whole import refuse_blank

__all__ = ["develop_linear", "holds_linear_light", "refuse_packed"]

_PLAIN: Final = 1
_LOSSLESS_JPEG: Final = 7
_DEFLATE: Final = (8, 32946)
_JPEG_XL: Final = 52546
_OF_LIBRAW: Final = frozenset({_PLAIN, _LOSSLESS_JPEG})
_PACKED: Final = frozenset({*_DEFLATE, _JPEG_XL})

_PEAK: Final = 65535
_BAND_ROWS: Final = 256
_UNSIGNED: Final = 1
_DIFFERENCES: Final = 2
_MOST_TILE_PIXELS: Final = 1 << 28
_MOST_TILES: Final = 1 << 18
_MOST_BALANCE: Final = 32.0

_STRIP_OFFSETS: Final = 273
_ROWS_PER_STRIP: Final = 278
_STRIP_BYTES: Final = 279
_PREDICTOR: Final = 317
_TILE_WIDTH: Final = 322
_TILE_HEIGHT: Final = 323
_TILE_OFFSETS: Final = 324
_TILE_BYTES: Final = 325
_SAMPLE_FORMAT: Final = 339
_TABLE: Final = 50712


def holds_linear_light(tags: RawTags | None) -> bool:
    """Returns whether a file is a linear DNG whose light :func:`develop_linear` gives."""
    if tags is None or tags.sensor is None or not (tags.is_dng and tags.is_linear):
        return False
    is_whole_number = all(number == _UNSIGNED for number in tags.sensor.numbers(_SAMPLE_FORMAT)) and tags.bits <= 16
    return (
        is_whole_number
        and tags.compression in _OF_LIBRAW | _PACKED
        and tags.shape[2] in (1, 3)
        and tags.levels(0) is not None
    )


def refuse_packed(tags: RawTags | None) -> None:
    """Refuses a DNG that LibRaw opens and cannot unpack, and that is not unpacked here either.

    Raises:
        UnsupportedFormatError: It is such a file.
    """
    if tags is not None and tags.is_dng and tags.compression in _PACKED and not holds_linear_light(tags):
        raise UnsupportedFormatError(
            "The sensor values of this DNG are stored in a way that is not read here (JPEG XL or Deflate, of a mosaic"
            " or of floating-point numbers); please convert it to a DNG without them, or export it as TIFF."
        )


def develop_linear(data: bytes, tags: RawTags) -> Developed:
    """Returns the light of a linear DNG.

    Args:
        data: The file.
        tags: Its directories, of which :func:`holds_linear_light` says so.

    Raises:
        ValueError: The file is damaged.
    """
    channels = tags.shape[2]
    balance, is_known = _balance(tags)
    if tags.compression in _PACKED:
        light = _unpacked(data, tags)[tags.seen.slices]
        _apply(light, light, [_codes(tags, channel, factor) for channel, factor in enumerate(balance)])
    else:
        with open_raw(data) as raw:
            stored = raw.raw_image.reshape(*tags.shape[:2], -1)[tags.seen.slices]
            refuse_blank(stored[:, :, :channels], is_mosaic=False)
            light = np.empty((*stored.shape[:2], channels), np.uint16)
            _apply(stored, light, [_codes(tags, channel, factor) for channel, factor in enumerate(balance)])
    return Developed(samples=light, balance=balance, is_balance_known=is_known, from_xyz=None)


def _balance(tags: RawTags) -> tuple[tuple[float, ...], bool]:
    """Returns the white balance, the greatest factor being 1, and whether the file states it."""
    if tags.shape[2] == 1:
        return (1.0,), True
    matrix = matrix_of(tags)
    daylight = () if matrix is None else tuple(float(part) for part in np.asarray(matrix) @ D65_XYZ)
    for neutral, is_known in ((neutral_of(tags), True), (daylight, False)):
        if len(neutral) == 3 and 0 < max(neutral) <= _MOST_BALANCE * min(neutral):
            return tuple(min(neutral) / part for part in neutral), is_known
    return (1.0, 1.0, 1.0), False


def _codes(tags: RawTags, channel: int, factor: float) -> NDArray[np.uint16]:
    """Returns the balanced light, 65535 for the greatest, of each value of a channel that is unpacked."""
    values = np.arange(_PEAK + 1, dtype=np.float64)
    table = tags.sensor.numbers(_TABLE, _PEAK + 1) if tags.sensor else ()
    if table and tags.compression in _PACKED:  # LibRaw applies it while it unpacks
        values = np.asarray(table, np.float64)[np.minimum(np.arange(_PEAK + 1), len(table) - 1)]
    levels = tags.levels(channel)
    if levels is None:
        raise ValueError("the levels of a channel make no sense")
    black, white = levels
    return np.rint(np.clip((values - black) / (white - black), 0, 1) * (factor * _PEAK)).astype(np.uint16)


def _apply(stored: NDArray[np.uint16], light: NDArray[np.uint16], codes: list[NDArray[np.uint16]]) -> None:
    """Writes the light of stored values, which may be at the same place."""
    for top in range(0, light.shape[0], _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        for channel, table in enumerate(codes):
            light[band, :, channel] = table[stored[band, :, channel]]


def _unpacked(data: bytes, tags: RawTags) -> NDArray[np.uint16]:
    """Returns the samples of the main image as the file stores them, (H, W, C)."""
    sensor = tags.sensor
    height, width, channels = tags.shape
    if sensor is None:
        raise ValueError("the DNG has no linear image")
    rows = sensor.whole(_TILE_HEIGHT) or min(sensor.whole(_ROWS_PER_STRIP, height), height)
    columns = sensor.whole(_TILE_WIDTH) or width
    if min(rows, columns) < 1 or rows * columns > _MOST_TILE_PIXELS:
        raise ValueError(f"tiles of {rows} x {columns}")
    if math.ceil(height / rows) * math.ceil(width / columns) > _MOST_TILES:
        raise ValueError(f"too many tiles of {rows} x {columns}")
    places = [(top, left) for top in range(0, height, rows) for left in range(0, width, columns)]
    starts = sensor.numbers(_TILE_OFFSETS if _TILE_OFFSETS in sensor else _STRIP_OFFSETS, len(places))
    sizes = sensor.numbers(_TILE_BYTES if _TILE_BYTES in sensor else _STRIP_BYTES, len(places))
    samples = np.empty((height, width, channels), np.uint16)
    for (top, left), start, size in zip(places, starts, sizes, strict=True):
        part = samples[top : top + rows, left : left + columns]
        stored = data[int(start) : int(start) + int(size)]
        if tags.compression == _JPEG_XL:
            tile = imagecodecs.jpegxl_decode(stored, numthreads=1)
        else:
            tile = _inflated(stored, tags, (rows, columns, channels))
        tile = tile.reshape(*tile.shape[:2], -1)[: part.shape[0], : part.shape[1]]
        if tile.shape != part.shape or tile.dtype.kind != "u" or tile.dtype.itemsize > 2:
            raise ValueError(f"a tile of {tile.dtype} {tile.shape} for {part.shape}")
        part[...] = tile
    return samples


def _inflated(stored: bytes, tags: RawTags, shape: tuple[int, int, int]) -> NDArray[np.uint8 | np.uint16]:
    """Returns a tile or strip that Deflate packed, with or without differences from left to right."""
    predictor = tags.sensor.whole(_PREDICTOR, 1) if tags.sensor else 1
    if tags.bits not in (8, 16) or predictor not in (1, _DIFFERENCES):
        raise ValueError(f"{tags.bits} bits with predictor {predictor}")
    dtype = np.dtype(np.uint8 if tags.bits == 8 else np.uint16)
    inflater = zlib.decompressobj()
    data = inflater.decompress(stored, math.prod(shape) * dtype.itemsize)
    whole_rows = len(data) // (shape[1] * shape[2] * dtype.itemsize)
    order = "<" if tags.form.order == "little" else ">"
    tile = np.frombuffer(data, dtype.newbyteorder(order), whole_rows * shape[1] * shape[2])
    tile = tile.astype(dtype).reshape(whole_rows, *shape[1:])
    return np.cumsum(tile, axis=1, dtype=dtype) if predictor == _DIFFERENCES else tile
