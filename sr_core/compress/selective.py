"""Selective pruning: which heads, hidden units and stages go is decided for the whole network, by what that costs.

Three steps on calibration tiles:

1. First order. A few backward passes through the whole network, from random signs at its output, say how much a change
   of the residual stream behind each branch matters: the mean outer product of the gradients is the metric in which the
   error of the output is seen from there. With it and the second moments of a branch's inputs, the heads or hidden
   units of a branch are put in the order in which they go best, where asked with the branch's last layer solved for
   again after each (optimal brain surgeon, with groups for heads).
2. Measured. For several numbers of removed heads, or units, the rest of the network is run behind the smaller branch,
   and the mean square difference at the output is noted. This sees what the metric does not: layers that are not
   linear, and errors that add up between neighbouring pixels. The same is done for each stage as a whole.
3. Chosen. The differences of different branches nearly add, so the choice with the least sum that frees enough of what
   is counted, learned values, multiplications or time, is a knapsack, once for each set of stages that may go. What is
   freed is counted in 4000ths of the budget, rounded down, so that the budget is always kept.

Signs are of a fixed seed, so the same tiles give the same choice.

Source: Hassibi and Stork, "Second order derivatives for network pruning: optimal brain surgeon", NIPS 1992, equation 5;
groups, and measured costs in a knapsack: Kurtic et al., "ZipLM: inference-aware structured pruning of language models",
NeurIPS 2023, section 3.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations
from typing import Final, Literal, TypeAlias, assert_never

import numpy as np
import torch
from torch import Tensor

from sr_core.arch.swinir import SwinIR
from sr_core.compress.blocks import copy_network
from sr_core.compress.cost import count_macs_per_megapixel, count_parameters
from sr_core.compress.knapsack import EXACT, pick_options
from sr_core.compress.latency import LatencyTable
from sr_core.compress.least_squares import bias_of
from sr_core.compress.removal import Removal, remove
from sr_core.compress.repair import repair, without_each_stage
from sr_core.compress.segments import Segment, finish, walk, writer_of
from sr_core.errors import OptionError
from sr_core.spec import SwinIRSpec

__all__ = ["Budget", "Costs", "Measure", "Step", "choose", "measure_costs", "prune_selective"]

Measure: TypeAlias = Literal["parameters", "macs", "milliseconds"]

PROBES: Final = 2
"""Backward passes for each tile."""
TILES_AT_A_TIME: Final = 2
MEASURED_TILES: Final = 4
UNIT_STEPS: Final = 10
"""Numbers of removed hidden units that are measured in each MLP."""
CELLS: Final = 4000
"""Parts into which the knapsack divides the budget."""
DAMPING: Final = 1e-4
"""Added to second moments, in units of their mean, so that inputs which never vary can be removed as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much is to go.

    Attributes:
        share: Of what the whole network has, above 0 and below 1.
        measure: What is counted: learned values, multiplications, or time on a machine.
        latency: The times, where time is counted.
    """

    share: float
    measure: Measure = "parameters"
    latency: LatencyTable | None = None

    def __post_init__(self) -> None:
        """Refuses a share that cannot be met, and time without a table of times."""
        if not 0 < self.share < 1:
            raise OptionError(f"The share to remove must be above 0 and below 1, not {self.share}.")
        if (self.measure == "milliseconds") != (self.latency is not None):
            raise OptionError("A table of times is needed where time is counted, and only there.")

    def amount(self, spec: SwinIRSpec) -> float:
        """Returns how much a network has of what is counted."""
        match self.measure:
            case "parameters":
                return count_parameters(spec).total
            case "macs":
                return count_macs_per_megapixel(spec).total
            case "milliseconds":
                if self.latency is None:
                    raise ValueError("refused when the budget was made")
                return self.latency.milliseconds(spec)
            case _:
                assert_never(self.measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way to make a branch smaller, measured.

    Attributes:
        branch: Which branch.
        gone: Its heads or hidden units that go, in the order in which they go.
        error: Mean square difference at the output when only this branch is changed.
    """

    branch: Segment
    gone: tuple[int, ...]
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What was measured of a network.

    Attributes:
        steps: Ways to make each branch smaller, those of a branch together.
        stages: For each stage the mean square difference at the output when it is gone.
    """

    steps: tuple[Step, ...]
    stages: tuple[float, ...]


def prune_selective(
    module: SwinIR,
    tiles: Tensor,
    budget: Budget,
    *,
    repairs: bool,
    costs: Costs | None = None,
    report: Callable[[str], None] = lambda _words: None,
) -> tuple[SwinIR, Removal]:
    """Returns a smaller network, and what it lost.

    Args:
        module: The network; it is not changed.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        budget: How much is to go.
        repairs: Whether the layers that are left are solved for again (:mod:`sr_core.compress.repair`).
        costs: What was measured of this network on these tiles already, for networks of several budgets.
        report: Is told what is being done.

    Raises:
        OptionError: So much cannot go, or there is nothing that could.
    """
    costs = costs or measure_costs(module, tiles, repairs=repairs, report=report)
    removal = choose(module.spec, costs, budget)
    pruned = remove(module, removal)
    if repairs:
        report("solving for the layers that are left")
        pruned = repair(pruned, module, tiles, stages=removal.stages)
    return pruned, removal


def choose(spec: SwinIRSpec, costs: Costs, budget: Budget) -> Removal:
    """Returns the removal of least error that frees enough, with at most one step for each branch.

    Args:
        spec: The network that was measured.
        costs: What was measured.
        budget: How much is to go.

    Raises:
        OptionError: So much cannot go.
    """
    numbers = range(len(spec.depths))
    sets = chain.from_iterable(combinations(numbers, count) for count in numbers)  # never all of them
    options = _by_branch((step, _freed(spec, step, budget)) for step in costs.steps)
    found = [_best_without(spec, costs, options, budget, gone) for gone in sets]
    best = min((choice for choice in found if choice is not None), key=lambda choice: choice.error, default=None)
    if best is None:
        raise OptionError(f"So much as {budget.share:.0%} of the network's {budget.measure} cannot be removed from it.")
    heads, units = (
        [[tuple(range(count)) if i in best.stages else () for count in stage] for i, stage in enumerate(counts)]
        for counts in (spec.heads, spec.hidden)
    )
    for step in best.steps:
        kept = heads if step.branch.kind == "attention" else units
        kept[step.branch.stage][step.branch.block] = tuple(sorted(step.gone))
    return Removal(heads=tuple(map(tuple, heads)), units=tuple(map(tuple, units)), stages=best.stages)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Stages and steps that free enough, and the sum of their errors."""

    stages: tuple[int, ...]
    steps: tuple[Step, ...]
    error: float


