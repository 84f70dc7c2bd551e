from pathlib import Path

import numpy as np
import pytest
import torch

from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Tiling
from sr_core.metrics.fidelity import psnr_db
from zoo.workshop.evaluate import evaluate, summarize
from zoo.workshop.photos import validation_pairs


class Nearest:
    """An engine whose result is known: every pixel four times."""

    scale, multiple, compute = 2, 8, "float32"

    def run(self, tiles: torch.Tensor) -> torch.Tensor:
        return tiles.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_scores_are_those_of_the_picture_a_visitor_would_get(benchmark_folder: Path) -> None:
    model = LoadedModel(id="nearest", engine=Nearest(), tiling=Tiling(tile=16, overlap=8))
    pairs = validation_pairs(benchmark_folder, scale=2)
    scores = list(evaluate(model, pairs))
    assert [(score.name, score.channels) for score in scores] == [
        ("one", "y"), ("one", "rgb"), ("two", "y"), ("two", "rgb"),
    ]  # fmt: skip
    expected = pairs[0].low.repeat(2, 0).repeat(2, 1)
    assert scores[0].psnr_db == psnr_db(expected, pairs[0].high, data_range=255, border=2, channels="y")
    assert 0 < scores[0].ssim < 1
    assert scores[0].bicubic_psnr_db > scores[0].psnr_db


def test_the_summary_is_the_mean_over_one_kind_of_channels(benchmark_folder: Path) -> None:
    model = LoadedModel(id="nearest", engine=Nearest(), tiling=Tiling(tile=16, overlap=8))
    scores = list(evaluate(model, validation_pairs(benchmark_folder, scale=2)))
    _, metric = summarize(scores, dataset="Drawn2", border=2)
    chosen = [score.psnr_db for score in scores if score.channels == "rgb"]
    assert metric.psnr_db == pytest.approx(np.mean(chosen), abs=5e-4)
    assert (metric.pictures, metric.dataset, metric.border) == (2, "Drawn2", 2)
