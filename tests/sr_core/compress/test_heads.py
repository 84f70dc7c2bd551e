"""Pruned heads: what remains is what the masked network computes, and it is smaller."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_core.arch.build import parameter_count
from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.heads import head_scores, prune_heads, remove_heads
from sr_core.compress.removal import HeadsPerBlock
from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec, swinir_spec
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, picture, random_network


def one(spec: SwinIRSpec, stage: int, block: int, heads: tuple[int, ...]) -> HeadsPerBlock:
    """Heads of a single block."""
    return tuple(tuple(heads if (i, j) == (stage, block) else () for j in range(d)) for i, d in enumerate(spec.depths))


def masked(module: SwinIR, removed: HeadsPerBlock) -> SwinIR:
    """The same network with the projection's columns of these heads at zero: they contribute nothing."""
    silent = copy_network(module)
    width = module.spec.head_dim
    with torch.no_grad():
        for blocks, gone in zip(stages_of(silent), removed, strict=True):
            for block, heads in zip(blocks, gone, strict=True):
                for head in heads:
                    assert block.attn is not None
                    block.attn.proj.weight[:, head * width : (head + 1) * width] = 0.0
    return silent


def run(module: SwinIR) -> Tensor:
    with torch.inference_mode():
        return module(picture(module.spec))


def assert_same(result: Tensor, expected: Tensor) -> None:
    assert expected.std() > 0.02  # the comparison is about something
    assert (result - expected).abs().max() < 2e-6


def heads_of(spec: SwinIRSpec) -> list[tuple[int, int, int]]:
    return [(i, j, h) for i, stage in enumerate(spec.heads) for j, n in enumerate(stage) for h in range(n)]


@pytest.mark.parametrize(("stage", "block", "head"), heads_of(PRUNED))
def test_removing_a_head_is_masking_it(stage: int, block: int, head: int) -> None:
    module, gone = random_network(PRUNED), one(PRUNED, stage, block, (head,))
    expected, pruned = run(masked(module, gone)), remove_heads(module, gone)
    assert pruned.spec.heads[stage][block] == PRUNED.heads[stage][block] - 1
    assert_same(run(pruned), expected)
    assert (run(module) - expected).abs().max() > 1e-4  # the head did something
    assert not pruned.training


def test_a_head_that_contributes_nothing_is_not_missed() -> None:
    gone = one(WHOLE, 1, 0, (1, 3))
    silent = masked(random_network(WHOLE), gone)
    assert_same(run(remove_heads(silent, gone)), run(silent))


@pytest.mark.parametrize("resi_connection", ["1conv", "3conv"])
@pytest.mark.parametrize("hidden", [((48, 48, 48), (48, 48)), ((48, 0, 0), (0, 0)), ((0, 0, 0), (0, 0))])
def test_without_its_last_head_a_block_has_no_attention_and_its_constant_stays(
    hidden: tuple[tuple[int, ...], ...], resi_connection: str
) -> None:
    """Every choice of blocks: the constant finds its way to whichever layer still writes before the block."""
    spec = replace(WHOLE, hidden=hidden, resi_connection=resi_connection, heads=((2, 2, 2), (2, 2)))
    module = random_network(spec)
    for choice in product((False, True), repeat=5):
        chosen = iter(choice)
        gone = tuple(tuple((1, 0) if next(chosen) else () for _ in stage) for stage in spec.heads)
        pruned = remove_heads(module, gone)
        assert [h for stage in pruned.spec.heads for h in stage] == [0 if lost else 2 for lost in choice]
        assert_same(run(pruned), run(masked(module, gone)))


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_heads_can_go_at_once(data: st.DataObject) -> None:
    module = random_network(WHOLE)
    some = st.lists(st.integers(0, 3), unique=True, max_size=4).map(tuple)
    gone = tuple(tuple(data.draw(some) for _ in stage) for stage in WHOLE.heads)
    assert_same(run(remove_heads(module, gone)), run(masked(module, gone)))


def test_a_head_takes_all_its_weights_with_it() -> None:
    module = random_network(WHOLE)
    pruned = remove_heads(module, one(WHOLE, 0, 1, (2,)))
    dim, width = WHOLE.embed_dim, WHOLE.head_dim
    per_head = 3 * width * (dim + 1) + 15 * 15 + width * dim
    assert parameter_count(module) - parameter_count(pruned) == per_head


def test_the_input_is_left_alone() -> None:
    module = random_network(PRUNED)
    remove_heads(module, tuple(tuple(tuple(range(n)) for n in stage) for stage in PRUNED.heads))
    prune_heads(module, 2)
    reference = random_network(PRUNED).state_dict()
    assert all(torch.equal(value, reference[key]) for key, value in module.state_dict().items())


