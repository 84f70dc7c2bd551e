import tracemalloc

import numpy as np
import pytest
import rawpy

from sr_core.errors import PhotoTooLargeError, UnreadablePhotoError, UnsupportedFormatError
from sr_core.image.decode import decode_bytes, read_header_bytes
from sr_core.image.header import Limits
from sr_core.image.raw import libraw
from sr_core.image.raw.libraw import open_raw
from sr_core.image.raw.profile import lost_parts
from sr_core.image.raw.tags import raw_tags
from sr_core.image.raw.whole import refuse_blank, refuse_cut
from sr_core.image.tiff.ifd import Form, Value, directory_bytes

from .raw_files import SAMPLES, bayer_dng, light_scene, linear_dng, packed_dng

LIGHT = light_scene(160, 200)
CODES = np.rint(LIGHT * 65535).astype(np.uint16)


def as_other_raw(data):
    """Returns a DNG as a RAW file that does not call itself one."""
    hurt = bytearray(data)
    entry = raw_tags(data).first.entries[50706]
    hurt[entry.entry_at : entry.entry_at + 2] = (50705).to_bytes(2, "little")
    return bytes(hurt)


def panasonic(claimed, held):
    """Returns the directory of an RW2 that claims so many bytes of the sensor, with so many of them."""
    form = Form(order="little", is_big=False, first_at=8)

    def number(tag, value):
        return Value(tag=tag, kind=4, count=1, data=value.to_bytes(4, "little"))

    values = [number(273, 0xFFFFFFFF), number(279, claimed), number(0x118, 100)]
    head = b"IIU\x00" + form.first_at.to_bytes(4, "little") + directory_bytes(values, form.first_at, form)
    return head.ljust(100, b"\0") + bytes(held)


@pytest.mark.parametrize("make", [lambda: bayer_dng(LIGHT), lambda: linear_dng(CODES), lambda: packed_dng(CODES)])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_dng_whose_sensor_data_pass_its_end_is_refused_by_its_header(make, kept):
    data = make()
    assert read_header_bytes(data, Limits()).width == 200
    with pytest.raises(UnreadablePhotoError, match=r"^This DNG is damaged or cut short"):
        read_header_bytes(data[: int(len(data) * kept)], Limits())


def test_dng_is_held_to_the_byte():
    data = bayer_dng(LIGHT)
    sensor = raw_tags(data).sensor
    end = sensor.numbers(273)[-1] + sensor.numbers(279)[-1]
    refuse_cut(data[:end], raw_tags(data))
    with pytest.raises(ValueError, match="1 bytes"):
        refuse_cut(data[: end - 1], raw_tags(data))


def test_image_of_the_sensor_that_is_nowhere_is_refused():
    data = bytearray(bayer_dng(LIGHT))
    entry = raw_tags(bytes(data)).sensor.entries[273]
    data[entry.entry_at : entry.entry_at + 2] = (272).to_bytes(2, "little")
    with pytest.raises(ValueError, match="nowhere"):
        refuse_cut(bytes(data), raw_tags(bytes(data)))


def test_few_bytes_are_no_compressed_photo():
    data = bytearray(bayer_dng(LIGHT))
    sensor = raw_tags(bytes(data)).sensor
    compression, lengths = sensor.entries[259], sensor.entries[279]
    data[compression.at : compression.at + 2] = (7).to_bytes(2, "little")
    refuse_cut(bytes(data), raw_tags(bytes(data)))
    data[lengths.at : lengths.at + 4] = (22).to_bytes(4, "little")
    with pytest.raises(ValueError, match="22 bytes are too few"):
        refuse_cut(bytes(data), raw_tags(bytes(data)))


def test_maker_that_marks_no_sensor_is_judged_by_what_it_stores():
    for held in (64_000, 63_000):  # some count more than they write
        refuse_cut(panasonic(64_000, held), raw_tags(panasonic(64_000, held)))
    for held in (62_000, 3, 0):
        with pytest.raises(ValueError, match="beyond the end"):
            refuse_cut(panasonic(64_000, held), raw_tags(panasonic(64_000, held)))


def test_file_of_another_structure_is_left_to_its_values():
    refuse_cut(b"\0" * 100, None)


