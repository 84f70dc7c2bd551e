"""TIFF files: directories read by hand, segments inflated by imagecodecs, files written by tifffile strip by strip.

Integers are kept as they are. Floating-point samples are kept as floating-point samples: as light where a linear
profile says so or none says anything, which is what photo programs mean by them, else as the signal of their profile.

Source: TIFF 6.0; Adobe Photoshop TIFF Technical Notes (2002); XMP Specification Part 3, 3.3; ICC.1:2022, B.3.
"""

from collections.abc import Iterator
from typing import BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from sr_core.errors import UnsupportedFormatError
from sr_core.image.family import Decoded, Holds, Quality
from sr_core.image.header import Stored
from sr_core.image.icc import is_linear
from sr_core.image.picture import Extra, Metadata, Picture
from sr_core.image.tiff.exif import exif_of
from sr_core.image.tiff.ifd import Directory, Form, form_of
from sr_core.image.tiff.page import Page, page_of, pages_of
from sr_core.image.tiff.pixels import raw_samples
from sr_core.image.tiff.samples import colour_map, integer_samples, straight
from sr_core.image.tiff.strips import FLOAT_KIND, IPTC_KIND, write_strips
from sr_core.image.transfer import fitted_transfer, signal_of, signal_of_samples

__all__ = ["HOLDS", "parse", "pixels", "write"]

HOLDS: Final = Holds(bits=(8, 16), longest_side=1_000_000, linear=True, takes_exif_apart=True)

_ORIENTATION: Final = 274
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCHES_OF_UNIT: Final = {2: 1.0, 3: 1 / 2.54}
_MOST_DPI: Final = 1e6
_XMP: Final = 700
_IPTC: Final = 33723
_ICC: Final = 34675
_MOST_ICC_BYTES: Final = 16 << 20
_ANALYSIS: Final = "The notes of image analysis software in this TIFF are not kept."
_LEFT_OUT: Final = {
    34377: "What Photoshop keeps for itself in this TIFF (guides, print settings, previews) is not kept.",
    37724: "The layers of this TIFF are not kept: the result is the flat picture.",
    34735: "The map position (GeoTIFF) of this TIFF counts in its pixels and is not kept.",
    34412: _ANALYSIS,
    50839: _ANALYSIS,
}
_IPTC_START: Final = 0x1C
_PEAK: Final = 65535
_BAND_SAMPLES: Final = 1 << 22


def parse(data: bytes) -> Stored:
    """Returns what the directories of a TIFF say of its first picture of full size.

    Raises:
        UnsupportedFormatError: Its pixels are of a kind that is not read here.
        ValueError: The directories are broken.
    """
    pages = pages_of(data, _form_of(data))
    directory, page = pages.main, page_of(pages.main)
    icc = _bytes_of(directory, _ICC, _MOST_ICC_BYTES)
    block = exif_of(data)
    notices: list[str] = []
    if pages.count > 1:
        notices.append(f"This TIFF holds {pages.count} pictures; only the first one is kept.")
    notices.extend(_pixel_notices(page, icc))
    notices.extend(notice for tag, notice in _LEFT_OUT.items() if tag in directory)
    return Stored(
        height=page.height,
        width=page.width,
        bit_depth=16 if page.is_float or _is_light(page, icc) else _depth(directory, page),
        channels=1 if page.colours == "grey" else 3,
        has_alpha=page.alpha is not None,
        orientation=_orientation(directory),
        metadata=Metadata(
            icc=None if page.colours == "cmyk" else icc,
            exif=block.exif,
            xmp=(_bytes_of(directory, _XMP) or b"").rstrip(b"\x00") or None,
            dpi=_dpi(directory),
            extras=tuple(_extras(directory, page, icc)),
        ),
        samples=f"{page.bits} bit float" if page.is_float else f"{page.bits} bit",
        notices=(*dict.fromkeys(notices), *block.notices),
    )


