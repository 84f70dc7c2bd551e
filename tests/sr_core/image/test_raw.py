from io import BytesIO

import numpy as np
import pytest
import tifffile

from sr_core.errors import PhotoTooLargeError, UnsupportedFormatError
from sr_core.image.decode import decode_bytes, read_header_bytes
from sr_core.image.header import Limits
from sr_core.image.orientation import upright
from sr_core.image.raw import photo as dng
from sr_core.image.raw.libraw import open_raw, preview_exif
from sr_core.image.raw.profile import lost_parts
from sr_core.image.raw.tags import Area, full_name, raw_tags
from sr_core.image.tiff.ifd import Directory, form_of
from sr_core.image.transfer import light_of

from .raw_files import (
    CAMERA,
    MATRIX,
    NEUTRAL,
    SAMPLES,
    bayer_dng,
    dng_tags,
    gain_table,
    light_scene,
    linear_dng,
    mosaic,
    packed_dng,
    rationals,
    tiff_bytes,
)

LIGHT = light_scene(48, 72)
CODES = np.rint(LIGHT * 65535).astype(np.uint16)


def light_in(data):
    """Returns the light of a RAW file, not turned, as the picture of it stands for it."""
    stored = dng.parse(data)
    decoded = dng.pixels(data, stored)
    assert decoded.samples.dtype == np.uint16
    assert decoded.samples.shape == (stored.height, stored.width, stored.channels)
    return light_of(decoded.samples, decoded.transfer), decoded


def test_light_of_a_linear_dng_is_that_of_the_file():
    light, decoded = light_in(linear_dng(CODES))
    np.testing.assert_allclose(light, LIGHT, atol=6e-5)
    assert decoded.transfer.stored == "linear"
    assert decoded.transfer.bits == 16
    assert decoded.notices == ()


def test_light_of_a_mosaic_is_near_that_of_the_scene_in_every_channel():
    light, _ = light_in(bayer_dng(LIGHT))
    error = np.abs(light - LIGHT)[4:-4, 4:-4]
    assert error.mean(axis=(0, 1)).max() < 0.003
    assert abs(light.mean() / LIGHT.mean() - 1) < 0.002


def test_brightest_of_each_channel_is_kept():
    # Green ends first, and red and blue tell brighter light apart: without the greatest factor they would be cut.
    light = np.full((32, 32, 3), 1.0)
    light[:, 16:] *= (0.9, 1.0, 0.8)
    found, _ = light_in(bayer_dng(light))
    np.testing.assert_allclose(found[16, 4], 1.0, atol=1e-3)
    np.testing.assert_allclose(found[16, -4], (0.9, 1.0, 0.8), atol=2e-3)


def test_brightness_does_not_depend_on_what_else_is_in_the_picture():
    dim = np.full((32, 32, 3), 0.2)
    lit = dim.copy()
    lit[4:8, 4:8] = 0.9
    np.testing.assert_allclose(light_in(bayer_dng(dim))[0][24, 24], light_in(bayer_dng(lit))[0][24, 24], atol=1e-4)


def test_signal_is_white_balanced():
    grey = np.full((32, 32, 3), 0.4) * NEUTRAL
    decoded = light_in(bayer_dng(grey))[1]
    middle = decoded.samples[8:24, 8:24].reshape(-1, 3).astype(int)
    assert np.ptp(middle, axis=1).max() < 30
    np.testing.assert_allclose(decoded.camera.neutral, NEUTRAL, atol=1e-5)
    np.testing.assert_allclose(decoded.camera.from_xyz, MATRIX, atol=1e-6)


def test_header_tells_size_depth_camera_and_exif_without_pixels():
    data = bayer_dng(LIGHT, orientation=6, extra=[(700, 1, 4, b"<x/>", True)])
    header = read_header_bytes(data, Limits())
    assert (header.height, header.width, header.channels) == (72, 48, 3)
    assert header.kind == f"DNG ({CAMERA})"
    assert header.samples == "16 bit"
    assert header.metadata.exif is not None
    assert header.metadata.xmp == b"<x/>"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photo_is_upright(orientation):
    picture = decode_bytes(bayer_dng(LIGHT, orientation=orientation), Limits())
    plain = decode_bytes(bayer_dng(LIGHT), Limits())
    assert np.array_equal(picture.pixels, upright(plain.pixels, orientation))
    form = form_of(picture.metadata.exif)
    assert Directory(picture.metadata.exif, form, form.first_at).whole(274) == 1


