"""Parts of a file that only its own family holds, and what the XMP beside them says of them.

Source: Android Ultra HDR image format 1.1 (gain map and directory of items); Adobe XMP part 3, 1.1.3.1 (extended XMP).
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from sr_core.image.picture import Metadata
from sr_core.image.xmp import without_claims

__all__ = ["EXTENDED_XMP", "GAIN_MAP", "without_claims_of", "without_extras"]

GAIN_MAP: Final = "gain-map"
EXTENDED_XMP: Final = "extended-xmp"

_CLAIMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {GAIN_MAP: ("hdrgm:", "Container:", "Item:"), EXTENDED_XMP: ("xmpNote:HasExtendedXMP",)}
)


def without_claims_of(xmp: bytes, kind: str) -> bytes:
    """Returns the XMP without what it says of a kind of part that will not be in the file.

    Args:
        xmp: XMP packet of the photo.
        kind: Kind of an ``Extra``.
    """
    return without_claims(xmp, _CLAIMS[kind]) if kind in _CLAIMS else xmp


def without_extras(metadata: Metadata) -> Metadata:
    """Returns metadata without its further parts, and without what the XMP says of these."""
    xmp = metadata.xmp
    for kind in sorted({extra.kind for extra in metadata.extras}):
        xmp = None if xmp is None else without_claims_of(xmp, kind)
    return replace(metadata, xmp=xmp, extras=())
