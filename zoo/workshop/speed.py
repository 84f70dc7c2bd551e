"""How long models take on this machine, all timed in one interleaved run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

import numpy as np

from sr_core.errors import OptionError
from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.upscale import run_to_end, upscale

__all__ = ["Timing", "name_run", "time_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What one model reached.

    Attributes:
        id: The model's id.
        seconds_per_megapixel: Median time for a megapixel of photo, overlaps of tiles included.
        ratio: Median of the first model's time over this one's, round by round; above 1 means faster.
        lowest: Smallest ratio of a round.
        highest: Largest ratio of a round.
    """

    id: str
    seconds_per_megapixel: float
    ratio: float
    lowest: float
    highest: float


def name_run() -> str:
    """Returns what tells a run that begins now from every other."""
    return f"run of {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def time_models(models: Sequence[Callable[[], LoadedModel]], *, side: int, rounds: int) -> list[Timing]:
    """Returns the time of each model on a square photo of noise.

    Every round times each model once, in turn forwards and backwards, so that a machine that is busy for a while slows
    all of them alike; one round before the first is not counted.

    Args:
        models: What gives the models; all stay loaded.
        side: Side of the photo in pixels.
        rounds: Rounds that count, at least 1.

    Raises:
        OptionError: There is nothing to time.
    """
    if min(side, rounds) < 1:
        raise OptionError(f"At least 1 pixel and 1 round can be timed, not {side} and {rounds}.")
    loaded = [load() for load in models]
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    picture = Picture(pixels=pixels, bit_depth=8)
    seconds: list[list[float]] = [[] for _ in loaded]
    for number in range(rounds + 1):
        for i in range(len(loaded)) if number % 2 else reversed(range(len(loaded))):
            started = perf_counter()
            run_to_end(upscale(picture, loaded[i].engine, loaded[i].tiling))
            seconds[i].append(perf_counter() - started)
    timings: list[Timing] = []
    for model, times in zip(loaded, (one[1:] for one in seconds), strict=True):
        ratios = [one / other for one, other in zip(seconds[0][1:], times, strict=True)]
        timings.append(
            Timing(
                id=model.id,
                seconds_per_megapixel=median(times) / (side**2 / 1e6),
                ratio=median(ratios),
                lowest=min(ratios),
                highest=max(ratios),
            )
        )
    return timings
