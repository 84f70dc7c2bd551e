import struct
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_core.image.metadata import has_location, lost_with_location, refresh_size, without_location
from sr_core.image.picture import Extra, Metadata
from sr_core.image.xmp import states_place, without_places

from .photo_files import XMP, exif_block
from .tiff_files import APPLE_NOTE, CANON_NOTE, LATITUDE, LONGITUDE, long, short, tree_block

SIGNS = pytest.mark.parametrize("sign", ["<", ">"])
RATIONALS = [LATITUDE[at : at + 2] for at in (2, 4)] + [LONGITUDE[at : at + 2] for at in (2, 4)]
GPS = 0x8825
DECLARED = (
    b'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    b' xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"'
    b' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
)
ATTRIBUTES = (
    b' exif:GPSLatitude="48,51.5N" exif:GPSLongitude = \'2,17.7E\' photoshop:City="Paris" photoshop:State="Ile"'
    b' photoshop:Country="France" Iptc4xmpCore:Location="Quai" Iptc4xmpCore:CountryCode="FR"'
    b' dc:coverage="Paris 48.5N" prism:location="Paris"'
    b' drone-dji:GpsLatitude="48.86" drone-dji:GpsLongtitude="2.29" Iptc4xmpExt:City="Paris"'
)
ELEMENTS = (
    b"<exif:GPSLatitude>48,51.5N</exif:GPSLatitude><photoshop:City>Paris</photoshop:City>"
    b'<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:City>Paris</Iptc4xmpExt:City>'
    b"</rdf:li></rdf:Bag></Iptc4xmpExt:LocationCreated>"
    b'<Iptc4xmpExt:LocationShown Iptc4xmpExt:Sublocation="Quai / a &gt; b" x="Paris > Lyon"/>'
    b"<Iptc4xmpCore:Location>\nQuai</Iptc4xmpCore:Location><exif:GPSAltitude/>"
)


def tags_of(exif: bytes) -> Image.Exif:
    read = Image.Exif()
    read.load(b"Exif\x00\x00" + exif)
    return read


def holds_coordinates(exif: bytes) -> bool:
    return any(struct.pack(sign + "II", *pair) in exif for sign in "<>" for pair in RATIONALS) or b"MANUAL" in exif


@SIGNS
def test_no_coordinate_is_left_in_the_bytes_and_nothing_else_moves(sign):
    exif = tree_block(sign)
    assert holds_coordinates(exif)
    assert has_location(Metadata(exif=exif))
    bare = without_location(Metadata(exif=exif)).exif
    assert not holds_coordinates(bare)
    assert not has_location(Metadata(exif=bare))
    assert len(bare) == len(exif)
    told, found = tags_of(exif), tags_of(bare)
    assert GPS not in found
    assert dict(found) == {tag: value for tag, value in told.items() if tag != GPS}
    assert dict(found.get_ifd(0x8769)) == dict(told.get_ifd(0x8769))
    assert bare.index(APPLE_NOTE) == exif.index(APPLE_NOTE)
    assert bare.index(b"Harbour") == exif.index(b"Harbour")


@SIGNS
def test_directories_behind_the_first_are_still_found(sign):
    exif = exif_block(order=sign)
    end = len(exif)
    block = bytearray(exif)
    block[8 + 2 + 24 : 8 + 2 + 36] = struct.pack(sign + "HHII", GPS, 4, 1, end)
    block[8 + 2 + 36 : 8 + 2 + 48] = struct.pack(sign + "HHII", 0x8769, 4, 1, 72)
    block += struct.pack(sign + "HHHII", 1, 2, 5, 3, end + 18) + bytes(4) + long(sign, *LATITUDE)
    metadata = Metadata(exif=bytes(block))
    assert has_location(metadata)
    bare = without_location(metadata).exif
    assert not holds_coordinates(bare)
    assert struct.unpack_from(sign + "H", bare, 8) == (3,)
    assert struct.unpack_from(sign + "I", bare, 8 + 2 + 3 * 12) == (160,)
    assert b"STALE" not in refresh_size(Metadata(exif=bare), 6, 8).exif


@SIGNS
def test_the_notes_of_other_makers_go_and_those_of_apple_stay(sign):
    foreign = Metadata(exif=tree_block(sign, note=CANON_NOTE))
    bare = without_location(foreign).exif
    assert b"the note of a camera" in foreign.exif
    assert b"the note of a camera" not in bare
    inner = tags_of(bare).get_ifd(0x8769)
    assert 0x927C not in inner
    assert inner[0xA432] is not None
    assert lost_with_location(foreign) == (
        "The maker note of this photo will go with the location, which may be named there.",
    )
    assert lost_with_location(Metadata(exif=tree_block(sign))) == ()


