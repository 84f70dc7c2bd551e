"""Calibration tiles: which, how many, and that they are the same again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sr_core.errors import OptionError
from tests.zoo.workshop.conftest import draw
from zoo.workshop.calibration import CalibrationOptions, calibrate
from zoo.workshop.photos import read_rgb, reduce_photo


def lows(photos: Path) -> list[np.ndarray]:
    return [reduce_photo(read_rgb(path), 2) for path in sorted(photos.rglob("*.*p*g")) + sorted(photos.rglob("*.webp"))]


def test_tiles_are_cut_from_every_photo_and_are_the_same_again(photos: Path) -> None:
    options = CalibrationOptions(photos=photos, tiles=8, side=16)
    first, again = calibrate(options, 2), calibrate(options, 2)
    assert first.tiles.shape == (8, 3, 16, 16)
    assert first.tiles.equal(again.tiles)
    assert first.record == again.record
    assert first.record.photos == "4 photos in photos"
    parents = []
    for tile in first.tiles.mul(255).round().byte().permute(0, 2, 3, 1).numpy():
        found = [
            i for i, low in enumerate(lows(photos))
            if any(np.array_equal(low[y : y + 16, x : x + 16], tile) for y in range(17) for x in range(17))
        ]  # fmt: skip
        assert found, "a tile is a piece of a reduced photo"
        parents.append(found[0])
    assert sorted(parents) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({tile.numpy().tobytes() for tile in first.tiles}) == 8, "no tile comes twice"


def test_detailed_tiles_take_turns_with_usual_ones(tmp_path: Path) -> None:
    """Each photo is flat in three of its quarters and noisy in one."""
    random = np.random.default_rng(0)
    for i in range(4):
        photo = np.full((64, 64, 3), 128, np.uint8)
        photo[32:, :32] = random.integers(0, 255, (32, 32, 3))
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    tiles = calibrate(CalibrationOptions(photos=tmp_path, tiles=4, side=16), 2).tiles
    assert [float(tile.std()) > 0.05 for tile in tiles] == [True, False, True, False]


def test_other_photos_or_another_number_are_another_record(photos: Path) -> None:
    options = CalibrationOptions(photos=photos, tiles=8, side=16)
    before = calibrate(options, 2).record
    assert calibrate(replace(options, tiles=6), 2).record.sha256 != before.sha256
    draw(9).save(photos / "0.png")
    assert calibrate(options, 2).record.sha256 != before.sha256
    assert calibrate(replace(options, words="drawings, made here"), 2).record.photos == "drawings, made here"


def test_many_photos_share_the_tiles(tmp_path: Path) -> None:
    for i in range(10):
        Image.fromarray(np.full((32, 32, 3), 20 * i, np.uint8)).save(tmp_path / f"{i}.png")
    tiles = calibrate(CalibrationOptions(photos=tmp_path, tiles=4, side=16), 2).tiles
    levels = tiles.mean((1, 2, 3)).mul(255 / 20).round().int().tolist()
    assert levels == sorted(set(levels))
    assert levels[0] <= 2
    assert levels[-1] >= 7


def test_small_photos_give_tiles_that_overlap_rather_than_too_few(photos: Path) -> None:
    record = calibrate(CalibrationOptions(photos=photos, tiles=30, side=16), 2).record
    assert record.tiles == 30


def test_contact_strips_are_cut_into_squares(tmp_path: Path) -> None:
    strip = np.zeros((64, 192, 3), np.uint8)
    strip[:, 64:128] = 120
    strip[:, 128:] = 240
    Image.fromarray(strip).save(tmp_path / "strip.png")
    tiles = calibrate(CalibrationOptions(photos=tmp_path, cell=64, tiles=3, side=32), 2).tiles
    assert tiles.mul(255).round().unique().tolist() == [0, 120, 240]


def test_too_few_tiles_are_refused(photos: Path) -> None:
    with pytest.raises(OptionError, match="hold 4 tiles of 32 pixels after reduction; 5 are needed"):
        calibrate(CalibrationOptions(photos=photos, tiles=5, side=32), 2)
    with pytest.raises(OptionError, match="hold 0 tiles of 64 pixels"):
        calibrate(CalibrationOptions(photos=photos, side=64), 2)


def test_tiles_are_floats_from_0_to_1(photos: Path) -> None:
    tiles = calibrate(CalibrationOptions(photos=photos, tiles=4, side=16), 2).tiles
    assert tiles.dtype == torch.float32
    assert 0 <= float(tiles.min()) < float(tiles.max()) <= 1


def test_the_record_tells_into_what_strips_were_cut(photos: Path) -> None:
    options = CalibrationOptions(photos=photos, tiles=4, side=16)
    assert calibrate(options, 2).record.cell is None
    assert calibrate(replace(options, cell=32), 2).record.cell == 32


def test_tiles_are_as_large_as_the_window_lets_them_be(photos: Path) -> None:
    options = CalibrationOptions(photos=photos, tiles=4, side=16)
    for window, side in ((1, 16), (8, 16), (6, 12), (7, 14), (16, 16)):
        calibration = calibrate(options, 2, window)
        assert calibration.record.side == side
        assert calibration.tiles.shape == (4, 3, side, side)
    with pytest.raises(OptionError, match="Tiles of 16 pixels hold no window of 17"):
        calibrate(options, 2, 17)
