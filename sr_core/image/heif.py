"""HEIC files, through pillow-heif (libheif, libde265, x265).

Source: ISO/IEC 23008-12 (HEIF), 6.5 (item properties).
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, Final, cast

import numpy as np
import pillow_heif

from sr_core.errors import UnsupportedFormatError
from sr_core.image.header import Stored
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Chroma, Metadata, Picture, Samples

__all__ = ["LARGEST_SINGLE_PIXELS", "encode", "parse", "pixels", "tile_side"]

LARGEST_SINGLE_PIXELS: Final = 35_000_000
"""A larger picture is beyond HEVC level 6.2 and is written as a grid of tiles."""

_MOST_TILES: Final = 900
_TILE_SIDES: Final = (512, 1024, 2048)
_FAST_PIXELS: Final = 30_000_000
_HDR_KEYS: Final = ("content_light_level", "mastering_display_colour_volume", "ambient_viewing_environment")
_NCLX_KEYS: Final = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
_BT2020: Final = 9
_BT601: Final = 6
_BAND_ROWS: Final = 256


def parse(data: bytes) -> Stored:
    """Returns what a HEIC says of its primary picture, turned as libheif will turn it; no pixel is decoded.

    Raises:
        UnsupportedFormatError: The samples have another depth than 8, 10 or 12 bits.
        ValueError: The boxes are broken (and other errors of the engine).
    """
    file, image = _open(data)
    info = cast("dict[str, Any]", image.info)
    mode = str(image.mode)
    width, height = image.size
    bits = int(info["bit_depth"])
    if bits not in (8, 10, 12):
        raise UnsupportedFormatError(f"This HEIC has {bits} bits a sample; please use one with 8, 10 or 12 bits.")
    exif, exif_notices = usable_exif(info.get("exif"))
    # No public reader of irot and imir as of pillow-heif 1.8.1.
    turned = any(kind != "clap" for kind, *_ in image._c_image.transformations)  # pyright: ignore[reportPrivateUsage]
    chroma = cast("Chroma | None", str(info["chroma"]) if "chroma" in info else None)
    return Stored(
        height=height,
        width=width,
        bit_depth=bits,
        channels=3 if mode.startswith("RGB") and chroma is not None else 1,  # grey with alpha comes as RGBA
        has_alpha=bool(image.has_alpha),
        # HEIF says to ignore EXIF, but phones exist that turn the picture by EXIF alone and write no irot or imir.
        orientation=1 if turned else orientation_of(exif),
        metadata=Metadata(
            icc=info.get("icc_profile"),
            exif=exif,
            xmp=info.get("xmp"),
            nclx=_nclx_of(info),
            chroma=chroma,
        ),
        notices=(*_notices(len(file), info), *exif_notices),
    )


def pixels(data: bytes, *, channels: int) -> Samples:
    """Returns the samples as libheif turns them, (H, W, C): grey or RGB, then alpha if any, not premultiplied.

    Raises:
        ValueError: The file is damaged or cut short, where the engine can tell (and its other errors).
    """
    _, image = _open(data)
    samples: Samples = np.asarray(image)
    if samples.ndim == 2:
        samples = samples[:, :, np.newaxis]
    if image.premultiplied_alpha:
        samples = _divided_by_alpha(samples, peak=(1 << int(cast("int", image.info["bit_depth"]))) - 1)
    if channels == 1 and samples.shape[2] == 4:
        samples = samples[:, :, [0, 3]]
    return samples


def encode(picture: Picture, *, quality: int, chroma: Chroma) -> bytes:
    """Returns a HEIC of 8, 10 or 12 bits, as a grid of tiles when it is too large for a single HEVC picture.

    Args:
        picture: 8, 10 or 12 bits; with alpha at most ``LARGEST_SINGLE_PIXELS``.
        quality: 1 to 100, in libheif's terms.
        chroma: Chroma sampling.

    Raises:
        ValueError: The engine cannot encode a picture like this (and its other errors).
    """
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.concatenate((samples, picture.alpha[:, :, np.newaxis]), axis=2)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]
    if picture.bit_depth > 8:
        mode = f"{mode};{picture.bit_depth}"
    flat = np.ascontiguousarray(samples).data.cast("B")  # a view: no second copy of the picture
    file = pillow_heif.from_bytes(mode, (picture.width, picture.height), flat)
    metadata = picture.metadata
    info: dict[str, object] = {"bit_depth": picture.bit_depth}
    if metadata.exif is not None:
        info["exif"] = b"Exif\x00\x00" + metadata.exif
    if metadata.xmp is not None:
        info["xmp"] = metadata.xmp
    if metadata.icc is not None:
        info["icc_profile"] = metadata.icc
    elif metadata.nclx is not None:
        info["nclx_profile"] = dict(zip(_NCLX_KEYS, _writable_nclx(metadata.nclx), strict=True))
    file[0].info.update(info)
    area = picture.height * picture.width
    preset = "ultrafast" if area > _FAST_PIXELS else "medium"
    stream = BytesIO()
    file.save(
        stream,
        quality=quality,
        chroma=int(chroma),
        enc_params={"preset": preset},
        tile_size=tile_side(picture.height, picture.width),
    )
    return stream.getvalue()


def tile_side(height: int, width: int) -> int:
    """Returns the side of the grid tiles of a picture, or 0 for a picture that needs no grid."""
    if height * width <= LARGEST_SINGLE_PIXELS:
        return 0
    for side in _TILE_SIDES:
        if -(-height // side) * -(-width // side) < _MOST_TILES:
            return side
    return _TILE_SIDES[-1]


def _open(data: bytes) -> tuple[pillow_heif.HeifFile, pillow_heif.HeifImage]:
    """Returns the file and its primary picture; pixels are decoded only when they are asked for."""
    file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    return file, file[file.primary_index]


def _nclx_of(info: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    profile = info.get("nclx_profile")
    if profile is None:
        return None
    primaries, transfer, matrix, full_range = (int(profile[key]) for key in _NCLX_KEYS)
    return primaries, transfer, matrix, full_range


def _writable_nclx(nclx: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Returns the code points with a matrix that YCbCr can have: RGB (0, as in PNG) and unspecified (2) cannot."""
    primaries, transfer, matrix, full_range = nclx
    if matrix in (0, 2):
        matrix = _BT2020 if primaries == _BT2020 else _BT601
    return primaries, transfer, matrix, full_range


