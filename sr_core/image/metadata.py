"""EXIF edited in place, and XMP along with it: every byte that need not change stays where it is.

Values are overwritten inside the EXIF block and nothing moves, because maker notes hold offsets that count from the
start of the block and break when a library writes the block anew.

Source: CIPA DC-008 (Exif 2.32), 4.6; TIFF 6.0, section 2.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from sr_core.image.extras import without_claims_of
from sr_core.image.picture import Extra, Metadata
from sr_core.image.xmp import states_place, with_number, without_elements, without_places

__all__ = [
    "has_location", "lost_with_location", "orientation_of", "refresh_size", "reset_orientation", "usable_exif",
    "without_location",
]  # fmt: skip

_ORIENTATION: Final = 0x0112
_EXIF_IFD: Final = 0x8769
_THUMBNAIL_AT: Final = 0x0201
_THUMBNAIL_BYTES: Final = 0x0202
_GPS_IFD: Final = 0x8825
_INTEROP_IFD: Final = 0xA005
_MAKER_NOTE: Final = 0x927C
_APPLE: Final = b"Apple iOS\x00"
_WIDTH_TAGS: Final = frozenset({0x0100, 0xA002})
_HEIGHT_TAGS: Final = frozenset({0x0101, 0xA003})
_RELATED_WIDTH: Final = 0x1001
_RELATED_HEIGHT: Final = 0x1002
_SHORT: Final = 3
_LONG: Final = 4
_HEADER_BYTES: Final = 8
_ENTRY_BYTES: Final = 12
_TYPE_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}

_COORDINATES: Final = frozenset({2, 4, 20, 22, 27, 28})  # latitude and longitude, those of the target, names of places
_PLACE_TAGS: Final = frozenset({_GPS_IFD, 700, 33550, 33723, 33922, 34264, 34377, 34735, 34736, 34737, 50740})
"""Entries of IFD0 and IFD1: GPS, XMP, IPTC, Photoshop's blocks, GeoTIFF, and the copy of a maker note in a DNG."""
_PLACE_EXTRAS: Final = frozenset({"iptc", "photoshop", "text", "comment", "extended-xmp", "private"})
_MOST_GPS_IFDS: Final = 2
_MOST_GPS_ENTRIES: Final = 256
_IPTC_PLACES: Final = tuple(b"\x1c\x02" + bytes((number,)) for number in (26, 27, 90, 92, 95, 100, 101))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One entry of an IFD; ``at`` is the offset of the entry itself."""

    tag: int
    kind: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ifd:
    """An image file directory: its entries and where the offset of the next one is written."""

    at: int
    entries: tuple[_Entry, ...]
    next_at: int


class _Block:
    """A writable copy of an EXIF block with reads and writes in its byte order.

    Args:
        exif: TIFF bytes.

    Raises:
        ValueError: The bytes do not start as a TIFF does.
    """

    def __init__(self, exif: bytes) -> None:
        if exif[:4] not in (b"II*\x00", b"MM\x00*"):
            raise ValueError("an EXIF block starts with II or MM and 42")
        self.order: Literal["little", "big"] = "little" if exif[:2] == b"II" else "big"
        self.data = bytearray(exif)

    def number(self, at: int, size: int) -> int:
        """Returns the unsigned number at an offset, or 0 beyond the end."""
        return int.from_bytes(self.data[at : at + size], self.order) if at + size <= len(self.data) else 0

    def write(self, at: int, size: int, value: int) -> None:
        """Overwrites the unsigned number at an offset inside the block."""
        self.data[at : at + size] = value.to_bytes(size, self.order)

    def ifd(self, at: int) -> _Ifd:
        """Returns the directory at an offset; entries beyond the end of the block are left out."""
        count = self.number(at, 2) if at >= 8 else 0
        starts = range(at + 2, at + 2 + count * _ENTRY_BYTES, _ENTRY_BYTES)
        entries = tuple(
            _Entry(tag=self.number(start, 2), kind=self.number(start + 2, 2), at=start)
            for start in starts
            if start + _ENTRY_BYTES <= len(self.data)
        )
        return _Ifd(at=at, entries=entries, next_at=at + 2 + count * _ENTRY_BYTES)

    def value(self, entry: _Entry) -> int:
        """Returns the value of a SHORT or LONG entry."""
        return self.number(entry.at + 8, 2 if entry.kind == _SHORT else 4)

    def set_value(self, entry: _Entry, value: int) -> None:
        """Writes one value; an entry whose type cannot hold it becomes a LONG, which takes the same four bytes."""
        fits_short = entry.kind == _SHORT and value <= 0xFFFF
        self.write(entry.at + 2, 2, _SHORT if fits_short else _LONG)
        self.write(entry.at + 4, 4, 1)
        self.write(entry.at + 8, 2 if fits_short else 4, value)

    def place(self, entry: _Entry) -> tuple[int, int]:
        """Returns offset and size of the values of an entry, as it states them; a size of 0 for an unknown type."""
        size = _TYPE_BYTES.get(entry.kind, 0) * self.number(entry.at + 4, 4)
        return (entry.at + 8 if size <= 4 else self.number(entry.at + 8, 4)), size

    def zero_all(self, places: list[tuple[int, int]]) -> None:
        """Overwrites values and directories by their offset and size.

        Raises:
            ValueError: One is not in the block behind its header, or together they are larger than the block.
        """
        if sum(size for _, size in places) > len(self.data):
            raise ValueError("the values of an EXIF block are larger than the block")
        if any(at < _HEADER_BYTES or at + size > len(self.data) for at, size in places):
            raise ValueError("a value is not in the EXIF block")
        for at, size in places:
            self.data[at : at + size] = bytes(size)

    def remove(self, ifd: _Ifd, gone: list[_Entry]) -> None:
        """Takes entries out of a directory and overwrites their values; what follows them in it moves up.

        Raises:
            ValueError: The values are larger than the block.
        """
        if not gone:
            return
        taken = set(gone)
        kept = [self.data[entry.at : entry.at + _ENTRY_BYTES] for entry in ifd.entries if entry not in taken]
        following = self.data[ifd.next_at : ifd.next_at + 4]
        self.zero_all([self.place(entry) for entry in gone])
        fresh = len(kept).to_bytes(2, self.order) + b"".join(kept) + following
        end = min(ifd.next_at + 4, len(self.data))
        self.data[ifd.at : end] = fresh.ljust(end - ifd.at, b"\x00")

    def first(self) -> _Ifd:
        """Returns IFD0, which describes the main picture."""
        return self.ifd(self.number(4, 4))

    def exif_ifd(self) -> _Ifd | None:
        """Returns the Exif directory, if IFD0 points to one."""
        pointers = [self.value(entry) for entry in self.first().entries if entry.tag == _EXIF_IFD]
        return self.ifd(pointers[0]) if pointers else None

    def all_of(self, tag: int) -> list[_Entry]:
        """Returns the entries of a tag in IFD0, IFD1 and the Exif directory."""
        first, inner = self.first(), self.exif_ifd()
        directories = [first, self.ifd(self.number(first.next_at, 4)), *((inner,) if inner else ())]
        return [entry for ifd in directories for entry in ifd.entries if entry.tag == tag]

    def gps_ifds(self) -> list[_Ifd]:
        """Returns the GPS directories; there is one, or a damaged block points to several."""
        offsets = {self.value(pointer) for pointer in self.all_of(_GPS_IFD)}
        return [self.ifd(at) for at in sorted(offsets)[: _MOST_GPS_IFDS + 1]]

    def foreign_notes(self) -> list[_Entry]:
        """Returns the maker notes of anyone but Apple, whose notes state no places."""
        return [note for note in self.all_of(_MAKER_NOTE) if not self.data.startswith(_APPLE, self.place(note)[0])]


def usable_exif(exif: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Returns the TIFF bytes of an EXIF block, or None when it is none, and a sentence when it had to be left out.

    Args:
        exif: The block as a file holds it, with or without an ``Exif`` mark in front; None or empty without one.
    """
    if not exif:
        return None, ()
    tiff = exif.removeprefix(b"Exif\x00\x00")
    if tiff[:4] in (b"II*\x00", b"MM\x00*"):
        return tiff, ()
    return None, ("The EXIF data of this photo is damaged and is not kept.",)


