import time

import pytest
import torch
from torch import Tensor

from sr_core.errors import OptionError
from sr_core.image.header import Header
from sr_core.infer.estimate import (
    NETWORK_BYTES_PER_PIXEL,
    Pace,
    Speed,
    calibrate,
    estimate_peak_bytes,
    estimate_seconds,
)
from sr_core.infer.tiles import Tiling, plan_tiles
from tests.sr_core.infer.fake_engines import FakeEngine, nearest

PLAN = plan_tiles(300, 500, 8, Tiling(tile=64, overlap=16))


def header(height: int, width: int, *, bits: int = 8, channels: int = 3, has_alpha: bool = False) -> Header:
    return Header(
        format="png",
        height=height,
        width=width,
        bit_depth=bits,
        channels=channels,
        has_alpha=has_alpha,
        size_bytes=1,
        kind="JPEG",
        samples="8 bit",
    )


def test_the_estimate_counts_every_tile_with_its_overlap() -> None:
    speed = Speed(seconds_per_megapixel=100.0)
    assert estimate_seconds(PLAN, speed) == pytest.approx(PLAN.tiles * PLAN.tile_pixels * 1e-4)
    assert estimate_seconds(PLAN, speed) > 300 * 500 * 1e-4
    one = plan_tiles(48, 48, 8, Tiling(tile=64, overlap=16))
    assert estimate_seconds(one, speed) == pytest.approx(64 * 64 * 1e-4)  # a margin of 8 all around


def test_without_a_speed_there_is_no_guess_before_the_first_tile() -> None:
    pace = Pace.expected(PLAN, None)
    assert pace.seconds_for(10) is None
    assert pace.after(2, 3.0).seconds_for(10) == pytest.approx(15.0)


def test_an_expectation_counts_like_two_tiles() -> None:
    speed = Speed(seconds_per_megapixel=1e6 / PLAN.tile_pixels)  # a second a tile
    pace = Pace.expected(PLAN, speed)
    assert pace.seconds_for(PLAN.tiles) == pytest.approx(estimate_seconds(PLAN, speed))
    assert pace.after(1, 4.0).seconds_for(1) == pytest.approx((1.0 + 1.0 + 4.0) / 3)
    assert pace.after(2, 8.0).seconds_for(1) == pytest.approx((1.0 + 1.0 + 4.0 + 4.0) / 4)


def test_at_first_the_pace_is_the_mean_of_all_tiles() -> None:
    pace, times = Pace(), [1.0, 2.0, 6.0, 3.0]
    for seconds in times:
        pace = pace.after(1, seconds)
    assert pace.seconds_for(1) == pytest.approx(sum(times) / len(times))


def test_the_pace_follows_a_machine_that_gets_slower() -> None:
    pace = Pace()
    for _ in range(1000):
        pace = pace.after(1, 1.0)
    for _ in range(30):
        pace = pace.after(1, 3.0)
    assert pace.seconds_for(1) == pytest.approx(3.0, rel=0.05)


def test_a_batch_counts_like_its_tiles() -> None:
    single, batch = Pace(), Pace()
    for _ in range(50):
        single, batch = single.after(1, 1.0).after(1, 1.0), batch.after(2, 2.0)
    single, batch = single.after(1, 5.0).after(1, 5.0), batch.after(2, 10.0)
    assert single.seconds_for(1) == pytest.approx(batch.seconds_for(1))


def clocked(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> FakeEngine:
    """An engine whose runs take these times, the last one again and again."""
    clock = [0.0]

    def run(tiles: Tensor, scale: int) -> Tensor:
        clock[0] += seconds.pop(0) if len(seconds) > 1 else seconds[0]
        return nearest(tiles, scale)

    monkeypatch.setattr("sr_core.infer.estimate.perf_counter", lambda: clock[0])
    return FakeEngine(run)


def test_calibration_leaves_out_the_warm_up_and_takes_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = clocked(monkeypatch, [0.3, 0.1, 0.9, 0.2])
    speed = calibrate(engine, Tiling(tile=64, overlap=16))
    assert speed.seconds_per_megapixel == pytest.approx(0.2 / 64**2 * 1e6)
    assert engine.shapes == [(1, 3, 64, 64)] * 4


def test_calibration_of_a_slow_network_is_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = clocked(monkeypatch, [5.0])
    assert calibrate(engine, Tiling()).seconds_per_megapixel == pytest.approx(5.0 / 64**2 * 1e6)
    assert len(engine.shapes) == 1


def test_calibration_keeps_to_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = clocked(monkeypatch, [0.6])
    calibrate(engine, Tiling())
    assert len(engine.shapes) == 2


def test_calibration_uses_tiles_that_the_network_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = clocked(monkeypatch, [0.1])
    calibrate(engine, Tiling(tile=40, overlap=8))
    assert engine.shapes[0][2] <= 40
    with pytest.raises(OptionError, match="window"):
        calibrate(engine, Tiling(tile=4, overlap=0))


def test_calibration_measures_real_time() -> None:
    def sleepy(tiles: Tensor, scale: int) -> Tensor:
        time.sleep(0.02)
        return nearest(tiles, scale)

    speed = calibrate(FakeEngine(sleepy), Tiling())
    assert 0.02 <= speed.seconds_per_megapixel / 1e6 * 64**2 < 2.0


@pytest.mark.parametrize(
    ("bits", "channels", "has_alpha", "sample_bytes"),
    [(8, 3, False, 3), (16, 3, True, 8), (10, 1, False, 2), (8, 1, True, 2)],
)
def test_the_photo_and_its_result_are_counted(bits: int, channels: int, has_alpha: bool, sample_bytes: int) -> None:
    engine, tiling = FakeEngine(nearest), Tiling(tile=64, overlap=16)
    small = estimate_peak_bytes(header(500, 400, bits=bits, channels=channels, has_alpha=has_alpha), engine, tiling)
    tall = estimate_peak_bytes(header(4500, 400, bits=bits, channels=channels, has_alpha=has_alpha), engine, tiling)
    grown = 4000 * 400 * sample_bytes * 5
    assert grown <= tall - small <= grown * 1.02


def test_work_is_counted_by_the_grid_and_only_the_photo_by_its_own_width() -> None:
    engine, tiling = FakeEngine(nearest), Tiling(tile=64, overlap=16)
    narrow, wide, wider = (estimate_peak_bytes(header(100, width), engine, tiling) for width in (1, 8, 9))
    assert wide - narrow == 100 * 7 * 3 * 5  # both lie in a grid of 24 columns
    assert wider - wide >= 100 * 3 * 5 + 2 * (2 * 64) * (2 * 8) * 3 * 4  # a window more, in two bands of floats


def test_more_tiles_at_once_take_more_memory_until_a_row_is_full() -> None:
    engine, photo = FakeEngine(nearest), header(184, 184)
    sizes = [estimate_peak_bytes(photo, engine, Tiling(tile=64, overlap=16, batch=batch)) for batch in (1, 2, 4, 8)]
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3]
    tile = plan_tiles(184, 184, 8, Tiling(tile=64, overlap=16)).tile_pixels
    assert sizes[1] - sizes[0] >= tile * NETWORK_BYTES_PER_PIXEL


def test_the_estimate_does_not_touch_the_random_numbers_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.random.get_rng_state()
    calibrate(clocked(monkeypatch, [0.1]), Tiling())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_is_in_files_does_not_count() -> None:
    engine, tiling = FakeEngine(nearest), Tiling(tile=64, overlap=16)
    large, larger = (estimate_peak_bytes(header(height, 8000), engine, tiling) for height in (6000, 60000))
    assert large == larger
