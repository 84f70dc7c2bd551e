"""The command line of the zoo, from training to a release, in a folder of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.zoo.conftest import RECIPE
from zoo import __main__ as command
from zoo.card import model_card
from zoo.manifest import load_manifest
from zoo.workshop import recipes


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for the zoo beside the project's own, with one small recipe and two photos."""
    (tmp_path / "builtin").mkdir()
    monkeypatch.setattr(recipes, "RECIPES", {RECIPE.family: RECIPE})
    photos = tmp_path / "photos"
    photos.mkdir()
    random = np.random.default_rng(0)
    for i in range(2):
        coarse = Image.fromarray(random.integers(0, 255, (8, 8, 3), np.uint8))
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(photos / f"{i}.png")
    return tmp_path


def test_from_photos_to_a_scored_release(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, manifest = ["--home", str(workshop)], workshop / "manifest.json"
    photos, run = str(workshop / "photos"), str(workshop / "run")
    train = ["train", "tiny", "--photos", photos, "--validation", photos, "--out", run, "--trained", "drawn"]
    assert command.main([*home, *train, "--steps", "4", "--batch", "2", "--patch", "16", "--every", "2"]) == 0
    assert "best Y-PSNR on photos" in capsys.readouterr().out

    release = ["release", "tiny", "--weights", f"{run}/best.safetensors", "--trained", "drawn"]
    origin = ["--training-data", "two drawings", "--selected-on", "photos", "--recipe", "4 steps"]
    assert command.main([*home, *release, *origin]) == 0
    record = load_manifest(manifest).release("tiny-x2-drawn-float16")
    assert record.training.steps in (2, 4)
    assert record.training.data == "two drawings"

    assert command.main([*home, "seams", record.id, "--data", photos, "--tile", "32"]) == 0
    assert load_manifest(manifest).default.tiling.seam_data == "photos (2)"

    assert command.main([*home, "speed", record.id, "--machine", "a test", "--side", "32"]) == 0
    speed = load_manifest(manifest).default.speed
    assert speed is not None
    assert speed.seconds_per_megapixel > 0

    capsys.readouterr()
    assert command.main([*home, "evaluate", record.id, "--data", photos, "--name", "Drawn"]) == 0
    assert "mean of Drawn" in capsys.readouterr().out
    scored = load_manifest(manifest).default
    assert {(metric.dataset, metric.channels) for metric in scored.metrics} == {("Drawn", "y"), ("Drawn", "rgb")}
    assert (workshop / "builtin" / f"{record.id}.md").read_text() == model_card(scored)

    assert command.main([*home, "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in listed] == [record.id]
    assert command.main([*home, "list"]) == 0
    assert record.id in capsys.readouterr().out


def test_a_mistake_is_one_sentence_and_exit_status_1(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workshop / "manifest.json").write_text("{}")
    assert command.main(["--home", str(workshop), "list"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "manifest.json" in captured.err