@pytest.mark.parametrize("make", [bayer_dng, lambda light, extra: packed_dng(CODES, extra=extra)])
def test_crop_that_a_camera_suggests_takes_nothing_away(make):
    data = make(LIGHT, extra=[(50719, 4, 2, (10, 6), True), (50720, 4, 2, (50, 30), True)])
    stored = dng.parse(data)
    assert (stored.height, stored.width) == (48, 72)
    light, _ = light_in(data)
    assert light.shape == (48, 72, 3)


def test_pixels_of_a_sensor_that_see_no_light_are_left_out():
    whole, _ = light_in(bayer_dng(LIGHT))
    light, _ = light_in(bayer_dng(LIGHT, extra=[(50829, 4, 4, (4, 8, 44, 70), True)]))
    assert light.shape == (40, 62, 3)
    np.testing.assert_allclose(light[4:-4, 4:-4], whole[4:44, 8:70][4:-4, 4:-4], atol=5e-3)


def test_size_of_a_raw_photo_is_that_of_its_development():
    data = bayer_dng(LIGHT, extra=[(50829, 4, 4, (4, 8, 44, 70), True), (50720, 4, 2, (50, 30), True)])
    with open_raw(data) as raw:
        assert raw.postprocess(user_flip=0).shape[:2] == (dng.parse(data).height, dng.parse(data).width)


def test_setting_in_the_wrong_directory_goes_where_exif_has_it():
    exif = dng.parse(
        bayer_dng(LIGHT, extra=[(33437, 5, 1, (28, 10), True), (33423, 2, None, "Full", True)])
    ).metadata.exif
    form = form_of(exif)
    first = Directory(exif, form, form.first_at)
    assert 33437 not in first
    assert first.data_of(first.entries[33423]) == b"Full\0"
    assert Directory(exif, form, first.whole(0x8769)).numbers(33437) == (2.8,)


def test_photo_of_another_family_of_files_goes_by_its_own_name():
    assert full_name("Eastman Kodak Company", "Kodak DC120") == "Kodak DC120"
    assert full_name("NIKON CORPORATION", "NIKON D70s") == "NIKON D70s"
    assert full_name("Canon", "PowerShot G2") == "Canon PowerShot G2"
    assert full_name("", "") == ""


def test_sensor_without_colours_gives_a_grey_photo():
    picture = decode_bytes(linear_dng(CODES[:, :, 1], neutral=None), Limits())
    assert picture.pixels.shape == (48, 72, 1)
    np.testing.assert_allclose(light_of(picture.pixels, picture.metadata.transfer)[:, :, 0], LIGHT[:, :, 1], atol=6e-5)
    assert picture.notices == ()


def test_missing_white_balance_and_colours_are_said():
    bare = linear_dng(CODES, neutral=None, matrix=np.zeros((3, 3)))
    picture = decode_bytes(bare, Limits())
    assert [sentence.split(",")[0] for sentence in picture.notices] == [
        "The colours of this camera are not known",
        "The file states no white balance",
    ]
    np.testing.assert_allclose(light_of(picture.pixels, picture.metadata.transfer), LIGHT, atol=6e-5)


@pytest.mark.parametrize("compression", [52546, 8])
def test_dng_that_libraw_cannot_unpack_is_unpacked(compression):
    light, decoded = light_in(packed_dng(CODES, compression))
    np.testing.assert_allclose(light, LIGHT, atol=6e-5)
    np.testing.assert_allclose(decoded.camera.neutral, NEUTRAL, atol=1e-5)


@pytest.mark.parametrize("black", [(50714, 3, 1, 187, True), (50714, 3, 3, (187, 187, 187), True)])
def test_black_level_of_a_linear_dng_is_taken_off_once(black):
    codes = np.rint(LIGHT * 2700 + 187).astype(np.uint16)
    light, _ = light_in(linear_dng(codes, extra=[black, (50717, 3, 3, (2887,) * 3, True)]))
    np.testing.assert_allclose(light, LIGHT, atol=2.5e-4)