def orientation_of(exif: bytes | None) -> int:
    """Returns the EXIF orientation 1 to 8; 1 when there is none or it is out of range."""
    if exif is None:
        return 1
    block = _Block(exif)
    found = [block.value(entry) for entry in block.first().entries if entry.tag == _ORIENTATION]
    return found[0] if found and 1 <= found[0] <= 8 else 1


def reset_orientation(metadata: Metadata) -> Metadata:
    """Returns the metadata of a photo that was turned upright: EXIF and XMP say orientation 1, nothing else changes."""
    exif, xmp = metadata.exif, metadata.xmp
    if exif is not None:
        block = _Block(exif)
        for entry in block.first().entries:
            if entry.tag == _ORIENTATION:
                block.set_value(entry, 1)
        exif = bytes(block.data)
    if xmp is not None:
        xmp = with_number(xmp, "tiff:Orientation", 1)
    return replace(metadata, exif=exif, xmp=xmp)


def refresh_size(metadata: Metadata, height: int, width: int) -> Metadata:
    """Returns the metadata of a picture of another size: sizes that it states are updated, thumbnails are removed.

    Args:
        metadata: Metadata of an upright picture.
        height: Rows of the picture that the metadata will travel with.
        width: Columns of that picture.
    """
    exif, xmp = metadata.exif, metadata.xmp
    if exif is not None:
        block = _Block(exif)
        for ifd in (block.first(), block.exif_ifd()):
            for entry in ifd.entries if ifd else ():
                if entry.tag in _WIDTH_TAGS:
                    block.set_value(entry, width)
                elif entry.tag in _HEIGHT_TAGS:
                    block.set_value(entry, height)
                elif entry.tag == _INTEROP_IFD:
                    _refresh_related(block, block.ifd(block.value(entry)), height, width)
        _drop_thumbnail(block)
        exif = bytes(block.data)
    if xmp is not None:
        for name, value in (("PixelXDimension", width), ("PixelYDimension", height)):
            xmp = with_number(xmp, f"exif:{name}", value)
        for name, value in (("ImageWidth", width), ("ImageLength", height)):
            xmp = with_number(xmp, f"tiff:{name}", value)
        xmp = without_elements(xmp, "xmp:Thumbnails")
    return replace(metadata, exif=exif, xmp=xmp)


