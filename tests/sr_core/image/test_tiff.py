import shutil
import struct
import subprocess
import zlib
from contextlib import suppress
from functools import partial
from io import BytesIO
from time import perf_counter

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from sr_core.errors import PhotoTooLargeError, SRError, UnreadablePhotoError, UnsupportedFormatError
from sr_core.image.decode import Limits, decode, read_header
from sr_core.image.encode import encode
from sr_core.image.family import Quality
from sr_core.image.picture import Extra, Metadata
from sr_core.image.tiff import photo as tiff

from .photo_files import ink_profile, noise, picture_of, rgb_profile, scene
from .tiff_files import Value, directory, long, plain_tiff, short, tiff_bytes, tree_block

COMPRESSIONS = ["lzw", "zlib", "packbits", "lzma", "zstd", "webp", "jpegxl", "jpeg2000", "png", "lerc"]
INKS = [(262, 3, short("<", 5)), (277, 3, short("<", 4)), (332, 3, short("<", 2))]
LINEAR_NOTICE = (
    "The floating-point samples of this TIFF are taken as linear light, as no colour profile says otherwise."
)


def linear_profile() -> bytes:
    """Returns an ICC profile whose samples are proportional to light."""
    profile = bytearray(rgb_profile())
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        entry = profile.index(name)
        profile[entry + 8 : entry + 12] = struct.pack(">I", 14)
        at = struct.unpack_from(">I", profile, entry + 4)[0]
        profile[at : at + 14] = b"curv" + bytes(4) + struct.pack(">IH", 1, 256)
    return bytes(profile)


def read(data: bytes, tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(data)
    header = read_header(path, Limits())
    picture = decode(path, Limits())
    assert (header.height, header.width) == (picture.height, picture.width)
    assert (header.bit_depth, header.channels) == (picture.bit_depth, picture.pixels.shape[2])
    assert header.has_alpha == (picture.alpha is not None)
    assert header.format == picture.source_format == "tiff"
    return header, picture


def written(picture) -> bytes:
    stream = BytesIO()
    tiff.write(picture, stream, Quality())
    return stream.getvalue()


def grey_tags(height: int, width: int, *more: Value, bits: int = 8) -> list[Value]:
    values: dict[int, Value] = {
        256: (256, 4, long("<", width)),
        257: (257, 4, long("<", height)),
        258: (258, 3, short("<", bits)),
        262: (262, 3, short("<", 1)),
    }
    return list((values | {value[0]: value for value in more}).values())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("planar", [False, True])
def test_integers_are_read_as_they_are(tmp_path, bits, channels, alpha, planar):
    samples = noise(13, 17, channels + alpha, bits)
    options: dict[str, object] = {"extrasamples": ["unassalpha"]} if alpha else {}
    stored = samples[:, :, 0] if samples.shape[2] == 1 else samples
    if stored.ndim == 3:
        options["planarconfig"] = "separate" if planar else "contig"
        stored = np.moveaxis(stored, 2, 0) if planar else stored
    data = tiff_bytes(stored, photometric="rgb" if channels == 3 else "minisblack", **options)
    header, picture = read(data, tmp_path)
    assert np.array_equal(picture.pixels, samples[:, :, :channels])
    assert (picture.alpha is None) if not alpha else np.array_equal(picture.alpha, samples[:, :, -1])
    assert (header.samples, header.kind, header.notices) == (f"{bits} bit", "TIFF", ())


@pytest.mark.parametrize("compression", [None, *COMPRESSIONS])
@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"rowsperstrip": 5}])
@pytest.mark.parametrize("big", [False, True])
def test_every_compression_in_strips_and_tiles(tmp_path, compression, layout, big):
    order = ">" if big and compression in (None, "lzw", "zlib", "packbits") else "<"
    samples = noise(37, 45, 3, 8 if compression == "webp" else 16)
    predictor = 2 if compression in ("lzw", "zlib", "zstd") else None
    data = tiff_bytes(
        samples, compression=compression, predictor=predictor, byteorder=order, bigtiff=big, **layout
    )  # fmt: skip
    expected = tifffile.imread(BytesIO(data))
    assert np.array_equal(read(data, tmp_path)[1].pixels, expected)


