import tracemalloc
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_core.arch.swinir import SwinIR
from sr_core.errors import ModelError, OptionError
from sr_core.image.header import Header
from sr_core.image.picture import Metadata, Picture
from sr_core.infer.blend import blend_tiles
from sr_core.infer.estimate import Speed, estimate_peak_bytes
from sr_core.infer.tiles import plan_tiles
from sr_core.infer.torch_engine import TorchEngine
from sr_core.infer.upscale import TileProgress, Tiling, run_to_end, seam_report, upscale, upscale_float
from sr_core.spec import swinir_spec
from tests.sr_core.infer.fake_engines import FakeEngine, bilinear, blurred, convolved, nearest
from tests.sr_core.infer.noise_pictures import DEPTHS, SMALL, enlarged, picture_of, run


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 4), st.sampled_from([1, 4, 8]), st.sampled_from([1, 3]))
@settings(deadline=None, max_examples=60)
def test_every_pixel_is_at_its_place(height: int, width: int, scale: int, multiple: int, channels: int) -> None:
    picture = picture_of(height, width, channels=channels, seed=height * 100 + width)
    result = run(picture, FakeEngine(nearest, scale, multiple))
    assert (result.pixels == enlarged(picture.pixels, scale)).all()
    assert result.pixels.shape == (scale * height, scale * width, channels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (7, 1), (3, 500), (500, 3), (8, 8), (33, 65)])
def test_extreme_shapes(height: int, width: int) -> None:
    picture = picture_of(height, width)
    assert (run(picture, FakeEngine(nearest)).pixels == enlarged(picture.pixels, 2)).all()


@pytest.mark.parametrize("bits", DEPTHS)
def test_every_code_of_a_depth_survives(bits: int) -> None:
    codes = np.arange(1 << bits).astype(np.uint8 if bits == 8 else np.uint16)
    pixels = np.stack([codes, codes[::-1], np.roll(codes, 7)], axis=-1).reshape(1 << (bits // 2), -1, 3)
    result = run(Picture(pixels=pixels, bit_depth=bits), FakeEngine(nearest))
    assert result.bit_depth == bits
    assert result.pixels.dtype == pixels.dtype
    assert (result.pixels == enlarged(pixels, 2)).all()


@given(st.integers(1, 100), st.integers(1, 100), st.integers(1, 3), st.sampled_from([bilinear, blurred, convolved]))
@settings(deadline=None, max_examples=40)
def test_tiled_is_whole_for_a_network_that_sees_less_than_the_overlap(
    height: int, width: int, batch: int, function: Callable[[Tensor, int], Tensor]
) -> None:
    picture = picture_of(height, width, seed=height * 100 + width)
    tiled = upscale_float(picture, FakeEngine(function), replace(SMALL, batch=batch))
    whole = upscale_float(picture, FakeEngine(function), Tiling(tile=120, overlap=0))
    assert np.abs(tiled - whole).max() <= 1e-6


def test_a_picture_is_padded_by_mirroring_and_nothing_else() -> None:
    picture = picture_of(5, 3)
    engine = FakeEngine(nearest)
    run(picture, engine)
    expected = np.pad(picture.pixels, ((8, 11), (8, 13), (0, 0)), mode="symmetric")
    assert engine.shapes == [(1, 3, 24, 24)]
    assert (engine.inputs[0][0].numpy() == expected.transpose(2, 0, 1).astype(np.float32) / np.float32(255)).all()


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 3), st.sampled_from([2, 4, 8]))
@settings(deadline=None, max_examples=40)
def test_the_border_is_computed_from_mirrored_picture_not_from_black(
    height: int, width: int, scale: int, multiple: int
) -> None:
    picture = picture_of(height, width, seed=height * 100 + width)
    result = upscale_float(picture, FakeEngine(convolved, scale, multiple), SMALL)
    colours = np.pad(picture.pixels / 255.0, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    nine = [colours[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    assert result.shape == (height * scale, width * scale, 3)
    assert np.abs(result - np.mean(nine, axis=0).repeat(scale, 0).repeat(scale, 1)).max() <= 1e-6


@pytest.mark.parametrize("function", [blurred, convolved])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 8), (40, 33), (70, 1)])
def test_a_flat_colour_stays_flat_up_to_the_corners(
    function: Callable[[Tensor, int], Tensor], size: tuple[int, int]
) -> None:
    picture = Picture(pixels=np.full((*size, 3), (255, 0, 90), np.uint8), bit_depth=8)
    assert (run(picture, FakeEngine(function)).pixels == (255, 0, 90)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (20, 1), (9, 17)])
