"""JPEG files: segments read by hand, pixels by Pillow (libjpeg-turbo).

Source: ITU-T T.81, Annex B (markers); CIPA DC-008, 4.7 (EXIF in APP1); Adobe XMP part 3, 1.1.3; ICC.1:2022, B.4;
CIPA DC-007 (several pictures in one file).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from sr_core.errors import UnsupportedFormatError
from sr_core.image.colour import cmyk_to_srgb
from sr_core.image.header import Stored
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Chroma, Metadata, Picture
from sr_core.image.xmp import without_claims

__all__ = ["encode", "fitting", "parse", "pixels"]

_MAX_EXIF_BYTES: Final = 65533 - 6
_MAX_XMP_BYTES: Final = 65533 - 29
# One is usual. Pillow puts them together one by one, which takes the square of their number.
_MOST_EXIF_SEGMENTS: Final = 64

_EXIF: Final = b"Exif\x00\x00"
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\x00"
_LONG_XMP: Final = b"http://ns.adobe.com/xmp/extension/\x00"
_ICC: Final = b"ICC_PROFILE\x00"
_SIZE_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE_MARKERS: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_SCAN: Final = 0xDA
_CHROMA: Final[dict[int, Chroma]] = {0x11: "444", 0x21: "422", 0x22: "420"}
_SUBSAMPLING: Final[dict[Chroma, str]] = {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}
_GONE_CLAIMS: Final = ("hdrgm:", "GCamera:Motion", "GCamera:MicroVideo")


@dataclass(slots=True, kw_only=True)
class _Segments:
    """What the segments before the first scan hold."""

    frame: tuple[int, int, int, tuple[int, ...]] | None = None  # bits, height, width, sampling of each component
    exif: list[bytes] = field(default_factory=list[bytes])
    xmp: bytes | None = None
    icc: dict[int, bytes] = field(default_factory=dict[int, bytes])
    pictures: int = 1
    dropped: list[str] = field(default_factory=list[str])


def parse(data: bytes) -> Stored:
    """Returns what a JPEG says of itself before its first scan.

    Raises:
        UnsupportedFormatError: The samples do not have 8 bits.
        ValueError: The segments are broken.
    """
    found = _Segments()
    for marker, body in _segments(data):
        _read_segment(marker, body, found)
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
        found.dropped.append(f"The CMYK colours of this JPEG were converted to sRGB {way}.")
    exif, exif_notices = usable_exif(b"".join(found.exif))
    notices = (*found.dropped, *exif_notices, *_picture_notices(data, found))
    return Stored(
        height=height,
        width=width,
        bit_depth=8,
        channels=1 if len(sampling) == 1 else 3,
        has_alpha=False,
        orientation=orientation_of(exif),
        metadata=Metadata(
            icc=None if is_cmyk else icc,
            exif=exif,
            xmp=None if found.xmp is None else without_claims(found.xmp, _GONE_CLAIMS),
            chroma=_CHROMA.get(sampling[0], "420") if len(sampling) == 3 else None,
        ),
        notices=notices,
    )


def pixels(data: bytes) -> NDArray[np.uint8]:
    """Returns the stored samples, (H, W, 3) RGB or (H, W, 1) grey.

    Raises:
        OSError: The file is damaged or cut short (and other errors of the engine).
    """
    # The class and not Image.open: that one guesses at "MPO" and holds a pixel limit of its own, ours is in Limits.
    with JpegImagePlugin.JpegImageFile(BytesIO(data)) as image:
        image.load()
        if image.mode == "CMYK":
            return cmyk_to_srgb(image, image.info.get("icc_profile"))
        samples = np.asarray(image)
    return samples[:, :, np.newaxis] if samples.ndim == 2 else samples


def encode(picture: Picture, *, quality: int, chroma: Chroma) -> bytes:
    """Returns a baseline JPEG.

    Args:
        picture: 8 bits without alpha; its EXIF and XMP must fit their segments.
        quality: 1 to 100, in libjpeg's terms.
        chroma: Chroma sampling; grey has none.
    """
    metadata = picture.metadata
    samples = picture.pixels
    image = Image.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    stream = BytesIO()
    optional: dict[str, bytes] = {}
    if metadata.exif is not None:
        optional["exif"] = _EXIF + metadata.exif
    if metadata.xmp is not None:
        optional["xmp"] = metadata.xmp
    image.save(stream, "JPEG", quality=quality, subsampling=_SUBSAMPLING[chroma], icc_profile=metadata.icc, **optional)
    return stream.getvalue()


def fitting(metadata: Metadata) -> tuple[Metadata, tuple[str, ...]]:
    """Returns the metadata without what exceeds a JPEG segment, and a sentence for each part that is left out."""
    notices: list[str] = []
    if metadata.exif is not None and len(metadata.exif) > _MAX_EXIF_BYTES:
        metadata = replace(metadata, exif=None)
        notices.append("The EXIF data is too long for a JPEG and was left out.")
    if metadata.xmp is not None and len(metadata.xmp) > _MAX_XMP_BYTES:
        metadata = replace(metadata, xmp=None)
        notices.append("The XMP data is too long for a JPEG and was left out.")
    return metadata, tuple(notices)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the marker and the body of each segment up to the first scan."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker where one must be")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _ALONE_MARKERS:
            continue
        if marker == _SCAN:
            return
        size = struct.unpack_from(">H", data, at)[0]
        if size < 2 or at + size > len(data):
            raise ValueError("a segment is cut short")
        yield marker, data[at + 2 : at + size]
        at += size


def _read_segment(marker: int, body: bytes, found: _Segments) -> None:
    """Adds what one segment holds to what was found."""
    if marker in _SIZE_MARKERS:
        bits, height, width, components = struct.unpack_from(">BHHB", body)
        found.frame = (bits, height, width, tuple(body[7 + 3 * index] for index in range(components)))
    elif marker == 0xE1 and body.startswith(_EXIF):
        part = body.removeprefix(_EXIF)
        is_wanted = not any(found.exif) or part[:2] not in (b"II", b"MM")  # a long block goes on in the next segment
        found.exif.append(part if is_wanted else b"")
        if len(found.exif) > _MOST_EXIF_SEGMENTS:
            raise ValueError("the EXIF data is in too many segments")
    elif marker == 0xE1 and body.startswith(_XMP):
        found.xmp = body.removeprefix(_XMP)
    elif marker == 0xE1 and body.startswith(_LONG_XMP):
        _drop(found, "The extended part of the XMP data of this JPEG is not kept.")
    elif marker == 0xE2 and body.startswith(_ICC):
        found.icc[body[len(_ICC)]] = body[len(_ICC) + 2 :]
    elif marker == 0xE2 and body.startswith(b"MPF\x00"):
        found.pictures = max(1, _picture_count(body[4:]))
    elif marker == 0xED and body.startswith(b"Photoshop 3.0\x00"):
        _drop(found, "The IPTC and Photoshop notes of this JPEG are not kept.")
    elif marker == 0xFE:
        _drop(found, "The comment in this JPEG is not kept.")


def _drop(found: _Segments, notice: str) -> None:
    """Notes a part that is not carried, once."""
    if notice not in found.dropped:
        found.dropped.append(notice)


def _picture_count(index: bytes) -> int:
    """Returns the number of pictures that a multi-picture index (CIPA DC-007, 5.2) lists."""
    order = "<" if index[:2] == b"II" else ">"
    at = struct.unpack_from(order + "I", index, 4)[0]
    entries = struct.unpack_from(order + "H", index, at)[0]
    for number in range(entries):
        tag, _, _, value = struct.unpack_from(order + "HHII", index, at + 2 + 12 * number)
        if tag == 0xB001:
            return value
    return 1


def _picture_notices(data: bytes, found: _Segments) -> Iterator[str]:
    """Yields a sentence for each kind of picture beside the main one."""
    xmp = found.xmp or b""
    if b"hdrgm:" in xmp or b"HDRGainMap" in data:
        yield "The HDR gain map of this JPEG is not kept: the result is the standard picture."
    elif found.pictures > 1:
        yield f"This JPEG holds {found.pictures} pictures; only the main one is kept."
    if b"GCamera:MotionPhoto" in xmp or b"GCamera:MicroVideo" in xmp:
        yield "The video of this motion photo is not kept."
