"""EXIF out of TIFF files and of RAW files built like them, and into TIFF files: a tree of directories moves as a whole.

What describes the photo goes along, with its types: the descriptive tags of IFD0 and the Exif, GPS and Interop
directories. What describes how the pixels are stored does not, nor do profiles of RAW colour. A maker note moves where
its offsets count from its own start; one that counts from the start of the file would point at nonsense.

Source: TIFF 6.0; CIPA DC-008 (Exif 2.32), 4.6; DNG 1.7.1, chapter 4; ExifTool 12.57, MakerNotes.pm (which notes
count their offsets from where).
"""

from dataclasses import dataclass, replace
from typing import BinaryIO, Final

from sr_core.image.tiff.ifd import Directory, Form, Order, Value, directory_bytes, form_of, reordered

__all__ = ["ExifBlock", "attach", "exif_of", "stays_behind"]

_EXIF_AT: Final = 0x8769
_GPS_AT: Final = 0x8825
_INTEROP_AT: Final = 0xA005
_MAKER_NOTE: Final = 0x927C
_OFFSET_SCHEMA: Final = 0xEA1D  # how far Microsoft's software moved a maker note
_MAKER_TAGS: Final = frozenset({_MAKER_NOTE, _OFFSET_SCHEMA})
_RESOLUTION: Final = frozenset({0x011A, 0x011B, 0x0128})
_RESOLUTION_UNIT: Final = 0x0128
_NO_UNIT: Final = 1
_POINTERS: Final = frozenset({_EXIF_AT, _GPS_AT, _INTEROP_AT})
_TABLES_OF_RATIONALS: Final = frozenset({0x8828, 0xA20C})  # OECF, spatial frequency response
_TABLES: Final = _TABLES_OF_RATIONALS | {0xA302, 0xA40B}  # CFA pattern, device settings
_RATIONAL: Final = 5
_LONG: Final = 4
_IFD: Final = 13
_LONG8: Final = 16
_IFD8: Final = 18
_WIDE: Final = frozenset({_LONG8, 17, _IFD8})
_MOST_ENTRIES: Final = 4096

_STRUCTURE: Final = frozenset(
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291),
        *(292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330, 332, 333, 334, 336, 338, 339, 340),
        *(341, 342, 343, 344, 345, 346, 347, 351, *range(400, 406), 433, 434, 435, *range(512, 522), 529, 530, 532),
        *(559, *range(32995, 32999), 33421, 33422, 34022, 34232),
    )
)
"""Tags that say how pixels are stored (TIFF 6.0 and its supplements, TIFF/EP)."""
_ELSEWHERE: Final = frozenset(
    (
        *(700, 33723, 34377, 34675, 37724, 50255),  # XMP, IPTC, Photoshop's blocks, ICC, layers, annotations
        *(33424, 34665, 34853, 40965, 65024),  # directories
        *(33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113),  # GeoTIFF, GDAL: they count in pixels
        *(33628, 33629, 33630, 33631, 34412, 50838, 50839),  # microscopes
    )
)
"""Tags that are kept in other ways, that point into their own file, or that change meaning with the pixels."""
_DNG: Final = (range(50706, 51201), range(52525, 52601))
_DNG_DESCRIPTIVE: Final = frozenset({50708, 50709, 50735, 50736})  # model names, serial number, lens
_PRIVATE_FROM: Final = 0x8000
_LOWEST: Final = 254  # below lie tags that are only defined in other directories, and private ones of RAW files
_PROCESSING_SOFTWARE: Final = 11
_RAW_DESCRIPTIVE: Final = frozenset({270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432})

