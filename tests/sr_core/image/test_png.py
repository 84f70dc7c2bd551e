import struct
import time
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_core.errors import OutputError
from sr_core.image import png
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import Quality, encode
from sr_core.image.picture import Metadata
from sr_core.image.resize import bicubic_picture

from .jpeg_files import profile_of_gamma
from .photo_files import XMP, chunk, exif_block, noise, picture_of, png_bytes, rgb_profile, scene, with_chunks

LIMITS = Limits()
SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "samples"
LINEAR = chunk(b"gAMA", struct.pack(">I", 100_000))
SRGB_PRIMARIES = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
WIDE_PRIMARIES = chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000))


def write(path, data):
    path.write_bytes(data)
    return path


def read(data, tmp_path):
    return decode(write(tmp_path / "source", data), LIMITS)


def again(picture, tmp_path, **options):
    """Writes a picture; returns the bytes of the file."""
    info = encode(picture, tmp_path / "result", **options)
    assert info.notices == ()
    return info.path.read_bytes()


def chunks_of(data):
    at, found = 8, []
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(name + body)
        found.append((name, body))
        at += 12 + size
    return found


def raw_png(bits, colour_type, rows, *before, height=None, width=None):
    """Returns a PNG of rows that are packed already."""
    header = struct.pack(">IIBBBBB", width, height or len(rows), bits, colour_type, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\x00" + row for row in rows))
    body = (chunk(b"IHDR", header), *before, chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 3])),
    bits=st.sampled_from([8, 16]),
    alpha=st.booleans(),
    band_bytes=st.sampled_from([1, 100, 1 << 20]),
    seed=st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_other_readers_see_the_pixels_that_were_written(shape, bits, alpha, band_bytes, seed):
    pixels = noise(*shape, bits, seed) if seed else scene(*shape, bits)
    opacity = noise(*shape[:2], 1, bits, 9)[:, :, 0] if alpha else None
    stream = BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sr_core.image.png_rows._BAND_BYTES", band_bytes)
        png.write(picture_of(pixels, bits, alpha=opacity), stream, Quality())
    wanted = pixels if opacity is None else np.dstack((pixels, opacity))
    decoded = imagecodecs.png_decode(stream.getvalue())
    np.testing.assert_array_equal(decoded.reshape(wanted.shape), wanted)
    assert [name for name, _ in chunks_of(stream.getvalue()) if name != b"IDAT"] == [b"IHDR", b"IEND"]
    if bits == 8:
        with Image.open(BytesIO(stream.getvalue())) as image:
            np.testing.assert_array_equal(np.asarray(image).reshape(wanted.shape), wanted)


