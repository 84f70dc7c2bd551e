"""EXIF edited in place, and XMP along with it: every byte that need not change stays where it is.

Values are overwritten inside the EXIF block and nothing moves, because maker notes hold offsets that count from the
start of the block and break when a library writes the block anew.

Source: CIPA DC-008 (Exif 2.32), 4.6; TIFF 6.0, section 2.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from sr_core.image.picture import Metadata
from sr_core.image.xmp import with_number, without_elements

__all__ = ["orientation_of", "refresh_size", "reset_orientation", "usable_exif"]

_ORIENTATION: Final = 0x0112
_EXIF_IFD: Final = 0x8769
_THUMBNAIL_AT: Final = 0x0201
_THUMBNAIL_BYTES: Final = 0x0202
_WIDTH_TAGS: Final = frozenset({0x0100, 0xA002})
_HEIGHT_TAGS: Final = frozenset({0x0101, 0xA003})
_SHORT: Final = 3
_LONG: Final = 4
_ENTRY_BYTES: Final = 12


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

    def first(self) -> _Ifd:
        """Returns IFD0, which describes the main picture."""
        return self.ifd(self.number(4, 4))

    def exif_ifd(self) -> _Ifd | None:
        """Returns the Exif directory, if IFD0 points to one."""
        pointers = [self.value(entry) for entry in self.first().entries if entry.tag == _EXIF_IFD]
        return self.ifd(pointers[0]) if pointers else None


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
        _drop_thumbnail(block)
        exif = bytes(block.data)
    if xmp is not None:
        for name, value in (("PixelXDimension", width), ("PixelYDimension", height)):
            xmp = with_number(xmp, f"exif:{name}", value)
        for name, value in (("ImageWidth", width), ("ImageLength", height)):
            xmp = with_number(xmp, f"tiff:{name}", value)
        xmp = without_elements(xmp, "xmp:Thumbnails")
    return replace(metadata, exif=exif, xmp=xmp)


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