_MOST_BYTES: Final = 4 << 20
_LONGEST_PRIVATE_BYTES: Final = 1 << 16
_MOVABLE: Final = (
    b"Apple iOS\x00", b"Nikon\x00\x02", b"FUJIFILM", b"GENERALE", b"OLYMPUS\x00", b"OM SYSTEM\x00", b"PENTAX \x00",
    b"RICOH\x00II", b"RICOH\x00MM", b"MOT\x00", b"SEMC MS\x00", b"STMN", b"HDRP\x02", b"HDRP\x03", b"KDK",
    *(b"LEICA\x00" + bytes((number, 0)) for number in (1, 4, 5, 6, 7, 16, 26)),
)  # fmt: skip
_MAKER_NOTICE: Final = (
    "The maker note of this photo (settings in the camera maker's own form) works only where it lies and is not kept."
)
_DAMAGE_NOTICE: Final = "A part of the EXIF data of this photo is damaged or too long and is not kept."


@dataclass(frozen=True, slots=True, kw_only=True)
class ExifBlock:
    """The EXIF data of a file.

    Attributes:
        exif: As a TIFF of its own, in the byte order of the file; None where the file has none.
        notices: Sentences about what could not move.
    """

    exif: bytes | None
    notices: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Tree:
    """The values of the four directories that describe a photo; pointers left out.

    Attributes:
        first: Of IFD0.
        exif: Of the Exif directory.
        gps: Of the GPS directory.
        interop: Of the Interop directory.
        notices: Sentences about what is not in them.
    """

    first: list[Value]
    exif: list[Value]
    gps: list[Value]
    interop: list[Value]
    notices: tuple[str, ...]


def exif_of(data: bytes) -> ExifBlock:
    """Returns the EXIF data of a TIFF, a BigTIFF, or a RAW file that is built like one (DNG, NEF, CR2, ARW, ORF, RW2).

    Every tag keeps its type and its bytes. A thumbnail is not taken along.

    Args:
        data: The file.

    Returns:
        A block with the descriptive tags of IFD0 (a resolution alone counts as none), and the Exif, GPS and Interop
        directories; empty for a file that is not built like a TIFF.
    """
    form = form_of(data)
    if form is None:
        return ExifBlock(exif=None)
    tree = _tree_of(data, form)
    tells = any(value.tag not in _RESOLUTION for value in tree.first) or tree.exif or tree.gps
    if not tells:
        return ExifBlock(exif=None, notices=tree.notices)
    return ExifBlock(exif=_block_of(tree, Form(order=form.order, is_big=False, first_at=8)), notices=tree.notices)


def stays_behind(exif: bytes | None) -> tuple[str, ...]:
    """Returns a sentence for what :func:`attach` would leave out of an EXIF block; to be called before any work.

    Args:
        exif: EXIF block as TIFF bytes, or None.
    """
    form = form_of(exif or b"")
    return () if exif is None or form is None else _tree_of(exif, form).notices


def attach(file: BinaryIO, exif: bytes) -> tuple[str, ...]:
    """Puts an EXIF block into a TIFF: its directories and a new IFD0 go to the end, and the header points there.

    Tags that IFD0 of the file already has stay as they are, except for a resolution without a unit. Pixels and other
    directories do not move. Pointers to SubIFDs get the type LONG, because readers know no other.

    Args:
        file: A TIFF or BigTIFF, open for reading and writing.
        exif: EXIF block as TIFF bytes.

    Returns:
        Sentences about what could not move.

    Raises:
        ValueError: The file is not a TIFF, the block is not one of EXIF, or a classic TIFF would pass 4 GiB.
    """
    file.seek(0)
    form, source = form_of(file.read(16)), form_of(exif)
    if form is None or source is None:
        raise ValueError("EXIF goes from a TIFF block into a TIFF file")
    tree = _tree_of(exif, source)
    if source.order != form.order:
        tree = _reordered(tree, source.order)
    held, next_at = _stored_first(file, form)
    end = file.seek(0, 2)
    start = end + end % 2
    try:
        branches, pointers = _branches(tree, start, form)
        first_at = start + len(branches)
        first = directory_bytes([*_united(held, tree.first, form), *pointers], first_at, form, next_at)
        (first_at + len(first)).to_bytes(form.offset_bytes, form.order)
    except OverflowError as error:
        raise ValueError("a TIFF of more than 4 GiB has to be a BigTIFF") from error
    file.write(bytes(start - end) + branches + first)
    file.seek(form.header_bytes - form.offset_bytes)
    file.write(first_at.to_bytes(form.offset_bytes, form.order))
    file.seek(0, 2)
    return tree.notices