def test_photos_are_as_small_as_by_libpng():
    pixels = bicubic_picture(picture_of(scene(100, 150) ^ (noise(100, 150, 3, 8) >> 6)), 200, 300).pixels
    stream = BytesIO()
    png.write(picture_of(pixels), stream, Quality())
    assert len(stream.getvalue()) < 1.05 * len(imagecodecs.png_encode(pixels, level=3))
    best = BytesIO()
    png.write(picture_of(pixels), best, Quality(png_level=7))
    assert len(best.getvalue()) < len(stream.getvalue())


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_writing_takes_little_memory(bits, alpha):
    picture = picture_of(noise(2000, 1500, 3, bits), bits, alpha=noise(2000, 1500, 1, bits)[:, :, 0] if alpha else None)

    class Nowhere(BytesIO):
        def write(self, data):
            return len(data)

        def writelines(self, lines):
            for _ in lines:
                pass

    tracemalloc.start()
    try:
        png.write(picture, Nowhere(), Quality(png_level=1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20


def test_engine_failure_is_a_sentence(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr("sr_core.image.png_rows.zlib.compressobj", fail)
    with pytest.raises(OutputError, match="could not be written as PNG"):
        encode(picture_of(scene(8, 8)), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_become_eight_and_that_is_said(tmp_path, bits):
    levels = np.arange(8) % (1 << bits)
    packed = np.zeros(8, dtype=np.uint8)
    for bit in range(bits):
        packed[:] |= ((levels >> bit) & 1).astype(np.uint8) << bit
    row = np.packbits(((levels[:, None] >> np.arange(bits - 1, -1, -1)) & 1).astype(np.uint8)).tobytes()
    data = raw_png(bits, 0, [row], chunk(b"tRNS", struct.pack(">H", 1)), width=8)
    picture = read(data, tmp_path)
    np.testing.assert_array_equal(picture.pixels[0, :, 0], levels * 255 // ((1 << bits) - 1))
    np.testing.assert_array_equal(picture.alpha[0], np.where(levels == 1, 0, 255))
    assert picture.notices == (
        f"The {bits} bit{' of a sample of this PNG becomes' if bits == 1 else 's of a sample of this PNG become'} 8.",
    )
    assert read_header(tmp_path / "source", LIMITS).samples == f"{bits} bit"


def test_palette_becomes_full_colours_and_that_is_said(tmp_path):
    image = Image.fromarray(scene(9, 11)).quantize(8)
    stream = BytesIO()
    image.save(stream, "PNG", transparency=bytes(range(0, 256, 32)))
    picture = read(stream.getvalue(), tmp_path)
    with Image.open(stream) as reopened:
        np.testing.assert_array_equal(np.dstack((picture.pixels, picture.alpha)), np.asarray(reopened.convert("RGBA")))
    assert picture.notices == ("The palette of this PNG becomes full colours.",)
    assert read_header(tmp_path / "source", LIMITS).samples == "palette"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_becomes_alpha(tmp_path, bits, channels):
    pixels = noise(5, 6, channels, bits)
    pixels[2, 3] = pixels[4, 1]
    key = [int(sample) for sample in pixels[2, 3]]
    plain = imagecodecs.png_encode(pixels[:, :, 0].copy() if channels == 1 else pixels)
    picture = read(with_chunks(plain, chunk(b"tRNS", struct.pack(f">{channels}H", *key))), tmp_path)
    np.testing.assert_array_equal(picture.pixels, pixels)
    peak = (1 << bits) - 1
    np.testing.assert_array_equal(picture.alpha, np.where((pixels == key).all(axis=2), 0, peak))
    assert picture.notices == ()


def test_interlaced_pixels_are_put_in_order(tmp_path):
    """Adam7 by hand: a PNG of 2 x 2 has its pixels in passes 1, 6 (right) and 7 (below)."""
    rows = (b"\x00" + bytes((10,)), b"\x00" + bytes((20,)), b"\x00" + bytes((30, 40)))
    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 1)
    body = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"".join(rows))), chunk(b"IEND", b""))
    picture = read(b"\x89PNG\r\n\x1a\n" + b"".join(body), tmp_path)
    np.testing.assert_array_equal(picture.pixels[:, :, 0], [[10, 20], [30, 40]])


TEXTS = (
    chunk(b"tEXt", b"Comment\x00hello"),
    chunk(b"zTXt", b"Story\x00\x00" + zlib.compress(b"long " * 1000)),
    chunk(b"iTXt", "Title\x00\x00\x00de\x00Titel\x00Hafen ü".encode()),
    chunk(b"iTXt", b"Author\x00\x01\x00\x00\x00" + zlib.compress(b"me")),
)


def test_texts_come_along_and_no_family_but_png_takes_them(tmp_path):
    picture = read(with_chunks(png_bytes(scene(8, 8)), *TEXTS), tmp_path)
    assert picture.notices == ()
    written = again(bicubic_picture(picture, 16, 16), tmp_path)
    for text in TEXTS:
        assert text in written
    assert written.index(TEXTS[0]) < written.index(b"IDAT")
    with Image.open(BytesIO(written)) as image:
        assert image.text["Story"] == "long " * 1000
        assert image.text["Title"] == "Hafen ü"
    info = encode(picture, tmp_path / "b", photo_format="jpeg")
    assert ["text notes in this PNG cannot go" in notice for notice in info.notices] == [True]


def test_xmp_and_exif_in_texts_are_not_kept_twice(tmp_path):
    exif = exif_block(1)
    raw = b"\nexif\n%8d\n" % len(exif) + exif.hex().encode()
    texts = (
        chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + XMP % 1),
        chunk(b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(raw)),
    )
    picture = read(with_chunks(png_bytes(scene(8, 8)), *texts), tmp_path)
    assert (picture.metadata.exif, picture.metadata.xmp, picture.metadata.extras) == (exif, XMP % 1, ())


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"zTXt", b"Bomb\x00\x00" + zlib.compress(bytes(40 << 20))),
        chunk(b"iTXt", b"Bomb\x00\x01\x00\x00\x00" + zlib.compress(bytes(40 << 20))),
        chunk(b"zTXt", b"Cut\x00\x00" + zlib.compress(bytes(1000))[:-5]),
        chunk(b"zTXt", b"None\x00\x00nonsense"),
        chunk(b"iTXt", b"Short\x00"),
        chunk(b"iTXt", b"XML:com.adobe.xmp\x00"),
        chunk(b"tEXt", b"Raw profile type exif\x00\nexif\n 4\nzz"),
        chunk(b"cICP", b"\x01"),
        chunk(b"gAMA", b"\x01"),
        chunk(b"pHYs", b"\x01"),
        chunk(b"cHRM", b"\x01"),
        chunk(b"iCCP", b"no end of the name"),
    ],
)
def test_damaged_or_inflating_metadata_is_left_out_and_told(tmp_path, text):
    data = with_chunks(png_bytes(scene(8, 8)), text, TEXTS[0])
    started = time.perf_counter()
    picture = read(data, tmp_path)
    assert time.perf_counter() - started < 1
    assert picture.notices == ("A part of the metadata of this PNG is damaged or too long and is not kept.",)
    assert b"".join(extra.data for extra in picture.metadata.extras) == TEXTS[0]


