"""Networks cut into segments: run on from any place, and looked into layer by layer."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from sr_core.compress.segments import (
    Segment,
    begin,
    behind,
    finish,
    inputs_of,
    layers_of,
    run,
    seen,
    segments_of,
    shortcut,
    walk,
    writer_of,
)
from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, picture, random_network


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


def existing(spec: SwinIRSpec) -> Iterator[Segment]:
    for i, depth in enumerate(spec.depths):
        for j in range(depth):
            if spec.heads[i][j]:
                yield Segment("attention", i, j)
            if spec.hidden[i][j]:
                yield Segment("mlp", i, j)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_walk_passes_every_branch_and_the_rest_of_the_network_ends_in_its_picture(spec: SwinIRSpec) -> None:
    module = random_network(spec)
    with torch.inference_mode():
        tiles = picture(spec)
        expected = module(tiles)
        places = list(walk(module, tiles))
        assert [place.branch for place in places] == list(existing(spec))
        for place in places:
            layer = writer_of(module, place.branch)
            assert place.inputs.shape[-1] == layer.weight.shape[1]
            assert torch.allclose(place.x, place.before.x + layer(place.inputs), atol=1e-6)
            assert (finish(module, place, place.x) - expected).abs().max() < 1e-5
            moved = finish(module, place, place.x + torch.randn(place.x.shape[-1]))
            assert (moved - expected).abs().max() > 1e-4  # what is behind a branch does matter


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_writer_is_the_layer_that_is_next_to_the_shortcut(spec: SwinIRSpec) -> None:
    module = random_network(spec)
    with torch.inference_mode():
        state = begin(module, picture(spec))
        for segment in segments_of(module):
            writer, layers = writer_of(module, segment), list(layers_of(module, segment).values())
            assert writer is layers[0 if segment.kind == "reconstruction" else -1]
            inputs, after = inputs_of(module, segment, state), run(module, (segment,), state)
            moved = behind(module, segment, state, writer(inputs) + 1.0).x
            if shortcut(segment, state) is not None:
                torch.testing.assert_close(moved, after.x + 1.0)
            state = after


def test_a_branch_that_is_not_there_has_no_writer() -> None:
    for gone in (Segment("attention", 0, 2), Segment("mlp", 1, 0)):
        with pytest.raises(ValueError, match="the network has no Segment"):
            writer_of(random_network(PRUNED), gone)


def test_pictures_that_are_no_multiple_of_the_window_are_refused() -> None:
    module = random_network(replace(WHOLE, window=6))
    for height, width in ((16, 24), (24, 16), (3, 3)):
        with pytest.raises(OptionError, match=rf"window of 6 pixels, not {height} x {width}\.\Z"):
            begin(module, picture(WHOLE, height, width))
