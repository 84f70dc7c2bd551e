import shutil
import subprocess
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import rawpy
import tifffile
from PIL import Image

from sr_core.errors import OutputError
from sr_core.image.decode import decode_bytes
from sr_core.image.encode import write_picture
from sr_core.image.family import Quality
from sr_core.image.header import Limits
from sr_core.image.orientation import upright
from sr_core.image.picture import Metadata
from sr_core.image.preview import to_srgb_preview
from sr_core.image.raw import photo as dng
from sr_core.image.raw.libraw import open_raw, raw_frame
from sr_core.image.raw.tags import raw_tags
from sr_core.image.tiff.ifd import Directory, form_of
from sr_core.image.transfer import light_of

from .photo_files import exif_block, picture_of
from .raw_files import CAMERA, MATRIX, SAMPLES, bayer_dng, gain_table, light_scene, linear_dng, rationals

LIGHT = light_scene(120, 200)
CODES = np.rint(LIGHT * 65535).astype(np.uint16)
WRONG = ((0.5, 0.6, 0.1), (-0.3, 1.1, 0.4), (0.2, -0.1, 0.9))
FLOOR_DB = 84.0


def written(picture) -> bytes:
    file = BytesIO()
    notices = write_picture(picture, file, "dng", Quality())
    assert notices == ()
    return file.getvalue()


def again(data: bytes) -> bytes:
    """Returns a RAW file decoded and written as it is."""
    return written(decode_bytes(data, Limits()))


def development(data: bytes, **settings) -> np.ndarray:
    """Returns a RAW file as LibRaw develops it: 16-bit sRGB, all of it, upright; nothing that looks at the content."""
    with open_raw(data) as raw:
        frame = raw_frame(raw)
        pixels = raw.postprocess(
            **({"use_camera_wb": True} | settings),
            output_bps=16,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            highlight_mode=rawpy.HighlightMode.Ignore,
            demosaic_algorithm=rawpy.DemosaicAlgorithm.DHT,
            user_flip=0,
        )
    return upright(pixels, frame.orientation)


def psnr_db(first: np.ndarray, second: np.ndarray) -> float:
    assert first.shape == second.shape
    error = np.mean((first.astype(np.float64) - second) ** 2)
    return float(10 * np.log10(65535**2 / error)) if error else np.inf


def with_colours(data: bytes, name: str | None = None, matrix: tuple | None = None) -> bytes:
    """Returns a DNG that we wrote under another camera name, of the same length, or with another matrix."""
    patched = bytearray(data)
    first = raw_tags(data).first
    if matrix is not None:
        packed = np.rint(np.ravel(matrix) * 10000).astype("<i4")
        pairs = np.stack([packed, np.full(9, 10000, "<i4")], axis=1)
        patched[first.entries[50721].at : first.entries[50721].at + 72] = pairs.tobytes()
    if name is not None:
        for tag in (271, 272, 50708):
            entry = first.entries[tag]
            text = (name * 8).encode()[: entry.count - 1] + b"\x00"
            patched[entry.at : entry.at + entry.count] = text
    return bytes(patched)


def test_light_comes_back_as_it_went_in():
    source = linear_dng(CODES)
    picture = decode_bytes(source, Limits())
    first = light_of(picture.pixels, picture.metadata.transfer)
    back = decode_bytes(written(picture), Limits())
    np.testing.assert_allclose(light_of(back.pixels, back.metadata.transfer), first, atol=4e-5)


def test_development_of_the_result_is_that_of_the_source():
    for source in (bayer_dng(LIGHT), linear_dng(CODES)):
        assert psnr_db(development(source), development(again(source))) > FLOOR_DB


def test_colours_of_the_result_come_from_its_matrix():
    source = bayer_dng(LIGHT)
    result = again(source)
    wrong = with_colours(result, matrix=WRONG)
    assert psnr_db(development(source), development(result)) > FLOOR_DB
    assert psnr_db(development(source), development(wrong)) < 40


