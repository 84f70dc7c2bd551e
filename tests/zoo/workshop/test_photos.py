from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sr_core.errors import OptionError
from zoo.workshop.photos import PairBatches, PhotoPair, load_pairs, validation_pairs


def marked_pair(height: int, width: int) -> PhotoPair:
    """A pair in which every pixel tells where it is: red is the row, green the column of the low side."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    low = np.stack([y, x, np.zeros_like(y)], axis=-1).astype(np.uint8)
    return PhotoPair(name="marked", low=low, high=low.repeat(2, 0).repeat(2, 1))


def test_every_photo_below_the_folder_is_paired_with_its_reduction(photos: Path) -> None:
    pairs = load_pairs(photos, scale=2)
    assert [pair.name for pair in pairs] == ["0", "1", "2", "3"]
    first = Image.open(photos / "0.png")
    assert np.array_equal(pairs[0].high, np.asarray(first))
    assert np.array_equal(pairs[0].low, np.asarray(first.resize((32, 32), Image.Resampling.BICUBIC)))


def test_sizes_that_the_scale_does_not_divide_are_cut(tmp_path: Path) -> None:
    Image.new("RGB", (11, 8)).save(tmp_path / "odd.png")
    pair = load_pairs(tmp_path, scale=3)[0]
    assert pair.low.shape == (2, 3, 3)
    assert pair.high.shape == (6, 9, 3)


def test_strips_are_split_into_squares_that_do_not_mix(tmp_path: Path) -> None:
    strip = Image.new("RGB", (48, 16), "red")
    strip.paste(Image.new("RGB", (16, 16), "blue"), (16, 0))
    strip.save(tmp_path / "strip.png")
    pairs = load_pairs(tmp_path, scale=2, cell=16)
    assert len(pairs) == 3
    for pair, colour in zip(pairs, [(255, 0, 0), (0, 0, 255), (255, 0, 0)], strict=True):
        assert (pair.low.reshape(-1, 3) == colour).all()


def test_a_folder_without_photos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(OptionError, match="holds no PNG"):
        load_pairs(tmp_path, scale=2)


def test_a_benchmark_uses_its_own_low_resolution_files(benchmark_folder: Path) -> None:
    Image.new("RGB", (24, 24), "green").save(benchmark_folder / "LR_bicubic" / "X2" / "onex2.png")
    pairs = validation_pairs(benchmark_folder, scale=2)
    assert [pair.name for pair in pairs] == ["one", "two"]
    assert (pairs[0].low == (0, 128, 0)).all()
    assert pairs[0].high.shape == (48, 48, 3)


def test_a_benchmark_with_a_missing_partner_is_refused(benchmark_folder: Path) -> None:
    (benchmark_folder / "LR_bicubic" / "X2" / "twox2.png").unlink()
    with pytest.raises(OptionError, match=r"no file twox2\.png"):
        validation_pairs(benchmark_folder, scale=2)


def test_crops_of_both_sides_show_the_same_place_in_all_eight_orientations() -> None:
    batches = PairBatches([marked_pair(20, 30)], scale=2, patch=8, batch=64, seed=0)
    low, high = batches.draw()
    assert low.shape == (64, 3, 8, 8)
    assert high.shape == (64, 3, 16, 16)
    assert np.allclose(low.numpy().repeat(2, 2).repeat(2, 3), high.numpy())
    orientations = set()
    for crop in (low * 255).round().int().numpy():
        down, right = crop[:2, 1, 0] - crop[:2, 0, 0], crop[:2, 0, 1] - crop[:2, 0, 0]
        orientations.add((*down.tolist(), *right.tolist()))
    assert len(orientations) == 8


def test_crops_reach_every_corner() -> None:
    low = PairBatches([marked_pair(10, 10)], scale=2, patch=8, batch=400, seed=0).draw()[0]
    rows = (low[:, 0] * 255).round().int()
    assert int(rows.min()) == 0
    assert int(rows.max()) == 9


def test_the_same_seed_draws_the_same_crops() -> None:
    draws = [PairBatches([marked_pair(30, 30)], scale=2, patch=8, batch=4, seed=s).draw()[0] for s in (5, 5, 6)]
    assert draws[0].equal(draws[1])
    assert not draws[0].equal(draws[2])


def test_photos_smaller_than_a_crop_are_left_out() -> None:
    with pytest.raises(OptionError, match="32 x 32"):
        PairBatches([marked_pair(20, 30)], scale=2, patch=32, batch=1, seed=0)