_Option: TypeAlias = tuple[Step, float]
"""A step and what it frees of what is counted."""


def _best_without(
    spec: SwinIRSpec, costs: Costs, branches: Sequence[Sequence[_Option]], budget: Budget, stages: tuple[int, ...]
) -> _Choice | None:
    """Returns the best choice of steps where these stages are gone, or None where no steps free enough."""
    wanted, base = budget.share * budget.amount(spec), sum(costs.stages[stage] for stage in stages)
    missing = wanted - (budget.amount(spec) - budget.amount(_without_stages(spec, stages)))
    if missing <= EXACT * wanted:
        return _Choice(stages, (), base)
    staying = [options for options in branches if not options[0][0].branch.is_within(stages)]
    freed = [[0.0, *(amount for _, amount in options)] for options in staying]  # first, a branch is left as it is
    errors = [[0.0, *(step.error for step, _ in options)] for options in staying]
    numbers = pick_options(freed, errors, missing, missing / CELLS)
    if numbers is None:
        return None
    steps = tuple(options[number - 1][0] for options, number in zip(staying, numbers, strict=True) if number)
    return _Choice(stages, steps, base + sum(step.error for step in steps))


def _without_stages(spec: SwinIRSpec, gone: tuple[int, ...]) -> SwinIRSpec:
    staying = [stage for stage in range(len(spec.depths)) if stage not in gone]
    return replace(spec, heads=tuple(spec.heads[i] for i in staying), hidden=tuple(spec.hidden[i] for i in staying))


def measure_costs(
    module: SwinIR, tiles: Tensor, *, repairs: bool, report: Callable[[str], None] = lambda _words: None
) -> Costs:
    """Returns what it costs to make each branch smaller, by several numbers of heads or units, and to lose each stage.

    Args:
        module: The network; it is not changed.
        tiles: Calibration tiles (n, channels, S, S) in 0..1; S is a multiple of the window.
        repairs: Whether the last layer of the smaller branch, or the layer before the lost stage, is solved for again.
        report: Is told what is being done.
    """
    if not any(count for counts in (module.spec.heads, module.spec.hidden) for stage in counts for count in stage):
        raise OptionError("The network has no heads and no hidden units that could be removed.")
    module = copy_network(module)
    report("first-order costs")
    moments = _moments(module, tiles)
    steps: list[Step] = []
    with torch.inference_mode():
        some = tiles[:MEASURED_TILES]
        expected = module(some)
        for place in walk(module, some):
            branch = place.branch
            report(f"measuring {branch.kind} {branch.stage}.{branch.block}")
            counts = _counts(module.spec, branch)
            for gone, layer in _removals(module, branch, moments[branch], repairs=repairs):
                if len(gone) in counts:
                    flat = place.inputs.flatten(0, -2) @ layer[:, :-1].t() + layer[:, -1]
                    output = finish(module, place, place.before.x + flat.view(place.x.shape))
                    error = float((output - expected).square().mean())
                    steps.append(Step(branch=branch, gone=gone, error=error))
        report("measuring stages")
        outputs = without_each_stage(module, some, repairs=repairs)
        stages = tuple(float((output - expected).square().mean()) for output in outputs)
    return Costs(steps=tuple(steps), stages=stages)


