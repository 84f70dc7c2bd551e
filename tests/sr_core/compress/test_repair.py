"""Repair: closed-form, never worse on what it was solved on, exact where what went can be made up for."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.removal import Removal, none_of, remove
from sr_core.compress.repair import repair, without_each_stage
from sr_core.compress.segments import Segment, begin, inputs_of, run, segments_of, shortcut, writer_of
from sr_core.spec import SwinIRSpec
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, explained, random_network

UNPRUNED = {name: spec for name, spec in SPECS.items() if name != "no branches"}


def tiles(spec: SwinIRSpec, count: int = 6, seed: int = 1) -> Tensor:
    return torch.rand(count, spec.channels, 16, 16, generator=torch.Generator().manual_seed(seed))


def output(module: SwinIR, pictures: Tensor) -> Tensor:
    with torch.inference_mode():
        return module(pictures)


def error(module: SwinIR, whole: SwinIR, pictures: Tensor) -> float:
    return float((output(module, pictures) - output(whole, pictures)).square().mean())


def some_removal(spec: SwinIRSpec) -> Removal:
    """The first head and every third hidden unit of every block that has them."""
    return Removal(
        heads=tuple(tuple((0,) if heads else () for heads in stage) for stage in spec.heads),
        units=tuple(tuple(tuple(range(0, hidden, 3)) for hidden in stage) for stage in spec.hidden),
    )


@pytest.mark.parametrize("spec", UNPRUNED.values(), ids=UNPRUNED.keys())
def test_a_repaired_network_is_nearer_to_the_whole_one_on_other_pictures_too(spec: SwinIRSpec) -> None:
    whole = random_network(spec)
    pruned = remove(whole, some_removal(spec))
    repaired = repair(pruned, whole, tiles(spec))
    assert repaired.spec == pruned.spec
    assert error(repaired, whole, tiles(spec)) < 0.5 * error(pruned, whole, tiles(spec))
    assert error(repaired, whole, tiles(spec, 2, seed=8)) < 0.7 * error(pruned, whole, tiles(spec, 2, seed=8))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_network_that_lost_nothing_stays_as_it_is(spec: SwinIRSpec) -> None:
    whole = random_network(spec)
    repaired = repair(whole, whole, tiles(spec))
    assert (output(repaired, tiles(spec)) - output(whole, tiles(spec))).abs().max() < 1e-4


def test_a_head_that_another_one_repeats_is_made_up_for() -> None:
    whole = copy_network(random_network(WHOLE))
    width = WHOLE.head_dim
    with torch.no_grad():
        attn = stages_of(whole)[0][1].attn
        assert attn is not None
        rows = attn.qkv.weight.view(3, attn.heads, width, -1)
        rows[:, 2] = rows[:, 1]
        attn.qkv.bias.view(3, attn.heads, width)[:, 2] = attn.qkv.bias.view(3, attn.heads, width)[:, 1]
        attn.relative_position_bias_table[:, 2] = attn.relative_position_bias_table[:, 1]
    heads = tuple(tuple((2,) if (i, j) == (0, 1) else () for j in range(d)) for i, d in enumerate(WHOLE.depths))
    pruned = remove(whole, Removal(heads=heads, units=none_of(WHOLE)))
    few = tiles(WHOLE)
    assert error(pruned, whole, few) > 1e-5
    assert error(repair(pruned, whole, few, ridge=1e-9), whole, few) < 1e-4 * error(pruned, whole, few)


def test_a_unit_that_is_a_sum_of_others_behind_a_lost_branch_is_mended_by_the_next_layer() -> None:
    """A lost branch has no layer of its own left: what it wrote must come from those behind it."""
    whole = random_network(replace(WHOLE, hidden=((48, 48, 48), (48, 48))))
    heads = (((0, 1, 2, 3), (), ()), ((), ()))
    pruned = remove(whole, Removal(heads=heads, units=none_of(WHOLE)))
    repaired = repair(pruned, whole, tiles(WHOLE))
    assert repaired.spec.heads[0][0] == 0
    assert error(repaired, whole, tiles(WHOLE)) < 0.6 * error(pruned, whole, tiles(WHOLE))


@pytest.mark.parametrize("stage", [0, 1])
def test_a_lost_stage_is_taken_over_by_the_layers_around_it(stage: int) -> None:
    whole = random_network(WHOLE)
    pruned = remove(whole, without(WHOLE, stage))
    repaired = repair(pruned, whole, tiles(WHOLE), stages=(stage,))
    assert len(repaired.spec.depths) == 1
    assert error(repaired, whole, tiles(WHOLE)) < 0.5 * error(pruned, whole, tiles(WHOLE))
    assert error(repaired, whole, tiles(WHOLE, 2, seed=8)) < 0.7 * error(pruned, whole, tiles(WHOLE, 2, seed=8))


def without(spec: SwinIRSpec, stage: int) -> Removal:
    """The removal of a stage."""
    heads, units = (
        tuple(tuple(tuple(range(n)) if i == stage else () for n in blocks) for i, blocks in enumerate(counts))
        for counts in (spec.heads, spec.hidden)
    )
    return Removal(heads=heads, units=units, stages=(stage,))


def linear_stages(spec: SwinIRSpec, seed: int) -> SwinIR:
    """A network whose blocks write nothing, and whose stages but the first do the same to each pixel."""
    module = random_network(spec, seed)
    with torch.no_grad():
        for i, blocks in enumerate(stages_of(module)):
            for block in blocks:
                for layer in (block.attn and block.attn.proj, block.mlp and block.mlp.fc2):
                    if layer is not None:
                        layer.weight.zero_()
                        layer.bias.zero_()
            kernel = module.layers[i].get_submodule("conv").get_parameter("weight")
            if i:
                kernel[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0.0
    return module


@pytest.mark.parametrize("gone", [(1,), (2,), (1, 2)])
def test_what_lost_stages_do_to_each_pixel_is_taken_over_whole(gone: tuple[int, ...]) -> None:
    """Their work is a product with a matrix, which the convolution before them can do as well."""
    spec = replace(WHOLE, heads=((2, 1), (2,), (1,)), hidden=((8, 6), (4,), (6,)))
    whole = linear_stages(spec, 3)
    pruned = whole
    for stage in reversed(gone):
        pruned = remove(pruned, without(pruned.spec, stage))
    few = tiles(spec)
    repaired = repair(pruned, whole, few, stages=gone, ridge=1e-9)
    assert error(pruned, whole, few) > 1e-3
    assert error(repaired, whole, few) < 1e-5 * error(pruned, whole, few)
    with torch.inference_mode():
        mine, theirs = (run(net, segments_of(net)[:-2], begin(net, few)).x for net in (repaired, whole))
        assert (mine - theirs).abs().max() < 1e-3 * theirs.abs().max()


@pytest.mark.parametrize("spec", [WHOLE, SPECS["nearest x4, 3conv"]], ids=["1conv", "3conv"])
def test_what_is_left_has_nothing_to_do_with_what_a_layer_takes(spec: SwinIRSpec) -> None:
    """Else the layer could take off more of it."""
    whole, few, shares = random_network(spec), tiles(spec), dict[Segment, float]()
    own = repair(remove(whole, some_removal(spec)), whole, few, ridge=1e-8)
    with torch.inference_mode():
        mine, theirs = begin(own, few), begin(whole, few)
        for segment in segments_of(whole):
            before, theirs = theirs, run(whole, (segment,), theirs)
            if segment not in segments_of(own):
                continue
            layer, inputs = writer_of(own, segment), inputs_of(own, segment, mine)
            way = shortcut(segment, mine)
            if way is None:
                target = writer_of(whole, segment)(before.x)
            else:
                target = (theirs.x.permute(0, 3, 1, 2) if segment.kind == "closing" else theirs.x) - way
            if segment.kind != "first":
                shares[segment] = explained(layer, inputs, target - layer(inputs))
            mine = run(own, (segment,), mine)
    assert len(shares) == len(segments_of(own)) - 1
    assert max(shares.values()) < 1e-3, shares


@pytest.mark.parametrize("seed", range(3))
def test_what_hardly_varies_on_the_tiles_does_no_harm_elsewhere(seed: int) -> None:
    """On nearly grey tiles many weights do as well, and most of them do something else elsewhere."""
    whole = random_network(WHOLE, seed)
    pruned = remove(whole, some_removal(WHOLE))
    grey, others = 0.5 + 0.01 * (tiles(WHOLE, 2, seed) - 0.5), tiles(WHOLE, 4, seed=8)
    repaired = repair(pruned, whole, grey)
    assert error(repaired, whole, grey) < 1.6e-4 * error(pruned, whole, grey)
    assert error(repaired, whole, others) < 1.2 * error(pruned, whole, others)


@pytest.mark.parametrize("spec", [WHOLE, SPECS["nearest x4, 3conv"]], ids=["1conv", "3conv"])
def test_what_the_network_makes_without_a_stage_is_what_is_measured(spec: SwinIRSpec) -> None:
    whole, few = random_network(spec), tiles(spec)
    with torch.inference_mode():
        plain = list(without_each_stage(whole, few, repairs=False))
        mended = list(without_each_stage(whole, few, repairs=True))
    for stage, picture in enumerate(plain):
        shorter = remove(whole, without(spec, stage))
        assert (output(shorter, few) - picture).abs().max() < 1e-5
    expected = output(whole, few)
    assert torch.equal(mended[0], plain[0])  # nothing before the first stage can take over
    assert (mended[1] - expected).square().mean() < 0.9 * (plain[1] - expected).square().mean()


def test_each_layer_is_where_no_small_change_is_better() -> None:
    """The last layer before the picture is solved for last, so the picture's own error is at its least there."""
    whole = random_network(PRUNED)
    pruned = remove(whole, some_removal(PRUNED))
    few = tiles(PRUNED)
    repaired = repair(pruned, whole, few, ridge=1e-12)
    least = error(repaired, whole, few)
    random = torch.Generator().manual_seed(3)
    for _ in range(5):
        moved = copy_network(repaired)
        with torch.no_grad():
            weight = moved.reconstruction.get_parameter("0.weight")
            weight.add_(1e-3 * torch.randn(weight.shape, generator=random))
        assert error(moved, whole, few) > least


def test_the_same_tiles_give_the_same_weights_and_nothing_that_goes_in_is_changed() -> None:
    whole = random_network(WHOLE)
    pruned = remove(whole, some_removal(WHOLE))
    before = {key: value.clone() for key, value in pruned.state_dict().items()}
    one, other = (repair(pruned, whole, tiles(WHOLE)).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert_equal(pruned.state_dict(), before)
    assert_equal(whole.state_dict(), random_network(WHOLE).state_dict())


def assert_equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert all(torch.equal(value, other[key]) for key, value in one.items())
