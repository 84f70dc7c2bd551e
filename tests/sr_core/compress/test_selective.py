"""Selective pruning: what costs least goes, the budget is kept, and what is measured is what happens."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network, stages_of
from sr_core.compress.cost import count_macs_per_megapixel, count_parameters
from sr_core.compress.latency import LatencyTable
from sr_core.compress.removal import Removal, none_of, remove
from sr_core.compress.repair import repair
from sr_core.compress.segments import Segment, finish, walk
from sr_core.compress.selective import Budget, Costs, Measure, Step, choose, measure_costs, prune_selective
from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec, swinir_spec
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE, random_network

TABLE = LatencyTable(heads=(0.0, 3.0, 5.0, 7.0, 9.0), units=((0, 0.0), (24, 4.0), (48, 6.0)), stage=2.0, rest=16.0)
MEASURES: tuple[Measure, ...] = get_args(Measure)


def tiles(count: int = 4) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@cache
def whole_costs(*, repairs: bool) -> Costs:
    return measure_costs(random_network(WHOLE), tiles(), repairs=repairs)


def error(module: SwinIR, whole: SwinIR, pictures: Tensor) -> float:
    with torch.inference_mode():
        return float((module(pictures) - whole(pictures)).square().mean())


def only(spec: SwinIRSpec, step: Step) -> Removal:
    """The removal of a single step."""
    gone = tuple(
        tuple(tuple(step.gone) if (i, j) == (step.branch.stage, step.branch.block) else () for j in range(d))
        for i, d in enumerate(spec.depths)
    )
    if step.branch.kind == "attention":
        return Removal(heads=gone, units=none_of(spec))
    return Removal(heads=none_of(spec), units=gone)


def amount(spec: SwinIRSpec, measure: Measure) -> float:
    match measure:
        case "parameters":
            return count_parameters(spec).total
        case "macs":
            return count_macs_per_megapixel(spec).total
        case "milliseconds":
            return TABLE.milliseconds(spec)


def budget_of(share: float, measure: Measure) -> Budget:
    return Budget(share=share, measure=measure, latency=TABLE if measure == "milliseconds" else None)


def test_a_measured_error_without_repair_is_that_of_the_network_without_them() -> None:
    module = random_network(PRUNED)
    steps = measure_costs(module, tiles(), repairs=False).steps
    assert {step.branch.kind for step in steps} == {"attention", "mlp"}
    for step in steps:
        real = error(remove(module, only(PRUNED, step)), module, tiles())
        assert step.error == pytest.approx(real, rel=1e-3)
        assert step.error > 1e-9


def test_a_measured_error_with_repair_is_smaller_and_grows_with_what_goes() -> None:
    plain, mended = (whole_costs(repairs=repairs).steps for repairs in (False, True))
    assert sum(step.error for step in mended) < 0.7 * sum(step.error for step in plain)
    for branch in {step.branch for step in mended}:
        counts = [len(step.gone) for step in mended if step.branch == branch]
        assert counts == sorted(set(counts))
        whole = WHOLE.heads if branch.kind == "attention" else WHOLE.hidden
        assert counts[-1] == whole[branch.stage][branch.block]
        errors = [step.error for step in mended if step.branch == branch]
        assert errors[-1] > errors[0]


@pytest.mark.parametrize("repairs", [False, True])
def test_what_contributes_nothing_goes_first(repairs: bool) -> None:
    """Three heads and some units write nothing: with a budget of just them, they are what goes, and nobody notices."""
    module = copy_network(random_network(WHOLE))
    width, idle = WHOLE.head_dim, {(0, 0): 2, (0, 2): 0, (1, 1): 3}
    with torch.no_grad():
        for (i, j), head in idle.items():
            attn = stages_of(module)[i][j].attn
            assert attn is not None
            attn.proj.weight[:, head * width : (head + 1) * width] = 0.0
    of_heads = 3 * (3 * width * (WHOLE.embed_dim + 1) + 225 + WHOLE.embed_dim * width)
    budget = Budget(share=0.98 * of_heads / count_parameters(WHOLE).total)
    pruned, removal = prune_selective(module, tiles(), budget, repairs=repairs)
    assert removal.heads == (((2,), (), (0,)), ((), (3,)))
    assert not any(units for stage in removal.units for units in stage)
    assert error(pruned, module, tiles()) < 1e-9


def test_a_unit_that_repeats_another_is_the_first_to_go_when_its_layer_is_solved_for_again() -> None:
    module = copy_network(random_network(WHOLE))
    with torch.no_grad():
        mlp = stages_of(module)[1][0].mlp
        assert mlp is not None
        mlp.fc1.weight[7], mlp.fc1.bias[7] = mlp.fc1.weight[20], mlp.fc1.bias[20]
    for repairs in (True, False):
        costs = measure_costs(module, tiles(), repairs=repairs)
        steps = [step for step in costs.steps if step.branch == Segment("mlp", 1, 0)]
        assert (steps[0].gone[0] in (7, 20)) is repairs


def test_what_goes_next_depends_on_what_has_gone() -> None:
    """Two units do the same, one against the other: without the weaker one, nothing is lost with the stronger."""
    module, weaker, stronger = copy_network(random_network(WHOLE)), 5, 31
    with torch.no_grad():
        mlp = stages_of(module)[1][1].mlp
        assert mlp is not None
        mlp.fc1.weight[stronger], mlp.fc1.bias[stronger] = mlp.fc1.weight[weaker], mlp.fc1.bias[weaker]
        column = 0.5 * mlp.fc2.weight.norm(dim=0).min() * torch.nn.functional.normalize(torch.ones(24), dim=0)
        mlp.fc2.weight[:, weaker], mlp.fc2.weight[:, stronger] = column, -2 * column
    costs = measure_costs(module, tiles(), repairs=False)
    order = max((step.gone for step in costs.steps if step.branch == Segment("mlp", 1, 1)), key=len)
    assert 0 < order.index(stronger) - order.index(weaker) < 4
    assert order.index(weaker) < 30


def test_a_layer_is_solved_for_again_after_each_unit_on_all_tiles() -> None:
    """Against least squares at once, for the last branch of a network, on tiles that differ much."""
    module = copy_network(random_network(WHOLE))
    few = torch.cat([tiles(2), 0.4 + 0.2 * tiles(4)[2:]])
    steps = [s for s in measure_costs(module, few, repairs=True).steps if s.branch == Segment("mlp", 1, 1)]
    with torch.inference_mode():
        place = list(walk(module, few))[-1]
        expected, written = module(few), place.x - place.before.x
        for step in steps[:-1]:
            left = [unit for unit in range(48) if unit not in step.gone]
            rows = place.inputs.flatten(0, -2)[:, left].double()
            rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
            layer = torch.linalg.lstsq(rows, written.flatten(0, -2).double()).solution
            again = (rows @ layer).float().view(place.x.shape)
            best = float((finish(module, place, place.before.x + again) - expected).square().mean())
            assert step.error == pytest.approx(best, rel=0.1)


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_no_other_choice_frees_enough_for_less(data: st.DataObject) -> None:
    spec = swinir_spec(scale=2, embed_dim=12, depths=(2,), heads=2)
    branches = [Segment("attention", 0, 0), Segment("attention", 0, 1), Segment("mlp", 0, 0), Segment("mlp", 0, 1)]
    errors = st.floats(1e-6, 1.0)
    options: list[list[Step]] = []
    for branch in branches:
        counts = (1, 2) if branch.kind == "attention" else (5, 12, 24)
        options.append([Step(branch=branch, gone=tuple(range(n)), error=data.draw(errors)) for n in counts])
    budget = budget_of(data.draw(st.floats(0.02, 0.4)), data.draw(st.sampled_from(MEASURES)))
    whole = amount(spec, budget.measure)

    def freed(steps: Sequence[Step]) -> float:
        return whole - amount(smaller(spec, steps), budget.measure)

    steps = tuple(step for one in options for step in one)
    removal = choose(spec, Costs(steps=steps, stages=(data.draw(errors),)), budget)
    chosen = [s for one in options for s in one if s.gone == gone_of(removal, s.branch)]
    assert freed(chosen) >= budget.share * whole * (1 - 1e-9)
    for other in product(*([None, *one] for one in options)):
        rival = [step for step in other if step is not None]
        # The knapsack rounds what is freed down to a 4000th of the budget, once for each branch.
        if freed(rival) >= budget.share * whole * (1 + 5 / 4000):
            assert sum(s.error for s in chosen) <= sum(s.error for s in rival) + 1e-12


def smaller(spec: SwinIRSpec, steps: Sequence[Step]) -> SwinIRSpec:
    heads, hidden = ([list(stage) for stage in counts] for counts in (spec.heads, spec.hidden))
    for step in steps:
        counts = heads if step.branch.kind == "attention" else hidden
        counts[step.branch.stage][step.branch.block] -= len(step.gone)
    return replace(spec, heads=tuple(map(tuple, heads)), hidden=tuple(map(tuple, hidden)))


def gone_of(removal: Removal, branch: Segment) -> tuple[int, ...]:
    of_kind = removal.heads if branch.kind == "attention" else removal.units
    return of_kind[branch.stage][branch.block]


def test_a_stage_goes_as_a_whole_where_that_is_cheapest_and_only_there() -> None:
    step = Step(branch=Segment("attention", 0, 0), gone=(0, 1, 2, 3), error=1e-3)
    other = Step(branch=Segment("attention", 1, 0), gone=(3, 0, 1, 2), error=2e-3)
    freed = 4 * (3 * 6 * 25 + 225 + 24 * 6) + 24 + 2 * 24  # four heads, the projection's bias, the norm
    budget = Budget(share=0.95 * freed / count_parameters(WHOLE).total)
    cheap, dear = Costs(steps=(step, other), stages=(1.0, 5e-4)), Costs(steps=(step, other), stages=(1.0, 5e-3))
    gone = choose(WHOLE, cheap, budget)
    assert gone.stages == (1,)
    assert gone.heads == (((), (), ()), ((0, 1, 2, 3), (0, 1, 2, 3)))
    assert gone.units[1] == (tuple(range(48)), tuple(range(48)))
    assert choose(WHOLE, dear, budget) == Removal(heads=(((0, 1, 2, 3), (), ()), ((), ())), units=none_of(WHOLE))
    both = Budget(share=0.95 * 2 * freed / count_parameters(WHOLE).total)
    assert choose(WHOLE, dear, both).heads == (((0, 1, 2, 3), (), ()), ((0, 1, 2, 3), ()))


def test_a_stage_that_does_nothing_goes_first() -> None:
    module = copy_network(random_network(WHOLE))
    with torch.no_grad():
        for value in module.layers[1].get_submodule("conv").parameters():
            value.zero_()
    for repairs in (False, True):
        pruned, removal = prune_selective(module, tiles(), Budget(share=0.3), repairs=repairs)
        assert removal.stages == (1,)
        assert len(pruned.spec.depths) == 1
        assert error(pruned, module, tiles()) < 1e-9


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("share", [0.05, 0.3])
def test_the_budget_is_kept_and_hardly_exceeded(measure: Measure, share: float) -> None:
    costs = whole_costs(repairs=True)
    pruned = remove(random_network(WHOLE), choose(WHOLE, costs, budget_of(share, measure)))
    whole, left = amount(WHOLE, measure), amount(pruned.spec, measure)
    assert share <= 1 - left / whole + 1e-9 < share + 0.08


def test_choosing_costs_less_than_taking_the_same_from_every_block() -> None:
    module = random_network(WHOLE)
    same = Removal(heads=tuple(tuple((0,) for _ in stage) for stage in WHOLE.heads), units=none_of(WHOLE))
    even = remove(module, same)
    share = 1 - count_parameters(even.spec).total / count_parameters(WHOLE).total
    for repairs in (False, True):
        costs = whole_costs(repairs=repairs)
        uneven, _ = prune_selective(module, tiles(), Budget(share=share), repairs=repairs, costs=costs)
        rival = repair(even, module, tiles()) if repairs else even
        assert error(uneven, module, tiles()) < error(rival, module, tiles())


def test_the_same_tiles_give_the_same_network_and_the_input_is_left_alone() -> None:
    module = random_network(WHOLE)
    words: list[str] = []
    one, lost = prune_selective(module, tiles(), Budget(share=0.2), repairs=True, report=words.append)
    other, lost_again = prune_selective(module, tiles(), Budget(share=0.2), repairs=True)
    assert lost == lost_again
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())
    reference = random_network(WHOLE).state_dict()
    assert all(torch.equal(value, reference[key]) for key, value in module.state_dict().items())
    assert "measuring attention 0.0" in words
    assert not one.training


def test_what_cannot_be_is_refused() -> None:
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(OptionError, match="above 0 and below 1"):
            Budget(share=share)
    with pytest.raises(OptionError, match="no heads and no hidden units that could be removed"):
        measure_costs(random_network(SPECS["no branches"]), tiles(), repairs=True)
    wrong: tuple[tuple[Measure, LatencyTable | None], ...] = (("milliseconds", None), ("macs", TABLE))
    for measure, table in wrong:
        with pytest.raises(OptionError, match="A table of times is needed where time is counted, and only there"):
            Budget(share=0.5, measure=measure, latency=table)
    with pytest.raises(OptionError, match="So much as 99% of the network's parameters cannot be removed"):
        choose(WHOLE, whole_costs(repairs=False), Budget(share=0.99))


@pytest.mark.parametrize("repairs", [False, True])
def test_what_the_output_does_not_see_costs_nothing(repairs: bool) -> None:
    """Units that write much to channels that nobody reads go before those that write little to others."""
    module, idle, loud = copy_network(random_network(WHOLE)), 12, [7, 19, 40]
    with torch.no_grad():
        mlp = stages_of(module)[0][2].mlp  # the last branch of its stage: only the convolution behind reads it
        assert mlp is not None
        module.layers[0].get_submodule("conv").get_parameter("weight")[:, :idle] = 0.0
        mlp.fc2.weight[:, loud] = 0.0
        mlp.fc2.weight[:idle, loud] = 30.0
    costs = measure_costs(module, tiles(), repairs=repairs)
    steps = [step for step in costs.steps if step.branch == Segment("mlp", 0, 2)]
    assert set(steps[0].gone[:3]) == set(loud)


@pytest.mark.parametrize("measure", MEASURES)
def test_all_that_can_go_goes_where_that_is_asked(measure: Measure) -> None:
    """The share of everything but one stage without branches is met, to the last parameter; more is refused."""
    branches = [
        (Segment(kind, i, j), counts[i][j])
        for i, depth in enumerate(PRUNED.depths)
        for j in range(depth)
        for kind, counts in (("attention", PRUNED.heads), ("mlp", PRUNED.hidden))
        if counts[i][j]
    ]
    steps = tuple(Step(branch=one, gone=tuple(range(n)), error=float(n)) for one, n in branches for n in {1, n})
    costs = Costs(steps=steps, stages=(1e3, 1e4))
    bare = replace(PRUNED, heads=((0, 0, 0),), hidden=((0, 0, 0),))
    whole, least = amount(PRUNED, measure), amount(bare, measure)
    gone = choose(PRUNED, costs, budget_of(1 - least / whole, measure))
    (stage,) = {0, 1} - set(gone.stages)
    assert [len(one) for one in gone.heads[stage]] == list(PRUNED.heads[stage])
    assert [len(one) for one in gone.units[stage]] == list(PRUNED.hidden[stage])
    with pytest.raises(OptionError, match=rf"So much as \d+% of the network's {measure} cannot be removed"):
        choose(PRUNED, costs, budget_of((1 - least / whole) * 1.0001, measure))


def test_where_time_is_counted_what_takes_time_goes_though_it_costs_more() -> None:
    """Heads that hold most parameters take next to no time here, and are missed least."""
    table = LatencyTable(heads=(0.0, 0.1, 0.2, 0.3, 0.4), units=((0, 0.0), (48, 48.0)), stage=1.0, rest=10.0)
    steps: list[Step] = []
    for i, depth in enumerate(WHOLE.depths):
        for j in range(depth):
            steps += [Step(branch=Segment("attention", i, j), gone=(0, 1, 2, 3)[:n], error=1e-6 * n) for n in (1, 4)]
            steps += [Step(branch=Segment("mlp", i, j), gone=tuple(range(n)), error=1e-3 * n) for n in (12, 24, 48)]
    costs = Costs(steps=tuple(steps), stages=(1e3, 1e3))
    in_time = choose(WHOLE, costs, Budget(share=0.2, measure="milliseconds", latency=table))
    in_values = choose(WHOLE, costs, Budget(share=0.2))
    assert sum(len(units) for stage in in_time.units for units in stage) == 60
    assert not any(units for stage in in_values.units for units in stage)
    assert 0.75 < table.milliseconds(left_by(WHOLE, in_time)) / table.milliseconds(WHOLE) <= 0.8
    assert table.milliseconds(left_by(WHOLE, in_values)) > 0.99 * table.milliseconds(WHOLE)


def left_by(spec: SwinIRSpec, removal: Removal) -> SwinIRSpec:
    heads, hidden = (
        tuple(tuple(n - len(one) for n, one in zip(*blocks, strict=True)) for blocks in zip(counts, gone, strict=True))
        for counts, gone in ((spec.heads, removal.heads), (spec.hidden, removal.units))
    )
    return replace(spec, heads=heads, hidden=hidden)