def _counts(spec: SwinIRSpec, branch: Segment) -> frozenset[int]:
    """Returns how many heads or units are removed from a branch when it is measured."""
    if branch.kind == "attention":
        return frozenset(range(1, spec.heads[branch.stage][branch.block] + 1))
    hidden = spec.hidden[branch.stage][branch.block]
    return frozenset(-(-hidden * step // UNIT_STEPS) for step in range(1, UNIT_STEPS + 1))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Second moments of a branch in float64: (K + 1, K + 1) of its inputs and a one, (C, C) of the gradients behind."""

    inputs: Tensor
    gradients: Tensor


def _moments(module: SwinIR, tiles: Tensor) -> dict[Segment, _Moments]:
    signs = torch.Generator().manual_seed(0)
    found: dict[Segment, _Moments] = {}
    for part in tiles.split(TILES_AT_A_TIME):
        places = list(walk(module, part))
        output = finish(module, places[-1], places[-1].x)
        gradients = [torch.zeros(place.x.shape[-1], place.x.shape[-1], dtype=torch.float64) for place in places]
        for probe in range(PROBES):
            towards = torch.randint(0, 2, output.shape, generator=signs).to(output.dtype) * 2 - 1
            found_here = torch.autograd.grad(
                output, [place.x for place in places], towards, retain_graph=probe + 1 < PROBES
            )
            for total, gradient in zip(gradients, found_here, strict=True):
                rows = gradient.flatten(0, -2).double()
                total.add_(rows.t() @ rows)
        for place, total in zip(places, gradients, strict=True):
            rows = place.inputs.detach().flatten(0, -2).double()
            rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
            here = _Moments(rows.t() @ rows, total)
            old = found.get(place.branch)
            found[place.branch] = (
                here if old is None else _Moments(old.inputs + here.inputs, old.gradients + here.gradients)
            )
    return found


def _removals(
    module: SwinIR, branch: Segment, moments: _Moments, *, repairs: bool
) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """Yields what has gone and the layer (C, K + 1) with its bias after each head or unit, until none is left.

    Columns of what has gone are zero. What goes next is what costs least in the metric of the gradients.
    """
    linear, size = writer_of(module, branch), module.spec.head_dim if branch.kind == "attention" else 1
    layer = torch.cat([linear.weight, bias_of(linear)[:, None]], 1).detach().double()  # (C, K + 1)
    moment = moments.inputs / moments.inputs[-1, -1]
    moment.diagonal()[:-1].add_(DAMPING * moment.diagonal()[:-1].mean())
    left = list(range(linear.weight.shape[1] // size))
    gone: list[int] = []
    inverse = torch.linalg.inv(moment)
    lost = torch.zeros_like(layer)  # what a layer that is not solved for again no longer gives
    while left:
        costs: list[float] = []
        for group in left:
            places = slice(group * size, (group + 1) * size)
            if repairs:
                columns = layer[:, places]
                block = torch.linalg.inv(inverse[places, places])
                costs.append(float(((columns.t() @ moments.gradients @ columns) * block).sum()))
            else:
                without = lost.clone()
                without[:, places] = layer[:, places]
                costs.append(float(((without @ moment @ without.t()) * moments.gradients).sum()))
        group = left.pop(int(np.argmin(costs)))
        places = slice(group * size, (group + 1) * size)
        if repairs:
            block = torch.linalg.inv(inverse[places, places])
            layer = layer - layer[:, places] @ block @ inverse[places]
            inverse = inverse - inverse[:, places] @ block @ inverse[places]
            inverse[places] = inverse[:, places] = 0
        else:
            lost[:, places] = layer[:, places]
        layer[:, places] = 0
        gone.append(group)
        yield tuple(gone), layer.float()


def _by_branch(options: Iterable[_Option]) -> list[list[_Option]]:
    grouped: dict[Segment, list[_Option]] = {}
    for step, freed in options:
        grouped.setdefault(step.branch, []).append((step, freed))
    return list(grouped.values())


def _freed(spec: SwinIRSpec, step: Step, budget: Budget) -> float:
    """Returns what a step frees of what is counted."""
    branch = step.branch
    counts = [list(stage) for stage in (spec.heads if branch.kind == "attention" else spec.hidden)]
    counts[branch.stage][branch.block] -= len(step.gone)
    fewer = tuple(map(tuple, counts))
    smaller = replace(spec, heads=fewer) if branch.kind == "attention" else replace(spec, hidden=fewer)
    return budget.amount(spec) - budget.amount(smaller)