def has_location(metadata: Metadata) -> bool:
    """Returns whether the metadata states where a photo was taken, or what place it shows; maker notes are not read.

    Args:
        metadata: Of a header or a picture.
    """
    if metadata.exif is not None:
        block = _Block(metadata.exif)
        for ifd in block.gps_ifds()[:_MOST_GPS_IFDS]:
            for entry in ifd.entries[:_MOST_GPS_ENTRIES]:
                at, size = block.place(entry)
                if entry.tag in _COORDINATES and any(block.data[at : at + size]):
                    return True
    if metadata.xmp is not None and states_place(metadata.xmp):
        return True
    return any(mark in extra.data for extra in metadata.extras if extra.kind == "iptc" for mark in _IPTC_PLACES)


def without_location(metadata: Metadata) -> Metadata:
    """Returns the metadata without coordinates and names of places, and without what may hold either unseen.

    The GPS directory is overwritten and no longer listed, and so is a maker note of anyone but Apple; what else is in
    the EXIF block stays where it is. A block or an XMP packet in which places cannot be told for sure is left out.

    Args:
        metadata: Of a picture.
    """
    exif, xmp = metadata.exif, metadata.xmp
    if exif is not None:
        try:
            exif = _without_places(exif)
        except ValueError:
            exif = None
    if xmp is not None:
        xmp = without_places(xmp)
    bare = [_without_places_in(extra) for extra in metadata.extras if extra.kind not in _PLACE_EXTRAS]
    extras = tuple(extra for extra in bare if extra is not None)
    for kind in sorted({extra.kind for extra in metadata.extras} & _PLACE_EXTRAS):
        xmp = None if xmp is None else without_claims_of(xmp, kind)
    return replace(metadata, exif=exif, xmp=xmp, extras=extras)


