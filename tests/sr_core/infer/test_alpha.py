from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sr_core.image.picture import Picture
from sr_core.image.resize import bicubic
from sr_core.infer.blend import fill_transparent
from tests.sr_core.infer.fake_engines import FakeEngine, nearest
from tests.sr_core.infer.noise_pictures import DEPTHS, enlarged, picture_of, run


def with_alpha(picture: Picture, alpha: NDArray[np.uint8 | np.uint16]) -> Picture:
    return replace(picture, alpha=alpha.astype(picture.pixels.dtype))


@pytest.mark.parametrize("bits", DEPTHS)
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_constant_alpha_stays_and_colours_are_not_touched(bits: int, part: float) -> None:
    picture = picture_of(20, 40, bits=bits)
    value = round(part * picture.peak)
    result = run(with_alpha(picture, np.full((20, 40), value)), FakeEngine(nearest))
    assert result.alpha is not None
    assert result.alpha.shape == (40, 80)
    assert result.alpha.dtype == picture.pixels.dtype
    assert (result.alpha == value).all()
    assert (result.pixels == enlarged(picture.pixels, 2)).all()


@pytest.mark.parametrize("bits", DEPTHS)
def test_other_alpha_is_bicubic_and_never_beyond_the_peak(bits: int) -> None:
    picture = picture_of(20, 40, bits=bits)
    alpha = np.zeros((20, 40), picture.pixels.dtype)
    alpha[5:15, 10:30] = picture.peak
    result = run(with_alpha(picture, alpha), FakeEngine(nearest, 3))
    assert result.alpha is not None
    assert result.alpha.max() == picture.peak
    assert (result.alpha == bicubic(alpha[:, :, None], 60, 120, peak=picture.peak)[:, :, 0]).all()


def test_colours_under_full_transparency_do_not_bleed_into_visible_ones() -> None:
    """A white disc on transparent black: without care the network's blur gives it a dark fringe."""
    y, x = np.mgrid[:60, :90]
    inside = (y - 30) ** 2 + (x - 45) ** 2 < 20**2
    pixels = np.where(inside[:, :, None], 255, 0).repeat(3, axis=2).astype(np.uint8)
    result = run(Picture(pixels=pixels, bit_depth=8, alpha=inside * np.uint8(255)), FakeEngine(inner_blur))
    assert result.alpha is not None
    assert (result.pixels[result.alpha > 0] == 255).all()
    careless = run(Picture(pixels=pixels, bit_depth=8), FakeEngine(inner_blur))
    assert (careless.pixels[result.alpha > 0] < 255).any()


def inner_blur(tiles: Tensor, scale: int) -> Tensor:
    """Averages 5 x 5 pixels, with the tile's edge repeated beyond it."""
    return nearest(F.avg_pool2d(F.pad(tiles, (2, 2, 2, 2), "replicate"), 5, 1), scale)


def test_faint_pixels_keep_their_colour() -> None:
    picture = picture_of(16, 16)
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, :4], alpha[:, 4:8] = 255, 1
    result = run(with_alpha(picture, alpha), FakeEngine(nearest))
    assert (result.pixels[:, :16] == enlarged(picture.pixels[:, :8], 2)).all()


def test_fill_continues_the_nearest_visible_colours() -> None:
    colours = np.zeros((9, 9, 3), np.float32)
    opaque = np.zeros((9, 9), np.bool_)
    colours[:, 0], opaque[:, 0] = (1.0, 0.5, 0.25), True
    colours[:, 8], opaque[:, 8] = (0.0, 1.0, 0.0), True
    filled = fill_transparent(colours, opaque)
    for column in (0, 1, 2, 3):
        assert np.allclose(filled[:, column], (1.0, 0.5, 0.25))
    for column in (5, 6, 7, 8):
        assert np.allclose(filled[:, column], (0.0, 1.0, 0.0))
    assert np.allclose(filled[4, 4], (0.5, 0.75, 0.125))


def test_fill_far_from_anything_visible_takes_the_mean() -> None:
    colours = np.zeros((80, 80, 1), np.float32)
    opaque = np.zeros((80, 80), np.bool_)
    colours[0, 0], opaque[0, 0] = 0.75, True
    assert np.allclose(fill_transparent(colours, opaque), 0.75)


def test_fill_changes_no_visible_colour() -> None:
    rng = np.random.default_rng(1)
    colours, opaque = rng.random((30, 40, 3), np.float32), rng.random((30, 40)) < 0.1
    before = colours.copy()
    filled = fill_transparent(colours, opaque)
    assert (filled[opaque] == before[opaque]).all()
    assert (colours == before).all()
    assert filled.min() >= before[opaque].min() - 1e-6
    assert filled.max() <= before[opaque].max() + 1e-6


@pytest.mark.parametrize("value", [True, False])
def test_fill_leaves_alone_what_has_no_edge(value: bool) -> None:
    colours = np.random.default_rng(1).random((5, 5, 3), np.float32)
    assert fill_transparent(colours, np.full((5, 5), value)) is colours
