import shutil
import struct
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_core.image.tiff.exif import ExifBlock, attach, exif_of, stays_behind

from .tiff_files import APPLE_NOTE, CANON_NOTE, LATITUDE, directory, long, plain_tiff, short, tiff_bytes, tree_block

SIGNS = pytest.mark.parametrize("sign", ["<", ">"])
EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
MAKER_NOTICE = (
    "The maker note of this photo (settings in the camera maker's own form) works only where it lies and is not kept."
)
DAMAGE_NOTICE = "A part of the EXIF data of this photo is damaged or too long and is not kept."


def tags_of(exif: bytes) -> dict[str, dict[int, object]]:
    read = Image.Exif()
    read.load(b"Exif\x00\x00" + exif)
    pointers = {"exif": EXIF, "gps": GPS, "interop": INTEROP}
    trees = {"exif": dict(read.get_ifd(EXIF)), "gps": dict(read.get_ifd(GPS)), "interop": {}}
    if INTEROP in trees["exif"]:
        trees["interop"] = dict(read.get_ifd(INTEROP))
    first = {tag: value for tag, value in read.items() if tag not in pointers.values()}
    trees["exif"].pop(INTEROP, None)
    return {"first": first, **trees}


def attached(tiff: bytes, exif: bytes) -> bytes:
    stream = BytesIO(tiff)
    attach(stream, exif)
    return stream.getvalue()


def blank(**options: object) -> bytes:
    return tiff_bytes(np.arange(35, dtype=np.uint16).reshape(5, 7), **options)


@SIGNS
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_tree_of_tags_goes_into_a_tiff_and_comes_back(sign, order, big):
    exif = tree_block(sign)
    tiff = attached(blank(byteorder=order, bigtiff=big), exif)
    assert np.array_equal(tifffile.imread(BytesIO(tiff)), np.arange(35).reshape(5, 7))
    back = exif_of(tiff)
    assert back.notices == ()
    assert back.exif[:2] == (b"II" if order == "<" else b"MM")
    told, found = tags_of(exif), tags_of(back.exif)
    assert found["gps"][2] == (LATITUDE[0], LATITUDE[2], LATITUDE[4] / LATITUDE[5])
    assert found["interop"] == told["interop"] == {1: "R98", 0x1001: 40, 0x1002: 30}
    assert found["exif"].pop(0xA302) == struct.pack(order + "HH", 2, 2) + bytes((0, 1, 1, 2))
    curve = struct.pack(order + "HH", 1, 2) + b"gain\x00\x00" + struct.pack(order + "iiii", -3, 4, 5, 6)
    assert found["exif"].pop(0x8828) == curve
    assert told["exif"].pop(0xA302) is not None
    assert told["exif"].pop(0x8828) is not None
    assert found == told
    assert found["exif"][0x927C] == APPLE_NOTE


@SIGNS
def test_without_change_of_byte_order_every_byte_of_a_value_is_kept(sign):
    once = exif_of(attached(blank(byteorder=sign), tree_block(sign))).exif
    assert exif_of(attached(blank(byteorder=sign), once)).exif == once
    assert exif_of(once) == ExifBlock(exif=once)


def test_types_are_kept():
    def kinds(exif: bytes) -> dict[int, int]:
        count = struct.unpack_from("<H", exif, 8)[0]
        return dict(struct.unpack_from("<HH", exif, 10 + 12 * at) for at in range(count))

    exif = tree_block("<", first=[(0x9C9B, 1, "Dünen".encode("utf-16-le"))])
    assert kinds(exif_of(attached(blank(), exif)).exif) == kinds(exif)


@pytest.mark.parametrize(
    "note",
    [
        APPLE_NOTE,
        b"Nikon\x00\x02\x11\x00\x00MM\x00*\x00\x00\x00\x08" + bytes(9),
        b"FUJIFILM\x0c\x00\x00\x00" + bytes(9),
        b"OLYMPUS\x00II\x03\x00" + bytes(9),
        b"OM SYSTEM\x00\x00\x00II\x04\x00" + bytes(9),
        b"A note in plain words.\x00\x00",
    ],
)
def test_a_maker_note_that_counts_from_itself_moves(note):
    exif = tree_block("<", note=note)
    assert stays_behind(exif) == ()
    block = exif_of(attached(blank(), exif))
    assert block.notices == ()
    assert tags_of(block.exif)["exif"][0x927C] == note


@pytest.mark.parametrize(
    "note",
    [
        CANON_NOTE,
        b"SONY DSC \x00\x00\x00" + b"\x07" * 20,
        b"Panasonic\x00\x00\x00" + b"\x07" * 20,
        b"OLYMP\x00\x01\x00" + bytes(20),
        b"Nikon\x00\x01\x00" + bytes(20),
        b"AOC\x00MM" + bytes(20),
        b"\xff\xfe not to be known",
    ],
)
def test_a_maker_note_that_counts_from_elsewhere_is_left_out_and_that_is_said(note):
    exif = tree_block("<", note=note)
    assert stays_behind(exif) == (MAKER_NOTICE,)
    stream = BytesIO(blank())
    assert attach(stream, exif) == (MAKER_NOTICE,)
    block = exif_of(stream.getvalue())
    assert note not in block.exif
    assert 0x927C not in tags_of(block.exif)["exif"]
    assert exif_of(exif).notices == (MAKER_NOTICE,)


