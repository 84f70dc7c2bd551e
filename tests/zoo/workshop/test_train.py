import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sr_core.arch.weights import load_weights, read_note
from sr_core.errors import OptionError
from sr_core.spec import swinir_spec
from tests.zoo.workshop.conftest import TINY
from zoo.workshop.photos import validation_pairs
from zoo.workshop.train import TrainOptions, train, validate


@pytest.fixture
def options(photos: Path, benchmark_folder: Path, tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        photos=photos, validation=benchmark_folder, out=tmp_path / "run", steps=12, batch=2, patch=16,
        warmup=2, every=6, learning_rate=2e-3, ema=0.5,
    )  # fmt: skip


def log(options: TrainOptions) -> list[dict[str, float]]:
    return [json.loads(line) for line in (options.out / "log.jsonl").read_text().splitlines()]


def test_training_improves_on_where_it_began(options: TrainOptions) -> None:
    first = train(TINY, replace(options, steps=1, every=1, out=options.out.with_name("first")))
    last = train(TINY, replace(options, steps=60, every=20))
    assert last > first + 0.1
    scores = [record for record in log(options) if record.get("psnr_y_db")]
    assert [record["step"] for record in scores] == [20, 40, 60]
    assert scores[-1]["loss"] < scores[0]["loss"]
    assert max(record["psnr_y_db"] for record in scores) == pytest.approx(last, abs=1e-3)


def test_the_best_weights_are_kept_with_their_score(options: TrainOptions) -> None:
    best = train(TINY, options)
    kept = load_weights(options.out / "best.safetensors", TINY)
    pairs = validation_pairs(options.validation, scale=2)
    assert validate(kept, pairs, torch.device("cpu")) == pytest.approx(best, abs=1e-6)
    assert read_note(options.out / "best.safetensors")["training_data"] == "photos"


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(options: TrainOptions, optimizer: str) -> None:
    options = replace(options, optimizer=optimizer)
    whole = replace(options, out=options.out.with_name("whole"))
    train(TINY, whole)

    class StopError(Exception):
        pass

    def stop(event: str, record: dict[str, object]) -> None:
        if event == "score":
            raise StopError

    with pytest.raises(StopError):
        train(TINY, options, on_event=stop)
    assert not (options.out / "best.part").exists()
    train(TINY, options)
    states = [torch.load(run.out / "checkpoint.pt", weights_only=True) for run in (whole, options)]
    assert states[1]["step"] == 12
    for name, tensor in states[0]["module"].items():
        assert tensor.equal(states[1]["module"][name]), name


def test_the_same_seed_trains_the_same_weights(options: TrainOptions) -> None:
    runs = [replace(options, steps=3, out=options.out / str(i), seed=seed) for i, seed in enumerate((1, 1, 2))]
    for run in runs:
        train(TINY, run)
    first, again, other = (torch.load(run.out / "checkpoint.pt", weights_only=True)["module"] for run in runs)
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def test_a_checkpoint_of_another_network_is_refused(options: TrainOptions) -> None:
    train(TINY, replace(options, steps=1))
    other = replace(TINY, family="other", spec=swinir_spec(scale=2, embed_dim=8, depths=(1,), heads=2))
    with pytest.raises(OptionError, match=r"belongs to tiny-x2-drawn-float32, not other-x2"):
        train(other, options)


def test_validation_knows_the_score_of_a_perfect_and_of_a_bad_network(benchmark_folder: Path) -> None:
    pairs = validation_pairs(benchmark_folder, scale=2)

    class Fixed(torch.nn.Module):
        spec = TINY.spec

        def __init__(self, offset: float) -> None:
            super().__init__()
            self.offset, self.calls = offset, 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            truth = pairs[self.calls].high
            self.calls += 1
            return torch.from_numpy(truth.copy()).permute(2, 0, 1)[None] / 255 + self.offset

    device = torch.device("cpu")
    assert validate(Fixed(0.0), pairs, device) == float("inf")
    assert 10 < validate(Fixed(0.3), pairs, device) < 25
    assert np.isfinite(validate(Fixed(0.01), pairs, device))
