import struct
import zlib
from contextlib import suppress
from time import perf_counter

import pytest

from sr_core.errors import UnreadablePhotoError
from sr_core.image.decode import Limits, decode
from sr_core.image.metadata import refresh_size, reset_orientation
from sr_core.image.picture import Metadata
from sr_core.image.xmp import usable_xmp, with_number, without_claims, without_elements

from .photo_files import chunk, png_bytes, scene, with_chunks, write_heic, write_pillow

PREFIXES = ("hdrgm:", "GCamera:Motion", "GCamera:MicroVideo")
TIMES = 20_000
MOST_SECONDS = 2.0
XMP_KEY = b"XML:com.adobe.xmp"
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\x00"
EXIF_MARK = b"Exif\x00\x00"
TOO_LONG = "The XMP data of this photo is longer than 1 MiB and is not kept."
LONGEST = b"<x:xmpmeta>".ljust(1 << 20)

HOSTILE = [
    b"<xmp:Thumbnails>",
    b"<xmp:Thumbnails ",
    b"</xmp:Thumbnails>",
    b"<hdrgm:a>",
    b"<hdrgm:a ",
    b"<hdrgm:a/>",
    b"<hdrgm:a><hdrgm:b></hdrgm:b>",
    b"<hdrgm:",
    b"<",
    b" ",
    b"\t\n",
    b' hdrgm:a="',
    b" hdrgm:a='",
    b" hdrgm:a=\" hdrgm:a='",
    b" hdrgm:a",
    b" hdrgm:a = ",
    b" GCamera:Motion",
    b"tiff:Orientation",
    b"tiff:Orientation ",
    b"<tiff:Orientation>",
    b"<tiff:Orientation>1 ",
    b'exif:PixelXDimension="',
    b"exif:PixelXDimension= ",
]
HOSTILE_RUNS = [
    pytest.param(b"".join(b"<hdrgm:a%d>" % at for at in range(TIMES)), id="many names"),
    pytest.param(b"<hdrgm:" + b"a" * TIMES * 8, id="long name"),
    pytest.param(b" hdrgm:" + b"a" * TIMES * 8, id="long attribute"),
    pytest.param(b"<tiff:Orientation>" + b"1" * TIMES * 8, id="digits"),
    pytest.param(b"<tiff:Orientation>" + b" " * TIMES * 8, id="blanks in an element"),
    pytest.param(b"tiff:Orientation" + b" " * TIMES * 8 + b"x", id="blanks after a name"),
    pytest.param(b"<hdrgm:a>" * TIMES + b"</hdrgm:a>" * TIMES, id="nested"),
    pytest.param(b"<hdrgm:a " * TIMES + b"></hdrgm:a>", id="one end for all"),
]


@pytest.mark.parametrize("xmp", [*(pytest.param(part * TIMES, id=repr(part)) for part in HOSTILE), *HOSTILE_RUNS])
def test_no_packet_takes_long(xmp):
    started = perf_counter()
    without_claims(xmp, PREFIXES)
    refresh_size(reset_orientation(Metadata(xmp=xmp)), 60, 80)
    assert perf_counter() - started < MOST_SECONDS


def test_a_hostile_jpeg_is_read_and_written_at_once(tmp_path):
    plain = write_pillow(tmp_path / "a", scene(16, 16), "jpeg").read_bytes()
    body = XMP_MARK + (b"<hdrgm:a><xmp:Thumbnails>" * 4000)[:65_000]
    path = tmp_path / "b"
    path.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:])
    started = perf_counter()
    refresh_size(decode(path, Limits()).metadata, 32, 32)
    assert perf_counter() - started < MOST_SECONDS


@pytest.mark.parametrize("part", [b"x", b"II*\x00"])
def test_a_jpeg_with_thousands_of_exif_segments_is_done_with_at_once(tmp_path, part):
    plain = write_pillow(tmp_path / "a", scene(16, 16), "jpeg").read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(EXIF_MARK + part) + 2) + EXIF_MARK + part
    (tmp_path / "b").write_bytes(plain[:2] + segment * 5000 + plain[2:])
    started = perf_counter()
    with suppress(UnreadablePhotoError):
        decode(tmp_path / "b", Limits())
    assert perf_counter() - started < MOST_SECONDS