def _notices(images: int, info: Mapping[str, Any]) -> Iterator[str]:
    """Yields a sentence for each part of the file that is not carried."""
    if images > 1:
        yield f"This HEIC holds {images} pictures; only the main one is kept."
    kinds = [str(kind) for kind in info.get("aux", {})]
    if any("gainmap" in kind.lower() for kind in kinds):
        yield "The HDR gain map of this HEIC is not kept: the result is the standard picture."
    if any("gainmap" not in kind.lower() for kind in kinds):
        yield "The auxiliary maps of this HEIC (portrait matte, hair, skin, sky or others) are not kept."
    if info.get("depth_images"):
        yield "The depth map of this HEIC is not kept."
    if any(info.get(key) for key in _HDR_KEYS):
        yield "The HDR mastering data of this HEIC is not kept."
    across, down = info.get("pixel_aspect_ratio") or (1, 1)
    if across != down:
        yield "The pixels of this HEIC are not square, which the result does not state."
    if info.get("metadata") or info.get("heif"):
        yield "Some metadata of this HEIC beyond EXIF and XMP is not kept."


def _divided_by_alpha(samples: Samples, peak: int) -> Samples:
    """Returns the samples with their colours divided by alpha (last channel), in bands of rows."""
    divided = samples.copy()
    for top in range(0, samples.shape[0], _BAND_ROWS):
        band = divided[top : top + _BAND_ROWS].astype(np.uint32)
        alpha = np.maximum(band[:, :, -1:], 1)
        band[:, :, :-1] = np.minimum((band[:, :, :-1] * peak + alpha // 2) // alpha, peak)
        divided[top : top + _BAND_ROWS] = band.astype(samples.dtype)
    return divided