@pytest.mark.parametrize("layout", [{"tile": (16, 32)}, {"rowsperstrip": 16}])
@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2)])
def test_jpeg_segments_come_out_as_rgb(tmp_path, layout, subsampling):
    samples = scene(40, 50)
    data = tiff_bytes(samples, compression="jpeg", subsampling=subsampling, **layout)
    with tifffile.TiffFile(BytesIO(data)) as file:
        assert file.pages[0].photometric == 6
    pixels = read(data, tmp_path)[1].pixels
    assert np.abs(pixels.astype(int) - samples).mean() < 4
    plain = tiff_bytes(samples, compression="jpeg", compressionargs={"outcolorspace": "rgb"}, **layout)
    assert np.abs(read(plain, tmp_path)[1].pixels.astype(int) - samples).mean() < 4


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("inverted", [False, True])
def test_few_bits_are_spread_over_the_whole_range(tmp_path, bits, inverted):
    peak = (1 << bits) - 1
    samples = noise(6, 11, 1, bits)[:, :, 0].astype(np.uint8)
    rows = [np.unpackbits(row[:, np.newaxis], axis=1)[:, 8 - bits :].ravel() for row in samples]
    pixels = b"".join(np.packbits(row).tobytes() for row in rows)
    data = plain_tiff(grey_tags(6, 11, (262, 3, short("<", 0 if inverted else 1)), bits=bits), pixels)
    header, picture = read(data, tmp_path)
    expected = (samples.astype(int) * 255) // peak
    assert np.array_equal(picture.pixels[:, :, 0], 255 - expected if inverted else expected)
    assert (header.bit_depth, header.samples) == (8, f"{bits} bit")


def test_twelve_bits_become_sixteen(tmp_path):
    samples = noise(6, 10, 1, 12)[:, :, 0]
    data = plain_tiff(grey_tags(6, 10, bits=12), bytes(imagecodecs.packints_encode(samples, 12)))
    header, picture = read(data, tmp_path)
    assert np.array_equal(picture.pixels[:, :, 0], np.rint(samples / 4095 * 65535))
    assert (header.bit_depth, header.samples) == (16, "12 bit")


def test_white_is_zero_in_sixteen_bits(tmp_path):
    samples = noise(6, 11, 1, 16)
    assert np.array_equal(
        read(tiff_bytes(samples[:, :, 0], photometric="miniswhite"), tmp_path)[1].pixels, 65535 - samples
    )


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_a_fax_is_read(tmp_path, compression):
    page = scene(40, 64, 1)[:, :, 0] > 100
    stream = BytesIO()
    Image.fromarray(page).save(stream, "TIFF", compression=compression)
    assert np.array_equal(read(stream.getvalue(), tmp_path)[1].pixels[:, :, 0], page * np.uint8(255))


