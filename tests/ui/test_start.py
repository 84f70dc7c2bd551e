"""What the demo does not load when it starts."""

import subprocess
import sys

import pytest

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


@pytest.mark.slow
def test_the_demo_starts_without_converter_workshop_and_compression() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=120)
    loaded = done.stdout.split()
    assert "ui.tabs.page" in loaded
    assert [name for name in loaded if name.startswith(BANNED)] == []
