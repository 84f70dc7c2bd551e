"""Removed heads and hidden units together: what remains is what the masked network computes, and it is smaller."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sr_core.arch.build import parameter_count
from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.removal import Removal, none_of, remove
from sr_core.errors import OptionError
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, picture, random_network


def masked(module: SwinIR, removal: Removal) -> SwinIR:
    """The same network with the weights at zero by which what goes would be heard."""
    silent, width = copy_network(module), module.spec.head_dim
    with torch.no_grad():
        for stage in removal.stages:
            for part in silent.layers[stage].get_submodule("conv").modules():
                if isinstance(part, nn.Conv2d) and part.bias is not None:
                    part.weight.zero_()
                    part.bias.zero_()
        for i, stage in enumerate(stages_of(silent)):
            for j, block in enumerate(stage):
                for head in removal.heads[i][j]:
                    assert block.attn is not None
                    block.attn.proj.weight[:, head * width : (head + 1) * width] = 0.0
                if removal.units[i][j]:
                    assert block.mlp is not None
                    block.mlp.fc2.weight[:, list(removal.units[i][j])] = 0.0
    return silent


def assert_same(one: SwinIR, other: SwinIR) -> None:
    with torch.inference_mode():
        result, expected = (module(picture(module.spec)) for module in (one, other))
    assert expected.std() > 0.02  # the comparison is about something
    assert (result - expected).abs().max() < 3e-6


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_anything_can_go_at_once_and_every_constant_stays(data: st.DataObject) -> None:
    """Whole branches go as often as single parts do, in every kind of network."""
    spec = data.draw(st.sampled_from(list(SPECS.values())))
    module = random_network(spec)

    numbers = range(len(spec.depths))
    stages = tuple(data.draw(st.sets(st.sampled_from(numbers), max_size=len(numbers) - 1)))

    def gone(counts: tuple[tuple[int, ...], ...]) -> tuple[tuple[tuple[int, ...], ...], ...]:
        def one(count: int) -> tuple[int, ...]:
            some = st.sets(st.integers(0, count), max_size=6).map(lambda found: tuple(n for n in found if n < count))
            return data.draw(st.one_of(st.just(tuple(range(count))), st.just(()), some))

        return tuple(
            tuple(tuple(range(count)) if i in stages else one(count) for count in stage)
            for i, stage in enumerate(counts)
        )

    removal = Removal(heads=gone(spec.heads), units=gone(spec.hidden), stages=stages)
    pruned = remove(module, removal)
    staying = [stage for stage in numbers if stage not in stages]
    for counts, left, lost in (
        (spec.heads, pruned.spec.heads, removal.heads),
        (spec.hidden, pruned.spec.hidden, removal.units),
    ):
        assert len(left) == len(staying)
        for stage, after in zip(staying, left, strict=True):
            blocks = zip(counts[stage], after, lost[stage], strict=True)
            assert all(before == now + len(gone_here) for before, now, gone_here in blocks)
    assert_same(pruned, masked(module, removal))


def test_a_unit_takes_its_row_its_bias_and_its_column_with_it() -> None:
    module = random_network(WHOLE)
    units = (((), (3, 40), ()), ((), ()))
    pruned = remove(module, Removal(heads=none_of(WHOLE), units=units))
    assert parameter_count(module) - parameter_count(pruned) == 2 * (WHOLE.embed_dim + 1 + WHOLE.embed_dim)
    assert pruned.spec == replace(WHOLE, hidden=((48, 46, 48), (48, 48)))


def test_nothing_removed_is_an_equal_network_that_shares_nothing() -> None:
    module = random_network(PRUNED)
    same = remove(module, Removal(heads=none_of(PRUNED), units=none_of(PRUNED)))
    assert_same(same, module)
    with torch.no_grad():
        same.conv_first.weight.zero_()
    assert module.conv_first.weight.abs().sum() > 0
    assert not same.training


def test_a_unit_that_is_not_there_is_refused() -> None:
    module = random_network(PRUNED)
    for units, sentence in (
        ((((48,), (), ()), ((), ())), r"Block 0 of stage 0 has 48 hidden units, counted from 0, and cannot .* \[48\]"),
        ((((), (1, 1), ()), ((), ())), r"Block 1 of stage 0 has 5 hidden units.*\[1, 1\]"),
        ((((), (), ()), ((0,), ())), r"Block 0 of stage 1 has 0 hidden units"),
        (((), ()), r"hidden units to remove are listed for \[0, 0\] blocks per stage, but the network has \[3, 2\]"),
    ):
        with pytest.raises(OptionError, match=sentence):
            remove(module, Removal(heads=none_of(PRUNED), units=units))


def test_a_stage_that_cannot_go_is_refused() -> None:
    module = random_network(WHOLE)
    everything = tuple(tuple(tuple(range(n)) for n in stage) for stage in WHOLE.heads)
    units = tuple(tuple(tuple(range(n)) for n in stage) for stage in WHOLE.hidden)
    for stages, heads, sentence in (
        ((2,), everything, r"has 2 stages, counted from 0, and cannot lose the stages \[2\]"),
        ((1, 1), everything, r"cannot lose the stages \[1, 1\]"),
        ((0, 1), everything, "cannot lose all of its stages"),
        ((1,), none_of(WHOLE), "only go with all its heads and hidden units"),
    ):
        with pytest.raises(OptionError, match=sentence):
            remove(module, Removal(heads=heads, units=units, stages=stages))
