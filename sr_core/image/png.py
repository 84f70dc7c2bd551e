"""PNG files: chunks read and written by hand, pixels by imagecodecs (libpng), because Pillow has no RGB of 16 bits.

Source: PNG specification, third edition (W3C, 2025), 5 (chunks) and 11 (their contents).
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import imagecodecs
import numpy as np

from sr_core.image.header import Stored
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Metadata, Picture, Samples

__all__ = ["encode", "parse", "pixels"]

_SIGNATURE_BYTES: Final = 8
_HEADER_END: Final = 33
_XMP_KEY: Final = b"XML:com.adobe.xmp"
_EXIF_KEYS: Final = (b"Raw profile type exif", b"Raw profile type APP1")
_INFLATED_BYTES: Final = 16 << 20
_DEFLATE_RATIO: Final = 1032  # the most bytes that deflate makes of one
_COLOUR_TYPES: Final = {0: (1, False), 2: (3, False), 3: (3, False), 4: (1, True), 6: (3, True)}
_SRGB_GAMMA: Final = 45455
_GAMMA_TOLERANCE: Final = 1000


@dataclass(slots=True, kw_only=True)
class _Chunks:
    """What the chunks beside the pixels hold."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    nclx: tuple[int, int, int, int] | None = None
    gamma: int | None = None
    is_srgb: bool = False
    has_transparency: bool = False
    may_inflate_bytes: int = _INFLATED_BYTES  # shared by all chunks: a file can hold thousands of them
    dropped: list[str] = field(default_factory=list[str])


def parse(data: bytes) -> Stored:
    """Returns what the chunks of a PNG say of it.

    Raises:
        ValueError: The chunks are broken.
    """
    if data[12:16] != b"IHDR":
        raise ValueError("the first chunk is not IHDR")
    width, height, bits, colour_type = struct.unpack_from(">IIBB", data, 16)
    channels, has_alpha = _COLOUR_TYPES[colour_type]
    if not height or not width:
        raise ValueError("the picture is empty")
    found = _Chunks()
    for name, body in _chunks(data):
        _read_chunk(name, body, found)
    is_plain = found.icc is None and found.nclx is None and not found.is_srgb
    if is_plain and found.gamma is not None and abs(found.gamma - _SRGB_GAMMA) > _GAMMA_TOLERANCE:
        found.dropped.append("The unusual gamma that this PNG states is not applied: its colours are taken as sRGB.")
    exif, exif_notices = usable_exif(found.exif)
    return Stored(
        height=height,
        width=width,
        bit_depth=16 if bits == 16 else 8,
        channels=channels,
        has_alpha=has_alpha or found.has_transparency,
        orientation=orientation_of(exif),
        metadata=Metadata(icc=found.icc, exif=exif, xmp=found.xmp, nclx=found.nclx),
        notices=(*dict.fromkeys(found.dropped), *exif_notices),
    )


def pixels(data: bytes) -> Samples:
    """Returns the stored samples, (H, W, C) with C from grey to RGB with alpha; palettes and few bits are expanded.

    Raises:
        imagecodecs.PngError: The file is damaged or cut short.
    """
    samples = imagecodecs.png_decode(b"".join(_pixel_parts(data)))
    return samples[:, :, np.newaxis] if samples.ndim == 2 else samples


