"""The window engine against the plain module: the same network, whatever the spec, size and batch."""

from dataclasses import replace
from threading import Thread

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_core.arch.build import build
from sr_core.arch.padding import reflect_indices
from sr_core.arch.swinir import SwinIR, partition, relative_position_index, shift_mask
from sr_core.errors import OptionError
from sr_core.infer import window_engine
from sr_core.infer.engine import Compute, Engine
from sr_core.infer.window_blocks import Space
from sr_core.infer.window_engine import WindowEngine, fast_compute, resolve_compute
from sr_core.infer.windows import apart, plan_windows, token_order
from sr_core.spec import SwinIRSpec, swinir_spec
from tests.peers import randomize

SPEC = swinir_spec(scale=2, embed_dim=24, depths=(3, 2), heads=4)
SPECS = {
    "pixelshuffledirect x3": replace(SPEC, scale=3),
    "pixelshuffle x8": replace(SPEC, scale=8, upsampler="pixelshuffle"),
    "nearest+conv x4, 3conv": replace(SPEC, scale=4, upsampler="nearest+conv", resi_connection="3conv"),
    "pruned": replace(SPEC, heads=((4, 1, 3), (0, 2)), hidden=((7, 48, 0), (48, 1))),
    "no attention": replace(SPEC, heads=((0, 0, 0), (0, 0))),
    "no MLP": replace(SPEC, hidden=((0, 0, 0), (0, 0))),
    "nothing": replace(SPEC, heads=((0, 0, 0), (0, 0)), hidden=((0, 0, 0), (0, 0))),
    "shifted twice": replace(SPEC, heads=((0, 4, 0), (0, 4))),
    "narrow heads do not fill the width": replace(SPEC, head_dim=5),
    "window 4": replace(SPEC, window=4),
    "window 2": replace(SPEC, window=2),
    "window 12": replace(SPEC, window=12),
    "wide heads": swinir_spec(scale=2, embed_dim=40, depths=(2,), heads=2),
    "grey": replace(SPEC, channels=1, mean=(0.0,)),
}


def network(spec: SwinIRSpec, seed: int = 5) -> SwinIR:
    module = build(spec).eval()
    randomize(module, seed)
    return module


