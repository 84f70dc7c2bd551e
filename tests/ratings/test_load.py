"""A short version of ``python -m tests.ratings.load``: that it measures what it says, not how fast the machine is."""

import pytest

from tests.ratings.load import measure
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
    assert load.percentile("vote", 99) < 2.0
