"""Distillation: the student comes nearer to the teacher, the start is not destroyed, and a run can be interrupted."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinIR
from sr_core.compress.heads import prune_heads
from sr_core.errors import OptionError
from sr_core.spec import swinir_spec
from tests.peers import randomize
from tests.zoo.workshop.conftest import draw
from zoo.workshop.distill import DistillOptions, distill, finetune_record
from zoo.workshop.photos import PhotoPair, load_pairs, read_photos

SPEC = swinir_spec(scale=2, embed_dim=8, depths=(1, 1), heads=2)


@pytest.fixture
def teacher() -> SwinIR:
    module = build(SPEC)
    randomize(module, 0)
    return module.eval()


@pytest.fixture
def student(teacher: SwinIR) -> SwinIR:
    return prune_heads(teacher, 1)[0]


@pytest.fixture
def options(photos: Path) -> DistillOptions:
    return DistillOptions(photos=photos, steps=12, batch=2, patch=16, warmup=2, every=6, ema=0.9)


def difference(one: SwinIR, other: SwinIR, photos: Path) -> float:
    low = torch.stack([torch.from_numpy(pair.low.copy()) for pair in load_pairs(photos, scale=2)])
    low = low.permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        return float((one(low) - other(low)).square().mean())


@pytest.mark.slow
def test_the_student_comes_nearer_to_the_teacher(teacher: SwinIR, student: SwinIR, options: DistillOptions) -> None:
    before = difference(student, teacher, options.photos)
    taught = distill(teacher, student, replace(options, steps=80, learning_rate=2e-3, warmup=10))
    assert difference(taught, teacher, options.photos) < before / 2
    assert taught.spec == student.spec
    assert not taught.training


def test_neither_network_is_changed(teacher: SwinIR, student: SwinIR, options: DistillOptions) -> None:
    before = [{name: value.clone() for name, value in module.state_dict().items()} for module in (teacher, student)]
    distill(teacher, student, options)
    for module, state in zip((teacher, student), before, strict=True):
        assert all(value.equal(state[name]) for name, value in module.state_dict().items())


def test_what_is_perfect_already_hardly_moves(teacher: SwinIR, options: DistillOptions) -> None:
    taught = distill(teacher, teacher, replace(options, steps=20, learning_rate=1e-4))
    assert difference(taught, teacher, options.photos) < 1e-5


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, tmp_path: Path, optimizer: Any
) -> None:
    options = replace(options, optimizer=optimizer, pool=5)
    whole = distill(teacher, student, options)

    class StopError(Exception):
        pass

    def stop(event: str, record: dict[str, object]) -> None:
        if event == "loss":
            raise StopError

    with pytest.raises(StopError):
        distill(teacher, student, options, tmp_path / "run", stop)
    assert torch.load(tmp_path / "run" / "distill.pt", weights_only=True)["step"] == 6
    resumed = distill(teacher, student, options, tmp_path / "run")
    assert all(value.equal(resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    lines = [json.loads(line) for line in (tmp_path / "run" / "distill.jsonl").read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [("start", 0), ("loss", 6), ("start", 6), ("loss", 12)]
    again = distill(teacher, student, options, tmp_path / "run")
    assert all(value.equal(again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_the_checkpoint_of_another_run_is_refused(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, tmp_path: Path
) -> None:
    distill(teacher, student, options, tmp_path)
    other = build(SPEC)
    randomize(other, 1)
    for run in (
        lambda: distill(other, student, options, tmp_path),
        lambda: distill(teacher, prune_heads(other, 1)[0], options, tmp_path),
        lambda: distill(teacher, student, replace(options, seed=1), tmp_path),
    ):
        with pytest.raises(OptionError, match="is of another distillation"):
            run()
    distill(teacher, student, replace(options, every=3, words="other words"), tmp_path)


def test_the_same_seed_gives_the_same_weights(teacher: SwinIR, student: SwinIR, options: DistillOptions) -> None:
    first, again, other = (
        distill(teacher, student, replace(options, steps=3, seed=seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def test_the_teacher_is_asked_once_for_each_batch_of_a_pool(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    class Engine:
        def __init__(self, module: SwinIR, _compute: str) -> None:
            self.module = module

        def run(self, low: torch.Tensor) -> torch.Tensor:
            asked.append(low.numpy().tobytes())
            with torch.inference_mode():
                return self.module(low)

    monkeypatch.setattr("zoo.workshop.distill.WindowEngine", Engine)
    distill(teacher, student, replace(options, pool=4))
    assert len(asked) == len(set(asked)) == 4
    asked.clear()
    distill(teacher, student, options)
    assert len(asked) == len(set(asked)) == 12


def test_lessons_in_a_folder_serve_other_students_and_teach_the_same(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = distill(teacher, student, options).state_dict()
    kept = replace(options, lessons=tmp_path / "lessons")
    first = distill(teacher, student, kept).state_dict()
    assert all(first[name].equal(plain[name]) for name in plain)
    files = sorted((tmp_path / "lessons").rglob("*.safetensors"))
    assert len(files) == 12
    other = build(SPEC)
    randomize(other, 3)
    distill(other, student, kept)
    assert len(list((tmp_path / "lessons").iterdir())) == 2, "another teacher has lessons of its own"
    monkeypatch.setattr("zoo.workshop.distill._on_device", lambda _teacher, _device: None)
    again = distill(teacher, student, kept).state_dict()
    assert all(again[name].equal(plain[name]) for name in plain)
    distill(teacher, teacher, kept)


def test_no_original_is_looked_at(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = distill(teacher, student, options).state_dict()

    def without_originals(folder: Path, *, scale: int, cell: int | None) -> list[PhotoPair]:
        pairs = load_pairs(folder, scale=scale, cell=cell)
        return [
            replace(pair, high=np.random.default_rng(0).integers(0, 255, pair.high.shape, np.uint8)) for pair in pairs
        ]

    monkeypatch.setattr("zoo.workshop.distill.load_pairs", without_originals)
    again = distill(teacher, student, options).state_dict()
    assert all(first[name].equal(again[name]) for name in first)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"steps": 0}, "at least one step"),
        ({"pool": 0}, "at least one"),
        ({"patch": 15}, "must be an even number of pixels, not 15"),
    ],
)
def test_runs_that_cannot_be_made_are_refused(options: DistillOptions, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        replace(options, **change)


def test_photos_smaller_than_a_crop_and_other_scales_are_refused(
    teacher: SwinIR, student: SwinIR, options: DistillOptions
) -> None:
    with pytest.raises(OptionError, match="40 x 40 pixels after reduction"):
        distill(teacher, student, replace(options, patch=40))
    other = build(swinir_spec(scale=3, embed_dim=8, depths=(1,), heads=2))
    with pytest.raises(OptionError, match="scale 3 cannot teach one of scale 2"):
        distill(other, student, options)


def test_a_fresh_run_begins_again(teacher: SwinIR, student: SwinIR, options: DistillOptions, tmp_path: Path) -> None:
    first = distill(teacher, student, options, tmp_path)
    starts: list[object] = []

    def listen(event: str, record: dict[str, object]) -> None:
        starts.append(event)

    distill(teacher, student, options, tmp_path, listen)
    assert starts == ["start"], "a finished run has no step left"
    starts.clear()
    again = distill(teacher, student, options, tmp_path, listen, is_fresh=True)
    assert starts == ["start", "loss", "loss"]
    assert all(value.equal(again.state_dict()[name]) for name, value in first.state_dict().items())
    other = replace(options, seed=1)
    distill(teacher, student, other, tmp_path, is_fresh=True)
    distill(teacher, student, other, tmp_path)


def test_a_fresh_run_that_is_interrupted_early_does_not_go_on_with_the_old_one(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, tmp_path: Path
) -> None:
    distill(teacher, student, options, tmp_path)

    class StopError(Exception):
        pass

    def stop(_event: str, _record: dict[str, object]) -> None:
        raise StopError

    with pytest.raises(StopError):
        distill(teacher, student, options, tmp_path, stop, is_fresh=True)
    assert not (tmp_path / "distill.pt").exists()


def test_a_run_does_not_go_on_with_other_photos(
    teacher: SwinIR, student: SwinIR, options: DistillOptions, tmp_path: Path
) -> None:
    distill(teacher, student, options, tmp_path / "run")
    draw(9).save(options.photos / "0.png")
    with pytest.raises(OptionError, match="is of another distillation"):
        distill(teacher, student, options, tmp_path / "run")


def test_the_record_tells_which_photos_and_on_what(
    options: DistillOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, words="drawings", cell=32)
    record = finetune_record(options)
    assert (record.steps, record.photos, record.recipe, record.seed) == (12, "drawings", options.recipe, 0)
    assert record.cell == 32
    digest = hashlib.sha256()
    for _, photo in read_photos(options.photos):
        digest.update(b"(64, 64, 3)" + photo.tobytes())
    assert record.photos_sha256 == digest.hexdigest()
    shutil.copytree(options.photos, tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "notes.txt").unlink()
    assert finetune_record(replace(options, photos=tmp_path / "elsewhere")) == record
    draw(9).save(options.photos / "0.png")
    assert finetune_record(options).photos_sha256 != record.photos_sha256
    for compute in ("float32", "bfloat16"):
        monkeypatch.setattr("zoo.workshop.descent.fast_compute", lambda compute=compute: compute)
        assert finetune_record(options).device == f"cpu, {compute} products"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert finetune_record(options).device == "cuda, bfloat16 products"
