import numpy as np
import pytest
from PIL import Image

from sr_core.image.camera import CameraColour
from sr_core.image.colour import is_srgb, profile_space, to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.picture import Metadata
from sr_core.image.preview import save_png, to_srgb_preview
from sr_core.image.transfer import Transfer, signal_of

from .jpeg_files import profile_of_gamma
from .photo_files import P3_NCLX, everything, noise, picture_of, rgb_profile, scene

PATCH = np.array([[[255, 0, 0], [128, 128, 128], [0, 200, 40]]], dtype=np.uint8)


def at_depth(pixels, bits):
    return change_depth(pixels, 8, bits)


def test_profile_is_applied():
    shown = to_srgb(PATCH, 8, Metadata(icc=rgb_profile()))
    assert shown[0, 0, 1] > 240  # the profile takes red for green
    assert shown[0, 0, 0] < 15
    assert np.ptp(shown[0, 1].astype(int)) <= 2


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("nclx", [None, (1, 13, 6, 1), (1, 1, 1, 1), (2, 2, 2, 1)])
def test_srgb_is_shown_as_it_is(bits, nclx):
    np.testing.assert_array_equal(to_srgb(at_depth(PATCH, bits), bits, Metadata(nclx=nclx)), PATCH)


def test_display_p3_red_is_beyond_srgb_and_grey_stays_grey():
    shown = to_srgb(PATCH, 8, Metadata(nclx=P3_NCLX))
    np.testing.assert_array_equal(shown[0, 0], [255, 0, 0])
    np.testing.assert_array_equal(shown[0, 1], [128, 128, 128])
    # P3 (0, 200, 40) is (-0.130, 0.601, -0.0235) in linear sRGB: green gets stronger, the others clip.
    assert shown[0, 2, 1] > 200
    assert shown[0, 2, 0] == 0


@pytest.mark.parametrize(
    ("transfer", "white"),
    [(16, 0.5807), (18, 0.75)],  # BT.2408: reference white is 58 % PQ and 75 % HLG
)
def test_reference_white_of_hdr_is_near_display_white(transfer, white):
    codes = np.rint(np.array([0, white / 2, white, 1]) * 1023).astype(np.uint16)
    grey = np.repeat(codes[np.newaxis, :, np.newaxis], 3, axis=2)
    shown = to_srgb(grey, 10, Metadata(nclx=(9, transfer, 9, 1)))[0]
    assert np.ptp(shown.astype(int), axis=1).max() <= 1
    assert shown[0].max() == 0
    assert 235 <= shown[2].min() <= 250
    assert shown[1].max() < shown[2].min() < shown[3].min()
    assert shown[3].min() >= 254


def test_damaged_or_unfit_profiles_count_as_srgb():
    damaged = rgb_profile()[:200]
    np.testing.assert_array_equal(to_srgb(PATCH, 8, Metadata(icc=damaged)), PATCH)
    assert profile_space(damaged) == "RGB"
    assert profile_space(b"junk") is None
    assert profile_space(None) is None
    np.testing.assert_array_equal(to_srgb(PATCH, 8, Metadata(icc=b"junk")), PATCH)


def test_grey_becomes_three_equal_channels():
    grey = scene(4, 5, 1)
    np.testing.assert_array_equal(to_srgb(grey, 8, Metadata()), np.repeat(grey, 3, axis=2))
    assert to_srgb(grey, 8, Metadata(icc=rgb_profile())).shape == (4, 5, 3)


def test_code_points_that_are_srgb():
    assert is_srgb(None)
    assert is_srgb((1, 1, 1, 1))
    assert not is_srgb((12, 13, 6, 1))
    assert not is_srgb((1, 16, 9, 1))


