"""Quantized networks lie on the grid of their precision, as near to the original as it allows."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_core.arch.storage import channel_axis, decode, encode, grid_of
from sr_core.arch.swinir import SwinIR
from sr_core.arch.weights import load_weights, save_weights
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.fold import fold_norms
from sr_core.compress.magnitude import prune_magnitude, weight_sparsity
from sr_core.compress.quantize import quantize
from sr_core.errors import WeightsError
from sr_core.spec import Precision
from tests.sr_core.compress.networks import (
    PRUNED,
    SPECS,
    WHOLE,
    formats_for,
    mixed_formats,
    picture,
    random_network,
    tiny_variant,
)

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PALETTES: dict[Precision, int] = {"palette6": 64, "palette4": 16}


def assert_equal_weights(one: SwinIR, other: SwinIR) -> None:
    assert one.spec == other.spec
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def on_grid(module: SwinIR, precision: Precision, grid: str | None) -> dict[str, Tensor]:
    """The weights of a network that lie on a kind of grid; there must be some."""
    weights = {n: v for n, v in module.state_dict().items() if grid_of(n, v, precision) == grid}
    assert weights
    return weights


def read_back(module: SwinIR, precision: Precision) -> dict[str, Tensor]:
    weights = module.state_dict()
    return decode(encode(weights, precision), {name: value.shape for name, value in weights.items()})


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["whole", "pruned", "odd widths", "no branches"])
def test_a_quantized_network_is_stored_without_loss(name: str, precision: Precision, tmp_path: Path) -> None:
    module = random_network(SPECS[name])
    variant = tiny_variant(module.spec, precision)
    quantized = quantize(module, precision, variant.formats)
    save_weights(quantized, tmp_path / "model.safetensors", variant)
    assert_equal_weights(load_weights(tmp_path / "model.safetensors", variant), quantized)
    assert not quantized.training
    assert_equal_weights(module, random_network(SPECS[name]))  # left alone


@pytest.mark.parametrize("precision", PRECISIONS)
def test_quantizing_twice_is_quantizing_once(precision: Precision) -> None:
    formats = formats_for(PRUNED, precision)
    once = quantize(random_network(PRUNED), precision, formats)
    assert_equal_weights(quantize(once, precision, formats), once)


@pytest.mark.parametrize("word", ["float16", "int8", *PALETTES])
def test_a_layer_of_a_mixture_is_what_it_is_where_all_are_alike(word: Precision) -> None:
    module, name = random_network(WHOLE), "layers.0.residual_group.blocks.1.mlp.fc2.weight"
    formats = tuple((n, word if n == name else other) for n, other in mixed_formats(WHOLE))
    alike = fold_norms(module) if word == "float16" else module
    mixed = quantize(module, "mixed-bit", formats)
    assert torch.equal(mixed.state_dict()[name], quantize(alike, word).state_dict()[name])


def test_formats_that_are_not_those_of_the_network_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"do not fit the network: 1 missing, 0 too many"):
        quantize(random_network(WHOLE), "mixed-bit", mixed_formats(WHOLE)[1:])


def test_floats_are_copied_or_rounded_and_not_folded() -> None:
    module = random_network(PRUNED)
    copied, rounded = quantize(module, "float32"), quantize(module, "float16")
    assert copied is not module
    assert_equal_weights(copied, module)
    assert all(torch.equal(v, module.state_dict()[n].half().float()) for n, v in rounded.state_dict().items())


@pytest.mark.parametrize("precision", ["int8", *PALETTES])
def test_what_has_no_grid_is_the_canonical_form_in_float16(precision: Precision) -> None:
    module = random_network(PRUNED)
    plain = on_grid(quantize(module, precision), precision, None)
    folded = fold_norms(module).state_dict()
    assert all(torch.equal(value, folded[name].half().float()) for name, value in plain.items())
    block = stages_of(quantize(module, precision))[0][0]
    assert block.norm1 is not None
    assert torch.equal(block.norm1.weight, torch.ones(24))


@pytest.mark.parametrize("precision", ["int8", *PALETTES])
def test_int8_is_the_nearest_code_of_each_channel(precision: Precision) -> None:
    module = random_network(WHOLE)
    folded = fold_norms(module).state_dict()
    weights = on_grid(quantize(module, precision), precision, "int8")
    assert any(name.endswith("bias_table") for name in weights)
    assert all(name.endswith("bias_table") for name in weights) == (precision != "int8")
    for name, value in weights.items():
        axis = channel_axis(name)
        others = tuple(a for a in range(value.ndim) if a != axis)
        steps = (folded[name].abs().amax(others) / 127).half().float()
        zero = torch.zeros(len(steps), dtype=torch.int32)
        assert torch.equal(value, torch.fake_quantize_per_channel_affine(folded[name], steps, zero, axis, -127, 127))


@given(
    exponents=st.lists(st.floats(-12, 3), min_size=72, max_size=72),
    precision=st.sampled_from(["int8", "palette6", "palette4"]),
)
@settings(max_examples=20, deadline=None)
def test_rows_of_any_size_can_be_stored(exponents: list[float], precision: Precision) -> None:
    """Also rows so small that their step is a coarse float16 or none at all."""
    module = random_network(WHOLE)
    with torch.no_grad():
        stages_of(module)[0][0].attn.qkv.weight.mul_(10 ** torch.tensor(exponents)[:, None])
    quantized = quantize(module, precision)
    assert all(torch.equal(v, quantized.state_dict()[n]) for n, v in read_back(quantized, precision).items())
    name = "layers.0.residual_group.blocks.0.attn.qkv.weight"
    if precision == "int8":
        exact, value = fold_norms(module).state_dict()[name], quantized.state_dict()[name]
        step = exact.abs().amax(1, keepdim=True) / 127
        assert ((value - exact).abs() <= 0.502 * step + 64 * 2**-24).all()  # half a step, or what float16 leaves


def test_a_row_whose_step_is_a_coarse_float16_keeps_its_step() -> None:
    """Largest weights just above half a float16: their code is far from 127 before it is set to it."""
    module = random_network(WHOLE)
    weight = stages_of(module)[0][0].attn.qkv.weight
    with torch.no_grad():
        weight.mul_(127 * 2.0**-24 * (torch.arange(72)[:, None] + 0.501) / weight.abs().amax(1, keepdim=True))
        stages_of(module)[0][0].norm1.weight.fill_(1.0)
    quantized = quantize(module, "int8")
    name = "layers.0.residual_group.blocks.0.attn.qkv.weight"
    assert torch.equal(read_back(quantized, "int8")[name], quantized.state_dict()[name])
    steps = encode(quantized.state_dict(), "int8")[f"{name}.steps"].float() * 2**24
    assert torch.equal(steps, torch.arange(72) + 1.0)


@pytest.mark.parametrize("precision", PALETTES)
def test_a_palette_is_the_k_means_of_its_tensor(precision: Precision) -> None:
    module = random_network(WHOLE)
    folded, size = fold_norms(module).state_dict(), PALETTES[precision]
    for name, value in on_grid(quantize(module, precision), precision, precision).items():
        exact, entries = folded[name], value.unique()
        assert size // 2 < len(entries) <= size
        nearest = (exact.reshape(-1, 1) - entries).abs().min(1).values
        assert torch.allclose((value - exact).abs().reshape(-1), nearest, atol=1e-7)
        settled = value.clone()  # a further step of the k-means: each value the mean of those that it stands for
        for entry in entries:
            settled[value == entry] = exact[value == entry].mean()
        assert (exact - settled).square().sum() > 0.97 * (exact - value).square().sum()


@pytest.mark.parametrize("precision", PALETTES)
def test_a_palette_is_as_good_as_theory_allows(precision: Precision) -> None:
    """The least squared error of N values for a normal density of variance 1 is sqrt(3) * pi / 2 / N**2.

    Source: Panter and Dite, 1951. Random weights are normal; with few weights the values fit the sample even better.
    """
    module = random_network(replace(WHOLE, embed_dim=128))
    limit = 3**0.5 * torch.pi / 2 / PALETTES[precision] ** 2
    name = "conv_after_body.weight"  # 147,456 of them
    exact, value = module.state_dict()[name], quantize(module, precision).state_dict()[name]
    assert 0.8 * limit < float((value - exact).square().mean() / exact.var()) < 1.06 * limit


@pytest.mark.parametrize("precision", PALETTES)
def test_a_tensor_of_few_values_keeps_them(precision: Precision) -> None:
    module = quantize(random_network(WHOLE), "float16")
    few = torch.tensor([-1.5, 0.0, 0.25, 3.0])
    with torch.no_grad():
        module.conv_after_body.weight.copy_(few[torch.arange(24 * 24 * 9) % 4].view(24, 24, 3, 3))
    quantized = quantize(module, precision)
    assert torch.equal(quantized.conv_after_body.weight, module.conv_after_body.weight)


@pytest.mark.parametrize("precision", PALETTES)
def test_a_palette_spends_no_value_on_a_zero_that_is_rare(precision: Precision) -> None:
    module = random_network(WHOLE)
    with torch.no_grad():
        module.conv_after_body.weight[0, 0, 0, 0] = 0.0
    values = quantize(module, precision).conv_after_body.weight.unique()
    assert len(values) == PALETTES[precision]
    assert 0.0 not in values


@pytest.mark.parametrize("far", [-50.0, 50.0])
@pytest.mark.parametrize("precision", PALETTES)
def test_a_weight_far_from_all_others_costs_a_palette_little(precision: Precision, far: float) -> None:
    module = random_network(WHOLE)
    with torch.no_grad():
        module.conv_after_body.weight[0, 0, 0, 0] = far
    quantized = quantize(module, precision).conv_after_body.weight
    assert len(quantized.unique()) >= PALETTES[precision] - 1  # not spent on the gap
    assert quantized[0, 0, 0, 0] == far


def test_int8_reaches_beyond_float16() -> None:
    module = random_network(WHOLE)
    with torch.no_grad():
        module.conv_after_body.weight[0].mul_(1e6)
    exact, value = (m.state_dict()["conv_after_body.weight"][0] for m in (module, quantize(module, "int8")))
    assert exact.abs().max() > 65504
    assert (value - exact).abs().max() < exact.abs().max() / 250


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.95])
def test_pruned_zeros_stay_zero(precision: Precision, sparsity: float) -> None:
    pruned = prune_magnitude(random_network(WHOLE), sparsity)
    quantized = quantize(pruned, precision, formats_for(WHOLE, precision))
    for name, value in pruned.state_dict().items():
        if ".attn." in name or ".mlp." in name:
            assert (quantized.state_dict()[name][value == 0] == 0).all() or name.endswith("bias")
    assert weight_sparsity(quantized).linear >= weight_sparsity(pruned).linear


def test_fewer_bits_are_further_from_the_original() -> None:
    module = random_network(WHOLE)
    x = picture(WHOLE)
    with torch.inference_mode():
        truth = module(x)
        errors = [float((quantize(module, precision)(x) - truth).square().mean()) for precision in PRECISIONS[:-1]]
        mixed = float((quantize(module, "mixed-bit", mixed_formats(WHOLE))(x) - truth).square().mean())
    assert errors[2] < mixed < errors[-1]
    assert errors == sorted(errors)
    assert errors[0] == 0.0
    assert errors[1] < errors[2] / 10
    assert errors[-1] < truth.var() / 10


@pytest.mark.parametrize("precision", ["float16", "int8", "palette6", "palette4"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
@pytest.mark.parametrize("name", ["norm.bias", "conv_after_body.weight"])
def test_what_no_grid_can_hold_is_refused(name: str, value: float, precision: Precision) -> None:
    module = copy_network(random_network(PRUNED))
    with torch.no_grad():
        module.get_parameter(name).view(-1)[0] = value
    with pytest.raises(WeightsError, match=f"The weight {name} is not finite as {precision}"):
        quantize(module, precision)