@pytest.mark.parametrize("orientation", range(1, 9))
def test_result_is_upright(orientation):
    source = bayer_dng(LIGHT, orientation=orientation)
    result = again(source)
    assert raw_tags(result).orientation == 1
    with open_raw(result) as raw:
        assert raw.sizes.flip == 0
    assert psnr_db(development(source), development(result)) > FLOOR_DB
    assert psnr_db(upright(development(bayer_dng(LIGHT)), orientation), development(result)) > FLOOR_DB


@pytest.mark.parametrize("size", [(300, 530), (24, 30), (23, 400)])
def test_sizes_that_tiles_do_not_divide_are_whole(size):
    light = light_scene(*size)
    result = again(linear_dng(np.rint(light * 65535).astype(np.uint16)))
    found = decode_bytes(result, Limits())
    np.testing.assert_allclose(light_of(found.pixels, found.metadata.transfer), light, atol=9e-5)


def test_result_says_what_a_linear_dng_says():
    result = again(bayer_dng(LIGHT, orientation=3, extra=[(700, 1, 4, b"<x/>", True)]))
    tags = raw_tags(result)
    assert tags.is_dng
    assert tags.is_linear
    assert tags.shape == (120, 200, 3)
    assert tags.camera_name == CAMERA
    assert tags.xmp == b"<x/>"
    assert tags.first.numbers(50706) == (1, 4, 0, 0)
    assert tags.first.numbers(254) == (1,)
    assert tags.first.entries[330].kind == 4  # LONG: exiftool knows no other here
    assert tags.sensor.numbers(50717) == (65535,) * 3
    assert tags.sensor.numbers(258) == (16,) * 3
    np.testing.assert_allclose(tags.first.numbers(50721), np.ravel(MATRIX), atol=1e-6)
    assert 34675 not in tags.first


def test_preview_is_small_upright_srgb():
    data = linear_dng(np.rint(light_scene(90, 1300) * 65535).astype(np.uint16), orientation=6)
    result = again(data)
    with tifffile.TiffFile(BytesIO(result)) as file:
        preview = file.pages.first.asarray()
    assert preview.shape == (1024, 71, 3)
    assert preview.dtype == np.uint8
    assert preview[900:].mean() > preview[:100].mean()
    middle = preview[400:600].reshape(-1, 3).mean(axis=0)
    assert np.ptp(middle) < 60


def test_preview_has_the_colours_of_the_picture():
    light = np.broadcast_to(np.array([0.6, 0.05, 0.05]), (64, 96, 3))
    data = linear_dng(np.rint(light * 65535).astype(np.uint16))
    shown = to_srgb_preview(decode_bytes(data, Limits())).astype(int)
    with Image.open(BytesIO(again(data))) as image:
        preview = np.asarray(image.convert("RGB")).astype(int)
    assert np.ptp(shown[32, 48]) > 100  # so that a mistake in the colours would be seen
    assert np.abs(preview[32, 48] - shown[32, 48]).max() <= 6


def test_profile_of_a_dng_goes_along_as_it_is():
    extra = [
        (50722, 10, 9, rationals(*np.ravel(MATRIX)[::-1]), True),
        (50779, 3, 1, 17, True),
        (50730, 10, 1, (3, 7), True),
        (50936, 2, None, "Own look", True),
        (50940, 11, 4, (0.0, 0.0, 1.0, 1.0), True),
        (51041, 12, 2, (1e-4, 1e-6), True),
    ]
    tags = raw_tags(again(bayer_dng(LIGHT, extra=extra)))
    np.testing.assert_allclose(tags.first.numbers(50722), np.ravel(MATRIX)[::-1], atol=1e-6)
    assert tags.first.whole(50779) == 17
    assert tags.first.data_of(tags.first.entries[50730]) == b"\x03\0\0\0\x07\0\0\0"
    assert tags.first.data_of(tags.first.entries[50936]) == b"Own look\0"
    assert tags.first.numbers(50940) == (0.0, 0.0, 1.0, 1.0)
    assert 51041 not in tags.first  # the noise of the sensor is not that of the result


def test_fraction_that_is_not_known_is_left_out():
    assert 50730 not in raw_tags(again(bayer_dng(LIGHT, extra=[(50730, 10, 1, (0, 0), True)]))).first


