"""What one page of a TIFF says of its pixels, held to what can be decoded before any of them is touched.

Nothing here takes memory in proportion to what a tag claims: only numbers are read, and few of them.

Source: TIFF 6.0, sections 3 to 6, 8 to 11, 14 to 16, 18 and 22; TIFF Technical Note 3 (floating-point predictor).
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sr_core.errors import UnsupportedFormatError
from sr_core.image.tiff.ifd import Directory, Form

__all__ = ["Alpha", "Colours", "Page", "Pages", "page_of", "pages_of"]

Colours: TypeAlias = Literal["grey", "rgb", "palette", "cmyk"]
Alpha: TypeAlias = Literal["straight", "premultiplied"]

_SUBFILE: Final = 254
_OLD_SUBFILE: Final = 255
_WIDTH: Final = 256
_HEIGHT: Final = 257
_BITS: Final = 258
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_FILL_ORDER: Final = 266
_SAMPLES: Final = 277
_ROWS_PER_STRIP: Final = 278
_PLANAR: Final = 284
_PREDICTOR: Final = 317
_TILE_WIDTH: Final = 322
_TILE_HEIGHT: Final = 323
_INK_SET: Final = 332
_EXTRA_SAMPLES: Final = 338
_SAMPLE_FORMAT: Final = 339
_DEPTHS: Final = (32997, 32998)

_JPEG: Final = 7
_OLD_JPEG: Final = 6
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_COLOURS: Final[dict[int, tuple[Colours, int]]] = {
    _WHITE_IS_ZERO: ("grey", 1), _BLACK_IS_ZERO: ("grey", 1), _RGB: ("rgb", 3), _PALETTE: ("palette", 1),
    _CMYK: ("cmyk", 4), _YCBCR: ("rgb", 3),
}  # fmt: skip
_ALPHAS: Final[dict[int, Alpha]] = {1: "premultiplied", 2: "straight"}
_FLOAT_BITS: Final = (16, 24, 32, 64)
_MOST_SEGMENTS: Final = 1 << 17
_MOST_TILE_PIXELS: Final = 1 << 22
_MOST_PAGES: Final = 2048
_MOST_ENTRIES: Final = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How the pixels of a page are stored.

    Attributes:
        height: Rows.
        width: Columns.
        colours: What the first samples of a pixel are.
        alpha: How the sample behind them multiplies, or None where it is no opacity, or there is none.
        bits: Bits of a sample.
        is_float: Whether samples are floating-point numbers.
        samples: Samples of a pixel, those included that mean nothing here.
        is_inverted: Whether 0 is white.
        is_planar: Whether each sample has a plane of its own.
        compression: Its number.
        predictor: 1 for none, 2 for differences, 3 for those of floating-point numbers.
        is_ycbcr: Whether JPEG has to turn the colours into RGB.
        is_reversed: Whether the lowest bit of each byte is the first.
        is_tiled: Whether the segments are tiles of equal size, or strips of whole rows, the last one being shorter.
        segment: Rows and columns of a segment.
    """

    height: int
    width: int
    colours: Colours
    alpha: Alpha | None
    bits: int
    is_float: bool
    samples: int
    is_inverted: bool
    is_planar: bool
    compression: int
    predictor: int
    is_ycbcr: bool
    is_reversed: bool
    is_tiled: bool
    segment: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Segments down and across, in one plane."""
        return -(-self.height // self.segment[0]), -(-self.width // self.segment[1])

    @property
    def colour_samples(self) -> int:
        """Samples of a pixel that are its colour."""
        return {"grey": 1, "rgb": 3, "palette": 1, "cmyk": 4}[self.colours]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of a file.

    Attributes:
        main: The directory of the first one of full size.
        count: How many of full size there are.
    """

    main: Directory
    count: int


def pages_of(data: bytes, form: Form) -> Pages:
    """Returns the first page of full size and their number; previews, reduced sizes and masks do not count.

    Args:
        data: The file.
        form: How its numbers are written.
    """
    first = Directory(data, form, form.first_at)
    page, full = first, list[Directory]()
    seen = {form.first_at}
    count, entries = 0, 0
    while True:
        entries += len(page.entries)
        if _is_full(page):
            count += 1
            full = full or [page]
        if not page.next_at or page.next_at in seen or len(seen) >= _MOST_PAGES or entries > _MOST_ENTRIES:
            return Pages(main=full[0] if full else first, count=max(count, 1))
        seen.add(page.next_at)
        page = Directory(data, form, page.next_at)