def encode(picture: Picture, *, level: int) -> bytes:
    """Returns a PNG of 8 or 16 bits.

    Args:
        picture: 8 or 16 bits.
        level: Effort of the compression, 1 (fast) to 9.
    """
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.concatenate((samples, picture.alpha[:, :, np.newaxis]), axis=2)
    elif samples.shape[2] == 1:
        samples = samples[:, :, 0]
    plain = memoryview(bytes(imagecodecs.png_encode(np.ascontiguousarray(samples), level=level)))
    return b"".join((plain[:_HEADER_END], *_metadata_chunks(picture.metadata), plain[_HEADER_END:]))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields name and body of each chunk that is not pixels; the engine checks that the file ends as it should."""
    at = _SIGNATURE_BYTES
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        name = data[at + 4 : at + 8]
        if name == b"IEND":
            return
        if name not in (b"IDAT", b"fdAT"):
            yield name, data[at + 8 : at + 8 + size]
        at += 12 + size


def _pixel_parts(data: bytes) -> Iterator[memoryview]:
    """Yields the signature and the chunks that libpng needs: it would inflate each of thousands of texts."""
    whole = memoryview(data)
    yield whole[:_SIGNATURE_BYTES]
    at = _SIGNATURE_BYTES
    while at < len(data):
        size = int.from_bytes(whole[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if name == b"tRNS" or not name[:1].islower():  # lower case marks what can be left out (5.4)
            yield whole[at : at + 12 + size]
        at += 12 + size


def _read_chunk(name: bytes, body: bytes, found: _Chunks) -> None:
    """Adds what one chunk holds to what was found."""
    match name:
        case b"iCCP":
            found.icc = _inflate(body[body.index(b"\x00") + 2 :], found)
        case b"eXIf":
            found.exif = body
        case b"cICP":
            found.nclx = (body[0], body[1], body[2], body[3])
        case b"gAMA":
            found.gamma = struct.unpack(">I", body)[0]
        case b"sRGB":
            found.is_srgb = True
        case b"tRNS":
            found.has_transparency = True
        case b"acTL":
            found.dropped.append("This PNG is animated; only its still picture is kept.")
        case b"iTXt" | b"tEXt" | b"zTXt":
            _read_text(name, body, found)
        case _:
            pass


def _read_text(name: bytes, body: bytes, found: _Chunks) -> None:
    """Takes XMP and EXIF from a text chunk; other texts are not carried."""
    key, _, rest = body.partition(b"\x00")
    if name == b"iTXt" and key == _XMP_KEY:
        is_compressed, text = rest[0] == 1, rest[2:].split(b"\x00", 2)[2]
        found.xmp = _inflate(text, found) if is_compressed else text
    elif name != b"iTXt" and key in _EXIF_KEYS:
        profile = _inflate(rest[1:], found) if name == b"zTXt" else rest
        found.exif = found.exif or _raw_profile(profile or b"")
    else:
        found.dropped.append("The text notes in this PNG are not kept.")


def _raw_profile(text: bytes) -> bytes | None:
    """Returns the bytes of a profile in ImageMagick's way: a name, a length, then hexadecimal digits."""
    words = text.split(None, 2)
    return bytes.fromhex(words[2].decode("ascii")) if len(words) > 2 else None


def _inflate(body: bytes, found: _Chunks) -> bytes | None:
    """Returns the inflated bytes, or None with a notice when they are damaged or far too many."""
    inflater = zlib.decompressobj()
    spent_bytes = min(len(body) * _DEFLATE_RATIO, found.may_inflate_bytes)
    inflated = b""
    if spent_bytes > 0:  # to zlib, 0 is no limit
        with suppress(zlib.error):
            inflated = inflater.decompress(body, spent_bytes)
            spent_bytes = len(inflated)
        found.may_inflate_bytes -= spent_bytes
    if inflater.eof:
        return inflated
    found.dropped.append("A part of the metadata of this PNG is damaged or too long and is not kept.")
    return None


def _metadata_chunks(metadata: Metadata) -> Iterator[bytes]:
    """Yields the chunks that stand between IHDR and the pixels."""
    if metadata.icc is not None:
        yield _chunk(b"iCCP", b"ICC profile\x00\x00" + zlib.compress(metadata.icc))
    elif metadata.nclx is not None:
        primaries, transfer, _, _ = metadata.nclx
        yield _chunk(b"cICP", bytes((primaries, transfer, 0, 1)))  # PNG stores full-range RGB, so the matrix is 0
    if metadata.exif is not None:
        yield _chunk(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        yield _chunk(b"iTXt", _XMP_KEY + bytes(5) + metadata.xmp)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
