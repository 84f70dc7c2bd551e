"""The rewritten network against the original, for every kind of network, and its constants by name."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.arch.swinir import SwinIR
from sr_core.compress.fold import fold_norms
from sr_core.coreml.network import ChannelFirstSwinIR, constant_names, load_constants
from sr_core.errors import OptionError, PackageError
from sr_core.spec import SwinIRSpec
from tests.sr_core.compress.networks import PRUNED, SPECS, random_network

BRANCH = "layers.0.residual_group.blocks.0"


def tile_of(spec: SwinIRSpec, size: int, seed: int = 3) -> torch.Tensor:
    return torch.rand(1, spec.channels, size, size, generator=torch.Generator().manual_seed(seed))


def assert_same(module: SwinIR, network: ChannelFirstSwinIR, tolerance: float = 1e-5) -> None:
    picture = tile_of(module.spec, network.tile)
    with torch.inference_mode():
        expected, result = module(picture), network.enlarge(picture)
    assert result.shape == expected.shape
    assert (result - expected).abs().max() < tolerance * max(1, expected.abs().max())


def constants_of(network: ChannelFirstSwinIR, factor: float = 1) -> dict[str, np.ndarray]:
    """What a package would hold if every constant were so many times as large."""
    return {
        constant: network.get_buffer(name).numpy() * np.float16(factor)
        for constant, name in constant_names(network).items()
    }


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(("windows", "rescale", "folds"), [(1, 0, True), (2, 7, False), (3, 3, True)])
def test_the_rewritten_network_computes_the_same(name: str, windows: int, rescale: int, folds: bool) -> None:
    module = random_network(SPECS[name])
    tile = windows * module.spec.window
    assert_same(module, ChannelFirstSwinIR(module, tile=tile, rescale=rescale, folds_query_scale=folds))


@st.composite
def specs(draw: st.DrawFn) -> SwinIRSpec:
    upsampler = draw(st.sampled_from(["pixelshuffle", "pixelshuffledirect", "nearest+conv"]))
    depths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))
    heads = tuple(tuple(draw(st.integers(0, 3)) for _ in range(depth)) for depth in depths)
    hidden = tuple(tuple(draw(st.sampled_from([0, 1, 9, 16])) for _ in range(depth)) for depth in depths)
    return SwinIRSpec(
        scale=draw(st.sampled_from([2, 4] if upsampler == "nearest+conv" else [2, 3, 4, 8])),
        embed_dim=draw(st.integers(4, 13)),
        heads=heads,
        head_dim=draw(st.integers(1, 6)),
        hidden=hidden,
        window=draw(st.sampled_from([2, 4, 6])),
        upsampler=upsampler,
        resi_connection=draw(st.sampled_from(["1conv", "3conv"])),
        features=draw(st.integers(1, 12)),
    )


@settings(max_examples=25, deadline=None)
@given(specs(), st.integers(1, 3), st.integers(0, 14), st.booleans(), st.integers(0, 1000))
def test_any_network_is_rewritten_exactly(spec: SwinIRSpec, windows: int, rescale: int, folds: bool, seed: int) -> None:
    module = random_network(spec, seed)
    network = ChannelFirstSwinIR(module, tile=windows * spec.window, rescale=rescale, folds_query_scale=folds)
    assert_same(module, network, tolerance=3e-5)  # few channels make norms that divide by little


def test_the_output_is_a_picture() -> None:
    module = random_network(PRUNED)
    network = ChannelFirstSwinIR(module, tile=16)
    picture = tile_of(PRUNED, 16) * 4 - 1.5
    with torch.inference_mode():
        expected, result = module(picture), network(picture)
    assert expected.min() < 0
    assert expected.max() > 1
    torch.testing.assert_close(result, expected.clamp(0, 1) * 255, rtol=0, atol=2e-3)
    assert (result.min(), result.max()) == (0, 255)


def test_the_stream_is_smaller_and_the_weights_of_blocks_are_not() -> None:
    module = random_network(PRUNED)
    plain, small = (ChannelFirstSwinIR(module, tile=16, rescale=k) for k in (0, 6))
    streams: list[torch.Tensor] = []
    for network in (plain, small):
        network.layers[-1].register_forward_hook(lambda _, __, output: streams.append(output))
        with torch.inference_mode():
            network(tile_of(PRUNED, 16))
    torch.testing.assert_close(streams[1] * 64, streams[0], rtol=1e-4, atol=1e-4)
    changed = {name for name, buffer in plain.named_buffers() if not torch.equal(buffer, small.get_buffer(name))}
    assert changed == {"patch_norm.weight", "patch_norm.bias", "layers.0.conv.bias", "layers.1.conv.bias"}


def test_folding_the_scale_of_the_queries_changes_their_weights_alone() -> None:
    module = fold_norms(random_network(PRUNED))
    folded, apart = (ChannelFirstSwinIR(module, tile=16, folds_query_scale=folds) for folds in (True, False))
    name = f"{BRANCH}.attn.qkv.weight"
    original = module.state_dict()[name][:, :, None, None]
    width = PRUNED.heads[0][0] * PRUNED.head_dim
    assert torch.equal(apart.get_buffer(name), original)
    assert torch.equal(folded.get_buffer(name)[width:], original[width:])
    torch.testing.assert_close(folded.get_buffer(name)[:width], original[:width] * PRUNED.head_dim**-0.5)


def test_a_rewritten_network_stands_alone() -> None:
    module = random_network(PRUNED)
    network = ChannelFirstSwinIR(module, tile=16)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    state = {name: value.clone() for name, value in module.state_dict().items()}
    load_constants(network, constants_of(network, 2))
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    other = ChannelFirstSwinIR(module, tile=16)
    for parameter in module.parameters():
        parameter.data.zero_()
    assert all(torch.equal(buffer, before[name]) for name, buffer in other.named_buffers())
    assert not list(network.parameters())


def test_every_weight_of_the_original_has_a_constant() -> None:
    network = ChannelFirstSwinIR(random_network(PRUNED), tile=16)
    names = constant_names(network)
    assert set(names.values()) == {name for name, _ in network.named_buffers()}
    assert all(constant.isidentifier() for constant in names)
    assert names["layers_0_residual_group_blocks_0_attn_qkv_weight"] == f"{BRANCH}.attn.qkv.weight"
    blocks = [f"layers.{i}.residual_group.blocks.{j}" for i, j in ((0, 0), (0, 1), (1, 0), (1, 1))]
    baked = {"mean", "mask", *(f"{block}.attn.position_bias" for block in blocks)}
    norms = {name for name in fold_norms(random_network(PRUNED)).state_dict() if ".norm" in name}
    tables = {f"{block}.attn.relative_position_bias_table" for block in blocks}
    weights = set(random_network(PRUNED).state_dict()) - norms - tables
    assert set(names.values()) == weights | baked


def test_constants_of_a_package_are_put_back_by_name() -> None:
    module = random_network(PRUNED)
    network, other = ChannelFirstSwinIR(module, tile=16), ChannelFirstSwinIR(random_network(PRUNED, 5), tile=16)
    load_constants(other, constants_of(network) | {"conv_7_pad": np.zeros(4)})
    assert_same(module, other)
    assert all(buffer.dtype == torch.float32 for buffer in other.buffers())


def test_constants_that_do_not_fit_are_refused() -> None:
    network = ChannelFirstSwinIR(random_network(PRUNED), tile=16)
    constants = constants_of(network)
    without = {name: value for name, value in constants.items() if name != "layers_1_conv_bias"}
    with pytest.raises(PackageError, match="layers_1_conv_bias"):
        load_constants(network, without)
    with pytest.raises(PackageError, match=r"mean.*\(3,\)"):
        load_constants(network, constants | {"mean": np.zeros(3)})


def test_a_mask_stands_there_only_when_something_is_shifted() -> None:
    unshifted = replace(PRUNED, heads=((4, 0, 2), (2, 0)))
    assert ChannelFirstSwinIR(random_network(PRUNED), tile=16).mask is not None
    network = ChannelFirstSwinIR(random_network(unshifted), tile=16)
    assert network.mask is None
    assert "mask" not in constant_names(network)


@pytest.mark.parametrize(
    ("tile", "rescale", "word"), [(20, 0, "window"), (0, 0, "window"), (16, -1, "rescale"), (16, 15, "rescale")]
)
def test_what_cannot_be_is_refused(tile: int, rescale: int, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        ChannelFirstSwinIR(random_network(PRUNED), tile=tile, rescale=rescale)