@pytest.mark.parametrize("value", [0, 700, 65535])
@pytest.mark.parametrize("is_mosaic", [True, False])
def test_picture_of_one_value_is_refused(value, is_mosaic):
    with pytest.raises(ValueError, match="throughout"):
        refuse_blank(np.full((160, 200), value, np.uint16), is_mosaic=is_mosaic)


@pytest.mark.parametrize(("blank", "is_refused"), [(0, False), (15, False), (16, True), (80, True)])
def test_mosaic_that_ends_in_rows_of_one_value_is_refused(blank, is_refused):
    values = CODES[:, :, 1].copy()
    values[160 - blank :] = 256
    values[3, 3] = 60000
    if is_refused:
        with pytest.raises(ValueError, match=f"last {blank} of 160"):
            refuse_blank(values, is_mosaic=True)
    else:
        refuse_blank(values, is_mosaic=True)


def test_sky_that_is_too_bright_may_be_below_and_a_program_may_have_made_a_part_black():
    values = CODES[:, :, 1].copy()
    values[80:] = 65535
    refuse_blank(values, is_mosaic=True)
    values[80:] = 0
    refuse_blank(values, is_mosaic=False)


def test_noise_of_the_dark_is_a_photo():
    dark = np.random.default_rng(1).integers(0, 2, (160, 200)).astype(np.uint16)
    refuse_blank(dark, is_mosaic=True)


def test_values_are_judged_in_place():
    values = np.zeros((4000, 4000), np.uint16)[:, 8:]
    values[0, 0] = 9
    tracemalloc.start()
    with pytest.raises(ValueError, match="last 3999"):
        refuse_blank(values, is_mosaic=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < values.nbytes / 16


@pytest.mark.parametrize("make", [bayer_dng, lambda light: linear_dng(np.rint(light * 65535).astype(np.uint16))])
def test_values_that_are_all_zero_are_no_photo(make):
    data = make(LIGHT)
    sensor = raw_tags(data).sensor
    first, last = sensor.numbers(273)[0], sensor.numbers(273)[-1] + sensor.numbers(279)[-1]
    hollow = data[:first] + bytes(last - first) + data[last:]
    with pytest.raises(UnreadablePhotoError, match=r"^This DNG is damaged"):
        decode_bytes(hollow, Limits())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_cut_photo_of_a_maker_is_refused_under_its_name(share):
    if not (SAMPLES / "kodak_dc120.kdc").exists():
        pytest.skip("the sample photos are not here")
    data = (SAMPLES / "kodak_dc120.kdc").read_bytes()
    with pytest.raises(UnreadablePhotoError, match=r"^This RAW photo is damaged"):
        decode_bytes(data[: int(len(data) * share)], Limits())


def test_only_a_dng_is_called_one():
    other = as_other_raw(bayer_dng(LIGHT))
    with pytest.raises(UnreadablePhotoError, match=r"^This RAW photo is damaged or cut short; please send"):
        decode_bytes(other[: len(other) // 2], Limits())


def test_file_that_libraw_does_not_know_is_not_told_of_dngs():
    with pytest.raises(UnsupportedFormatError, match="damaged, cut short, or of a camera") as caught:
        decode_bytes(b"II\x1a\x00\x00\x00HEAPCCDR" + bytes(3000), Limits())
    assert "JPEG XL" not in str(caught.value)


def test_part_that_claims_too_much_is_damage_and_a_large_photo_is_large(monkeypatch):
    with pytest.raises(ValueError, match="claims more"), open_raw(bayer_dng(LIGHT)):
        raise rawpy.LibRawTooBigError(b"Image too big for processing")
    monkeypatch.setattr(libraw, "_MOST_RAW_PIXELS", 1000)
    with pytest.raises(PhotoTooLargeError, match="export it as TIFF"), open_raw(bayer_dng(LIGHT)):
        raise rawpy.LibRawTooBigError(b"Image too big for processing")


@pytest.mark.parametrize("extra", [(51041, 12, 2, (1e-4, 1e-6), True), (50935, 5, 1, (19, 20), True)])
def test_what_a_dng_says_of_its_noise_is_said_to_be_lost(extra):
    assert lost_parts(raw_tags(bayer_dng(LIGHT))) == ()
    (sentence,) = lost_parts(raw_tags(bayer_dng(LIGHT, extra=[extra])))
    assert "noise profile" in sentence
    assert sentence.endswith("not kept.")
