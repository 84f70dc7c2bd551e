"""Items as a HEIF file: the inverse of :func:`sr_core.image.heif.items.read`.

Source: ISO/IEC 14496-12:2022, 8.11; ISO/IEC 23008-12:2022, 9.3.
"""

from collections.abc import Iterable, Mapping
from typing import BinaryIO, Final

from sr_core.image.heif.items import MAX_ITEMS, Item, ItemSet

__all__ = ["box", "write"]

_IN_META: Final = (b"grid", b"iovl")
"""Kinds of items whose few bytes phones and encoders write inside the meta box."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """Returns a box.

    Args:
        kind: Its type, four characters.
        parts: Its body, in pieces.
    """
    body = b"".join(parts)
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def write(items: ItemSet, file: BinaryIO) -> None:
    """Writes items to a file; their data are written one by one, so the file is never in memory as a whole.

    Args:
        items: What to write; data lie in the file in this order.
        file: An empty file.

    Raises:
        ValueError: The data of an item are missing, there is no brand, or the file would be larger than 4 GiB.
    """
    if len(items.items) > MAX_ITEMS or not items.brands:
        raise ValueError("too many items, or no brand")
    head = box(b"ftyp", items.brands[0], bytes(4), *items.brands[1:])
    behind = [item for item in items.items.values() if item.kind not in _IN_META]
    # The length of the meta box does not depend on the offsets in it.
    data_at = len(head) + len(_meta(items, 0)) + 8
    size = sum(len(_data(item)) for item in behind) + 8
    if data_at + size > 0xFFFF_FFFF:
        raise ValueError("the file would be larger than 4 GiB")
    file.write(head)
    file.write(_meta(items, data_at))
    file.write(size.to_bytes(4, "big") + b"mdat")
    for item in behind:
        file.write(_data(item))


def _data(item: Item) -> bytes | memoryview:
    if item.data is None:
        raise ValueError(f"the data of item {item.id} are missing")
    return item.data


def _meta(items: ItemSet, data_at: int) -> bytes:
    """Returns the meta box.

    Args:
        items: The items.
        data_at: Offset in the file of the first byte of data.
    """
    all_items = items.items.values()
    is_wide = max(items.items) > 0xFFFF
    number = 4 if is_wide else 2
    version = bytes((int(is_wide), 0, 0, 0))

    def identity(value: int) -> bytes:
        return value.to_bytes(number, "big")

    entries = [
        box(
            b"infe",
            bytes((3 if is_wide else 2, 0, 0, int(item.hidden))),
            identity(item.id) + bytes(2) + item.kind + item.label,
        )
        for item in all_items
    ]
    references = [
        box(
            reference.kind,
            identity(item.id) + len(reference.to).to_bytes(2, "big"),
            *(identity(target) for target in reference.to),
        )
        for item in all_items
        for reference in item.references
    ]
    inside = [_data(item) for item in all_items if item.kind in _IN_META]
    groups = [
        box(
            group.kind,
            bytes(4) + group.id.to_bytes(4, "big") + len(group.members).to_bytes(4, "big"),
            *(member.to_bytes(4, "big") for member in group.members),
        )
        for group in items.groups
    ]
    return box(
        b"meta",
        bytes(4),
        box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
        box(b"pitm", version, identity(items.primary)),
        _places(all_items, data_at, is_wide=is_wide),
        box(b"iinf", version, len(entries).to_bytes(number, "big"), *entries),
        box(b"iref", version, *references) if references else b"",
        _properties(all_items, is_wide=is_wide),
        box(b"idat", *map(bytes, inside)) if inside else b"",
        box(b"grpl", *groups) if groups else b"",
    )


def _places(items: Iterable[Item], data_at: int, *, is_wide: bool) -> bytes:
    """Returns the iloc box: one extent for each item that has data."""
    number = 4 if is_wide else 2
    places: list[bytes] = []
    offsets = {0: data_at, 1: 0}
    for item in items:
        size = len(_data(item))
        method = int(item.kind in _IN_META)
        if size:
            place = item.id.to_bytes(number, "big") + bytes((0, method, 0, 0, 0, 1))
            places.append(place + offsets[method].to_bytes(4, "big") + size.to_bytes(4, "big"))
        offsets[method] += size
    version = bytes((2 if is_wide else 1, 0, 0, 0))
    return box(b"iloc", version, b"\x44\x00", len(places).to_bytes(number, "big"), *places)


def _properties(items: Iterable[Item], *, is_wide: bool) -> bytes:
    """Returns the iprp box: each different property once, and which of them belong to which item."""
    indices: dict[tuple[bytes, bytes], int] = {}
    for item in items:
        for prop in item.properties:
            indices.setdefault((prop.kind, prop.body), len(indices) + 1)
    is_long = len(indices) > 0x7F
    links = _links(items, indices, is_long=is_long, number=4 if is_wide else 2)
    ipma = box(b"ipma", bytes((int(is_wide), 0, 0, int(is_long))), len(links).to_bytes(4, "big"), *links)
    return box(b"iprp", box(b"ipco", *(box(kind, body) for kind, body in indices)), ipma)


def _links(
    items: Iterable[Item], indices: Mapping[tuple[bytes, bytes], int], *, is_long: bool, number: int
) -> list[bytes]:
    """Returns the entries of an ipma box, which are in the order of the ids."""
    size, mark = (2, 0x8000) if is_long else (1, 0x80)
    return [
        b"".join(
            (
                item.id.to_bytes(number, "big"),
                len(item.properties).to_bytes(1, "big"),
                *(
                    (indices[prop.kind, prop.body] | mark * prop.essential).to_bytes(size, "big")
                    for prop in item.properties
                ),
            )
        )
        for item in sorted(items, key=lambda item: item.id)
        if item.properties
    ]
