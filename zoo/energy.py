"""How many photos a budget of energy is good for: a measured time, and a power that is assumed.

No power was ever measured here. The arithmetic is plain so that anyone can put in what they know of their device.
"""

import math
from dataclasses import dataclass
from typing import Final

from sr_core.errors import OptionError
from sr_core.infer.tiles import plan_tiles
from zoo.release import CoreMLRecord, DeviceRecord, Release

__all__ = ["ASSUMED_WATTS", "WATT_HOURS", "PhotoTime", "inferences_per_budget", "photo_time"]

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
        machine: What it was measured on, with the arithmetic or the compute units.
        is_device: Whether that is a device that runs the Core ML package; otherwise it is a processor that runs the
            network.
    """

    seconds: float
    machine: str
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


def photo_time(release: Release) -> PhotoTime | None:
    """Returns how long a release takes for a photo of a megapixel, overlaps of tiles included; None if not measured.

    Where times of its package on devices are known, the shortest counts; otherwise the time on a processor.
    """
    record = release.coreml
    if record is not None and record.devices:
        fastest = min(record.devices, key=lambda one: one.milliseconds_per_tile)
        return _on_device(record, fastest, release.variant.spec.window)
    if release.speed is None:
        return None
    machine = f"{release.speed.machine}, {release.speed.compute}"
    return PhotoTime(seconds=release.speed.seconds_per_megapixel, machine=machine, is_device=False)


def _on_device(record: CoreMLRecord, device: DeviceRecord, window: int) -> PhotoTime:
    tiles = plan_tiles(_SIDE, _SIDE, window, record.plain_tiling()).tiles
    return PhotoTime(
        seconds=tiles * device.milliseconds_per_tile / 1000,
        machine=f"{device.device}, {device.system}, {device.compute_units}",
        is_device=True,
    )
