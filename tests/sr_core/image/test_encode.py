import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_core.errors import OutputError
from sr_core.image.decode import Limits, decode
from sr_core.image.encode import Quality, check_output, encode, extension_of
from sr_core.image.heif import heic as heif
from sr_core.image.picture import Metadata
from sr_core.image.resize import bicubic_picture

from .photo_files import P3_NCLX, XMP, everything, exif_block, noise, picture_of, rgb_profile, scene, write_heic

LIMITS = Limits()
FAMILIES = ("jpeg", "png", "webp", "heic")
TOLERANCE = {"jpeg": 6, "png": 0, "webp": 14, "heic": 12}


def again(picture, tmp_path, **options):
    info = encode(picture, tmp_path / "result", **options)
    assert info.size_bytes == info.path.stat().st_size
    return decode(info.path, LIMITS), info


@pytest.mark.parametrize("family", FAMILIES)
def test_round_trip_keeps_family_pixels_and_metadata(tmp_path, family):
    picture = picture_of(scene(48, 64), source_format=family, metadata=everything())
    result, info = again(picture, tmp_path)
    assert (info.format, result.source_format, info.notices) == (family, family, ())
    assert np.abs(result.pixels.astype(int) - picture.pixels).max() <= TOLERANCE[family]
    assert result.metadata.icc == rgb_profile()
    assert result.metadata.xmp == (XMP % 1).replace(b'"40"', b'"64"')
    exif = Image.Exif()
    exif.load(b"Exif\x00\x00" + result.metadata.exif)
    assert (len(exif), len(exif.get_ifd(0x8769))) == (4, 3)
    assert result.alpha is None
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("family", FAMILIES)
def test_enlarged_photo_states_its_new_size_and_drops_the_old_thumbnail(tmp_path, family):
    picture = picture_of(scene(30, 40), source_format=family, metadata=everything())
    result, info = again(bicubic_picture(picture, 60, 80), tmp_path)
    assert (result.height, result.width) == (60, 80)
    exif = Image.Exif()
    exif.load(b"Exif\x00\x00" + result.metadata.exif)
    assert exif[0x0112] == 1
    assert exif[0x010F] == "Harbour"
    inner = exif.get_ifd(0x8769)
    assert (inner[0xA003], inner[0xA002]) == (60, 80)
    assert inner[0x927C] == exif_block()[120:144]
    assert b"STALE" not in info.path.read_bytes()


