"""XMP edited as bytes: numbers are replaced, properties are taken out, nothing else changes.

XMP comes from strangers and an expression holds the interpreter lock while it searches, so each edit takes time in
proportion to the packet whatever is in it. Quantifiers are possessive, attributes end at the next ``<`` (XML allows
none in them), and an element whose end is nowhere behind it is known without another search.

Source: ISO 16684-1 (XMP), 7; XML 1.0, 2.3 and 3.1.
"""

import re
from typing import Final

__all__ = ["usable_xmp", "with_number", "without_claims", "without_elements"]

_MAX_BYTES: Final = 1 << 20


def usable_xmp(xmp: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Returns the XMP, or None when it is too long, and a sentence when it had to be left out.

    Args:
        xmp: XMP packet, or None without one.
    """
    if xmp is None or len(xmp) <= _MAX_BYTES:
        return xmp, ()
    return None, (f"The XMP data of this photo is longer than {_MAX_BYTES >> 20} MiB and is not kept.",)


def with_number(xmp: bytes, name: str, value: int) -> bytes:
    """Returns the XMP with a number replaced wherever the property is present, as attribute or as element.

    Args:
        xmp: XMP packet.
        name: Property with its prefix, such as ``tiff:Orientation``.
        value: Its new value.
    """
    tag = re.escape(name.encode())
    number = str(value).encode()
    xmp = re.sub(rb"(" + tag + rb"\s*+=\s*+[\"'])\s*+\d++", rb"\g<1>" + number, xmp)
    return re.sub(rb"(<" + tag + rb">)\s*+\d++\s*+(</)", rb"\g<1>" + number + rb"\g<2>", xmp)


def without_claims(xmp: bytes, prefixes: tuple[str, ...]) -> bytes:
    """Returns the XMP without the properties of some namespaces, so that it claims nothing the file no longer holds.

    Args:
        xmp: XMP packet.
        prefixes: Starts of property names such as ``hdrgm:`` or ``GCamera:MotionPhoto``.
    """
    starts = b"|".join(re.escape(prefix.encode()) for prefix in prefixes)
    name = rb"(?:" + starts + rb")[\w.-]*+"
    # The look-behind lets a run of blanks be tried once and not from each of its bytes.
    attribute = rb"(?<!\s)\s++" + name + rb"\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')"
    return _without(re.sub(attribute, b"", xmp), name)


def without_elements(xmp: bytes, name: str) -> bytes:
    """Returns the XMP without the elements of a name and all that is in them.

    Args:
        xmp: XMP packet.
        name: Property with its prefix, such as ``xmp:Thumbnails``.
    """
    return _without(xmp, re.escape(name.encode()))


def _without(xmp: bytes, name: bytes) -> bytes:
    """Returns the XMP without the elements whose name matches an expression; one that has no end stays."""
    last_end = {found[1]: found.start() for found in re.finditer(rb"</(" + name + rb")>", xmp)}
    kept: list[bytes] = []
    at = 0
    for found in re.finditer(rb"<(" + name + rb")(?:\s[^<>]*+)?(?<!/)>", xmp):
        if found.start() < at or last_end.get(found[1], -1) < found.end():
            continue
        end_tag = b"</" + found[1] + b">"
        kept.append(xmp[at : found.start()])
        at = xmp.index(end_tag, found.end()) + len(end_tag)
    return b"".join((*kept, xmp[at:]))
