"""HEIC files: pixels through pillow-heif (libheif, libde265, x265), what lies beside them through the items.

Source: ISO/IEC 23008-12 (HEIF), 6.5 (item properties).
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, BinaryIO, Final, cast

import numpy as np
import pillow_heif

from sr_core.errors import UnsupportedFormatError
from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.heif.assembly import encoded, encoded_in_tiles, is_lossless, with_metadata
from sr_core.image.heif.auxiliary import attached, carried, stored_turn
from sr_core.image.heif.hevc import colours_of
from sr_core.image.heif.item_writer import write as write_items
from sr_core.image.heif.items import ItemSet, read
from sr_core.image.heif.turns import TURNS, turn_of
from sr_core.image.light import decoded_light, is_light
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Chroma, Extra, Metadata, Picture, Samples

__all__ = ["HOLDS", "LARGEST_SINGLE_PIXELS", "parse", "pixels", "tile_side", "write"]

LARGEST_SINGLE_PIXELS: Final = 35_000_000
"""A larger picture is beyond HEVC level 6.2 and is written as a grid of tiles."""

# Deeper pictures get 10 bits, which phones are sure to show.
HOLDS: Final = Holds(
    bits=(8, 10, 12),
    deepest=10,
    longest_side=32768,
    most_pixels_with_alpha=LARGEST_SINGLE_PIXELS,
    code_points=True,
)

_MOST_TILES: Final = 900
_TILE_SIDES: Final = (512, 1024, 2048)
_FAST_PIXELS: Final = 30_000_000
_NCLX_KEYS: Final = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
_LOSSLESS: Final = -1
_RGB: Final = 0
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
    chroma = cast("Chroma | None", str(info["chroma"]) if "chroma" in info else None)
    items = _items(data)
    turn, extras, extra_notices = _beside(items, exif)
    icc, nclx = info.get("icc_profile"), _nclx_of(info)
    if nclx is None and items is not None:
        points = colours_of(items)
        # Beside a profile they count for one thing, which is written again: that nothing was converted.
        nclx = points if icc is None or (points is not None and points[2] == _RGB) else None
    metadata = Metadata(
        icc=icc,
        exif=exif,
        xmp=info.get("xmp"),
        nclx=nclx,
        chroma=chroma,
        extras=extras,
    )
    return Stored(
        height=height,
        width=width,
        bit_depth=16 if is_light(metadata) else bits,
        channels=3 if mode.startswith("RGB") and chroma is not None else 1,  # grey with alpha comes as RGBA
        has_alpha=bool(image.has_alpha),
        orientation=turn,
        metadata=metadata,
        samples=f"{bits} bit",
        notices=(*_notices(len(file), info), *extra_notices, *exif_notices),
    )


def pixels(data: bytes, stored: Stored) -> Decoded:
    """Returns the samples as libheif turns them, (H, W, C): grey or RGB, then alpha if any, not premultiplied.

    Raises:
        ValueError: The file is damaged or cut short, where the engine can tell (and its other errors).
    """
    _, image = _open(data)
    bits = int(cast("int", image.info["bit_depth"]))
    samples: Samples = np.asarray(image)
    if samples.ndim == 2:
        samples = samples[:, :, np.newaxis]
    if image.premultiplied_alpha:
        samples = _divided_by_alpha(samples, peak=(1 << bits) - 1)
    if stored.channels == 1 and samples.shape[2] == 4:
        samples = samples[:, :, [0, 3]]
    if is_light(stored.metadata):
        return decoded_light(samples, stored.channels, bits=bits)
    return Decoded(samples=samples)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:
    """Writes a HEIC of 8, 10 or 12 bits, as a grid of tiles when it is too large for a single HEVC picture.

    Args:
        picture: 8, 10 or 12 bits; with alpha at most ``LARGEST_SINGLE_PIXELS``.
        file: File to write.
        quality: How faithfully; the result of a lossless HEIC is lossless at any quality.

    Raises:
        ValueError: The engine cannot encode a picture like this (and its other errors).
    """
    metadata = picture.metadata
    area = picture.height * picture.width
    preset = "ultrafast" if area > _FAST_PIXELS else "medium"
    is_exact = is_lossless(picture, "heic")
    chroma: Chroma = "444" if is_exact else quality.heic_chroma or metadata.chroma or "420"
    level = _LOSSLESS if is_exact else quality.heic
    info: dict[str, object] = {"bit_depth": picture.bit_depth}
    if metadata.icc is not None:
        info["icc_profile"] = metadata.icc
    if metadata.nclx is not None and (metadata.icc is None or is_exact):
        points = (*metadata.nclx[:2], _RGB, 1) if is_exact else _writable_nclx(metadata.nclx)
        info["nclx_profile"] = dict(zip(_NCLX_KEYS, points, strict=True))

    def encode(samples: Samples) -> bytes:
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]
        if picture.bit_depth > 8:
            mode = f"{mode};{picture.bit_depth}"
        flat = samples.data.cast("B")  # a view: no second copy of the picture
        heif = pillow_heif.from_bytes(mode, (samples.shape[1], samples.shape[0]), flat)
        heif[0].info.update(info)
        stream = BytesIO()
        heif.save(stream, quality=level, chroma=int(chroma), enc_params={"preset": preset}, tile_size=0)
        return stream.getvalue()

    turn, side = stored_turn(metadata.extras), tile_side(picture.height, picture.width)
    items = encoded_in_tiles(picture, turn, side, encode, encode) if side else encoded(picture, turn, encode)
    write_items(attached(with_metadata(items, metadata.exif, metadata.xmp), metadata.extras), file)


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


def _items(data: bytes) -> ItemSet | None:
    """Returns the items, or None where they are not understood: the engine reads more files."""
    try:
        return read(data)
    except ValueError:
        return None


def _beside(items: ItemSet | None, exif: bytes | None) -> tuple[int, tuple[Extra, ...], tuple[str, ...]]:
    """Returns the EXIF orientation that the decoded samples still need, and what belongs to the picture beside them.

    A file whose items are not understood loses what lies beside its picture.
    """
    lost = "What this HEIC holds beside its main picture could not be read and is not kept."
    if items is None:
        return 1, (), (lost,)
    try:
        turns = [prop for prop in items.main.properties if prop.kind in TURNS]
        # HEIF says to ignore EXIF, but phones exist that turn the picture by EXIF alone and write no irot or imir.
        turn = 1 if turns else orientation_of(exif)
        extras, notices = carried(items, turn_of(turns) if turns else turn, "HEIC")
    except ValueError:
        return 1, (), (lost,)
    return turn, extras, notices


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
