"""A Picture to a larger Picture: the network for colour, bicubic for alpha, everything else carried along.

Source: the ramp between tiles is the cubic Hermite step; see :mod:`sr_core.infer.tiles`.
"""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from sr_core.image.picture import Picture, Samples
from sr_core.image.resize import bicubic
from sr_core.image.scratch import canvas, rest
from sr_core.infer.blend import FloatRows, Step, blend_tiles
from sr_core.infer.engine import Engine
from sr_core.infer.estimate import Pace, Speed
from sr_core.infer.tiles import Plan, Tiling, overlap_spans, plan_tiles
from sr_core.metrics.seam import SeamReport, compare_seams

__all__ = ["TileProgress", "Tiling", "run_to_end", "seam_report", "upscale", "upscale_float"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileProgress:
    """How far a job is.

    Attributes:
        done: Tiles that are finished.
        total: Tiles of the picture.
        seconds: Time since the job began.
        seconds_left: Best guess of the time still to go, or None before there is anything to guess from.
    """

    done: int
    total: int
    seconds: float
    seconds_left: float | None


def upscale(
    picture: Picture, engine: Engine, tiling: Tiling, *, speed: Speed | None = None
) -> Generator[TileProgress, None, Picture]:
    """Returns a generator that works while it is iterated and returns the larger picture at its end.

    It yields once before the first tile and once after each batch of tiles. Closing it stops the work before the next
    batch and frees its memory. :func:`run_to_end` iterates it when nobody watches.

    The result has exactly ``scale`` times the height and width, the bit depth and the number of channels of the
    picture. The network sees a margin of mirrored picture all around, which is cropped from what it gives: without it,
    the black that its convolutions see beyond the border tints the frame of the result. Rows are blended in float32,
    clamped once and rounded once. A grey picture goes through the network as three equal channels whose results are
    averaged. Alpha that is constant stays so; other alpha is enlarged by bicubic interpolation, and colours under full
    transparency, which are arbitrary, are replaced by what continues the visible ones.

    Args:
        picture: What to upscale; it is not changed.
        engine: The network.
        tiling: How the picture is cut up.
        speed: A known speed, for a guess of the time left before the first tile is done.

    Raises:
        OptionError: Rounded to windows, the tile is too small for the overlap (at once).
        ModelError: The network gave a value that is not a finite number (while iterating).
    """
    plan = plan_tiles(picture.height, picture.width, engine.multiple, tiling)
    return _upscale(picture, engine, plan, tiling.batch, Pace.expected(plan, speed))


def run_to_end(
    job: Generator[TileProgress, None, Picture], on_tile: Callable[[TileProgress], None] | None = None
) -> Picture:
    """Returns the picture of a job after iterating it to its end.

    Args:
        job: What :func:`upscale` returned.
        on_tile: Called with each progress; what it raises ends the job.
    """
    with closing(job):
        while True:
            try:
                progress = next(job)
            except StopIteration as end:
                return end.value
            if on_tile is not None:
                on_tile(progress)


def upscale_float(picture: Picture, engine: Engine, tiling: Tiling) -> NDArray[np.float32]:
    """Returns the colours of the larger picture before clamping and rounding, full intensity 1.

    For measurements on pictures of moderate size: the whole result is held as floats. Alpha is not part of it.

    Returns:
        (scale*H, scale*W, C).

    Raises:
        OptionError: Rounded to windows, the tile is too small for the overlap.
        ModelError: The network gave a value that is not a finite number.
    """
    plan = plan_tiles(picture.height, picture.width, engine.multiple, tiling)
    with closing(blend_tiles(picture, engine, plan, tiling.batch)) as steps:
        bands = [step.rows.copy() for step in steps if step.rows is not None]
    return np.ascontiguousarray(np.concatenate(bands, axis=1).transpose(1, 2, 0))


def seam_report(picture: Picture, engine: Engine, tiling: Tiling, *, reach: int = 0) -> SeamReport:
    """Returns how much tiling changes a picture, compared with running it through the network as one tile.

    Both see the same grid, margin included; only what is picture is compared.

    Args:
        picture: A picture that the network can take whole.
        engine: The network.
        tiling: How the picture is cut up.
        reach: Output pixels around each overlap that still count as near it.

    Raises:
        OptionError: Rounded to windows, the tile is too small for the overlap.
        ModelError: The network gave a value that is not a finite number.
    """
    plan = plan_tiles(picture.height, picture.width, engine.multiple, tiling)
    whole = Tiling(tile=max(plan.rows.padded, plan.columns.padded), overlap=0)
    return compare_seams(
        upscale_float(picture, engine, tiling),
        upscale_float(picture, engine, whole),
        row_spans=overlap_spans(plan.rows, engine.scale),
        column_spans=overlap_spans(plan.columns, engine.scale),
        reach=reach,
        data_range=1.0,
    )


def _upscale(
    picture: Picture, engine: Engine, plan: Plan, batch: int, pace: Pace
) -> Generator[TileProgress, None, Picture]:
    height, width = picture.height * engine.scale, picture.width * engine.scale
    done, started = 0, perf_counter()
    yield TileProgress(done=0, total=plan.tiles, seconds=0.0, seconds_left=pace.seconds_for(plan.tiles))
    pixels: Samples = canvas((height, width, picture.pixels.shape[2]), picture.pixels.dtype)
    resumed = perf_counter()
    with closing(blend_tiles(picture, engine, plan, batch)) as steps:
        for step in steps:
            _write(pixels, step, picture.peak)
            now = perf_counter()
            done, pace = done + step.tiles, pace.after(step.tiles, now - resumed)
            yield TileProgress(
                done=done, total=plan.tiles, seconds=now - started, seconds_left=pace.seconds_for(plan.tiles - done)
            )
            resumed = perf_counter()
    return replace(picture, pixels=pixels, alpha=_enlarged_alpha(picture, height, width))


def _write(pixels: Samples, step: Step, peak: int) -> None:
    """Puts finished rows on the canvas: the one clamp and the one rounding."""
    if step.rows is not None:
        rows: FloatRows = step.rows * np.float32(peak)
        np.rint(np.clip(rows, 0.0, peak, out=rows), out=rows)
        pixels[step.top : step.top + rows.shape[1]] = rows.transpose(1, 2, 0)
        rest(pixels)


def _enlarged_alpha(picture: Picture, height: int, width: int) -> Samples | None:
    """Returns the alpha of the result."""
    alpha = picture.alpha
    if alpha is None:
        return None
    if alpha.min() == alpha.max():
        return np.full((height, width), alpha[0, 0])
    return bicubic(alpha[:, :, np.newaxis], height, width, peak=picture.peak)[:, :, 0]
