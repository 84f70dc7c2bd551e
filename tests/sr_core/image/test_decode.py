import contextlib
import struct
import time
import warnings
from io import BytesIO

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from sr_core.errors import PhotoTooLargeError, UnreadablePhotoError, UnsupportedFormatError
from sr_core.image import decode as decoding
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.family import Decoded
from sr_core.image.metadata import orientation_of
from sr_core.image.orientation import swaps_sides, upright
from sr_core.image.sandbox import Confines, Sandbox

from .photo_files import (
    XMP,
    bomb_png,
    chunk,
    exif_block,
    ink_profile,
    noise,
    png_bytes,
    rgb_profile,
    scene,
    with_chunks,
    write_heic,
    write_pillow,
)
from .raw_files import bayer_dng, light_scene, tiff_bytes

LIMITS = Limits()
PILLOW_FAMILIES = ("jpeg", "png", "webp")


def write(path, data):
    path.write_bytes(data)
    return path


def assert_like(header, picture):
    assert (header.height, header.width) == (picture.height, picture.width)
    assert header.bit_depth == picture.bit_depth
    assert header.channels == picture.pixels.shape[2]
    assert header.has_alpha == (picture.alpha is not None)
    assert header.format == picture.source_format


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("family", PILLOW_FAMILIES)
def test_orientation_is_applied_once(tmp_path, family, orientation):
    exif = exif_block(orientation)
    path = write_pillow(tmp_path / "photo", scene(24, 40), family, exif=b"Exif\x00\x00" + exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = decode(path, LIMITS)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.metadata.exif == exif_block(1)
    assert_like(read_header(path, LIMITS), picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_turned_by_irot_and_exif_is_turned_once(tmp_path, orientation):
    stored = scene(48, 80)
    path = write_heic(tmp_path / "photo", stored, exif=b"Exif\x00\x00" + exif_block(orientation))
    picture = decode(path, LIMITS)
    wanted = upright(stored, orientation)
    assert picture.pixels.shape == wanted.shape
    assert np.abs(picture.pixels.astype(int) - wanted).max() <= 4
    assert picture.metadata.exif == exif_block(1)
    assert_like(read_header(path, LIMITS), picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_turned_by_exif_alone_is_turned(tmp_path, orientation):
    stored = scene(48, 80)
    path = write_heic(tmp_path / "photo", stored, exif=b"Exif\x00\x00" + exif_block(1))
    data = path.read_bytes()
    assert data.count(exif_block(1)) == 1
    write(path, data.replace(exif_block(1), exif_block(orientation)))
    picture = decode(path, LIMITS)
    wanted = upright(stored, orientation)
    assert picture.pixels.shape == wanted.shape
    assert np.abs(picture.pixels.astype(int) - wanted).max() <= 4
    assert orientation_of(picture.metadata.exif) == 1
    assert_like(read_header(path, LIMITS), picture)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 8))
def test_upright_agrees_with_pillow(height, width, orientation):
    stored = noise(height, width, 3, 8)
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    turned = upright(stored, orientation)
    np.testing.assert_array_equal(turned, np.asarray(ImageOps.exif_transpose(image)))
    assert turned.flags.c_contiguous
    assert (turned.shape[:2] == (width, height)) or not swaps_sides(orientation)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_of_sixteen_bits_keeps_all_of_them(tmp_path, channels):
    stored = noise(13, 17, channels, 16)
    path = write(tmp_path / "photo.png", imagecodecs.png_encode(stored[:, :, 0] if channels == 1 else stored))
    picture = decode(path, LIMITS)
    assert picture.bit_depth == 16
    colours = 1 if channels < 3 else 3
    np.testing.assert_array_equal(picture.pixels, stored[:, :, :colours])
    if channels in (2, 4):
        np.testing.assert_array_equal(picture.alpha, stored[:, :, -1])
    assert_like(read_header(path, LIMITS), picture)


@pytest.mark.parametrize(
    ("mode", "channels", "has_alpha"),
    [("1", 1, False), ("L", 1, False), ("LA", 1, True), ("P", 3, False), ("RGB", 3, False), ("RGBA", 3, True)],
)
@pytest.mark.parametrize("size", [(1, 1), (30, 21)])
def test_png_of_every_kind(tmp_path, mode, channels, has_alpha, size):
    image = Image.fromarray(scene(*size)).convert(mode)
    path = tmp_path / "photo.png"
    image.save(path)
    picture = decode(path, LIMITS)
    assert picture.bit_depth == 8
    assert picture.pixels.shape == (*size, channels)
    assert (picture.alpha is not None) == has_alpha
    plain = image.convert("RGB" if channels == 3 else "L")
    np.testing.assert_array_equal(
        picture.pixels.squeeze(axis=2) if channels == 1 else picture.pixels, np.asarray(plain)
    )
    if picture.alpha is not None:
        assert (picture.alpha == 255).all()  # an opaque alpha stays an alpha
    assert_like(read_header(path, LIMITS), picture)


def test_palette_with_transparency_becomes_rgb_with_alpha(tmp_path):
    image = Image.fromarray(scene(9, 11)).quantize(8)
    table = bytes(range(0, 256, 32))
    path = write(tmp_path / "photo.png", png_bytes(scene(9, 11)))
    image.save(path, transparency=table)
    picture = decode(path, LIMITS)
    with Image.open(path) as reopened:
        wanted = np.asarray(reopened.convert("RGBA"))
    np.testing.assert_array_equal(np.dstack((picture.pixels, picture.alpha)), wanted)
    assert_like(read_header(path, LIMITS), picture)


def test_grey_with_a_transparent_level_gets_alpha(tmp_path):
    stored = np.array([[[0], [7], [255]]], dtype=np.uint8)
    picture = decode(write(tmp_path / "a", png_bytes(stored, transparency=7)), LIMITS)
    np.testing.assert_array_equal(picture.pixels, stored)
    np.testing.assert_array_equal(picture.alpha, [[255, 0, 255]])


@pytest.mark.parametrize("family", ["jpeg", "heic"])
def test_grey_photo_stays_grey(tmp_path, family):
    stored = scene(40, 56, 1)
    path = tmp_path / "photo"
    path = write_heic(path, stored) if family == "heic" else write_pillow(path, stored, "jpeg")
    picture = decode(path, LIMITS)
    assert picture.pixels.shape == (40, 56, 1)
    assert np.abs(picture.pixels.astype(int) - stored).max() <= 4
    assert picture.metadata.chroma is None
    assert_like(read_header(path, LIMITS), picture)


@pytest.mark.parametrize("lossless", [True, False])
def test_webp_with_alpha(tmp_path, lossless):
    stored = np.dstack((scene(20, 30), noise(20, 30, 1, 8)))
    path = tmp_path / "photo"
    Image.fromarray(stored).save(path, "WEBP", lossless=lossless, exact=True, quality=95)
    picture = decode(path, LIMITS)
    np.testing.assert_array_equal(picture.alpha, stored[:, :, 3])
    if lossless:
        np.testing.assert_array_equal(picture.pixels, stored[:, :, :3])
    assert_like(read_header(path, LIMITS), picture)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_heic_keeps_its_bits(tmp_path, bits, channels):
    stored = scene(40, 56, 3, bits)
    if channels == 4:
        stored = np.dstack((stored, scene(40, 56, 1, bits)))
    stored = stored[:, :, :channels]
    path = write_heic(tmp_path / "photo", stored, bits)
    picture = decode(path, LIMITS)
    peak = (1 << bits) - 1
    assert picture.bit_depth == bits
    assert picture.pixels.max() > 0.98 * peak
    assert np.abs(picture.pixels.astype(int) - stored[:, :, :3]).max() <= 0.02 * peak
    if picture.alpha is not None:
        assert np.abs(picture.alpha.astype(int) - stored[:, :, 3]).max() <= 0.02 * peak
    assert_like(read_header(path, LIMITS), picture)


def test_premultiplied_heic_is_divided_by_its_alpha(tmp_path):
    stored = np.full((32, 32, 4), 100, dtype=np.uint8)
    stored[:, :, 3] = 128
    stored[:8, :, :] = 0
    file = pillow_heif.from_bytes("RGBa", (32, 32), stored.tobytes())
    file.save(tmp_path / "photo", quality=95, chroma=444)
    picture = decode(tmp_path / "photo", LIMITS)
    assert np.abs(picture.pixels[16:].astype(int) - 199).max() <= 3
    assert np.abs(picture.alpha[16:].astype(int) - 128).max() <= 2


@pytest.mark.parametrize("family", ["jpeg", "png", "webp", "heic"])
def test_profile_exif_and_xmp_come_along_byte_exact(tmp_path, family):
    options = {"icc_profile": rgb_profile(), "exif": b"Exif\x00\x00" + exif_block(6), "xmp": XMP % 6}
    path = tmp_path / "photo"
    if family == "heic":
        write_heic(path, scene(32, 32), **options)
    elif family == "png":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + options.pop("xmp"))
        write(path, with_chunks(png_bytes(scene(32, 32), **options), text))
    else:
        write_pillow(path, scene(32, 32), family, **options)
    metadata = decode(path, LIMITS).metadata
    assert metadata.icc == rgb_profile()
    assert metadata.exif == exif_block(1)
    assert metadata.xmp == XMP % 1


