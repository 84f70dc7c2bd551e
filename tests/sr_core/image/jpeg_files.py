"""JPEG files and ICC profiles made to order, byte by byte."""

import hashlib
import struct
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

XMP_MARK = b"http://ns.adobe.com/xap/1.0/\x00"
EXTENSION_MARK = b"http://ns.adobe.com/xmp/extension/\x00"
ISO_MARK = b"urn:iso:std:iso:ts:21496:-1\x00"
APPLE_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/"><apdi:AuxiliaryImageType>'
    b"urn:com:apple:photo:2020:aux:hdrgainmap</apdi:AuxiliaryImageType></rdf:Description></rdf:RDF></x:xmpmeta>"
)
MAP_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax="2"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
ULTRA_HDR_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    b' xmlns:Item="http://ns.google.com/photos/1.0/container/item/"'
    b' xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" dc:title="harbour">'
    b"<Container:Directory><rdf:Seq>"
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li>'
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg"'
    b' Item:Length="%d"/></rdf:li>'
    b'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="MotionPhoto" Item:Mime="video/mp4"'
    b' Item:Length="777"/></rdf:li>'
    b"</rdf:Seq></Container:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def profile_of_gamma(gamma: float) -> bytes:
    """Returns an ICC profile with the primaries of sRGB and another curve."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # the date: the same bytes at every call
    for index in range(struct.unpack_from(">I", profile, 128)[0]):
        name, at, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            profile[at : at + 16] = b"para" + bytes(8) + struct.pack(">i", round(gamma * 65536))
    return bytes(profile)


def segment(marker: int, body: bytes) -> bytes:
    """Returns a JPEG segment."""
    return b"\xff" + bytes((marker,)) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Returns a JPEG with segments put at its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def jpeg_bytes(pixels: NDArray[np.uint8], **options: object) -> bytes:
    """Returns a JPEG by Pillow, 4:4:4 where there is colour."""
    stream = BytesIO()
    settings: dict[str, object] = {"quality": 97, "subsampling": 0}
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.save(stream, "JPEG", **(settings | options))
    return stream.getvalue()


def index_body(entries: list[tuple[int, int]]) -> bytes:
    """Returns a little-endian index of pictures: size, and offset from the ``II``."""
    tags = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, len(entries))
    tags += struct.pack("<HHII", 0xB002, 7, 16 * len(entries), 50)
    places = b"".join(struct.pack("<IIIHH", 0, size, offset, 0, 0) for size, offset in entries)
    return b"MPF\x00II*\x00" + struct.pack("<IH", 8, 3) + tags + bytes(4) + places


def several_pictures(primary: bytes, *others: bytes) -> bytes:
    """Returns a JPEG with an index at its start and further pictures behind it."""
    index_bytes = len(segment(0xE2, index_body([(0, 0)] * (1 + len(others)))))
    entries, start = [(len(primary) + index_bytes, 0)], len(primary) + index_bytes
    for other in others:
        entries.append((len(other), start - 10))  # the index starts behind SOI, marker, size and its own mark
        start += len(other)
    return with_segments(primary, segment(0xE2, index_body(entries))) + b"".join(others)


def extension_of(packet: bytes, part_bytes: int = 40_000) -> tuple[bytes, list[bytes]]:
    """Returns the digest of an extended XMP packet and its segments, the last one first."""
    digest = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode()
    starts = reversed(range(0, len(packet), part_bytes))
    return digest, [
        segment(0xE1, EXTENSION_MARK + digest + struct.pack(">II", len(packet), at) + packet[at : at + part_bytes])
        for at in starts
    ]
