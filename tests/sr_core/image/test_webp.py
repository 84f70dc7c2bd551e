import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sr_core.errors import OutputError, UnreadablePhotoError
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import Quality, check_output, encode
from sr_core.image.picture import Metadata
from sr_core.image.resize import bicubic_picture

from .jpeg_files import profile_of_gamma
from .photo_files import XMP, exif_block, noise, picture_of, rgb_profile, scene

LIMITS = Limits()


def write(path, data):
    path.write_bytes(data)
    return path


def webp_bytes(pixels, **options):
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", **options)
    return stream.getvalue()


def with_chunk(webp, name, body):
    """Returns a WebP with a chunk at its end."""
    body = webp[8:] + name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def names_of(data):
    at, names = 12, []
    while at < len(data):
        names.append(data[at : at + 4])
        size = struct.unpack_from("<I", data, at + 4)[0]
        at += 8 + size + (size & 1)
    return names


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("rich", [False, True])
def test_lossless_stays_lossless(tmp_path, alpha, rich):
    stored = noise(20, 30, 4 if alpha else 3, 8)
    options = {"icc_profile": rgb_profile(), "exif": exif_block(1), "xmp": XMP % 1} if rich else {}
    picture = decode(write(tmp_path / "a", webp_bytes(stored, lossless=True, exact=True, **options)), LIMITS)
    info = encode(picture, tmp_path / "b", quality=Quality(webp=10))
    assert info.notices == ()
    assert b"VP8L" in names_of(info.path.read_bytes())
    result = decode(info.path, LIMITS)
    np.testing.assert_array_equal(result.pixels, stored[:, :, :3])
    if alpha:
        np.testing.assert_array_equal(result.alpha, stored[:, :, 3])
    assert (result.metadata.icc, result.metadata.chroma) == (picture.metadata.icc, "444")
    larger = encode(bicubic_picture(picture, 40, 60), tmp_path / "c", quality=Quality(webp=10))
    assert b"VP8L" in names_of(larger.path.read_bytes())


def test_lossy_stays_lossy_and_takes_the_quality(tmp_path):
    picture = decode(write(tmp_path / "a", webp_bytes(noise(64, 64, 3, 8), quality=90)), LIMITS)
    sizes = [encode(picture, tmp_path / "b", quality=Quality(webp=quality)).size_bytes for quality in (20, 95)]
    assert b"VP8 " in names_of((tmp_path / "b").read_bytes())
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("family", ["jpeg", "png", "heic"])
def test_full_chroma_of_other_families_is_no_sign_of_lossless(tmp_path, family):
    picture = picture_of(scene(32, 32), source_format=family, metadata=Metadata(chroma="444"))
    info = encode(picture, tmp_path / "a", photo_format="webp")
    assert b"VP8 " in names_of(info.path.read_bytes())


@pytest.mark.parametrize("lossless", [True, False])
def test_animation_gives_its_first_frame_in_its_own_kind(tmp_path, lossless):
    frames = [Image.fromarray(noise(12, 16, 3, 8, seed)) for seed in range(3)]
    stream = BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=lossless)
    picture = decode(write(tmp_path / "a", stream.getvalue()), LIMITS)
    assert picture.notices == ("This WebP is animated; only the first of its 3 frames is kept.",)
    info = encode(picture, tmp_path / "b")
    assert (b"VP8L" in names_of(info.path.read_bytes())) == lossless
    if lossless:
        np.testing.assert_array_equal(decode(info.path, LIMITS).pixels, np.asarray(frames[0]))


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("alpha", [False, True])
def test_metadata_come_along(tmp_path, lossless, alpha):
    pixels = noise(20, 30, 4 if alpha else 3, 8)
    options = {"icc_profile": rgb_profile(), "exif": exif_block(6), "xmp": XMP % 6}
    picture = decode(write(tmp_path / "a", webp_bytes(pixels, lossless=lossless, **options)), LIMITS)
    assert (picture.height, picture.width) == (30, 20)
    result = decode(encode(picture, tmp_path / "b").path, LIMITS)
    assert result.metadata.icc == rgb_profile()
    assert result.metadata.xmp == (XMP % 1).replace(b'"40"', b'"20"')
    with Image.open(tmp_path / "b") as image:
        assert image.size == (20, 30)
        assert image.getexif()[0x0112] == 1
        assert image.getexif()[0x010F] == "Harbour"


@pytest.mark.parametrize("alpha", [False, True])
def test_linear_profile_makes_a_signal_and_goes_back(tmp_path, alpha):
    dark = noise(20, 30, 4 if alpha else 3, 8) // 8
    data = webp_bytes(dark, lossless=True, exact=True, icc_profile=profile_of_gamma(1.0))
    picture = decode(write(tmp_path / "a", data), LIMITS)
    assert picture.bit_depth == 16
    assert read_header(tmp_path / "a", LIMITS).samples == "8 bit"
    assert picture.pixels.mean() / 65535 > 2 * dark[:, :, :3].mean() / 255
    info = encode(picture, tmp_path / "b")
    assert info.notices == ()
    with Image.open(info.path) as image:
        np.testing.assert_array_equal(np.asarray(image), dark)
        assert image.info["icc_profile"] == profile_of_gamma(1.0)


def test_other_chunks_are_told(tmp_path):
    rich = webp_bytes(scene(8, 8), exif=exif_block(1))
    assert decode(write(tmp_path / "a", rich), LIMITS).notices == ()
    picture = decode(write(tmp_path / "b", with_chunk(rich, b"C2PA", b"jumb")), LIMITS)
    assert picture.notices == ("Some metadata of this WebP beyond EXIF and XMP is not kept.",)


def test_damaged_exif_is_left_out_and_told(tmp_path):
    data = with_chunk(webp_bytes(scene(8, 8), xmp=XMP % 1), b"EXIF", b"nonsense")
    picture = decode(write(tmp_path / "a", data), LIMITS)
    assert picture.metadata.exif is None
    assert len(picture.notices) == 1


@pytest.mark.parametrize("cut", [10, 21, 40, 100])
def test_cut_file_is_refused(tmp_path, cut):
    with pytest.raises(UnreadablePhotoError):
        decode(write(tmp_path / "a", webp_bytes(noise(40, 40, 3, 8), lossless=True)[:-cut]), LIMITS)


def test_size_limits_are_those_of_the_format(tmp_path):
    check_output("webp", 16383, 100, source_format="webp")
    with pytest.raises(OutputError, match="at most 16383 pixels a side"):
        check_output("webp", 16384, 100, source_format="webp")
    with pytest.raises(OutputError, match="holds at most 80"):
        check_output("webp", 12096, 16128, source_format="webp")
    for chroma in ("420", "444"):
        long = picture_of(scene(1, 16383), source_format="webp", metadata=Metadata(chroma=chroma))
        assert decode(encode(long, tmp_path / "a").path, LIMITS).width == 16383