def picture(batch: int, height: int, width: int, channels: int = 3) -> Tensor:
    """Smooth areas with some noise, as in a photo."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    coarse = torch.rand(batch, channels, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.05 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def agreement_db(a: Tensor, b: Tensor) -> float:
    return float(-10 * (a.double() - b.double()).square().mean().clamp(min=1e-30).log10())


def plain(module: SwinIR, tiles: Tensor) -> Tensor:
    with torch.inference_mode():
        return module(tiles)


@pytest.mark.parametrize("name", SPECS)
def test_the_engine_is_the_module(name: str) -> None:
    spec = SPECS[name]
    module = network(spec)
    engine: Engine = WindowEngine(module, "float32", chunk=3)
    assert (engine.scale, engine.multiple, engine.compute) == (spec.scale, spec.window, "float32")
    w = spec.window
    for batch, rows, columns in ((1, 1, 1), (2, 1, 3), (1, 3, 1), (3, 2, 3)):
        tiles = picture(batch, rows * w, columns * w, spec.channels)
        result, expected = engine.run(tiles), plain(module, tiles)
        assert result.shape == expected.shape
        assert result.dtype == torch.float32
        assert result.is_contiguous()
        assert agreement_db(result, expected) > 110


@pytest.mark.parametrize("size", [(8, 8), (8, 64), (64, 8), (72, 40)])
def test_a_light_network_agrees_at_edge_sizes(size: tuple[int, int]) -> None:
    module = network(swinir_spec(scale=2, embed_dim=60, depths=(2, 2), heads=6))
    tiles = picture(1, *size)
    assert agreement_db(WindowEngine(module, "float32").run(tiles), plain(module, tiles)) > 110


@given(batch=st.integers(1, 3), rows=st.integers(1, 5), columns=st.integers(1, 5), chunk=st.integers(1, 80))
@settings(max_examples=25, deadline=None)
def test_any_size_batch_and_chunk(batch: int, rows: int, columns: int, chunk: int) -> None:
    module = network(replace(SPEC, window=4, heads=((2, 1, 2), (0, 2))))
    tiles = picture(batch, 4 * rows, 4 * columns)
    assert agreement_db(WindowEngine(module, "float32", chunk).run(tiles), plain(module, tiles)) > 110


def test_a_batch_is_its_pictures() -> None:
    engine = WindowEngine(network(SPEC), "float32", chunk=5)
    tiles = picture(3, 24, 16)
    apart_ = torch.cat([engine.run(tile[None]) for tile in tiles])
    assert agreement_db(engine.run(tiles), apart_) > 120


@pytest.mark.parametrize("name", ["pruned", "nearest+conv x4, 3conv", "window 4"])
def test_bfloat16_agrees_to_fifty_decibels(name: str) -> None:
    module = network(SPECS[name])
    tiles = picture(2, 16, 24)
    engine = WindowEngine(module, "bfloat16", chunk=4)
    result = engine.run(tiles)
    assert engine.compute == "bfloat16"
    assert result.dtype == torch.float32
    assert 50 < agreement_db(result, plain(module, tiles)) < 110


def test_bfloat16_of_a_network_of_useful_size() -> None:
    module = network(swinir_spec(scale=2, embed_dim=60, depths=(6, 6), heads=6))
    tiles = picture(1, 16, 24)
    assert agreement_db(WindowEngine(module, "bfloat16").run(tiles), plain(module, tiles)) > 50


def test_neither_the_module_nor_the_input_changes() -> None:
    module, tiles = network(SPECS["nearest+conv x4, 3conv"]), picture(2, 16, 16)
    module.train()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    kept = tiles.clone()
    engine = WindowEngine(module, "float32")
    first = engine.run(tiles)
    assert torch.equal(tiles, kept)
    assert module.training
    assert all(value.requires_grad for value in module.parameters())
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    with torch.no_grad():
        for value in module.parameters():
            value.zero_()
    assert torch.equal(engine.run(tiles), first)  # nor does the engine change with the module


def test_the_result_needs_no_gradient_and_runs_repeat() -> None:
    engine, tiles = WindowEngine(network(SPEC), "float32"), picture(1, 16, 16)
    result = engine.run(tiles.requires_grad_())
    assert not result.requires_grad
    assert torch.equal(engine.run(tiles), result)


def test_tiles_of_any_stride_are_taken() -> None:
    engine, tiles = WindowEngine(network(SPEC), "float32"), picture(2, 16, 24)
    turned = tiles.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert agreement_db(engine.run(turned), engine.run(tiles)) > 120


def test_tables_of_few_sizes_are_kept() -> None:
    engine = WindowEngine(network(replace(SPEC, window=2)), "float32")
    for width in range(2, 60, 2):
        engine.run(picture(1, 4, width))
    assert len(engine._plans) == window_engine.PLANS
    engine.run(picture(1, 4, 44))
    assert next(reversed(engine._plans)) == (1, 4, 44)


def test_threads_share_an_engine() -> None:
    engine = WindowEngine(network(SPEC), "float32", chunk=2)
    inputs = [picture(1, 8 * (i + 1), 16) for i in range(4)]
    expected = [engine.run(tiles) for tiles in inputs]
    results: dict[int, Tensor] = {}
    threads = [Thread(target=lambda i=i: results.update({i: engine.run(inputs[i])})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(results[i], expected[i]) for i in range(4))


@pytest.mark.parametrize("shape", [(1, 3, 8, 9), (1, 3, 12, 8), (1, 1, 8, 8), (0, 3, 8, 8), (1, 3, 0, 8)])
def test_tiles_that_do_not_fit_are_a_bug_of_the_caller(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        WindowEngine(network(SPEC), "float32").run(torch.zeros(shape))


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="at least 1 window"):
        WindowEngine(network(SPEC), "float32", chunk=0)


def test_padding_and_cropping_around_the_engine_is_the_module() -> None:
    module = network(SPEC)
    tiles = picture(1, 11, 21)
    padded = tiles[:, :, reflect_indices(11, 16)][:, :, :, reflect_indices(21, 24)]
    assert agreement_db(WindowEngine(module, "float32").run(padded)[:, :, :22, :42], plain(module, tiles)) > 110


@pytest.mark.parametrize(
    ("answers", "expected"),
    [((False, False), "float32"), ((True, False), "bfloat16"), ((False, True), "bfloat16")],
)
def test_the_cpu_decides(answers: tuple[bool, bool], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: answers[0], raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: answers[1], raising=False)
    assert fast_compute() == resolve_compute("auto") == expected
    assert resolve_compute("float32") == "float32"
    assert resolve_compute("bfloat16") == "bfloat16"


def test_a_torch_that_does_not_answer_counts_as_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert fast_compute() == "float32"


@given(batch=st.integers(1, 3), rows=st.integers(1, 4), columns=st.integers(1, 4), window=st.sampled_from([2, 4, 8]))
@settings(max_examples=30, deadline=None)
def test_the_tables_say_what_roll_and_partition_do(batch: int, rows: int, columns: int, window: int) -> None:
    h, w, half = rows * window, columns * window, window // 2
    plan = plan_windows(batch, h, w, window)
    pixels = torch.arange(batch * h * w).view(batch, h, w, 1)
    order = token_order(window)
    tokens = pixels.view(-1, half)[plan.enter].view(-1, window**2)
    assert torch.equal(tokens, partition(pixels, window).squeeze(-1)[:, order])
    shifted = tokens.view(-1, half**2)[plan.to_shifted].view(-1, window**2)
    rolled = partition(pixels.roll((-half, -half), (1, 2)), window).squeeze(-1)[:, order]
    assert sorted(shifted.tolist()) == sorted(rolled.tolist())
    masks = {
        tuple(r): m for r, m in zip(rolled.tolist(), shift_mask(h, w, window, half).repeat(batch, 1, 1), strict=True)
    }
    assert [run.start for run in plan.shifted] == [0, *(run.stop for run in plan.shifted)][:-1]
    for run in plan.shifted:
        for row in shifted[run.start : run.stop].tolist():
            assert torch.equal(masks[tuple(row)][order][:, order] != 0, apart(run.kind, window))
    assert torch.equal(shifted.view(-1, half**2)[plan.to_plain].view_as(tokens), tokens)
    assert torch.equal(tokens.view(-1, half)[plan.leave].view_as(pixels), pixels)


def test_the_token_order_keeps_relative_positions_readable() -> None:
    order = token_order(4)
    assert order.tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
    index = relative_position_index(4)[order][:, order]
    assert index[0, 1] == relative_position_index(4)[0, 1]


@pytest.mark.parametrize(("compute", "least_db"), [("float32", 90), ("bfloat16", 45)])
@pytest.mark.parametrize("is_careful", [False, True])
def test_logits_that_overflow_are_run_once_more(
    compute: Compute, least_db: float, is_careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = network(SPEC)
    if is_careful:
        with torch.no_grad():  # the queries of the first block, so that logits of a few become hundreds
            module.get_parameter("layers.0.residual_group.blocks.0.attn.qkv.weight")[:24] *= 100
    spaces: list[bool] = []

    def noted(*, is_careful: bool = False) -> Space:
        spaces.append(is_careful)
        return Space(is_careful=is_careful)

    monkeypatch.setattr(window_engine, "Space", noted)
    tiles = picture(1, 24, 32)
    result = WindowEngine(module, compute).run(tiles)
    assert spaces == ([False, True] if is_careful else [False])
    assert agreement_db(result, plain(module, tiles)) > least_db


def test_sums_at_the_limits_of_float32_are_not_sound() -> None:
    for value in (0.0, 1e-31, 1e36, float("inf"), float("nan")):
        space = Space()
        space.watch(torch.ones(3))
        assert space.is_sound()
        space.watch(torch.tensor([1.0, value]))
        assert not space.is_sound()
    assert Space().is_sound()


def test_what_was_no_neighbour_counts_as_nothing_even_beside_small_logits() -> None:
    """The mask is -60 here and -100 in the published network: both must vanish beside logits of -10 and less."""
    module = network(SPEC)
    with torch.no_grad():
        for name, value in module.named_parameters():
            if name.endswith("relative_position_bias_table"):
                value.sub_(10.0)
    tiles = picture(1, 16, 24)
    assert agreement_db(WindowEngine(module, "float32").run(tiles), plain(module, tiles)) > 110
