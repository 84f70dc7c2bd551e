"""The first frame of an AVIF that holds a film and no picture.

Source: ISO/IEC 14496-12:2022, 8.5.2 (stsd), 8.7 (stsz, stco), 12.1.3 (VisualSampleEntry).
"""

from collections.abc import Iterator
from typing import Final

from sr_core.errors import UnsupportedFormatError
from sr_core.image.heif.items import Bytes, Cursor, Item, ItemSet, Property, boxes

__all__ = ["first_frame"]

_TABLE: Final = (b"mdia", b"minf", b"stbl")
_BRANDS: Final = (b"avis", b"avis")


def first_frame(data: Bytes) -> ItemSet:
    """Returns the first frame of a film as the picture of a file; its transparency, if any, is left out.

    Args:
        data: The file.

    Raises:
        UnsupportedFormatError: The film is none of AV1.
        ValueError: There is none, or its boxes are broken.
    """
    view = memoryview(data)
    for movie in _inside(view, b"moov"):
        for track in _inside(movie, b"trak"):
            media = dict(part for kind in _inside(track, b"mdia") for part in boxes(kind))
            if bytes(media.get(b"hdlr", memoryview(b""))[8:12]) not in (b"pict", b"vide"):
                continue
            table = track
            for kind in _TABLE:
                table = next(_inside(table, kind), memoryview(b""))
            return _frame(view, dict(boxes(table)))
    raise ValueError("the file has neither items nor a film")


def _inside(data: memoryview, kind: bytes) -> Iterator[memoryview]:
    """Yields the bodies of the boxes of a kind."""
    return (body for name, body in boxes(data) if name == kind)


def _frame(data: memoryview, table: dict[bytes, memoryview]) -> ItemSet:
    """Returns the frame that a sample table begins with."""
    if not {b"stsd", b"stsz"} <= table.keys() or not {b"stco", b"co64"} & table.keys():
        raise ValueError("a film without tables")
    description = Cursor(table[b"stsd"])
    description.take(8)
    kind, body = next(boxes(description.rest()), (b"", memoryview(b"")))
    if kind != b"av01":
        name = kind.decode("ascii", "replace")
        raise UnsupportedFormatError(
            f"This AVIF is a film of a kind ({name}) that is not read here; please send a photo."
        )
    entry = Cursor(body)
    entry.take(24)
    width, height = entry.number(2), entry.number(2)
    entry.take(50)
    sizes = Cursor(table[b"stsz"])
    sizes.version()
    size, _ = sizes.number(4), sizes.number(4)
    size = size or sizes.number(4)
    is_long = b"co64" in table
    places = Cursor(table[b"co64" if is_long else b"stco"])
    places.take(8)
    at = places.number(8 if is_long else 4)
    ispe = Property(kind=b"ispe", body=bytes(4) + width.to_bytes(4, "big") + height.to_bytes(4, "big"))
    known = [Property(kind=name, body=bytes(part), essential=name == b"av1C") for name, part in boxes(entry.rest())]
    frame = data[at : at + size] if size and at + size <= len(data) else None
    item = Item(id=1, kind=kind, properties=(ispe, *known), data=frame)
    return ItemSet(brands=_BRANDS, primary=1, items={1: item})
