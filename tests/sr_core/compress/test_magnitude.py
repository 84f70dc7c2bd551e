"""The smallest weights are zero, exactly as many as asked for, and nothing else changed."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sr_core.arch.build import parameter_count
from sr_core.compress.magnitude import prune_magnitude, weight_sparsity
from sr_core.errors import OptionError
from tests.sr_core.compress.networks import PRUNED, SPECS, random_network

MODULE = random_network(PRUNED)


@given(sparsity=st.floats(0, 1, exclude_max=True))
@settings(max_examples=25, deadline=None)
def test_each_linear_layer_loses_its_smallest_weights_exactly(sparsity: float) -> None:
    before = {name: value.clone() for name, value in MODULE.state_dict().items()}
    pruned = prune_magnitude(MODULE, sparsity)
    linear = {f"{name}.weight" for name, part in MODULE.named_modules() if isinstance(part, nn.Linear)}
    assert len(linear) == 4 * 2 + 4 * 2
    zeros = 0
    for name, value in pruned.state_dict().items():
        assert torch.equal(MODULE.state_dict()[name], before[name])
        if name not in linear:
            assert torch.equal(value, before[name])
            continue
        gone = value == 0
        assert int(gone.sum()) == round(sparsity * value.numel())
        assert torch.equal(value[~gone], before[name][~gone])
        if gone.any() and not gone.all():
            assert before[name][gone].abs().max() <= value[~gone].abs().min()
        zeros += int(gone.sum())
    measured = weight_sparsity(pruned)
    assert measured.linear == pytest.approx(zeros / sum(before[name].numel() for name in linear))
    assert measured.parameters == pytest.approx(zeros / parameter_count(MODULE))


def test_equal_magnitudes_are_counted_exactly_too() -> None:
    module = random_network(PRUNED)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear):
                part.weight.fill_(-0.5)
    assert weight_sparsity(prune_magnitude(module, 0.25)).linear == 0.25


def test_pruning_again_counts_what_is_gone_already() -> None:
    once = prune_magnitude(MODULE, 0.5)
    again = prune_magnitude(once, 0.5)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in once.state_dict().items())


def test_a_network_without_linear_layers_has_no_zeros() -> None:
    module = random_network(SPECS["no branches"])
    assert weight_sparsity(prune_magnitude(module, 0.9)).linear == 0.0
    assert weight_sparsity(MODULE).linear == 0.0


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_a_share_outside_its_range_is_refused(sparsity: float) -> None:
    with pytest.raises(OptionError, match=r"from 0 to less than 1, not "):
        prune_magnitude(MODULE, sparsity)
