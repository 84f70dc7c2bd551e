"""How fast each model is on this machine: measured once, and again by every job.

Variants that are networks of one shape are equally fast, however their weights are stored, so they share a speed.

Two kinds of speed meet here. A ``Speed``, measured on this machine, is the time for a megapixel that goes through the
network; overlaps and margins count as often as they are computed, so the tile plan of the photo is needed to use it. A
``SpeedRecord`` of the manifest is the time for a megapixel of the photo, with all overlaps and margins in it.
"""

import threading

from sr_core.infer.estimate import Speed, calibrate, estimate_seconds
from sr_core.infer.model import LoadedModel
from sr_core.infer.tiles import Plan, plan_tiles
from sr_core.spec import SwinIRSpec
from zoo.release import Release, SpeedRecord

__all__ = ["Speeds"]


class Speeds:
    """Measured speeds by the shape of the network; the manifest's stand in until then. Safe between threads."""

    def __init__(self) -> None:
        self._speeds: dict[SwinIRSpec, Speed] = {}
        self._lock = threading.Lock()

    def of(self, release: Release) -> Speed | None:
        """Returns the speed measured here, or None."""
        with self._lock:
            return self._speeds.get(release.variant.spec)

    def measure(self, release: Release, model: LoadedModel) -> None:
        """Measures the model of a release in about a second."""
        speed = calibrate(model.engine, model.tiling)
        with self._lock:
            self._speeds[release.variant.spec] = speed

    def record(self, release: Release, height: int, width: int, seconds: float) -> None:
        """Takes the speed of a job that has ended in the place of an earlier one."""
        plan = _plan(release, height, width)
        speed = Speed(seconds_per_megapixel=1e6 * seconds / (plan.tiles * plan.tile_pixels))
        with self._lock:
            self._speeds[release.variant.spec] = speed

    def seconds(self, release: Release, height: int, width: int) -> float | None:
        """Returns how long a photo takes: by what was measured here, else by the manifest, else None.

        Raises:
            OptionError: The release has a tiling that its window does not allow.
        """
        speed = self.of(release)
        if speed is not None:
            return estimate_seconds(_plan(release, height, width), speed)
        if release.speed is not None:
            return _seconds_by_photo(release.speed, height, width)
        return None


def _seconds_by_photo(record: SpeedRecord, height: int, width: int) -> float:
    photo_megapixels = height * width / 1e6
    return record.seconds_per_megapixel * photo_megapixels


def _plan(release: Release, height: int, width: int) -> Plan:
    return plan_tiles(height, width, release.variant.spec.window, release.tiling.plain())
