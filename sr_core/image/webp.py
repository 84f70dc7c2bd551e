"""WebP files: chunks read by hand, pixels read by imagecodecs and written by Pillow (both libwebp).

The header is read by hand because Pillow takes memory for the whole canvas as soon as it opens a file, and imagecodecs
has no call that reads the size alone.

Source: RFC 9649 (WebP image format), 2.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sr_core.image.header import Stored
from sr_core.image.metadata import orientation_of, usable_exif
from sr_core.image.picture import Metadata, Picture

__all__ = ["encode", "parse", "pixels"]

_METHOD: Final = 4
_ALPHA_FLAG: Final = 0x10


def parse(data: bytes) -> Stored:
    """Returns what the chunks of a WebP say of it.

    Raises:
        ValueError: The chunks are broken or cut short.
    """
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise ValueError("the file is shorter than it says")
    size: tuple[int, int] | None = None
    has_alpha, frames = False, 0
    parts: dict[bytes, bytes] = {}
    for name, body in _chunks(data):
        match name:
            case b"VP8X":
                has_alpha = bool(body[0] & _ALPHA_FLAG)
                size = (1 + int.from_bytes(body[7:10], "little"), 1 + int.from_bytes(body[4:7], "little"))
            case b"VP8 ":
                size = size or _lossy_size(body)
            case b"VP8L":
                packed = struct.unpack_from("<I", body, 1)[0]
                size = size or (1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF))
                has_alpha = has_alpha or bool(packed >> 28 & 1)
            case b"ANMF":
                frames += 1
            case b"ICCP" | b"EXIF" | b"XMP ":
                parts.setdefault(name, body)
            case _:
                pass
    if size is None:
        raise ValueError("no picture in the file")
    exif, exif_notices = usable_exif(parts.get(b"EXIF"))
    notice = f"This WebP is animated; only the first of its {frames} frames is kept."
    return Stored(
        height=size[0],
        width=size[1],
        bit_depth=8,
        channels=3,
        has_alpha=has_alpha,
        orientation=orientation_of(exif),
        metadata=Metadata(icc=parts.get(b"ICCP"), exif=exif, xmp=parts.get(b"XMP ")),
        notices=(notice, *exif_notices) if frames > 1 else exif_notices,
    )


def pixels(data: bytes, *, has_alpha: bool) -> NDArray[np.uint8]:
    """Returns the stored samples of the first frame, (H, W, 3) RGB or (H, W, 4) with alpha.

    Raises:
        imagecodecs.WebpError: The file is damaged or cut short (and other errors of the engine).
    """
    # Pillow would decode still pictures as animations, with eight times the memory.
    return imagecodecs.webp_decode(data, hasalpha=has_alpha)


def encode(picture: Picture, *, quality: int) -> bytes:
    """Returns a lossy WebP whose alpha, if any, is lossless; libwebp leaves out an alpha that is opaque everywhere.

    Args:
        picture: 8 bits RGB.
        quality: 1 to 100, in libwebp's terms.

    Raises:
        ValueError: The engine cannot encode a picture like this (see ``encode.check_output``).
    """
    samples = picture.pixels
    if picture.alpha is not None:
        samples = np.concatenate((samples, picture.alpha[:, :, np.newaxis]), axis=2)
    metadata = picture.metadata
    stream = BytesIO()
    Image.fromarray(samples).save(
        stream,
        "WEBP",
        quality=quality,
        method=_METHOD,
        exact=True,  # colours under transparent pixels are part of the picture
        icc_profile=metadata.icc or b"",
        exif=metadata.exif or b"",
        xmp=metadata.xmp or b"",
    )
    return stream.getvalue()


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
