"""The family of a photo by its first bytes: the name of a file is never trusted."""

from typing import BinaryIO, Final

from sr_core.errors import UnsupportedFormatError
from sr_core.image.picture import PhotoFormat
from sr_core.image.raw.tags import raw_tags

__all__ = ["READ_NAMES", "sniff"]

READ_NAMES: Final = "JPEG, PNG, WebP, HEIC, AVIF, TIFF or RAW"
"""The families that are read, for sentences."""

_HEAD_BYTES: Final = 256

_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF_BRANDS: Final = frozenset({b"mif1", b"mif2", b"msf1"})
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})

_RAW: Final[tuple[tuple[int, bytes], ...]] = (
    (0, b"II\x1a\x00\x00\x00HEAPCCDR"),
    (0, b"IIRO"),
    (0, b"IIRS"),
    (0, b"MMOR"),
    (0, b"IIU\x00"),
    (0, b"FUJIFILM"),
    (0, b"FOVb"),
    (0, b"\x00MRM"),
)
_MAKER_MARK_AT: Final = 8
_MAKER_MARKS: Final = (b"CR\x02\x00", b"IIIITwaR", b"MMMMRawT")  # Canon CR2; Phase One IIQ
_TIFF: Final = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_FOREIGN: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"GIF87a", "a GIF"),
    (0, b"GIF89a", "a GIF"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF"),
    (0, b"BM", "a BMP"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"PK\x03\x04", "a ZIP archive"),
)


def sniff(file: BinaryIO) -> PhotoFormat:
    """Returns the family that a file belongs to.

    Args:
        file: Open for reading; some bytes of it are read, and all of it where its directories have to tell.

    Raises:
        UnsupportedFormatError: The file is of a family that is not read here, or of none that is known.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _sniff_boxes(head)
    if head[:4] in _TIFF:
        return _sniff_tiff(file)
    if any(head[at : at + len(magic)] == magic for at, magic in _RAW):
        return "dng"
    for at, magic, name in _FOREIGN:
        if head[at : at + len(magic)] == magic:
            raise _unsupported(name)
    raise UnsupportedFormatError(f"This file is not a photo of a known kind; please use a {READ_NAMES} photo.")


def _sniff_boxes(head: bytes) -> PhotoFormat:
    """Returns the family of an ISO base media file (ISO/IEC 14496-12, 4.3) by its brands."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = {major} | {head[at : at + 4] for at in range(16, end - 3, 4)}
    if major in _AVIF_BRANDS:
        return "avif"
    if major in _HEIC_BRANDS:
        return "heic"
    if major in _HEIF_BRANDS and not brands & _HEIC_BRANDS and brands & _AVIF_BRANDS:
        return "avif"
    if major in _HEIF_BRANDS:
        return "heic"
    if major == b"crx ":
        return "dng"
    raise _unsupported("a video")


def _sniff_tiff(file: BinaryIO) -> PhotoFormat:
    """Returns "dng" for a RAW file that is built as a TIFF, and "tiff" for a TIFF that holds a picture."""
    file.seek(0)
    data = file.read()
    tags = raw_tags(data)
    is_marked = any(data.startswith(mark, _MAKER_MARK_AT) for mark in _MAKER_MARKS)
    return "dng" if is_marked or (tags is not None and tags.is_raw) else "tiff"


def _unsupported(name: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(f"This is {name}, which is not read here; please use a {READ_NAMES} photo.")
