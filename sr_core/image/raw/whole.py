"""Whether a RAW file still holds the values of its sensor: LibRaw gives black, flat or random rows where it does not.

Source: TIFF 6.0, sections 8 and 15 (strips and tiles); ExifTool, the tags of Panasonic RAW files.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_core.image.raw.tags import RawTags
from sr_core.image.tiff.ifd import Directory

__all__ = ["refuse_blank", "refuse_cut"]

_STRIP_OFFSETS: Final = 273
_STRIP_BYTES: Final = 279
_TILE_OFFSETS: Final = 324
_TILE_BYTES: Final = 325
_PLACES: Final = ((_STRIP_OFFSETS, _STRIP_BYTES), (_TILE_OFFSETS, _TILE_BYTES))
_PANASONIC_OFFSET: Final = 0x118
_MOST_PARTS: Final = 1 << 16
_OTHER_MAKERS_SLACK: Final = 64
"""Of what a file that is no DNG claims, one part in so many may lie beyond its end: not all count to the byte."""

_JPEG: Final = 7
_MOST_JPEG_SAMPLES_A_BYTE: Final = 128
"""A flat block of 64 takes JPEG half a byte at least; lossless JPEG takes a bit for a sample."""
_BLANK_SHARE: Final = 10
"""One part in so many of the rows, counted from the last, is no photo any more when it is a single value."""
_FEWEST_BLANK: Final = 1 << 14
"""So many values are not alike by chance; fewer are left alone."""


def refuse_cut(data: bytes, tags: RawTags | None) -> None:
    """Refuses a file whose directories place the values of the sensor beyond its end.

    Args:
        data: The file.
        tags: Its directories, or None where it is not built like a TIFF, of which nothing can be said here.

    Raises:
        ValueError: It is such a file.
    """
    if tags is None:
        return
    if tags.sensor is not None:
        parts = _parts(tags.sensor)
    else:  # what makers do not mark is the largest thing that they store
        parts = max((_parts(directory) for directory in tags.directories), key=_claimed_bytes)
    if tags.is_dng and tags.sensor is not None and not parts:
        raise ValueError("the image of the sensor is nowhere")
    missing = sum(min(size, max(0, start + size - len(data))) for start, size in parts)
    allowed = 0 if tags.is_dng else _claimed_bytes(parts) // _OTHER_MAKERS_SLACK
    if missing > allowed or any(start > len(data) for start, _ in parts):
        raise ValueError(f"{missing} bytes of the sensor lie beyond the end of the file")
    height, width, channels = tags.shape
    if tags.compression == _JPEG and height * width * channels > _claimed_bytes(parts) * _MOST_JPEG_SAMPLES_A_BYTE:
        raise ValueError(f"{_claimed_bytes(parts)} bytes are too few for {height} x {width} pixels")


def refuse_blank(values: NDArray[np.uint16], *, is_mosaic: bool) -> None:
    """Refuses what is left where the values of a sensor were missing: rows of a single value.

    Noise sees to it that no sensor gives such rows, unless light is beyond what it can tell apart.

    Args:
        values: (H, W) or (H, W, C) as they are unpacked; read in place, few rows of a photo that is whole.
        is_mosaic: Whether they come from the sensor as they are; otherwise only a picture of one value is refused,
            for a program may have made a part of it black.

    Raises:
        ValueError: They are such values.
    """
    height = values.shape[0]
    if values.size < _FEWEST_BLANK:
        return
    value = values[(-1,) * values.ndim]
    blank = 0
    while blank < height and (values[height - 1 - blank] == value).all():
        blank += 1
    is_clipped = blank < height and bool(value == values.max())
    if blank == height or (is_mosaic and blank * _BLANK_SHARE >= height and not is_clipped):
        raise ValueError(f"the last {blank} of {height} rows are {value} throughout")


def _parts(directory: Directory) -> list[tuple[int, int]]:
    """Returns offset and length of each strip and tile of an image."""
    found: list[tuple[int, int]] = []
    for offsets, lengths in _PLACES:
        starts, sizes = directory.numbers(offsets, _MOST_PARTS), directory.numbers(lengths, _MOST_PARTS)
        if offsets == _STRIP_OFFSETS and _PANASONIC_OFFSET in directory:
            starts = directory.numbers(_PANASONIC_OFFSET, 1)
        found.extend((int(start), int(size)) for start, size in zip(starts, sizes, strict=False))
    return found


def _claimed_bytes(parts: list[tuple[int, int]]) -> int:
    """Returns how many bytes strips and tiles have in all."""
    return sum(size for _, size in parts)
