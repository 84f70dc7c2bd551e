"""The command line of the zoo, from training to a release, in a folder of its own."""

import argparse
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
from zoo.workshop.calibration import CalibrationOptions
from zoo.workshop.distill import DistillOptions


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


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    [subparsers] = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(subparsers.choices)


COMMANDS = commands_of(command._parser())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_of_every_option_and_its_default(name: str) -> None:
    assert "None" not in COMMANDS[name].format_help()
    for action in COMMANDS[name]._actions:
        told = (action.help or "").replace("%(default)s", str(action.default))
        assert told, f"nothing is said of {action.dest}"
        if isinstance(action, argparse._HelpAction | argparse._StoreTrueAction):
            continue
        if action.option_strings and action.required:
            assert "by default" not in told
        elif action.default in (None, "", []):
            assert "by default" in told or "must be named" in told or not action.option_strings, told
        elif isinstance(action.default, list):
            assert f"{' '.join(map(str, action.default))} by default" in told, told
        else:
            assert f"{action.default} by default" in told, told


def test_the_defaults_that_help_tells_of_are_those_of_the_workshop() -> None:
    """They are told in words, because help is given without the workshop."""
    finetune, calibration = DistillOptions(photos=Path()), CalibrationOptions(photos=Path())
    told = {one.dest: one.help or "" for name in ("build", "study") for one in COMMANDS[name]._actions}
    assert f"; {calibration.tiles} by default" in told["calibration_tiles"]
    assert f"of {calibration.side} pixels" in told["calibration_tiles"]
    for way, field in (("steps",) * 2, ("batch",) * 2, ("patch",) * 2, ("rate", "learning_rate"), ("seed",) * 2):
        assert f"{getattr(finetune, field)} by default" in told[f"finetune_{way}"]
    assert f"{finetune.optimizer} by default" in told["finetune_optimizer"]
    assert finetune.pool is None