def test_nothing_stays_behind_of_nothing():
    assert stays_behind(None) == stays_behind(b"") == stays_behind(b"nonsense") == ()


def test_tags_of_the_file_win_but_for_a_resolution_without_a_unit():
    exif = tree_block("<", first=[(256, 4, long("<", 4000)), (0x0131, 2, b"Editor\x00")])
    tiff = attached(blank(extratags=[(0x010F, 2, 5, b"Boat\x00", True)]), exif)
    first = tags_of(exif_of(tiff).exif)["first"]
    assert first[0x010F] == "Boat"
    assert first[0x0131] == "Editor"
    with tifffile.TiffFile(BytesIO(tiff)) as read:
        tags = read.pages[0].tags
        assert tags[256].value == 7
        assert (tags[282].value, tags[296].value) == ((300, 1), 2)
    with tifffile.TiffFile(BytesIO(attached(blank(resolution=(72, 72), resolutionunit=2), exif))) as read:
        assert read.pages[0].tags[282].value == (72, 1)


def test_entries_are_in_order_and_sub_directories_have_a_type_that_readers_know():
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        pixels = np.zeros((16, 16, 3), np.uint8)
        writer.write(pixels, photometric="rgb", subifds=1, metadata=None)
        writer.write(pixels, photometric="rgb", metadata=None)
    attach(stream, tree_block())
    tiff = stream.getvalue()
    at = struct.unpack_from("<I", tiff, 4)[0]
    count = struct.unpack_from("<H", tiff, at)[0]
    entries = [struct.unpack_from("<HHI", tiff, at + 2 + 12 * number) for number in range(count)]
    assert [entry[0] for entry in entries] == sorted({entry[0] for entry in entries})
    assert {tag: kind for tag, kind, _ in entries}[330] == 4
    with tifffile.TiffFile(BytesIO(tiff)) as read:
        assert len(read.pages) == 1
        assert read.pages[0].pages[0].asarray().shape == (16, 16, 3)


def test_further_pages_are_still_there():
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for value in (1, 2):
            writer.write(np.full((5, 7), value, np.uint8), metadata=None)
    attach(stream, tree_block())
    with tifffile.TiffFile(BytesIO(stream.getvalue())) as read:
        assert [int(page.asarray()[0, 0]) for page in read.pages] == [1, 2]


def test_structure_profiles_and_pointers_are_no_exif():
    values = [
        (256, 4, long("<", 7)),
        (257, 4, long("<", 5)),
        (258, 3, short("<", 8)),
        (262, 3, short("<", 1)),
        (271, 2, b"Harbour\x00"),
        (330, 4, long("<", 8)),
        (700, 1, b"<x:xmpmeta/>"),
        (34675, 7, b"a profile"),
        (50721, 10, struct.pack("<2i", 1, 2)),
        (50735, 2, b"12345\x00"),
        (36867, 2, b"2024:01:01 00:00:00\x00"),
    ]
    first = tags_of(exif_of(plain_tiff(values, bytes(35))).exif)["first"]
    assert first == {271: "Harbour", 50735: "12345", 36867: "2024:01:01 00:00:00"}


def test_a_picture_without_words_has_no_exif():
    assert exif_of(blank(resolution=(300, 300), resolutionunit=2)) == ExifBlock(exif=None)
    assert exif_of(b"\xff\xd8\xff") == ExifBlock(exif=None)
    assert exif_of(b"") == ExifBlock(exif=None)


def test_private_numbers_of_a_raw_file_are_not_taken_for_tags():
    values = [
        (2, 3, short("<", 4000)),
        (271, 2, b"Panasonic\x00"),
        (0x0118, 3, short("<", 7)),
        (0x0127, 3, short("<", 7)),
        (0x0131, 2, b"V1.0\x00"),
    ]
    data = b"IIU\x00\x08\x00\x00\x00" + directory("<", values, 8)
    block = exif_of(data)
    assert block.exif[:4] == b"II*\x00"
    assert tags_of(block.exif)["first"] == {271: "Panasonic", 0x0131: "V1.0"}


def test_wide_numbers_of_a_bigtiff_become_those_of_exif():
    tiff = attached(
        blank(bigtiff=True, extratags=[(50001, 16, 2, (7, 1 << 20), True), (50002, 16, 1, 1 << 40, True)]), tree_block()
    )
    first = tags_of(exif_of(tiff).exif)["first"]
    assert first[50001] == (7, 1 << 20)
    assert 50002 not in first


