"""What RAW files say of how they were taken, as an EXIF block, where they do not say it as EXIF does.

LibRaw reads the headers of every maker and writes what it found in front of a preview that has no EXIF itself. That
block is taken, less what LibRaw says of itself and what it leaves empty. Files after TIFF/EP have in IFD0 what EXIF has
in a directory of its own.

Source: LibRaw 0.22, ``tiff_head``; CIPA DC-008 (Exif 2.32), 4.6; TIFF/EP (ISO 12234-2).
"""

from dataclasses import replace
from typing import Final

from sr_core.image.raw.tags import full_name, text_of
from sr_core.image.tiff.ifd import Directory, Form, Value, directory_bytes, form_of

__all__ = ["camera_of", "capture_of", "with_exif_apart"]

_MAKE: Final = 0x010F
_MODEL: Final = 0x0110
_SOFTWARE: Final = 0x0131
_DATE: Final = 0x0132
_DATE_TAKEN: Final = 0x9003
_EXIF_AT: Final = 0x8769
_VERSION: Final = Value(tag=0x9000, kind=7, count=4, data=b"0232")
_FIRST: Final = (_MAKE, _MODEL, 0x0112, _DATE, 0x013B)
_EXIF: Final = (0x829A, 0x829D, 0x8827, 0x920A)
_MARK: Final = "dcraw"
_GPS_AT: Final = 0x8825
_INTEROP_AT: Final = 0xA005
_POINTERS: Final = frozenset({_EXIF_AT, _GPS_AT, _INTEROP_AT})
_OF_EXIF: Final = frozenset(
    (
        *(0x829A, 0x829D, 0x8822, 0x8824, 0x8827, *range(0x8830, 0x8836), *range(0x9000, 0x920B), 0x9214, 0x9286),
        *(
            *range(0x9290, 0x9293),
            *range(0xA000, 0xA005),
            0xA20E,
            0xA20F,
            *range(0xA210, 0xA218),
            *range(0xA300, 0xA436),
        ),
    )
)
"""Tags of the Exif directory; those that only TIFF/EP knows stay in IFD0."""


def capture_of(block: bytes | None) -> bytes | None:
    """Returns the EXIF block of a preview as one of the photo.

    Args:
        block: TIFF bytes, or None.

    Returns:
        The same where the camera made it; anew where LibRaw did; None for what is not an EXIF block.
    """
    form = form_of(block or b"")
    if block is None or form is None:
        return None
    first = Directory(block, form, form.first_at)
    if not text_of(first, _SOFTWARE).startswith(_MARK):
        return block
    taken = [first.value_of(first.entries[tag]) for tag in _FIRST if tag in first]
    told = [value for value in taken if any(value.data)]
    exif = Directory(block, form, first.whole(_EXIF_AT))
    settings = [exif.value_of(exif.entries[tag]) for tag in _EXIF if any(exif.numbers(tag))]
    settings.extend(replace(value, tag=_DATE_TAKEN) for value in told if value.tag == _DATE)
    return _block(form, told, {_EXIF_AT: [*settings, _VERSION]})


def with_exif_apart(block: bytes | None) -> bytes | None:
    """Returns an EXIF block whose settings of the camera are in the Exif directory, where readers look for them.

    Args:
        block: TIFF bytes, or None.
    """
    form = form_of(block or b"")
    if block is None or form is None:
        return block
    first = Directory(block, form, form.first_at)
    astray = {tag for tag in first.entries if tag in _OF_EXIF}
    if not astray:
        return block
    parts: dict[int, list[Value]] = {}
    exif = Directory(block, form, first.whole(_EXIF_AT))
    for pointer, holder in ((_EXIF_AT, first), (_GPS_AT, first), (_INTEROP_AT, exif)):
        parts[pointer] = _values(Directory(block, form, holder.whole(pointer)))
    held = {value.tag for value in parts[_EXIF_AT]}
    values = _values(first)
    parts[_EXIF_AT].extend(value for value in values if value.tag in astray - held)
    return _block(form, [value for value in values if value.tag not in astray], parts)


def camera_of(block: bytes | None) -> str:
    """Returns maker and model as an EXIF block names them, or an empty text."""
    form = form_of(block or b"")
    if block is None or form is None:
        return ""
    first = Directory(block, form, form.first_at)
    return full_name(text_of(first, _MAKE), text_of(first, _MODEL))


def _values(directory: Directory) -> list[Value]:
    """Returns what a directory holds, less pointers to others."""
    return [directory.value_of(entry) for tag, entry in directory.entries.items() if tag not in _POINTERS]


def _block(form: Form, first: list[Value], parts: dict[int, list[Value]]) -> bytes:
    """Returns an EXIF block.

    Args:
        form: Whose byte order the values are in.
        first: Values of IFD0.
        parts: Values of other directories, by the tag that points to each.
    """
    form = Form(order=form.order, is_big=False, first_at=8)
    body = bytearray((b"II*\x00" if form.order == "little" else b"MM\x00*") + form.first_at.to_bytes(4, form.order))
    tags = [tag for tag, values in parts.items() if values and tag != _INTEROP_AT]
    held = len(directory_bytes([*first, *(_pointer(tag, 0, form) for tag in tags)], form.first_at, form))
    rest = bytearray()
    inside = {tag: list(parts[tag]) for tag in tags}
    if parts.get(_INTEROP_AT) and _EXIF_AT in inside:
        inside[_EXIF_AT].append(_pointer(_INTEROP_AT, form.first_at + held, form))
        rest += directory_bytes(parts[_INTEROP_AT], form.first_at + held, form)
    pointers: list[Value] = []
    for tag, values in inside.items():
        at = form.first_at + held + len(rest)
        pointers.append(_pointer(tag, at, form))
        rest += directory_bytes(values, at, form)
    return bytes(body + directory_bytes([*first, *pointers], form.first_at, form) + rest)


def _pointer(tag: int, at: int, form: Form) -> Value:
    """Returns the entry that points to a directory."""
    return Value(tag=tag, kind=4, count=1, data=at.to_bytes(4, form.order))
