"""What belongs to the photo in a HEIF file beside its pixels, taken out as it is and put into another file.

These are its auxiliary pictures (gain maps, depth, mattes), tone-mapped versions of it, with their own tiles and their
own metadata, and properties such as the light that it was mastered for. Nothing is decoded. A part is kept as a small
file whose primary item has no data: it stands for the photo, and its properties are what the photo gets.

A map lies on the photo as both are stored, and readers differ in whether they turn it by its own irot and imir or by
those of the photo. So a photo that comes with a map is stored the way its source was stored, with the same turns.

Source: ISO/IEC 23008-12:2022, 6.4.5 (auxiliary pictures), 6.5 (properties), and its Amendment 1 (tmap);
ISO 21496-1 (gain maps).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Final

from sr_core.image.extras import GAIN_MAP
from sr_core.image.heif.item_writer import write
from sr_core.image.heif.items import Group, Item, ItemSet, Property, Reference, read
from sr_core.image.heif.turns import TURNS, turn_of, turn_properties
from sr_core.image.picture import Extra

__all__ = ["ALPHA", "attached", "carried", "is_alpha", "stored_turn"]

ALPHA: Final = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
"""What an auxiliary picture says that it is when it is transparency (``auxC``)."""

_ALPHAS: Final = (ALPHA, b"urn:mpeg:hevc:2015:auxid:1")
_DEPTH: Final = (b"urn:mpeg:hevc:2015:auxid:2", b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth")
_MASTERING: Final = (b"clli", b"mdcv", b"amve", b"cclv", b"ndwt")
_TRANSFORMS: Final = (*TURNS, b"clap", b"pasp")
_KEPT_REFERENCES: Final = (b"dimg", b"auxl", b"cdsc")
_LOCATION: Final = b"GPS"
_MOST_BYTES: Final = 1 << 25
_MOST_XMP_BYTES: Final = 1 << 20


def is_alpha(item: Item) -> bool:
    """Returns whether an auxiliary picture is the transparency of another."""
    return _type_of(item) in _ALPHAS


def carried(source: ItemSet, turn: int, name: str) -> tuple[tuple[Extra, ...], tuple[str, ...]]:
    """Returns what belongs to the primary picture and can be carried, and a sentence for each part that cannot.

    Args:
        source: A file.
        turn: EXIF orientation by which its primary picture is turned upright, whoever says so.
        name: What a visitor calls such a file, such as "HEIC".
    """
    maps = [item for item in source.referring(b"auxl", source.primary) if not is_alpha(item)]
    tone_maps = [
        item
        for item in source.referring(b"dimg", source.primary)
        if item.kind == b"tmap" and item.to(b"dimg")[0] == source.primary
    ]
    gain_maps = [item for item in maps if b"gainmap" in _type_of(item).lower()]
    depth_maps = [item for item in maps if _type_of(item) in _DEPTH]
    others = [item for item in maps if b"gainmap" not in _type_of(item).lower() and _type_of(item) not in _DEPTH]
    extras: list[Extra] = []
    notices: list[str] = []
    for kind, words, roots in (
        (GAIN_MAP, f"The HDR gain map of this {name}", [*gain_maps, *tone_maps]),
        ("depth-map", f"The depth map of this {name}", depth_maps),
        ("auxiliary", f"The set of auxiliary maps of this {name} (portrait matte, hair, skin, sky or others)", others),
    ):
        if not roots:
            continue
        try:
            part = _part(source, roots, turn)
        except ValueError:
            notices.append(f"{words} is not kept.")
        else:
            extras.append(Extra(kind=kind, name=words, data=_bytes_of(part)))
    mastering = tuple(prop for prop in source.main.properties if prop.kind in _MASTERING)
    if mastering:
        words = f"The HDR mastering data of this {name}"
        extras.append(Extra(kind="mastering", name=words, data=_bytes_of(_only(source, mastering))))
    return tuple(extras), tuple(notices)


def stored_turn(extras: Iterable[Extra]) -> int:
    """Returns the EXIF orientation by which a picture that these extras belong to is turned when it is shown."""
    turns = (turn_of(read(extra.data).main.properties) for extra in extras)
    return next((turn for turn in turns if turn != 1), 1)


def attached(items: ItemSet, extras: Sequence[Extra]) -> ItemSet:
    """Returns a file with the parts of another one; its primary picture is stored as ``stored_turn`` says.

    Args:
        items: The new file; its primary picture has no turns yet.
        extras: What :func:`carried` gave.
    """
    turns = turn_properties(stored_turn(extras))
    known: dict[int, Item] = dict(items.items)
    for item in (items.main, *filter(is_alpha, items.referring(b"auxl", items.primary))):
        known[item.id] = replace(item, properties=(*item.properties, *turns))
    groups = list(items.groups)
    for extra in extras:
        part = read(extra.data)
        start = max((*known, *(group.id for group in groups))) + 1
        ids = {part.primary: items.primary}
        for old in part.items:
            ids.setdefault(old, start + len(ids))
        _add_part(known, part, ids, items)
        groups += [
            Group(kind=group.kind, id=max(ids.values()) + 1 + place, members=_renamed(group.members, ids))
            for place, group in enumerate(part.groups)
        ]
    brands = items.brands
    if any(item.kind == b"tmap" for item in known.values()) and b"tmap" not in brands:
        brands = (*brands, b"tmap")
    return replace(items, brands=brands, items=known, groups=tuple(groups))


def _add_part(known: dict[int, Item], part: ItemSet, ids: Mapping[int, int], items: ItemSet) -> None:
    """Adds the items of a part to those of a file under new ids."""
    main = known[items.primary]
    known[items.primary] = replace(
        main, properties=(*(prop for prop in part.main.properties if prop.kind not in TURNS), *main.properties)
    )
    size = next((prop for prop in main.properties if prop.kind == b"ispe"), None)
    for item in part.items.values():
        if item.id == part.primary:
            continue
        properties = item.properties
        if item.kind == b"tmap" and size is not None:
            properties = tuple(size if prop.kind == b"ispe" else prop for prop in properties)
        references = tuple(
            Reference(kind=reference.kind, to=_renamed(reference.to, ids)) for reference in item.references
        )
        known[ids[item.id]] = replace(item, id=ids[item.id], properties=properties, references=references)


def _renamed(members: Iterable[int], ids: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(ids[member] for member in members)


def _part(source: ItemSet, roots: Sequence[Item], turn: int) -> ItemSet:
    """Returns some auxiliary pictures with all that they need, around a primary item without data.

    Raises:
        ValueError: Something that they need is missing, or does not lie on the primary picture.
    """
    turns = turn_properties(turn)
    pictures = _derived_from(source, roots)
    shown = {number for root in roots for number in ((root.id,) if root.kind != b"tmap" else root.to(b"dimg")[1:])}
    parts = [source.main, *pictures, *_metadata(source, {item.id for item in pictures})]
    ids = {item.id for item in parts}
    kept: dict[int, Item] = {}
    for item in parts:
        properties = item.properties
        if item.id == source.primary:
            kept[item.id] = replace(item, properties=turns, references=(), data=b"")
            continue
        if item.data is None:
            raise ValueError("the data of a map are missing")
        if item.id in shown:
            properties = (*_unturned(item, source.main, turn), *turns)
        elif item.kind == b"tmap":
            properties = tuple(prop for prop in properties if prop.kind not in _TRANSFORMS)
        references = tuple(
            reference
            for reference in item.references
            if reference.kind in _KEPT_REFERENCES and ids.issuperset(reference.to)
        )
        kept[item.id] = replace(item, properties=properties, references=references)
    if sum(len(item.data or b"") for item in kept.values()) > _MOST_BYTES:
        raise ValueError("the maps have more bytes than maps have")
    groups = tuple(
        replace(group, members=members)
        for group in source.groups
        if group.kind == b"altr" and source.primary in group.members
        if len(members := tuple(member for member in group.members if member in ids)) > 1
    )
    return replace(source, items=kept, groups=groups)


def _derived_from(source: ItemSet, roots: Sequence[Item]) -> list[Item]:
    """Returns the roots and the pictures that they are made of, without the primary picture.

    Raises:
        ValueError: One of them is not there.
    """
    found: dict[int, Item] = {}
    ahead = [root.id for root in roots]
    while ahead:
        number = ahead.pop()
        if number in found or number == source.primary:
            continue
        item = source.items.get(number)
        if item is None:
            raise ValueError("a part of a map is missing")
        found[number] = item
        ahead.extend(item.to(b"dimg"))
    return sorted(found.values(), key=lambda item: item.id)


def _metadata(source: ItemSet, pictures: set[int]) -> list[Item]:
    """Returns the XMP of some pictures; what also describes others is not theirs, and places are nobody's business."""
    return [
        item
        for item in source.items.values()
        if item.kind == b"mime"
        and item.to(b"cdsc")
        and pictures.issuperset(item.to(b"cdsc"))
        and len(item.data or b"") < _MOST_XMP_BYTES
        and _LOCATION not in bytes(item.data or b"")
    ]


def _unturned(item: Item, main: Item, turn: int) -> tuple[Property, ...]:
    """Returns the properties of a map without its turns.

    Raises:
        ValueError: It is turned or cropped in another way than the primary picture.
    """
    if turn_of(item.properties) not in (1, turn):
        raise ValueError("a map is turned in another way than its picture")
    if main.body(b"clap") is not None and item.body(b"clap") is None:
        raise ValueError("a map is not cropped as its picture is")
    return tuple(prop for prop in item.properties if prop.kind not in TURNS)


def _type_of(item: Item) -> bytes:
    """Returns what an auxiliary picture is for, or nothing for other items."""
    return (item.body(b"auxC") or b"")[4:].split(b"\x00")[0]


def _only(source: ItemSet, properties: tuple[Property, ...]) -> ItemSet:
    """Returns a file of nothing but properties of the primary item."""
    main = replace(source.main, properties=properties, references=(), data=b"")
    return replace(source, items={main.id: main}, groups=())


def _bytes_of(items: ItemSet) -> bytes:
    file = BytesIO()
    write(items, file)
    return file.getvalue()
