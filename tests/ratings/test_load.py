"""A short version of ``python -m tests.ratings.load``: that it measures and judges what it says."""

import sys
from functools import partial

import pytest

from tests.ratings import load as command
from tests.ratings.load import Load, measure
from tests.ui.loops import closed_event_loops


@pytest.mark.slow
def test_people_vote_while_a_photo_is_enlarged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with closed_event_loops():
        load = measure(people=20, seconds=8)
    assert load.tiles > 0
    assert len(load.waits["votes at once"]) == 20
    assert len(load.waits["vote"]) >= 20
    assert len(load.waits["picture"]) == 2 * len(load.waits["draw"])
    assert load.missed(0.5) == [], "a fifth of the people wait twice as long only where the machine is busy with others"


@pytest.mark.parametrize(
    ("kinds", "missed"),
    [
        ({"vote": 0.1, "votes at once": 0.24}, []),
        ({"vote": 0.1, "votes at once": 0.25}, ["votes at once"]),
        ({"vote": 0.3, "votes at once": 0.1}, ["vote"]),
        ({"vote": 0.1}, ["votes at once"]),
    ],
)
def test_late_votes_are_an_error_and_named(
    kinds: dict[str, float],
    missed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load = Load(waits={kind: [0.01] * 97 + [seconds] * 3 for kind, seconds in kinds.items()} | {"draw": [9.0]}, tiles=3)
    monkeypatch.setattr(sys, "argv", ["load"])
    monkeypatch.setattr(command, "measure", partial(_measured, load))

    assert command.main() == bool(missed)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missed")]
    assert [line.split("'")[1] for line in printed] == missed


def _measured(load: Load, people: int, seconds: float, *, with_job: bool) -> Load:
    assert (people, seconds, with_job) == (100, 60.0, True)
    return load
