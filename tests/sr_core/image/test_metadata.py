import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sr_core.image.metadata import (
    orientation_of,
    refresh_size,
    reset_orientation,
    usable_exif,
)
from sr_core.image.picture import Metadata

from .photo_files import XMP, exif_block

ORDERS = pytest.mark.parametrize("order", ["<", ">"])


def tags_of(exif: bytes, ifd: int | None = None) -> dict[int, object]:
    read = Image.Exif()
    read.load(b"Exif\x00\x00" + exif)
    return dict(read if ifd is None else read.get_ifd(ifd))


@ORDERS
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_only_its_value_is_reset(order, orientation):
    exif = exif_block(orientation, order=order)
    assert orientation_of(exif) == orientation
    reset = reset_orientation(Metadata(exif=exif)).exif
    assert reset == exif_block(1, order=order)
    changed = [at for at in range(len(exif)) if exif[at] != reset[at]]
    assert len(changed) == (orientation != 1)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_out_of_range_counts_as_upright(orientation):
    assert orientation_of(exif_block(orientation)) == 1


def test_directory_inside_the_header_is_none():
    assert orientation_of(b"II*\x00" + bytes(10) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)) == 1


def test_no_exif_is_upright():
    assert orientation_of(None) == 1
    assert reset_orientation(Metadata()) == Metadata()


@ORDERS
@pytest.mark.parametrize(("height", "width"), [(60, 80), (65535, 65536), (100_000, 3)])
def test_sizes_are_refreshed_even_beyond_a_short(order, height, width):
    fresh = refresh_size(Metadata(exif=exif_block(order=order)), height, width).exif
    inner = tags_of(fresh, 0x8769)
    assert (inner[0xA003], inner[0xA002]) == (height, width)


@ORDERS
def test_maker_note_and_everything_else_stay_where_they_are(order):
    exif = exif_block(order=order)
    fresh = refresh_size(Metadata(exif=exif), 60, 80).exif
    assert fresh[120:144] == exif[120:144]
    (target,) = struct.unpack_from(order + "I", fresh, 129)
    assert fresh[target : target + 7] == b"Harbour"
    assert set(tags_of(fresh)) == set(tags_of(exif))
    assert set(tags_of(fresh, 0x8769)) == set(tags_of(exif, 0x8769))


@ORDERS
def test_stale_thumbnail_is_gone(order):
    exif = exif_block(order=order)
    assert b"STALE" in exif
    fresh = refresh_size(Metadata(exif=exif), 60, 80).exif
    assert b"STALE" not in fresh
    assert tags_of(fresh, 1) == {}
    assert fresh[58:62] == bytes(4)
    assert len(fresh) == 192


def test_thumbnail_amid_the_block_is_zeroed_and_nothing_moves():
    exif = exif_block() + b"TAIL"
    fresh = refresh_size(Metadata(exif=exif), 60, 80).exif
    assert len(fresh) == len(exif)
    assert b"STALE" not in fresh
    assert fresh.endswith(b"TAIL")


def test_block_without_thumbnail_keeps_its_length():
    exif = exif_block(thumbnail=False)
    assert len(refresh_size(Metadata(exif=exif), 60, 80).exif) == len(exif)


def test_xmp_orientation_and_sizes_follow():
    elements = b"<tiff:Orientation>6</tiff:Orientation><exif:PixelYDimension>30</exif:PixelYDimension>"
    upright = reset_orientation(Metadata(xmp=XMP % 6 + elements)).xmp
    assert upright == XMP % 1 + elements.replace(b">6<", b">1<")
    fresh = refresh_size(Metadata(xmp=upright), 600, 800).xmp
    assert b'exif:PixelXDimension="800"' in fresh
    assert b"<exif:PixelYDimension>600</exif:PixelYDimension>" in fresh
    assert b'dc:title="harbour"' in fresh


def test_xmp_thumbnail_is_gone():
    xmp = b"<a><xmp:Thumbnails><rdf:Alt>\nSTALE</rdf:Alt></xmp:Thumbnails><b/></a>"
    assert refresh_size(Metadata(xmp=xmp), 6, 8).xmp == b"<a><b/></a>"


def test_mark_is_taken_off_and_other_bytes_are_no_exif():
    assert usable_exif(b"Exif\x00\x00" + exif_block()) == (exif_block(), ())
    assert usable_exif(exif_block()) == (exif_block(), ())
    assert usable_exif(b"") == usable_exif(None) == (None, ())
    exif, notices = usable_exif(b"nonsense")
    assert exif is None
    assert "not kept" in notices[0]


@given(st.binary(max_size=120), st.sampled_from([b"II*\x00", b"MM\x00*"]), st.data())
def test_no_block_makes_the_editor_fail(tail, magic, data):
    exif = bytearray(magic + tail)
    if len(exif) >= 8 and data.draw(st.booleans()):
        order = "little" if magic[:1] == b"I" else "big"
        exif[4:8] = data.draw(st.integers(0, len(exif))).to_bytes(4, order)
    block = bytes(exif)
    assert 1 <= orientation_of(block) <= 8
    fresh = refresh_size(reset_orientation(Metadata(exif=block)), 60, 80).exif
    assert len(fresh) <= len(block)


@given(st.integers(0, 211), st.integers(0, 255))
def test_one_damaged_byte_never_makes_the_editor_fail(at, value):
    exif = bytearray(exif_block(6))
    exif[at] = value
    if exif[:4] == b"II*\x00":
        assert len(refresh_size(reset_orientation(Metadata(exif=bytes(exif))), 60, 80).exif) <= len(exif)
