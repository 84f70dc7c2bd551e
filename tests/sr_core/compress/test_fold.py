"""Folded networks compute the same, and their norms are plain."""

import pytest
import torch

from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.fold import fold_norms
from tests.sr_core.compress.networks import PRUNED, SPECS, picture, random_network


@pytest.mark.parametrize("name", SPECS)
def test_a_folded_network_computes_the_same(name: str) -> None:
    module = random_network(SPECS[name])
    before = {key: value.clone() for key, value in module.state_dict().items()}
    folded = fold_norms(module)
    x = picture(module.spec)
    with torch.inference_mode():
        expected, result = module(x), folded(x)
    assert expected.std() > 0.02  # the comparison is about something
    assert (result - expected).abs().max() < 2e-6
    assert folded.spec == module.spec
    assert not folded.training
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_only_the_norms_inside_the_blocks_become_plain() -> None:
    module = random_network(PRUNED)
    folded = fold_norms(module)
    norms = 0
    for block in (block for stage in stages_of(folded) for block in stage):
        for norm in (block.norm1, block.norm2):
            if norm is not None:
                norms += 1
                assert torch.equal(norm.weight, torch.ones(24))
                assert torch.equal(norm.bias, torch.zeros(24))
    assert norms == 4 + 4
    changed = {key for key, value in folded.state_dict().items() if not torch.equal(value, module.state_dict()[key])}
    assert {key.split("blocks.")[-1].partition(".")[2].rpartition(".")[0] for key in changed} == {
        "norm1",
        "norm2",
        "attn.qkv",
        "mlp.fc1",
    }
    assert not any(key.startswith(("patch_norm", "norm")) for key in changed)


def test_folding_twice_is_folding_once_bit_for_bit() -> None:
    once = fold_norms(random_network(PRUNED))
    twice = fold_norms(once)
    assert all(torch.equal(value, twice.state_dict()[key]) for key, value in once.state_dict().items())


def test_a_copy_shares_no_weight() -> None:
    module = random_network(PRUNED)
    copied = copy_network(module)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1)
    reference = random_network(PRUNED).state_dict()
    assert all(torch.equal(value, reference[key]) for key, value in module.state_dict().items())


def test_blocks_come_in_the_order_in_which_they_run() -> None:
    stages = stages_of(random_network(PRUNED))
    heads = [[block.attn.heads if block.attn else 0 for block in stage] for stage in stages]
    assert heads == [[4, 1, 0], [2, 3]]
