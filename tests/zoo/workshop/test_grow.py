import numpy as np
import pytest
import torch
from PIL import Image

from sr_core.arch.build import build
from sr_core.errors import OptionError
from sr_core.spec import swinir_spec
from tests.zoo.workshop.conftest import draw
from zoo.workshop.grow import grow_from, start_as_interpolation


def random_network(depths: tuple[int, ...], seed: int, embed_dim: int = 12):
    torch.manual_seed(seed)
    module = build(swinir_spec(scale=2, embed_dim=embed_dim, depths=depths, heads=2)).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return module


@pytest.mark.parametrize("depths", [(2, 1), (3, 2), (2, 1, 1), (4, 3, 2, 2)])
def test_a_grown_network_computes_what_the_shallow_one_does(depths: tuple[int, ...]) -> None:
    shallow, deep = random_network((2, 1), 0), random_network(depths, 1)
    x = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        before = deep(x)
        grow_from(deep, shallow)
        after, expected = deep(x), shallow(x)
    assert (before - expected).abs().max() > 0.1
    assert torch.allclose(after, expected, atol=1e-5)


def test_every_new_layer_of_a_grown_network_learns() -> None:
    shallow, deep = random_network((1,), 0), random_network((2, 1), 1)
    grow_from(deep, shallow)
    deep.train()
    deep(torch.rand(1, 3, 16, 16)).square().mean().backward()
    new_block = deep.layers[0].residual_group.blocks[1]
    assert new_block.attn.proj.weight.grad.abs().sum() > 0
    assert new_block.mlp.fc2.weight.grad.abs().sum() > 0
    assert deep.layers[1].conv.weight.grad.abs().sum() > 0


def test_another_width_cannot_grow() -> None:
    with pytest.raises(OptionError, match="same width"):
        grow_from(random_network((2, 1), 0, embed_dim=8), random_network((1,), 1))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_an_interpolating_start_is_close_to_bicubic(scale: int) -> None:
    torch.manual_seed(0)
    module = build(swinir_spec(scale=scale, embed_dim=12, depths=(1,), heads=2)).eval()
    low = draw(0, 32)
    x = torch.from_numpy(np.asarray(low).copy()).permute(2, 0, 1)[None].float() / 255
    expected = np.asarray(low.resize((32 * scale, 32 * scale), Image.Resampling.BICUBIC), np.float64)

    def distance() -> float:
        with torch.inference_mode():
            result = module(x)[0].permute(1, 2, 0).numpy() * 255.0
        return float(np.abs(result - expected)[8:-8, 8:-8].mean())

    assert distance() > 20
    start_as_interpolation(module)
    assert distance() < 3


def test_other_upsamplers_have_no_interpolating_start() -> None:
    module = build(swinir_spec(scale=2, embed_dim=12, depths=(1,), heads=2, upsampler="pixelshuffle"))
    with pytest.raises(OptionError, match="pixelshuffledirect"):
        start_as_interpolation(module)