@SIGNS
def test_other_blocks_with_places_go_from_the_first_directory(sign):
    values = [(700, 1, b"<x>Paris</x>"), (33723, 7, b"\x1c\x02\x5a\x00\x05Paris"), (34377, 7, b"8BIM Paris")]
    bare = without_location(Metadata(exif=tree_block(sign, first=values, gps=False))).exif
    assert b"Paris" not in bare
    assert tags_of(bare)[0x010F] == "Harbour"


def test_without_places_nothing_changes():
    plain = Metadata(exif=tree_block(gps=False), xmp=XMP % 1, icc=b"profile")
    assert not has_location(plain)
    assert without_location(plain) == plain
    assert lost_with_location(plain) == ()
    assert without_location(Metadata()) == Metadata()
    assert not has_location(Metadata())


def test_an_empty_gps_directory_states_no_place():
    exif = bytearray(tree_block())
    assert not has_location(Metadata(exif=without_location(Metadata(exif=bytes(exif))).exif))
    for pair in (LATITUDE, LONGITUDE):
        at = exif.index(long("<", *pair))
        exif[at : at + 24] = bytes(24)
    at = exif.index(b"ASCII\x00\x00\x00MANUAL")
    exif[at : at + 14] = bytes(14)
    assert not has_location(Metadata(exif=bytes(exif)))


def test_a_pointer_to_no_directory_is_taken_out():
    exif = tree_block(gps=False, first=[(GPS, 4, long("<", 0))])
    bare = without_location(Metadata(exif=exif))
    assert GPS not in tags_of(bare.exif)
    assert tags_of(bare.exif)[0x010F] == "Harbour"


@pytest.mark.parametrize(
    "damage",
    [
        lambda exif: exif[:-40],
        lambda exif: exif.replace(struct.pack("<HHI", 2, 5, 3), struct.pack("<HHI", 2, 99, 3)),
        lambda exif: exif.replace(struct.pack("<HHI", 2, 5, 3), struct.pack("<HHI", 2, 5, 1 << 30)),
        lambda exif: exif.replace(struct.pack("<HHI", 0x8298, 2, 7), struct.pack("<HHI", 0x8769, 4, 1)),
    ],
)
def test_a_block_whose_coordinates_may_lie_anywhere_is_left_out_and_that_is_said(damage):
    exif = damage(tree_block())
    assert exif != tree_block()
    assert without_location(Metadata(exif=exif)).exif is None
    assert lost_with_location(Metadata(exif=exif)) == (
        "The EXIF data of this photo will go with the location, which may be named there.",
    )


def test_thousands_of_pointers_take_no_time():
    count = 65_535
    entries = struct.pack("<HHII", GPS, 4, 1, 8) * (count // 3) + struct.pack("<HHII", 0x927C, 7, 60_000, 8) * (
        count // 3
    )
    exif = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries) // 12) + entries + bytes(4)
    started = perf_counter()
    assert without_location(Metadata(exif=exif)).exif is None
    has_location(Metadata(exif=exif))
    assert perf_counter() - started < 10


def test_maker_notes_that_together_are_larger_than_the_block_are_damage():
    entries = struct.pack("<HHII", 0x927C, 7, 60_000, 16) * 10_000
    exif = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 10_000) + entries + bytes(4)
    assert without_location(Metadata(exif=exif)).exif is None


@pytest.mark.parametrize("kind", ["iptc", "text", "comment", "extended-xmp", "private"])
def test_notes_that_may_hold_places_go_and_that_is_said(kind):
    note = Extra(kind=kind, name="The notes of this JPEG", data=b"\x1c\x02\x5a\x00\x05Paris")
    other = Extra(kind="gain-map", name="The HDR gain map of this JPEG", data=b"map")
    metadata = Metadata(extras=(note, other))
    assert has_location(metadata) == (kind == "iptc")
    assert without_location(metadata).extras == (other,)
    assert lost_with_location(metadata) == (
        "The notes of this JPEG will go with the location, which may be named there.",
    )


@SIGNS
def test_a_gain_map_stays_without_the_place_in_its_own_exif(sign):
    exif = b"Exif\x00\x00" + tree_block(sign)
    data = b"map\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + b"\xff\xdapixels"
    (bare,) = without_location(Metadata(extras=(Extra(kind="gain-map", name="The map", data=data),))).extras
    assert len(bare.data) == len(data)
    assert not holds_coordinates(bare.data)
    assert (bare.data[:9], bare.data[-8:]) == (data[:9], data[-8:])
    assert holds_coordinates(data)


def test_a_gain_map_whose_places_cannot_be_told_goes_and_that_is_said():
    gain_map = Extra(kind="gain-map", name="The HDR gain map of this JPEG", data=b'<a exif:GPSLatitude="48,51.5N"/>')
    metadata = Metadata(extras=(gain_map,))
    assert without_location(metadata).extras == ()
    assert lost_with_location(metadata) == (
        "The HDR gain map of this JPEG will go with the location, which may be named there.",
    )