def test_crowd_of_texts_is_bounded(tmp_path):
    crowd = [chunk(b"tEXt", b"Key%d\x00" % number) for number in range(5000)]
    picture = read(with_chunks(png_bytes(scene(8, 8)), *crowd), tmp_path)
    assert picture.metadata.extras[0].data == b"".join(crowd[:4096])
    assert len(picture.notices) == 1


def test_density_comes_along(tmp_path):
    picture = read(with_chunks(png_bytes(scene(8, 8)), chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1))), tmp_path)
    np.testing.assert_allclose(picture.metadata.dpi, (300, 150), atol=0.02)
    assert (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)) in chunks_of(again(picture, tmp_path))
    assert picture.notices == ()
    stated = chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0))
    picture = read(with_chunks(png_bytes(scene(8, 8)), stated), tmp_path)
    assert picture.metadata.dpi is None
    assert ["not square" in notice for notice in picture.notices] == [True]
    assert (
        read(with_chunks(png_bytes(scene(8, 8)), chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0))), tmp_path).notices == ()
    )


def test_mastering_data_comes_along_before_the_pixels(tmp_path):
    data = (chunk(b"cICP", bytes((9, 16, 0, 1))), chunk(b"mDCV", bytes(range(24))), chunk(b"cLLI", bytes(range(8))))
    picture = read(with_chunks(png_bytes(scene(8, 8)), *data), tmp_path)
    assert picture.notices == ()
    written = again(picture, tmp_path)
    for each in data:
        assert each in written