def test_packed_and_unpacked_dng_give_the_same_light_with_levels_area_and_table():
    codes = np.rint(LIGHT * 900 + 60).astype(np.uint16)
    table = np.minimum(np.arange(1024) * 3 + 7, 65535).astype(np.uint16)
    tags = [
        (50712, 3, 1024, table.tobytes(), True),
        (50714, 3, 1, 187, True),
        (50717, 3, 3, (2887, 2887, 2887), True),
        (50829, 4, 4, (2, 4, 46, 70), True),
    ]
    packed, _ = light_in(packed_dng(codes, extra=tags))
    plain, _ = light_in(linear_dng(codes, extra=tags))
    assert packed.shape == (44, 66, 3)
    np.testing.assert_allclose(packed, plain, atol=1e-7)
    np.testing.assert_allclose(packed, LIGHT[2:46, 4:70], atol=2e-3)


def test_packed_mosaic_is_refused_with_what_to_do():
    data = bytearray(bayer_dng(LIGHT))
    entry = raw_tags(bytes(data)).sensor.entries[259]
    data[entry.at : entry.at + 2] = (52546).to_bytes(2, "little")
    with pytest.raises(UnsupportedFormatError, match=r"JPEG XL or Deflate.*; please convert .*\.$"):
        dng.parse(bytes(data))


def test_packed_floating_point_light_is_refused_with_what_to_do():
    data = bytearray(linear_dng(LIGHT.astype(np.float32)))
    entry = raw_tags(bytes(data)).sensor.entries[259]
    data[entry.at : entry.at + 2] = (8).to_bytes(2, "little")
    with pytest.raises(UnsupportedFormatError, match="floating-point"):
        dng.parse(bytes(data))


def test_packed_dng_with_tiles_that_are_not_what_it_says_is_damaged():
    data = packed_dng(CODES)
    stored = dng.parse(data)
    sensor = raw_tags(data).sensor
    starts = sensor.numbers(324)
    hurt = bytearray(data)
    hurt[starts[1] : starts[1] + 40] = bytes(40)
    with pytest.raises(Exception, match=r".") as caught:
        dng.pixels(bytes(hurt), stored)
    assert not isinstance(caught.value, UnsupportedFormatError)


def test_file_that_libraw_does_not_know_is_refused_with_what_to_do():
    with pytest.raises(UnsupportedFormatError, match=r"please send it again, or convert it"):
        dng.parse(tiff_bytes(np.zeros((40, 40, 3), np.uint8)))


def test_size_is_guarded_before_pixels():
    with pytest.raises(PhotoTooLargeError):
        decode_bytes(bayer_dng(LIGHT), Limits(max_pixels=1000))


def test_lists_of_corrections_and_private_data_are_said_to_be_lost():
    data = bayer_dng(LIGHT, extra=[(51009, 7, 4, bytes(4), True), (50740, 1, 8, b"Private\x00", True)])
    notices = dng.parse(data).notices
    assert len(notices) == 2
    assert "opcode lists" in notices[0]
    assert "private data" in notices[1]


def test_area_knows_whether_it_is_inside():
    assert Area(top=1, left=1, height=2, width=2).is_inside(3, 3)
    assert not Area(top=2, left=1, height=2, width=2).is_inside(3, 3)
    assert not Area(top=0, left=0, height=0, width=2).is_inside(3, 3)


def test_main_image_is_neither_a_depth_map_nor_an_enhanced_version_and_these_are_said_to_be_lost():
    stream = BytesIO()
    plain = {"planarconfig": "contig", "metadata": None, "photometric": 34892}
    with tifffile.TiffWriter(stream) as tiff:
        tiff.write(CODES, subfiletype=0, subifds=2, extratags=dng_tags(), **plain)
        tiff.write(np.zeros((96, 144, 3), np.uint16), subfiletype=16, **plain)
        tiff.write(np.zeros((96, 144), np.uint8), subfiletype=8, metadata=None, photometric="minisblack")
    tags = raw_tags(stream.getvalue())
    assert tags.shape == (48, 72, 3)
    lost = lost_parts(tags)
    assert len(lost) == 2
    assert "enhanced version" in lost[1]
    assert "depth map" in lost[0]


