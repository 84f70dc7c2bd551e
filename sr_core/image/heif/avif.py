"""AVIF files: items read and written by hand, pixels by imagecodecs (libavif, libaom).

The decoder is only given the photo itself, as a file of its own: it takes memory for all frames of an animation, and
turns, crops and colour profiles are applied here.

Source: AV1 Image File Format (AVIF) 1.1; ISO/IEC 23000-22 (MIAF), 7.3; ISO/IEC 23008-12 (HEIF), 6.
"""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import BinaryIO, Final

import imagecodecs
import numpy as np

from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.heif.assembly import encoded, encoded_in_tiles, exif_of, is_lossless, with_metadata, xmp_of
from sr_core.image.heif.auxiliary import attached, carried, stored_turn
from sr_core.image.heif.av1 import Sequence
from sr_core.image.heif.avif_photo import photo_of
from sr_core.image.heif.film import first_frame
from sr_core.image.heif.item_writer import write as write_items
from sr_core.image.heif.items import Item, ItemSet, Property, read
from sr_core.image.heif.turns import TURNS, turn_of
from sr_core.image.light import decoded_light, is_light
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Chroma, Metadata, Picture, Samples

__all__ = ["HOLDS", "LARGEST_SINGLE_PIXELS", "parse", "pixels", "write"]

LARGEST_SINGLE_PIXELS: Final = 8_912_896
"""A larger picture is beyond AV1 level 5.1, the most that the baseline profile of AVIF has, and is written in tiles."""

# Decoders (libavif, and with it browsers) refuse more than 32768 pixels a side and 16384 x 16384 in all.
HOLDS: Final = Holds(bits=(8, 10, 12), deepest=12, longest_side=32768, most_pixels=16384 * 16384, code_points=True)

_TILE_SIDE: Final = 2048
_FAST_PIXELS: Final = 30_000_000
_SPEED: Final = 6
_FAST_SPEED: Final = 8

_PICTURES: Final = (b"av01", b"grid", b"iden", b"iovl", b"hvc1", b"jpeg")

_LOSSLESS: Final = 100
_UNSTATED: Final = 2
_RGB: Final = 0
_SRGB: Final = (1, 13, 6, 1)
_BT709: Final = 1
_BT2020: Final = 9
_BT601: Final = 6
_MATRICES: Final = (1, 4, 5, 6, 7, 9)
# Samples of 8 bits that are converted by BT.601 get half a step of colour cast: 0.5 less red and blue, 0.6 more green
# (libavif 1.4.0, measured on a photo of 4 megapixels). By BT.709 it is 0.1, and the same quality has 0.8 dB more.
_EXACT_MATRICES: Final = (1, 4, 7, 9)


def parse(data: bytes) -> Stored:
    """Returns what an AVIF says of its primary picture, without decoding it.

    Raises:
        UnsupportedFormatError: The primary picture is none that can be decoded.
        ValueError: The items are broken or cut short.
    """
    items = _items(data)
    photo = photo_of(items)
    main = items.main
    exif, exif_notices = usable_exif(exif_of(items))
    # MIAF, 7.3.6.7: a crop, then a rotation, then a mirroring, in whatever order the file lists them.
    turns = sorted((prop for prop in main.properties if prop.kind in TURNS), key=lambda prop: TURNS.index(prop.kind))
    # The standard says to ignore EXIF, but there are files that are turned by EXIF alone.
    turn = turn_of(turns) if turns else orientation_of(exif)
    extras, extra_notices = carried(items, turn, "AVIF")
    bits, chroma = photo.sequence.bit_depth, photo.sequence.chroma
    icc, nclx = _colours(main, photo.sequence)
    metadata = Metadata(icc=icc, exif=exif, xmp=xmp_of(items), nclx=nclx, chroma=chroma, extras=extras)
    return Stored(
        height=photo.crop[2],
        width=photo.crop[3],
        bit_depth=16 if is_light(metadata) else bits,
        channels=1 if chroma is None else 3,
        has_alpha=photo.has_alpha,
        orientation=turn,
        metadata=metadata,
        samples=f"{bits} bit",
        notices=(*_notices(items), *extra_notices, *exif_notices),
    )