@pytest.mark.parametrize(
    ("stated", "kept", "points"),
    [
        ((chunk(b"sRGB", b"\x00"),), (b"sRGB",), (1, 13, 0, 1)),
        (
            (chunk(b"sRGB", b"\x00"), chunk(b"gAMA", struct.pack(">I", 45455)), SRGB_PRIMARIES),
            (b"sRGB",),
            (1, 13, 0, 1),
        ),
        ((chunk(b"gAMA", struct.pack(">I", 45455)), SRGB_PRIMARIES), (), None),
        ((chunk(b"gAMA", struct.pack(">I", 55555)),), (b"gAMA",), None),
        ((chunk(b"gAMA", struct.pack(">I", 45455)), WIDE_PRIMARIES), (b"gAMA", b"cHRM"), None),
        ((WIDE_PRIMARIES,), (b"cHRM",), None),
        ((chunk(b"cICP", bytes((12, 13, 0, 1))),), (b"cICP",), (12, 13, 0, 1)),
        ((chunk(b"cICP", bytes((9, 16, 0, 0))),), (b"cICP",), (9, 16, 0, 0)),
        ((chunk(b"iCCP", b"x\x00\x00" + zlib.compress(rgb_profile())), WIDE_PRIMARIES), (b"iCCP",), None),
        (
            (chunk(b"iCCP", b"x\x00\x00" + zlib.compress(rgb_profile())), chunk(b"cICP", bytes((9, 16, 0, 1)))),
            (b"iCCP", b"cICP"),
            (9, 16, 0, 1),
        ),
    ],
)
def test_colour_space_is_stated_as_it_was(tmp_path, stated, kept, points):
    picture = read(with_chunks(png_bytes(scene(8, 8)), *stated), tmp_path)
    assert picture.notices == ()
    assert picture.metadata.nclx == points
    assert picture.metadata.transfer is None
    written = chunks_of(again(picture, tmp_path))
    assert tuple(name for name, _ in written if name in (b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM")) == kept
    before = {name: body for each in stated for name, body in [(each[4:8], each[8:-4])]}
    for name, body in written:
        if name in (b"cICP", b"gAMA", b"cHRM"):
            assert body == before[name]
    result = decode(tmp_path / "result", LIMITS)
    assert result.metadata == picture.metadata


LIGHT = {
    "gamma": ((LINEAR,), (b"cICP", b"gAMA")),
    "gamma and primaries": ((LINEAR, WIDE_PRIMARIES), (b"gAMA", b"cHRM")),
    "code points": ((chunk(b"cICP", bytes((12, 8, 0, 1))),), (b"cICP", b"gAMA")),
    "profile": ((chunk(b"iCCP", b"x\x00\x00" + zlib.compress(profile_of_gamma(1.0))),), (b"iCCP",)),
}


@pytest.mark.parametrize("way", LIGHT)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_light_becomes_a_signal_and_goes_back(tmp_path, way, bits, channels):
    stated, kept = LIGHT[way]
    if channels < 3 and way == "profile":
        stated = (chunk(b"iCCP", b"x\x00\x00" + zlib.compress(imagecodecs.cms_profile("gray", gamma=1.0))),)
    stored = noise(30, 40, channels, bits) // 8
    colours = 1 if channels < 3 else 3
    plain = imagecodecs.png_encode(stored[:, :, 0].copy() if channels == 1 else stored)
    picture = read(with_chunks(plain, *stated), tmp_path)
    assert (picture.bit_depth, picture.metadata.transfer.bits) == (16, bits)
    assert read_header(tmp_path / "source", LIMITS).samples == f"{bits} bit"
    assert picture.pixels.mean() / 65535 > 2 * stored[:, :, :colours].mean() / ((1 << bits) - 1)
    written = again(picture, tmp_path)
    back = imagecodecs.png_decode(written).reshape(stored.shape)
    assert back.dtype == stored.dtype
    np.testing.assert_allclose(back[:, :, :colours], stored[:, :, :colours], atol=0 if bits == 8 else 1)
    if colours < channels:
        np.testing.assert_array_equal(back[:, :, -1], stored[:, :, -1])
        np.testing.assert_array_equal(picture.alpha, stored[:, :, -1].astype(int) * (257 if bits == 8 else 1))
    names = [name for name, _ in chunks_of(written)]
    assert tuple(name for name in names if name in (b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM")) == kept
    assert decode(tmp_path / "result", LIMITS).metadata.transfer == picture.metadata.transfer


def test_light_becomes_srgb_in_a_family_that_cannot_state_it(tmp_path):
    stored = np.full((16, 16, 3), 55, dtype=np.uint8)
    picture = read(with_chunks(png_bytes(stored), LINEAR), tmp_path)
    info = encode(picture, tmp_path / "b", photo_format="jpeg")
    assert "converted to sRGB" in info.notices[0]
    with Image.open(info.path) as image:
        assert abs(int(np.asarray(image)[8, 8, 1]) - 128) <= 2  # 55 / 255 of light is 128 in sRGB


def test_gamma_near_one_is_linear_and_others_are_not(tmp_path):
    for gamma, is_light in ((99_500, True), (100_800, True), (83_333, False), (45_455, False)):
        stated = chunk(b"gAMA", struct.pack(">I", gamma))
        picture = read(with_chunks(png_bytes(scene(8, 8)), stated), tmp_path)
        assert (picture.metadata.transfer is not None) == is_light, gamma


def test_code_points_of_a_video_signal_are_told_as_full_range(tmp_path):
    picture = picture_of(scene(8, 8, 3, 16), 16, source_format="heic", metadata=Metadata(nclx=(9, 16, 9, 0)))
    info = encode(picture, tmp_path / "a", photo_format="png")
    assert (b"cICP", bytes((9, 16, 0, 1))) in chunks_of(info.path.read_bytes())


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample photos are not here")
@pytest.mark.parametrize("name", ["png_1bit", "png_graya16", "png_la8", "png_palette", "png_palette_trns"])
def test_samples_come_back(tmp_path, name):
    picture = decode(SAMPLES / f"{name}.png", LIMITS)
    again(picture, tmp_path)
    result = decode(tmp_path / "result", LIMITS)
    np.testing.assert_array_equal(result.pixels, picture.pixels)
    if picture.alpha is not None:
        np.testing.assert_array_equal(result.alpha, picture.alpha)
    assert result.metadata == picture.metadata
