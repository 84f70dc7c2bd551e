"""Photo files made to order, so that the tests know every byte of them."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

from sr_core.image.picture import Metadata, Picture

P3_NCLX = (12, 13, 6, 1)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:title="harbour" tiff:Orientation="%d"'
    b' exif:PixelXDimension="40"/></x:xmpmeta>'
)


def scene(height: int, width: int, channels: int = 3, bits: int = 8) -> NDArray[np.uint8 | np.uint16]:
    """Returns a smooth picture that differs in all four corners and uses the full range."""
    down, right = np.mgrid[0:height, 0:width].astype(np.float64)
    down /= max(height - 1, 1)
    right /= max(width - 1, 1)
    planes = np.stack((right, down, (1 - right) * (1 - down)), axis=2)[:, :, :channels]
    return np.rint(planes * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def noise(height: int, width: int, channels: int, bits: int, seed: int = 0) -> NDArray[np.uint8 | np.uint16]:
    """Returns a picture of random samples."""
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << bits, (height, width, channels), dtype=np.uint8 if bits == 8 else np.uint16)


def exif_block(orientation: int = 1, *, order: Literal["<", ">"] = "<", thumbnail: bool = True) -> bytes:
    """Returns an EXIF block with a maker note that points into the block, sizes as SHORT, and a thumbnail.

    Offsets: IFD0 at 8 (4 entries, to 62), Make at 64, Exif IFD at 72 (3 entries, to 114), maker note at 120,
    IFD1 at 160 (2 entries, to 190), thumbnail at 192.
    """

    def ifd(entries: list[tuple[int, int, int, bytes]], next_at: int) -> bytes:
        packed = b"".join(struct.pack(order + "HHI", tag, kind, count) + value for tag, kind, count, value in entries)
        return struct.pack(order + "H", len(entries)) + packed + struct.pack(order + "I", next_at)

    def long(value: int) -> bytes:
        return struct.pack(order + "I", value)

    def short(value: int) -> bytes:
        return struct.pack(order + "HH", value, 0)

    block = bytearray(192)
    block[:8] = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    first = [
        (0x010F, 2, 8, long(64)),
        (0x0112, 3, 1, short(orientation)),
        (0x0131, 2, 4, b"own\x00"),
        (0x8769, 4, 1, long(72)),
    ]
    inner = [(0x927C, 7, 24, long(120)), (0xA002, 3, 1, short(40)), (0xA003, 3, 1, short(30))]
    last = [(0x0201, 4, 1, long(192)), (0x0202, 4, 1, long(20))]
    for at, part in (
        (8, ifd(first, 160 if thumbnail else 0)),
        (64, b"Harbour\x00"),
        (72, ifd(inner, 0)),
        (120, b"MAKERNOTE" + long(64) + bytes(11)),
        (160, ifd(last, 0)),
    ):
        block[at : at + len(part)] = part
    return bytes(block) + b"\xff\xd8STALE-THUMBNAIL\x00\xff\xd9"[:20] if thumbnail else bytes(block[:160])


def rgb_profile() -> bytes:
    """Returns an ICC profile for RGB that is not sRGB: its red and green change places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # the date: the same bytes at every call
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def ink_profile() -> bytes:
    """Returns an ICC profile for CMYK in which magenta with yellow is blue and paper is white (ICC.1:2022, 10.10)."""
    white, blue, black = (255, 128, 128), (82, 207, 20), (0, 128, 128)  # Lab in 8 bits
    corners = bytearray()
    for corner in range(16):  # C changes slowest, K fastest
        _, magenta, yellow, key = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        corners += bytes(black if key else blue if magenta and yellow else white)
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + bytes(corners) + ramp * 3
    directory = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    header = bytearray(128)
    header[0:4] = struct.pack(">I", 144 + len(table))
    header[8:12], header[12:24] = b"\x02\x40\x00\x00", b"prtrCMYKLab "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    return bytes(header) + directory + table


def write_pillow(path: Path, pixels: NDArray[np.uint8 | np.uint16], family: str, **options: object) -> Path:
    """Writes a JPEG (4:4:4), PNG or lossless WebP by Pillow."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    settings: dict[str, object] = {"jpeg": {"quality": 97, "subsampling": 0}, "webp": {"lossless": True}}.get(
        family, {}
    )
    image.save(path, family.upper(), **(settings | options))
    return path


def write_heic(path: Path, pixels: NDArray[np.uint8 | np.uint16], bits: int = 8, **info: object) -> Path:
    """Writes a HEIC (4:4:4) by pillow-heif; an EXIF orientation in ``info`` also becomes irot and imir."""
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[pixels.shape[2]] + ("" if bits == 8 else f";{bits}")
    file = pillow_heif.from_bytes(mode, (pixels.shape[1], pixels.shape[0]), np.ascontiguousarray(pixels).tobytes())
    file[0].info.update(bit_depth=bits, **info)
    file.save(path, quality=95, chroma=444, enc_params={"preset": "ultrafast"})
    return path


def picture_of(pixels: NDArray[np.uint8 | np.uint16], bits: int = 8, **fields: object) -> Picture:
    """Returns a picture of pixels."""
    return Picture(pixels=pixels, bit_depth=bits, **fields)  # type: ignore[arg-type]


def chunk(name: bytes, body: bytes) -> bytes:
    """Returns a PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Returns a PNG with chunks put behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def png_bytes(pixels: NDArray[np.uint8 | np.uint16], **options: object) -> bytes:
    """Returns a PNG by Pillow."""
    stream = BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG", **options)
    return stream.getvalue()


def bomb_png(height: int, width: int) -> bytes:
    """Returns a PNG that says it is huge; its pixels are not there."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def everything(orientation: int = 1) -> Metadata:
    """Returns metadata with a profile, EXIF and XMP."""
    return Metadata(icc=rgb_profile(), exif=exif_block(orientation), xmp=XMP % orientation)
