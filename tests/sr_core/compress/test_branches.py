"""The branches of a network: a walk passes each of them, and from any of them the rest of the network can be run."""

from collections.abc import Iterator

import pytest
import torch

from sr_core.compress.branches import Branch, finish, group_size, last_layer, walk
from sr_core.spec import SwinIRSpec
from tests.sr_core.compress.networks import PRUNED, SPECS, picture, random_network


def existing(spec: SwinIRSpec) -> Iterator[Branch]:
    for i, depth in enumerate(spec.depths):
        for j in range(depth):
            if spec.heads[i][j]:
                yield Branch(i, j, "attention")
            if spec.hidden[i][j]:
                yield Branch(i, j, "mlp")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_walk_passes_every_branch_and_the_rest_of_the_network_ends_in_its_picture(spec: SwinIRSpec) -> None:
    module = random_network(spec)
    with torch.inference_mode():
        tiles = picture(spec)
        expected = module(tiles)
        places = list(walk(module, tiles))
        assert [place.branch for place in places] == list(existing(spec))
        for place in places:
            layer = last_layer(module, place.branch)
            assert place.inputs.shape[-1] == layer.in_features
            assert layer.in_features % group_size(spec, place.branch.kind) == 0
            assert torch.allclose(place.x, place.before.x + layer(place.inputs), atol=1e-6)
            assert (finish(module, place, place.x) - expected).abs().max() < 1e-5
            moved = finish(module, place, place.x + torch.randn(place.x.shape[-1]))
            assert (moved - expected).abs().max() > 1e-4  # what is behind a branch does matter


def test_a_branch_that_is_not_there_has_no_last_layer() -> None:
    with pytest.raises(ValueError, match="no branch"):
        last_layer(random_network(PRUNED), Branch(0, 2, "attention"))