@pytest.mark.parametrize("metadata", [Metadata(), everything(), Metadata(nclx=(9, 18, 9, 1))])
@pytest.mark.parametrize("bits", [8, 16])
def test_crop_looks_as_in_the_whole(metadata, bits):
    picture = picture_of(noise(300, 40, 3, bits), bits, alpha=noise(300, 40, 1, bits)[:, :, 0], metadata=metadata)
    whole = to_srgb_preview(picture)
    np.testing.assert_array_equal(to_srgb_preview(picture.crop(250, 7, 30, 20)), whole[250:280, 7:27])


def test_preview_is_averaged_down_and_never_up():
    picture = picture_of(scene(100, 60))
    assert to_srgb_preview(picture, 50).shape == (50, 30, 3)
    assert to_srgb_preview(picture, 500).shape == (100, 60, 3)
    assert to_srgb_preview(picture_of(scene(1000, 1)), 10).shape == (10, 1, 3)


def test_alpha_is_laid_over_white():
    black = np.zeros((1, 3, 3), dtype=np.uint8)
    alpha = np.array([[0, 128, 255]], dtype=np.uint8)
    shown = to_srgb_preview(picture_of(black, alpha=alpha))
    np.testing.assert_array_equal(shown[0, :, 0], [255, 127, 0])


def test_saved_preview_holds_pixels_and_nothing_else(tmp_path):
    picture = picture_of(scene(20, 30), metadata=everything())
    path = tmp_path / "preview.png"
    shown = to_srgb_preview(picture)
    save_png(shown, path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), shown)
        assert not image.info
    for mark in (b"iCCP", b"eXIf", b"iTXt", b"Harbour"):
        assert mark not in path.read_bytes()


@pytest.mark.parametrize(("bits_in", "bits_out"), [(8, 16), (8, 10), (10, 8), (16, 8), (12, 16), (16, 10)])
def test_depth_keeps_black_white_and_rounds_to_nearest(bits_in, bits_out):
    codes = np.arange(1 << bits_in).astype(np.uint8 if bits_in == 8 else np.uint16).reshape(-1, 1)
    changed = change_depth(codes, bits_in, bits_out)
    exact = codes.astype(np.float64) * ((1 << bits_out) - 1) / ((1 << bits_in) - 1)
    assert np.abs(changed - exact).max() <= 0.5
    assert changed.dtype == (np.uint8 if bits_out == 8 else np.uint16)
    if bits_out > bits_in:
        np.testing.assert_array_equal(change_depth(changed, bits_out, bits_in), codes)


def test_preview_of_light_shows_it_as_a_display_does():
    light = np.full((64, 64, 3), 0.2159, dtype=np.float32)  # 128 / 255 in sRGB
    transfer = Transfer(stored="linear", bits=16, lift=30.0)
    picture = picture_of(signal_of(light, transfer), 16, metadata=Metadata(transfer=transfer))
    for side in (None, 16):
        shown = to_srgb_preview(picture, side)
        assert np.abs(shown.astype(int) - 128).max() <= 1


def test_preview_of_light_with_alpha_is_laid_over_white():
    transfer = Transfer(stored="linear", bits=8)
    metadata = Metadata(transfer=transfer, icc=profile_of_gamma(1.0))
    signal = signal_of(np.zeros((4, 4, 3), dtype=np.float32), transfer)
    alpha = np.full((4, 4), 65535 // 2, dtype=np.uint16)
    shown = to_srgb_preview(picture_of(signal, 16, alpha=alpha, metadata=metadata))
    assert np.abs(shown.astype(int) - 128).max() <= 1


def test_preview_of_a_raw_photo_is_white_balanced():
    camera = CameraColour(neutral=(0.5, 1.0, 0.7), from_xyz=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    transfer = Transfer(stored="linear", bits=16, gains=(1.0, 0.5, 0.7))
    light = np.full((50, 60, 3), (0.09, 0.18, 0.126), dtype=np.float32)
    metadata = Metadata(transfer=transfer, camera=camera)
    shown = to_srgb_preview(picture_of(signal_of(light, transfer), 16, source_format="dng", metadata=metadata), 20)
    assert shown.shape == (17, 20, 3)
    assert np.ptp(shown.astype(int), axis=2).max() <= 1