def test_bands_that_are_all_margin_bring_no_rows(size: tuple[int, int]) -> None:
    picture, engine, tiling = picture_of(*size), FakeEngine(nearest), Tiling(tile=8, overlap=0)
    plan = plan_tiles(*size, 8, tiling)
    steps = [
        (step.tiles, step.top, None if step.rows is None else step.rows.shape)
        for step in blend_tiles(picture, engine, plan, 100)
    ]
    bands = len(plan.rows.starts)
    assert [tiles for tiles, _, _ in steps] == [len(plan.columns.starts)] * bands
    assert [shape is None for _, _, shape in steps] == [True] + [False] * (bands - 2) + [True]
    assert steps[1][1:] == (0, (3, 2 * min(size[0], 8), 2 * size[1]))
    assert (run(picture, FakeEngine(nearest), tiling).pixels == enlarged(picture.pixels, 2)).all()


@pytest.mark.parametrize("bits", DEPTHS)
def test_values_are_clamped_and_rounded_once(bits: int) -> None:
    peak = (1 << bits) - 1
    wanted = np.array([-3.0, -0.2, 0.49, 0.51, 1.4, peak - 0.6, peak + 0.4, 2.0 * peak])

    def constant(tiles: Tensor, scale: int) -> Tensor:
        values = torch.from_numpy(wanted / peak).float()
        return values.expand(tiles.shape[0], 3, tiles.shape[2] * scale, 8).repeat(1, 1, 1, tiles.shape[3] * scale // 8)

    result = run(picture_of(8, 8, bits=bits), FakeEngine(constant))
    assert result.pixels[0, :8, 0].tolist() == [0, 0, 0, 1, 1, peak - 1, peak, peak]


def test_overshoot_is_kept_until_tiles_are_blended() -> None:
    def uneven(tiles: Tensor, scale: int) -> Tensor:
        odd = float(len(engine.shapes) % 2)
        return torch.full((1, 3, tiles.shape[2] * scale, tiles.shape[3] * scale), 1.5 * odd)

    engine = FakeEngine(uneven)
    result = run(picture_of(8, 32), engine)
    assert len(engine.shapes) == 2
    middle = result.pixels[0, 31:33, 0]
    assert abs(middle.mean() - 191) <= 1  # (1.5 + 0) / 2, where clamping first would give 128


def test_grey_goes_in_as_three_equal_channels_and_comes_out_as_their_mean() -> None:
    picture = picture_of(20, 50, channels=1)

    def tinted(tiles: Tensor, scale: int) -> Tensor:
        assert (tiles[:, 0] == tiles[:, 1]).all()
        assert (tiles[:, 0] == tiles[:, 2]).all()
        return nearest(tiles, scale) * torch.tensor([0.5, 0.7, 0.9]).view(1, 3, 1, 1)

    result = run(picture, FakeEngine(tinted))
    assert result.pixels.shape == (40, 100, 1)
    expected = enlarged(picture.pixels, 2) * 0.7
    assert np.abs(result.pixels - expected).max() <= 0.5 + 1e-4


def test_what_travels_beside_the_pixels_is_carried_along() -> None:
    picture = replace(
        picture_of(9, 9, bits=10),
        source_format="heic",
        metadata=Metadata(icc=b"profile", exif=b"exif", xmp=b"xmp", nclx=(12, 13, 6, 1), chroma="420"),
        notices=("Something was left out.",),
    )
    before = picture.pixels.copy()
    result = run(picture, FakeEngine(nearest))
    assert (result.metadata, result.notices, result.source_format) == (picture.metadata, picture.notices, "heic")
    assert result.alpha is None
    assert (picture.pixels == before).all()


@pytest.mark.parametrize("batch", [2, 3, 4, 100])
def test_batches_equal_singles(batch: int) -> None:
    picture, singles, batches = picture_of(70, 150), FakeEngine(blurred), FakeEngine(blurred)
    one = upscale_float(picture, singles, SMALL)
    many = upscale_float(picture, batches, replace(SMALL, batch=batch))
    assert np.abs(one - many).max() <= 1e-6
    columns = len(plan_tiles(70, 150, 8, SMALL).columns.starts)
    assert {shape[0] for shape in singles.shapes} == {1}
    assert max(shape[0] for shape in batches.shapes) == min(batch, columns)
    assert torch.equal(torch.cat(singles.inputs), torch.cat(batches.inputs))
    assert len({shape[1:] for shape in batches.shapes}) == 1


def test_progress_begins_at_zero_and_counts_every_tile() -> None:
    seen: list[TileProgress] = []
    picture = picture_of(60, 100)
    run_to_end(upscale(picture, FakeEngine(nearest), replace(SMALL, batch=2)), seen.append)
    total = plan_tiles(60, 100, 8, SMALL).tiles
    assert [seen[0].done, seen[0].seconds, seen[0].seconds_left] == [0, 0.0, None]
    assert {progress.total for progress in seen} == {total}
    steps = [after.done - before.done for before, after in pairwise(seen)]
    assert set(steps) <= {1, 2}
    assert seen[-1].done == total
    assert seen[-1].seconds_left == 0.0
    assert all(progress.seconds_left is not None for progress in seen[1:])
    assert [progress.seconds for progress in seen] == sorted(progress.seconds for progress in seen)


def test_a_known_speed_gives_an_estimate_before_the_first_tile() -> None:
    picture = picture_of(60, 100)
    plan = plan_tiles(60, 100, 8, SMALL)
    job = upscale(picture, FakeEngine(nearest), SMALL, speed=Speed(seconds_per_megapixel=50.0))
    assert next(job).seconds_left == pytest.approx(plan.tiles * plan.tile_pixels * 50e-6)
    job.close()


def test_waiting_between_tiles_is_not_counted_as_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def slow(tiles: Tensor, scale: int) -> Tensor:
        clock[0] += 1.0
        return nearest(tiles, scale)

    monkeypatch.setattr("sr_core.infer.upscale.perf_counter", lambda: clock[0])
    job = upscale(picture_of(8, 100), FakeEngine(slow), SMALL)
    next(job)
    for expected in (1.0, 102.0):
        progress = next(job)
        assert progress.seconds_left == pytest.approx(progress.total - progress.done)
        assert progress.seconds == expected
        clock[0] += 100.0  # whoever iterates takes a break
    job.close()


def test_nothing_runs_before_the_first_iteration_but_a_bad_tiling_is_refused_at_once() -> None:
    engine = FakeEngine(nearest)
    job = upscale(picture_of(40, 40), engine, SMALL)
    next(job)
    assert engine.shapes == []
    with pytest.raises(OptionError, match="window"):
        upscale(picture_of(40, 40), engine, Tiling(tile=4, overlap=0))


def test_closing_stops_before_the_next_tile_and_frees_memory() -> None:
    engine = FakeEngine(nearest)
    kept: list[weakref.ref[Tensor]] = []

    def noted(tiles: Tensor, scale: int) -> Tensor:
        result = nearest(tiles, scale)
        kept.append(weakref.ref(result))
        return result

    engine.function = noted
    job = upscale(picture_of(100, 100), engine, SMALL)
    for _ in range(4):
        next(job)
    job.close()
    assert len(engine.shapes) == 3
    assert all(reference() is None for reference in kept)
    with pytest.raises(StopIteration):
        next(job)


def test_an_error_in_the_listener_ends_the_job() -> None:
    engine = FakeEngine(nearest)

    def refuse(progress: TileProgress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    job = upscale(picture_of(100, 100), engine, SMALL)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(job, refuse)
    assert len(engine.shapes) == 2
    assert job.gi_frame is None  # closed


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_result_that_is_not_a_number_is_refused(value: float, channels: int) -> None:
    def broken(tiles: Tensor, scale: int) -> Tensor:
        result = nearest(tiles, scale)
        if len(engine.shapes) == 3:
            result[0, 1, 5, 5] = value
        return result

    engine = FakeEngine(broken)
    with pytest.raises(ModelError, match="not numbers"):
        run(picture_of(40, 100, channels=channels), engine)
    assert len(engine.shapes) == 3


def test_memory_is_bounded_by_bands() -> None:
    """A tall picture: bands are small beside it, so the peak is the result and little more."""
    picture = picture_of(3000, 48)
    tiling = Tiling(tile=64, overlap=16)
    result_bytes = 6000 * 96 * 3
    band_bytes = 128 * 128 * 3 * 4
    job = upscale(picture, FakeEngine(nearest, notes=False), tiling)
    tracemalloc.start()
    run_to_end(job)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < result_bytes + 6 * band_bytes + 400_000
    assert 6 * band_bytes + 400_000 < picture.pixels.size * 4  # less than a float copy of the source


def test_rows_come_out_in_order_and_each_once() -> None:
    picture, engine = picture_of(100, 70), FakeEngine(nearest)
    plan = plan_tiles(100, 70, 8, SMALL)
    at = 0
    for step in blend_tiles(picture, engine, plan, 1):
        if step.rows is not None:
            assert step.top == at
            assert step.rows.shape[2] == 140
            assert (
                np.rint(step.rows * 255) == enlarged(picture.pixels, 2)[at : at + step.rows.shape[1]].transpose(2, 0, 1)
            ).all()
            at += step.rows.shape[1]
    assert at == 200


# Real network


@pytest.fixture(scope="module")
def tiny() -> TorchEngine:
    torch.manual_seed(0)
    spec = swinir_spec(scale=2, embed_dim=8, depths=(2,), heads=2)
    return TorchEngine(SwinIR(spec))


def test_one_tile_is_what_the_module_gives_for_the_whole_picture_and_its_margin(tiny: TorchEngine) -> None:
    picture = picture_of(21, 30)
    result = upscale_float(picture, tiny, Tiling(tile=48, overlap=0))
    padded = np.pad(picture.pixels, ((8, 11), (8, 10), (0, 0)), mode="symmetric")
    tensor = torch.from_numpy(padded.astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = tiny._module(tensor)[0].permute(1, 2, 0).numpy()[16:58, 16:76]
    assert result.shape == (42, 60, 3)
    assert np.abs(result - expected).max() <= 1e-6


def test_the_reference_engine_says_what_its_network_is(tiny: TorchEngine) -> None:
    assert (tiny.scale, tiny.multiple, tiny.compute) == (2, 8, "float32")
    assert not tiny.run(torch.zeros(1, 3, 8, 8)).requires_grad


def test_a_turned_network_sees_a_turned_picture() -> None:
    """Rows and columns are treated alike: upscaling commutes with turning the picture."""
    picture = picture_of(45, 77)
    turned = replace(picture, pixels=np.ascontiguousarray(np.rot90(picture.pixels, 2).transpose(1, 0, 2)[::-1, ::-1]))
    straight = upscale_float(picture, FakeEngine(blurred), SMALL)
    other = upscale_float(turned, FakeEngine(blurred), SMALL)
    assert np.abs(straight - other.transpose(1, 0, 2)).max() <= 1e-6


def test_seams_of_a_local_network_are_nothing() -> None:
    report = seam_report(picture_of(60, 70), FakeEngine(bilinear), SMALL)
    assert report.max <= 1e-3


def test_the_whole_that_seams_are_measured_against_is_one_tile() -> None:
    engine = FakeEngine(nearest)
    seam_report(picture_of(60, 75), engine, SMALL)
    assert engine.shapes[-1] == (1, 3, 80, 96)
    assert engine.shapes[:-1] == [(1, 3, 32, 32)] * plan_tiles(60, 75, 8, SMALL).tiles


def test_seams_are_found_near_overlaps() -> None:
    def vignette(tiles: Tensor, scale: int) -> Tensor:
        result = nearest(tiles, scale)
        result[:, :, :, -18 * scale :] += 0.1  # reaches into the ramp of the overlap with the tile to the right
        return result

    tiling = Tiling(tile=64, overlap=32)
    report = seam_report(picture_of(32, 80), FakeEngine(vignette), tiling)
    assert report.max_near > 1.0
    assert report.mean_near > 10 * report.mean_elsewhere
    wide = seam_report(picture_of(32, 80), FakeEngine(vignette), tiling, reach=1000)
    assert wide.max_elsewhere == 0.0


@pytest.mark.parametrize(
    ("height", "width", "channels", "bits"), [(3000, 64, 3, 8), (400, 900, 3, 16), (300, 2000, 1, 8)]
)
def test_the_memory_estimate_is_what_is_taken(height: int, width: int, channels: int, bits: int) -> None:
    picture, engine = picture_of(height, width, channels=channels, bits=bits), FakeEngine(nearest, notes=False)
    header = Header(
        format="png",
        height=height,
        width=width,
        bit_depth=bits,
        channels=channels,
        has_alpha=False,
        size_bytes=1,
        kind="JPEG",
        samples="8 bit",
    )
    expected = estimate_peak_bytes(header, engine, Tiling(), network_bytes_per_pixel=0)
    job = upscale(picture, engine, Tiling())
    tracemalloc.start()
    run_to_end(job)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.95 <= expected / (peak + picture.pixels.nbytes) <= 1.25
