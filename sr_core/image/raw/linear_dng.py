"""A picture in camera space as a linear DNG: 16-bit light in lossless JPEG tiles, a preview, colour profile and EXIF.

Memory holds one row of tiles beside the picture.

Source: Adobe, Digital Negative Specification 1.7.1, chapters 2 to 5; measured against LibRaw 0.22, dcraw 9.28,
darktable 4.2, RawTherapee 5.9 and exiftool 12.57: LibRaw refuses Deflate and JPEG XL, and lossless JPEG tiles that are
said to have another depth than their samples.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from sr_core.image.camera import CameraColour
from sr_core.image.picture import Picture
from sr_core.image.preview import to_srgb_preview
from sr_core.image.raw.capture import camera_of
from sr_core.image.raw.gain_table import GAIN_TABLE
from sr_core.image.raw.profile import dng_version, profile_values
from sr_core.image.tiff.exif import attach
from sr_core.image.tiff.ifd import Form, Value, directory_bytes
from sr_core.image.transfer import Transfer, samples_of

__all__ = ["PROFILE_KIND", "write_linear_dng"]

PROFILE_KIND: Final = "dng-profile"
"""The kind of an Extra that holds the colour profile of a DNG."""

_TILE: Final = 256
_TILE_UNIT: Final = 16
_PREVIEW_SIDE: Final = 1024
_PREVIEW_LEVEL: Final = 85
_LINEAR_RAW: Final = 34892
_PEAK: Final = 65535
_D65: Final = 21
_SRGB_PREVIEW: Final = 2
_MATRIX_UNIT: Final = 10_000
_NEUTRAL_UNIT: Final = 1_000_000
_UNNAMED: Final = "Unknown camera"

_BYTE: Final = 1
_ASCII: Final = 2
_SHORT: Final = 3
_LONG: Final = 4
_RATIONAL: Final = 5
_SRATIONAL: Final = 10
_FORM: Final = Form(order="little", is_big=False, first_at=8)

_PHOTOMETRIC: Final = 262
_XMP: Final = 700
_VERSION: Final = 50706
_OLDEST_VERSION: Final = 50707
_UNIQUE_MODEL: Final = 50708
_BLACK: Final = 50714
_WHITE: Final = 50717
_SCALE: Final = 50718
_CROP_ORIGIN: Final = 50719
_CROP_SIZE: Final = 50720
_MATRIX: Final = 50721
_NEUTRAL: Final = 50728
_WHITE_XY: Final = 50729
_ILLUMINANT: Final = 50778
_ACTIVE_AREA: Final = 50829
_PREVIEW_SPACE: Final = 50970
_ORIENTATION: Final = 274
_COLOURS: Final = frozenset({_MATRIX, _ILLUMINANT})


def write_linear_dng(picture: Picture, file: BinaryIO) -> None:
    """Writes a picture in camera space as a DNG.

    Args:
        picture: With ``transfer`` and ``camera``, which decoding a RAW photo gives.
        file: Empty, open for reading and writing.

    Raises:
        ValueError: The picture is not in camera space.
    """
    metadata = picture.metadata
    transfer, camera = metadata.transfer, metadata.camera
    if transfer is None or camera is None:
        raise ValueError("only a picture in camera space can become a DNG")
    preview = _preview(picture)
    height, width, channels = picture.pixels.shape
    tile = (_tile_side(height), _tile_side(width))
    profile = [value for extra in metadata.extras if extra.kind == PROFILE_KIND for value in profile_values(extra.data)]
    with tifffile.TiffWriter(file, byteorder="<", bigtiff=False) as tiff:
        tiff.write(
            preview,
            photometric="rgb" if preview.ndim == 3 else "minisblack",
            compression="jpeg",
            compressionargs={"level": _PREVIEW_LEVEL},
            rowsperstrip=preview.shape[0],
            subfiletype=1,
            subifds=1,
            extratags=[_tag(value) for value in _first_values(picture, camera, profile)],
            metadata=None,
            software=False,
        )
        tiff.write(
            _tiles(picture.pixels, transfer, tile),
            shape=(height, width, channels) if channels > 1 else (height, width),
            dtype=np.uint16,
            photometric=_LINEAR_RAW if channels > 1 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            tile=tile,
            compression="jpeg",
            compressionargs={"lossless": True, "bitspersample": 16},
            subfiletype=0,
            extratags=[_tag(value) for value in _raw_values(height, width, channels, profile)],
            metadata=None,
            software=False,
        )
    if channels == 1:
        _mark_as_light(file)
    attach(file, metadata.exif or _empty_exif())


def _preview(picture: Picture) -> NDArray[np.uint8]:
    """Returns a small sRGB picture; every n-th pixel is looked at, so that a large picture is not copied."""
    step = max(1, max(picture.height, picture.width) // (2 * _PREVIEW_SIDE))
    return to_srgb_preview(replace(picture, pixels=picture.pixels[::step, ::step]), _PREVIEW_SIDE)


def _tile_side(side: int) -> int:
    """Returns the side of a tile; LibRaw 0.22 reads one that is longer than the picture wrong."""
    return max(_TILE_UNIT, min(_TILE, side // _TILE_UNIT * _TILE_UNIT))


def _tiles(
    signal: NDArray[np.uint8 | np.uint16], transfer: Transfer, tile: tuple[int, int]
) -> Iterator[NDArray[np.uint16]]:
    """Gives the tiles of the light of a signal, row by row of tiles; beyond the picture its edge is repeated."""
    stored = replace(transfer, bits=16, is_float=False)
    height, width = tile
    for top in range(0, signal.shape[0], height):
        rows = signal[top : top + height].astype(np.uint16, copy=False)
        light = samples_of(rows, stored).astype(np.uint16, copy=False)
        for left in range(0, signal.shape[1], width):
            part = light[:, left : left + width]
            missing = [(0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)]
            whole = np.pad(part, missing, mode="edge") if any(after for _, after in missing) else part
            yield whole if whole.shape[2] > 1 else whole[:, :, 0]


def _mark_as_light(file: BinaryIO) -> None:
    """Says of the second image of a file that it is the light of a sensor, which tifffile writes of colours only."""
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        pages = tiff.pages.first.pages
        if pages is None:
            raise ValueError("the file has one image")
        pages.first.tags[_PHOTOMETRIC].overwrite(_LINEAR_RAW)


def _first_values(picture: Picture, camera: CameraColour, profile: list[Value]) -> list[Value]:
    """Returns what IFD0 says beside its preview."""
    version = dng_version(profile)
    name = camera_of(picture.metadata.exif) or _UNNAMED
    values = [
        _value(_ORIENTATION, _SHORT, 1),
        _value(_VERSION, _BYTE, 1, version, 0, 0),
        _value(_OLDEST_VERSION, _BYTE, 1, 4, 0, 0),
        _value(_PREVIEW_SPACE, _LONG, _SRGB_PREVIEW),
        *(value for value in profile if value.tag != GAIN_TABLE),
    ]
    held = {value.tag for value in values}
    if _UNIQUE_MODEL not in held:
        text = name.encode("ascii", "replace") + b"\x00"
        values.append(Value(tag=_UNIQUE_MODEL, kind=_ASCII, count=len(text), data=text))
    if picture.pixels.shape[2] == 3 and not held & _COLOURS:
        numbers = [part for row in camera.from_xyz for number in row for part in _fraction(number, _MATRIX_UNIT)]
        values.extend((_value(_MATRIX, _SRATIONAL, *numbers), _value(_ILLUMINANT, _SHORT, _D65)))
    if picture.pixels.shape[2] == 3 and not held & {_NEUTRAL, _WHITE_XY}:
        numbers = [part for number in camera.neutral for part in _fraction(number, _NEUTRAL_UNIT)]
        values.append(_value(_NEUTRAL, _RATIONAL, *numbers))
    if picture.metadata.xmp is not None:
        values.append(Value(tag=_XMP, kind=_BYTE, count=len(picture.metadata.xmp), data=picture.metadata.xmp))
    return values


def _raw_values(height: int, width: int, channels: int, profile: list[Value]) -> list[Value]:
    """Returns what the directory of the light says beside its tiles."""
    return [
        _value(_BLACK, _SHORT, *[0] * channels),
        _value(_WHITE, _SHORT, *[_PEAK] * channels),
        _value(_SCALE, _RATIONAL, 1, 1, 1, 1),
        _value(_CROP_ORIGIN, _LONG, 0, 0),
        _value(_CROP_SIZE, _LONG, width, height),
        _value(_ACTIVE_AREA, _LONG, 0, 0, height, width),
        *(value for value in profile if value.tag == GAIN_TABLE),
    ]


def _value(tag: int, kind: int, *numbers: int) -> Value:
    """Returns numbers as the value of a tag; a fraction is two of them."""
    letter = {_BYTE: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SRATIONAL: "i"}[kind]
    count = len(numbers) // (2 if kind in (_RATIONAL, _SRATIONAL) else 1)
    return Value(tag=tag, kind=kind, count=count, data=struct.pack(f"<{len(numbers)}{letter}", *numbers))


def _fraction(number: float, unit: int) -> tuple[int, int]:
    """Returns a number as a fraction."""
    return round(number * unit), unit


def _tag(value: Value) -> tuple[int, int, int, bytes | tuple[int, ...], bool]:
    """Returns a value as tifffile takes it: bytes that it writes as they are, and fractions, which it counts wrong."""
    match value.kind:
        case 5 | 10:
            data = struct.unpack(f"<{2 * value.count}{'I' if value.kind == _RATIONAL else 'i'}", value.data)
            return value.tag, value.kind, value.count, data, True
        case 129:  # UTF-8, which came with Exif 3.0; as ASCII every reader takes it
            return value.tag, _ASCII, value.count, value.data, True
        case _:
            return value.tag, value.kind, value.count, value.data, True


def _empty_exif() -> bytes:
    """Returns an EXIF block that says nothing: attaching it still makes the directories what readers expect."""
    return b"II*\x00" + _FORM.first_at.to_bytes(4, "little") + directory_bytes([], _FORM.first_at, _FORM)
