"""Removed heads and hidden units together: what remains is what the masked network computes, and it is smaller."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.arch.build import parameter_count
from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.removal import Removal, none_of, remove
from sr_core.errors import OptionError
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, picture, random_network


def masked(module: SwinIR, removal: Removal) -> SwinIR:
    """The same network with the last layers' columns of what goes at zero: it contributes nothing."""
    silent, width = copy_network(module), module.spec.head_dim
    with torch.no_grad():
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

    def gone(counts: tuple[tuple[int, ...], ...]) -> tuple[tuple[tuple[int, ...], ...], ...]:
        def one(count: int) -> tuple[int, ...]:
            everything = st.just(tuple(range(count)))
            return data.draw(st.one_of(everything, st.just(()), st.sets(st.integers(0, count), max_size=6).map(
                lambda some: tuple(number for number in some if number < count))))  # fmt: skip

        return tuple(tuple(one(count) for count in stage) for stage in counts)

    removal = Removal(heads=gone(spec.heads), units=gone(spec.hidden))
    pruned = remove(module, removal)
    for counts, left, lost in (
        (spec.heads, pruned.spec.heads, removal.heads),
        (spec.hidden, pruned.spec.hidden, removal.units),
    ):
        for stage in zip(counts, left, lost, strict=True):
            assert all(before == after + len(gone_here) for before, after, gone_here in zip(*stage, strict=True))
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
