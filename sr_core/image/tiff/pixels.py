"""The samples of a TIFF page, segment by segment: imagecodecs inflates, differences are summed, bits are unpacked.

Each segment is decoded into no more memory than its place in the page needs, whatever its own header claims, and the
segments of a file together are read about once.

Source: TIFF 6.0, sections 9, 10, 11, 13, 14, 15 and 22; TIFF Technical Notes 2 (JPEG) and 3 (floating-point predictor).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from sr_core.errors import UnsupportedFormatError
from sr_core.image.tiff.ifd import Directory, Order
from sr_core.image.tiff.page import Page

__all__ = ["RawSamples", "raw_samples"]

RawSamples: TypeAlias = NDArray[np.unsignedinteger[Any] | np.floating[Any]]

_STRIPS: Final = (273, 279)
_TILES: Final = (324, 325)
_T4_OPTIONS: Final = 292
_JPEG_TABLES: Final = 347

_NONE: Final = 1
_FAX: Final = frozenset({2, 3, 4})
_JPEG: Final = 7
# Not JPEG XR: only microscopes write it here, and its library has been without care since 2013.
_IMAGES: Final = frozenset({33003, 33004, 33005, 34712, 34887, 34927, 34933, 50001, 50002, 52546})
_JPEG_2000: Final = frozenset({33003, 33004, 33005, 34712})
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_CODESTREAM_FROM_BYTES: Final = 4096
_JPEG_RGB: Final = 2
_JPEG_CMYK: Final = 4
_JFIF: Final = b"JFIF\x00"
_JFIF_END: Final = 11
_SIZE_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a segment lies: in the page (``height`` x ``width`` of it are inside), and in the file."""

    plane: int
    top: int
    left: int
    height: int
    width: int
    data: bytes


def raw_samples(data: bytes, directory: Directory, page: Page, order: Order) -> RawSamples:
    """Returns the samples of a page as they are stored, only that JPEG has turned YCbCr into RGB.

    Args:
        data: The file.
        directory: That of the page.
        page: What it says.
        order: Byte order of the file.

    Returns:
        (H, W, samples): uint8 for up to 8 bits, uint16 for more, or floats; values as stored, so that 1 bit is 0 or 1.

    Raises:
        UnsupportedFormatError: The compression is not read here.
        ValueError: Segments are missing, cut short or larger than the page (and other errors of the engines).
    """
    samples = np.empty((page.height, page.width, page.samples), dtype=_dtype_of(page))
    tables = directory.data_of(directory.entries[_JPEG_TABLES]) if _JPEG_TABLES in directory else None
    options = directory.whole(_T4_OPTIONS)
    for place in _places(data, directory, page):
        decoded = _decoded(place, page, tables, options, order)
        rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
        channels = slice(place.plane, place.plane + 1) if page.is_planar else slice(None)
        samples[rows, columns, channels] = decoded[: place.height, : place.width]
    return samples


def _dtype_of(page: Page) -> np.dtype[Any]:
    """Returns the type of the samples of a page."""
    if page.is_float:
        return np.dtype(np.float32 if page.bits == 24 else f"f{page.bits // 8}")
    return np.dtype(np.uint8 if page.bits <= 8 else np.uint16)


