import struct
import time
import tracemalloc
from dataclasses import replace

import imagecodecs
import numpy as np
import pillow_heif
import pytest

from sr_core.errors import UnsupportedFormatError
from sr_core.image.heif.av1 import sequence_of
from sr_core.image.heif.film import first_frame
from sr_core.image.heif.item_writer import box
from sr_core.image.heif.items import Group, Item, ItemSet, Property, Reference, read
from sr_core.image.heif.turns import stored_view, turn_of, turn_properties
from sr_core.image.orientation import upright

from .heif_files import (
    GAIN_MAP,
    avif_items,
    exiftool,
    file_bytes,
    film,
    heic_items,
    mutations,
    save,
    turned,
    with_map,
    with_tone_map,
)
from .photo_files import scene


def plain(items: ItemSet) -> tuple[object, ...]:
    """Returns items in a form that can be compared."""
    known = {
        number: (item.kind, item.label, item.hidden, item.properties, item.references, bytes(item.data or b""))
        for number, item in items.items.items()
    }
    return items.brands, items.primary, list(known), known, items.groups


def many(count: int, *, start: int = 1, properties: int = 1) -> ItemSet:
    items = {
        number: Item(
            id=number,
            kind=b"av01" if number % 3 else b"grid",
            hidden=bool(number % 2),
            properties=tuple(
                Property(kind=b"free", body=bytes((number % 256, place)), essential=bool(place % 2))
                for place in range(properties)
            ),
            references=(Reference(kind=b"dimg", to=(start, number)), Reference(kind=b"cdsc", to=(start,))),
            data=b"data of %d" % number if number % 5 else b"",
        )
        for number in range(start, start + count)
    }
    group = Group(kind=b"altr", id=start + count, members=(start + 1, start))
    return ItemSet(brands=(b"mif1", b"heic", b"mif1"), primary=start + 1, items=items, groups=(group,))


@pytest.mark.parametrize(
    "items",
    [many(2), many(40, properties=9), many(3, properties=255), many(3, start=0xFFFE), many(2, start=0xFFFF_FF00)],
    ids=["few", "many properties", "most properties", "ids beyond 16 bits", "ids of 32 bits"],
)
def test_what_is_written_is_read_again(items):
    assert plain(read(file_bytes(items))) == plain(items)


def test_items_in_any_order_get_their_properties_in_that_of_their_ids():
    items = many(4)
    turned_over = replace(items, items=dict(reversed(items.items.items())))
    data = file_bytes(turned_over)
    assert plain(read(data)) == plain(turned_over)
    at = data.index(b"ipma") + 12  # each entry is two bytes of id, a count and one association
    assert [data[at + 4 * place + 1] for place in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize("missing", ["data", "brands"])
def test_incomplete_items_are_not_written(missing):
    items = many(2)
    if missing == "brands":
        items = replace(items, brands=())
    else:
        items = replace(items, items={**items.items, 1: replace(items.items[1], data=None)})
    with pytest.raises(ValueError, match=r"missing|brand"):
        file_bytes(items)


def test_data_are_views_of_the_file():
    data = file_bytes(many(3))
    parts = [item.data for item in read(data).items.values()]
    assert all(isinstance(part, memoryview) and part.obj is data for part in parts)


def test_item_tells_its_type_and_its_links():
    label = b"\x00application/rdf+xml\x00\x00"
    references = (
        Reference(kind=b"cdsc", to=(2,)),
        Reference(kind=b"auxl", to=(3, 4)),
        Reference(kind=b"cdsc", to=(5,)),
    )
    item = Item(id=1, kind=b"mime", label=label, references=references)
    assert (item.content_type, item.to(b"cdsc"), item.to(b"dimg")) == (b"application/rdf+xml", (2, 5), ())
    assert Item(id=1, kind=b"av01").content_type == b""


def meta_file(places: bytes, *, idat: bytes = b"", data: bytes = b"", entry: bytes = b"") -> bytes:
    """Returns a file of one item, id 7, with an iloc box; its data begin at offset 0 of the file."""
    infe = entry or bytes((2, 0, 0, 0)) + struct.pack(">HH", 7, 0) + b"av01\x00"
    meta = box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4) + struct.pack(">H", 7)),
        box(b"iinf", bytes(4) + struct.pack(">H", 1), box(b"infe", infe)),
        box(b"iloc", places),
        box(b"idat", idat),
    )
    return box(b"free", data) + box(b"ftyp", b"avifxxxxavifmif1") + meta


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        # version 0: offset and length of 4 bytes, base of 0
        (struct.pack(">BxxxBBHHHHII", 0, 0x44, 0, 1, 7, 0, 1, 9, 3), b"bcd"),
        # base of 4 bytes, two extents
        (struct.pack(">BxxxBBHHHIHIIII", 0, 0x44, 0x40, 1, 7, 0, 9, 2, 0, 2, 4, 1), b"bcf"),
        # version 1: in idat, offsets of 8 bytes
        (struct.pack(">BxxxBBHHHHHQQ", 1, 0x88, 0, 1, 7, 1, 0, 1, 1, 2), b"JK"),
        # version 2: index of 4 bytes, which is passed over
        (struct.pack(">BxxxBBIIHHHIII", 2, 0x44, 0x04, 1, 7, 0, 0, 1, 5, 8, 2), b"ab"),
        # length 0: to the end
        (struct.pack(">BxxxBBHHHHHII", 1, 0x44, 0, 1, 7, 1, 0, 1, 2, 0), b"KL"),
        # no length at all: to the end
        (struct.pack(">BxxxBBHHHHHI", 1, 0x40, 0, 1, 7, 1, 0, 1, 1), b"JKL"),
        # no offset: from the base on
        (struct.pack(">BxxxBBHHHIHI", 0, 0x04, 0x40, 1, 7, 0, 10, 1, 2), b"cd"),
        # no extents
        (struct.pack(">BxxxBBHHHH", 0, 0x44, 0, 1, 7, 0, 0), b""),
    ],
)
def test_places_of_data(places, expected):
    assert bytes(read(meta_file(places, idat=b"IJKL", data=b"abcdefgh")).main.data) == expected


