"""Networks cut into segments: run on from any place, and looked into layer by layer."""

import pytest
import torch
from torch import nn

from sr_core.compress.segments import begin, layers_of, run, seen, segments_of, shortcut
from tests.sr_core.compress.networks import SPECS, picture, random_network


@pytest.mark.parametrize("name", SPECS)
def test_the_segments_together_are_the_network(name: str) -> None:
    module = random_network(SPECS[name])
    x = picture(SPECS[name], 2 * module.spec.window, 2 * module.spec.window)
    with torch.inference_mode():
        found = run(module, segments_of(module), begin(module, x)).x
        torch.testing.assert_close(found, module(x), rtol=0, atol=0)


@pytest.mark.parametrize("name", SPECS)
def test_every_layer_belongs_to_one_segment_in_the_order_of_the_run(name: str) -> None:
    module, order = random_network(SPECS[name]), list[str]()
    layers = {n: part for n, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)}
    for layer_name, layer in layers.items():
        layer.register_forward_hook(lambda *_, layer_name=layer_name: order.append(layer_name))
    with torch.inference_mode():
        module(picture(SPECS[name], 16, 16))
    assert [layer for segment in segments_of(module) for layer in layers_of(module, segment)] == order
    assert sorted(order) == sorted(layers)


@pytest.mark.parametrize("name", ["whole", "nearest x4, 3conv", "odd widths"])
def test_what_is_seen_of_a_layer_is_what_it_does(name: str) -> None:
    """The last layer of a segment and the shortcut make what comes behind it, and nothing hangs on afterwards."""
    module = random_network(SPECS[name])
    with torch.inference_mode():
        state = begin(module, picture(SPECS[name], 16, 16))
        for segment in segments_of(module):
            output = None
            for layer_name, given, output in seen(module, segment, state):
                torch.testing.assert_close(module.get_submodule(layer_name)(given), output)
            way, after = shortcut(segment, state), run(module, (segment,), state)
            if way is not None and output is not None:
                behind = after.x if after.x.shape == (way + output).shape else after.x.permute(0, 3, 1, 2)
                torch.testing.assert_close(behind, way + output)
            state = after
    assert not any(part._forward_hooks for part in module.modules())


def test_a_layer_that_was_changed_is_seen_by_the_next_one() -> None:
    module = random_network(SPECS["whole"])
    mlp = next(one for one in segments_of(module) if one.kind == "mlp")
    with torch.inference_mode():
        state = run(module, segments_of(module)[:2], begin(module, picture(SPECS["whole"], 16, 16)))
        assert segments_of(module)[2] == mlp
        layers = seen(module, mlp, state)
        name, _, _ = next(layers)
        module.get_submodule(name).weight.zero_()
        module.get_submodule(name).bias.zero_()
        _, given, _ = next(layers)
    assert not given.any()
