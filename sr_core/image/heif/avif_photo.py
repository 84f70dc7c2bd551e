"""The picture that an AVIF shows, apart from all else in the file, and held against its own bitstream.

A decoder takes memory for what the bitstream says and not for what the items say, so both must agree before it runs.

Source: AV1 Image File Format (AVIF) 1.1, 2 to 4; ISO/IEC 23008-12:2022, 6.5.9 (clap), 6.6.2.3 (grid).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from sr_core.errors import UnsupportedFormatError
from sr_core.image.heif.auxiliary import is_alpha
from sr_core.image.heif.av1 import Sequence, sequence_of
from sr_core.image.heif.items import Cursor, Item, ItemSet, Reference

__all__ = ["AvifPhoto", "photo_of"]

_PROPERTIES: Final = (b"ispe", b"pixi", b"av1C", b"auxC", b"a1op", b"a1lx", b"lsel")
_REFERENCES: Final = (b"dimg", b"auxl", b"prem")
_BRANDS: Final = (b"avif", b"avif", b"mif1", b"miaf")
_SPARE_PIXELS: Final = 1 << 24
_MOST_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class AvifPhoto:
    """The picture that a file shows, and nothing else of the file.

    Attributes:
        items: What is decoded: the picture, its tiles and its alpha, without turns, crops and profiles.
        sequence: What its bitstream says.
        height: Rows of the decoded picture.
        width: Columns of the decoded picture.
        crop: Top, left, height and width of the part that is shown.
        has_alpha: Whether there is transparency.
    """

    items: ItemSet
    sequence: Sequence
    height: int
    width: int
    crop: tuple[int, int, int, int]
    has_alpha: bool


def photo_of(items: ItemSet) -> AvifPhoto:
    """Returns the primary picture.

    Raises:
        UnsupportedFormatError: It is of a kind that cannot be decoded.
        ValueError: Its parts do not fit together, or the bitstream says something else.
    """
    main = items.main
    if main.kind not in (b"av01", b"grid"):
        kind = main.kind.decode("ascii", "replace")
        raise UnsupportedFormatError(
            f"The picture in this AVIF is of a kind ({kind}) that is not read here; please export it as a plain AVIF."
        )
    cells = _cells(items, main)
    height, width = _size(main)
    sequence = _checked(items, main)
    kept = {main.id: main, **cells}
    alphas = _alphas(items, main.id, cells)
    for alpha in alphas:
        _checked(items, alpha)
        kept |= {alpha.id: alpha, **_cells(items, alpha)}
    if sum(len(item.data or b"") for item in kept.values()) > _MOST_BYTES:
        raise ValueError("the tiles have more bytes than a photo has")
    sealed = {number: _bare(item, set(kept)) for number, item in sorted(kept.items())}
    return AvifPhoto(
        items=ItemSet(brands=_BRANDS, primary=main.id, items=sealed),
        sequence=sequence,
        height=height,
        width=width,
        crop=_crop(main, height, width),
        has_alpha=bool(alphas),
    )


def _alphas(items: ItemSet, main: int, cells: Mapping[int, Item]) -> list[Item]:
    """Returns the alpha of a picture, or that of each of its tiles; of several of a kind only the first is one."""
    known: dict[int, Item] = {}
    for item in filter(is_alpha, items.items.values()):
        for number in item.to(b"auxl"):
            if number == main or (number in cells and item.kind == b"av01"):
                known.setdefault(number, item)
    return [known[main]] if main in known else list(known.values())


def _cells(items: ItemSet, whole: Item) -> dict[int, Item]:
    """Returns the tiles of a grid; none for other pictures."""
    numbers = whole.to(b"dimg") if whole.kind == b"grid" else ()
    if any(number not in items.items for number in numbers):
        raise ValueError("a tile is missing")
    return {number: items.items[number] for number in numbers}


def _bare(item: Item, kept: set[int]) -> Item:
    """Returns an item with nothing that the decoder would do beyond decoding it."""
    return replace(
        item,
        label=b"\x00",
        properties=tuple(prop for prop in item.properties if prop.kind in _PROPERTIES),
        references=tuple(
            Reference(kind=reference.kind, to=to)
            for reference in item.references
            if reference.kind in _REFERENCES and (to := tuple(number for number in reference.to if number in kept))
        ),
    )


def _size(item: Item) -> tuple[int, int]:
    """Returns height and width that an item says it has."""
    body = item.body(b"ispe") or b""
    width, height = int.from_bytes(body[4:8], "big"), int.from_bytes(body[8:12], "big")
    if len(body) < 12 or not width or not height:
        raise ValueError("a picture without a size")
    return height, width


def _checked(items: ItemSet, item: Item) -> Sequence:
    """Returns what the bitstream of a picture or of its tiles says.

    Raises:
        ValueError: It does not fit what the items say.
    """
    if item.kind == b"av01":
        return _bitstream(item)
    cells = _cells(items, item)
    if item.kind != b"grid" or any(cell.kind != b"av01" for cell in cells.values()):
        raise ValueError("a grid of something else than AV1 tiles")
    rows, columns, height, width = _layout(item)
    sizes, sequences = {_size(cell) for cell in cells.values()}, {_bitstream(cell) for cell in cells.values()}
    if len(item.to(b"dimg")) != rows * columns or len(sizes) != 1 or len(sequences) != 1:
        raise ValueError("tiles that differ, or are too few or too many")
    cell_height, cell_width = sizes.pop()
    held = rows * columns * cell_height * cell_width
    fits = 0 <= rows * cell_height - height < cell_height and 0 <= columns * cell_width - width < cell_width
    if (height, width) != _size(item) or not fits or held > 2 * height * width + _SPARE_PIXELS:
        raise ValueError("tiles that do not make the picture")
    return sequences.pop()


def _bitstream(item: Item) -> Sequence:
    """Returns the sequence header of a picture, which says the same size as its item.

    Raises:
        ValueError: The data are missing, broken, or of another size.
    """
    if item.data is None:
        raise ValueError("the data of a picture are cut short")
    sequence = sequence_of(item.data)
    if (sequence.height, sequence.width) != _size(item):
        raise ValueError("a bitstream of another size than the file says")
    return sequence


def _layout(item: Item) -> tuple[int, int, int, int]:
    """Returns rows and columns of tiles, then height and width in pixels."""
    layout = Cursor(memoryview(item.data or b""))
    layout.number(1)
    size = 4 if layout.number(1) & 1 else 2
    rows, columns = layout.number(1) + 1, layout.number(1) + 1
    width, height = layout.number(size), layout.number(size)
    return rows, columns, height, width


def _crop(item: Item, height: int, width: int) -> tuple[int, int, int, int]:
    """Returns top, left, height and width of the part that is shown: all, unless a valid crop is stated."""
    whole = (0, 0, height, width)
    body = item.body(b"clap") or b""
    if len(body) < 32:
        return whole
    numbers = [int.from_bytes(body[at : at + 4], "big", signed=True) for at in range(0, 32, 4)]
    if min(numbers[1::2]) <= 0:
        return whole
    wide, high, right, down = (Fraction(top, bottom) for top, bottom in zip(numbers[::2], numbers[1::2], strict=True))
    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
    parts = (top, left, high, wide)
    is_inside = min(top, left) >= 0 and min(high, wide) > 0 and top + high <= height and left + wide <= width
    if not is_inside or any(part.denominator != 1 for part in parts):
        return whole
    return int(top), int(left), int(high), int(wide)
