import numpy as np
import pytest

from sr_core.image.camera import (
    D65_XYZ,
    UNKNOWN_FROM_XYZ,
    CameraColour,
    as_matrix,
    moderate_exposure,
    to_linear_srgb,
)

from .raw_files import MATRIX, NEUTRAL

CAMERA = CameraColour(neutral=NEUTRAL, from_xyz=MATRIX)
XYZ_OF_SRGB = np.linalg.inv(np.asarray(UNKNOWN_FROM_XYZ))


def light(*pixels) -> np.ndarray:
    return np.asarray(pixels, np.float32)[np.newaxis]


def test_white_of_the_camera_is_white_of_the_screen():
    shown = to_linear_srgb(light(np.multiply(NEUTRAL, 0.3)), CAMERA)
    np.testing.assert_allclose(shown[0, 0], [0.3] * 3, rtol=1e-4)
    assert shown.dtype == np.float32


def test_colours_go_through_xyz():
    # By day, what a camera gives for sRGB light is that light through both matrices: no balance beyond daylight.
    from_srgb = np.asarray(MATRIX) @ XYZ_OF_SRGB
    daylight = np.asarray(MATRIX) @ np.asarray(D65_XYZ)
    camera = CameraColour(neutral=tuple(daylight / daylight.max()), from_xyz=MATRIX)
    srgb = np.array([0.4, 0.2, 0.1])
    shown = to_linear_srgb(light(from_srgb @ srgb / daylight.max()), camera)
    np.testing.assert_allclose(shown[0, 0], srgb, rtol=1e-3)


def test_light_beyond_what_the_sensor_tells_apart_is_neutral():
    shown = to_linear_srgb(light((1, 1, 1), (0.9, 1, 0.95)), CAMERA)
    np.testing.assert_allclose(shown[0], 1.0, rtol=1e-4)


def test_exposure_multiplies():
    brighter = CameraColour(neutral=NEUTRAL, from_xyz=MATRIX, exposure=3.0)
    some = light((0.1, 0.3, 0.2), (1, 1, 1))
    np.testing.assert_allclose(to_linear_srgb(some, brighter), 3 * to_linear_srgb(some, CAMERA), rtol=1e-5)


def test_light_without_colours_is_grey():
    shown = to_linear_srgb(np.full((2, 2, 1), 0.25, np.float32), CAMERA)
    np.testing.assert_allclose(shown, np.full((2, 2, 3), 0.25))


def test_scale_of_the_neutral_does_not_matter():
    dimmer = CameraColour(neutral=(0.25, 0.5, 0.3125), from_xyz=MATRIX)
    some = light((0.1, 0.3, 0.2))
    np.testing.assert_allclose(to_linear_srgb(some, dimmer), to_linear_srgb(some, CAMERA), rtol=1e-5)


@pytest.mark.parametrize(("level", "exposure"), [(0.45, 1.0), (0.04, 4.0), (0.0001, 8.0)])
def test_middle_of_a_flat_photo_is_not_lifted_above_that_of_usual_ones(level, exposure):
    flat = np.broadcast_to(np.asarray(NEUTRAL, np.float32) * np.float32(level), (20, 20, 3))
    assert moderate_exposure(flat, CAMERA) == pytest.approx(exposure, rel=1e-3)


def test_bright_parts_are_not_lifted_above_white():
    night = np.full((100, 100, 3), 0.002, np.float32) * np.asarray(NEUTRAL, np.float32)
    night[:3] = np.asarray(NEUTRAL, np.float32) * np.float32(0.5)
    assert moderate_exposure(night, CAMERA) == pytest.approx(1.8, rel=1e-3)


@pytest.mark.parametrize(
    "numbers",
    [np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan), -np.asarray(MATRIX), np.diag([1.0, 1.0, 1e-6])],
)
def test_matrix_that_tells_no_colours_is_none(numbers):
    assert as_matrix(np.asarray(numbers, np.float64)) is None


def test_matrix_is_kept():
    assert as_matrix(np.asarray(MATRIX)) == MATRIX