def test_what_is_damaged_or_too_long_is_left_out_and_that_is_said():
    exif = tree_block()
    block = exif_of(exif[:-20])
    assert block.notices == (DAMAGE_NOTICE,)
    assert tags_of(block.exif)["first"][0x010F] == "Harbour"
    huge = exif_of(tree_block(first=[(50001, 1, bytes(70_000)), (50003, 1, bytes(60_000))]))
    assert huge.notices == (DAMAGE_NOTICE,)
    assert 60_000 < len(huge.exif) < 70_000


def test_entries_that_share_their_bytes_do_not_multiply_them():
    entry_count = 4000
    at = 8 + 2 + 12 * entry_count + 4
    entries = b"".join(struct.pack("<HHII", 40_000 + number, 1, 60_000, at) for number in range(entry_count))
    data = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", entry_count) + entries + bytes(4) + b"\x01" * 60_000
    block = exif_of(data)
    assert block.notices == (DAMAGE_NOTICE,)
    assert len(block.exif) < 5 << 20


def test_directories_that_point_at_each_other_are_read_once():
    loop = directory("<", [(271, 2, b"Boat"), (EXIF, 4, long("<", 8)), (GPS, 4, long("<", 8))], 8)
    assert tags_of(exif_of(b"II*\x00\x08\x00\x00\x00" + loop).exif)["first"] == {271: "Boat"}


def test_a_classic_tiff_does_not_pass_four_gibibytes(tmp_path):
    path = tmp_path / "large.tif"
    path.write_bytes(blank())
    with path.open("r+b") as file:
        file.truncate((1 << 32) - 100)
        with pytest.raises(ValueError, match="BigTIFF"):
            attach(file, tree_block())
    assert path.stat().st_size == (1 << 32) - 100


def test_directories_start_at_even_offsets():
    tiff = attached(blank() + b"\x00" * (1 - len(blank()) % 2), tree_block())
    first_at = struct.unpack_from("<I", tiff, 4)[0]
    assert first_at % 2 == 0
    assert tifffile.imread(BytesIO(tiff)).shape == (5, 7)


def test_what_is_no_tiff_takes_no_exif():
    with pytest.raises(ValueError, match="TIFF"):
        attach(BytesIO(b"\xff\xd8\xff"), tree_block())
    with pytest.raises(ValueError, match="TIFF"):
        attach(BytesIO(blank()), b"nonsense")


@given(st.data())
def test_no_block_makes_it_fail(data):
    exif = bytearray(tree_block(data.draw(st.sampled_from(["<", ">"]))))
    for _ in range(data.draw(st.integers(1, 6))):
        exif[data.draw(st.integers(8, len(exif) - 1))] = data.draw(st.integers(0, 255))
    block = exif_of(bytes(exif[: data.draw(st.integers(8, len(exif)))]))
    if block.exif is not None:
        assert exif_of(block.exif).exif == block.exif
        tiff = attached(blank(), block.exif)
        assert tifffile.imread(BytesIO(tiff)).shape == (5, 7)


def exiftool(path: Path, *options: str) -> list[str]:
    ran = subprocess.run(["exiftool", *options, str(path)], capture_output=True, check=False)
    return ran.stdout.decode("utf-8", "replace").splitlines()


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize("sign", ["<", ">"])
def test_exiftool_finds_nothing_wrong_and_every_tag(tmp_path, sign):
    path, block = tmp_path / "photo.tif", tmp_path / "block.tif"
    exif = tree_block(sign, note=None)
    path.write_bytes(attached(blank(byteorder=sign), exif))
    block.write_bytes(exif)
    words = exiftool(path, "-validate", "-warning", "-a", "-s3")
    assert [word for word in words if not word.startswith(("Missing required", "[minor]")) and "Warn" not in word] == []
    shown = ("-a", "-s", "-G1", "-u", "-ExifIFD:all", "-GPS:all", "-InteropIFD:all", "-IFD0:Make", "-IFD0:Copyright")
    assert exiftool(path, *shown) == exiftool(block, *shown)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.skipif(not SAMPLES.exists(), reason="needs the sample photos")
def test_a_telephone_photo_keeps_every_tag_and_its_maker_note(tmp_path):
    exif = pillow_heif.open_heif(SAMPLES / "iphone13pro_small_gainmap.heic").info["exif"].removeprefix(b"Exif\x00\x00")
    path, block = tmp_path / "photo.tif", tmp_path / "block.tif"
    path.write_bytes(attached(tiff_bytes(np.zeros((30, 40, 3), np.uint16)), exif))
    block.write_bytes(exif)
    groups = ("-a", "-s", "-G1", "-u", "-IFD0:all", "-ExifIFD:all", "-GPS:all", "-Apple:all")
    told = set(exiftool(block, *groups))
    assert len([line for line in told if line.startswith("[Apple]")]) > 10
    assert told <= set(exiftool(path, *groups))