def _is_descriptive(tag: int, form: Form) -> bool:
    """Returns whether a tag of IFD0 describes the photo wherever it goes."""
    if not form.is_standard:
        return tag in _RAW_DESCRIPTIVE
    if tag < _LOWEST:
        return tag == _PROCESSING_SOFTWARE
    if any(tag in tags for tags in _DNG):
        return tag in _DNG_DESCRIPTIVE
    return tag not in _STRUCTURE and tag not in _ELSEWHERE


def _tree_of(data: bytes, form: Form) -> _Tree:
    """Returns what a file or block tells about its photo, in its own byte order."""
    first = Directory(data, form, form.first_at)
    exif, gps = (_pointed(data, form, first, pointer) for pointer in (_EXIF_AT, _GPS_AT))
    interop = None if exif is None else _pointed(data, form, exif, _INTEROP_AT)
    notices: list[str] = []
    room = _MOST_BYTES
    branches: list[list[Value]] = []
    for directory in (first, exif, gps, interop):
        values: list[Value] = []
        for entry in directory.entries.values() if directory is not None else ():
            if directory is first and not _is_descriptive(entry.tag, form):
                continue
            is_private = directory is first and entry.tag >= _PRIVATE_FROM
            if entry.size_bytes > min(room, _LONGEST_PRIVATE_BYTES if is_private else room):
                notices.append(_DAMAGE_NOTICE)
                continue
            room -= entry.size_bytes
            values.append(first.value_of(entry))  # values lie in the file, whichever directory lists them
        if directory is not None and not directory.is_whole:
            notices.append(_DAMAGE_NOTICE)
        kept, maker_notices = _movable(values)
        notices.extend(maker_notices)
        branches.append([narrow for value in kept if (narrow := _narrow(value, form.order)) is not None])
    return _Tree(
        first=branches[0], exif=branches[1], gps=branches[2], interop=branches[3], notices=tuple(dict.fromkeys(notices))
    )


def _pointed(data: bytes, form: Form, directory: Directory, pointer: int) -> Directory | None:
    """Returns the directory that an entry points to, or None without such an entry."""
    at = directory.whole(pointer)
    return Directory(data, form, at) if at else None


def _movable(values: list[Value]) -> tuple[list[Value], tuple[str, ...]]:
    """Returns values without pointers and without a maker note that cannot move, and a sentence about the latter."""
    note = next((value.data for value in values if value.tag == _MAKER_NOTE), None)
    stays = note is not None and not note.startswith(_MOVABLE) and not _is_text(note)
    gone = _POINTERS | (_MAKER_TAGS if stays else {_OFFSET_SCHEMA})
    return [value for value in values if value.tag not in gone], (_MAKER_NOTICE,) if stays else ()


def _is_text(note: bytes) -> bool:
    """Returns whether a maker note is only printable text, which holds no offsets."""
    text = note.rstrip(b"\x00")
    return text.isascii() and text.translate(None, b"\t\r\n").decode("ascii").isprintable()


def _narrow(value: Value, order: Order) -> Value | None:
    """Returns a value with a type that a classic TIFF has, or None where its numbers are too great for one."""
    if value.kind == _IFD:
        return replace(value, kind=_LONG)
    if value.kind not in _WIDE:
        return value
    low_first = order == "little"
    high, low = (slice(4, None), slice(0, 4)) if low_first else (slice(0, 4), slice(4, None))
    numbers = [value.data[at : at + 8] for at in range(0, len(value.data), 8)]
    if any(any(number[high]) for number in numbers):
        return None
    return replace(value, kind=_LONG, data=b"".join(number[low] for number in numbers))


def _reordered(tree: _Tree, order: Order) -> _Tree:
    """Returns a tree, whose byte order is given, in the other one."""
    first, gps, interop = ([reordered(value) for value in values] for values in (tree.first, tree.gps, tree.interop))
    exif = [_reordered_table(value, order) if value.tag in _TABLES else reordered(value) for value in tree.exif]
    return replace(tree, first=first, exif=exif, gps=gps, interop=interop)


