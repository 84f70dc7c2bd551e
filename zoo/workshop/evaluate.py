"""Scores of a model on a benchmark folder, by the protocol of the field."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
from PIL import Image

from sr_core import __version__
from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.upscale import run_to_end, upscale
from sr_core.metrics.fidelity import Channels, psnr_db, ssim
from zoo.release import Metric
from zoo.workshop.photos import PhotoPair

__all__ = ["Score", "evaluate", "summarize"]


CHANNELS: Final[tuple[Channels, ...]] = ("y", "rgb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The scores of one picture: the model's, and bicubic enlargement's as the floor."""

    name: str
    channels: Channels
    psnr_db: float
    ssim: float
    bicubic_psnr_db: float


def evaluate(model: LoadedModel, pairs: list[PhotoPair]) -> Iterator[Score]:
    """Yields the Y and RGB scores of each picture.

    The picture goes the way of a visitor's photo: tiled, clamped, rounded to 8 bits; the border left out is
    ``scale`` pixels wide.
    """
    scale = model.engine.scale
    for pair in pairs:
        result = run_to_end(upscale(Picture(pixels=pair.low, bit_depth=8), model.engine, model.tiling)).pixels
        size = (pair.high.shape[1], pair.high.shape[0])
        floor = np.asarray(Image.fromarray(pair.low).resize(size, Image.Resampling.BICUBIC))
        for channels in CHANNELS:
            yield Score(
                name=pair.name,
                channels=channels,
                psnr_db=psnr_db(result, pair.high, data_range=255, border=scale, channels=channels),
                ssim=ssim(result, pair.high, data_range=255, border=scale, channels=channels),
                bicubic_psnr_db=psnr_db(floor, pair.high, data_range=255, border=scale, channels=channels),
            )


def summarize(scores: list[Score], *, dataset: str, border: int) -> tuple[Metric, ...]:
    """Returns the means over the pictures, of Y and of RGB, as manifest records."""
    return tuple(_mean(scores, dataset=dataset, channels=channels, border=border) for channels in CHANNELS)


def _mean(scores: list[Score], *, dataset: str, channels: Channels, border: int) -> Metric:
    chosen = [score for score in scores if score.channels == channels]
    return Metric(
        dataset=dataset,
        channels=channels,
        border=border,
        psnr_db=round(fmean(score.psnr_db for score in chosen), 3),
        ssim=round(fmean(score.ssim for score in chosen), 5),
        bicubic_psnr_db=round(fmean(score.bicubic_psnr_db for score in chosen), 3),
        pictures=len(chosen),
        tool=f"pocket-super-resolution {__version__}",
    )
