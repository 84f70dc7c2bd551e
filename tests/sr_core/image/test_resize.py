import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_core.image import resize
from sr_core.image.depth import change_depth
from sr_core.image.resize import area_average, bicubic, bicubic_picture

from .photo_files import noise, picture_of, scene


@given(*[st.integers(1, 40)] * 4, st.sampled_from([1, 3]), st.sampled_from([8, 16]))
@settings(max_examples=40, deadline=None)
def test_any_size_gives_the_size_asked_for(height, width, new_height, new_width, channels, bits):
    pixels = noise(height, width, channels, bits)
    resized = bicubic(pixels, new_height, new_width)
    assert resized.shape == (new_height, new_width, channels)
    assert resized.dtype == pixels.dtype


@pytest.mark.parametrize("size", [(120, 90), (61, 47), (20, 15), (7, 200)])
@pytest.mark.parametrize("band", [1, 50, 1_000, 4_000_000])
def test_bands_meet_exactly(size, band, monkeypatch):
    monkeypatch.setattr(resize, "_BAND_SAMPLES", band)
    pixels = noise(60, 45, 3, 8)
    whole = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(bicubic(pixels, *size), whole)


def test_sixteen_bits_are_true_sixteen_bits():
    pixels = scene(30, 40, 3, 16)
    doubled = bicubic(pixels, 60, 80)
    assert len(np.unique(doubled)) > 256
    eight = bicubic(change_depth(pixels, 16, 8), 60, 80)
    assert np.abs(doubled / 257 - eight).max() < 1.5


def test_sixteen_bits_keep_overshoot_between_the_passes():
    pixels = noise(24, 24, 1, 16)
    smooth = np.asarray(Image.fromarray(pixels[:, :, 0].astype(np.float32)).resize((48, 48), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(bicubic(pixels, 48, 48)[:, :, 0], np.clip(np.rint(smooth), 0, 65535))


def test_peak_holds_ten_bits_to_ten_bits():
    pixels = np.zeros((8, 8, 1), dtype=np.uint16)
    pixels[:, 4:] = 1023
    assert bicubic(pixels, 16, 16).max() > 1023
    assert bicubic(pixels, 16, 16, peak=1023).max() == 1023


def test_picture_is_enlarged_with_its_alpha():
    picture = picture_of(scene(6, 8, 3, 10), 10, alpha=scene(6, 8, 1, 10)[:, :, 0])
    doubled = bicubic_picture(picture, 12, 16)
    assert doubled.pixels.shape == (12, 16, 3)
    assert doubled.alpha is not None
    assert doubled.alpha.shape == (12, 16)
    assert max(doubled.pixels.max(), doubled.alpha.max()) <= 1023


def test_area_average_is_the_mean_of_blocks():
    pixels = noise(32, 48, 3, 16)
    means = pixels.reshape(8, 4, 12, 4, 3).mean(axis=(1, 3))
    assert np.abs(area_average(pixels, 8, 12) - means).max() <= 0.51