@pytest.mark.parametrize(
    "places",
    [
        struct.pack(">BxxxBBHHHHII", 0, 0x44, 0, 1, 7, 1, 1, 9, 3),  # in another file
        struct.pack(">BxxxBBHHHHHII", 1, 0x44, 0, 1, 7, 2, 0, 1, 0, 1),  # in another item
        struct.pack(">BxxxBBHHHHII", 0, 0x44, 0, 1, 7, 0, 1, 9, 5000),  # beyond the end
        struct.pack(">BxxxBBHHHHII", 0, 0x44, 0, 1, 7, 0, 1, 5000, 0),
        struct.pack(">BxxxBBHHHHHII", 1, 0x44, 0, 1, 7, 1, 0, 1, 2, 5),
    ],
)
def test_data_that_are_not_there(places):
    assert read(meta_file(places, idat=b"IJKL", data=b"abcdefgh")).main.data is None


NO_PLACES = struct.pack(">BxxxBBH", 0, 0x44, 0, 0)


def test_brands():
    assert read(meta_file(NO_PLACES)).brands == (b"avif", b"avif", b"mif1")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00\x00\x07ftypavif",
        box(b"ftyp", b"avif", bytes(4)),
        box(b"meta", bytes(4)),
        meta_file(NO_PLACES, entry=bytes((2, 0, 0, 0)) + struct.pack(">HH", 8, 0) + b"av01\x00"),  # no primary item
        meta_file(NO_PLACES, entry=bytes((2, 0, 0, 0)) + struct.pack(">HH", 7, 1) + b"av01\x00"),  # protected
        meta_file(NO_PLACES, entry=bytes((1, 0, 0, 0)) + struct.pack(">HH", 7, 0) + b"\x00\x00"),  # an old entry
        meta_file(b"\x03" + NO_PLACES[1:]),
        meta_file(NO_PLACES[:-1]),
        bytes(8 * 5000),
        box(b"free") * 70_000,
        file_bytes(many(4000))[:500],
    ],
)
def test_broken_files_are_refused(data):
    with pytest.raises(ValueError, match=r"."):
        read(data)


@pytest.mark.parametrize("kind", ["references", "extents", "properties", "items", "joined"])
def test_counts_are_bounded(kind):
    entry = bytes((2, 0, 0, 0)) + struct.pack(">HH", 7, 0) + b"av01\x00"
    parts = {
        b"pitm": bytes(4) + struct.pack(">H", 7),
        b"iinf": bytes(4) + struct.pack(">H", 1) + box(b"infe", entry),
    }
    match kind:
        case "references":
            parts[b"iref"] = bytes(4) + 2 * box(b"dimg", struct.pack(">HH", 7, 40000) + bytes(80000))
        case "extents":
            place = struct.pack(">HHH", 7, 0, 40000) + bytes(40000)
            parts[b"iloc"] = struct.pack(">BxxxBBH", 0, 0x10, 0, 2) + 2 * place
        case "properties":
            parts[b"iprp"] = box(b"ipco", 2 * box(b"free")) + box(
                b"ipma", bytes(4) + struct.pack(">I", 2) + 2 * (struct.pack(">HB", 7, 200) + b"\x01" * 200)
            )
        case "items":
            entries = [bytes((2, 0, 0, 0)) + struct.pack(">HH", number, 0) + b"av01\x00" for number in range(4090)]
            wide = [bytes((3, 0, 0, 0)) + struct.pack(">IH", 70000 + number, 0) + b"av01\x00" for number in range(10)]
            parts[b"iinf"] = bytes(6) + b"".join(box(b"infe", part) for part in (*entries, *wide))
        case _:
            place = struct.pack(">HHH", 7, 0, 200) + 200 * struct.pack(">II", 0, 100)
            parts[b"iloc"] = struct.pack(">BxxxBBH", 0, 0x44, 0, 1) + place
    meta = box(b"meta", bytes(4), *(box(name, body) for name, body in parts.items()))
    with pytest.raises(ValueError, match=r"too many|more bytes"):
        read(box(b"free", bytes(100)) + meta)