def test_xmp_does_not_go_on_to_claim_an_extension():
    xmp = b'<d xmpNote:HasExtendedXMP="0123" dc:title="x"/>'
    extension = Extra(kind="extended-xmp", name="The extended part", data=b"")
    assert without_location(Metadata(xmp=xmp, extras=(extension,))).xmp == b'<d dc:title="x"/>'


def test_places_in_xmp_go_as_attributes_and_as_elements():
    xmp = b"<d " + DECLARED + ATTRIBUTES + b' dc:title="Paris?">' + ELEMENTS + b"<dc:format>a</dc:format></d>"
    assert has_location(Metadata(xmp=xmp))
    assert without_location(Metadata(xmp=xmp)).xmp == (
        b"<d " + DECLARED + b' dc:title="Paris?"><dc:format>a</dc:format></d>'
    )


@pytest.mark.parametrize(
    "part", [*ATTRIBUTES.replace(b" = ", b"=").split(), *ELEMENTS.replace(b"\n", b"").split(b"><")]
)
def test_each_of_them_alone_is_found(part):
    if b":GPS" in part or b":Gps" in part or b":City" in part:
        assert states_place(b"<d " + part.strip(b"<>") + b">")


def test_names_are_found_under_any_prefix():
    xmp = b'<d xmlns:p="http://ns.adobe.com/photoshop/1.0/" p:City="Paris" p:Credit="x" q:City="y"/>'
    assert without_places(xmp) == b'<d xmlns:p="http://ns.adobe.com/photoshop/1.0/" p:Credit="x" q:City="y"/>'


@pytest.mark.parametrize(
    "xmp",
    [
        "<d exif:GPSLatitude='1'/>".encode("utf-16"),
        b'<d xmlns="http://ns.adobe.com/exif/1.0/"><GPSLatitude>1</GPSLatitude></d>',
        b"<exif:GPSLatitude>1",
        b"<exif:GPSLatitude>1</exif:GPSLatitude >",
        b"".join(b' xmlns:p%d="http://ns.adobe.com/exif/1.0/"' % number for number in range(100)),
    ],
)
def test_a_packet_that_cannot_be_searched_is_left_out_and_that_is_said(xmp):
    assert without_places(xmp) is None
    assert lost_with_location(Metadata(xmp=xmp)) == (
        "The XMP data of this photo will go with the location, which may be named there.",
    )


HOSTILE = [
    b"<exif:GPSa>",
    b"<exif:GPSa ",
    b'<exif:GPSa "',
    b"<exif:GPSa '\"",
    b"<exif:GPSa /",
    b" exif:GPSa='",
    b' exif:GPSa="',
    b" exif:GPSa=\"'",
    b"a:",
    b" a:GPS",
    b"x" * 10,
    b"photoshop:City ",
    b"xmlns:",
    b'xmlns:a="http://ns.adobe.com/exif/1.0/" ',
    b"</exif:GPSa>",
    b"<photoshop:City/>",
]


@pytest.mark.parametrize("part", [pytest.param(part, id=repr(part)) for part in HOSTILE])
def test_no_packet_takes_long(part):
    xmp = part * ((1 << 20) // len(part))
    started = perf_counter()
    without_places(xmp)
    states_place(xmp)
    assert perf_counter() - started < 2


@given(st.data())
def test_no_block_makes_it_fail_and_what_is_left_states_no_place(data):
    sign = data.draw(st.sampled_from(["<", ">"]))
    exif = bytearray(tree_block(sign, note=data.draw(st.sampled_from([APPLE_NOTE, CANON_NOTE]))))
    for _ in range(data.draw(st.integers(1, 8))):
        exif[data.draw(st.integers(4, len(exif) - 1))] = data.draw(st.integers(0, 255))
    metadata = Metadata(exif=bytes(exif[: data.draw(st.integers(8, len(exif)))]))
    bare = without_location(metadata)
    assert not has_location(bare)
    assert bare.exif is None or len(bare.exif) == len(metadata.exif)
    lost_with_location(metadata)
    refresh_size(bare, 6, 8)


@SIGNS
@pytest.mark.parametrize(("height", "width"), [(60, 80), (70_000, 3)])
def test_sizes_in_the_interop_directory_are_refreshed(sign, height, width):
    fresh = refresh_size(Metadata(exif=tree_block(sign)), height, width).exif
    read = tags_of(fresh)
    read.get_ifd(0x8769)
    related = read.get_ifd(0xA005)
    assert (related[0x1001], related[0x1002], related[1]) == (width, height, "R98")
    assert short(sign, 40, 30) not in fresh
