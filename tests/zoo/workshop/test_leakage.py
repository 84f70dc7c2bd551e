"""What is calibrated on and scored as well is found: as it is, cut out, made smaller, saved with loss."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sr_core.errors import OptionError
from zoo.workshop.calibration import CalibrationOptions, calibrate
from zoo.workshop.leakage import refuse_leakage, shared_pictures
from zoo.workshop.photos import load_pairs

EXAMPLES = Path(__file__).parents[3] / "ui" / "examples"


def tiles_of(folder: Path, tiles: int = 32, side: int = 64) -> NDArray[np.uint8]:
    calibration = calibrate(CalibrationOptions(photos=folder, tiles=tiles, side=side), 2)
    return calibration.tiles.mul(255).round().byte().permute(0, 2, 3, 1).numpy()


def example(name: str) -> Image.Image:
    with Image.open(EXAMPLES / f"{name}.jpg") as image:
        return image.convert("RGB")


@pytest.mark.parametrize("kind", ["itself", "part", "smaller", "larger", "lossy", "brighter"])
def test_a_photo_is_known_again_in_another_shape(tmp_path: Path, kind: str) -> None:
    photo = example("cat")
    width, height = photo.size
    match kind:
        case "part":
            photo = photo.crop((13, 9, width - 31, height - 2))
        case "smaller":
            photo = photo.resize((round(0.7 * width), round(0.7 * height)), Image.Resampling.BICUBIC)
        case "larger":
            photo = photo.resize((round(1.6 * width), round(1.6 * height)), Image.Resampling.BICUBIC)
        case "brighter":
            photo = photo.point(lambda value: min(value + 4, 255))
    if kind == "lossy":
        photo.save(tmp_path / "seen.jpg", quality=50)
    else:
        photo.save(tmp_path / "seen.png")
    example("coffee").save(tmp_path / "other.png")
    (tmp_path / "own").mkdir()
    example("cat").save(tmp_path / "own" / "cat.png")
    tiles = tiles_of(tmp_path / "own", 4)
    assert shared_pictures(tiles, load_pairs(tmp_path, scale=2)) == ["cat", "seen"]


def test_the_originals_of_the_ratings_are_known_again_in_the_example_photos() -> None:
    """They were made from the same photos, at other sizes and with other edges."""
    originals = Path(__file__).parents[3] / "ratings" / "pictures"
    pairs = [pair for folder in sorted(originals.iterdir()) if folder.is_dir() for pair in load_pairs(folder, scale=2)]
    known = [pair for pair in pairs if pair.name == "original"]
    found = [bool(shared_pictures(tiles_of(EXAMPLES), [pair])) for pair in known]
    names = [folder.name for folder in sorted(originals.iterdir()) if folder.is_dir()]
    assert [name for name, is_found in zip(names, found, strict=True) if is_found] == [
        "cat",
        "coffee",
        "portrait",
        "suit",
    ]


def test_what_is_flat_or_smaller_than_a_tile_is_not_taken_for_the_same(tmp_path: Path) -> None:
    grey = np.full((4, 64, 64, 3), 128, np.uint8)
    Image.fromarray(np.full((256, 256, 3), 128, np.uint8)).save(tmp_path / "grey.png")
    assert shared_pictures(grey, load_pairs(tmp_path, scale=2)) == []
    (tmp_path / "grey.png").unlink()
    example("cat").crop((0, 0, 50, 50)).save(tmp_path / "small.png")
    assert shared_pictures(tiles_of(EXAMPLES, 8), load_pairs(tmp_path, scale=2)) == []


def test_photos_that_only_resemble_each_other_are_told_apart(tmp_path: Path) -> None:
    """With twice the limit, coins would be taken for the photographer."""
    pictures = Path(__file__).parents[3] / "ratings" / "pictures"
    for name in ("photographer", "coins", "portrait"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "original.webp").write_bytes((pictures / name / "original.webp").read_bytes())
    tiles = tiles_of(tmp_path / "photographer", 40, 32)
    shown = [name for name in ("photographer", "coins", "portrait")
             if shared_pictures(tiles, load_pairs(tmp_path / name, scale=2))]  # fmt: skip
    assert shown == ["photographer"]


def test_other_colours_and_contrasts_are_something_else(tmp_path: Path) -> None:
    cat = np.asarray(example("cat"))
    Image.fromarray(255 - cat).save(tmp_path / "negative.png")
    Image.fromarray(np.ascontiguousarray(cat[..., ::-1])).save(tmp_path / "swapped.png")
    Image.fromarray(cat // 2).save(tmp_path / "dark.png")
    assert shared_pictures(tiles_of(EXAMPLES), load_pairs(tmp_path, scale=2)) == []


def test_the_refusal_names_what_is_shared(tmp_path: Path) -> None:
    calibration = calibrate(CalibrationOptions(photos=EXAMPLES, words="three examples"), 2)
    coffee = [pair for pair in load_pairs(EXAMPLES, scale=2) if pair.name == "coffee"]
    with pytest.raises(OptionError, match=r"calibrate on, three examples, show what is scored in Set \(coffee\): name"):
        refuse_leakage(calibration, [("Empty", []), ("Set", coffee)])
    with pytest.raises(OptionError, match=r"\(coffee, coffee, coffee and 2 more\)"):
        refuse_leakage(calibration, [("Set", coffee * 5)])
    refuse_leakage(calibration, [("Empty", [])])
