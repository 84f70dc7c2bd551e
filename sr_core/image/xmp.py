"""XMP edited as bytes: numbers are replaced, properties are taken out, nothing else changes.

XMP comes from strangers and an expression holds the interpreter lock while it searches, so each edit takes time in
proportion to the packet whatever is in it. Quantifiers are possessive, attributes end at the next ``<`` (XML allows
none in them), and an element whose end is nowhere behind it is known without another search.

Source: ISO 16684-1 (XMP), 7; XML 1.0, 2.3 and 3.1.
"""

import re
from typing import Final

__all__ = ["states_place", "usable_xmp", "with_number", "without_claims", "without_elements", "without_places"]

_MAX_BYTES: Final = 1 << 20

_PLACES: Final = (
    (b"http://ns.adobe.com/exif/1.0/", b"exif", rb"GPS[\w.-]*+"),
    (b"http://ns.adobe.com/photoshop/1.0/", b"photoshop", rb"(?:City|State|Country)"),
    (b"http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", b"Iptc4xmpCore", rb"(?:Location|CountryCode)"),
    (
        b"http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        b"Iptc4xmpExt",
        rb"(?:Location[\w.-]*+|City|Sublocation|ProvinceState|CountryName|CountryCode|WorldRegion)",
    ),
    (
        b"http://www.dji.com/drone-dji/1.0/",
        b"drone-dji",
        rb"(?:Gps|Latitude|Longitude|Longtitude|AbsoluteAlt|RelativeAlt)[\w.-]*+",
    ),
    (b"http://purl.org/dc/elements/1.1/", b"dc", rb"coverage"),
    (b"http://prismstandard.org/namespaces/basic/2.0/", b"prism", rb"location"),
    (b"http://prismstandard.org/namespaces/basic/3.0/", b"prism", rb"location"),
    (b"http://ns.google.com/photos/1.0/panorama/", b"GPano", rb"PoseHeadingDegrees"),
    (b"http://www.w3.org/2003/01/geo/wgs84_pos#", b"geo", rb"(?:lat|long|alt)"),
)
"""Namespace, its usual prefix, and its properties that state a place (Exif in XMP; IPTC Photo Metadata 2023.2)."""
_MOST_PREFIXES: Final = 16
_ANY_GPS: Final = rb"[\w-]++:G[Pp][Ss][\w.-]*+"


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
    return _without(re.sub(_attribute(name), b"", xmp), name)


def without_elements(xmp: bytes, name: str) -> bytes:
    """Returns the XMP without the elements of a name and all that is in them.

    Args:
        xmp: XMP packet.
        name: Property with its prefix, such as ``xmp:Thumbnails``.
    """
    return _without(xmp, re.escape(name.encode()))


def states_place(xmp: bytes) -> bool:
    """Returns whether the XMP states where a photo was taken or what place it shows; True where that cannot be told.

    Args:
        xmp: XMP packet.
    """
    name = _place_names(xmp)
    return name is None or re.search(rb"[<\s]" + name + rb"(?=[\s=/>])", xmp) is not None


def without_places(xmp: bytes) -> bytes | None:
    """Returns the XMP without coordinates and names of places, or None where it cannot be sure to find them all.

    That is so for a packet that is not in UTF-8, one that has no prefix for a namespace of places or very many, and a
    damaged one.

    Args:
        xmp: XMP packet.
    """
    namespaces = b"|".join(re.escape(namespace) for namespace, _, _ in _PLACES)
    if b"\x00" in xmp or re.search(rb"xmlns\s*+=\s*+[\"'](?:" + namespaces + rb")", xmp):
        return None
    name = _place_names(xmp)
    if name is None:
        return None
    cleared = _without(re.sub(_attribute(name), b"", xmp), name)
    cleared = re.sub(rb"<" + name + rb"(?:\s(?:[^<>\"'/]|\"[^<\"]*+\"|'[^<']*+'|/(?!>))*+)?/>", b"", cleared)
    return None if states_place(cleared) else cleared


def _place_names(xmp: bytes) -> bytes | None:
    """Returns an expression for the names of properties that state a place, or None for a packet of many prefixes."""
    names = [_ANY_GPS]
    for namespace, prefix, properties in _PLACES:
        declared = re.findall(rb"xmlns:([\w-]++)\s*+=\s*+[\"']" + re.escape(namespace) + rb"[\"']", xmp)
        prefixes = {prefix, *declared}
        if len(prefixes) > _MOST_PREFIXES:  # each one is tried at each place
            return None
        names.append(rb"(?:" + b"|".join(map(re.escape, sorted(prefixes))) + rb"):" + properties)
    return rb"(?:" + b"|".join(names) + rb")"


def _attribute(name: bytes) -> bytes:
    """Returns an expression for an attribute whose name matches an expression, with the blanks before it."""
    # The look-behind lets a run of blanks be tried once and not from each of its bytes.
    return rb"(?<!\s)\s++" + name + rb"\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+')"


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