@given(height=st.integers(1, 20), width=st.integers(1, 20), family=st.sampled_from(FAMILIES),
       channels=st.sampled_from([1, 3]), alpha=st.booleans())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_small_size_survives(tmp_path_factory, height, width, family, channels, alpha):
    folder = tmp_path_factory.mktemp("small")
    opacity = scene(height, width, 1)[:, :, 0] if alpha and family != "jpeg" else None
    picture = picture_of(scene(height, width, channels), alpha=opacity, source_format=family)
    result, _ = again(picture, folder)
    assert (result.height, result.width) == (height, width)
    assert result.pixels.shape[2] == (3 if family == "webp" else channels)
    assert (result.alpha is None) == (opacity is None)
    if family == "png":
        np.testing.assert_array_equal(result.pixels, picture.pixels)
    if opacity is not None:
        assert np.abs(result.alpha.astype(int) - opacity).max() <= (3 if family == "heic" else 0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_png_is_exact_at_its_depth(tmp_path, channels, alpha, bits):
    opacity = noise(15, 11, 1, bits, 1)[:, :, 0] if alpha else None
    picture = picture_of(noise(15, 11, channels, bits), bits, alpha=opacity)
    result, _ = again(picture, tmp_path)
    assert result.bit_depth == bits
    np.testing.assert_array_equal(result.pixels, picture.pixels)
    if alpha:
        np.testing.assert_array_equal(result.alpha, opacity)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_heic_keeps_its_depth(tmp_path, channels, alpha, bits):
    opacity = np.ascontiguousarray(scene(40, 56, 1, bits)[:, ::-1, 0]) if alpha else None
    picture = picture_of(scene(40, 56, channels, bits), bits, alpha=opacity, source_format="heic")
    result, _ = again(picture, tmp_path, quality=Quality(heic_chroma="444"))
    assert result.bit_depth == bits
    assert result.pixels.shape == picture.pixels.shape
    assert np.abs(result.pixels.astype(int) - picture.pixels).max() <= 0.02 * picture.peak
    if alpha:
        assert np.abs(result.alpha.astype(int) - opacity).max() <= 0.02 * picture.peak


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_heic_keeps_the_chroma_of_its_source(tmp_path, chroma):
    picture = picture_of(scene(32, 32), source_format="heic", metadata=Metadata(chroma=chroma))
    assert again(picture, tmp_path)[0].metadata.chroma == chroma
    assert again(picture, tmp_path, quality=Quality(heic_chroma="444"))[0].metadata.chroma == "444"


@pytest.mark.parametrize("nclx", [P3_NCLX, (9, 16, 9, 1), (12, 18, 6, 1), (1, 13, 5, 1), (9, 18, 9, 0)])
def test_heic_keeps_its_code_points_and_colours(tmp_path, nclx):
    picture = picture_of(scene(48, 48, 3, 10), 10, source_format="heic", metadata=Metadata(nclx=nclx))
    result, _ = again(picture, tmp_path, quality=Quality(heic_chroma="444"))
    assert result.metadata.nclx == nclx
    assert np.abs(result.pixels.astype(int) - picture.pixels).max() <= 20


def test_code_points_go_to_png_and_back_to_heic(tmp_path):
    picture = picture_of(scene(48, 48, 3, 10), 10, source_format="heic", metadata=Metadata(nclx=(9, 16, 9, 1)))
    png, info = again(picture, tmp_path, photo_format="png")
    assert (png.bit_depth, png.metadata.nclx, info.notices) == (16, (9, 16, 0, 1), ())
    assert png.pixels.max() == 65535
    heic, info = again(png, tmp_path, photo_format="heic")
    assert (heic.bit_depth, heic.metadata.nclx) == (10, (9, 16, 9, 1))
    assert info.notices == ("The 16 bits of a sample become 10, the most that is written to a HEIC.",)


@pytest.mark.parametrize("family", ["jpeg", "webp"])
def test_code_points_that_a_family_cannot_state_are_converted_and_said(tmp_path, family):
    red = np.zeros((32, 32, 3), dtype=np.uint16)
    red[:, :, 0], red[:, :, 1] = 800, 300
    picture = picture_of(red, 10, source_format="heic", metadata=Metadata(nclx=P3_NCLX))
    result, info = again(picture, tmp_path, photo_format=family)
    assert "converted to sRGB" in info.notices[0]
    assert result.metadata.nclx is None
    assert result.pixels[16, 16, 0] > 205  # 800 / 1023 of P3 red needs more of sRGB red
    plain = picture_of(red, 10, source_format="heic")
    result, info = again(plain, tmp_path, photo_format=family)
    assert info.notices == ("The 10 bits of a sample become 8, the most that is written to a "
                            f"{'JPEG' if family == 'jpeg' else 'WebP'}.",)  # fmt: skip
    assert abs(int(result.pixels[16, 16, 0]) - 199) <= 3


def test_profile_goes_before_code_points(tmp_path):
    metadata = Metadata(icc=rgb_profile(), nclx=P3_NCLX)
    result, info = again(
        picture_of(scene(32, 32), source_format="heic", metadata=metadata), tmp_path, photo_format="jpeg"
    )
    assert (result.metadata.icc, info.notices) == (rgb_profile(), ())


def test_grey_stays_grey_where_the_family_has_grey(tmp_path):
    picture = picture_of(scene(40, 40, 1), metadata=Metadata())
    for family, channels in (("jpeg", 1), ("png", 1), ("heic", 1), ("webp", 3)):
        assert again(picture, tmp_path, photo_format=family)[0].pixels.shape[2] == channels


def test_transparent_picture_is_no_jpeg(tmp_path):
    picture = picture_of(scene(8, 8), alpha=scene(8, 8, 1)[:, :, 0])
    with pytest.raises(OutputError, match="transparency of this picture; please choose PNG, WebP, HEIC, AVIF or TIFF"):
        encode(picture, tmp_path / "a", photo_format="jpeg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("family", "height", "width", "alpha"),
    [
        ("webp", 16384, 10, False),
        ("webp", 12096, 16128, False),
        ("jpeg", 10, 65501, False),
        ("jpeg", 10, 10, True),
        ("heic", 32769, 10, False),
        ("heic", 6000, 6000, True),
    ],
)
def test_impossible_output_is_refused_beforehand(family, height, width, alpha):
    with pytest.raises(OutputError, match=r"please choose PNG.*\.$"):
        check_output(family, height, width, source_format=family, has_alpha=alpha)


@pytest.mark.parametrize("family", FAMILIES)
def test_usual_output_is_let_through(family):
    check_output(family, 8064, 6048, source_format=family)


def test_webp_of_the_longest_side_is_written(tmp_path):
    picture = picture_of(scene(2, 16383))
    assert again(picture, tmp_path, photo_format="webp")[0].width == 16383


def test_colours_under_transparent_pixels_are_kept(tmp_path):
    hidden = picture_of(scene(40, 40), alpha=np.zeros((40, 40), dtype=np.uint8))
    for family in ("png", "webp", "heic"):
        result, _ = again(hidden, tmp_path, photo_format=family)
        assert np.abs(result.pixels.astype(int) - hidden.pixels).max() <= TOLERANCE[family], family
        assert result.alpha.max() == 0, family


def test_xmp_too_long_for_a_jpeg_is_left_out_and_said(tmp_path):
    picture = picture_of(scene(8, 8), metadata=Metadata(xmp=b"<x>" + bytes(70_000)))
    result, info = again(picture, tmp_path, photo_format="jpeg")
    assert result.metadata.xmp is None
    assert info.notices == ("The XMP data is too long for a JPEG and is left out.",)


def test_exif_of_many_segments_goes_into_a_jpeg(tmp_path):
    exif = exif_block(thumbnail=False) + bytes(70_000)
    result, info = again(picture_of(scene(8, 8), metadata=Metadata(exif=exif)), tmp_path, photo_format="jpeg")
    assert (len(result.metadata.exif), info.notices) == (len(exif), ())


def test_engine_failure_is_a_sentence_and_leaves_no_file(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("boom")

    monkeypatch.setattr("sr_core.image.png.write", fail)
    with pytest.raises(OutputError, match="could not be written as PNG"):
        encode(picture_of(scene(8, 8)), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_large_heic_becomes_a_grid(tmp_path, monkeypatch):
    monkeypatch.setattr(heif, "LARGEST_SINGLE_PIXELS", 500 * 500)
    picture = picture_of(scene(700, 600), source_format="heic", metadata=everything())
    result, info = again(picture, tmp_path)
    assert pillow_heif.open_heif(info.path)[0].info["tiling"]["num_columns"] == 2
    assert np.abs(result.pixels.astype(int) - picture.pixels).max() <= TOLERANCE["heic"]
    assert result.metadata.icc == rgb_profile()


@pytest.mark.parametrize(
    ("height", "width", "side"),
    [(4032, 3024, 0), (8064, 6048, 512), (16000, 15000, 1024), (32768, 32768, 2048)],
)
def test_tiles_stay_below_the_item_limit_of_readers(height, width, side):
    assert heif.tile_side(height, width) == side


def test_rotated_phone_photo_is_not_rotated_again(tmp_path):
    stored = scene(48, 80)
    source = write_heic(tmp_path / "photo", stored, exif=b"Exif\x00\x00" + exif_block(6), xmp=XMP % 6)
    first = decode(source, LIMITS)
    for family in FAMILIES:
        result, info = again(first, tmp_path, photo_format=family)
        assert result.pixels.shape == (80, 48, 3), family
        assert np.abs(result.pixels.astype(int) - first.pixels).max() <= 20, family
    assert info.format == "heic"


def test_png_is_read_by_another_reader(tmp_path):
    info = encode(picture_of(scene(12, 9), metadata=everything()), tmp_path / "a")
    with Image.open(info.path) as image:
        np.testing.assert_array_equal(np.asarray(image), scene(12, 9))
        assert image.info["icc_profile"] == rgb_profile()
        assert image.getexif()[0x010F] == "Harbour"
        assert image.info["xmp"].startswith(b"<x:xmpmeta")
    stored = noise(12, 9, 1, 16)
    with Image.open(encode(picture_of(stored, 16), tmp_path / "b").path) as image:
        np.testing.assert_array_equal(np.asarray(image), stored[:, :, 0])


def test_extensions():
    assert [extension_of(family) for family in FAMILIES] == [".jpg", ".png", ".webp", ".heic"]
