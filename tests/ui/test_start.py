"""What the demo does not load when it starts, and how long that takes."""

import subprocess
import sys

import pytest

LIBRARIES = "import gradio, torch"
CODE = """
import sys
from ui.factory import create_app
from ui.settings import Settings
import app
create_app(Settings())
print(*sorted(sys.modules), sep="\\n")
"""
BANNED = (
    "coremltools",
    "zoo.workshop",
    "sr_core.compress",
    "sr_core.coreml.export",
    "sr_core.coreml.interpret",
    "bench",
)


LONGEST = 2.0
"""The demo's start against that of its two largest libraries alone; it was 1.2 when this was written."""


def printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


def seconds(code: str) -> float:
    """Returns how long code takes in a fresh process, without the start of Python itself."""
    clock = "import time; print(time.perf_counter())"
    start, *_, end = printed(f"{clock}\n{code}\n{clock}")
    return float(end) - float(start)


@pytest.mark.slow
def test_the_demo_starts_without_converter_workshop_and_compression() -> None:
    loaded = printed(CODE)
    assert "ui.tabs.page" in loaded
    assert [name for name in loaded if name.startswith(BANNED)] == []


@pytest.mark.slow
def test_the_demo_starts_almost_as_quickly_as_its_libraries() -> None:
    ratios = (seconds(CODE) / seconds(LIBRARIES) for _ in range(2))  # a busy machine gets a second chance
    assert any(ratio < LONGEST for ratio in ratios)
