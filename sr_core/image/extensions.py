"""How files of photos are called; what a file is, only its bytes tell."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sr_core.image.picture import PhotoFormat

__all__ = ["EXTENSIONS", "PHOTO_EXTENSIONS", "RAW_EXTENSIONS"]

RAW_EXTENSIONS: Final = (
    ".dng", ".3fr", ".arw", ".bay", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".drf", ".erf", ".fff", ".iiq", ".k25",
    ".kc2", ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".ori", ".pef", ".ptx", ".pxn", ".raf",
    ".raw", ".rdc", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
"""RAW files: DNG first, which is what a result is; then those of the cameras that LibRaw knows."""

EXTENSIONS: Final[Mapping[PhotoFormat, tuple[str, ...]]] = MappingProxyType(
    {
        "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
        "png": (".png",),
        "webp": (".webp",),
        "heic": (".heic", ".heif", ".hif"),
        "avif": (".avif",),
        "tiff": (".tif", ".tiff"),
        "dng": RAW_EXTENSIONS,
    }
)
"""The extensions of each family, lower case and with their dot; the first one is that of a result."""

PHOTO_EXTENSIONS: Final[tuple[str, ...]] = tuple(name for names in EXTENSIONS.values() for name in names)
"""Every extension of a photo that is read here."""
