"""Costs computed from the spec, against what real networks do and what real files hold."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sr_core.arch.swinir import SwinIR, WindowAttention
from sr_core.arch.weights import save_weights
from sr_core.compress.cost import Cost, count_bytes, count_macs, count_macs_per_megapixel, count_parameters
from sr_core.compress.heads import prune_heads
from sr_core.compress.quantize import quantize
from sr_core.errors import OptionError
from sr_core.spec import Precision, SwinIRSpec, Upsampler, swinir_spec
from tests.sr_core.compress.networks import PRUNED, SPECS, picture, random_network, tiny_variant

LIGHT = swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6)


def part_of(name: str) -> str:
    """The part of the network that a weight belongs to, told from its name alone."""
    if ".attn." in name:
        return "attention"
    if ".mlp." in name:
        return "mlp"
    return "norms" if "norm" in name else "convolutions"


def add_up(costs: Iterator[tuple[str, int]]) -> Cost:
    totals = dict.fromkeys(("attention", "mlp", "convolutions", "norms"), 0)
    for part, cost in costs:
        totals[part] += cost
    return Cost(**totals)


class Hooks:
    """Counts the multiply-accumulates of a real run from the shapes that every layer gets and gives."""

    def __init__(self, module: SwinIR) -> None:
        self.counts: list[tuple[str, int]] = []
        for name, part in module.named_modules():
            if isinstance(part, nn.Conv2d | nn.Linear | WindowAttention):
                part.register_forward_hook(self.hook(name))

    def hook(self, name: str) -> Any:
        def count(part: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            match part:
                case nn.Conv2d():
                    macs = output.numel() * part.weight[0].numel()
                case nn.Linear():
                    macs = output.numel() * part.in_features
                case WindowAttention():
                    windows, tokens, _ = inputs[0].shape
                    macs = 2 * windows * part.heads * tokens * tokens * part.head_dim
                case _:
                    raise AssertionError(name)
            self.counts.append((part_of(f"{name}."), macs))

        return count


@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
@pytest.mark.parametrize("name", SPECS)
def test_multiplications_are_those_of_a_real_run(name: str, size: tuple[int, int]) -> None:
    spec = SPECS[name]
    height, width = (spec.window * n for n in size)
    module, x = random_network(spec), picture(spec, height, width)
    expected = count_macs(spec, height, width)
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        module(x)
    assert 2 * expected.total == flops.get_total_flops()
    by_module = flops.get_flop_counts()
    for part in ("attn", "mlp"):
        counted = sum(sum(c.values()) for n, c in by_module.items() if n.endswith(f".{part}"))
        assert 2 * (expected.attention if part == "attn" else expected.mlp) == counted
    hooks = Hooks(module)
    with torch.no_grad():
        module(x)
    assert expected == add_up(iter(hooks.counts))
    pixels = height * width
    assert count_macs_per_megapixel(spec).total * pixels == expected.total * 1_000_000


@pytest.mark.parametrize("name", SPECS)
def test_parameters_are_those_of_a_real_network(name: str) -> None:
    module = random_network(SPECS[name])
    counted = add_up((part_of(name), value.numel()) for name, value in module.named_parameters())
    assert count_parameters(SPECS[name]) == counted


@pytest.mark.parametrize("precision", get_args(Precision))
@pytest.mark.parametrize("name", SPECS)
def test_bytes_are_those_of_a_real_file(name: str, precision: Precision, tmp_path: Path) -> None:
    spec, path = SPECS[name], tmp_path / "model.safetensors"
    variant = tiny_variant(spec, precision)
    save_weights(quantize(random_network(spec), precision, variant.formats), path, variant)
    stored = load_file(path)
    counted = count_bytes(spec, precision, variant.formats)
    assert counted == add_up((part_of(key), value.nbytes) for key, value in stored.items())
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert counted.total == path.stat().st_size - 8 - header


def test_light_costs_what_its_layers_cost_by_hand() -> None:
    assert count_parameters(LIGHT).total == 910_152
    assert count_bytes(LIGHT, "float32").total == 4 * 910_152
    assert count_bytes(LIGHT, "float16").total == 2 * 910_152
    assert count_macs_per_megapixel(LIGHT) == Cost(
        attention=24 * (60 * 180 + 2 * 64 * 60 + 60 * 60) * 1_000_000,
        mlp=24 * (2 * 60 * 120) * 1_000_000,
        convolutions=9 * (3 * 60 + 5 * 60 * 60 + 60 * 12) * 1_000_000,
        norms=0,
    )


@pytest.mark.parametrize(
    ("scale", "upsampler", "dim", "count"),
    [
        (3, "pixelshuffledirect", 60, 918_267),
        (4, "pixelshuffledirect", 60, 929_628),
        (2, "pixelshuffle", 180, 11_752_487),
        (4, "pixelshuffle", 180, 11_900_199),
        (2, "nearest+conv", 180, 11_678_631),
        (4, "nearest+conv", 180, 11_715_559),
    ],
)
def test_published_networks_have_their_parameters(scale: int, upsampler: Upsampler, dim: int, count: int) -> None:
    depths = (6,) * (4 if dim == 60 else 6)
    spec = swinir_spec(scale=scale, embed_dim=dim, depths=depths, heads=6, upsampler=upsampler)
    assert count_parameters(spec).total == count


def test_each_head_less_makes_the_network_smaller_in_every_way() -> None:
    def costs(spec: SwinIRSpec) -> list[Cost]:
        return [count_parameters(spec), count_macs(spec, 8, 8), count_bytes(spec, "int8")]

    module = random_network(PRUNED)
    for steps in range(1, 5):
        fewer, more = prune_heads(module, steps)[0].spec, prune_heads(module, steps - 1)[0].spec
        for less, much in zip(costs(fewer), costs(more), strict=True):
            assert less.attention < much.attention
            assert replace(less, attention=0, norms=0) == replace(much, attention=0, norms=0)
    assert costs(prune_heads(module, 4)[0].spec)[0].attention == 0


@pytest.mark.parametrize("size", [(8, 12), (0, 8), (-8, 8), (15, 8)])
def test_a_size_that_is_no_multiple_of_the_window_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match=rf"window of 8 pixels, not for {size[0]} x {size[1]}\."):
        count_macs(PRUNED, *size)
