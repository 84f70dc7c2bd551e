"""SwinIR against the official code, at every shape, and pruned against masked."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sr_core.arch.build import build, parameter_count
from sr_core.arch.swinir import SwinBlock, SwinIR, partition, shift_mask, unpartition
from sr_core.arch.weights import load_official
from sr_core.spec import ResiConnection, SwinIRSpec, Upsampler, swinir_spec
from tests.peers import official_weights, peer_swinir, randomize

LIGHT = swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6)


def small(scale: int, upsampler: Upsampler, resi_connection: ResiConnection = "1conv", dim: int = 180) -> SwinIRSpec:
    heads = {60: 6, 180: 6, 240: 8}[dim]
    return swinir_spec(
        scale=scale, embed_dim=dim, depths=(2, 1), heads=heads, upsampler=upsampler, resi_connection=resi_connection
    )


VARIANTS = {
    "light x2, full size": LIGHT,
    "light x3": small(3, "pixelshuffledirect", dim=60),
    "light x4": small(4, "pixelshuffledirect", dim=60),
    "classical M x2": small(2, "pixelshuffle"),
    "classical M x3": small(3, "pixelshuffle"),
    "classical M x4": small(4, "pixelshuffle"),
    "classical M x8": small(8, "pixelshuffle"),
    "real M x2": small(2, "nearest+conv"),
    "real M x4": small(4, "nearest+conv"),
    "real L x4": small(4, "nearest+conv", "3conv", dim=240),
}


def random_module(spec: SwinIRSpec, seed: int = 0) -> SwinIR:
    module = build(spec).eval()
    randomize(module, seed)
    return module


@pytest.mark.parametrize("name", VARIANTS)
def test_a_published_checkpoint_gives_what_the_official_code_gives(name: str, tmp_path: Path) -> None:
    spec = VARIANTS[name]
    peer = peer_swinir(spec)
    randomize(peer, seed=1)
    path = tmp_path / "checkpoint.pth"
    torch.save({"params_ema" if "real" in name else "params": peer.state_dict()}, path)
    module = load_official(path, spec)
    for shape in ((1, 3, 17, 23), (2, 3, 8, 9), (1, 3, 24, 40))[: 3 if spec.embed_dim == 60 else 2]:
        picture = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            expected, result = peer(picture), module(picture)
        assert result.shape == (shape[0], 3, shape[2] * spec.scale, shape[3] * spec.scale)
        assert expected.std() > 0.02  # the comparison is about something
        assert (result - expected).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("spec", "count", "keys"),
    [
        (LIGHT, 910_152, 366),
        (replace(LIGHT, scale=3), 918_267, 366),
        (replace(LIGHT, scale=4), 929_628, 366),
        (swinir_spec(scale=2, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="pixelshuffle"), 11_752_487, 548),
        (swinir_spec(scale=4, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="pixelshuffle"), 11_900_199, 550),
        (swinir_spec(scale=2, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="nearest+conv"), 11_678_631, 550),
        (swinir_spec(scale=4, embed_dim=180, depths=(6,) * 6, heads=6, upsampler="nearest+conv"), 11_715_559, 552),
    ],
)
def test_parameters_and_keys_are_as_many_as_in_the_official_files(spec: SwinIRSpec, count: int, keys: int) -> None:
    with torch.device("meta"):
        module = SwinIR(spec)
    blocks = sum(spec.depths)
    assert parameter_count(module) == count
    assert len(module.state_dict()) + blocks + blocks // 2 == keys  # the official file also holds index and mask


@pytest.mark.parametrize("name", VARIANTS)
def test_official_names_cover_every_learned_weight(name: str) -> None:
    module, peer = build(VARIANTS[name]), peer_swinir(VARIANTS[name])
    assert official_weights(module).keys() == {key for key, _ in peer.named_parameters()}


PRUNED = SwinIRSpec(
    scale=2, embed_dim=24, head_dim=6, heads=((4, 1, 0), (2, 3)), hidden=((48, 5, 7), (0, 48)), upsampler="nearest+conv"
)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 3), (8, 8), (16, 9)])
def test_any_size_works(size: tuple[int, int]) -> None:
    module = random_module(PRUNED)
    with torch.inference_mode():
        result = module(torch.rand(2, 3, *size))
    assert result.shape == (2, 3, 2 * size[0], 2 * size[1])
    assert torch.isfinite(result).all()


def test_a_block_of_nothing_is_the_identity() -> None:
    spec = replace(PRUNED, heads=((0, 0), (0,)), hidden=((0, 0), (0,)))
    module = random_module(spec)
    assert not any("blocks" in key for key in module.state_dict())
    with torch.inference_mode():
        assert torch.isfinite(module(torch.rand(1, 3, 9, 9))).all()


def keep(block: SwinBlock, kept: SwinBlock, head_dim: int) -> None:
    """Gives ``kept`` the first heads and hidden units of ``block``, and silences the others in ``block``."""
    if block.attn is not None and kept.attn is not None:
        heads, width = kept.attn.heads, kept.attn.heads * head_dim
        rows = torch.arange(3 * block.attn.heads * head_dim).view(3, -1)[:, :width].reshape(-1)
        kept.attn.qkv.weight.copy_(block.attn.qkv.weight[rows])
        kept.attn.qkv.bias.copy_(block.attn.qkv.bias[rows])
        kept.attn.proj.weight.copy_(block.attn.proj.weight[:, :width])
        kept.attn.proj.bias.copy_(block.attn.proj.bias)
        kept.attn.relative_position_bias_table.copy_(block.attn.relative_position_bias_table[:, :heads])
        block.attn.proj.weight[:, width:] = 0
    if block.mlp is not None and kept.mlp is not None:
        hidden = kept.mlp.fc1.out_features
        kept.mlp.fc1.weight.copy_(block.mlp.fc1.weight[:hidden])
        kept.mlp.fc1.bias.copy_(block.mlp.fc1.bias[:hidden])
        kept.mlp.fc2.weight.copy_(block.mlp.fc2.weight[:, :hidden])
        kept.mlp.fc2.bias.copy_(block.mlp.fc2.bias)
        block.mlp.fc2.weight[:, hidden:] = 0


def blocks_of(module: SwinIR) -> list[SwinBlock]:
    return [cast(SwinBlock, part) for part in module.modules() if isinstance(part, SwinBlock)]


def test_a_pruned_network_equals_the_masked_one() -> None:
    full = random_module(replace(PRUNED, heads=((4, 4, 4), (4, 4)), hidden=((48, 48, 48), (48, 48))))
    pruned = build(PRUNED).eval()
    with torch.no_grad():
        shared = {key: value for key, value in full.state_dict().items() if ".attn." not in key and ".mlp." not in key}
        own = pruned.state_dict()
        pruned.load_state_dict({key: shared.get(key, value) for key, value in own.items()})
        for block, kept in zip(blocks_of(full), blocks_of(pruned), strict=True):
            keep(block, kept, PRUNED.head_dim)
            for part, other in ((block.attn, kept.attn), (block.mlp, kept.mlp)):
                if part is not None and other is None:  # the whole branch is gone, its bias too
                    last = cast(nn.Linear, part.get_submodule("proj" if part is block.attn else "fc2"))
                    last.weight.zero_()
                    last.bias.zero_()
        picture = torch.rand(1, 3, 16, 24)
        assert (full(picture) - pruned(picture)).abs().max() < 1e-6


def test_tables_and_masks_are_never_saved() -> None:
    module = random_module(PRUNED)
    before = set(module.state_dict())
    with torch.inference_mode():
        for size in range(8, 120, 8):
            module(torch.rand(1, 3, 8, size))
    assert set(module.state_dict()) == before == {name for name, _ in module.named_parameters()}
    assert len(module._masks) <= 8


def test_a_mask_made_while_running_only_does_not_stop_training() -> None:
    module = random_module(PRUNED)
    with torch.inference_mode():
        module(torch.rand(1, 3, 16, 16))
    module(torch.rand(1, 3, 16, 16)).sum().backward()


@given(rows=st.integers(1, 4), columns=st.integers(1, 4), window=st.sampled_from([2, 4, 8]))
@settings(max_examples=20, deadline=None)
def test_partition_is_undone(rows: int, columns: int, window: int) -> None:
    x = torch.arange(2 * rows * columns * window**2 * 3).view(2, rows * window, columns * window, 3)
    assert torch.equal(unpartition(partition(x, window), window, rows * window, columns * window), x)


def test_the_shift_mask_parts_what_was_not_together() -> None:
    mask = shift_mask(16, 24, 8, 4)
    assert mask.shape == (6, 64, 64)
    assert [bool((window != 0).any()) for window in mask] == [False, False, True, True, True, True]
    assert set(mask.unique().tolist()) == {-100.0, 0.0}
    assert torch.equal(mask, mask.transpose(1, 2))
