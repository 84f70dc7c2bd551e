import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.errors import OptionError
from sr_core.infer.tiles import plan_tiles
from zoo.energy import ASSUMED_WATTS, WATT_HOURS, inferences_per_budget, photo_time
from zoo.release import DeviceRecord, Release

amounts = st.floats(1e-3, 1e4)


@given(seconds=amounts, watts=amounts, watt_hours=amounts)
def test_the_inferences_use_up_the_budget(seconds: float, watts: float, watt_hours: float) -> None:
    joules = inferences_per_budget(seconds, watts, watt_hours) * seconds * watts
    assert joules == pytest.approx(3600 * watt_hours)


def test_ten_watt_hours_are_36_kilojoules() -> None:
    assert WATT_HOURS == 10.0
    assert inferences_per_budget(1.0, 1.0) == 36_000
    assert inferences_per_budget(12.0, ASSUMED_WATTS) == 1000.0


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    ("place", "name"),
    [(0, "time of an inference"), (1, "power"), (2, "budget")],
    ids=["seconds", "watts", "watt-hours"],
)
def test_what_is_no_number_above_0_is_refused(value: float, place: int, name: str) -> None:
    numbers = [1.0, 2.0, 3.0]
    numbers[place] = value
    with pytest.raises(OptionError, match=f"^The {name} must be a number above 0"):
        inferences_per_budget(*numbers)


def test_a_processor_s_time_is_that_of_the_record(packed: Release) -> None:
    time = photo_time(packed)
    assert time is not None
    assert (time.seconds, time.machine, time.is_device) == (12.5, "two cores, float32", False)
    assert photo_time(replace(packed, speed=None)) is None


def test_a_device_s_own_time_is_preferred_and_the_fastest_one(packed: Release) -> None:
    assert packed.coreml
    slow = DeviceRecord(
        device="Phone", system="iOS 26", compute_units="cpuOnly", milliseconds_per_tile=40.0, date="2026-01-02"
    )
    fast = replace(slow, compute_units="all", milliseconds_per_tile=10.0)
    time = photo_time(replace(packed, coreml=replace(packed.coreml, devices=(slow, fast))))
    tiles = plan_tiles(1000, 1000, 8, packed.coreml.plain_tiling()).tiles
    assert tiles == 25 * 25  # of 64 pixels, 40 apart, over 1000 and two margins of 8
    assert time is not None
    assert time.seconds == pytest.approx(tiles * 0.010)
    assert (time.machine, time.is_device) == ("Phone, iOS 26, all", True)