def test_local_tone_map_turns_with_the_photo_and_raises_the_version():
    values = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    extra = [(52525, 7, None, gain_table(values), True)]
    tags = raw_tags(again(linear_dng(CODES, orientation=6, extra=extra)))
    found = tags.sensor.data_of(tags.sensor.entries[52525])
    assert found == gain_table(upright(values, 6), origin=(0.25, 1 - 0.125 - 0.25), spacing=(0.5, 0.25))
    assert tags.first.numbers(50706) == (1, 6, 0, 0)
    assert tags.first.numbers(50707) == (1, 4, 0, 0)


def test_big_endian_profile_is_turned_around():
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    extra = [
        (50940, 11, 4, (0.0, 0.25, 0.5, 1.0), True),
        (52525, 7, None, gain_table(values, ">"), True),
    ]
    tags = raw_tags(again(linear_dng(CODES, extra=extra, order=">")))
    assert tags.first.numbers(50940) == (0.0, 0.25, 0.5, 1.0)
    assert tags.sensor.data_of(tags.sensor.entries[52525]) == gain_table(values)


def test_tone_map_whose_size_is_a_lie_is_left_out():
    extra = [(52525, 7, None, gain_table(np.zeros((2, 3, 4), np.float32))[:-4], True)]
    assert 52525 not in raw_tags(again(linear_dng(CODES, extra=extra))).sensor


def test_exif_goes_along():
    picture = decode_bytes(linear_dng(CODES), Limits())
    picture = replace(picture, metadata=replace(picture.metadata, exif=exif_block(1), extras=()))
    file = BytesIO()
    dng.write(picture, file, Quality())
    result = file.getvalue()
    form = form_of(result)
    first = Directory(result, form, form.first_at)
    assert first.data_of(first.entries[0x010F]) == b"Harbour\0"
    assert Directory(result, form, first.whole(0x8769)).whole(0xA002) == 40
    assert raw_tags(result).camera_name == "Harbour"


def test_photo_without_anything_but_light_is_written():
    picture = decode_bytes(linear_dng(CODES), Limits())
    bare = Metadata(transfer=picture.metadata.transfer, camera=picture.metadata.camera)
    file = BytesIO()
    dng.write(replace(picture, metadata=bare), file, Quality())
    back = decode_bytes(file.getvalue(), Limits())
    np.testing.assert_allclose(back.metadata.camera.neutral, picture.metadata.camera.neutral, atol=1e-5)
    np.testing.assert_allclose(back.metadata.camera.from_xyz, MATRIX, atol=1e-4)
    assert psnr_db(back.pixels, picture.pixels) > FLOOR_DB


def test_grey_photo_stays_grey():
    picture = decode_bytes(linear_dng(CODES[:, :, 1], neutral=None), Limits())
    result = written(picture)
    back = decode_bytes(result, Limits())
    assert raw_tags(result).shape == (120, 200, 1)
    assert psnr_db(back.pixels, picture.pixels) > FLOOR_DB


def test_only_light_becomes_a_dng():
    with pytest.raises(OutputError, match="Only a RAW photo"):
        write_picture(picture_of(np.zeros((9, 9, 3), np.uint8)), BytesIO(), "dng", Quality())
    with pytest.raises(ValueError, match="camera space"):
        dng.write(picture_of(np.zeros((9, 9, 3), np.uint16), 16), BytesIO(), Quality())