def test_long_profile_is_put_together_from_its_segments(tmp_path):
    long = rgb_profile() + np.random.default_rng(0).bytes(150_000)
    path = write_pillow(tmp_path / "photo", scene(8, 8), "jpeg", icc_profile=long)
    assert decode(path, LIMITS).metadata.icc == long


@pytest.mark.parametrize(("subsampling", "chroma"), [(0, "444"), (1, "422"), (2, "420")])
def test_chroma_of_a_jpeg_is_known(tmp_path, subsampling, chroma):
    path = write_pillow(tmp_path / "photo", scene(32, 32), "jpeg", subsampling=subsampling)
    assert decode(path, LIMITS).metadata.chroma == chroma


def test_code_points_come_along(tmp_path):
    nclx = dict(zip(("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag"),
                    (12, 18, 9, 1), strict=True))  # fmt: skip
    path = write_heic(tmp_path / "a", scene(32, 32, 3, 10), 10, nclx_profile=nclx)
    assert decode(path, LIMITS).metadata.nclx == (12, 18, 9, 1)
    png = with_chunks(png_bytes(scene(4, 4)), chunk(b"cICP", bytes((9, 16, 0, 1))))
    assert decode(write(tmp_path / "b", png), LIMITS).metadata.nclx == (9, 16, 0, 1)