@pytest.mark.parametrize(("factor", "bits"), [(257, 8), (256, 8), (1, 8), (250, 16)])
def test_a_palette_keeps_its_colours(tmp_path, factor, bits):
    random = np.random.default_rng(1)
    palette = random.integers(0, 256, (3, 256)).astype(np.uint16) * np.uint16(factor)
    index = noise(9, 7, 1, 8)[:, :, 0]
    data = tiff_bytes(index, photometric="palette", colormap=palette)
    header, picture = read(data, tmp_path)
    colours = palette[:, index].transpose(1, 2, 0)
    assert np.array_equal(picture.pixels, colours if bits == 16 or factor == 1 else colours // factor)
    assert (header.bit_depth, header.channels) == (bits, 3)


def test_a_palette_that_is_cut_short_is_damage(tmp_path):
    with pytest.raises(UnreadablePhotoError):
        read(plain_tiff(grey_tags(2, 2, (262, 3, short("<", 3)), (320, 3, short("<", *range(6)))), bytes(4)), tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_premultiplied_colours_are_divided(tmp_path, dtype):
    peak = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    colours = np.linspace(0, 1, 16 * 16 * 3).reshape(16, 16, 3)
    alpha = np.tile(np.linspace(0, 1, 16), (16, 1))
    stored = np.dstack((colours * alpha[:, :, np.newaxis], alpha)) * peak
    stored[:, 0, :3] = peak / 2
    stored = stored.astype(dtype) if dtype is np.float32 else np.rint(stored).astype(dtype)
    icc = rgb_profile() if dtype is np.float32 else None
    _, picture = read(tiff_bytes(stored, extrasamples=["assocalpha"], iccprofile=icc), tmp_path)
    assert np.abs(picture.pixels[:, 8:] / picture.peak - colours[:, 8:]).max() < (8e-3 if dtype is np.uint8 else 1e-4)
    assert (picture.pixels[:, 0] == 0).all()
    assert np.allclose(picture.alpha / picture.peak, alpha, atol=1 / 255)


def test_a_channel_that_is_no_transparency_is_left_out_and_that_is_said(tmp_path):
    samples = noise(8, 9, 4, 8)
    header, picture = read(tiff_bytes(samples, extrasamples=["unspecified"]), tmp_path)
    assert np.array_equal(picture.pixels, samples[:, :, :3])
    assert picture.alpha is None
    assert header.notices == ("A further channel of this TIFF is not marked as transparency and is not kept.",)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("profile", [False, True])
def test_inks_are_converted_and_that_is_said(tmp_path, bits, profile):
    peak = (1 << bits) - 1
    inks = np.zeros((4, 4, 4), np.uint8 if bits == 8 else np.uint16)
    inks[:2, :, 1:3] = peak  # magenta with yellow: red by the formula, blue by the profile
    header, picture = read(
        tiff_bytes(inks, photometric="separated", iccprofile=ink_profile() if profile else None), tmp_path
    )
    assert picture.metadata.icc is None
    assert (picture.pixels[2:] == 255).all()
    red, _, blue = picture.pixels[0, 0].astype(int)
    assert (blue > red) == profile
    way = "by its own profile" if profile else "by the plain formula, as it has no profile"
    notices = [f"The CMYK colours of this TIFF were converted to sRGB {way}."]
    if bits == 16:
        notices.append("The 16 bits of a sample become 8 as CMYK is converted.")
    assert header.notices == tuple(notices)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("alpha", [False, True])
def test_light_stays_light(tmp_path, dtype, alpha):
    random = np.random.default_rng(2)
    light = (random.random((20, 30, 3 + alpha)) ** 3).astype(dtype)
    light[3, 4, 0] = 7.5
    light[5, 6, 1] = -0.25
    data = tiff_bytes(light, predictor=3, compression="zlib", extrasamples=["unassalpha"] if alpha else None)
    header, picture = read(data, tmp_path)
    bits = light.dtype.itemsize * 8
    assert (header.samples, header.bit_depth, header.notices) == (f"{bits} bit float", 16, (LINEAR_NOTICE,))
    transfer = picture.metadata.transfer
    assert (transfer.stored, transfer.is_float, transfer.bits) == ("linear", True, bits)
    back = tifffile.imread(BytesIO(written(picture)))
    assert back.dtype == light.dtype
    assert np.abs(back[:, :, :3].astype(float) - light[:, :, :3]).max() < 1e-3 * 8
    if alpha:
        assert np.abs(back[:, :, 3] - light[:, :, 3]).max() < 1e-3


def test_encoded_floats_stay_encoded_floats(tmp_path):
    signal = np.random.default_rng(3).random((20, 30, 3)).astype(np.float32)
    header, picture = read(tiff_bytes(signal, iccprofile=rgb_profile()), tmp_path)
    assert picture.metadata.transfer is None
    assert np.array_equal(picture.pixels, np.rint(signal.astype(float) * 65535))
    assert header.notices == ()
    back = tifffile.imread(BytesIO(written(picture)))
    assert back.dtype == np.float32
    assert np.abs(back - signal).max() < 1e-5
    extra = header.metadata.extras[0]
    assert extra.name == "The floating-point form of the 32-bit samples of this TIFF"
    info = encode(picture, tmp_path / "out.png", photo_format="png")
    assert any(notice.startswith(f"{extra.name} cannot go into a PNG") for notice in info.notices)


def test_encoded_floats_beyond_their_profile_are_cut_off_and_that_is_said(tmp_path):
    signal = np.full((4, 4, 3), 1.5, np.float32)
    _, picture = read(tiff_bytes(signal, iccprofile=rgb_profile()), tmp_path)
    assert (picture.pixels == 65535).all()
    notice = "Samples of this TIFF below 0 or above 1 lie outside of its colour profile and were cut off there."
    assert picture.notices == (notice,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(tmp_path, value):
    light = np.zeros((4, 4, 3), np.float32)
    light[1, 2, 0] = value
    with pytest.raises(UnsupportedFormatError, match="no finite numbers"):
        read(tiff_bytes(light), tmp_path)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_integers_of_a_linear_profile_become_a_signal_and_light_again(tmp_path, bits, alpha):
    samples = noise(16, 16, 3 + alpha, bits)
    data = tiff_bytes(samples, iccprofile=linear_profile(), extrasamples=["unassalpha"] if alpha else None)
    header, picture = read(data, tmp_path)
    assert (header.samples, header.bit_depth) == (f"{bits} bit", 16)
    assert picture.metadata.transfer.bits == bits
    assert not np.array_equal(picture.pixels >> (16 - bits), samples[:, :, :3])
    back = tifffile.imread(BytesIO(written(picture)))
    assert back.dtype == samples.dtype
    assert np.abs(back.astype(int) - samples).max() <= (0 if bits == 8 else 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff_bytes(np.zeros((4, 4), np.uint32)), "integers of 32 bits"),
        (tiff_bytes(np.zeros((4, 4), np.int16)), "signed or complex"),
        (tiff_bytes(np.zeros((4, 4), np.complex64)), "signed or complex"),
        (tiff_bytes(np.zeros((4, 4, 5), np.uint8), extrasamples=[0, 0], planarconfig="contig"), "5 channels"),
        (tiff_bytes(np.zeros((4, 4, 3), np.uint8), photometric="cielab"), "RGB, grey, palette or CMYK"),
        (plain_tiff(grey_tags(2, 2, (32997, 3, short("<", 4))), bytes(16)), "a volume"),
        (tiff_bytes(np.zeros((4, 4), np.float32), photometric="miniswhite"), "neither grey nor RGB"),
        (plain_tiff(grey_tags(2, 2, (259, 3, short("<", 6))), bytes(4)), "JPEG compression of 1992"),
        (plain_tiff(grey_tags(2, 2, (262, 3, short("<", 6)), (277, 3, short("<", 3))), bytes(4)), "YCbCr"),
        (plain_tiff(grey_tags(2, 2, *INKS), bytes(16)), "inks"),
        (plain_tiff(grey_tags(2, 2, (277, 3, short("<", 2)), (258, 3, short("<", 8, 16))), bytes(9)), "several depths"),
        (plain_tiff(grey_tags(2, 2, (259, 3, short("<", 34676))), bytes(4)), "compression that is not read"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_in_one_sentence(tmp_path, data, words):
    with pytest.raises(UnsupportedFormatError, match=words) as caught:
        read(data, tmp_path)
    assert str(caught.value).startswith("This TIFF ")
    assert "please" in str(caught.value)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_once(tmp_path, orientation):
    data = tiff_bytes(scene(12, 20), extratags=[(274, 3, 1, orientation, True)])
    _, picture = read(data, tmp_path)
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[orientation]
    image = Image.fromarray(scene(12, 20))
    expected = np.asarray(image if turned is None else image.transpose(Image.Transpose(turned)))
    assert np.array_equal(picture.pixels, expected)
    again = read(written(picture), tmp_path)[1]
    assert np.array_equal(again.pixels, expected)


@pytest.mark.parametrize(("unit", "dpi"), [(2, (300.0, 150.0)), (3, (762.0, 381.0)), (1, None)])
def test_the_resolution_is_read_and_written(tmp_path, unit, dpi):
    header, picture = read(tiff_bytes(scene(8, 8), resolution=(300, 150), resolutionunit=unit), tmp_path)
    assert header.metadata.dpi == (None if dpi is None else pytest.approx(dpi))
    assert read(written(picture), tmp_path)[0].metadata.dpi == (None if dpi is None else pytest.approx(dpi))


def test_what_travels_beside_the_pixels_goes_around(tmp_path):
    metadata = Metadata(
        icc=rgb_profile(),
        exif=tree_block(),
        xmp=b"<x:xmpmeta>harbour</x:xmpmeta>",
        dpi=(300.0, 300.0),
        extras=(Extra(kind="iptc", name="The IPTC notes of this TIFF", data=b"\x1c\x02\x5a\x00\x05Paris"),),
    )
    picture = picture_of(noise(9, 7, 3, 16), 16, metadata=metadata, source_format="tiff")
    path = tmp_path / "out.tif"
    assert encode(picture, path).notices == ()
    back = decode(path, Limits())
    assert np.array_equal(back.pixels, picture.pixels)
    found = back.metadata
    assert (found.icc, found.xmp, found.extras) == (metadata.icc, metadata.xmp, metadata.extras)
    assert found.dpi == pytest.approx((300, 300))
    assert b"Boats in the harbour" in found.exif
    with Image.open(path) as image:
        assert image.getexif()[0x010F] == "Harbour"
        assert image.getexif().get_ifd(0x8825)[3] == "E"


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
def test_pixels_are_written_without_loss_in_several_strips(bits, channels, alpha):
    samples = noise(700, 900, channels + alpha, bits)
    picture = picture_of(samples[:, :, :channels], bits, alpha=samples[:, :, -1].copy() if alpha else None)
    data = written(picture)
    with tifffile.TiffFile(BytesIO(data)) as file:
        page = file.pages[0]
        assert np.array_equal(page.asarray().reshape(samples.shape), samples)
        assert page.extrasamples == ((2,) if alpha else ())
        assert (page.compression, page.predictor) == (8, 2)
        assert len(page.dataoffsets) > 1 or samples.nbytes <= 1 << 20
        assert not file.is_bigtiff


@pytest.mark.parametrize("is_big", [False, True])
def test_only_what_does_not_fit_becomes_a_bigtiff(monkeypatch, is_big):
    samples = noise(40, 40, 3, 8)
    monkeypatch.setattr("sr_core.image.tiff.strips._CLASSIC_BYTES", samples.nbytes - is_big)
    picture = picture_of(samples, metadata=Metadata(exif=tree_block()))
    data = written(picture)
    assert data[2] == (43 if is_big else 42)
    assert np.array_equal(tifffile.imread(BytesIO(data)), samples)
    assert b"Boats in the harbour" in tiff.parse(data).metadata.exif


def test_of_several_pages_the_first_of_full_size_is_read(tmp_path):
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for value, kind in ((10, 1), (20, 0), (40, 2)):
            writer.write(np.full((8 + value, 9), value, np.uint8), subfiletype=kind, metadata=None)
        writer.write(np.ones((8, 8), bool), photometric="minisblack", extratags=[(255, 3, 1, 2, True)], metadata=None)
        writer.write(np.zeros((8, 8), np.uint8), subfiletype=1, metadata=None)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        mask_at = file.pages[4].tags[254].valueoffset
    stream.seek(mask_at)
    stream.write(long("<", 4))
    header, picture = read(stream.getvalue(), tmp_path)
    assert (picture.pixels == 20).all()
    assert header.notices == ("This TIFF holds 2 pictures; only the first one is kept.",)


def test_a_preview_beside_the_picture_is_no_loss(tmp_path):
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for size, kind in ((16, 0), (4, 1)):
            writer.write(np.zeros((size, size), np.uint8), subfiletype=kind, metadata=None)
    assert read(stream.getvalue(), tmp_path)[0].notices == ()


def test_what_only_its_own_program_understands_is_said_to_be_lost(tmp_path):
    tags = [(34377, 7, 4, b"8BIM", True), (37724, 7, 4, b"Adob", True), (34735, 3, 4, (1, 1, 0, 0), True)]
    header, _ = read(tiff_bytes(scene(8, 8), extratags=tags), tmp_path)
    assert [
        words in notice for words, notice in zip(("Photoshop", "layers", "GeoTIFF"), header.notices, strict=True)
    ] == [True] * 3


def test_iptc_notes_as_numbers_of_the_other_order_are_turned(tmp_path):
    notes = b"\x1c\x02\x5a\x00\x05Paris\x00\x00"
    turned = np.frombuffer(notes, ">u4").astype("<u4").tobytes()
    header, _ = read(tiff_bytes(scene(8, 8), extratags=[(33723, 7, 12, turned, True)]), tmp_path)
    assert header.metadata.extras[0].data == notes.rstrip(b"\x00")


def test_pages_in_a_circle_and_without_end_are_counted_at_once(tmp_path):
    loop = bytearray(plain_tiff(grey_tags(2, 2), bytes(4)))
    end = 8 + 2 + 12 * struct.unpack_from("<H", loop, 8)[0]
    loop[end : end + 4] = long("<", 8)
    assert read(bytes(loop), tmp_path)[0].notices == ()
    chain = bytearray(b"II*\x00\x08\x00\x00\x00")
    for number in range(50_000):
        chain += struct.pack("<HHHIII", 1, 256, 4, 1, 1, 8 + 18 * (number + 1))
    started = perf_counter()
    with pytest.raises(UnreadablePhotoError):
        read(bytes(chain) + bytes(20), tmp_path)
    assert perf_counter() - started < 1


@pytest.mark.parametrize(
    "more",
    [
        [(322, 4, long("<", 1 << 30)), (323, 4, long("<", 1 << 30))],
        [(322, 4, long("<", 1 << 20)), (323, 4, long("<", 16))],
        [(322, 4, long("<", 0)), (323, 4, long("<", 16))],
        [(322, 4, long("<", 1)), (323, 4, long("<", 1)), (256, 4, long("<", 4000)), (257, 4, long("<", 4000))],
        [(278, 4, long("<", 0)), (256, 4, long("<", 0))],
    ],
)
@pytest.mark.parametrize("compression", [1, 8])
def test_lying_tiles_take_no_memory(tmp_path, more, compression):
    pixels = bytes(400) if compression == 1 else zlib.compress(bytes(400))
    data = plain_tiff(grey_tags(20, 20, (259, 3, short("<", compression)), *more), pixels)
    with pytest.raises(UnreadablePhotoError):
        read(data, tmp_path)


def test_a_page_cut_into_very_many_tiles_is_damage():
    tiles = [(322, 4, long("<", 8)), (323, 4, long("<", 8))]
    with pytest.raises(ValueError, match="too many segments"):
        tiff.parse(plain_tiff(grey_tags(4000, 4000, *tiles), bytes(64)))


def test_a_strip_with_fewer_rows_than_it_says_is_damage(tmp_path):
    with pytest.raises(UnreadablePhotoError):
        read(plain_tiff(grey_tags(4, 4), bytes(4)), tmp_path)


def test_the_size_of_a_jpeg_2000_segment_is_known_before_it_is_decoded(tmp_path):
    segment = bytes(imagecodecs.jpeg2k_encode(np.zeros((400, 400), np.uint8)))
    with pytest.raises(UnreadablePhotoError) as caught:
        read(plain_tiff(grey_tags(16, 16, (259, 3, short("<", 34712))), segment), tmp_path)
    assert "JPEG 2000 segment has another size" in str(caught.value.__cause__)


def test_rgb_in_a_jpeg_without_a_mark_is_not_taken_for_ycbcr(tmp_path):
    samples = scene(16, 16)
    coded = bytes(
        imagecodecs.jpeg8_encode(samples, level=98, colorspace="YCBCR", outcolorspace="YCBCR", subsampling="444")
    )
    mark_bytes = 2 + struct.unpack_from(">H", coded, 4)[0]
    assert coded[2:4] == b"\xff\xe0"
    bare = coded[:2] + coded[2 + mark_bytes :]
    values = [(259, 3, short("<", 7)), (262, 3, short("<", 2)), (277, 3, short("<", 3)), (258, 3, short("<", 8, 8, 8))]
    _, picture = read(plain_tiff(grey_tags(16, 16, *values), bare), tmp_path)
    assert np.abs(picture.pixels.astype(int) - samples).mean() < 4


def test_a_page_that_says_it_is_huge_is_refused_before_its_pixels(tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(plain_tiff(grey_tags(100_000, 100_000), bytes(40)))
    with pytest.raises(PhotoTooLargeError):
        read_header(path, Limits())


@pytest.mark.parametrize(
    "compression", ["zlib", "lzw", "zstd", "lzma", "packbits", "png", "jpegxl", "jpeg2000", "webp", "jpeg"]
)
def test_a_segment_that_swells_beyond_its_place_takes_no_memory(tmp_path, compression):
    huge = np.zeros((2000, 2000, 3), np.uint8)
    encoders = {
        "zlib": imagecodecs.zlib_encode, "lzw": imagecodecs.lzw_encode, "zstd": imagecodecs.zstd_encode,
        "lzma": imagecodecs.lzma_encode, "packbits": lambda plain: b"\x81\x00" * (len(plain) // 128),
        "png": imagecodecs.png_encode, "jpegxl": partial(imagecodecs.jpegxl_encode, effort=1),
        "jpeg2000": imagecodecs.jpeg2k_encode, "webp": imagecodecs.webp_encode, "jpeg": imagecodecs.jpeg8_encode,
    }  # fmt: skip
    numbers = {
        "zlib": 8, "lzw": 5, "zstd": 50000, "lzma": 34925, "packbits": 32773, "png": 34933, "jpegxl": 50002,
        "jpeg2000": 34712, "webp": 50001, "jpeg": 7,
    }  # fmt: skip
    is_image = compression in ("png", "jpegxl", "jpeg2000", "webp", "jpeg")
    segment = bytes(encoders[compression](huge if is_image else huge.tobytes()))
    photometric = 6 if compression == "jpeg" else 2
    values = grey_tags(16, 16, (259, 3, short("<", numbers[compression])), (262, 3, short("<", photometric)),
                       (277, 3, short("<", 3)), (258, 3, short("<", 8, 8, 8)))  # fmt: skip
    data = plain_tiff(values, segment)
    started = perf_counter()
    with suppress(UnreadablePhotoError):
        assert read(data, tmp_path)[1].pixels.shape == (16, 16, 3)
    assert perf_counter() - started < 0.5


def test_segments_that_share_their_bytes_are_not_inflated_without_end(tmp_path):
    count = 100_000
    values = grey_tags(count, 1, (278, 4, long("<", 1)))
    strip = bytes(50_000)
    mark = b"II*\x00\x08\x00\x00\x00"
    at = 8 + 2 + 12 * (len(values) + 2) + 4
    offsets = [(273, 4, long("<", *(at,) * count)), (279, 4, long("<", *(50_000,) * count))]
    data = mark + directory("<", [*values, *offsets], 8) + strip
    path = tmp_path / "photo"
    path.write_bytes(data)
    started = perf_counter()
    with pytest.raises(UnreadablePhotoError):
        decode(path, Limits(max_side=200_000))
    assert perf_counter() - started < 2


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "jpeg"])
def test_a_file_cut_short_is_refused(tmp_path, compression):
    photometric = "ycbcr" if compression == "jpeg" else "rgb"
    whole = tiff_bytes(scene(64, 64), photometric=photometric, compression=compression, rowsperstrip=16)
    read(whole, tmp_path)
    for share in (0.3, 0.6, 0.95):
        with pytest.raises(UnreadablePhotoError):
            read(whole[: int(len(whole) * share)], tmp_path)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_file_raises_anything_unforeseen(data):
    kind = data.draw(st.sampled_from([None, "zlib", "lzw", "jpeg", "packbits"]))
    options = {"photometric": "ycbcr"} if kind == "jpeg" else {}
    file = bytearray(tiff_bytes(scene(20, 24), compression=kind, rowsperstrip=16, **options))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(4, min(300, len(file) - 1)))] = data.draw(st.integers(0, 255))
    try:
        stored = tiff.parse(bytes(file))
        if stored.height * stored.width < 1 << 20:
            tiff.pixels(bytes(file), stored)
    except (SRError, ValueError, RuntimeError):
        pass


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize("bits", [8, 16])
def test_exiftool_finds_nothing_wrong(tmp_path, bits):
    path = tmp_path / "photo.tif"
    metadata = Metadata(icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), dpi=(300.0, 300.0))
    path.write_bytes(written(picture_of(noise(30, 40, 3, bits), bits, metadata=metadata)))
    ran = subprocess.run(
        ["exiftool", "-validate", "-warning", "-a", "-s3", path], capture_output=True, text=True, check=False
    )
    # Deflate is not in TIFF 6.0 itself but in Adobe's supplement to it.
    assert ran.stdout.splitlines() == ["1 Warning", "Invalid value for IFD0 tag 0x0103 Compression"]