def lost_with_location(metadata: Metadata) -> tuple[str, ...]:
    """Returns a sentence for each thing beside places that :func:`without_location` takes out.

    Args:
        metadata: Of a header or a picture.
    """
    bare = without_location(metadata)
    kept = {extra.kind for extra in bare.extras}
    names = [extra.name for extra in metadata.extras if extra.kind not in kept]
    if metadata.exif is not None and bare.exif is None:
        names.append("The EXIF data of this photo")
    elif metadata.exif is not None and _Block(metadata.exif).foreign_notes():
        names.append("The maker note of this photo")
    if metadata.xmp is not None and bare.xmp is None:
        names.append("The XMP data of this photo")
    return tuple(f"{name} will go with the location, which may be named there." for name in names)


def _without_places_in(extra: Extra) -> Extra | None:
    """Returns a part of a file without the places that EXIF blocks in it state, or None when they cannot be told."""
    data = bytearray(extra.data)
    for found in re.finditer(rb"Exif\x00\x00(?=II\*\x00|MM\x00\*)", extra.data):
        start, length_at = found.end(), found.start() - 2  # in a JPEG, the length of the segment stands before it
        end = length_at + int.from_bytes(data[length_at : found.start()], "big")
        try:
            block = _without_places(bytes(data[start:end]))
        except ValueError:
            return None
        data[start:end] = block + bytes(end - start - len(block))
    return None if b"GPSLatitude" in data else replace(extra, data=bytes(data))


def _without_places(exif: bytes) -> bytes:
    """Returns an EXIF block without its GPS directory, other blocks that state places, and foreign maker notes.

    Raises:
        ValueError: The GPS directory is damaged, so that its coordinates may lie anywhere.
    """
    block = _Block(exif)
    first = block.first()
    thumbnail, inner = block.ifd(block.number(first.next_at, 4)), block.exif_ifd()
    if sum(entry.tag == _EXIF_IFD for entry in first.entries) > 1:
        raise ValueError("an EXIF block has one Exif directory")
    foreign = set(block.foreign_notes())
    gps = block.gps_ifds()
    if len(gps) > _MOST_GPS_IFDS:
        raise ValueError("an EXIF block has one GPS directory")
    for ifd in gps:
        _zero_directory(block, ifd)
    for ifd in (inner, thumbnail, first):
        if ifd is not None:
            block.remove(ifd, [entry for entry in ifd.entries if entry.tag in _PLACE_TAGS or entry in foreign])
    return bytes(block.data)


def _zero_directory(block: _Block, ifd: _Ifd) -> None:
    """Overwrites a directory and all its values.

    Raises:
        ValueError: It is damaged, or its values cannot all be found.
    """
    if ifd.at < _HEADER_BYTES:  # some software keeps the pointer to a directory that it took out
        return
    if ifd.next_at > len(block.data) or len(ifd.entries) > _MOST_GPS_ENTRIES:
        raise ValueError("the GPS directory is damaged")
    if any(entry.kind not in _TYPE_BYTES for entry in ifd.entries):
        raise ValueError("the GPS directory has values of no known size")
    end = min(ifd.next_at + 4, len(block.data))
    block.zero_all([*(block.place(entry) for entry in ifd.entries), (ifd.at, end - ifd.at)])


def _refresh_related(block: _Block, interop: _Ifd, height: int, width: int) -> None:
    """Writes the size of a picture where the Interop directory states it (CIPA DC-008, 4.6.7)."""
    for entry in interop.entries:
        if entry.tag == _RELATED_WIDTH:
            block.set_value(entry, width)
        elif entry.tag == _RELATED_HEIGHT:
            block.set_value(entry, height)


def _drop_thumbnail(block: _Block) -> None:
    """Unlinks and zeroes IFD1 and its picture; a picture that ends the block is cut off."""
    next_at = block.first().next_at
    at = block.number(next_at, 4)
    if not at:
        return
    thumbnail = block.ifd(at)
    values = {entry.tag: block.value(entry) for entry in thumbnail.entries}
    block.write(next_at, 4, 0)
    directory_end = min(thumbnail.next_at + 4, len(block.data))
    block.data[at:directory_end] = bytes(max(0, directory_end - at))
    start, size = values.get(_THUMBNAIL_AT, 0), values.get(_THUMBNAIL_BYTES, 0)
    if start < 8 or not size or start >= len(block.data):
        return
    end = min(start + size, len(block.data))
    if end == len(block.data):
        del block.data[start:]
    else:
        block.data[start:end] = bytes(end - start)
