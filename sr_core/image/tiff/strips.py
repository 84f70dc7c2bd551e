"""A Picture as the strips of a TIFF: samples turned back, differenced and deflated strip by strip, written by tifffile.

Source: TIFF 6.0, sections 14 (differences) and 18 (transparency); TIFF Technical Note 3 (floating-point predictor).
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from sr_core.image.depth import change_depth
from sr_core.image.picture import Picture, Samples
from sr_core.image.tiff.exif import attach
from sr_core.image.transfer import light_of, samples_of

__all__ = ["FLOAT_KIND", "IPTC_KIND", "write_strips"]

FLOAT_KIND: Final = "float"
"""The Extra of a file whose floating-point samples are no light; its data is one byte, their bits."""
IPTC_KIND: Final = "iptc"
"""The Extra of IPTC notes, as a stream of IIM data sets."""

_XMP: Final = 700
_IPTC: Final = 33723
_BYTE: Final = 1
_UNDEFINED: Final = 7
_INCH: Final = 2
_UNASSOCIATED: Final = 2
_DEFLATE: Final = 8
_DIFFERENCES: Final = 2
_FLOAT_DIFFERENCES: Final = 3
_LEVEL: Final = 4
_STRIP_BYTES: Final = 1 << 20
_CLASSIC_BYTES: Final = (1 << 32) - (1 << 26)  # room for metadata, and for what deflate adds to noise


def write_strips(picture: Picture, file: BinaryIO) -> None:
    """Writes a picture with all that it carries; beside it, memory is taken for one strip.

    Args:
        picture: 8 or 16 bits, or a signal with a transfer.
        file: An empty file, open for reading and writing.
    """
    metadata = picture.metadata
    dtype = _dtype_of(picture)
    channels = picture.pixels.shape[2] + (picture.alpha is not None)
    row_bytes = picture.width * channels * dtype.itemsize
    rows = min(picture.height, max(1, _STRIP_BYTES // row_bytes))
    is_float = dtype.kind == "f"
    tags: list[tuple[int, int, int, bytes, bool]] = []
    if metadata.xmp is not None:
        tags.append((_XMP, _BYTE, len(metadata.xmp), metadata.xmp, True))
    for extra in metadata.extras:
        if extra.kind == IPTC_KIND:
            tags.append((_IPTC, _UNDEFINED, len(extra.data), extra.data, True))
    is_big = picture.height * row_bytes > _CLASSIC_BYTES
    with tifffile.TiffWriter(file, bigtiff=is_big, byteorder="<", shaped=False) as writer:
        writer.write(
            _strips(picture, dtype, rows),
            shape=(picture.height, picture.width, channels) if channels > 1 else (picture.height, picture.width),
            dtype=dtype,
            photometric="rgb" if picture.pixels.shape[2] == 3 else "minisblack",
            planarconfig="contig" if channels > 1 else None,
            extrasamples=(_UNASSOCIATED,) if picture.alpha is not None else None,
            compression=_DEFLATE,
            predictor=_FLOAT_DIFFERENCES if is_float else _DIFFERENCES,
            rowsperstrip=rows,
            iccprofile=metadata.icc,
            resolution=metadata.dpi,
            resolutionunit=None if metadata.dpi is None else _INCH,
            software=False,
            metadata=None,
            extratags=tags,
        )
    if metadata.exif is not None:
        attach(file, metadata.exif)


def _dtype_of(picture: Picture) -> np.dtype[Any]:
    """Returns the type of the samples in the file."""
    transfer = picture.metadata.transfer
    bits = transfer.bits if transfer is not None else picture.bit_depth
    is_float = transfer is not None and transfer.is_float
    for extra in picture.metadata.extras:
        if extra.kind == FLOAT_KIND:
            bits, is_float = extra.data[0], True
    if is_float:
        return np.dtype({16: np.float16, 64: np.float64}.get(bits, np.float32))
    return np.dtype(np.uint8 if bits == 8 else np.uint16)


def _strips(picture: Picture, dtype: np.dtype[Any], rows: int) -> Iterator[bytes]:
    """Yields the strips, deflated, from the top."""
    for top in range(0, picture.height, rows):
        band = picture.crop(top, 0, rows, picture.width)
        samples = _stored(band, dtype)
        if dtype.kind == "f":
            differences = imagecodecs.floatpred_encode(samples, axis=1)
        else:
            differences = imagecodecs.delta_encode(samples, axis=1)
        yield bytes(imagecodecs.deflate_encode(np.ascontiguousarray(differences).tobytes(), level=_LEVEL))


def _stored(band: Picture, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns a part of a picture as the file holds it, (rows, W, C), alpha last."""
    colours = _as_type(band.pixels, band, dtype)
    if band.alpha is None:
        return colours
    if dtype.kind == "f":
        alpha = (band.alpha.astype(np.float64) / band.peak).astype(dtype)
    else:
        alpha = change_depth(band.alpha, band.bit_depth, dtype.itemsize * 8)
    return np.concatenate((colours, alpha[:, :, np.newaxis]), axis=2)


def _as_type(pixels: Samples, band: Picture, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns the colours of a part of a picture as the file holds them."""
    transfer = band.metadata.transfer
    if dtype.kind != "f":
        signal = np.ascontiguousarray(pixels)
        return signal if transfer is None else samples_of(signal.astype(np.uint16, copy=False), transfer)
    if transfer is None:
        return (pixels.astype(np.float64) / band.peak).astype(dtype)
    most = np.finfo(dtype).max  # half floats end at 65504, and the last rounding may pass it
    light = light_of(pixels.astype(np.uint16, copy=False), transfer)
    return np.clip(light, -most, most).astype(dtype)
