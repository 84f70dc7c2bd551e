import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.image.tiff.ifd import Directory, Form, Value, directory_bytes, form_of, reordered

from .tiff_files import directory, long, short, tiff_bytes, tree_block

SIGNS = pytest.mark.parametrize("sign", ["<", ">"])


def read(data: bytes, at: int | None = None) -> Directory:
    form = form_of(data)
    assert form is not None
    return Directory(data, form, form.first_at if at is None else at)


@SIGNS
def test_a_directory_lists_values_in_it_and_elsewhere(sign):
    first = read(tree_block(sign))
    assert first.is_whole
    assert first.next_at == 0
    assert first.whole(0x0112) == 1
    assert first.numbers(0x011A) == (300.0,)
    assert first.data_of(first.entries[0x010F]) == b"Harbour\x00"
    assert first.value_of(first.entries[0x010F]) == Value(tag=0x010F, kind=2, count=8, data=b"Harbour\x00")
    inner = read(tree_block(sign), first.whole(0x8769))
    assert inner.numbers(0x9201) == (-7 / 3,)
    assert inner.numbers(0xA432, 2) == (1.57, 9.0)
    assert 0x829A in inner
    assert 0x0112 not in inner


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bigtiff_is_read_too(order):
    first = read(tiff_bytes(np.zeros((5, 7), np.uint8), bigtiff=True, byteorder=order))
    assert (first.whole(257), first.whole(256)) == (5, 7)
    assert first.is_whole


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"", None),
        (b"II*\x00", None),
        (b"IM*\x00\x08\x00\x00\x00", None),
        (b"II\x00*\x08\x00\x00\x00", None),
        (b"II+\x00\x04\x00\x00\x00" + bytes(8), None),
        (b"II*\x00\x08\x00\x00\x00", Form(order="little", is_big=False, first_at=8)),
        (b"MM\x00*\x00\x00\x00\x08", Form(order="big", is_big=False, first_at=8)),
        (b"MM\x00+\x00\x08\x00\x00" + struct.pack(">Q", 16), Form(order="big", is_big=True, first_at=16)),
        (b"IIU\x00\x18\x00\x00\x00", Form(order="little", is_big=False, first_at=24, is_standard=False)),
        (b"IIRO\x08\x00\x00\x00", Form(order="little", is_big=False, first_at=8, is_standard=False)),
        (b"MMOR\x00\x00\x00\x08", Form(order="big", is_big=False, first_at=8, is_standard=False)),
    ],
)
def test_the_header_says_how_numbers_are_written(data, form):
    assert form_of(data) == form


def test_what_is_not_in_the_bytes_is_left_out():
    data = b"II*\x00\x08\x00\x00\x00" + directory("<", [(271, 2, b"Harbour\x00"), (272, 2, b"Boat\x00")], 8)
    cut = read(data[:-6])
    assert set(cut.entries) == {271}
    assert not cut.is_whole
    unknown = read(data.replace(struct.pack("<HHI", 271, 2, 8), struct.pack("<HHI", 271, 99, 8)))
    assert set(unknown.entries) == {272}
    assert not unknown.is_whole
    assert read(data, 4).entries == {}
    assert read(data, 1 << 31).entries == {}
    assert not read(data, 1 << 31).is_whole


def test_values_before_the_end_of_the_header_are_none():
    entry = struct.pack("<HHII", 271, 2, 8, 0)
    data = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 1) + entry + bytes(4)
    assert read(data).entries == {}


def test_of_two_entries_the_first_counts():
    data = b"II*\x00\x08\x00\x00\x00" + directory("<", [(257, 3, short("<", 5)), (257, 3, short("<", 6))], 8)
    assert read(data).whole(257) == 5


def test_a_claim_of_many_entries_takes_no_memory():
    data = b"II+\x00\x08\x00\x00\x00" + struct.pack("<QQ", 16, 1 << 60) + bytes(2000)
    found = read(data)
    assert len(found.entries) <= 100
    assert not found.is_whole
    assert found.next_at == 0


def test_no_more_than_four_thousand_entries_are_listed():
    data = b"II*\x00\x08\x00\x00\x00" + directory("<", [(tag, 3, short("<", 5)) for tag in range(5000)], 8)
    assert len(read(data).entries) == 4096
    assert not read(data).is_whole


def test_numbers_are_bounded_and_text_is_none():
    data = b"II*\x00\x08\x00\x00\x00" + directory("<", [(258, 3, short("<", *range(200))), (271, 2, b"Boat\x00")], 8)
    first = read(data)
    assert len(first.numbers(258)) == 64
    assert first.numbers(258, 3) == (0, 1, 2)
    assert first.numbers(271) == ()
    assert first.numbers(300) == ()
    assert first.whole(271, 9) == 9


def test_a_rational_by_zero_is_zero():
    data = b"II*\x00\x08\x00\x00\x00" + directory("<", [(282, 5, long("<", 300, 0))], 8)
    assert read(data).numbers(282) == (0.0,)
    assert read(data).whole(282, 7) == 7


@pytest.mark.parametrize(
    ("kind", "data", "turned"),
    [
        (2, b"abcd", b"abcd"),
        (7, b"abcd", b"abcd"),
        (3, b"abcd", b"badc"),
        (4, b"abcdefgh", b"dcbahgfe"),
        (5, b"abcdefgh", b"dcbahgfe"),
        (10, b"abcdefgh", b"dcbahgfe"),
        (12, b"abcdefgh", b"hgfedcba"),
        (16, b"abcdefgh", b"hgfedcba"),
    ],
)
def test_values_are_turned_around_by_their_type(kind, data, turned):
    value = Value(tag=1, kind=kind, count=1, data=data)
    assert reordered(value).data == turned
    assert reordered(reordered(value)) == value


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("is_big", [False, True])
def test_what_is_written_is_read(order, is_big):
    form = Form(order=order, is_big=is_big, first_at=16)
    values = [
        Value(tag=700, kind=1, count=9, data=b"<x></x> ."),
        Value(tag=271, kind=2, count=3, data=b"ab\x00"),
        Value(tag=282, kind=5, count=1, data=(300).to_bytes(4, order) + (1).to_bytes(4, order)),
        Value(tag=257, kind=4, count=1, data=(70000).to_bytes(4, order)),
    ]
    body = directory_bytes(values, 16, form, next_at=77)
    assert len(body) % 2 == 0
    found = Directory(bytes(16) + body, form, 16)
    assert found.next_at == 77
    assert list(found.entries) == [257, 271, 282, 700]
    assert sorted((found.value_of(entry) for entry in found.entries.values()), key=lambda value: value.tag) == sorted(
        values, key=lambda value: value.tag
    )


def test_an_offset_beyond_four_gibibytes_does_not_fit_a_classic_directory():
    value = Value(tag=271, kind=2, count=8, data=b"Harbour\x00")
    with pytest.raises(OverflowError):
        directory_bytes([value], 1 << 32, Form(order="little", is_big=False, first_at=8))
    directory_bytes([value], 1 << 32, Form(order="little", is_big=True, first_at=16))


@given(st.binary(max_size=200), st.sampled_from([b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00", b"IIU\x00"]))
def test_no_bytes_make_a_directory_fail(tail, mark):
    form = form_of(mark + tail)
    if form is None:
        return
    for at in (form.first_at, 8, 16):
        found = Directory(mark + tail, form, at)
        for entry in found.entries.values():
            assert len(found.data_of(entry)) == entry.size_bytes
            found.numbers(entry.tag)
