"""RAW files through LibRaw: opened for their size without a pixel, and developed no further than camera space.

Colours are interpolated with the white balance applied, which every algorithm for a Bayer sensor expects (2 to 5 dB for
AHD), and the caller takes it off again. Nothing is clipped, scaled by its content, turned or converted.

Source: LibRaw 0.22, its documentation of ``libraw_output_params_t``, and dcraw by D. Coffin, whose formulas it follows.
"""

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import numpy as np
import rawpy
from numpy.typing import NDArray

from sr_core.errors import PhotoTooLargeError, UnsupportedFormatError
from sr_core.image.raw.whole import refuse_blank

__all__ = ["Developed", "RawFrame", "develop", "open_raw", "preview_exif", "raw_frame"]

_MOST_DHT_PIXELS: Final = 64_000_000
"""Above, AHD: it takes 16 bytes for a pixel where DHT takes 23."""
_MOST_RAW_PIXELS: Final = 1 << 28
"""LibRaw takes 2 GiB of values, of 8 bytes for a pixel at most."""
_MOST_BALANCE: Final = 32.0
_ORIENTATIONS: Final = {0: 1, 1: 2, 3: 3, 2: 4, 4: 5, 6: 6, 7: 7, 5: 8, 90: 6, 180: 3, 270: 8}
"""LibRaw's flip (1 for across, 2 for down, 4 for along the diagonal; or degrees) as EXIF orientation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFrame:
    """What LibRaw makes of a file, known without decoding it.

    Attributes:
        height: Rows that see light, all of which LibRaw develops, not turned.
        width: Columns that see light.
        channels: 3, or 1 for a sensor without colours.
        orientation: EXIF orientation 1 to 8.
        is_stretched: Whether the pixels of the sensor are not square and LibRaw makes them so.
    """

    height: int
    width: int
    channels: int
    orientation: int
    is_stretched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """A RAW photo in camera space.

    Attributes:
        samples: (H, W, C) light times ``balance``, 65535 for the greatest that the sensor tells apart.
        balance: The white balance, the greatest factor being 1.
        is_balance_known: Whether the file states it; otherwise it is that of daylight, as LibRaw has it.
        from_xyz: (3, 3) XYZ to camera space as LibRaw knows it, or None.
    """

    samples: NDArray[np.uint16]
    balance: tuple[float, ...]
    is_balance_known: bool
    from_xyz: NDArray[np.float64] | None


@contextmanager
def open_raw(data: bytes) -> Generator[rawpy.RawPy]:
    """Gives a RAW file as LibRaw opens it; no pixel is decoded before one is asked for.

    Raises:
        UnsupportedFormatError: LibRaw does not know such files.
        PhotoTooLargeError: It is larger than LibRaw takes.
        ValueError: It is damaged so that only a part of it claims to be that large.
        MemoryError: There is not enough memory.
    """
    pixel_count = 0
    try:
        with rawpy.imread(BytesIO(data)) as raw:
            pixel_count = raw.sizes.raw_height * raw.sizes.raw_width
            yield raw
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError) as error:
        raise UnsupportedFormatError(
            "This RAW file is damaged, cut short, or of a camera that is not read here; please send it again, or"
            " convert it to a DNG or a TIFF."
        ) from error
    except rawpy.LibRawTooBigError as error:
        if 0 < pixel_count <= _MOST_RAW_PIXELS:
            raise ValueError("a part of the file claims more than its pixels can take") from error
        raise PhotoTooLargeError("This RAW photo is larger than can be read; please export it as TIFF.") from error
    except rawpy.LibRawUnsufficientMemoryError as error:
        raise MemoryError from error


def raw_frame(raw: rawpy.RawPy) -> RawFrame:
    """Returns the size and kind of an opened RAW file.

    Raises:
        UnsupportedFormatError: Its sensor has other colours than red, green and blue.
    """
    if raw.num_colors not in (1, 3):
        raise UnsupportedFormatError(
            "The sensor of this camera sees other colours than red, green and blue, which is not read here; please"
            " export the photo as TIFF."
        )
    sizes = raw.sizes
    height, width, aspect = sizes.height, sizes.width, sizes.pixel_aspect
    is_stretched = aspect > 0 and math.isfinite(aspect) and aspect != 1
    if is_stretched and aspect < 1:
        height = int(height / aspect + 0.5)
    elif is_stretched:
        width = int(width * aspect + 0.5)
    return RawFrame(
        height=height,
        width=width,
        channels=raw.num_colors,
        orientation=_ORIENTATIONS.get(sizes.flip, 1),
        is_stretched=is_stretched,
    )


def preview_exif(raw: rawpy.RawPy) -> bytes | None:
    """Returns the EXIF block of the preview inside an opened RAW file, which LibRaw makes where the camera did not.

    Returns:
        TIFF bytes, or None without a JPEG preview.
    """
    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawError, NotImplementedError, ValueError):
        return None
    if preview.format is not rawpy.ThumbFormat.JPEG:
        return None
    head = bytes(preview.data[:12])
    if head[:4] != b"\xff\xd8\xff\xe1" or head[6:] != b"Exif\x00\x00":
        return None
    return bytes(preview.data[12 : 4 + int.from_bytes(head[4:6], "big")])


def develop(raw: rawpy.RawPy, frame: RawFrame) -> Developed:
    """Returns the light that the sensor saw, with all colours at each pixel.

    Args:
        raw: Opened.
        frame: What :func:`raw_frame` says of it.

    Raises:
        UnsupportedFormatError: LibRaw develops it to another size than it says.
        ValueError: The values of the sensor are not in the file.
    """
    raw.unpack()
    refuse_blank(raw.raw_image_visible, is_mosaic=raw.raw_type is rawpy.RawType.Flat)
    factors, is_known = _balance(raw, frame.channels)
    samples = raw.postprocess(
        user_wb=list(factors),
        output_color=rawpy.ColorSpace.raw,
        gamma=(1, 1),
        no_auto_bright=True,
        output_bps=16,
        highlight_mode=rawpy.HighlightMode.Ignore,
        user_flip=0,
        adjust_maximum_thr=0.0,
        demosaic_algorithm=_algorithm(raw, frame),
    )
    if samples.shape != (frame.height, frame.width, frame.channels):
        raise UnsupportedFormatError(
            "The sensor of this camera is laid out in a way that is not read here; please export the photo as TIFF."
        )
    matrix = np.asarray(raw.rgb_xyz_matrix, np.float64)[:3]
    return Developed(
        samples=samples.view(np.uint16),
        balance=tuple(factor / max(factors) for factor in factors[: frame.channels]),
        is_balance_known=is_known,
        from_xyz=matrix if np.isfinite(matrix).all() and matrix.any() else None,
    )


def _balance(raw: rawpy.RawPy, channels: int) -> tuple[tuple[float, float, float, float], bool]:
    """Returns the factors of red, green, blue and the second green, and whether the file states them."""
    if channels == 1:
        return (1.0, 1.0, 1.0, 1.0), True
    for found, is_known in ((raw.camera_whitebalance, True), (raw.daylight_whitebalance, False)):
        red, green, blue, second = found
        if min(found[:3]) > 0 and max(found[:3]) <= _MOST_BALANCE * min(found[:3]):
            return (red, green, blue, second if green / 2 < second < green * 2 else green), is_known
    return (1.0, 1.0, 1.0, 1.0), False


def _algorithm(raw: rawpy.RawPy, frame: RawFrame) -> rawpy.DemosaicAlgorithm:
    """Returns how colours are interpolated; LibRaw itself takes another way where a sensor is not a Bayer one."""
    try:
        pattern = raw.raw_pattern
    except NotImplementedError:
        pattern = None
    is_bayer = pattern is not None and pattern.shape == (2, 2)
    is_small = frame.height * frame.width <= _MOST_DHT_PIXELS
    return rawpy.DemosaicAlgorithm.DHT if is_bayer and is_small else rawpy.DemosaicAlgorithm.AHD
