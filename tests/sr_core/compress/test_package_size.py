"""Planned bytes of packages against packages: never fewer, and few more."""

from dataclasses import replace
from pathlib import Path

import pytest

from sr_core.compress.package_size import description_bytes, package_bytes_of, weight_file_bytes
from sr_core.compress.quantize import quantize
from sr_core.coreml.package import package_bytes
from sr_core.spec import LayerFormat, swinir_spec
from tests.sr_core.compress.networks import PRUNED, SPECS, formats_for, mixed_formats, random_network
from tests.sr_core.coreml.packages import save_network

NAMES = [name for name, spec in SPECS.items() if spec.channels == 3]


@pytest.mark.parametrize(
    "name", [name if name == "pruned" else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_a_package_takes_what_was_planned_or_a_little_less(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    module = quantize(random_network(spec), "mixed-bit", formats_for(spec, "mixed-bit"))
    tile = (1 if name == "whole" else 3) * spec.window
    path = save_network(tmp_path, module, "mixed-bit", "float16", tile=tile, compact_bias=True)
    formats = formats_for(spec, "mixed-bit")
    data = path / "Data" / "com.apple.CoreML"
    assert 0 <= weight_file_bytes(spec, formats, tile) - (data / "weights" / "weight.bin").stat().st_size < 64
    described = (data / "model.mlmodel").stat().st_size
    assert described <= description_bytes(spec, formats) < 1.12 * described  # these networks are tiny
    assert package_bytes(path) <= package_bytes_of(spec, formats, tile)


def test_a_light_network_by_hand() -> None:
    """Every weight of a block takes as many bytes as its format says, and 64 for each tensor, on multiples of 64."""
    light = swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6)
    formats = mixed_formats(light)
    name = "layers.2.residual_group.blocks.3.attn.qkv.weight"  # 180 x 60

    def bytes_as(word: LayerFormat) -> int:
        return weight_file_bytes(light, tuple((n, word if n == name else w) for n, w in formats), 64)

    assert bytes_as("float16") - bytes_as("int8") == (21_632) - (10_816 + 192 + 384) - 2 * 64
    assert bytes_as("int8") - bytes_as("palette6") == (10_816 + 192 + 384) - (8_128 + 128) + 64
    assert bytes_as("palette6") - bytes_as("palette4") == (8_128 + 128) - (5_440 + 64)


def test_only_the_mask_grows_with_the_tile() -> None:
    formats = mixed_formats(PRUNED)
    one, more, many = (weight_file_bytes(PRUNED, formats, tile) for tile in (8, 16, 128))
    assert more == many == one + 3 * 512
    no_shift = replace(PRUNED, heads=((4, 0, 2), (2, 0)))
    assert weight_file_bytes(no_shift, mixed_formats(no_shift), 8) == weight_file_bytes(
        no_shift, mixed_formats(no_shift), 16
    )