def cmyk_jpeg(path, **options):
    ink = Image.fromarray(np.full((16, 16, 4), (0, 200, 200, 20), dtype=np.uint8), "CMYK")
    ink.save(path, "JPEG", quality=100, **options)
    return path


def test_cmyk_without_profile_is_converted_and_said(tmp_path):
    picture = decode(cmyk_jpeg(tmp_path / "photo"), LIMITS)
    assert picture.pixels.shape == (16, 16, 3)
    np.testing.assert_allclose(picture.pixels[8, 8], [235, 51, 51], atol=6)
    assert "plain formula" in picture.notices[0]
    assert picture.metadata.chroma is None


def test_cmyk_with_profile_goes_through_it_and_the_profile_is_not_kept(tmp_path):
    path = cmyk_jpeg(tmp_path / "photo", icc_profile=ink_profile())
    picture = decode(path, LIMITS)
    # In this profile magenta and yellow together are blue; the plain formula makes them red.
    red, green, blue = picture.pixels[8, 8].astype(int)
    assert blue > 180
    assert max(red, green) < 140
    assert picture.metadata.icc is None
    assert "its own profile" in picture.notices[0]
    assert_like(read_header(path, LIMITS), picture)


def test_cmyk_with_a_profile_of_another_kind_is_refused(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with pytest.raises(UnreadablePhotoError, match="This JPEG is damaged"):
        decode(cmyk_jpeg(tmp_path / "photo", icc_profile=srgb), LIMITS)


def animated(family):
    frames = [Image.fromarray(noise(12, 16, 3, 8, seed)) for seed in range(3)]
    stream = BytesIO()
    frames[0].save(stream, family, save_all=True, append_images=frames[1:], lossless=True)
    return stream.getvalue(), np.asarray(frames[0])


@pytest.mark.parametrize("family", ["PNG", "WEBP"])
def test_animation_gives_its_first_frame_and_says_so(tmp_path, family):
    data, first = animated(family)
    picture = decode(write(tmp_path / "photo", data), LIMITS)
    np.testing.assert_array_equal(picture.pixels, first)
    assert any("is animated" in notice for notice in picture.notices)


def test_first_frame_smaller_than_its_canvas_lies_where_it_belongs(tmp_path):
    part = noise(6, 8, 3, 8)
    stream = BytesIO()
    Image.fromarray(part).save(stream, "WEBP", lossless=True)
    pixels = stream.getvalue()[12:]
    place = b"".join(number.to_bytes(3, "little") for number in (2, 1, 8 - 1, 6 - 1, 100))  # offsets count in twos
    frame = place + b"\x02" + pixels
    canvas = b"\x02" + bytes(3) + (16 - 1).to_bytes(3, "little") + (12 - 1).to_bytes(3, "little")
    chunks = [(b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", frame), (b"ANMF", frame)]
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(part)) + part for name, part in chunks)
    picture = decode(write(tmp_path / "a", b"RIFF" + struct.pack("<I", len(body)) + body), LIMITS)
    assert picture.pixels.shape == (12, 16, 3)
    np.testing.assert_array_equal(picture.pixels[2:8, 4:12], part)
    assert "first of its 2 frames" in picture.notices[0]


def test_several_pictures_in_a_heic_are_told(tmp_path):
    file = pillow_heif.from_bytes("RGB", (32, 32), scene(32, 32).tobytes())
    file.add_frombytes("RGB", (48, 48), scene(48, 48).tobytes())
    file.save(tmp_path / "photo", quality=90, primary_index=1)
    picture = decode(tmp_path / "photo", LIMITS)
    assert picture.pixels.shape == (48, 48, 3)
    assert picture.notices == ("This HEIC holds 2 pictures; only the main one is kept.",)


def segment(marker, body):
    return b"\xff" + bytes((marker,)) + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (segment(0xE1, b"http://ns.adobe.com/xmp/extension/\x00" + bytes(40)), "extended part"),
        (segment(0xE1, b'http://ns.adobe.com/xap/1.0/\x00<a hdrgm:Version="1.0"/>'), "HDR gain map"),
        (segment(0xE1, b'http://ns.adobe.com/xap/1.0/\x00<a GCamera:MotionPhoto="1"/>'), "motion photo"),
        (
            segment(0xE2, b"MPF\x00II*\x00" + struct.pack("<IHHHII", 8, 1, 0xB001, 4, 1, 2)),
            "holds 2 pictures",
        ),
    ],
)
def test_what_a_jpeg_cannot_bring_is_said(tmp_path, extra, words):
    plain = write_pillow(tmp_path / "a", scene(16, 16), "jpeg").read_bytes()
    picture = decode(write(tmp_path / "b", plain[:2] + extra + plain[2:]), LIMITS)
    assert [words in notice for notice in picture.notices] == [True]
    assert b"hdrgm" not in (picture.metadata.xmp or b"")
    assert b"GCamera" not in (picture.metadata.xmp or b"")
    assert decode(tmp_path / "a", LIMITS).notices == ()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (chunk(b"iCCP", b"x\x00\x00nonsense"), "metadata"),
    ],
)
def test_what_a_png_cannot_bring_is_said(tmp_path, extra, words):
    picture = decode(write(tmp_path / "a", with_chunks(png_bytes(scene(4, 4)), extra)), LIMITS)
    assert [words in notice for notice in picture.notices] == [True]


