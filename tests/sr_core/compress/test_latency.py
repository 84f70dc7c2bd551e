"""Tables of times: what is measured of a few networks says what any other one takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_core.compress import latency
from sr_core.compress.latency import LatencyTable, measure_latency
from sr_core.infer.engine import Compute
from sr_core.spec import SwinIRSpec
from tests.sr_core.compress.networks import PRUNED, SPECS, WHOLE

TABLE = LatencyTable(heads=(0.0, 3.0, 5.0, 7.0, 9.0), units=((0, 0.0), (24, 4.0), (48, 6.0)), stage=2.0, rest=16.0)


def invented(spec: SwinIRSpec) -> float:
    """What a network would take if nothing but its branches and stages counted."""
    attention = sum(4.0 + heads**1.5 for stage in spec.heads for heads in stage if heads)
    return 30.0 + 7.0 * len(spec.depths) + attention + sum(0.25 * units for stage in spec.hidden for units in stage)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[SwinIRSpec], float]], None]:
    """Lets networks take what a function says."""

    def use(times: Callable[[SwinIRSpec], float]) -> None:
        def times_of(specs: Sequence[SwinIRSpec], _compute: Compute, _side: int, _rounds: int) -> list[float]:
            return [times(spec) for spec in specs]

        monkeypatch.setattr(latency, "_times", times_of)

    return use


def test_a_table_adds_up() -> None:
    assert TABLE.milliseconds(WHOLE) == pytest.approx(20 + 5 * 9 + 5 * 6)
    assert TABLE.milliseconds(replace(WHOLE, hidden=((12, 0, 48), (36, 24)))) == pytest.approx(65 + 2 + 0 + 6 + 5 + 4)
    assert TABLE.milliseconds(replace(WHOLE, heads=((4,),), hidden=((48,),))) == pytest.approx(16 + 2 + 9 + 6)
    assert TABLE.milliseconds(SPECS["no branches"]) == pytest.approx(20)


@pytest.mark.parametrize(
    "spec", [WHOLE, PRUNED, replace(WHOLE, heads=((4, 4),), hidden=((48, 48),)), SPECS["odd widths"]]
)
def test_absent_branches_lost_stages_and_unequal_blocks_take_what_they_take(
    spec: SwinIRSpec, timed: Callable[[Callable[[SwinIRSpec], float]], None]
) -> None:
    timed(invented)
    table = measure_latency(spec, "float32")
    most_heads, most_units = (max(map(max, counts)) for counts in (spec.heads, spec.hidden))

    @given(data=st.data())
    @settings(max_examples=30, deadline=None)
    def is_right(data: st.DataObject) -> None:
        stages = data.draw(st.integers(1, len(spec.depths)))
        heads, hidden = (
            tuple(tuple(data.draw(st.integers(0, most)) for _ in range(depth)) for depth in spec.depths[:stages])
            for most in (most_heads, most_units)
        )
        smaller = replace(spec, heads=heads, hidden=hidden)
        assert table.milliseconds(smaller) == pytest.approx(invented(smaller))

    is_right()


@pytest.mark.parametrize(("one", "both"), [(50.0, 10.0), (20.0, 100.0), (50.0, 90.0)])
def test_times_that_cannot_be_count_as_nothing(
    one: float, both: float, timed: Callable[[Callable[[SwinIRSpec], float]], None]
) -> None:
    """A busy machine may make a smaller network look slower: no time is below nothing, and none falls with size."""

    def busy(spec: SwinIRSpec) -> float:
        heads, units = (max(map(max, counts)) for counts in (spec.heads, spec.hidden))
        return {1: one, 2: both}[len(spec.depths)] + (35.0 - 10.0 * heads if heads else 0.0) - 5.0 * (units == 8)

    timed(busy)
    table = measure_latency(WHOLE, "float32")
    assert table.heads == (0.0, 5.0, 5.0, 5.0, 5.0)
    assert {time for _, time in table.units} == {0.0}
    assert min(table.stage, table.rest) >= 0.0
    assert table.rest + 2 * table.stage == pytest.approx(both)


@pytest.mark.parametrize("spec", [WHOLE, replace(WHOLE, window=6), SPECS["no branches"]], ids=["8", "6", "bare"])
def test_any_network_can_be_timed(spec: SwinIRSpec) -> None:
    table = measure_latency(spec, "float32", side=20, rounds=1)
    most_heads, most_units = (max(map(max, counts)) for counts in (spec.heads, spec.hidden))
    assert len(table.heads) == most_heads + 1
    assert [units for units, _ in table.units] == sorted({most_units * place // 6 for place in range(7)})
    assert table.heads[0] == table.units[0][1] == 0.0
    assert list(table.heads) == sorted(table.heads)
    assert [time for _, time in table.units] == sorted(time for _, time in table.units)
    assert table.stage >= 0.0
    assert 0.0 <= table.rest < table.milliseconds(spec) + 1e-9
