import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from sr_core.errors import OptionError
from sr_core.metrics.fidelity import Channels, luma, psnr_db, ssim


def pair(height: int = 40, width: int = 50, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture with some structure and a noisy version of it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    truth = np.stack([120 + 80 * np.sin(x / 5 + c) * np.cos(y / 7 - c) for c in range(3)], axis=-1)
    noisy = truth + rng.normal(0, 12, truth.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), truth.astype(np.uint8)


def recomputed_luma(rgb: NDArray[np.generic]) -> NDArray[np.float64]:
    """The luma of the field (MATLAB's rgb2ycbcr), unrounded, written down apart."""
    r, g, b = (rgb[..., c].astype(np.float64) for c in range(3))
    return 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255


def recomputed_ssim(a: NDArray[np.float64], b: NDArray[np.float64], data_range: float) -> float:
    """SSIM of Wang et al. 2004 over the places where the whole 11 x 11 window fits."""
    offsets = np.arange(-5, 6)
    kernel = np.exp(-(offsets**2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return correlate1d(correlate1d(x, kernel, 0), kernel, 1)[5:-5, 5:-5]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, both = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
    quality = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return float(quality.mean())


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
        ((128, 128, 128), 16 + 219 * 128 / 255),
    ],
)
def test_luma_of_known_colours(rgb: tuple[int, int, int], expected: float) -> None:
    pixels = np.array([[rgb]], np.uint8)
    assert luma(pixels, data_range=255)[0, 0] == pytest.approx(expected)
    assert luma(pixels / 255, data_range=1)[0, 0] == pytest.approx(expected / 255)


@pytest.mark.parametrize(("step", "expected"), [(1, 48.1308), (2, 42.1102), (255, 0.0)])
def test_psnr_of_a_constant_difference(step: int, expected: float) -> None:
    black = np.zeros((12, 12, 3), np.uint8)
    value = psnr_db(black + np.uint8(step), black, data_range=255, border=0, channels="rgb")
    assert value == pytest.approx(expected, abs=1e-4)


def test_psnr_on_luma_sees_a_grey_difference_by_219_of_255() -> None:
    black = np.zeros((12, 12, 3), np.uint8)
    value = psnr_db(black + np.uint8(10), black, data_range=255, border=0, channels="y")
    assert value == pytest.approx(20 * math.log10(255 / (10 * 219 / 255)))


def test_psnr_does_not_wrap_around() -> None:
    dark, bright = np.zeros((3, 3, 3), np.uint8), np.full((3, 3, 3), 255, np.uint8)
    forwards = psnr_db(dark, bright, data_range=255, border=0, channels="rgb")
    assert forwards == psnr_db(bright, dark, data_range=255, border=0, channels="rgb") == 0.0


@pytest.mark.parametrize("channels", ["y", "rgb"])
def test_equal_pictures(channels: Channels) -> None:
    _, truth = pair()
    assert psnr_db(truth, truth.copy(), data_range=255, border=2, channels=channels) == math.inf
    assert ssim(truth, truth.copy(), data_range=255, border=2, channels=channels) == pytest.approx(1.0)


@pytest.mark.parametrize("border", [0, 1, 4])
def test_values_agree_with_an_independent_computation(border: int) -> None:
    result, truth = pair()
    inside = (slice(border, 40 - border), slice(border, 50 - border))
    y = [recomputed_luma(x[inside]) for x in (result, truth)]
    rgb = [x[inside].astype(np.float64) for x in (result, truth)]
    for (a, b), channels in ((y, "y"), (rgb, "rgb")):
        expected = 10 * math.log10(255**2 / np.square(a - b).mean())
        assert psnr_db(result, truth, data_range=255, border=border, channels=channels) == pytest.approx(expected)
    assert ssim(result, truth, data_range=255, border=border, channels="y") == pytest.approx(
        recomputed_ssim(*y, 255), abs=1e-9
    )
    per_channel = [recomputed_ssim(rgb[0][..., c], rgb[1][..., c], 255) for c in range(3)]
    assert ssim(result, truth, data_range=255, border=border, channels="rgb") == pytest.approx(
        np.mean(per_channel), abs=1e-9
    )


def test_luma_and_rgb_are_told_apart() -> None:
    """Red and green move against each other so that luma stays: only RGB sees it."""
    truth = np.full((20, 20, 3), 0.5)
    result = truth.copy()
    result[:, :, 0] += 0.1
    result[:, :, 1] -= 0.1 * 65.481 / 128.553
    assert psnr_db(result, truth, data_range=1, border=0, channels="y") > 200
    assert psnr_db(result, truth, data_range=1, border=0, channels="rgb") < 30


@pytest.mark.parametrize("channels", ["y", "rgb"])
def test_what_lies_in_the_border_does_not_count(channels: Channels) -> None:
    result, truth = pair()
    framed = result.copy()
    framed[:3], framed[-3:], framed[:, :3], framed[:, -3:] = 0, 255, 255, 0
    for metric in (psnr_db, ssim):
        inside = metric(result, truth, data_range=255, border=3, channels=channels)
        assert metric(framed, truth, data_range=255, border=3, channels=channels) == inside
        assert metric(framed, truth, data_range=255, border=2, channels=channels) < inside
        assert metric(result, truth, data_range=255, border=0, channels=channels) != inside


@pytest.mark.parametrize("channels", ["y", "rgb"])
@given(st.sampled_from([1.0, 255.0, 1023.0, 65535.0]))
@settings(deadline=None, max_examples=8)
def test_the_data_range_is_only_a_unit(channels: Channels, data_range: float) -> None:
    result, truth = (x / 255 * data_range for x in pair())
    for metric in (psnr_db, ssim):
        expected = metric(*pair(), data_range=255, border=2, channels=channels)
        assert metric(result, truth, data_range=data_range, border=2, channels=channels) == pytest.approx(expected)


def test_more_noise_is_worse() -> None:
    result, truth = pair()
    worse = np.clip(truth + 2.0 * (result.astype(float) - truth), 0, 255)
    for metric in (psnr_db, ssim):
        better = metric(result, truth, data_range=255, border=2, channels="y")
        assert metric(worse, truth, data_range=255, border=2, channels="y") < better


@pytest.mark.parametrize("metric", [psnr_db, ssim])
@pytest.mark.parametrize(
    ("shapes", "border", "sentence"),
    [
        (((20, 20, 3), (20, 21, 3)), 0, "Two RGB pictures of one size"),
        (((20, 20), (20, 20)), 0, "Two RGB pictures"),
        (((20, 20, 1), (20, 20, 1)), 0, "Two RGB pictures"),
        (((20, 30, 3), (20, 30, 3)), 10, "border of 10 pixels leaves nothing"),
        (((20, 30, 3), (20, 30, 3)), -1, "border of -1"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    metric: object, shapes: tuple[tuple[int, ...], ...], border: int, sentence: str
) -> None:
    assert callable(metric)
    with pytest.raises(OptionError, match=sentence):
        metric(np.zeros(shapes[0]), np.zeros(shapes[1]), data_range=255, border=border, channels="y")


def test_ssim_needs_room_for_its_window_and_psnr_does_not() -> None:
    result, truth = pair(14, 30)
    assert ssim(result, truth, data_range=255, border=1, channels="rgb") < 1
    with pytest.raises(OptionError, match="at least 11 x 11"):
        ssim(result, truth, data_range=255, border=2, channels="rgb")
    assert psnr_db(result, truth, data_range=255, border=6, channels="rgb") > 0
