"""What a job will take, before it starts and while it runs: seconds and bytes."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Final, Self

import torch

from sr_core.image.header import Header
from sr_core.image.scratch import memory_bytes
from sr_core.infer.engine import Engine
from sr_core.infer.tiles import Plan, Tiling, plan_tiles

__all__ = ["NETWORK_BYTES_PER_PIXEL", "Pace", "Speed", "calibrate", "estimate_peak_bytes", "estimate_seconds"]

NETWORK_BYTES_PER_PIXEL: Final = 5_000
"""Working memory of a network for each input pixel of the tiles at work: what SwinIR light was measured to take in the
window engine, rounded up (4 700 on tiles of 64 pixels a side, 2 100 on tiles of 128). The reference engine takes
13 000."""

_CALIBRATION_SIDE: Final = 64
_CALIBRATION_RUNS: Final = 3
_CALIBRATION_SECONDS: Final = 1.0
_PRIOR_TILES: Final = 2
_SLOWEST_UPDATE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a network runs on this machine.

    Attributes:
        seconds_per_megapixel: Time for a million pixels that go through the network, overlaps and the margin counted
            as often as they are computed.
    """

    seconds_per_megapixel: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The running estimate of a job: begins with the expectation, follows what is measured.

    Attributes:
        seconds_per_tile: Best guess, or None while there is none.
        tiles: Tiles it rests on.
    """

    seconds_per_tile: float | None = None
    tiles: int = 0

    @classmethod
    def expected(cls, plan: Plan, speed: Speed | None) -> Self:
        """Returns the pace before the first tile; a known speed counts like two measured tiles."""
        if speed is None:
            return cls()
        return cls(seconds_per_tile=estimate_seconds(plan, speed) / plan.tiles, tiles=_PRIOR_TILES)

    def after(self, tiles: int, seconds: float) -> "Pace":
        """Returns the pace after a batch.

        The mean of all tiles so far at first; later ones count at least a tenth each, so that the guess follows a
        machine that gets slower.

        Args:
            tiles: Tiles of the batch, at least 1.
            seconds: Time it took.
        """
        measured = seconds / tiles
        if self.seconds_per_tile is None:
            return Pace(seconds_per_tile=measured, tiles=tiles)
        share = max(tiles / (self.tiles + tiles), 1.0 - (1.0 - _SLOWEST_UPDATE) ** tiles)
        guess = self.seconds_per_tile + share * (measured - self.seconds_per_tile)
        return Pace(seconds_per_tile=guess, tiles=self.tiles + tiles)

    def seconds_for(self, tiles: int) -> float | None:
        """Returns the time that so many tiles will take, or None while there is no guess."""
        return None if self.seconds_per_tile is None else self.seconds_per_tile * tiles


def calibrate(engine: Engine, tiling: Tiling) -> Speed:
    """Returns the speed of a network, measured on noise in about a second.

    The first run warms up and does not count, unless it alone takes longer than a second. The tile measured has at
    most 64 pixels a side; larger ones take about the same time for a pixel.

    Args:
        engine: The network.
        tiling: The tiling of the job.

    Raises:
        OptionError: Rounded to windows, the tile is too small for the overlap.
    """
    inner = max(_CALIBRATION_SIDE - 2 * engine.multiple, 1)  # with its margin, 64
    side = plan_tiles(inner, inner, engine.multiple, tiling).rows.tile
    tile = torch.rand((1, 3, side, side), generator=torch.Generator().manual_seed(0))
    warm_up = _seconds_of(engine, tile)
    measured = [warm_up]
    if warm_up < _CALIBRATION_SECONDS:
        runs = min(_CALIBRATION_RUNS, max(1, int(_CALIBRATION_SECONDS / max(warm_up, 1e-9))))
        measured = [_seconds_of(engine, tile) for _ in range(runs)]
    return Speed(seconds_per_megapixel=median(measured) / (side * side) * 1e6)


def estimate_seconds(plan: Plan, speed: Speed) -> float:
    """Returns the time that all tiles of a picture take, those of its margin included."""
    return plan.tiles * plan.tile_pixels * speed.seconds_per_megapixel / 1e6


def estimate_peak_bytes(
    header: Header, engine: Engine, tiling: Tiling, *, network_bytes_per_pixel: int = NETWORK_BYTES_PER_PIXEL
) -> int:
    """Returns the memory that upscaling a photo needs at its peak.

    The photo and its result count where they are in memory; large ones are in files (:mod:`sr_core.image.scratch`).
    Reading and writing is done by other processes.

    Args:
        header: The photo.
        engine: The network; its weights are not counted.
        tiling: How the photo is cut up.
        network_bytes_per_pixel: Working memory of the network for each input pixel of the tiles at work.

    Raises:
        OptionError: Rounded to windows, the tile is too small for the overlap.
    """
    plan = plan_tiles(header.height, header.width, engine.multiple, tiling)
    area = engine.scale**2
    plane_bytes = header.height * header.width * (1 if header.bit_depth == 8 else 2)
    planes = (header.channels, int(header.has_alpha))
    canvases = sum(memory_bytes(count * plane_bytes * scale) for count in planes for scale in (1, area))
    band = plan.rows.tile * plan.columns.padded * header.channels * 4 * area
    at_work = min(tiling.batch, len(plan.columns.starts)) * plan.tile_pixels
    tiles = at_work * (network_bytes_per_pixel + 3 * 4 * (1 + 2 * area))
    return canvases + 2 * band + tiles  # a band is rounded in a copy of its finished rows


def _seconds_of(engine: Engine, tile: torch.Tensor) -> float:
    """Returns the time of one run."""
    started = perf_counter()
    engine.run(tile)
    return perf_counter() - started
