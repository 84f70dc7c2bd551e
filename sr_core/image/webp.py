"""WebP files: chunks read by hand, pixels read by imagecodecs and written by Pillow (both libwebp).

The header is read by hand because Pillow takes memory for the whole canvas as soon as it opens a file, and imagecodecs
has no call that reads the size alone.

The chroma of a WebP tells its two kinds apart: that of a lossy one is always 4:2:0, a lossless one has all of it.

Source: RFC 9649 (WebP image format), 2.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

import imagecodecs
import numpy as np
from PIL import Image

from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.icc import is_linear
from sr_core.image.light import decoded_light
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Chroma, Metadata, Picture

__all__ = ["HOLDS", "parse", "pixels", "write"]

# libwebp takes 25 to 35 bytes of memory for each pixel, and beyond 120 megapixels its prediction modes have no room.
HOLDS: Final = Holds(bits=(8,), longest_side=16383, most_pixels=80_000_000, grey=False)

_METHOD: Final = 4
_LOSSLESS_EFFORT: Final = 20  # as small as 75 on enlarged photos (7.6 MB for 14 megapixels), in a quarter of the time
_ALPHA_FLAG: Final = 0x10
_FRAME_HEADER_BYTES: Final = 16
_LOSSLESS_CHROMA: Final[Chroma] = "444"
_KNOWN_CHUNKS: Final = (b"ANIM", b"ALPH")


def parse(data: bytes) -> Stored:
    """Returns what the chunks of a WebP say of it.

    Raises:
        ValueError: The chunks are broken or cut short.
    """
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise ValueError("the file is shorter than it says")
    size: tuple[int, int] | None = None
    has_alpha, has_others, frames = False, False, 0
    chroma: Chroma | None = None
    parts: dict[bytes, bytes] = {}
    for name, body in _chunks(data):
        match name:
            case b"VP8X":
                has_alpha = bool(body[0] & _ALPHA_FLAG)
                size = (1 + int.from_bytes(body[7:10], "little"), 1 + int.from_bytes(body[4:7], "little"))
            case b"VP8 ":
                size, chroma = size or _lossy_size(body), chroma or "420"
            case b"VP8L":
                packed = struct.unpack_from("<I", body, 1)[0]
                size = size or (1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF))
                has_alpha = has_alpha or bool(packed >> 28 & 1)
                chroma = chroma or _LOSSLESS_CHROMA
            case b"ANMF":
                frames += 1
                chroma = chroma or (_LOSSLESS_CHROMA if body[_FRAME_HEADER_BYTES:][:4] == b"VP8L" else "420")
            case b"ICCP" | b"EXIF" | b"XMP ":
                parts.setdefault(name, body)
            case _:
                has_others = has_others or name not in _KNOWN_CHUNKS
    if size is None:
        raise ValueError("no picture in the file")
    exif, exif_notices = usable_exif(parts.get(b"EXIF"))
    icc = parts.get(b"ICCP")
    has_light = is_linear(icc)
    return Stored(
        height=size[0],
        width=size[1],
        bit_depth=16 if has_light else 8,
        samples="8 bit",
        channels=3,
        has_alpha=has_alpha,
        orientation=orientation_of(exif),
        metadata=Metadata(icc=icc, exif=exif, xmp=parts.get(b"XMP "), chroma=chroma),
        notices=(*_notices(frames, has_others=has_others), *exif_notices),
    )


def pixels(data: bytes, stored: Stored) -> Decoded:
    """Returns the stored samples of the first frame, (H, W, 3) RGB or (H, W, 4) with alpha.

    Raises:
        imagecodecs.WebpError: The file is damaged or cut short (and other errors of the engine).
    """
    # Pillow would decode still pictures as animations, with eight times the memory.
    samples = imagecodecs.webp_decode(data, hasalpha=stored.has_alpha)
    return Decoded(samples=samples) if stored.bit_depth == 8 else decoded_light(samples, stored.channels, bits=8)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:
    """Writes a WebP, lossless when the picture comes from such a one; libwebp leaves out an alpha that is all opaque.

    The alpha of a lossy one is lossless.

    Args:
        picture: 8 bits RGB.
        file: File to write.
        quality: How faithfully.

    Raises:
        ValueError: The engine cannot encode a picture like this (see ``encode.check_output``).
    """
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.concatenate((samples, picture.alpha[:, :, np.newaxis]), axis=2)
    metadata = picture.metadata
    is_lossless = picture.source_format == "webp" and metadata.chroma == _LOSSLESS_CHROMA
    Image.fromarray(samples).save(
        file,
        "WEBP",
        lossless=is_lossless,
        quality=_LOSSLESS_EFFORT if is_lossless else quality.webp,
        method=_METHOD,
        exact=True,  # colours under transparent pixels are part of the picture
        icc_profile=metadata.icc or b"",
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
    )


def _notices(frames: int, *, has_others: bool) -> Iterator[str]:
    """Yields a sentence for each part of the file that is not carried."""
    if frames > 1:
        yield f"This WebP is animated; only the first of its {frames} frames is kept."
    if has_others:
        yield "Some metadata of this WebP beyond EXIF and XMP is not kept."


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields name and body of each chunk."""
    at, end = 12, struct.unpack_from("<I", data, 4)[0] + 8
    while at + 8 <= end:
        name, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            raise ValueError("a chunk is cut short")
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def _lossy_size(body: bytes) -> tuple[int, int]:
    """Returns height and width from the header of a VP8 key frame (RFC 6386, 9.1)."""
    if body[3:6] != b"\x9d\x01\x2a":
        raise ValueError("no key frame")
    width, height = struct.unpack_from("<HH", body, 6)
    return height & 0x3FFF, width & 0x3FFF