def pixels(data: bytes, stored: Stored) -> Decoded:  # noqa: ARG001
    """Returns the stored samples as a signal, (H, W, C), alpha straight and last.

    Raises:
        UnsupportedFormatError: A floating-point sample is not a finite number, or the compression is not read here.
        ValueError: The file is damaged or cut short (and other errors of the engines).
    """
    form = _form_of(data)
    directory = pages_of(data, form).main
    page = page_of(directory)
    icc = _bytes_of(directory, _ICC, _MOST_ICC_BYTES)
    raw = raw_samples(data, directory, page, form.order)
    if page.is_float:
        return _float_signal(cast("NDArray[np.floating]", raw), page, icc)
    samples = integer_samples(raw, directory, page, icc)
    if not _is_light(page, icc):
        return Decoded(samples=samples)
    depth = _depth(directory, page)
    colours = samples[:, :, : samples.shape[2] - (page.alpha is not None)]
    transfer = fitted_transfer(colours, bits=depth)
    signal = signal_of_samples(colours, transfer)
    if page.alpha is not None:
        alpha = samples[:, :, -1:].astype(np.uint16) * (_PEAK // ((1 << depth) - 1))
        signal = np.concatenate((signal, alpha), axis=2)
    return Decoded(samples=signal, transfer=transfer)


def write(picture: Picture, file: BinaryIO, quality: Quality) -> None:  # noqa: ARG001
    """Writes a TIFF, deflated without loss; a BigTIFF where a TIFF could pass 4 GiB.

    Args:
        picture: 8 or 16 bits, or a signal with a transfer, whose samples are written as they were in the source.
        file: File to write.
        quality: Nothing here is lost.
    """
    write_strips(picture, file)


def _form_of(data: bytes) -> Form:
    """Returns how the numbers of a file are written."""
    form = form_of(data)
    if form is None:
        raise ValueError("the header is not that of a TIFF")
    return form


def _bytes_of(directory: Directory, tag: int, most: int | None = None) -> bytes | None:
    """Returns the bytes of a tag, or None where it is not there, empty, or longer than ``most``."""
    entry = directory.entries.get(tag)
    if entry is None or not entry.count or (most is not None and entry.size_bytes > most):
        return None
    return directory.data_of(entry)


def _is_light(page: Page, icc: bytes | None) -> bool:
    """Returns whether samples are proportional to light."""
    return page.colours != "cmyk" and (is_linear(icc) or (page.is_float and icc is None))


def _depth(directory: Directory, page: Page) -> int:
    """Returns the bits of a decoded integer sample, before it may become a signal."""
    if page.colours == "palette":
        return colour_map(directory, page)[1]
    return 8 if page.bits <= 8 or page.colours == "cmyk" else 16


def _orientation(directory: Directory) -> int:
    """Returns the orientation 1 to 8; 1 where there is none or it is out of range."""
    orientation = directory.whole(_ORIENTATION, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _dpi(directory: Directory) -> tuple[float, float] | None:
    """Returns the pixels per inch across and down, or None where no unit is stated."""
    inches = _INCHES_OF_UNIT.get(directory.whole(_RESOLUTION_UNIT, 2))
    across, down = directory.numbers(_X_RESOLUTION, 1), directory.numbers(_Y_RESOLUTION, 1)
    if inches is None or not across or not down:
        return None
    dpi = (across[0] / inches, down[0] / inches)
    return dpi if all(0 < value <= _MOST_DPI for value in dpi) else None


def _extras(directory: Directory, page: Page, icc: bytes | None) -> Iterator[Extra]:
    """Yields the parts that only a TIFF can hold."""
    if page.is_float and not _is_light(page, icc):
        name = f"The floating-point form of the {page.bits}-bit samples of this TIFF"
        yield Extra(kind=FLOAT_KIND, name=name, data=bytes((page.bits,)))
    notes = (_bytes_of(directory, _IPTC) or b"").rstrip(b"\x00")
    if len(notes) >= 4 and notes[3] == _IPTC_START != notes[0]:  # written as numbers of the other byte order
        padded = notes.ljust(-(-len(notes) // 4) * 4, b"\x00")
        notes = np.frombuffer(padded, ">u4").astype("<u4").tobytes().rstrip(b"\x00")
    if notes:
        yield Extra(kind=IPTC_KIND, name="The IPTC notes of this TIFF", data=notes)


def _pixel_notices(page: Page, icc: bytes | None) -> Iterator[str]:
    """Yields a sentence for each way in which pixels are not taken as they are stored."""
    if page.colours == "cmyk":
        way = "by its own profile" if icc else "by the plain formula, as it has no profile"
        yield f"The CMYK colours of this TIFF were converted to sRGB {way}."
        if page.bits > 8:
            yield f"The {page.bits} bits of a sample become 8 as CMYK is converted."
    elif page.colours == "palette":
        yield "The palette of this TIFF becomes full colours."
    elif not page.is_float and page.bits not in HOLDS.bits:
        words = "bit of a sample of this TIFF becomes" if page.bits == 1 else "bits of a sample of this TIFF become"
        yield f"The {page.bits} {words} {8 if page.bits < 8 else 16}."
    if page.samples > page.colour_samples + (page.alpha is not None):
        yield "A further channel of this TIFF is not marked as transparency and is not kept."
    if page.is_float and icc is None:
        yield "The floating-point samples of this TIFF are taken as linear light, as no colour profile says otherwise."


def _float_signal(raw: NDArray[np.floating], page: Page, icc: bytes | None) -> Decoded:
    """Returns floating-point samples as a signal of 16 bits."""
    height, width, _ = raw.shape
    has_alpha = page.alpha is not None
    colours = page.colour_samples
    rows = max(1, _BAND_SAMPLES // (width * page.samples))
    bands = [slice(top, top + rows) for top in range(0, height, rows)]
    signal = np.empty((height, width, colours + has_alpha), dtype=np.uint16)
    beyond = False
    for band in bands:
        part = raw[band]
        if not np.isfinite(part).all():
            raise UnsupportedFormatError(
                "This TIFF has samples that are no finite numbers, which is not read here; please save it without them."
            )
        if page.alpha == "premultiplied":
            part[:, :, :colours] = straight(part[:, :, :colours], part[:, :, colours])
        light = part[:, :, :colours]
        beyond = beyond or bool((light < 0).any() or (light > 1).any())
        if has_alpha:
            signal[band, :, colours] = _scaled(part[:, :, colours])
        if not _is_light(page, icc):
            signal[band, :, :colours] = _scaled(light)
    if not _is_light(page, icc):
        notice = "Samples of this TIFF below 0 or above 1 lie outside of its colour profile and were cut off there."
        return Decoded(samples=signal, notices=(notice,) if beyond else ())
    transfer = fitted_transfer(raw[:, :, :colours], bits=page.bits)
    for band in bands:
        signal[band, :, :colours] = signal_of(raw[band, :, :colours], transfer)
    return Decoded(samples=signal, transfer=transfer)


def _scaled(values: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Returns values of 0 to 1 as 16 bits; others are cut off."""
    return np.rint(np.clip(values.astype(np.float64), 0, 1) * _PEAK).astype(np.uint16)