def _places(data: bytes, directory: Directory, page: Page) -> Iterator[_Place]:
    """Yields the segments of a page in the order of the file."""
    down, across = page.grid
    count = down * across * (page.samples if page.is_planar else 1)
    offsets_tag, sizes_tag = _TILES if page.is_tiled else _STRIPS
    if offsets_tag not in directory:  # some writers use the tags of strips for tiles
        offsets_tag, sizes_tag = _STRIPS
    offsets, sizes = (directory.numbers(tag, count) for tag in (offsets_tag, sizes_tag))
    if not sizes and page.compression == _NONE:
        sizes = tuple(_stored_bytes(page, index, down, across) for index in range(count))
    if len(offsets) < count or len(sizes) < count:
        raise ValueError("the page lacks segments")
    if sum(sizes) > 2 * len(data):
        raise ValueError("the segments hold more than the file")
    for index, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        at, size_bytes = int(offset), int(size)
        if size_bytes < 1 or at < 8 or at + size_bytes > len(data):
            raise ValueError("a segment is not in the file")
        plane, cell = divmod(index, down * across)
        top, left = (cell // across) * page.segment[0], (cell % across) * page.segment[1]
        yield _Place(
            plane=plane,
            top=top,
            left=left,
            height=min(page.segment[0], page.height - top),
            width=min(page.segment[1], page.width - left),
            data=data[at : at + size_bytes],
        )


def _stored_bytes(page: Page, index: int, down: int, across: int) -> int:
    """Returns the size of a segment without compression."""
    row = index % (down * across) // across
    rows = page.segment[0] if page.is_tiled else min(page.segment[0], page.height - row * page.segment[0])
    return rows * _row_bytes(page)


def _row_bytes(page: Page) -> int:
    """Returns the size of a row of a segment; rows start with a byte of their own."""
    return -(-page.segment[1] * _samples_of(page) * page.bits // 8)


def _samples_of(page: Page) -> int:
    """Returns the samples of a pixel in a segment."""
    return 1 if page.is_planar else page.samples


def _decoded(place: _Place, page: Page, tables: bytes | None, options: int, order: Order) -> RawSamples:
    """Returns a segment as (rows, columns, samples), at least as large as its place."""
    if page.compression == _JPEG:
        return _jpeg(place, page, tables)
    if page.compression in _IMAGES:
        return _image(place, page)
    data = bytes(imagecodecs.bitorder_decode(place.data)) if page.is_reversed else place.data
    if page.compression in _FAX:
        return _fax(data, place, page, options)
    rows = page.segment[0] if page.is_tiled else place.height
    row_bytes = _row_bytes(page)
    plain = _inflated(data, page.compression, page.segment[0] * row_bytes)
    if len(plain) < rows * row_bytes:
        raise ValueError("a segment is cut short")
    return _unpacked(plain[: rows * row_bytes], page, order)


def _inflated(data: bytes, compression: int, size_bytes: int) -> bytes:
    """Returns the bytes of a segment without their compression, no more than ``size_bytes`` of them."""
    match compression:
        case 1:
            plain = data
        case 5:
            plain = imagecodecs.lzw_decode(data, out=size_bytes)
        case 8 | 32946 | 50013:
            plain = imagecodecs.deflate_decode(data, out=size_bytes)
        case 32773:
            plain = imagecodecs.packbits_decode(data, out=size_bytes)
        case 34925:
            plain = imagecodecs.lzma_decode(data, out=size_bytes)
        case 34926 | 50000:
            plain = imagecodecs.zstd_decode(data, out=size_bytes)
        case _:
            raise UnsupportedFormatError(
                "This TIFF uses a compression that is not read here; please save it with LZW or ZIP."
            )
    return bytes(plain)


def _unpacked(plain: bytes, page: Page, order: Order) -> RawSamples:
    """Returns bytes as samples (rows, columns, samples), differences summed."""
    samples = _samples_of(page)
    shape = (-1, page.segment[1], samples)
    sign = "<" if order == "little" else ">"
    if page.bits not in (8, 16, 32, 64):
        if page.predictor != 1:
            raise ValueError("differences of packed bits have no meaning")
        if page.is_float:
            return imagecodecs.float24_decode(plain, byteorder=sign).reshape(shape)
        packed = imagecodecs.packints_decode(plain, _dtype_of(page), page.bits, runlen=page.segment[1] * samples)
        return packed.reshape(shape)
    native = _dtype_of(page)
    match page.predictor:
        case 1:
            return np.frombuffer(plain, native.newbyteorder(sign)).reshape(shape)
        case 2:
            # Differences of floating-point numbers are those of their bits.
            whole = np.dtype(f"u{native.itemsize}")
            stored = np.frombuffer(plain, whole.newbyteorder(sign)).reshape(shape).astype(whole)
            return imagecodecs.delta_decode(stored, axis=1, out=stored).view(native)
        case 3 if page.is_float:
            return imagecodecs.floatpred_decode(np.frombuffer(plain, native).reshape(shape), axis=1)
        case _:
            raise ValueError("no such predictor")


def _fax(data: bytes, place: _Place, page: Page, options: int) -> RawSamples:
    """Returns a segment of a fax, (rows, columns, 1) of 0 and 1."""
    rows, columns = page.segment[0] if page.is_tiled else place.height, page.segment[1]
    match page.compression:
        case 2:
            decoded = imagecodecs.ccittrle_decode(data, rows, columns)
        case 3:
            decoded = imagecodecs.ccittfax3_decode(data, rows, columns, t4options=options)
        case _:
            decoded = imagecodecs.ccittfax4_decode(data, rows, columns)
    return decoded.reshape(rows, columns, 1)


def _jpeg(place: _Place, page: Page, tables: bytes | None) -> RawSamples:
    """Returns a segment that is a JPEG, (rows, columns, samples)."""
    height, width = _jpeg_sides(place.data)
    if not (place.height <= height <= page.segment[0] and place.width <= width <= page.segment[1]):
        raise ValueError("a JPEG segment has another size than its place")
    is_colour = page.colours == "rgb" and not page.is_planar
    # Without a mark in the JPEG, three channels would be taken for YCbCr.
    is_plain = is_colour and not page.is_ycbcr and _JFIF not in place.data[:_JFIF_END]
    decoded = imagecodecs.jpeg_decode(
        place.data,
        tables=tables,
        bitspersample=page.bits,
        colorspace=_JPEG_RGB if is_plain else None,
        outcolorspace=_JPEG_RGB if is_colour else _JPEG_CMYK if page.colours == "cmyk" else None,
    )
    return decoded.reshape(height, width, _samples_of(page))


def _jpeg_sides(data: bytes) -> tuple[int, int]:
    """Returns height and width that the frame header of a JPEG states."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _SIZE_MARKERS:
            return int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("no frame header in a JPEG segment")


def _image(place: _Place, page: Page) -> RawSamples:
    """Returns a segment that is a whole file of another family; a place of the right size is made for it first."""
    samples = _samples_of(page)
    rows, columns = page.segment
    fits = [(rows, columns), (place.height, columns), (place.height, place.width)]
    if page.compression in _JPEG_2000 and _jpeg_2000_sides(place.data) not in fits:
        raise ValueError("a JPEG 2000 segment has another size than its place")  # its decoder looks only at the end
    for height, width in dict.fromkeys(fits):
        shape = (height, width) if samples == 1 else (height, width, samples)
        try:
            decoded = _image_decoded(place.data, page, np.empty(shape, _dtype_of(page)))
        except (ValueError, RuntimeError):
            if (height, width) == fits[-1]:
                raise
            continue
        return decoded.reshape(height, width, samples)
    raise ValueError("a segment has another size than its place")


def _jpeg_2000_sides(data: bytes) -> tuple[int, int]:
    """Returns height and width that the codestream of a JPEG 2000 states (ITU-T T.800, A.5.1)."""
    at = data.find(_CODESTREAM, 0, _CODESTREAM_FROM_BYTES)
    if at < 0 or at + 24 > len(data):
        raise ValueError("no codestream in a JPEG 2000 segment")
    right, bottom, left, top = (int.from_bytes(data[start : start + 4], "big") for start in range(at + 8, at + 24, 4))
    return bottom - top, right - left


def _image_decoded(data: bytes, page: Page, out: RawSamples) -> RawSamples:
    """Returns a whole file of another family, decoded into the array that is given."""
    match page.compression:
        case 33003 | 33004 | 33005 | 34712:
            return imagecodecs.jpeg2k_decode(data, out=out)
        case 34887:
            return imagecodecs.lerc_decode(data, out=out)
        case 34927 | 50001:
            return imagecodecs.webp_decode(data, hasalpha=page.samples == 4, out=out)
        case 34933:
            return imagecodecs.png_decode(data, out=out)
        case _:
            return imagecodecs.jpegxl_decode(data, out=out)
