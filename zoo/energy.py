"""How many photos a budget of energy is good for: a measured time, and a power that is assumed.

No power was ever measured here. The arithmetic is plain so that anyone can put in what they know of their device. Times
of two runs are never put side by side: a machine that does something else meanwhile makes a difference that is none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sr_core.errors import OptionError
from sr_core.infer.tiles import plan_tiles
from zoo.manifest import Manifest
from zoo.release import CoreMLRecord, DeviceRecord, Release, SpeedRecord

__all__ = [
    "ASSUMED_WATTS",
    "WATT_HOURS",
    "PhotoTime",
    "inferences_per_budget",
    "photo_times",
    "photos_words",
    "run_of",
    "times_of_one_run",
]

ASSUMED_WATTS: Final = 3.0
"""Power of a device while it enlarges photos, in watts. An assumption in the range of a phone that is held in a hand
and does not get hot; not measured, and not that of the machine on which times were measured."""

WATT_HOURS: Final = 10.0
"""The budget of the seed paper, in watt-hours: a good part of a phone's battery."""

_SIDE: Final = 1000
"""Pixels along a side of a photo of a megapixel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoTime:
    """How long a photo of a megapixel takes.

    Attributes:
        seconds: The time.
        run: What it was measured on and when, with the arithmetic or the compute units.
        is_device: Whether that is a device that runs the Core ML package; otherwise it is a processor that runs the
            network.
    """

    seconds: float
    run: str
    is_device: bool


def inferences_per_budget(seconds: float, watts: float, watt_hours: float = WATT_HOURS) -> float:
    """Returns how many inferences a budget of energy is good for; not a whole number.

    Args:
        seconds: Time of one inference, above 0.
        watts: Power while it runs, above 0.
        watt_hours: The budget, above 0; a watt-hour is 3600 joules.

    Raises:
        OptionError: One of them is not a number above 0.
    """
    named = {"time of an inference": seconds, "power": watts, "budget": watt_hours}
    for name, value in named.items():
        if not (math.isfinite(value) and value > 0):
            raise OptionError(f"The {name} must be a number above 0, not {value}.")
    return watt_hours * 3600 / (seconds * watts)


def photos_words(count: float) -> str:
    """Returns how many photos, as exact as that can be meant: ``1 photo`` or ``2,210 photos``."""
    return f"{count:,.0f} {'photo' if round(count) == 1 else 'photos'}"


def run_of(speed: SpeedRecord) -> str:
    """Returns in words in which run a time was measured: on what, in which arithmetic, and when."""
    return ", ".join(part for part in (speed.machine, speed.compute, speed.run) if part)


def photo_times(release: Release) -> tuple[PhotoTime, ...]:
    """Returns how long a release takes for a photo of a megapixel, overlaps of tiles included, in each run.

    Times of its package on devices come first, the shortest of them in front; then that on a processor.
    """
    record, times = release.coreml, list[PhotoTime]()
    if record is not None:
        devices = sorted(record.devices, key=lambda one: one.milliseconds_per_tile)
        times += [_on_device(record, one, release.variant.spec.window) for one in devices]
    if release.speed is not None:
        seconds = release.speed.seconds_per_megapixel
        times.append(PhotoTime(seconds=seconds, run=run_of(release.speed), is_device=False))
    return tuple(times)


def times_of_one_run(manifest: Manifest) -> Mapping[str, PhotoTime]:
    """Returns the times, by id of the release, that may be compared: those of one run that timed a whole network.

    Of several such runs it is one on a device, where that timed more than one release, and otherwise the one that timed
    most of them.
    """
    runs: dict[str, dict[str, PhotoTime]] = {}
    for release in manifest.releases:
        for time in photo_times(release):
            runs.setdefault(time.run, {}).setdefault(release.id, time)
    wholes = {whole.id for release in manifest.releases if (whole := manifest.whole(release)) is not None}
    fit = [times for times in runs.values() if wholes & times.keys()]
    return max(fit, key=_worth, default={})


def _worth(times: Mapping[str, PhotoTime]) -> tuple[bool, bool, int]:
    return len(times) > 1, any(time.is_device for time in times.values()), len(times)


def _on_device(record: CoreMLRecord, device: DeviceRecord, window: int) -> PhotoTime:
    tiles = plan_tiles(_SIDE, _SIDE, window, record.plain_tiling()).tiles
    return PhotoTime(
        seconds=tiles * device.milliseconds_per_tile / 1000,
        run=f"{device.device}, {device.system}, {device.compute_units}",
        is_device=True,
    )
