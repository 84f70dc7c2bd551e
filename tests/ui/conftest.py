"""Gradio keeps its cache in the test's own folder and tells nobody of the test."""

from collections.abc import Iterator

import pytest

from tests.ui.loops import closed_event_loops


@pytest.fixture(autouse=True)
def quiet_gradio(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with closed_event_loops():
        yield