def test_directories_in_a_ring_end():
    data = bytearray(bayer_dng(LIGHT))
    tags = raw_tags(bytes(data))
    first_at = tags.form.first_at
    data[tags.first.end : tags.first.end + 4] = first_at.to_bytes(4, "little")
    assert len(raw_tags(bytes(data)).directories) == 1


@pytest.mark.parametrize(
    ("name", "shape", "kind", "samples"),
    [
        ("canon_g2.crw", (1720, 2312), "RAW (Canon PowerShot G2)", "sensor values"),
        ("canon_550d_bayer.dng", (1156, 1734), "DNG (Canon EOS Kiss X4)", "14 bit"),
        ("dng_bayer_rot6.dng", (1200, 800), "DNG (Lab Camera)", "16 bit"),
        ("dng_proraw_like_ljpeg12.dng", (800, 1200), "DNG (Lab Camera)", "12 bit"),
        ("dng_proraw_like_jxl10.dng", (800, 1200), "DNG (Lab Camera)", "10 bit"),
        ("kodak_dc120.kdc", (976, 1301), "RAW (Kodak DC120 ZOOM Digital Camera)", "8 bit"),
    ],
)
def test_samples_are_read(name, shape, kind, samples):
    if not (SAMPLES / name).exists():
        pytest.skip("the sample photos are not here")
    data = (SAMPLES / name).read_bytes()
    header = read_header_bytes(data, Limits())
    assert (header.height, header.width) == shape
    assert (header.kind, header.samples) == (kind, samples)
    picture = decode_bytes(data, Limits())
    assert picture.pixels.shape == (*shape, 3)
    assert picture.metadata.exif


def test_raw_file_without_exif_gets_what_libraw_found():
    if not (SAMPLES / "canon_g2.crw").exists():
        pytest.skip("the sample photos are not here")
    data = (SAMPLES / "canon_g2.crw").read_bytes()
    exif = dng.parse(data).metadata.exif
    form = form_of(exif)
    first = Directory(exif, form, form.first_at)
    assert 0x0131 not in first  # LibRaw signs its block as dcraw
    settings = Directory(exif, form, first.whole(0x8769))
    assert settings.numbers(0x8827) == (50,)
    assert settings.numbers(0x829D) == (4.0,)
    assert b"2022:01:20 08:13:24" in exif
    with open_raw(data) as raw:
        assert preview_exif(raw) is not None


def test_settings_of_a_tiff_ep_file_go_where_exif_has_them():
    if not (SAMPLES / "kodak_dc120.kdc").exists():
        pytest.skip("the sample photos are not here")
    exif = dng.parse((SAMPLES / "kodak_dc120.kdc").read_bytes()).metadata.exif
    form = form_of(exif)
    first = Directory(exif, form, form.first_at)
    assert 0x829D not in first
    assert Directory(exif, form, first.whole(0x8769)).numbers(0x829D) == (3.7,)


def test_pixels_that_are_not_square_are_made_square_and_said():
    if not (SAMPLES / "kodak_dc120.kdc").exists():
        pytest.skip("the sample photos are not here")
    notices = dng.parse((SAMPLES / "kodak_dc120.kdc").read_bytes()).notices
    assert notices[0].startswith("The pixels of this camera are not square")


def test_light_is_kept_apart_from_the_profile_of_the_maker():
    exposed = decode_bytes(bayer_dng(LIGHT, extra=[(50730, 10, 1, rationals(1.5), True)]), Limits())
    plain = decode_bytes(bayer_dng(LIGHT), Limits())
    assert np.array_equal(exposed.pixels, plain.pixels)
    assert exposed.metadata.camera.exposure > plain.metadata.camera.exposure
    assert exposed.metadata.camera.exposure >= 2**1.5


def test_makers_of_files_agree_with_each_other():
    assert mosaic(np.ones((2, 2, 3)), 256, 16383).tolist() == [[16383, 16383], [16383, 16383]]
    assert len(gain_table(np.zeros((2, 3, 4), np.float32))) == 64 + 4 * 24
