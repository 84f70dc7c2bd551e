"""The HDR gain map of a JPEG: a second, small picture that says how much brighter each place is on an HDR display.

It is found through the index of pictures, carried as it is, and written behind a new primary picture. Three ways to
mark one are in use, and one file may use several: Apple's, Ultra HDR's (``hdrgm`` XMP in both pictures and a directory
of items in that of the first) and that of ISO (a segment in both pictures).

Source: Android Ultra HDR image format 1.1; ISO 21496-1:2025, Annex C; CIPA DC-007.
"""

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import imagecodecs
import numpy as np
from PIL import JpegImagePlugin

from sr_core.image.extras import GAIN_MAP
from sr_core.image.jpeg.segments import APP1, APP2, FRAMES, START, find_segments, segment
from sr_core.image.metadata import reset_orientation
from sr_core.image.orientation import upright
from sr_core.image.picture import Extra, Metadata
from sr_core.image.xmp import without_elements

__all__ = ["ISO_MARK", "GainMap", "find_gain_map", "gain_map_of", "turned", "with_directory"]

ISO_MARK: Final = b"urn:iso:std:iso:ts:21496:-1\x00"
"""What the body of the segment starts with that ISO 21496-1 puts into both pictures."""

_NAME: Final = "The HDR gain map of this JPEG"
_EXIF: Final = b"Exif\x00\x00"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\x00"
_APPLE: Final = b"urn:com:apple:photo:2020:aux:hdrgainmap"
_ULTRA_HDR: Final = b"hdrgm:"
_APP_MARKERS: Final = frozenset(range(0xE1, 0xF0))
_MOST_PLACES: Final = 8
_QUALITY: Final = 98
_HEAD: Final = struct.Struct(">BH")
_DIRECTORY: Final = (
    b'<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    b' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"><rdf:Seq>'
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg"'
    b' Item:Length="%d"/></rdf:li></rdf:Seq></Container:Directory>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GainMap:
    """A gain map as its file holds it.

    Attributes:
        jpeg: The picture, a JPEG of its own.
        iso: Body of the ISO segment of the primary picture; empty without one.
        orientation: EXIF orientation that has been applied to the primary picture, and not yet to this one.
    """

    jpeg: bytes
    iso: bytes
    orientation: int

    def extra(self) -> Extra:
        """Returns the map as a part of metadata."""
        return Extra(kind=GAIN_MAP, name=_NAME, data=_HEAD.pack(self.orientation, len(self.iso)) + self.iso + self.jpeg)


def gain_map_of(extras: tuple[Extra, ...]) -> GainMap | None:
    """Returns the gain map among parts of metadata, or None without one."""
    for extra in extras:
        if extra.kind == GAIN_MAP:
            orientation, size = _HEAD.unpack_from(extra.data)
            iso, jpeg = extra.data[_HEAD.size :][:size], extra.data[_HEAD.size + size :]
            return GainMap(jpeg=jpeg, iso=iso, orientation=orientation)
    return None


def find_gain_map(
    data: bytes, places: tuple[tuple[int, int], ...], *, iso: bytes, orientation: int, most_pixels: int
) -> GainMap | None:
    """Returns the gain map of a file, or None when there is none that can be carried.

    Args:
        data: The file.
        places: Where the index of pictures says that each starts and ends, the primary one first.
        iso: Body of the ISO segment of the primary picture; empty without one.
        orientation: EXIF orientation of the primary picture.
        most_pixels: Pixels of the primary picture; a larger map is none.
    """
    for start, end in places[1:_MOST_PLACES]:
        if start < len(START) or end > len(data) or data[start : start + 2] != START:
            continue
        try:
            pixels, is_map = _describe(data, start, end)
        except (ValueError, struct.error):
            continue
        if is_map and 0 < pixels <= most_pixels:
            return GainMap(jpeg=data[start:end], iso=iso, orientation=orientation)
    return None


def turned(gain_map: GainMap) -> bytes:
    """Returns the map as a JPEG that fits the upright primary picture; its metadata are kept.

    Raises:
        OSError: It is damaged or cut short (and other errors of the engine).
    """
    if gain_map.orientation == 1:
        return gain_map.jpeg
    with JpegImagePlugin.JpegImageFile(BytesIO(gain_map.jpeg)) as image:
        samples = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    encoded = imagecodecs.jpeg8_encode(upright(samples, gain_map.orientation), level=_QUALITY, subsampling="444")
    kept = [
        segment(found.marker, _upright_exif(found.body) if found.marker == APP1 else found.body)
        for found in find_segments(gain_map.jpeg)
        if found.marker in _APP_MARKERS and not (found.marker == 0xEE and found.body.startswith(b"Adobe"))
    ]
    return b"".join((START, *kept, encoded[len(START) :]))


def with_directory(xmp: bytes, map_bytes: int) -> bytes:
    """Returns the XMP with a directory of the two pictures in place of the one that it has, if any.

    Args:
        xmp: XMP packet of the primary picture.
        map_bytes: Size of the map.
    """
    at = xmp.find(b"<Container:Directory")
    if at < 0 or b"</Container:Directory>" not in xmp[at:]:
        return xmp
    rest = without_elements(xmp[at:], "Container:Directory")
    return xmp[:at] + _DIRECTORY % map_bytes + rest


def _describe(data: bytes, start: int, end: int) -> tuple[int, bool]:
    """Returns the pixels that a JPEG in a file claims to have, and whether it is marked as a gain map."""
    pixels, is_map = 0, False
    for found in find_segments(data, start, end):
        if found.marker in FRAMES:
            height, width = struct.unpack_from(">HH", found.body, 1)
            pixels = height * width
        elif found.marker == APP1 and found.body.startswith(_XMP):
            is_map = is_map or _APPLE in found.body or _ULTRA_HDR in found.body
        elif found.marker == APP2 and found.body.startswith(ISO_MARK):
            is_map = True
    return pixels, is_map


def _upright_exif(body: bytes) -> bytes:
    """Returns the body of an APP1 segment, its EXIF orientation reset if it has one."""
    if not body.startswith(_EXIF + b"II*\x00") and not body.startswith(_EXIF + b"MM\x00*"):
        return body
    metadata = reset_orientation(Metadata(exif=body.removeprefix(_EXIF)))
    return _EXIF + (metadata.exif or b"")