def pixels(data: bytes, stored: Stored) -> Decoded:
    """Returns the samples of the primary picture, cropped but not turned, (H, W, C), never premultiplied.

    Raises:
        imagecodecs.AvifError: The picture is damaged or cut short.
        ValueError: It is not what the items say.
    """
    photo = photo_of(_items(data))
    file = BytesIO()
    write_items(photo.items, file)
    samples: Samples = imagecodecs.avif_decode(file.getvalue())
    if samples.ndim == 2:
        samples = samples[:, :, np.newaxis]
    if samples.shape[:2] != (photo.height, photo.width) or (samples.dtype == np.uint8) != (
        photo.sequence.bit_depth == 8
    ):
        raise ValueError("the decoded picture is not what the file says")
    top, left, height, width = photo.crop
    shown = samples[top : top + height, left : left + width]
    if is_light(stored.metadata):
        return decoded_light(shown, stored.channels, bits=photo.sequence.bit_depth)
    return Decoded(samples=shown)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:
    """Writes an AVIF of 8, 10 or 12 bits, as a grid of tiles when it is too large for a single AV1 picture.

    Args:
        picture: 8, 10 or 12 bits.
        file: File to write.
        quality: How faithfully; 100 is lossless, as is the result of a lossless AVIF at any quality.

    Raises:
        imagecodecs.AvifError: The engine cannot encode a picture like this.
    """
    metadata = picture.metadata
    turn = stored_turn(metadata.extras)
    area = picture.height * picture.width
    speed = _FAST_SPEED if area > _FAST_PIXELS else _SPEED
    is_tiled = area > LARGEST_SINGLE_PIXELS
    is_odd = bool(picture.height % 2 or picture.width % 2)
    level = _LOSSLESS if is_lossless(picture, "avif") else quality.avif
    is_exact = level == _LOSSLESS
    is_grey = picture.pixels.shape[2] == 1
    # MIAF, 7.3.11.4.2: tiles with less chroma make an even number of rows and columns.
    is_full = is_exact or (is_tiled and is_odd)
    chroma: Chroma = "444" if is_full else quality.avif_chroma or metadata.chroma or "420"
    primaries, transfer, matrix = _written_points(picture, is_rgb=is_exact and not is_grey)

    def encode(samples: Samples) -> bytes:
        # The engine writes grey samples without any loss, however large that makes the file; grey RGB it does not.
        channels = [0, 0, 0, 1][: samples.shape[2] + 2] if is_grey and not is_exact else slice(None)
        return bytes(
            imagecodecs.avif_encode(
                samples[:, :, channels],
                level=level,
                speed=speed,
                bitspersample=picture.bit_depth,
                pixelformat="400" if is_grey else chroma,
                primaries=primaries,
                transfer=transfer,
                matrix=matrix,
            )
        )

    def encode_alpha(samples: Samples) -> bytes:
        return bytes(imagecodecs.avif_encode(samples, speed=speed, bitspersample=picture.bit_depth))

    if is_tiled:
        items = encoded_in_tiles(picture, turn, _TILE_SIDE, encode, encode_alpha)
    else:
        items = encoded(picture, turn, encode)
    if metadata.icc is not None:
        profile = Property(kind=b"colr", body=b"prof" + metadata.icc)
        main = replace(items.main, properties=(*items.main.properties, profile))
        items = replace(items, items={**items.items, main.id: main})
    write_items(attached(with_metadata(items, metadata.exif, metadata.xmp), metadata.extras), file)


def _items(data: bytes) -> ItemSet:
    """Returns the items of a file; of an animation without a picture, its first frame."""
    try:
        return read(data)
    except ValueError:
        return first_frame(data)


def _colours(main: Item, sequence: Sequence) -> tuple[bytes | None, tuple[int, int, int, int] | None]:
    """Returns ICC profile and code points; those of the item rule over those of the bitstream."""
    profiles = [prop.body for prop in main.properties if prop.kind == b"colr"]
    icc = next((body[4:] for body in profiles if body[:4] in (b"prof", b"rICC") and len(body) > 4), None)
    for body in profiles:
        if body[:4] == b"nclx" and len(body) >= 11:
            primaries, transfer, matrix = (int.from_bytes(body[at : at + 2], "big") for at in (4, 6, 8))
            return icc, (primaries, transfer, matrix, body[10] >> 7)
    return icc, None if sequence.nclx[:2] == (_UNSTATED, _UNSTATED) else sequence.nclx


def _written_points(picture: Picture, *, is_rgb: bool) -> tuple[int, int, int]:
    """Returns the code points to write: with a profile it alone states the colours; without either it is sRGB."""
    metadata = picture.metadata
    primaries, transfer, matrix, _ = metadata.nclx or _SRGB
    if is_rgb:
        matrix = _RGB
    elif picture.bit_depth == 8 and matrix not in _EXACT_MATRICES:
        matrix = _BT709
    elif matrix not in _MATRICES:
        matrix = _BT2020 if primaries == _BT2020 else _BT601
    return (_UNSTATED, _UNSTATED, matrix) if metadata.icc is not None else (primaries, transfer, matrix)


def _notices(items: ItemSet) -> Iterator[str]:
    """Yields a sentence for each part of the file that is not carried."""
    if b"avis" in items.brands:
        yield "This AVIF is animated; only one picture of it is kept."
    parts = {number for item in items.items.values() for number in item.to(b"dimg")}
    further = [
        item
        for item in items.items.values()
        if item.kind in _PICTURES and item.id not in parts and not item.hidden
        if item.id != items.primary and not item.to(b"auxl") and not item.to(b"thmb")
    ]
    if further:
        yield f"This AVIF holds {len(further) + 1} pictures; only the main one is kept."
    aspect = items.main.body(b"pasp")
    if aspect is not None and aspect[:4] != aspect[4:8]:
        yield "The pixels of this AVIF are not square, which the result does not state."
    known = (exif_of(items), xmp_of(items))
    described = items.referring(b"cdsc", items.primary)
    if len(described) > sum(part is not None for part in known):
        yield "Some metadata of this AVIF beyond EXIF and XMP is not kept."
