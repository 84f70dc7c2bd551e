"""The audit of the residual stream: every place is seen, and the exponent is the smallest that is enough."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.arch.swinir import SwinBlock, SwinIR
from sr_core.coreml.audit import STREAM_LIMIT, rescale_exponent, stream_peak
from sr_core.coreml.network import ChannelFirstSwinIR
from sr_core.errors import OptionError
from tests.sr_core.compress.networks import PRUNED, SPECS, random_network

TILES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(4))


def grow(module: SwinIR, factor: float) -> None:
    """Multiplies the residual stream without changing what the network computes."""
    with torch.no_grad():
        grown = [module.patch_norm.weight, module.patch_norm.bias]
        for name, layer in module.named_modules():
            if name.endswith((".attn.proj", ".mlp.fc2")):
                grown += [layer.weight, layer.bias]
            if isinstance(layer, torch.nn.Conv2d) and name.startswith("layers."):
                grown.append(layer.bias)
            if isinstance(layer, torch.nn.LayerNorm) and layer is not module.patch_norm:
                layer.eps *= factor**2
        for weight in grown:
            weight.mul_(factor)


@pytest.mark.parametrize("name", ["pruned", "nearest x4, 3conv", "odd widths"])
def test_a_grown_stream_is_measured_and_made_small_again(name: str) -> None:
    module = random_network(SPECS[name])
    peak = stream_peak(module, TILES)
    with torch.inference_mode():
        before = module(TILES)
    grow(module, 2000.0)
    with torch.inference_mode():
        torch.testing.assert_close(module(TILES), before, rtol=1e-3, atol=1e-3)
    assert stream_peak(module, TILES) == pytest.approx(2000 * peak, rel=1e-3)
    exponent = rescale_exponent(module, TILES)
    assert exponent == math.ceil(math.log2(2000 * peak / STREAM_LIMIT))
    network = ChannelFirstSwinIR(module, tile=16, rescale=exponent)
    streams: list[float] = []
    for part in [network.patch_norm, *network.layers, *(b for s in network.layers for b in s.residual_group.blocks)]:
        part.register_forward_hook(lambda _, __, output: streams.append(float(output.abs().max())))
    with torch.inference_mode():
        result = torch.cat([network.enlarge(tile[None]) for tile in TILES])
    torch.testing.assert_close(result, before, rtol=1e-3, atol=1e-3)
    assert STREAM_LIMIT / 2 < max(streams) <= STREAM_LIMIT * 1.0001


def write(module: SwinIR, place: str) -> None:
    """Lets the stream be 1000 at one place and small again behind it, where that is possible."""
    block = module.layers[0].residual_group.blocks[0]
    assert isinstance(block, SwinBlock)
    with torch.no_grad():
        match place:
            case "after the first norm":
                module.patch_norm.bias[0] = 1000.0
                block.attn.proj.bias[0] = -1000.0
                module.layers[0].conv.bias[0] = -1000.0  # against the shortcut of the stage
            case "between attention and MLP":
                block.attn.proj.bias[0] = -1000.0
                block.mlp.fc2.bias[0] = 1000.0
            case "after a block":
                block.mlp.fc2.bias[0] = 1000.0
                module.layers[0].residual_group.blocks[1].attn.proj.bias[0] = -1000.0
            case "after a stage":
                module.layers[-1].conv.bias[0] = 1000.0


@pytest.mark.parametrize(
    "place", ["after the first norm", "between attention and MLP", "after a block", "after a stage"]
)
def test_the_stream_is_seen_wherever_it_is_written(place: str) -> None:
    module = random_network(PRUNED)
    assert stream_peak(module, TILES) < 100
    write(module, place)
    assert 900 < stream_peak(module, TILES) < 1100


def test_the_largest_of_all_tiles_counts() -> None:
    module = random_network(PRUNED)
    alone = [stream_peak(module, tile[None]) for tile in TILES]
    assert alone[0] != alone[1]
    assert stream_peak(module, TILES) == stream_peak(module, TILES.flip(0)) == max(alone)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1e5))
def test_the_exponent_is_the_smallest_that_is_enough(value: float) -> None:
    module = random_network(SPECS["no branches"])
    with torch.no_grad():
        module.patch_norm.weight.zero_()
        module.patch_norm.bias.fill_(value)
        for stage in module.layers:
            stage.conv.weight.zero_()
            stage.conv.bias.zero_()
    exponent, peak = rescale_exponent(module, TILES), stream_peak(module, TILES)
    assert peak == pytest.approx(value)
    assert peak * 2.0**-exponent <= STREAM_LIMIT
    assert exponent == 0 or peak * 2.0 ** -(exponent - 1) > STREAM_LIMIT


def test_a_small_stream_is_left_alone() -> None:
    assert rescale_exponent(random_network(PRUNED), TILES) == 0


def test_nothing_watches_the_network_afterwards() -> None:
    module = random_network(PRUNED)
    stream_peak(module, TILES)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_what_cannot_be_audited_is_refused() -> None:
    module = random_network(PRUNED)
    with pytest.raises(OptionError, match="at least one tile"):
        stream_peak(module, TILES[:0])
    with torch.no_grad():
        module.patch_norm.bias[0] = float("inf")
    with pytest.raises(OptionError, match="not finite"):
        rescale_exponent(module, TILES)