def test_dng_that_libraw_could_not_read_again_is_refused():
    assert dng.HOLDS.most_pixels * 8 < 2**31


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not here")
@pytest.mark.parametrize("kind", ["bayer", "linear", "grey", "tone map", "exif"])
def test_exiftool_finds_nothing_wrong(kind, tmp_path):
    table = [(52525, 7, None, gain_table(np.ones((2, 3, 4), np.float32)), True)]
    source = {
        "bayer": lambda: bayer_dng(LIGHT, orientation=6, extra=[(700, 1, 4, b"<x/>", True)]),
        "linear": lambda: linear_dng(CODES),
        "grey": lambda: linear_dng(CODES[:, :, 1], neutral=None),
        "tone map": lambda: linear_dng(CODES, extra=table),
        "exif": lambda: linear_dng(CODES),
    }[kind]()
    picture = decode_bytes(source, Limits())
    if kind == "exif":
        picture = replace(picture, metadata=replace(picture.metadata, extras=()))
    path = tmp_path / "result.dng"
    path.write_bytes(written(picture))
    said = subprocess.run(
        ["exiftool", "-validate", "-warning", "-a", "-s3", path], capture_output=True, text=True, check=True
    )
    # exiftool 12.57 does not know where DNG 1.6 has this tag.
    rest = [line for line in said.stdout.split("\n")[1:] if line and "ProfileGainTableMap" not in line]
    assert rest == []


def sample(name: str) -> bytes:
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the sample photos are not here")
    return path.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("canon_g2.crw", marks=pytest.mark.slow),
        "canon_550d_bayer.dng",
        "dng_bayer_rot6.dng",
        "dng_proraw_like_ljpeg12.dng",
    ],
)
def test_development_of_a_real_photo_is_kept_under_a_name_that_no_program_knows(name):
    source = sample(name)
    result = again(source)
    unknown = with_colours(result, name="Qxz")
    wrong = with_colours(unknown, matrix=WRONG)
    expected = development(source)
    assert psnr_db(expected, development(result)) >= FLOOR_DB
    assert psnr_db(expected, development(unknown)) >= FLOOR_DB
    assert psnr_db(expected, development(wrong)) < 40


def test_camera_without_known_colours_keeps_its_own():
    raw = {"output_color": rawpy.ColorSpace.raw, "use_camera_wb": False, "user_wb": [1, 1, 1, 1]}
    source = sample("kodak_dc120.kdc")
    assert psnr_db(development(source, **raw), development(again(source), **raw)) >= FLOOR_DB


def test_packed_dng_becomes_one_that_libraw_reads():
    # The two were made from one photo: one in 12-bit lossless JPEG, the other in lossy JPEG XL of 10 bits.
    result = development(again(sample("dng_proraw_like_jxl10.dng")))
    assert psnr_db(result, development(sample("dng_proraw_like_ljpeg12.dng"))) > 38


@pytest.mark.slow
@pytest.mark.parametrize("name", ["canon_550d_bayer.dng", "dng_bayer_rot6.dng", "dng_proraw_like_ljpeg12.dng"])
@pytest.mark.parametrize("program", ["dcraw", "rawtherapee-cli", "darktable-cli"])
def test_other_programs_show_source_and_result_alike(program, name, tmp_path):
    # What has all colours already must be the same; of a mosaic, each program makes its own.
    floor_db = FLOOR_DB if "proraw" in name else 38.0
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here")
    source = sample(name)
    shown = []
    for place, data in enumerate((source, again(source))):
        path, result = tmp_path / f"{place}.dng", tmp_path / f"{place}.tif"
        path.write_bytes(data)
        if program == "dcraw":
            command = ["dcraw", "-c", "-w", "-W", "-6", "-T", path]
            result.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
        elif program == "rawtherapee-cli":
            subprocess.run(
                [program, "-q", "-Y", "-b16", "-t", "-o", result, "-c", path], capture_output=True, check=True
            )
        else:
            plain = ["--conf", "plugins/darkroom/workflow=none", "--conf", "plugins/imageio/format/tiff/bpp=16"]
            core = ["--core", "--configdir", tmp_path / "config", "--library", ":memory:", *plain]
            subprocess.run([program, path, result, *core], capture_output=True, check=True)
        with tifffile.TiffFile(result) as file:
            shown.append(file.pages.first.asarray())
    first, second = shown
    # RawTherapee cuts four pixels off each side of a mosaic.
    down, across = ((longer - shorter) // 2 for longer, shorter in zip(second.shape[:2], first.shape[:2], strict=True))
    second = second[down : down + first.shape[0], across : across + first.shape[1]]
    assert psnr_db(first[8:-8, 8:-8], second[8:-8, 8:-8]) > floor_db