def test_the_chunks_of_a_png_share_what_may_be_inflated(tmp_path):
    bomb = chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(b" " * (15 << 20)))
    path = tmp_path / "photo"
    path.write_bytes(with_chunks(png_bytes(scene(8, 8)), *[bomb] * 1000))
    started = perf_counter()
    notices = decode(path, Limits()).notices
    assert perf_counter() - started < MOST_SECONDS
    assert notices == ("A part of the metadata of this PNG is damaged or too long and is not kept.",)


def test_claims_are_taken_out_as_attribute_and_as_element():
    xmp = b'<d hdrgm:Version="1.0" dc:title="x"\n hdrgm:GainMapMax=\'2\'><hdrgm:Gamma><r>1</r></hdrgm:Gamma><k/></d>'
    assert without_claims(xmp, ("hdrgm:",)) == b'<d dc:title="x"><k/></d>'


def test_claims_of_several_namespaces_go_and_their_neighbours_stay():
    xmp = (
        b'<d  GCamera:MotionPhoto = "1" GCamera:Portrait="2" xhdrgm:a="3">'
        b"<hdrgm:a q='1'>\n<hdrgm:b>1</hdrgm:b>\n</hdrgm:a><k/><hdrgm:c>2</hdrgm:c><GCamera:MotionPhotos>3"
        b"</GCamera:MotionPhotos><GCamera:Portrait>4</GCamera:Portrait></d>"
    )
    left = b'<d GCamera:Portrait="2" xhdrgm:a="3"><k/><GCamera:Portrait>4</GCamera:Portrait></d>'
    assert without_claims(xmp, PREFIXES) == left


@pytest.mark.parametrize(
    ("xmp", "left"),
    [
        (b"<a><xmp:Thumbnails>1</xmp:Thumbnails>2<xmp:Thumbnails>3</xmp:Thumbnails></a>", b"<a>2</a>"),
        (b"<a><xmp:Thumbnails x='1'>1</xmp:Thumbnails></a>", b"<a></a>"),
        (b"<xmp:Thumbnails>1<b/>", b"<xmp:Thumbnails>1<b/>"),
        (b"</xmp:Thumbnails><xmp:Thumbnails>1", b"</xmp:Thumbnails><xmp:Thumbnails>1"),
        (b"<xmp:Thumbnails/>1</xmp:Thumbnails>", b"<xmp:Thumbnails/>1</xmp:Thumbnails>"),
        (b"<xmp:ThumbnailsX>1</xmp:ThumbnailsX>", b"<xmp:ThumbnailsX>1</xmp:ThumbnailsX>"),
    ],
)
def test_only_whole_elements_of_the_name_are_taken_out(xmp, left):
    assert without_elements(xmp, "xmp:Thumbnails") == left


@pytest.mark.parametrize(
    ("xmp", "changed"),
    [
        (b"<a tiff:Orientation = ' 6'>", b"<a tiff:Orientation = '1'>"),
        (b"<tiff:Orientation>\n6\n</tiff:Orientation>", b"<tiff:Orientation>1</tiff:Orientation>"),
        (b"<tiff:Orientation>six</tiff:Orientation>", b"<tiff:Orientation>six</tiff:Orientation>"),
    ],
)
def test_numbers_are_replaced_with_the_blanks_around_them(xmp, changed):
    assert with_number(xmp, "tiff:Orientation", 1) == changed


def test_a_long_packet_is_left_out_with_a_notice():
    assert usable_xmp(None) == (None, ())
    assert usable_xmp(LONGEST) == (LONGEST, ())
    assert usable_xmp(LONGEST + b" ") == (None, (TOO_LONG,))


@pytest.mark.parametrize("kind", ["png", "compressed png", "webp", "heic"])
@pytest.mark.parametrize(("xmp", "notices"), [(LONGEST, ()), (LONGEST + b" ", (TOO_LONG,))], ids=["longest", "longer"])
def test_xmp_of_more_than_a_mebibyte_is_not_kept(tmp_path, kind, xmp, notices):
    path = tmp_path / "photo"
    if kind == "heic":
        write_heic(path, scene(32, 32), xmp=xmp)
    elif kind == "webp":
        write_pillow(path, scene(32, 32), "webp", xmp=xmp)
    else:
        text = bytes(5) + xmp if kind == "png" else b"\x00\x01\x00\x00\x00" + zlib.compress(xmp)
        path.write_bytes(with_chunks(png_bytes(scene(32, 32)), chunk(b"iTXt", XMP_KEY + text)))
    picture = decode(path, Limits())
    assert picture.notices == notices
    assert picture.metadata.xmp == (None if notices else xmp)
