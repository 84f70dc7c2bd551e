import imagecodecs
import numpy as np
import pytest
from PIL import ImageCms

from sr_core.image.camera import CameraColour
from sr_core.image.colour import to_srgb
from sr_core.image.depth import change_depth
from sr_core.image.picture import Metadata
from sr_core.image.transfer import Transfer, light_of, signal_of, signal_of_samples

from .jpeg_files import profile_of_gamma
from .photo_files import P3_NCLX, noise, rgb_profile, scene

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PLAIN = Transfer(stored="linear", bits=16)
CAMERA = CameraColour(
    neutral=(0.5, 1.0, 0.7),
    from_xyz=(
        (3.2404542, -1.5371385, -0.4985314),
        (-0.969266, 1.8760108, 0.041556),
        (0.0556434, -0.2040259, 1.0572252),
    ),
)
EVERY_WAY = [
    Metadata(),
    Metadata(icc=rgb_profile()),
    Metadata(icc=rgb_profile()[:200]),
    Metadata(nclx=P3_NCLX),
    Metadata(nclx=(9, 16, 9, 1)),
    Metadata(nclx=(9, 18, 9, 1)),
    Metadata(nclx=(1, 8, 0, 1)),
    Metadata(transfer=PLAIN),
    Metadata(transfer=PLAIN, icc=profile_of_gamma(1.0)),
    Metadata(transfer=PLAIN, nclx=(9, 8, 0, 1)),
    Metadata(transfer=Transfer(stored="linear", bits=32, is_float=True, gains=(0.1,), floor=-1.0, lift=9.0)),
    Metadata(transfer=PLAIN, camera=CAMERA),
]


def srgb(light):
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def linear(signal):
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def ramp(bits=16, count=256):
    values = np.rint(np.linspace(0, (1 << bits) - 1, count)).astype(np.uint8 if bits == 8 else np.uint16)
    return np.repeat(values[np.newaxis, :, np.newaxis], 3, axis=2)


@pytest.mark.parametrize("metadata", EVERY_WAY)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_colour_depends_on_its_pixel_alone(metadata, bits, channels, monkeypatch):
    monkeypatch.setattr("sr_core.image.colour._BAND_PIXELS", 150)
    pixels = noise(17, 40, channels, 16)
    whole = to_srgb(pixels, 16, metadata, bits=bits)
    assert whole.shape == (17, 40, 3)
    assert whole.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(to_srgb(pixels[3:9, 11:30], 16, metadata, bits=bits), whole[3:9, 11:30])
    np.testing.assert_array_equal(to_srgb(pixels[::-1], 16, metadata, bits=bits), whole[::-1])


@pytest.mark.parametrize("metadata", EVERY_WAY)
def test_eight_and_sixteen_bits_are_the_same_colours(metadata):
    pixels = noise(20, 30, 3, 16)
    coarse, fine = (to_srgb(pixels, 16, metadata, bits=bits).astype(float) for bits in (8, 16))
    assert np.abs(fine / 257 - coarse).max() <= 1.01


@pytest.mark.parametrize("bits_in", [8, 10, 12, 16])
def test_srgb_at_sixteen_bits_is_as_it_was(bits_in):
    pixels = noise(9, 9, 3, bits_in)
    shown = to_srgb(pixels, bits_in, Metadata(), bits=16)
    np.testing.assert_array_equal(shown, change_depth(pixels, bits_in, 16))


def test_profile_at_sixteen_bits_is_finer_than_eight():
    pixels = ramp(16, 2000)
    shown = to_srgb(pixels, 16, Metadata(icc=profile_of_gamma(2.2)), bits=16)[0].astype(float)
    wanted = srgb((np.linspace(0, 1, 2000)) ** 2.2) * 65535
    np.testing.assert_allclose(shown[:, 1], wanted, atol=40)  # an 8-bit step is 257
    assert len(np.unique(shown[:, 1])) > 1900


def test_profile_for_grey_at_sixteen_bits():
    grey = imagecodecs.cms_profile("gray", gamma=1.8)
    shown = to_srgb(ramp()[:, :, :1], 16, Metadata(icc=grey), bits=16)[0] / 65535
    np.testing.assert_allclose(shown[:, 0], srgb(np.linspace(0, 1, 256) ** 1.8), atol=2e-3)
    assert np.ptp(shown, axis=1).max() < 1e-3


@pytest.mark.parametrize("icc", [rgb_profile()[:200], b"junk", imagecodecs.cms_profile("gray", gamma=1.8)])
def test_unusable_profile_at_sixteen_bits_counts_as_srgb(icc):
    pixels = noise(5, 5, 3, 16)
    np.testing.assert_array_equal(to_srgb(pixels, 16, Metadata(icc=icc), bits=16), pixels)
    np.testing.assert_array_equal(
        to_srgb(pixels, 16, Metadata(icc=icc, transfer=PLAIN), bits=16),
        to_srgb(pixels, 16, Metadata(transfer=PLAIN), bits=16),
    )


