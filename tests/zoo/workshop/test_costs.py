"""What was measured is kept for the same weights and tiles, and measured anew when asked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sr_core.arch.build import build
from sr_core.arch.swinir import SwinIR
from sr_core.compress.selective import Costs
from sr_core.errors import OptionError
from tests.peers import randomize
from tests.zoo.workshop.conftest import TINY
from zoo.workshop.calibration import Calibration, CalibrationOptions, calibrate
from zoo.workshop.costs import costs_of


@pytest.fixture
def module() -> SwinIR:
    module = build(TINY.spec)
    randomize(module, 0)
    return module.eval()


@pytest.fixture
def calibration(photos: Path) -> Calibration:
    return calibrate(CalibrationOptions(photos=photos, tiles=2, side=16), 2)


def test_costs_are_measured_once_and_anew_when_asked(
    module: SwinIR, calibration: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(**changes: Any) -> Costs:
        given: dict[str, Any] = {"repairs": False, "folder": tmp_path / "kept", "report": lambda _words: None}
        return costs_of(module, "0" * 64, calibration, **{**given, **changes})

    first = ask()
    [kept] = (tmp_path / "kept").iterdir()
    before = kept.read_bytes()
    other = replace(first, stages=tuple(2 * cost for cost in first.stages))
    measured: list[str] = []

    def measure(*_: Any, **__: Any) -> Costs:
        measured.append("once")
        return other

    monkeypatch.setattr("zoo.workshop.costs.measure_costs", measure)
    assert ask() == first
    assert not measured
    assert ask(is_fresh=True) == other
    assert measured == ["once"]
    assert kept.read_bytes() != before
    assert ask() == other, "what was measured anew took the place of what was kept"
    assert ask(folder=None) == other
    assert len(measured) == 2
    assert ask(repairs=True) == other
    assert len(measured) == 3, "what is measured with repair is something else"
    kept.write_text("{")
    with pytest.raises(OptionError, match="is damaged; remove that file"):
        ask()
    assert ask(is_fresh=True) == other
