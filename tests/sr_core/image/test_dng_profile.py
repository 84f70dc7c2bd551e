import numpy as np
import pytest

from sr_core.image.camera import D65_XYZ
from sr_core.image.raw.profile import exposure_of, lost_parts, matrix_of, neutral_of, profile_of, profile_values
from sr_core.image.raw.tags import raw_tags

from .raw_files import MATRIX, bayer_dng, light_scene, rationals, tiff_bytes

LIGHT = light_scene(24, 24)
OTHER = tuple(tuple(number * 1.1 for number in row) for row in MATRIX)


def tags_with(*extra, **tags):
    return raw_tags(bayer_dng(LIGHT, extra=list(extra), **tags))


def numbers(tag, *values, kind=10):
    return (tag, kind, len(values), rationals(*values), True)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(17, 21, OTHER), (21, 17, MATRIX), (255, 20, OTHER), (17, 17, MATRIX), (20, 21, OTHER)],
)
def test_matrix_is_that_for_the_light_nearest_to_day(first, second, expected):
    data = bytearray(bayer_dng(LIGHT, extra=[numbers(50722, *np.ravel(OTHER)), (50779, 3, 1, second, True)]))
    entry = raw_tags(bytes(data)).first.entries[50778]
    data[entry.at : entry.at + 2] = first.to_bytes(2, "little")
    np.testing.assert_allclose(matrix_of(raw_tags(bytes(data))), expected, atol=1e-4)


def test_matrix_holds_calibration_and_balance_of_the_camera():
    calibration = np.array([[1.1, 0.02, 0.0], [0.0, 1.0, 0.03], [0.01, 0.0, 0.9]])
    balance = (1.2, 1.0, 0.8)
    tags = tags_with(numbers(50723, *np.ravel(calibration)), numbers(50727, *balance, kind=5))
    np.testing.assert_allclose(matrix_of(tags), np.diag(balance) @ calibration @ np.asarray(MATRIX), atol=1e-3)


def test_white_may_be_stated_by_its_chromaticity():
    x, y = np.asarray(D65_XYZ)[:2] / np.sum(D65_XYZ)
    tags = tags_with(numbers(50729, x, y, kind=5), neutral=None)
    np.testing.assert_allclose(neutral_of(tags), np.asarray(MATRIX) @ np.asarray(D65_XYZ), rtol=1e-3)
    assert neutral_of(tags_with(neutral=None)) == ()


def test_exposure_is_in_stops():
    assert exposure_of(tags_with(numbers(50730, 1.0), numbers(51109, -0.5))) == pytest.approx(2**0.5)
    assert exposure_of(tags_with()) == 1.0
    assert exposure_of(tags_with(numbers(50730, 90.0))) == 16.0


def test_only_a_dng_has_a_profile_and_parts_to_lose():
    tags = raw_tags(tiff_bytes(np.zeros((9, 9), np.uint8), extratags=[(50740, 1, 4, b"abcd", True)]))
    assert profile_of(tags) is None
    assert lost_parts(tags) == ()


def test_profile_is_read_as_it_was_made():
    values = {value.tag: value for value in profile_values(profile_of(tags_with(numbers(50730, -0.25))))}
    assert values[50730].data == rationals_bytes(-0.25)
    assert values[50708].data.startswith(b"Nobody")
    assert 50714 not in values


def rationals_bytes(number: float) -> bytes:
    return np.array(rationals(number), "<i4").tobytes()