def _reordered_table(value: Value, order: Order) -> Value:
    """Returns a table that Exif calls undefined although it begins with two numbers, and may end with rationals."""
    columns, rows = (int.from_bytes(value.data[at : at + 2], order) for at in (0, 2))
    tail_bytes = 8 * columns * rows if value.tag in _TABLES_OF_RATIONALS else 0
    end = len(value.data) - tail_bytes
    if end < 4:
        return value
    tail = reordered(Value(tag=value.tag, kind=_RATIONAL, count=columns * rows, data=value.data[end:]))
    head = value.data[1::-1] + value.data[3:1:-1]
    return replace(value, data=head + value.data[4:end] + tail.data)


def _block_of(tree: _Tree, form: Form) -> bytes:
    """Returns a tree as a TIFF of its own, IFD0 in front."""
    at = form.first_at
    _, pointers = _branches(tree, at, form)
    branches, pointers = _branches(tree, at + len(directory_bytes([*tree.first, *pointers], at, form)), form)
    mark = b"II" if form.order == "little" else b"MM"
    header = mark + (42).to_bytes(2, form.order) + at.to_bytes(4, form.order)
    return header + directory_bytes([*tree.first, *pointers], at, form) + branches


def _branches(tree: _Tree, at: int, form: Form) -> tuple[bytes, list[Value]]:
    """Returns the Exif, GPS and Interop directories for an offset, and the entries of IFD0 that point to them."""
    body = bytearray()
    exif = list(tree.exif)
    if tree.interop:
        exif.append(_pointer(_INTEROP_AT, at, form))
        body += directory_bytes(tree.interop, at, form)
    pointers: list[Value] = []
    for tag, values in ((_EXIF_AT, exif), (_GPS_AT, tree.gps)):
        if values:
            pointers.append(_pointer(tag, at + len(body), form))
            body += directory_bytes(values, at + len(body), form)
    return bytes(body), pointers


def _pointer(tag: int, at: int, form: Form) -> Value:
    """Returns the entry that points to a directory."""
    kind = _LONG8 if form.is_big else _LONG
    return Value(tag=tag, kind=kind, count=1, data=at.to_bytes(form.offset_bytes, form.order))


def _stored_first(file: BinaryIO, form: Form) -> tuple[list[Value], int]:
    """Returns the entries of IFD0 of a file, offsets instead of the values that lie elsewhere, and what comes next."""
    count_bytes, room = (8, 8) if form.is_big else (2, 4)
    entry_bytes = 4 + 2 * room
    file.seek(form.first_at)
    count = int.from_bytes(file.read(count_bytes), form.order)
    if count > _MOST_ENTRIES:
        raise ValueError("the TIFF has no IFD0")
    body = file.read(count * entry_bytes + room)
    values: list[Value] = []
    for at in range(0, count * entry_bytes, entry_bytes):
        tag, kind = (int.from_bytes(body[at + part : at + part + 2], form.order) for part in (0, 2))
        number = int.from_bytes(body[at + 4 : at + 4 + room], form.order)
        kind = {_IFD: _LONG, _IFD8: _LONG8}.get(kind, kind)
        values.append(Value(tag=tag, kind=kind, count=number, data=body[at + 4 + room : at + entry_bytes]))
    return values, int.from_bytes(body[count * entry_bytes :], form.order)


def _united(held: list[Value], told: list[Value], form: Form) -> list[Value]:
    """Returns the entries of IFD0 of a file with those of an EXIF block that it does not hold itself."""
    units = [int.from_bytes(value.data[:2], form.order) for value in held if value.tag == _RESOLUTION_UNIT]
    if units in ([], [_NO_UNIT]) and any(value.tag == _RESOLUTION_UNIT for value in told):
        held = [value for value in held if value.tag not in _RESOLUTION]
    tags = {value.tag for value in held}
    return [*held, *(value for value in told if value.tag not in tags)]