def test_linear_light_without_colours_is_linear_srgb():
    light = np.linspace(0, 1, 500, dtype=np.float32).reshape(1, -1, 1).repeat(3, axis=2)
    transfer = Transfer(stored="linear", bits=16, lift=20.0, gains=(1.0, 0.5, 0.8))
    shown = to_srgb(signal_of(light, transfer), 16, Metadata(transfer=transfer), bits=16)
    np.testing.assert_allclose(shown / 65535, srgb(light), atol=1e-3)
    eight = to_srgb(signal_of(light, PLAIN), 16, Metadata(transfer=PLAIN))
    np.testing.assert_array_equal(eight, np.rint(srgb(light.astype(np.float64)) * 255))


def test_linear_profile_keeps_what_eight_bits_of_light_would_lose():
    light = np.linspace(0, 0.01, 400, dtype=np.float32).reshape(1, -1, 1).repeat(3, axis=2)
    metadata = Metadata(icc=profile_of_gamma(1.0), transfer=PLAIN)
    shown = to_srgb(signal_of(light, PLAIN), 16, metadata, bits=16)
    np.testing.assert_allclose(shown / 65535, srgb(light), atol=2e-4)  # a step of 8-bit light is 1/255 here


def test_linear_profile_tells_the_primaries():
    samples = np.array([[[60000, 6000, 600]]], dtype=np.uint16)
    metadata = Metadata(icc=profile_of_gamma(1.0), transfer=PLAIN)
    direct = to_srgb(samples, 16, Metadata(icc=profile_of_gamma(1.0)), bits=16)
    np.testing.assert_allclose(to_srgb(signal_of_samples(samples, PLAIN), 16, metadata, bits=16), direct, atol=70)
    swapped = bytearray(profile_of_gamma(1.0))
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    shown = to_srgb(signal_of_samples(samples, PLAIN), 16, Metadata(icc=bytes(swapped), transfer=PLAIN))
    assert shown[0, 0, 1] > shown[0, 0, 0]


def test_linear_light_of_code_points_tells_the_primaries():
    samples = np.array([[[40000, 10000, 5000]]], dtype=np.uint16)
    signal = signal_of_samples(samples, PLAIN)
    for points in ((12, 8, 0, 1), (9, 8, 0, 1)):
        direct = to_srgb(samples, 16, Metadata(nclx=points), bits=16)
        shown = to_srgb(signal, 16, Metadata(nclx=points, transfer=PLAIN), bits=16)
        np.testing.assert_allclose(shown, direct, atol=60)
        assert shown[0, 0, 0] > to_srgb(signal, 16, Metadata(transfer=PLAIN), bits=16)[0, 0, 0]


def test_light_beyond_display_white_is_rolled_off():
    light = np.array([0.0, 0.2, 0.5, 1.0, 3.0, 10.0], dtype=np.float32).reshape(1, -1, 1).repeat(3, axis=2)
    transfer = Transfer(stored="linear", bits=32, is_float=True, gains=(0.1,), lift=20.0)
    shown = to_srgb(signal_of(light, transfer), 16, Metadata(transfer=transfer))[0, :, 0].astype(int)
    np.testing.assert_allclose(shown[:3], srgb(np.array([0, 0.2, 0.5])) * 255, atol=1)
    assert 235 < shown[3] < shown[4] <= shown[5] <= 255


def test_raw_photo_goes_through_the_colours_of_its_camera():
    white = np.array([[CAMERA.neutral]], dtype=np.float32)
    light = np.concatenate((white, white * 0.18, np.zeros_like(white)), axis=1)
    transfer = Transfer(stored="linear", bits=16, gains=(1.0, 0.5, 0.7), lift=6.0)
    shown = to_srgb(signal_of(light, transfer), 16, Metadata(transfer=transfer, camera=CAMERA))
    assert np.ptp(shown.astype(int), axis=2).max() <= 1
    np.testing.assert_allclose(shown[0, :, 1], srgb(np.array([1.0, 0.18, 0.0])) * 255, atol=2)


@pytest.mark.parametrize("points", [P3_NCLX, (9, 16, 9, 1), (9, 18, 9, 1), (9, 4, 9, 1), (1, 5, 1, 1)])
def test_code_points_at_sixteen_bits_do_not_step(points):
    shown = to_srgb(ramp(12, 4096), 12, Metadata(nclx=points), bits=16)[0].astype(int)
    assert (np.diff(shown, axis=0) >= 0).all()
    assert len(np.unique(shown[:, 1])) > 1500


def test_display_p3_at_sixteen_bits_against_the_matrix():
    pixels = scene(20, 30, 3, 16)
    light = linear(pixels / 65535)
    matrix = np.array([[1.2249401, -0.2249404, 0.0], [-0.0420569, 1.0420571, 0.0], [-0.0196376, -0.0786361, 1.0982735]])
    wanted = srgb(np.clip(light @ matrix.T, 0, 1)) * 65535
    np.testing.assert_allclose(to_srgb(pixels, 16, Metadata(nclx=P3_NCLX), bits=16), wanted, atol=1.5)


def test_signal_stands_for_the_light_it_was_made_of():
    transfer = Transfer(stored="linear", bits=16, lift=5.0)
    signal = noise(4, 4, 3, 16)
    shown = to_srgb(signal, 16, Metadata(transfer=transfer), bits=16)
    np.testing.assert_allclose(shown, srgb(light_of(signal, transfer).astype(np.float64)) * 65535, atol=1.5)
