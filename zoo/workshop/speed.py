"""How long models take on this machine, all timed in one interleaved run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np

from sr_core.image.picture import Picture
from sr_core.infer.model import LoadedModel
from sr_core.infer.upscale import run_to_end, upscale

__all__ = ["Timing", "time_models"]


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


def time_models(
    models: Sequence[Callable[[], LoadedModel]], *, side: int, rounds: int, report: Callable[[str], None]
) -> list[Timing]:
    """Returns the time of each model on a square photo of noise.

    Every round times each model once, in turn forwards and backwards, so that a machine that is busy for a while slows
    all of them alike; one round before the first is not counted.

    Args:
        models: What gives the models; all stay loaded.
        side: Side of the photo in pixels.
        rounds: Rounds that count, at least 1.
        report: Called with a line for each round.
    """
    loaded = [load() for load in models]
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    picture = Picture(pixels=pixels, bit_depth=8)
    seconds: dict[str, list[float]] = {model.id: [] for model in loaded}
    for number in range(rounds + 1):
        for model in loaded if number % 2 else reversed(loaded):
            started = perf_counter()
            run_to_end(upscale(picture, model.engine, model.tiling))
            seconds[model.id].append(perf_counter() - started)
        report(f"round {number} of {rounds}" + ("" if number else " (does not count)"))
    counted = {model_id: times[1:] for model_id, times in seconds.items()}
    first = counted[loaded[0].id]
    timings: list[Timing] = []
    for model_id, times in counted.items():
        ratios = [one / other for one, other in zip(first, times, strict=True)]
        timings.append(
            Timing(
                id=model_id,
                seconds_per_megapixel=median(times) / (side**2 / 1e6),
                ratio=median(ratios),
                lowest=min(ratios),
                highest=max(ratios),
            )
        )
    return timings
