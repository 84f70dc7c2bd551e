"""A Picture to a file: of the family that it came from by default, with what it carried beside its pixels."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from sr_core.errors import OutputError
from sr_core.image.colour import is_srgb, profile_space, to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.extensions import EXTENSIONS
from sr_core.image.extras import without_extras
from sr_core.image.families import FAMILIES
from sr_core.image.family import Holds, Quality
from sr_core.image.header import Header
from sr_core.image.metadata import lost_with_location, refresh_size, without_location
from sr_core.image.picture import FORMAT_NAMES, Metadata, PhotoFormat, Picture
from sr_core.image.scratch import NO_ROOM, NO_ROOM_WORDS
from sr_core.image.tiff.exif import stays_behind
from sr_core.image.transfer import Transfer, samples_of

__all__ = [
    "EncodedInfo", "Quality", "check_output", "encode", "extension_of", "losses", "result_file", "write_picture",
]  # fmt: skip

_MEGAPIXEL: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedInfo:
    """A file that was written.

    Attributes:
        path: The file.
        format: Its family.
        size_bytes: Its size.
        notices: Sentences about what the picture held and this family cannot.
    """

    path: Path
    format: PhotoFormat
    size_bytes: int
    notices: tuple[str, ...]


def extension_of(photo_format: PhotoFormat) -> str:
    """Returns the usual file extension of a family, dot included."""
    return EXTENSIONS[photo_format][0]


def check_output(
    photo_format: PhotoFormat, height: int, width: int, *, source_format: PhotoFormat, has_alpha: bool = False
) -> None:
    """Refuses a result that its family cannot hold; to be called before any work goes into it.

    Args:
        photo_format: Family of the result.
        height: Rows of the result.
        width: Columns of the result.
        source_format: Family of the photo.
        has_alpha: Whether the result has an alpha channel.

    Raises:
        OutputError: The family cannot hold such a picture.
    """
    name, holds = _named(photo_format), FAMILIES[photo_format].HOLDS
    if holds.camera and source_format != photo_format:
        raise OutputError(f"Only a RAW photo can become {name}; please choose PNG or TIFF to lose nothing.")
    if has_alpha and not holds.alpha:
        raise OutputError(
            f"{name[0].upper()}{name[1:]} cannot hold the transparency of this picture;"
            " please choose PNG, WebP, HEIC, AVIF or TIFF."
        )
    if max(height, width) > holds.longest_side:
        raise OutputError(
            f"The result would be {width} x {height} and {name} holds at most {holds.longest_side} pixels a side;"
            " please choose PNG or a smaller scale."
        )
    if holds.most_pixels is not None and height * width > holds.most_pixels:
        raise OutputError(
            f"The result would have {height * width / _MEGAPIXEL:.0f} megapixels and {name} holds at most"
            f" {holds.most_pixels // _MEGAPIXEL}; please choose PNG or a smaller scale."
        )
    if has_alpha and holds.most_pixels_with_alpha is not None and height * width > holds.most_pixels_with_alpha:
        raise OutputError(
            f"{name[0].upper()}{name[1:]} with transparency holds at most"
            f" {holds.most_pixels_with_alpha // _MEGAPIXEL} megapixels; please choose PNG or a smaller scale."
        )


def losses(header: Header, photo_format: PhotoFormat, *, remove_location: bool = False) -> tuple[str, ...]:
    """Returns a sentence for each thing that a photo holds and a result of a family will not.

    Args:
        header: The photo.
        photo_format: Family of the result.
        remove_location: Whether the place where it was taken is to go as well.
    """
    metadata, removed = _located(header.metadata, remove_location=remove_location)
    fit = _fit(metadata, header.format, header.bit_depth, header.channels, photo_format)
    return (*header.notices, *removed, *fit.notices)


def encode(
    picture: Picture,
    path: Path,
    *,
    photo_format: PhotoFormat | None = None,
    quality: Quality | None = None,
    remove_location: bool = False,
) -> EncodedInfo:
    """Writes a picture to a file; no file is left when it fails.

    ICC profile, EXIF (sizes refreshed, thumbnail removed), XMP, code points and, within a family, its other parts go
    along as far as the family can hold them.

    Args:
        picture: What to write.
        path: File to write; a file of this name is replaced. Its extension is not looked at.
        photo_format: Family to write; None for the family that the picture came from.
        quality: How faithfully; None for the defaults of ``Quality``.
        remove_location: Whether the file must not tell where the photo was taken.

    Raises:
        OutputError: The family cannot hold the picture, or its encoder failed.
    """
    chosen = photo_format or picture.source_format
    with result_file(path) as file:
        notices = write_picture(picture, file, chosen, quality or Quality(), remove_location=remove_location)
    return EncodedInfo(path=path, format=chosen, size_bytes=path.stat().st_size, notices=notices)


@contextmanager
def result_file(path: Path) -> Generator[BinaryIO]:
    """Gives a file to write that appears under its name when all went well, and is gone when it did not.

    Args:
        path: File to write; a file of this name is replaced.
    """
    partial = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}.part")
    try:
        with partial.open("x+b") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_picture(
    picture: Picture, file: BinaryIO, photo_format: PhotoFormat, quality: Quality, *, remove_location: bool = False
) -> tuple[str, ...]:
    """Writes a picture to an open file, and returns a sentence for each thing that this family cannot hold of it.

    Args:
        picture: What to write.
        file: An empty file, open for reading and writing.
        photo_format: Family to write.
        quality: How faithfully.
        remove_location: Whether the file must not tell where the photo was taken.

    Raises:
        OutputError: The family cannot hold the picture, or its encoder failed.
    """
    check_output(
        photo_format,
        picture.height,
        picture.width,
        source_format=picture.source_format,
        has_alpha=picture.alpha is not None,
    )
    metadata, removed = _located(picture.metadata, remove_location=remove_location)
    channels = picture.pixels.shape[2]
    fit = _fit(metadata, picture.source_format, picture.bit_depth, channels, photo_format)
    refreshed = replace(picture, metadata=refresh_size(fit.metadata, picture.height, picture.width))
    try:
        FAMILIES[photo_format].write(_fitted(refreshed, picture.metadata, fit), file, quality)
    except (MemoryError, OutputError):
        raise
    except OSError as error:
        raise OutputError(NO_ROOM_WORDS if error.errno in NO_ROOM else _unwritten(photo_format)) from error
    except Exception as error:  # engines raise unrelated classes (ValueError, OSError, RuntimeError) for the same cause
        raise OutputError(_unwritten(photo_format)) from error
    return (*removed, *fit.notices)


def _unwritten(photo_format: PhotoFormat) -> str:
    other = FORMAT_NAMES["tiff" if photo_format == "png" else "png"]
    return f"The result could not be written as {FORMAT_NAMES[photo_format]}; please choose {other} instead."


def _named(photo_format: PhotoFormat) -> str:
    """Returns a family with its article."""
    return f"{'an' if photo_format == 'avif' else 'a'} {FORMAT_NAMES[photo_format]}"


def _located(metadata: Metadata, *, remove_location: bool) -> tuple[Metadata, tuple[str, ...]]:
    """Returns the metadata, without the place when it is to go, and what goes along with it."""
    return (without_location(metadata), lost_with_location(metadata)) if remove_location else (metadata, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """How pictures of a kind get into a family.

    Attributes:
        bits: Depth of a sample in the file, unless the family turns the signal back itself.
        srgb: Whether the colours are converted to sRGB.
        spread: Whether grey becomes RGB.
        undo: How the signal is turned back into samples as they were in the source, or None where it is not.
        metadata: What goes along.
        notices: A sentence for each thing that does not.
    """

    bits: int
    srgb: bool
    spread: bool
    undo: Transfer | None
    metadata: Metadata
    notices: tuple[str, ...]


def _fit(metadata: Metadata, source: PhotoFormat, bits_in: int, channels: int, target: PhotoFormat) -> _Fit:
    """Returns how a picture of a family becomes a file of another or the same one."""
    name, holds = _named(target), FAMILIES[target].HOLDS
    notices: list[str] = []
    stored_bits = bits_in if metadata.transfer is None else metadata.transfer.bits
    is_grey = channels == 1
    has_code_points = metadata.icc is None and not is_srgb(metadata.nclx) and not holds.code_points
    has_grey_profile = is_grey and not holds.grey and profile_space(metadata.icc) == "GRAY"
    is_foreign = source != target and (source == "dng" or metadata.transfer is not None)
    srgb = has_code_points or has_grey_profile or is_foreign
    if srgb:
        state = "hold the colours of a camera" if source == "dng" else "state the colour space of this picture"
        notices.append(f"{name[0].upper()}{name[1:]} cannot {state}, so it is converted to sRGB.")
        metadata = replace(metadata, icc=None, nclx=None, transfer=None, camera=None)
    if source != target:
        notices.extend(f"{extra.name} cannot go into {name}." for extra in metadata.extras)
        metadata = without_extras(metadata)
    transfer = metadata.transfer
    bits = stored_bits if holds.linear and transfer is not None else _bits_in(holds, stored_bits)
    if bits < stored_bits:
        notices.append(f"The {stored_bits} bits of a sample become {bits}, the most that is written to {name}.")
    if holds.takes_exif_apart:
        notices.extend(stays_behind(metadata.exif))
    if holds.exif_bytes is not None and len(metadata.exif or b"") > holds.exif_bytes:
        metadata = replace(metadata, exif=None)
        notices.append(f"The EXIF data is too long for {name} and is left out.")
    if holds.xmp_bytes is not None and len(metadata.xmp or b"") > holds.xmp_bytes:
        metadata = replace(metadata, xmp=None)
        notices.append(f"The XMP data is too long for {name} and is left out.")
    return _Fit(
        bits=bits,
        srgb=srgb,
        spread=is_grey and not holds.grey,
        undo=None if holds.linear else transfer,
        metadata=metadata,
        notices=tuple(notices),
    )


def _fitted(picture: Picture, colours: Metadata, fit: _Fit) -> Picture:
    """Returns the picture as its family can hold it.

    Args:
        picture: With the metadata that goes along.
        colours: The metadata that its pixels belong to.
        fit: What has to change.
    """
    if fit.srgb:
        bits = 8 if fit.bits == 8 else 16
        alpha = None if picture.alpha is None else change_depth(picture.alpha, picture.bit_depth, bits)
        pixels = to_srgb(picture.pixels, picture.bit_depth, colours, bits=bits)
        picture = replace(picture, pixels=pixels, alpha=alpha, bit_depth=bits)
    elif fit.undo is not None:
        alpha = None if picture.alpha is None else change_depth(picture.alpha, picture.bit_depth, fit.undo.bits)
        pixels = samples_of(picture.pixels.astype(np.uint16, copy=False), fit.undo)
        metadata = replace(picture.metadata, transfer=None)
        picture = replace(picture, pixels=pixels, alpha=alpha, bit_depth=fit.undo.bits, metadata=metadata)
    if fit.spread and picture.pixels.shape[2] == 1:
        picture = replace(picture, pixels=np.repeat(picture.pixels, 3, axis=2))
    if picture.metadata.transfer is not None or picture.bit_depth == fit.bits:
        return picture
    alpha = None if picture.alpha is None else change_depth(picture.alpha, picture.bit_depth, fit.bits)
    pixels = change_depth(picture.pixels, picture.bit_depth, fit.bits)
    return replace(picture, pixels=pixels, alpha=alpha, bit_depth=fit.bits)


def _bits_in(holds: Holds, bits: int) -> int:
    """Returns the depth at which a family holds samples of ``bits`` bits."""
    if bits in holds.bits:
        return bits
    deeper = [held for held in holds.bits if held > bits]
    return min(deeper) if deeper else holds.deepest or max(holds.bits)