def test_largest_files_are_read_at_once():
    data = file_bytes(many(4000, properties=3))
    started = time.perf_counter()
    items = read(data)
    assert len(items.items) == 4000
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("kind", ["heic", "avif"])
def test_damaged_files_take_no_time_and_memory(kind):
    make = heic_items if kind == "heic" else avif_items
    photo = with_map(make(scene(64, 64)), make(scene(32, 32)), GAIN_MAP)
    data = file_bytes(with_tone_map(turned(photo, 6), make(scene(16, 16)), bytes(40)))
    tracemalloc.start()
    started = time.perf_counter()
    refused = 0
    for damaged in mutations(data, 1500):
        try:
            read(damaged)
        except ValueError:
            refused += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 150 < refused < 1450  # the damage is neither always noticed nor never
    assert time.perf_counter() - started < 20
    assert peak < 4 << 20


def test_written_files_are_valid(tmp_path):
    path = save(tmp_path / "photo.heic", with_map(heic_items(scene(64, 64)), heic_items(scene(32, 32)), GAIN_MAP))
    assert "Validate                        : OK" in exiftool(path, "-validate", "-warning", "-a")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_are_those_of_exif(orientation):
    properties = turn_properties(orientation)
    assert turn_of(properties) == orientation
    assert len(properties) == (0, 1, 1, 1, 2, 1, 2, 1)[orientation - 1]
    pixels = scene(48, 64)
    assert np.array_equal(upright(np.ascontiguousarray(stored_view(pixels, orientation)), orientation), pixels)
    assert np.shares_memory(stored_view(pixels, orientation), pixels)
    # The engine turns a picture in the same way.
    shown = np.asarray(pillow_heif.open_heif(file_bytes(turned(heic_items(pixels), orientation)))[0])
    assert np.abs(shown.astype(int) - upright(pixels, orientation)).max() <= 12


def test_turns_apply_in_their_order():
    rotation, mirror = turn_properties(7)
    assert turn_of((rotation, mirror)) == 7
    assert turn_of((mirror, rotation)) == 5
    with pytest.raises(ValueError, match="angle"):
        turn_of((Property(kind=b"irot", body=b""),))


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("chroma", ["420", "422", "444", None])
def test_bitstream_states_its_picture(bits, chroma):
    items = avif_items(scene(50, 70, bits=bits), bits, pixelformat=chroma or "400", primaries=12, transfer=16, matrix=9)
    sequence = sequence_of(items.main.data)
    assert (sequence.height, sequence.width, sequence.bit_depth) == (50, 70, bits)
    assert (sequence.chroma, sequence.nclx) == (chroma, (12, 16, 9, 1))


def test_bitstream_of_a_film_states_its_picture():
    frames = np.stack([scene(64, 96)] * 3)
    data = bytes(imagecodecs.avif_encode(frames, level=90, speed=10, bitspersample=8, pixelformat="420"))
    frame = first_frame(data)
    assert sequence_of(frame.main.data) == sequence_of(read(data).main.data)


def test_bitstreams_that_contradict_themselves_are_refused():
    small, large = (bytes(avif_items(scene(side, side)).main.data) for side in (64, 80))
    assert sequence_of(small + small).height == 64
    for data in (small + large, b"", small[:4], b"\x0a" + b"\xff" * 9, b"\x12\x00" * 5000):
        with pytest.raises(ValueError, match=r"."):
            sequence_of(data)


def test_first_frame_of_a_film():
    picture = avif_items(scene(48, 64))
    frame = first_frame(film(picture)).main
    assert bytes(frame.data) == bytes(picture.main.data)
    assert frame.body(b"ispe") == picture.main.body(b"ispe")
    assert frame.body(b"colr") == picture.main.body(b"colr")


def test_broken_films_are_refused():
    data = film(avif_items(scene(48, 64)))
    for name in (b"moov", b"trak", b"mdia", b"pict", b"stbl", b"stsd", b"stsz", b"stco"):
        with pytest.raises(ValueError, match=r"."):
            first_frame(data.replace(name, b"xxxx"))
    with pytest.raises(UnsupportedFormatError, match=r"^This AVIF is a film of a kind \(avc1\) that is not read here"):
        first_frame(data.replace(b"av01", b"avc1"))
    assert first_frame(data[:-1]).main.data is None
