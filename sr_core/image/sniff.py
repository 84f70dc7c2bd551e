"""The family of a photo by its first bytes: the name of a file is never trusted."""

from typing import Final

from sr_core.errors import UnsupportedFormatError
from sr_core.image.picture import PhotoFormat

__all__ = ["FORMAT_NAMES", "SNIFFED_BYTES", "sniff"]

FORMAT_NAMES: Final[dict[PhotoFormat, str]] = {"jpeg": "JPEG", "png": "PNG", "webp": "WebP", "heic": "HEIC"}

SNIFFED_BYTES: Final = 256
"""So many bytes from the start of a file are enough for ``sniff``."""

_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_HEIF_BRANDS: Final = frozenset({b"mif1", b"mif2", b"msf1"})
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})

_FOREIGN: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"GIF87a", "a GIF"),
    (0, b"GIF89a", "a GIF"),
    (0, b"II\x1a\x00\x00\x00HEAPCCDR", "a RAW file"),
    (0, b"IIRO", "a RAW file"),
    (0, b"IIRS", "a RAW file"),
    (0, b"MMOR", "a RAW file"),
    (0, b"IIU\x00", "a RAW file"),
    (0, b"FUJIFILM", "a RAW file"),
    (0, b"FOVb", "a RAW file"),
    (0, b"\x00MRM", "a RAW file"),
    (0, b"II*\x00", "a TIFF or RAW file"),
    (0, b"MM\x00*", "a TIFF or RAW file"),
    (0, b"II+\x00", "a BigTIFF file"),
    (0, b"MM\x00+", "a BigTIFF file"),
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


def sniff(head: bytes) -> PhotoFormat | None:
    """Returns the family that the first bytes of a file belong to.

    Args:
        head: The first ``SNIFFED_BYTES`` bytes of the file, or all of a shorter file.

    Returns:
        The family, or None when nothing is recognized.

    Raises:
        UnsupportedFormatError: The bytes are of a known family that is not read here.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _sniff_boxes(head)
    for at, magic, name in _FOREIGN:
        if head[at : at + len(magic)] == magic:
            raise _unsupported(name)
    return None


def _sniff_boxes(head: bytes) -> PhotoFormat:
    """Returns "heic" for an ISO base media file (ISO/IEC 14496-12, 4.3) whose brands say so."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = {major} | {head[at : at + 4] for at in range(16, end - 3, 4)}
    if major in _AVIF_BRANDS:
        raise _unsupported("an AVIF")
    if major in _HEIC_BRANDS:
        return "heic"
    if major in _HEIF_BRANDS and not brands & _HEIC_BRANDS and brands & _AVIF_BRANDS:
        raise _unsupported("an AVIF")
    if major in _HEIF_BRANDS:
        return "heic"
    if major == b"crx ":
        raise _unsupported("a RAW file")
    raise _unsupported("a video")


def _unsupported(name: str) -> UnsupportedFormatError:
    return UnsupportedFormatError(
        f"This is {name}, which is not read here; please use a {_listed(list(FORMAT_NAMES.values()))} photo."
    )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
