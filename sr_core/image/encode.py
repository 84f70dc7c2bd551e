"""A Picture to bytes: the family that it came from by default, with what it carried beside its pixels."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, assert_never

import numpy as np

from sr_core.errors import OutputError
from sr_core.image import heif, jpeg, png, webp
from sr_core.image.colour import is_srgb, profile_space, to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.metadata import refresh_size
from sr_core.image.picture import Chroma, PhotoFormat, Picture
from sr_core.image.sniff import FORMAT_NAMES

__all__ = ["EncodedInfo", "Quality", "check_output", "encode", "extension_of"]

_MEGAPIXEL: Final = 1_000_000
_LONGEST_SIDE: Final[dict[PhotoFormat, int]] = {"jpeg": 65500, "png": 1_000_000, "webp": 16383, "heic": 32768}
# WebP keeps the prediction modes of all 16 x 16 blocks in 512 KiB: beyond about 8 bits for each it cannot be written.
_MOST_WEBP_PIXELS: Final = 120 * _MEGAPIXEL
_HEIC_BITS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How faithfully a result is written.

    Attributes:
        jpeg: 1 to 100, in libjpeg's terms.
        webp: 1 to 100, in libwebp's terms.
        heic: 1 to 100, in libheif's terms.
        jpeg_chroma: Chroma sampling of a JPEG; None for that of the source.
        heic_chroma: Chroma sampling of a HEIC; None for that of the source, which phones are sure to show.
        png_level: Effort of the PNG compression, 1 (fast) to 9; the pixels are the same.
    """

    jpeg: int = 95
    webp: int = 95
    heic: int = 90
    jpeg_chroma: Chroma | None = "444"
    heic_chroma: Chroma | None = None
    png_level: int = 3


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
    return {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "heic": ".heic"}[photo_format]


def check_output(photo_format: PhotoFormat, height: int, width: int, *, has_alpha: bool = False) -> None:
    """Refuses a result that its family cannot hold; to be called before any work goes into it.

    Args:
        photo_format: Family of the result.
        height: Rows of the result.
        width: Columns of the result.
        has_alpha: Whether the result has an alpha channel.

    Raises:
        OutputError: The family cannot hold such a picture.
    """
    name = FORMAT_NAMES[photo_format]
    if has_alpha and photo_format == "jpeg":
        raise OutputError("A JPEG cannot hold the transparency of this picture; please choose PNG or WebP.")
    longest = _LONGEST_SIDE[photo_format]
    if max(height, width) > longest:
        raise OutputError(
            f"The result would be {width} x {height} and a {name} holds at most {longest} pixels a side;"
            " please choose PNG or a smaller scale."
        )
    if photo_format == "webp" and height * width > _MOST_WEBP_PIXELS:
        raise OutputError(
            f"The result would have {height * width / _MEGAPIXEL:.0f} megapixels and a WebP holds at most"
            f" {_MOST_WEBP_PIXELS // _MEGAPIXEL}; please choose PNG or a smaller scale."
        )
    if photo_format == "heic" and has_alpha and height * width > heif.LARGEST_SINGLE_PIXELS:
        raise OutputError(
            f"A HEIC with transparency holds at most {heif.LARGEST_SINGLE_PIXELS // _MEGAPIXEL} megapixels;"
            " please choose PNG or a smaller scale."
        )