def page_of(directory: Directory) -> Page:
    """Returns how the pixels of a page are stored.

    Raises:
        UnsupportedFormatError: They are of a kind that is not read here.
        ValueError: The tags contradict each other.
    """
    height, width = directory.whole(_HEIGHT), directory.whole(_WIDTH)
    if height < 1 or width < 1:
        raise ValueError("the page is empty")
    compression = directory.whole(_COMPRESSION, 1)
    photometric = directory.whole(_PHOTOMETRIC, -1)
    colours, colour_samples = _colours_of(photometric, compression)
    samples = directory.whole(_SAMPLES, 1)
    if not colour_samples <= samples:
        raise ValueError("a pixel has fewer samples than its colour needs")
    if samples > 4:
        raise _unsupported(f"has {samples} channels", "save it as RGB, with no more than a transparency beside")
    bits, is_float = _depth_of(directory, samples)
    if any(directory.whole(tag, 1) > 1 for tag in _DEPTHS):
        raise _unsupported("is a volume", "save one of its planes as a picture")
    if colours == "cmyk" and directory.whole(_INK_SET, 1) != 1:
        raise _unsupported("is separated into inks that are not CMYK", "save it as RGB")
    is_odd = colours in ("palette", "cmyk") or photometric == _WHITE_IS_ZERO
    if is_float and is_odd:
        raise _unsupported("has floating-point samples that are neither grey nor RGB", "save it as RGB")
    extra = [int(value) for value in directory.numbers(_EXTRA_SAMPLES, 4)]
    page = Page(
        height=height,
        width=width,
        colours=colours,
        alpha=_ALPHAS.get(extra[0]) if extra and samples > colour_samples else None,
        bits=bits,
        is_float=is_float,
        samples=samples,
        is_inverted=photometric == _WHITE_IS_ZERO,
        is_planar=directory.whole(_PLANAR, 1) == 2 and samples > 1,
        compression=compression,
        predictor=directory.whole(_PREDICTOR, 1),
        is_ycbcr=photometric == _YCBCR,
        is_reversed=directory.whole(_FILL_ORDER, 1) == 2,
        is_tiled=_TILE_WIDTH in directory,
        segment=_segment_of(directory, height, width),
    )
    down, across = page.grid
    if down * across * (samples if page.is_planar else 1) > _MOST_SEGMENTS:
        raise ValueError("the page is cut into too many segments")
    return page


def _is_full(directory: Directory) -> bool:
    """Returns whether a page is a picture in its own right (TIFF 6.0, section 8, NewSubfileType and SubfileType)."""
    is_part = directory.whole(_SUBFILE) & 0b101 or directory.whole(_OLD_SUBFILE) == 2
    return not is_part and directory.whole(_PHOTOMETRIC) != _MASK and _WIDTH in directory


def _colours_of(photometric: int, compression: int) -> tuple[Colours, int]:
    """Returns what the colour samples of a pixel are, and how many."""
    if compression == _OLD_JPEG:
        raise _unsupported("uses the JPEG compression of 1992, which was replaced in 1995", "save it again, as RGB")
    if photometric == _YCBCR and compression != _JPEG:
        raise _unsupported("holds YCbCr colours without JPEG compression", "save it as RGB")
    if photometric not in _COLOURS:
        raise _unsupported("does not hold RGB, grey, palette or CMYK colours", "save it as RGB")
    return _COLOURS[photometric]


def _depth_of(directory: Directory, samples: int) -> tuple[int, bool]:
    """Returns the bits of a sample and whether it is a floating-point number."""
    depths = {int(bits) for bits in directory.numbers(_BITS, samples)} or {1}
    formats = {int(kind) for kind in directory.numbers(_SAMPLE_FORMAT, samples)} or {1}
    if len(depths) > 1 or len(formats) > 1:
        raise _unsupported("has samples of several depths", "save it with 8 or 16 bits a sample")
    bits, kind = depths.pop(), formats.pop()
    if kind == 3 and bits in _FLOAT_BITS:
        return bits, True
    if kind not in (1, 4):
        raise _unsupported("has samples that are signed or complex numbers", "save it with 8 or 16 bits a sample")
    if not 1 <= bits <= 16:
        raise _unsupported(f"has integers of {bits} bits", "save it with 8 or 16 bits a sample, or as 32-bit float")
    return bits, False


def _segment_of(directory: Directory, height: int, width: int) -> tuple[int, int]:
    """Returns rows and columns of a segment, which takes no more memory than its page would."""
    if _TILE_WIDTH in directory:
        rows, columns = directory.whole(_TILE_HEIGHT), directory.whole(_TILE_WIDTH)
        if rows < 1 or columns < 1 or rows * columns > max(_MOST_TILE_PIXELS, 4 * height * width):
            raise ValueError("the tiles do not fit the page")
        return rows, columns
    return max(1, min(directory.whole(_ROWS_PER_STRIP, height) or height, height)), width


def _unsupported(what: str, advice: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(f"This TIFF {what}, which is not read here; please {advice}.")
