"""JPEG files: segments read and written by hand, pixels read by Pillow and written by imagecodecs (libjpeg-turbo).

Source: ITU-T T.81, Annex B (markers); ITU-T T.871 (JFIF); CIPA DC-008, 4.7 (EXIF in APP1); Adobe XMP part 3, 1.1.3;
ICC.1:2022, B.4; CIPA DC-007 (several pictures in one file).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import BinaryIO, Final

import imagecodecs
import numpy as np
from PIL import JpegImagePlugin

from sr_core.errors import UnsupportedFormatError
from sr_core.image.colour import cmyk_to_srgb
from sr_core.image.extras import EXTENDED_XMP, GAIN_MAP, without_claims_of
from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.icc import is_linear
from sr_core.image.jpeg import extended_xmp, mpf, photoshop
from sr_core.image.jpeg.gain_map import ISO_MARK, GainMap, find_gain_map, gain_map_of, turned, with_directory
from sr_core.image.jpeg.rest import has_rest, picture_behind, without_depth_claims
from sr_core.image.jpeg.segments import (
    APP0,
    APP1,
    APP2,
    APP13,
    COMMENT,
    FRAMES,
    MOST_BODY_BYTES,
    START,
    Segment,
    end_of_picture,
    find_segments,
    segment,
    segments_of,
)
from sr_core.image.light import decoded_light
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Chroma, Extra, Metadata, Picture
from sr_core.image.xmp import without_claims

__all__ = ["HOLDS", "parse", "pixels", "write"]

_EXIF: Final = b"Exif\x00\x00"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\x00"
_ICC: Final = b"ICC_PROFILE\x00"
_JFIF: Final = b"JFIF\x00"
_EXIF_ROOM: Final = MOST_BODY_BYTES - len(_EXIF)
_EXIF_BEGINS: Final = (b"II*\x00", b"MM\x00*")
_MOST_EXIF_SEGMENTS: Final = 255

HOLDS: Final = Holds(
    bits=(8,),
    longest_side=65500,
    alpha=False,
    exif_bytes=_MOST_EXIF_SEGMENTS * (_EXIF_ROOM - 1),
    xmp_bytes=MOST_BODY_BYTES - len(_XMP),
)

_APPLICATION: Final = range(0xE0, 0xF0)
_CREDENTIALS: Final = 0xEB
_SAYS_NOTHING: Final = (_JFIF, b"JFXX\x00", b"Adobe", b"Ducky")  # of the pixels as they were coded
_MOST_ICC_SEGMENTS: Final = 255
_JFIF_BYTES: Final = 14
_DPI_UNITS: Final = {1: 1.0, 2: 2.54}
_CHROMA: Final[dict[int, Chroma]] = {0x11: "444", 0x21: "422", 0x22: "420"}
_MOTION: Final = ("GCamera:Motion", "GCamera:MicroVideo")
_SAMSUNG_VIDEO: Final = b"MotionPhoto_Data"
_CREDENTIALS_NOTICE: Final = "The content credentials of this JPEG vouch for the original alone and are not kept."
_OTHERS_NOTICE: Final = "Some metadata of this JPEG beyond EXIF, XMP and IPTC is not kept."
_NO_MAP_NOTICE: Final = "The HDR gain map of this JPEG is not kept: the result is the standard picture."
_SECOND_EXIF_NOTICE: Final = "A second EXIF block in this JPEG is not kept."
_SECOND_XMP_NOTICE: Final = "A second XMP packet in this JPEG is not kept."
_REST_NOTICE: Final = "What follows the picture in this JPEG is not kept."
_IPTC: Final = "iptc"
_COMMENT: Final = "comment"


@dataclass(slots=True, kw_only=True)
class _Found:
    """What the segments before the first scan hold."""

    frame: tuple[int, int, int, tuple[int, ...]] | None = None  # bits, height, width, sampling of each component
    exif: list[bytes] = field(default_factory=list[bytes])
    xmp: bytes | None = None
    extended_xmp: list[bytes] = field(default_factory=list[bytes])
    icc: dict[int, bytes] = field(default_factory=dict[int, bytes])
    dpi: tuple[float, float] | None = None
    resources: list[bytes] = field(default_factory=list[bytes])
    comments: list[bytes] = field(default_factory=list[bytes])
    iso: bytes = b""
    places: tuple[tuple[int, int], ...] = ()
    dropped: dict[str, None] = field(default_factory=dict[str, None])


def parse(data: bytes) -> Stored:
    """Returns what a JPEG says of itself before its first scan.

    Raises:
        UnsupportedFormatError: The samples do not have 8 bits.
        ValueError: The segments are broken.
    """
    found = _Found()
    for each in find_segments(data):
        _read_segment(each, found)
    if found.frame is None:
        raise ValueError("no frame header before the first scan")
    bits, height, width, sampling = found.frame
    if bits != 8:
        raise UnsupportedFormatError(f"This JPEG has {bits} bits a sample; please use one with the usual 8 bits.")
    if not height or not width:
        raise ValueError("the frame is empty")
    icc = b"".join(found.icc[number] for number in sorted(found.icc)) or None
    is_cmyk = len(sampling) == 4
    if is_cmyk:
        way = "by its own profile" if icc else "by the plain formula, as it has no profile"
        found.dropped[f"The CMYK colours of this JPEG were converted to sRGB {way}."] = None
    exif, exif_notices = usable_exif(b"".join(found.exif))
    orientation = orientation_of(exif)
    end = end_of_picture(data) or len(data)
    gain_map, places = _map_and_places(data, end, found, orientation=orientation, most_pixels=height * width)
    extension = extended_xmp.joined_extension(found.extended_xmp, found.xmp)
    is_more = has_rest(data, end, places)
    notices = (*found.dropped, *exif_notices, *_notices(data, found, gain_map, extension, is_more=is_more))
    has_light = not is_cmyk and is_linear(icc)
    return Stored(
        height=height,
        width=width,
        bit_depth=16 if has_light else 8,
        samples="8 bit" if has_light else None,
        channels=1 if len(sampling) == 1 else 3,
        has_alpha=False,
        orientation=orientation,
        metadata=Metadata(
            icc=None if is_cmyk else icc,
            exif=exif,
            xmp=_kept_xmp(found.xmp, gain_map, extension, is_more=is_more),
            chroma=_CHROMA.get(sampling[0], "420") if len(sampling) == 3 else None,
            dpi=found.dpi,
            extras=tuple(_extras(found, gain_map, extension)),
        ),
        notices=notices,
    )


def pixels(data: bytes, stored: Stored) -> Decoded:
    """Returns the stored samples, (H, W, 3) RGB or (H, W, 1) grey.

    Raises:
        OSError: The file is damaged or cut short (and other errors of the engine).
    """
    # The class and not Image.open: that one guesses at "MPO" and holds a pixel limit of its own, ours is in Limits.
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:
        image.load()
        is_cmyk = image.mode == "CMYK"
        samples = cmyk_to_srgb(image, image.info.get("icc_profile")) if is_cmyk else np.asarray(image)
    samples = samples[:, :, np.newaxis] if samples.ndim == 2 else samples
    notices = () if _upright_map(stored.metadata) is not None else (_NO_MAP_NOTICE,)
    decoded = Decoded(samples=samples) if stored.bit_depth == 8 else decoded_light(samples, stored.channels, bits=8)
    return replace(decoded, notices=notices)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:
    """Writes a baseline JPEG, and behind it the gain map if there is one.

    Args:
        picture: 8 bits without alpha; its EXIF and XMP must fit their segments.
        file: File to write.
        quality: How faithfully; grey has no chroma sampling.

    Raises:
        ValueError: The engine cannot encode a picture like this (and its other errors).
    """
    samples = picture.pixels
    chroma: Chroma = quality.jpeg_chroma or picture.metadata.chroma or "420"
    # Not Pillow, which copies the picture to four bytes a pixel first.
    encoded = imagecodecs.jpeg8_encode(
        np.ascontiguousarray(samples[:, :, 0] if samples.shape[2] == 1 else samples),
        level=quality.jpeg,
        subsampling=None if samples.shape[2] == 1 else chroma,
    )
    coded = memoryview(encoded)[len(START) + 4 + _JFIF_BYTES :]  # behind the JFIF segment, which comes first
    map_jpeg = _upright_map(picture.metadata)
    metadata = _without_map(picture.metadata) if map_jpeg is None else picture.metadata
    map_jpeg = map_jpeg or b""
    front = b"".join((START, *_front_segments(metadata, len(map_jpeg))))
    behind = b"".join(_behind_segments(metadata))
    index = b""
    if map_jpeg:
        index_bytes = len(mpf.index_segment(0, (0, 0)))
        primary_bytes = len(front) + index_bytes + len(behind) + len(coded)
        index = mpf.index_segment(len(front), (primary_bytes, len(map_jpeg)))
    file.writelines((front, index, behind, coded, map_jpeg))


def _read_segment(each: Segment, found: _Found) -> None:
    """Adds what one segment holds to what was found."""
    body = each.body
    if each.marker in FRAMES:
        bits, height, width, components = struct.unpack_from(">BHHB", body)
        found.frame = (bits, height, width, tuple(body[7 + 3 * index] for index in range(components)))
    elif each.marker == COMMENT:
        found.comments.append(segment(COMMENT, body))
    elif each.marker == APP1:
        _read_app1(body, found)
    elif each.marker == APP2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
        found.icc[body[len(_ICC)]] = body[len(_ICC) + 2 :]
    elif each.marker == APP2 and body.startswith(mpf.MARK):
        found.places = _places(each)
    elif each.marker == APP2 and body.startswith(ISO_MARK):
        found.iso = body
    elif each.marker == APP13 and body.startswith(photoshop.MARK):
        found.resources.append(body.removeprefix(photoshop.MARK))
    elif each.marker == APP0 and body.startswith(_JFIF):
        found.dpi = _dpi_of(body)
    elif each.marker in _APPLICATION and not body.startswith(_SAYS_NOTHING):
        is_credential = each.marker == _CREDENTIALS and body.startswith(b"JP")
        found.dropped[_CREDENTIALS_NOTICE if is_credential else _OTHERS_NOTICE] = None


def _read_app1(body: bytes, found: _Found) -> None:
    """Adds what a segment for EXIF or XMP holds to what was found."""
    if body.startswith(_EXIF):
        part = body.removeprefix(_EXIF)
        if not found.exif or not part.startswith(_EXIF_BEGINS):  # a long block goes on in the next segment
            found.exif.append(part)
        else:
            found.dropped[_SECOND_EXIF_NOTICE] = None
    elif body.startswith(_XMP):
        packet = body.removeprefix(_XMP)
        found.xmp = found.xmp or packet
        if packet not in (found.xmp, b""):
            found.dropped[_SECOND_XMP_NOTICE] = None
    elif body.startswith(extended_xmp.MARK):
        found.extended_xmp.append(body)
    else:
        found.dropped[_OTHERS_NOTICE] = None


def _places(index: Segment) -> tuple[tuple[int, int], ...]:
    """Returns where the pictures of a file start and end; nothing of an index that is broken."""
    try:
        return mpf.indexed_pictures(index.body, index.at)
    except ValueError:
        return ()


def _dpi_of(jfif: bytes) -> tuple[float, float] | None:
    """Returns pixels per inch across and down as JFIF states them."""
    if len(jfif) < _JFIF_BYTES:
        return None
    unit, across, down = struct.unpack_from(">BHH", jfif, 7)
    if unit not in _DPI_UNITS or not across or not down:
        return None
    return across * _DPI_UNITS[unit], down * _DPI_UNITS[unit]


def _map_and_places(
    data: bytes, end: int, found: _Found, *, orientation: int, most_pixels: int
) -> tuple[GainMap | None, tuple[tuple[int, int], ...]]:
    """Returns the gain map, and where the pictures lie that are carried or that a notice tells of."""
    others = found.places[1:]
    gain_map = find_gain_map(data, found.places, iso=found.iso, orientation=orientation, most_pixels=most_pixels)
    behind = picture_behind(data, end) if gain_map is None else None
    if behind is None:
        return gain_map, others
    # An edit may have moved the pictures and not corrected their index.
    gain_map = find_gain_map(data, ((0, end), behind), iso=found.iso, orientation=orientation, most_pixels=most_pixels)
    if gain_map is not None:
        return gain_map, (behind,)
    return None, (*others, behind) if others or _claims_map(data, found) else ()


def _claims_map(data: bytes, found: _Found) -> bool:
    """Returns whether a file says that it has a gain map."""
    return b"hdrgm:" in (found.xmp or b"") or bool(found.iso) or b"HDRGainMap" in data


def _kept_xmp(xmp: bytes | None, gain_map: GainMap | None, extension: bytes | None, *, is_more: bool) -> bytes | None:
    """Returns the XMP without claims to what is not carried."""
    if xmp is None:
        return None
    xmp = without_claims(xmp, _MOTION)
    if gain_map is None:
        xmp = without_claims_of(xmp, GAIN_MAP)
    if is_more:
        xmp = without_depth_claims(xmp, extension or b"")
    return without_claims_of(xmp, EXTENDED_XMP) if extension is None else xmp


def _extras(found: _Found, gain_map: GainMap | None, extension: bytes | None) -> Iterator[Extra]:
    """Yields the parts that only a JPEG can hold."""
    if gain_map is not None:
        yield gain_map.extra()
    if extension is not None:
        yield Extra(kind=EXTENDED_XMP, name="The extended part of the XMP data of this JPEG", data=extension)
    resources = photoshop.without_thumbnails(b"".join(found.resources))
    if resources:
        yield Extra(kind=_IPTC, name="The IPTC and Photoshop notes of this JPEG", data=resources)
    if found.comments:
        yield Extra(kind=_COMMENT, name="The comment in this JPEG", data=b"".join(found.comments))


def _notices(
    data: bytes, found: _Found, gain_map: GainMap | None, extension: bytes | None, *, is_more: bool
) -> Iterator[str]:
    """Yields a sentence for each kind of part that is not carried."""
    xmp = found.xmp or b""
    pictures = len(found.places)
    if gain_map is None and _claims_map(data, found):
        yield _NO_MAP_NOTICE
    elif gain_map is None and pictures > 1:
        yield f"This JPEG holds {pictures} pictures; only the main one is kept."
    elif pictures > 2:
        yield f"This JPEG holds {pictures} pictures; only the main one and its HDR gain map are kept."
    if b"GCamera:MotionPhoto" in xmp or b"GCamera:MicroVideo" in xmp or _SAMSUNG_VIDEO in data:
        yield "The video of this motion photo is not kept."
    elif is_more:
        yield _REST_NOTICE
    if found.extended_xmp and extension is None:
        yield "The extended part of the XMP data of this JPEG is damaged and is not kept."


def _upright_map(metadata: Metadata) -> bytes | None:
    """Returns the gain map as a JPEG that fits the upright photo, empty without one; None when it is damaged."""
    gain_map = gain_map_of(metadata.extras)
    try:
        return b"" if gain_map is None else turned(gain_map)
    except Exception:  # noqa: BLE001 - engines raise unrelated classes, and the photo itself is sound
        return None


def _without_map(metadata: Metadata) -> Metadata:
    """Returns the metadata without the gain map, and without what the XMP says of it."""
    xmp = None if metadata.xmp is None else without_claims_of(metadata.xmp, GAIN_MAP)
    return replace(metadata, xmp=xmp, extras=tuple(extra for extra in metadata.extras if extra.kind != GAIN_MAP))


def _front_segments(metadata: Metadata, map_bytes: int) -> Iterator[bytes]:
    """Yields the segments that stand before the index of pictures, which follows EXIF and XMP."""
    unit, across, down = 0, 1, 1
    if metadata.dpi is not None:
        unit, (across, down) = 1, (min(max(round(each), 1), 0xFFFF) for each in metadata.dpi)
    yield segment(APP0, _JFIF + struct.pack(">BBBHHBB", 1, 1, unit, across, down, 0, 0))
    if metadata.exif is not None:
        yield from _exif_segments(metadata.exif)
    if metadata.xmp is not None:
        xmp = with_directory(metadata.xmp, map_bytes) if map_bytes else metadata.xmp
        # A directory that grew may not fit; without it a reader still finds the map by the index.
        yield segment(APP1, _XMP + (xmp if len(xmp) <= MOST_BODY_BYTES - len(_XMP) else metadata.xmp))
    for extra in metadata.extras:
        if extra.kind == EXTENDED_XMP:
            yield from extended_xmp.extension_segments(extra.data)


def _exif_segments(exif: bytes) -> Iterator[bytes]:
    """Yields as many segments as an EXIF block takes."""
    start = 0
    while start < len(exif):
        end = start + _EXIF_ROOM
        if exif.startswith(_EXIF_BEGINS, end):  # to a reader another block would begin there
            end -= 1
        yield segment(APP1, _EXIF + exif[start:end])
        start = end


def _behind_segments(metadata: Metadata) -> Iterator[bytes]:
    """Yields the segments that stand behind the index of pictures."""
    gain_map = gain_map_of(metadata.extras)
    if gain_map is not None and gain_map.iso:
        yield segment(APP2, gain_map.iso)
    if metadata.icc is not None:
        room = MOST_BODY_BYTES - len(_ICC) - 2
        count = -(-len(metadata.icc) // room)
        if count > _MOST_ICC_SEGMENTS:
            raise ValueError("the profile is too long for a JPEG")
        for number in range(count):
            part = metadata.icc[number * room : (number + 1) * room]
            yield segment(APP2, _ICC + bytes((number + 1, count)) + part)
    for extra in metadata.extras:
        if extra.kind == _IPTC:
            yield from segments_of(APP13, photoshop.MARK, extra.data)
        elif extra.kind == _COMMENT:
            yield extra.data
