"""Bytes to a Picture: the family is sniffed, the size is guarded, then the pixels are decoded and turned upright."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np

from sr_core.errors import SRError, UnreadablePhotoError
from sr_core.image.families import FAMILIES
from sr_core.image.family import Decoded
from sr_core.image.header import Header, Limits, Stored, guard_bytes, guard_pixels
from sr_core.image.metadata import reset_orientation
from sr_core.image.orientation import upright
from sr_core.image.picture import FORMAT_NAMES, PhotoFormat, Picture
from sr_core.image.raw.tags import raw_tags
from sr_core.image.sniff import sniff
from sr_core.image.xmp import usable_xmp

__all__ = ["Header", "Limits", "decode", "decode_bytes", "read_header", "read_header_bytes"]

_MOST_METADATA_BYTES: Final = 32 << 20


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
    return read_header_bytes(_read(path, limits), limits)


def read_header_bytes(data: bytes, limits: Limits) -> Header:
    """Returns what a photo will be as a Picture; as :func:`read_header`, of the bytes of a file."""
    return _parse(data, limits)[0]


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
    return decode_bytes(_read(path, limits), limits)


def decode_bytes(data: bytes, limits: Limits) -> Picture:
    """Returns the photo in the bytes of a file; as :func:`decode`."""
    header, stored = _parse(data, limits)
    with _damage_named(header.format, data):
        decoded = _decode_pixels(header.format, data, stored)
        expected = (stored.height, stored.width, stored.channels + stored.has_alpha)
        if decoded.samples.shape != expected:
            raise ValueError(f"decoded {decoded.samples.shape} where the header says {expected}")
        return _picture(header, decoded, stored)


def _read(path: Path, limits: Limits) -> bytes:
    """Returns the bytes of a file within the limits."""
    guard_bytes(path.stat().st_size, limits)
    return path.read_bytes()


def _parse(data: bytes, limits: Limits) -> tuple[Header, Stored]:
    """Returns what the file says of itself, within the limits: upright, and as it is stored."""
    if not data:
        raise UnreadablePhotoError("The file is empty; please send the photo again.")
    photo_format = sniff(BytesIO(data))
    with _damage_named(photo_format, data):
        stored = FAMILIES[photo_format].parse(data)
        xmp, xmp_notices = usable_xmp(stored.metadata.xmp)
        stored = replace(stored, metadata=replace(stored.metadata, xmp=xmp), notices=(*stored.notices, *xmp_notices))
        stored = _bounded(stored)
        header = stored.header(photo_format, len(data))
        guard_pixels(header.height, header.width, limits)
        return header, stored


def _bounded(stored: Stored) -> Stored:
    """Returns what a file says of itself without what is too long of it, the longest part first."""
    metadata, notices = stored.metadata, list(stored.notices)
    limit = f"as there are more than {_MOST_METADATA_BYTES >> 20} MiB in this photo besides its pixels."
    for extra in sorted(metadata.extras, key=lambda part: len(part.data), reverse=True):
        if metadata.size_bytes > _MOST_METADATA_BYTES:
            kept = tuple(part for part in metadata.extras if part is not extra)
            metadata = replace(metadata, extras=kept)
            notices.append(f"{extra.name} cannot be kept, {limit}")
    if metadata.size_bytes > _MOST_METADATA_BYTES and len(metadata.icc or b"") > len(metadata.exif or b""):
        metadata = replace(metadata, icc=None)
        notices.append(f"The colour profile cannot be kept, {limit}")
    if metadata.size_bytes > _MOST_METADATA_BYTES:
        metadata = replace(metadata, exif=None)
        notices.append(f"The EXIF data cannot be kept, {limit}")
    return replace(stored, metadata=metadata, notices=tuple(notices))


def _decode_pixels(photo_format: PhotoFormat, data: bytes, stored: Stored) -> Decoded:
    """Returns the stored samples, (H, W, C) with alpha as the last channel."""
    return FAMILIES[photo_format].pixels(data, stored)


def _picture(header: Header, decoded: Decoded, stored: Stored) -> Picture:
    """Returns the upright picture of stored samples: the one place where orientation is applied."""
    samples, alpha = decoded.samples, None
    if stored.has_alpha:
        alpha = upright(np.ascontiguousarray(samples[:, :, -1]), stored.orientation)
        samples = samples[:, :, :-1]
    metadata = reset_orientation(stored.metadata)
    return Picture(
        pixels=np.ascontiguousarray(upright(samples, stored.orientation)),
        bit_depth=stored.bit_depth,
        alpha=alpha,
        source_format=header.format,
        metadata=replace(metadata, transfer=decoded.transfer, camera=decoded.camera),
        notices=(*stored.notices, *decoded.notices),
    )


@contextmanager
def _damage_named(photo_format: PhotoFormat, data: bytes) -> Generator[None]:
    """Turns whatever an engine raises about a file into the one sentence for a visitor.

    Raises:
        UnreadablePhotoError: The engine could not read the file.
    """
    try:
        yield
    except (SRError, MemoryError):
        raise
    except Exception as error:  # engines raise a dozen unrelated classes for damaged files, SyntaxError among them
        name = _name_of(photo_format, data)
        raise UnreadablePhotoError(f"This {name} is damaged or cut short; please send or export it again.") from error


def _name_of(photo_format: PhotoFormat, data: bytes) -> str:
    """Returns what a visitor calls a file: RAW photos of all makers are of one family, and few are DNGs."""
    tags = raw_tags(data) if photo_format == "dng" else None
    is_other_raw = photo_format == "dng" and (tags is None or not tags.is_dng)
    return "RAW photo" if is_other_raw else FORMAT_NAMES[photo_format]
