"""TIFF files and EXIF blocks made to order, byte by byte, without the code under test."""

import struct
from io import BytesIO
from typing import Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

Sign = Literal["<", ">"]
Value = tuple[int, int, bytes]  # tag, type, values in the byte order of the file

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 18: 8}
APPLE_NOTE = b"Apple iOS\x00\x00\x01MM" + b"the note of a phone".ljust(30, b"\x07")
CANON_NOTE = struct.pack("<HHHII", 1, 1, 4, 1, 700) + b"the note of a camera".ljust(30, b"\x05")
LATITUDE = (48, 1, 51, 1, 29_6789, 10_000)
LONGITUDE = (2, 1, 17, 1, 40_1234, 10_000)


def short(sign: Sign, *values: int) -> bytes:
    return struct.pack(f"{sign}{len(values)}H", *values)


def long(sign: Sign, *values: int) -> bytes:
    return struct.pack(f"{sign}{len(values)}I", *values)


def directory(sign: Sign, values: list[Value], at: int, next_at: int = 0) -> bytes:
    """Returns a directory of a classic TIFF with its longer values behind it."""
    outside_at = at + 2 + 12 * len(values) + 4
    entries, outside = b"", b""
    for tag, kind, data in sorted(values):
        entries += struct.pack(sign + "HHI", tag, kind, len(data) // SIZES[kind])
        if len(data) <= 4:
            entries += data.ljust(4, b"\x00")
        else:
            entries += struct.pack(sign + "I", outside_at + len(outside))
            outside += data + bytes(len(data) % 2)
    return struct.pack(sign + "H", len(values)) + entries + struct.pack(sign + "I", next_at) + outside


def gps_values(sign: Sign) -> list[Value]:
    """Returns the GPS directory of a photo taken in Paris."""
    return [
        (0, 1, bytes((2, 3, 0, 0))),
        (1, 2, b"N\x00"),
        (2, 5, long(sign, *LATITUDE)),
        (3, 2, b"E\x00"),
        (4, 5, long(sign, *LONGITUDE)),
        (27, 7, b"ASCII\x00\x00\x00MANUAL"),
    ]


def tree_block(
    sign: Sign = "<",
    *,
    first: list[Value] | None = None,
    note: bytes | None = APPLE_NOTE,
    gps: bool = True,
    interop: bool = True,
) -> bytes:
    """Returns an EXIF block with all four directories, and values of every size and type."""
    mark = (b"II" if sign == "<" else b"MM") + struct.pack(sign + "HI", 42, 8)
    values: list[Value] = [
        (0x010E, 2, b"Boats in the harbour\x00"),
        (0x010F, 2, b"Harbour\x00"),
        (0x0112, 3, short(sign, 1)),
        (0x011A, 5, long(sign, 300, 1)),
        (0x011B, 5, long(sign, 300, 1)),
        (0x0128, 3, short(sign, 2)),
        (0x8298, 2, b"Nobody\x00"),
        *(first or []),
    ]
    inner: list[Value] = [
        (0x829A, 5, long(sign, 1, 166)),
        (0x8828, 7, short(sign, 1, 2) + b"gain\x00\x00" + struct.pack(sign + "iiii", -3, 4, 5, 6)),
        (0x9000, 7, b"0232"),
        (0x9201, 10, struct.pack(sign + "ii", -7, 3)),
        (0xA302, 7, short(sign, 2, 2) + bytes((0, 1, 1, 2))),
        (0xA432, 5, long(sign, 157, 100, 9, 1, 3, 2, 14, 5)),
        *([(0x927C, 7, note)] if note is not None else []),
    ]
    related: list[Value] = [(1, 2, b"R98\x00"), (0x1001, 3, short(sign, 40)), (0x1002, 3, short(sign, 30))]
    pointers = [0x8769, *([0x8825] if gps else [])]
    inner_at = 8 + len(directory(sign, [*values, *((tag, 4, bytes(4)) for tag in pointers)], 8))
    if interop:
        inner_bytes = len(directory(sign, [*inner, (0xA005, 4, bytes(4))], inner_at))
        inner.append((0xA005, 4, long(sign, inner_at + inner_bytes)))
    block = directory(sign, inner, inner_at)
    if interop:
        block += directory(sign, related, inner_at + len(block))
    places = [inner_at]
    if gps:
        places.append(inner_at + len(block))
        block += directory(sign, gps_values(sign), places[1])
    listed = [*values, *((tag, 4, long(sign, at)) for tag, at in zip(pointers, places, strict=True))]
    return mark + directory(sign, listed, 8) + block


def tiff_bytes(samples: NDArray[np.generic], **options: object) -> bytes:
    """Returns a TIFF by tifffile; (H, W), or (H, W, C) of RGB or RGBA."""
    stream = BytesIO()
    options.setdefault("photometric", "minisblack" if samples.ndim == 2 else "rgb")
    big, order = options.pop("bigtiff", False), options.pop("byteorder", "<")
    with tifffile.TiffWriter(stream, bigtiff=bool(big), byteorder=order) as writer:  # type: ignore[arg-type]
        writer.write(samples, metadata=None, software=False, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def plain_tiff(values: list[Value], pixels: bytes, sign: Sign = "<") -> bytes:
    """Returns a TIFF of one strip that says what it is told to; tags 273 and 279 are filled in."""
    mark = (b"II" if sign == "<" else b"MM") + struct.pack(sign + "HI", 42, 8)
    size = len(directory(sign, [*values, (273, 4, bytes(4)), (279, 4, bytes(4))], 8))
    strip = [(273, 4, long(sign, 8 + size)), (279, 4, long(sign, len(pixels)))]
    return mark + directory(sign, [*values, *strip], 8) + pixels