def test_usual_gamma_needs_no_words(tmp_path):
    extra = chunk(b"gAMA", struct.pack(">I", 45455))
    assert decode(write(tmp_path / "a", with_chunks(png_bytes(scene(4, 4)), extra)), LIMITS).notices == ()


def test_exif_in_a_raw_profile_text_is_found(tmp_path):
    digits = (b"Exif\x00\x00" + exif_block(8)).hex().encode()
    text = chunk(b"tEXt", b"Raw profile type exif\x00\nexif\n%8d\n" % (len(digits) // 2) + digits + b"\n")
    path = write(tmp_path / "a", with_chunks(png_bytes(scene(4, 6)), text))
    picture = decode(path, LIMITS)
    np.testing.assert_array_equal(picture.pixels, upright(scene(4, 6), 8))
    assert picture.metadata.exif == exif_block(1)


def file_of(tmp_path, family):
    path = tmp_path / "whole"
    if family == "heic":
        return write_heic(path, noise(64, 64, 3, 8)).read_bytes()
    return write_pillow(path, noise(64, 64, 3, 8), family).read_bytes()


@pytest.mark.parametrize("family", [*PILLOW_FAMILIES, "heic"])
@pytest.mark.parametrize("share", [0.99, 0.9, 0.5, 0.2])
def test_file_cut_short_is_refused(tmp_path, family, share):
    data = file_of(tmp_path, family)
    path = write(tmp_path / "cut", data[: int(len(data) * share)])
    with pytest.raises(UnreadablePhotoError, match=r"is damaged or cut short; please send or export it again\.$"):
        decode(path, LIMITS)


@pytest.mark.parametrize("family", [*PILLOW_FAMILIES, "heic"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_damage_gives_a_picture_or_a_sentence(tmp_path_factory, family, data):
    folder = tmp_path_factory.mktemp("damage")
    damaged = bytearray(file_of(folder, family))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = write(folder / "damaged", bytes(damaged))
    limits = Limits(max_file_bytes=1 << 20, max_pixels=100_000, max_side=1000)
    with contextlib.suppress(UnreadablePhotoError, UnsupportedFormatError, PhotoTooLargeError):
        picture = decode(path, limits)
        assert picture.height * picture.width <= 100_000


def test_empty_file_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(UnreadablePhotoError, match="empty"):
        read_header(write(tmp_path / "a", b""), LIMITS)
    with pytest.raises(UnsupportedFormatError, match="not a photo of a known kind"):
        decode(write(tmp_path / "b", b"just some text"), LIMITS)
    with pytest.raises(UnsupportedFormatError, match="This is a GIF, which is not read here; please use a"):
        decode(write(tmp_path / "photo.jpg", b"GIF89a" + bytes(100)), LIMITS)
    with pytest.raises(UnreadablePhotoError, match="This TIFF is damaged"):
        decode(write(tmp_path / "photo.jpg", b"II*\x00" + bytes(100)), LIMITS)


def test_extension_is_not_looked_at(tmp_path):
    assert read_header(write_pillow(tmp_path / "photo.nef", scene(8, 8), "jpeg"), LIMITS).format == "jpeg"


@pytest.mark.parametrize("family", PILLOW_FAMILIES)
def test_damaged_exif_is_left_out_and_said(tmp_path, family):
    path = write_pillow(tmp_path / "photo", scene(8, 8), family, exif=b"Exif\x00\x00" + exif_block(6))
    data = path.read_bytes()
    assert data.count(b"II*\x00") == 1
    if family == "png":
        data = with_chunks(png_bytes(scene(8, 8)), chunk(b"eXIf", b"JJ*\x00" + exif_block(6)[4:]))
    picture = decode(write(path, data.replace(b"II*\x00", b"JJ*\x00")), LIMITS)
    assert picture.pixels.shape == (8, 8, 3)
    assert picture.metadata.exif is None
    assert picture.notices == ("The EXIF data of this photo is damaged and is not kept.",)


def test_deep_jpeg_is_named(tmp_path):
    plain = write_pillow(tmp_path / "a", scene(16, 16), "jpeg").read_bytes()
    at = plain.index(b"\xff\xc0") + 4
    with pytest.raises(UnsupportedFormatError, match="12 bits"):
        decode(write(tmp_path / "b", plain[:at] + b"\x0c" + plain[at + 1 :]), LIMITS)


def huge(tmp_path, family):
    """Returns a file whose header says that it is huge."""
    path = tmp_path / "huge"
    if family == "png":
        return write(path, bomb_png(30000, 30000))
    data = bytearray() if family in ("tiff", "dng") else bytearray(file_of(tmp_path, family))
    if family == "jpeg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 30000, 30000)
    elif family in ("tiff", "dng"):
        light = light_scene(48, 64)
        data = bytearray(bayer_dng(light) if family == "dng" else tiff_bytes(scene(48, 64), photometric="rgb"))
        first = struct.unpack_from("<I", data, 4)[0]
        for at in range(first + 2, first + 2 + 12 * struct.unpack_from("<H", data, first)[0], 12):
            if struct.unpack_from("<H", data, at)[0] in (256, 257):
                data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 60000)
    elif family == "webp":
        assert data[12:16] == b"VP8L"
        data[21:25] = struct.pack("<I", 16382 << 14 | 16382)
    else:
        at = data.index(b"ispe") + 8
        data[at : at + 8] = struct.pack(">II", 16384, 16384)
    return write(path, bytes(data))


@pytest.mark.parametrize("family", [*PILLOW_FAMILIES, "heic"])
@pytest.mark.parametrize("read", [read_header, decode])
def test_bomb_is_refused_at_once_and_without_decoding(tmp_path, family, read, monkeypatch):
    path = huge(tmp_path, family)
    monkeypatch.setattr(decoding, "_decode_pixels", lambda *_: pytest.fail("pixels were decoded"))
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoTooLargeError, match="megapixels are accepted"):
            read(path, LIMITS)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("family", [*PILLOW_FAMILIES, "heic", "tiff", "dng"])
def test_bomb_is_refused_in_little_memory(tmp_path, family):
    path = huge(tmp_path, family)
    with Sandbox(Confines(memory_bytes=300 << 20)) as sandbox:
        sandbox.warm()
        with contextlib.suppress(PhotoTooLargeError):
            sandbox.read_header(path, LIMITS)
        started = time.perf_counter()
        with pytest.raises(PhotoTooLargeError, match=r"megapixels are accepted|too large|larger than can be read"):
            sandbox.decode(path, LIMITS)
        assert time.perf_counter() - started < 1


@pytest.mark.parametrize("family", ["heic", "png"])
def test_header_that_lies_about_the_size_is_refused(tmp_path, family):
    data = bytearray(file_of(tmp_path, family))
    at = data.index(b"ispe" if family == "heic" else b"IHDR") + (8 if family == "heic" else 4)
    data[at : at + 8] = struct.pack(">II", 128, 128)
    with pytest.raises(UnreadablePhotoError):
        decode(write(tmp_path / "lie", bytes(data)), LIMITS)


def test_pixels_that_do_not_fit_the_header_are_refused(tmp_path, monkeypatch):
    path = write_pillow(tmp_path / "photo", scene(20, 30), "png")
    monkeypatch.setattr(decoding, "_decode_pixels", lambda *_: Decoded(samples=scene(20, 31)))
    with pytest.raises(UnreadablePhotoError):
        decode(path, LIMITS)


def test_limits_are_those_given(tmp_path):
    path = write_pillow(tmp_path / "photo", scene(20, 30), "png")
    size_bytes = path.stat().st_size
    assert read_header(path, Limits(max_file_bytes=size_bytes, max_pixels=600, max_side=30)).size_bytes == size_bytes
    with pytest.raises(PhotoTooLargeError, match="MiB"):
        read_header(path, Limits(max_file_bytes=size_bytes - 1))
    with pytest.raises(PhotoTooLargeError, match=r"30 x 20, 0\.0 megapixels"):
        decode(path, Limits(max_pixels=599))
    with pytest.raises(PhotoTooLargeError, match="at most 29 pixels a side"):
        decode(path, Limits(max_side=29))


def test_metadata_without_measure_is_left_out_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_MOST_METADATA_BYTES", 4096)
    exif, comment = exif_block(6), b"\xff\xfe" + (1002).to_bytes(2, "big") + b"x" * 1000
    path = write_pillow(tmp_path / "a", scene(16, 24), "jpeg", exif=b"Exif\x00\x00" + exif, icc_profile=bytes(5000))
    data = path.read_bytes()
    picture = decode(write(tmp_path / "b", data[:2] + comment + data[2:]), LIMITS)
    assert picture.metadata.size_bytes <= 4096
    assert (picture.metadata.icc, picture.metadata.extras) == (None, ())
    assert picture.metadata.exif == exif_block(1)
    assert (picture.height, picture.width) == (24, 16)
    assert len([notice for notice in picture.notices if "cannot be kept, as there are more than" in notice]) == 2
