"""Bytes to a Picture: the family is sniffed, the size is guarded, then the pixels are decoded and turned upright."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import assert_never

import numpy as np

from sr_core.errors import SRError, UnreadablePhotoError, UnsupportedFormatError
from sr_core.image import heif, jpeg, png, webp
from sr_core.image.header import Header, Limits, Stored, guard_bytes, guard_pixels
from sr_core.image.metadata import reset_orientation
from sr_core.image.orientation import upright
from sr_core.image.picture import PhotoFormat, Picture, Samples
from sr_core.image.sniff import FORMAT_NAMES, SNIFFED_BYTES, sniff
from sr_core.image.xmp import usable_xmp

__all__ = ["Header", "Limits", "decode", "read_header"]


def read_header(path: Path, limits: Limits) -> Header:
    """Returns what a photo will be as a Picture, without decoding a pixel.

    Args:
        path: The photo; its extension does not matter.
        limits: Limits that it is held to.

    Raises:
        UnsupportedFormatError: The file is not of a family that is read here.
        UnreadablePhotoError: The file is empty, damaged or cut short.
        PhotoTooLargeError: The file is beyond a limit.
    """
    data = _read(path, limits)
    photo_format, stored = _parse(data)
    header = stored.header(photo_format, len(data))
    guard_pixels(header.height, header.width, limits)
    return header


def decode(path: Path, limits: Limits) -> Picture:
    """Returns the photo in a file, upright and at its own bit depth.

    Args:
        path: The photo; its extension does not matter.
        limits: Limits that it is held to, before any pixel is decoded.

    Raises:
        UnsupportedFormatError: The file is not of a family that is read here.
        UnreadablePhotoError: The file is empty, damaged or cut short.
        PhotoTooLargeError: The file is beyond a limit.
    """
    data = _read(path, limits)
    photo_format, stored = _parse(data)
    header = stored.header(photo_format, len(data))
    guard_pixels(header.height, header.width, limits)
    with _damage_named(photo_format):
        samples = _decode_pixels(photo_format, data, stored)
        expected = (stored.height, stored.width, stored.channels + stored.has_alpha)
        if samples.shape != expected:
            raise ValueError(f"decoded {samples.shape} where the header says {expected}")
    return _picture(photo_format, samples, stored)


def _read(path: Path, limits: Limits) -> bytes:
    """Returns the bytes of a file within the limits."""
    guard_bytes(path.stat().st_size, limits)
    data = path.read_bytes()
    if not data:
        raise UnreadablePhotoError("The file is empty; please send the photo again.")
    return data


def _parse(data: bytes) -> tuple[PhotoFormat, Stored]:
    """Returns the family and what the file says of itself."""
    photo_format = sniff(data[:SNIFFED_BYTES])
    match photo_format:
        case "jpeg":
            parse = jpeg.parse
        case "png":
            parse = png.parse
        case "webp":
            parse = webp.parse
        case "heic":
            parse = heif.parse
        case None:
            raise UnsupportedFormatError(
                "This file is not a photo of a known kind; please use a JPEG, PNG, WebP or HEIC photo."
            )
        case _:
            assert_never(photo_format)
    with _damage_named(photo_format):
        return photo_format, parse(data)


def _decode_pixels(photo_format: PhotoFormat, data: bytes, stored: Stored) -> Samples:
    """Returns the stored samples, (H, W, C) with alpha as the last channel."""
    match photo_format:
        case "jpeg":
            return jpeg.pixels(data)
        case "png":
            return png.pixels(data)
        case "webp":
            return webp.pixels(data, has_alpha=stored.has_alpha)
        case "heic":
            return heif.pixels(data, channels=stored.channels)
        case _:
            assert_never(photo_format)


def _picture(photo_format: PhotoFormat, samples: Samples, stored: Stored) -> Picture:
    """Returns the upright picture of stored samples: the one place where orientation is applied."""
    alpha = None
    if stored.has_alpha:
        alpha = upright(np.ascontiguousarray(samples[:, :, -1]), stored.orientation)
        samples = samples[:, :, :-1]
    xmp, xmp_notices = usable_xmp(stored.metadata.xmp)
    return Picture(
        pixels=np.ascontiguousarray(upright(samples, stored.orientation)),
        bit_depth=stored.bit_depth,
        alpha=alpha,
        source_format=photo_format,
        metadata=reset_orientation(replace(stored.metadata, xmp=xmp)),
        notices=(*stored.notices, *xmp_notices),
    )


@contextmanager
def _damage_named(photo_format: PhotoFormat) -> Generator[None]:
    """Turns whatever an engine raises about a file into the one sentence for a visitor.

    Raises:
        UnreadablePhotoError: The engine could not read the file.
    """
    try:
        yield
    except (SRError, MemoryError):
        raise
    except Exception as error:  # engines raise a dozen unrelated classes for damaged files, SyntaxError among them
        name = FORMAT_NAMES[photo_format]
        raise UnreadablePhotoError(f"This {name} is damaged or cut short; please send or export it again.") from error