def encode(
    picture: Picture, path: Path, *, photo_format: PhotoFormat | None = None, quality: Quality | None = None
) -> EncodedInfo:
    """Writes a picture to a file; no file is left when it fails.

    ICC profile, EXIF (sizes refreshed, thumbnail removed), XMP and code points go along as far as the family can
    hold them.

    Args:
        picture: What to write.
        path: File to write; a file of this name is replaced. Its extension is not looked at.
        photo_format: Family to write; None for the family that the picture came from.
        quality: How faithfully; None for the defaults of ``Quality``.

    Raises:
        OutputError: The family cannot hold the picture, or its encoder failed.
    """
    chosen = photo_format or picture.source_format
    quality = quality or Quality()
    check_output(chosen, picture.height, picture.width, has_alpha=picture.alpha is not None)
    refreshed = replace(picture, metadata=refresh_size(picture.metadata, picture.height, picture.width))
    fitted, notices = _fitted(refreshed, chosen)
    try:
        data = _encode(fitted, chosen, quality)
    except MemoryError:
        raise
    except Exception as error:  # engines raise unrelated classes (ValueError, OSError, RuntimeError) for the same cause
        raise OutputError(
            f"The result could not be written as {FORMAT_NAMES[chosen]}; please choose PNG instead."
        ) from error
    partial = path.with_name(f"{path.name}.part")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return EncodedInfo(path=path, format=chosen, size_bytes=len(data), notices=notices)


def _encode(picture: Picture, photo_format: PhotoFormat, quality: Quality) -> bytes:
    """Returns the file of a picture that fits its family."""
    source_chroma = picture.metadata.chroma or "420"
    match photo_format:
        case "jpeg":
            return jpeg.encode(picture, quality=quality.jpeg, chroma=quality.jpeg_chroma or source_chroma)
        case "png":
            return png.encode(picture, level=quality.png_level)
        case "webp":
            return webp.encode(picture, quality=quality.webp)
        case "heic":
            return heif.encode(picture, quality=quality.heic, chroma=quality.heic_chroma or source_chroma)
        case _:
            assert_never(photo_format)


def _fitted(picture: Picture, photo_format: PhotoFormat) -> tuple[Picture, tuple[str, ...]]:
    """Returns the picture as a family can hold it, and a sentence for each thing that had to change."""
    name = FORMAT_NAMES[photo_format]
    notices: list[str] = []
    if photo_format in ("jpeg", "webp"):
        picture = _with_simple_colours(picture, name, notices)
    bits = _bits_in(photo_format, picture.bit_depth)
    if bits < picture.bit_depth:
        notices.append(f"The {picture.bit_depth} bits of a sample became {bits}, the most that is written to a {name}.")
    if photo_format == "jpeg":
        metadata, left_out = jpeg.fitting(picture.metadata)
        picture = replace(picture, metadata=metadata)
        notices.extend(left_out)
    alpha = None if picture.alpha is None else change_depth(picture.alpha, picture.bit_depth, bits)
    pixels = change_depth(picture.pixels, picture.bit_depth, bits)
    return replace(picture, pixels=pixels, alpha=alpha, bit_depth=bits), tuple(notices)


def _bits_in(photo_format: PhotoFormat, bits: int) -> int:
    """Returns the bit depth at which a family holds samples of ``bits`` bits."""
    match photo_format:
        case "jpeg" | "webp":
            return 8
        case "png":
            return 8 if bits == 8 else 16
        case "heic":
            return _HEIC_BITS if bits == 16 else bits
        case _:
            assert_never(photo_format)


def _with_simple_colours(picture: Picture, name: str, notices: list[str]) -> Picture:
    """Returns the picture with colours that JPEG and WebP can state: an ICC profile for its channels, or sRGB."""
    metadata = picture.metadata
    is_grey = picture.pixels.shape[2] == 1
    has_code_points = metadata.icc is None and not is_srgb(metadata.nclx)
    has_grey_profile = name == "WebP" and is_grey and profile_space(metadata.icc) == "GRAY"
    if has_code_points or has_grey_profile:
        notices.append(f"A {name} cannot state the colour space of this picture, so it was converted to sRGB.")
        alpha = None if picture.alpha is None else change_depth(picture.alpha, picture.bit_depth, 8)
        return replace(
            picture,
            pixels=to_srgb(picture.pixels, picture.bit_depth, metadata),
            alpha=alpha,
            bit_depth=8,
            metadata=replace(metadata, icc=None, nclx=None),
        )
    if name == "WebP" and is_grey:
        return replace(picture, pixels=np.repeat(picture.pixels, 3, axis=2))
    return picture