def test_a_score_is_the_sum_of_the_magnitudes_of_a_heads_rows() -> None:
    module = random_network(PRUNED)
    scores = head_scores(module)
    assert [[len(block) for block in stage] for stage in scores] == [list(stage) for stage in PRUNED.heads]
    attn = stages_of(module)[1][1].attn
    assert attn is not None
    weight, width = attn.qkv.weight, PRUNED.head_dim
    for head in range(3):
        rows = [weight[part * 3 * width + head * width + row] for part in range(3) for row in range(width)]
        assert scores[1][1][head] == pytest.approx(sum(float(row.abs().sum().detach()) for row in rows), rel=1e-5)


def test_each_step_takes_the_weakest_head_of_every_block() -> None:
    module = random_network(PRUNED)
    scores = head_scores(module)
    pruned, gone = prune_heads(module, 2)
    assert pruned.spec == replace(PRUNED, heads=((2, 0, 0), (0, 1)))
    for stage, blocks in zip(scores, gone, strict=True):
        for block, lost in zip(stage, blocks, strict=True):
            assert list(lost) == sorted(range(len(block)), key=lambda head: block[head])[:2]
    assert_same(run(pruned), run(remove_heads(module, gone)))


def test_no_step_is_a_copy_and_all_steps_leave_no_attention() -> None:
    module = random_network(WHOLE)
    same, gone = prune_heads(module, 0)
    assert same is not module
    assert same.spec == WHOLE
    assert torch.equal(run(same), run(module))
    assert gone == tuple(tuple(() for _ in stage) for stage in WHOLE.heads)
    bare, gone = prune_heads(module, 4)
    assert bare.spec.heads == ((0, 0, 0), (0, 0))
    assert all(sorted(lost) == [0, 1, 2, 3] for stage in gone for lost in stage)
    assert_same(run(bare), run(masked(module, gone)))


def test_scores_are_computed_anew_after_each_repair() -> None:
    """A repair that makes the head which now stands first the weakest: it must be the next to go."""
    seen: list[SwinIRSpec] = []

    def weaken_first(module: SwinIR) -> SwinIR:
        seen.append(module.spec)
        changed = copy_network(module)
        with torch.no_grad():
            for block in (block for stage in stages_of(changed) for block in stage):
                if block.attn is not None:
                    block.attn.qkv.weight.view(3, block.attn.heads, -1)[:, 0] *= 1e-3
        return changed

    module = random_network(WHOLE)
    _, gone = prune_heads(module, 3, repair=weaken_first)
    assert [spec.heads[0][0] for spec in seen] == [3, 2, 1]
    assert len({lost[0] for stage in gone for lost in stage}) > 1  # the first to go is not always the same
    for lost in (lost for stage in gone for lost in stage):
        left = [head for head in range(4) if head != lost[0]]
        assert list(lost[1:]) == left[:2]


def test_a_head_that_is_not_there_is_refused() -> None:
    module = random_network(PRUNED)
    for gone, sentence in (
        (one(PRUNED, 1, 0, (2,)), r"Block 0 of stage 1 has 2 heads, counted from 0, and cannot lose the heads \[2\]\."),
        (one(PRUNED, 0, 0, (1, 1)), r"Block 0 of stage 0 has 4 heads.*\[1, 1\]"),
        (one(PRUNED, 0, 0, (-1,)), r"cannot lose the heads \[-1\]"),
        (one(PRUNED, 0, 2, (0,)), r"Block 2 of stage 0 has 0 heads"),
        (((), ()), r"for \[0, 0\] blocks per stage, but the network has \[3, 2\]"),
    ):
        with pytest.raises(OptionError, match=sentence):
            remove_heads(module, gone)
    for steps in (-1, 5):
        with pytest.raises(OptionError, match=f"up to 4 heads in a block, so 0 to 4 can go, not {steps}"):
            prune_heads(module, steps)


def test_a_pruned_network_of_every_kind_runs() -> None:
    for spec in SPECS.values():
        pruned, _ = prune_heads(random_network(spec), min(1, max(max(stage) for stage in spec.heads)))
        assert torch.isfinite(run(pruned)).all()


def test_light_loses_what_its_heads_held() -> None:
    light = random_network(swinir_spec(scale=2, embed_dim=60, depths=(6,) * 4, heads=6))
    pruned, _ = prune_heads(light, 1)
    assert parameter_count(light) == 910_152
    assert parameter_count(pruned) == 910_152 - 24 * (3 * 10 * 61 + 225 + 10 * 60)
