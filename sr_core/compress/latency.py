"""How long the branches of a network take on this machine, by their number of heads or hidden units.

Times of whole networks that differ in one number only are compared, in turn, so that a machine that is busy for a while
slows all of them alike. The table then says what any spec of the same widths takes, without building it. It adds up
branches: what it takes to regroup the windows for shifted blocks is spread evenly over all attention branches, and what
caches keep from one branch to the next is not in it.

Source: the latency table of Kurtic et al., "ZipLM: inference-aware structured pruning of language models", NeurIPS
2023, section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np
import torch

from sr_core.arch.build import build
from sr_core.infer.engine import Compute
from sr_core.infer.window_engine import WindowEngine
from sr_core.spec import SwinIRSpec

__all__ = ["LatencyTable", "measure_latency"]

UNIT_PLACES: Final = 6
"""Numbers of hidden units that are timed; between them time is taken as proportional."""
SIDE: Final = 128
"""Side of the picture that is timed, in pixels."""
ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTable:
    """Milliseconds for a megapixel of input.

    Attributes:
        heads: Of one attention branch, by its number of heads, from none on.
        units: Of one MLP branch: pairs of a number of hidden units and the time, ascending, from none on.
        stage: Of what closes a stage.
        rest: Of everything else.
    """

    heads: tuple[float, ...]
    units: tuple[tuple[int, float], ...]
    stage: float
    rest: float

    def milliseconds(self, spec: SwinIRSpec) -> float:
        """Returns what a network takes; its widths are those of the one that was timed."""
        places, times = zip(*self.units, strict=True)
        attention = sum(self.heads[heads] for stage in spec.heads for heads in stage)
        mlp = sum(float(np.interp(hidden, places, times)) for stage in spec.hidden for hidden in stage)
        return self.rest + len(spec.depths) * self.stage + attention + mlp


def measure_latency(spec: SwinIRSpec, compute: Compute, *, side: int = SIDE, rounds: int = ROUNDS) -> LatencyTable:
    """Returns the times of a network's branches on this machine.

    Args:
        spec: The network; only its widths, windows and largest numbers of heads and units matter.
        compute: Number format of the matrix products.
        side: Side of the picture that is timed, at least a window; taken down to a multiple of it.
        rounds: Rounds that count.
    """
    most_heads, most_units = (max(map(max, counts)) for counts in (spec.heads, spec.hidden))
    unit_places = sorted({round(most_units * place / UNIT_PLACES) for place in range(UNIT_PLACES + 1)})
    bare = _sized(spec, 0, 0)
    short = replace(bare, heads=bare.heads[:1], hidden=bare.hidden[:1])
    specs = [short, bare, *(_sized(spec, heads, 0) for heads in range(1, most_heads + 1))]
    specs += [_sized(spec, 0, units) for units in unit_places[1:]]
    times = _times(specs, compute, max(side - side % spec.window, spec.window), rounds)
    one_stage, base = times[0], times[1]
    stages = len(spec.depths)
    stage = min(max(base - one_stage, 0.0) / max(stages - 1, 1), base / stages)
    each = [max(time - base, 0.0) / sum(spec.depths) for time in times[1:]]
    heads = np.maximum.accumulate([0.0, *each[1 : most_heads + 1]])
    units = np.maximum.accumulate([0.0, *each[most_heads + 1 :]])
    pairs = zip(unit_places, units.tolist(), strict=True)
    return LatencyTable(heads=tuple(heads.tolist()), units=tuple(pairs), stage=stage, rest=base - stages * stage)


def _sized(spec: SwinIRSpec, heads: int, units: int) -> SwinIRSpec:
    """Returns the network with the same number of heads, and of hidden units, in every block."""
    return replace(
        spec,
        heads=tuple((heads,) * depth for depth in spec.depths),
        hidden=tuple((units,) * depth for depth in spec.depths),
    )


def _times(specs: Sequence[SwinIRSpec], compute: Compute, side: int, rounds: int) -> list[float]:
    """Returns the median time of each network, in milliseconds for a megapixel."""
    engines = [WindowEngine(build(spec).eval(), compute) for spec in specs]
    picture = torch.rand(1, specs[0].channels, side, side, generator=torch.Generator().manual_seed(0))
    times: list[list[float]] = [[] for _ in engines]
    for number in range(rounds + 1):
        for i in range(len(engines)) if number % 2 else reversed(range(len(engines))):
            started = perf_counter()
            engines[i].run(picture)
            times[i].append(perf_counter() - started)
    return [1e3 * median(one[1:]) / (side**2 / 1e6) for one in times]
