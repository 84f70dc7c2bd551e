from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from sr_core.image.decode import Limits, decode
from sr_core.image.picture import Picture
from sr_core.image.preview import to_srgb_preview
from tests.ui.studio import MAKER, write_photo
from ui.pictures import (
    Pair,
    amplified,
    apart,
    difference_map,
    enlarge,
    result_views,
    spot_box,
    spot_comparison,
    spot_view,
)
from ui.widgets.spot import Spot


def picture(height: int = 40, width: int = 60, value: int = 100) -> Picture:
    return Picture(pixels=np.full((height, width, 3), value, np.uint8), bit_depth=8)


def pair(before: Picture, after: Picture, *, is_close: bool = False) -> Pair:
    return Pair(before=before, after=after, before_name="one", after_name="other", is_close=is_close)


def test_no_picture_on_screen_carries_metadata_or_loses_a_pixel(tmp_path: Path) -> None:
    source = write_photo(tmp_path / "photo.jpg", 60, 80)
    photo, out = decode(source, Limits()), tmp_path / "out"
    out.mkdir()
    assert photo.metadata.exif
    assert MAKER.encode() in photo.metadata.exif
    spot_view(to_srgb_preview, photo, out)
    both = pair(enlarge(photo, 2), enlarge(photo, 2), is_close=True)
    shown = [
        *result_views(to_srgb_preview, both, out).differences,
        *spot_comparison(to_srgb_preview, both, out, "").differences,
    ]
    assert [one.gain for one in shown] == [8, 64, 8, 64]
    pngs = sorted(out.iterdir())
    assert len(pngs) == 9
    for path in pngs:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        assert MAKER.encode() not in data
        assert b"eXIf" not in data
        assert b"tEXt" not in data
    assert np.array_equal(imagecodecs.png_decode((out / "result-after.png").read_bytes()), enlarge(photo, 2).pixels)
    assert np.array_equal(imagecodecs.png_decode((out / "photo.png").read_bytes()), photo.pixels)


@pytest.mark.parametrize(
    ("size", "spot", "box"),
    [
        ((1000, 2000), Spot(0, 0), (0, 0, 256, 256)),
        ((1000, 2000), Spot(100, 100), (744, 1744, 256, 256)),
        ((1000, 2000), Spot(50, 50), (372, 872, 256, 256)),
        ((100, 2000), Spot(100, 100), (0, 1744, 100, 256)),
        ((1, 1), Spot(30, 70), (0, 0, 1, 1)),
    ],
)
def test_a_spot_lies_inside_the_photo(size: tuple[int, int], spot: Spot, box: tuple[int, ...]) -> None:
    found = spot_box(*size, spot)
    assert (found.top, found.left, found.height, found.width) == box


def test_equal_pictures_do_not_differ_and_a_step_is_amplified() -> None:
    assert not difference_map(picture(), picture(), 40, 60).any()
    changed = difference_map(picture(value=100), picture(value=104), 20, 30)
    assert (amplified(changed, 8) == 32).all()
    assert (amplified(changed, 64) == 255).all()


def test_detail_does_not_cancel_out_in_a_smaller_map() -> None:
    wave = picture().pixels.copy()
    wave[::2] += 8
    wave[1::2] -= 8
    changed = difference_map(picture(), Picture(pixels=wave, bit_depth=8), 20, 30)
    assert (amplified(changed, 8) == 64).all()


def deep(value: int) -> Picture:
    return Picture(pixels=np.full((8, 8, 1), value, np.uint16), bit_depth=10)


def test_a_difference_is_measured_against_full_intensity() -> None:
    assert (amplified(difference_map(deep(400), deep(416), 8, 8), 8) == round(16 / 1023 * 255 * 8)).all()


def test_how_far_pictures_are_apart_is_that_of_all_values_and_of_the_worst_one() -> None:
    assert apart(picture(), picture()) == apart(deep(400), deep(400))
    assert apart(picture(), picture()).psnr_db == float("inf")
    other = picture().pixels.copy()
    other[300 % 40, 7, 1] += 51
    found = apart(picture(), Picture(pixels=other, bit_depth=8))
    assert found.largest == 51
    assert found.psnr_db == pytest.approx(-10 * np.log10(0.2**2 / other.size))
    assert apart(deep(400), deep(416)).largest == pytest.approx(16 / 1023 * 255)


def test_a_tall_picture_is_measured_to_its_last_row() -> None:
    tall = np.zeros((700, 2, 3), np.uint8)
    tall[699, 1, 2] = 9
    assert apart(picture(700, 2, 0), Picture(pixels=tall, bit_depth=8)).largest == 9


def test_only_two_variants_have_their_distance_said(tmp_path: Path) -> None:
    assert (
        "Between"
        not in spot_comparison(to_srgb_preview, pair(picture(), picture(), is_close=False), tmp_path, "Note.").note
    )
    same = spot_comparison(to_srgb_preview, pair(picture(), picture(), is_close=True), tmp_path, "Note.")
    assert same.note == "Note. Between the two: equal in every value."
    near = result_views(to_srgb_preview, pair(picture(value=100), picture(value=103), is_close=True), tmp_path)
    assert near.note.endswith("PSNR 38.6 dB over all values, at most 3 of 255 apart.")
    assert (near.before_name, near.after_name) == ("one", "other")


def test_a_large_result_is_shown_smaller_and_says_so(tmp_path: Path) -> None:
    small = result_views(to_srgb_preview, pair(picture(), picture()), tmp_path)
    assert "Shown in full: 60 × 40" in small.note
    large = result_views(to_srgb_preview, pair(picture(64, 4096), picture(64, 4096)), tmp_path)
    assert (large.height, large.width) == (32, 2048)
    assert "Shown at 2048 × 32; the download has all 4096 × 64 pixels" in large.note
