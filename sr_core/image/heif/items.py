"""The items of a HEIF file (HEIC, AVIF): pictures, metadata and how they belong together, read and written as they are.

Files come from strangers: every count is bounded, every offset is checked, and reading takes time and memory in
proportion to the file. Data that lie in one piece are views of the file.

Source: ISO/IEC 14496-12:2022 (ISO base media file format), 4.2, 8.11 (meta, iloc, iinf, iref, idat), 8.18 (grpl);
ISO/IEC 23008-12:2022 (HEIF), 9.3 (iprp).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

__all__ = ["MAX_ITEMS", "Bytes", "Cursor", "Group", "Item", "ItemSet", "Property", "Reference", "boxes", "read"]

MAX_ITEMS: Final = 4096
_MAX_LINKS: Final = 1 << 16
_MAX_BOXES: Final = 1 << 16
_MAX_PROPERTIES: Final = 255

Bytes = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """Something that is true of an item, such as its size.

    Attributes:
        kind: Four characters, such as ``ispe``.
        body: The box behind its type; a version and flags, where there are any, are a part of it.
        essential: Whether a reader that does not know it must not show the item.
    """

    kind: bytes
    body: bytes
    essential: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """From an item to others.

    Attributes:
        kind: Four characters, such as ``dimg`` (is derived from), ``auxl`` (is auxiliary to), ``cdsc`` (describes).
        to: Ids of the others, in order.
    """

    kind: bytes
    to: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A picture or a piece of metadata.

    Attributes:
        id: Its number in the file.
        kind: Four characters, such as ``hvc1``, ``av01``, ``grid``, ``Exif`` or ``mime``.
        label: What follows in its entry: its name, then for ``mime`` its content type, each ended by a zero.
        hidden: Whether it is not to be shown by itself.
        properties: In the order of the file, which is that in which turns and crops are applied.
        references: From it to others.
        data: Its bytes; None where they are not in this file, or cut short.
    """

    id: int
    kind: bytes
    label: bytes = b"\x00"
    hidden: bool = False
    properties: tuple[Property, ...] = ()
    references: tuple[Reference, ...] = ()
    data: Bytes | None = b""

    @property
    def content_type(self) -> bytes:
        """The content type of an item of kind ``mime``."""
        return self.label.split(b"\x00")[1] if self.label.count(b"\x00") else b""

    def body(self, kind: bytes) -> bytes | None:
        """Returns the body of its first property of a kind, or None without one."""
        return next((prop.body for prop in self.properties if prop.kind == kind), None)

    def to(self, kind: bytes) -> tuple[int, ...]:
        """Returns the ids that it refers to by references of a kind."""
        return tuple(target for reference in self.references if reference.kind == kind for target in reference.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items that belong together, such as alternatives for each other (``altr``), the preferred one first."""

    kind: bytes
    id: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSet:
    """The items of a file.

    Attributes:
        brands: What the file says it conforms to, the major brand first.
        primary: Id of the item that is the photo.
        items: By id, in the order of the file.
        groups: In the order of the file; those of entities of which none is an item are left out.
    """

    brands: tuple[bytes, ...]
    primary: int
    items: Mapping[int, Item]
    groups: tuple[Group, ...] = ()

    @property
    def main(self) -> Item:
        """The primary item."""
        return self.items[self.primary]

    def referring(self, kind: bytes, to: int) -> tuple[Item, ...]:
        """Returns the items that refer to an item by a reference of a kind."""
        return tuple(item for item in self.items.values() if to in item.to(kind))


class Cursor:
    """Reads numbers from a box; nothing is read beyond its end.

    Args:
        data: The bytes that the box is in.
        at: Where to begin.
        end: Where the box ends.
    """

    def __init__(self, data: memoryview, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def take(self, count: int) -> memoryview:
        """Returns the next bytes.

        Raises:
            ValueError: The box ends before.
        """
        if not 0 <= count <= self.end - self.at:
            raise ValueError("a box is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        """Returns the next unsigned number of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def version(self) -> tuple[int, int]:
        """Returns version and flags of a full box."""
        return self.number(1), self.number(3)

    def rest(self) -> memoryview:
        """Returns what is left of the box."""
        return self.take(self.end - self.at)


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yields type and body of each box.

    Args:
        data: Boxes, one behind the other; a last one may be cut short.

    Raises:
        ValueError: A size is impossible, or there are too many.
    """
    at = 0
    for _ in range(_MAX_BOXES):
        if at + 8 > len(data):
            return
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8]), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            raise ValueError("a box is smaller than its head")
        yield kind, data[at + head : at + size]
        at += size
    raise ValueError("too many boxes")


def read(data: Bytes) -> ItemSet:
    """Returns the items of a file.

    Args:
        data: The file.

    Raises:
        ValueError: The boxes are broken, or there is no primary item.
    """
    view = memoryview(data)
    brands: tuple[bytes, ...] = ()
    for kind, body in boxes(view):
        if kind == b"ftyp":
            words = bytes(body[: 4 * 64])
            brands = tuple(words[at : at + 4] for at in (0, *range(8, len(words), 4)) if at + 4 <= len(words))
        elif kind == b"meta":
            return _ItemReader(view, body[4:]).items(brands)
    raise ValueError("the file has no items")


@dataclass(slots=True)
class _Entry:
    """What is known so far of an item."""

    kind: bytes
    label: bytes
    hidden: bool
    properties: list[Property] = field(default_factory=list[Property])
    references: list[Reference] = field(default_factory=list[Reference])
    data: Bytes | None = b""


class _ItemReader:
    """Reads a meta box.

    Args:
        file: The whole file.
        meta: What is in its meta box.
    """

    def __init__(self, file: memoryview, meta: memoryview) -> None:
        self._file = file
        self._parts: dict[bytes, memoryview] = {}
        for kind, body in boxes(meta):
            self._parts.setdefault(kind, body)
        self._entries: dict[int, _Entry] = {}
        self._links = 0
        self._joined_bytes = 0

    def items(self, brands: tuple[bytes, ...]) -> ItemSet:
        """Returns what was read."""
        readers: tuple[tuple[bytes, Callable[[Cursor], None]], ...] = (
            (b"iinf", self._read_entries),
            (b"iref", self._read_references),
            (b"iprp", self._read_properties),
            (b"iloc", self._read_places),
        )
        for kind, reader in readers:
            if kind in self._parts:
                reader(Cursor(self._parts[kind]))
        pitm = Cursor(self._parts.get(b"pitm", memoryview(b"")))
        version, _ = pitm.version()
        primary = pitm.number(2 if version == 0 else 4)
        if primary not in self._entries:
            raise ValueError("the primary item is not there")
        items = {
            number: Item(
                id=number,
                kind=entry.kind,
                label=entry.label,
                hidden=entry.hidden,
                properties=tuple(entry.properties),
                references=tuple(entry.references),
                data=entry.data,
            )
            for number, entry in self._entries.items()
        }
        return ItemSet(brands=brands, primary=primary, items=MappingProxyType(items), groups=self._groups())

    def _read_entries(self, box: Cursor) -> None:
        """Reads iinf; protected items are left out."""
        version, _ = box.version()
        box.number(2 if version == 0 else 4)
        for kind, body in boxes(box.rest()):
            entry = Cursor(body)
            if kind != b"infe":
                continue
            version, flags = entry.version()
            if version not in (2, 3):
                continue
            number = entry.number(2 if version == 2 else 4)
            is_protected = entry.number(2) != 0
            item = _Entry(kind=bytes(entry.take(4)), label=bytes(entry.rest()), hidden=bool(flags & 1))
            if not is_protected:
                self._entries.setdefault(number, item)
            if len(self._entries) > MAX_ITEMS:
                raise ValueError("too many items")

    def _read_references(self, box: Cursor) -> None:
        """Reads iref."""
        version, _ = box.version()
        size = 2 if version == 0 else 4
        for kind, body in boxes(box.rest()):
            reference = Cursor(body)
            number, count = reference.number(size), reference.number(2)
            self._count_links(count)
            to = tuple(reference.number(size) for _ in range(count))
            if number in self._entries:
                self._entries[number].references.append(Reference(kind=kind, to=to))

    def _read_properties(self, box: Cursor) -> None:
        """Reads iprp: all properties, then which of them belong to which item."""
        parts = list(boxes(box.rest()))
        known = [(kind, bytes(body)) for name, ipco in parts if name == b"ipco" for kind, body in boxes(ipco)]
        for name, body in parts:
            if name != b"ipma":
                continue
            ipma = Cursor(body)
            version, flags = ipma.version()
            size, mark = (2, 0x8000) if flags & 1 else (1, 0x80)
            for _ in range(ipma.number(4)):
                entry = self._entries.get(ipma.number(2 if version == 0 else 4))
                count = ipma.number(1)
                self._count_links(count + 1)
                for code in [ipma.number(size) for _ in range(count)]:
                    index = code & (mark - 1)
                    if entry is not None and 1 <= index <= len(known):
                        kind, data = known[index - 1]
                        if len(entry.properties) == _MAX_PROPERTIES:
                            raise ValueError("too many properties of an item")
                        entry.properties.append(Property(kind=kind, body=data, essential=bool(code & mark)))

    def _read_places(self, box: Cursor) -> None:
        """Reads iloc: where the data of the items are."""
        version, _ = box.version()
        if version > 2:
            raise ValueError(f"iloc of version {version}")
        sizes = box.number(2)
        offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        if version == 0:
            index_size = 0
        for _ in range(box.number(2 if version < 2 else 4)):
            entry = self._entries.get(box.number(2 if version < 2 else 4))
            method = box.number(2) & 15 if version else 0
            is_elsewhere = box.number(2) != 0
            base, count = box.number(base_size), box.number(2)
            self._count_links(count + 1)
            extents: list[tuple[int, int]] = []
            for _ in range(count):
                box.take(index_size)
                extents.append((base + box.number(offset_size), box.number(length_size)))
            if entry is not None:
                entry.data = None if is_elsewhere else self._bytes_of(method, extents, whole=length_size == 0)

    def _bytes_of(self, method: int, extents: list[tuple[int, int]], *, whole: bool) -> Bytes | None:
        """Returns the bytes in some extents, or None where they are not all there."""
        if method not in (0, 1):
            return None
        source = self._file if method == 0 else self._parts.get(b"idat", memoryview(b""))
        pieces: list[memoryview] = []
        for at, length in extents:
            end = len(source) if whole or length == 0 else at + length
            if at > len(source) or end > len(source):
                return None
            pieces.append(source[at:end])
        if len(pieces) == 1:
            return pieces[0]
        self._joined_bytes += sum(map(len, pieces))
        if self._joined_bytes > len(self._file):
            raise ValueError("items hold more bytes than the file")
        return b"".join(pieces)

    def _groups(self) -> tuple[Group, ...]:
        """Returns the groups in grpl that have items as members."""
        groups: list[Group] = []
        for kind, body in boxes(self._parts.get(b"grpl", memoryview(b""))):
            group = Cursor(body)
            group.version()
            number, count = group.number(4), group.number(4)
            self._count_links(count)
            members = tuple(group.number(4) for _ in range(count))
            if any(member in self._entries for member in members):
                groups.append(Group(kind=kind, id=number, members=members))
        return tuple(groups)

    def _count_links(self, count: int) -> None:
        """Holds all references, associations and extents together to a bound."""
        self._links += count
        if self._links > _MAX_LINKS:
            raise ValueError("too many links between items")
