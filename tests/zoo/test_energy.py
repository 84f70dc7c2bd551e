import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sr_core.errors import OptionError
from sr_core.infer.tiles import plan_tiles
from tests.zoo.report.made import compressed, heads_removed, whole
from zoo.energy import (
    ASSUMED_WATTS,
    WATT_HOURS,
    inferences_per_budget,
    photo_times,
    photos_words,
    times_of_one_run,
)
from zoo.manifest import Manifest
from zoo.release import DeviceRecord, Release, SpeedRecord

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


def device(name: str = "Phone", milliseconds: float = 10.0, units: str = "all") -> DeviceRecord:
    return DeviceRecord(
        device=name, system="iOS 26", compute_units=units, milliseconds_per_tile=milliseconds, date="2026-01-02"
    )


def timed_on(release: Release, *devices: DeviceRecord) -> Release:
    assert release.coreml
    return replace(release, coreml=replace(release.coreml, devices=devices))


def in_run(release: Release, machine: str) -> Release:
    return replace(release, speed=SpeedRecord(seconds_per_megapixel=5.0, compute="float32", machine=machine))


def test_a_processor_s_time_is_that_of_the_record(packed: Release) -> None:
    [time] = photo_times(packed)
    assert (time.seconds, time.run, time.is_device) == (12.5, "two cores, float32", False)
    assert photo_times(replace(packed, speed=None)) == ()


def test_devices_come_before_the_processor_and_the_fastest_of_them_first(packed: Release) -> None:
    slow, fast = device(milliseconds=40.0, units="cpuOnly"), device()
    first, second, third = photo_times(timed_on(packed, slow, fast))
    assert packed.coreml
    tiles = plan_tiles(1000, 1000, 8, packed.coreml.plain_tiling()).tiles
    assert tiles == 25 * 25  # of 64 pixels, 40 apart, over 1000 and two margins of 8
    assert first.seconds == pytest.approx(tiles * 0.010)
    assert second.seconds == pytest.approx(tiles * 0.040)
    assert (first.run, first.is_device) == ("Phone, iOS 26, all", True)
    assert third.run == "two cores, float32"


class TestOneRun:
    one = whole()
    first, second = heads_removed(one, 1), heads_removed(one, 2)

    def test_times_are_those_of_the_whole_network_s_run(self) -> None:
        manifest = Manifest(releases=(in_run(self.one, "b"), in_run(self.first, "a"), in_run(self.second, "a")))
        times = times_of_one_run(manifest)
        assert list(times) == [self.one.id]
        assert times[self.one.id].run == "b, float32"
        both = Manifest(releases=(in_run(self.one, "b"), in_run(self.first, "b"), in_run(self.second, "a")))
        assert list(times_of_one_run(both)) == [self.one.id, self.first.id]

    def test_another_arithmetic_is_another_run(self) -> None:
        assert self.first.speed
        other = replace(self.first, speed=replace(self.first.speed, compute="bfloat16"))
        assert list(times_of_one_run(Manifest(releases=(self.one, other)))) == [self.one.id]

    def test_of_two_whole_networks_the_run_of_most_counts(self) -> None:
        other = in_run(whole("other"), "b")
        alike = [in_run(heads_removed(other, count), "b") for count in (1, 2)]
        manifest = Manifest(releases=(self.one, self.first, other, *alike))
        assert list(times_of_one_run(manifest)) == [other.id, *(one.id for one in alike)]

    def test_without_a_time_of_a_whole_network_nothing_can_be_compared(self) -> None:
        manifest = Manifest(releases=(replace(self.one, speed=None), self.first, self.second))
        assert times_of_one_run(manifest) == {}

    def test_a_device_counts_where_it_timed_a_whole_network_and_another(self, packed: Release) -> None:
        small, more = compressed(packed, "quantize", precision="int8"), heads_removed(packed, 1)
        alone = times_of_one_run(Manifest(releases=(timed_on(packed, device()), small, more)))
        assert {time.is_device for time in alone.values()} == {False}
        assert len(alone) == 3
        no_whole = Manifest(releases=(packed, timed_on(small, device()), timed_on(more, device())))
        assert {time.is_device for time in times_of_one_run(no_whole).values()} == {False}
        pair = Manifest(releases=(timed_on(packed, device()), timed_on(small, device()), more))
        times = times_of_one_run(pair)
        assert list(times) == [packed.id, small.id]
        assert all(time.is_device for time in times.values())


def test_photos_are_counted_in_words() -> None:
    assert [photos_words(count) for count in (0.2, 1.4, 1.6, 4.5e6)] == [
        "0 photos", "1 photo", "2 photos", "4,500,000 photos",
    ]  # fmt: skip
