"""Which module reads and writes which family of files."""

from collections.abc import Mapping
from types import MappingProxyType

from sr_core.image import png, webp
from sr_core.image.family import Family
from sr_core.image.heif import avif, heic
from sr_core.image.jpeg import photo as jpeg
from sr_core.image.picture import PhotoFormat
from sr_core.image.raw import photo as raw
from sr_core.image.tiff import photo as tiff

__all__ = ["FAMILIES"]

FAMILIES: Mapping[PhotoFormat, Family] = MappingProxyType(
    {"jpeg": jpeg, "png": png, "webp": webp, "heic": heic, "avif": avif, "tiff": tiff, "dng": raw}
)
