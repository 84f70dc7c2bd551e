"""What the demo does not load when it starts, how long that takes, and how the app ends when it is told to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ratings.picture_sets import write_small_set
from tests.ui.voters import LOOKING_SECONDS, Voter, free_port
from tests.zoo.hub_client import client_environment
from tests.zoo.hub_server import TOKEN, Hub, running_hub
from zoo.manifest import load_manifest

LIBRARIES = "import gradio, torch"
CODE = """
import sys
from pathlib import Path
from ui.factory import create_app
from ui.settings import Settings, Voting
import app
create_app(Settings(voting=Voting(folder=Path(sys.argv[1]))))
print(*sorted(sys.modules), sep="\\n")
"""
BANNED = (
    "coremltools",
    "zoo.workshop",
    "ratings.workshop",
    "sr_core.compress",
    "sr_core.coreml.export",
    "sr_core.coreml.interpret",
    "bench",
)


LONGEST = 2.0
"""The demo's start against that of its two largest libraries alone; it was 1.2 when this was written."""


def printed(code: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.split()


def seconds(code: str, folder: Path) -> float:
    """Returns how long code takes in a fresh process, without the start of Python itself."""
    clock = "import time; print(time.perf_counter())"
    start, *_, end = printed(f"{clock}\n{code}\n{clock}", folder)
    return float(end) - float(start)


@pytest.mark.slow
def test_the_demo_starts_without_converter_workshop_and_compression(tmp_path: Path) -> None:
    loaded = printed(CODE, tmp_path)
    assert "ui.tabs.page" in loaded
    assert [name for name in loaded if name.startswith(BANNED)] == []


@pytest.mark.slow
def test_the_demo_starts_almost_as_quickly_as_its_libraries(tmp_path: Path) -> None:
    ratios = (
        seconds(CODE, tmp_path) / seconds(LIBRARIES, tmp_path) for _ in range(2)
    )  # a busy machine gets a second chance
    assert any(ratio < LONGEST for ratio in ratios)


# -- how it ends

ROOT = Path(__file__).parents[2]
REPO = "owner/votes"
SERVE = """
import sys
from functools import partial
from pathlib import Path
import app, ui.factory
ui.factory.open_poll = partial(ui.factory.open_poll, pictures_folder=Path(sys.argv[1]))
app.main()
"""
"""The app as it is started, but with small pictures."""


@dataclass
class Process:
    """The app in a process of its own."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Tells the process to end; returns its exit status and how many seconds that took."""
        begin = time.monotonic()
        self.process.send_signal(how)
        return self.process.wait(30), time.monotonic() - begin


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[Process]:
    write_small_set(folder / "pictures", [one.id for one in load_manifest().releases])
    port = free_port()
    settings = {
        "PSR_HOST": "127.0.0.1",
        "PSR_PORT": str(port),
        "PSR_THREADS": "1",
        "PSR_VOTES_DIR": str(folder / "votes"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    kept = {name: value for name, value in environment.items() if not name.startswith("PSR_")}
    command = [sys.executable, "-c", SERVE, str(folder / "pictures")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**kept, **settings}, stdout=log, stderr=log)
    one = Process(f"http://127.0.0.1:{port}", process, folder / "log")
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None, one.log.read_text()
            assert time.monotonic() < until, one.log.read_text()
            try:
                httpx.get(one.address, timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.2)
        yield one
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)


def votes_on(hub: Hub) -> list[dict[str, Any]]:
    repository = hub.repositories.get(f"datasets/{REPO}")
    files = {} if repository is None else repository.files
    return [
        json.loads(line)
        for path, blob in files.items()
        if path.startswith("votes/")
        for line in blob.content.decode().splitlines()
    ]


@pytest.mark.slow
def test_told_to_end_the_app_takes_the_last_votes_to_the_hub_first(tmp_path: Path) -> None:
    with running_hub() as hub:
        environment = client_environment(hub, tmp_path / "hub") | {"VOTES_REPO": REPO, "HF_TOKEN": TOKEN}
        hub.fail("status", ".*/commit/.*", times=3, number=503)  # so that it is not there before
        with running(tmp_path, environment) as app, Voter(app.address) as voter:
            drawn = voter.draw()
            time.sleep(LOOKING_SECONDS)
            with httpx.stream("GET", f"{app.address}/gradio_api/heartbeat/a-page-that-stays-open"):
                voted = voter.vote(drawn, "left")
                assert voted["id"] not in {one["id"] for one in votes_on(hub)}
                status, took = app.end()
        assert (status, voted["id"] in {one["id"] for one in votes_on(hub)}) == (0, True), app.log.read_text()
        assert took < 9


@pytest.mark.slow
def test_a_hub_that_hangs_holds_up_neither_the_start_nor_the_end(tmp_path: Path) -> None:
    with running_hub() as hub:
        hub.fail("wait", ".*", times=1000, number=60_000)
        environment = client_environment(hub, tmp_path / "hub") | {"VOTES_REPO": REPO, "HF_TOKEN": TOKEN}
        with running(tmp_path, environment) as app, Voter(app.address) as voter:
            voted = voter.whole_vote()
            assert voted["state"] == "accepted"
            status, took = app.end()
        assert (status, took < 9) == (0, True), app.log.read_text()
        assert "127.0.0.1" not in app.log.read_text().replace(app.address, "")
    with running(tmp_path, {**os.environ, "HF_HUB_OFFLINE": "1"}) as again, Voter(again.address) as voter:
        # what was not saved is still here, and the browser's receipt knows it
        states = voter.post("again", receipts=[voted["receipt"]]).json()["states"]
        assert states == {voted["id"]: "accepted"}
        status, took = again.end(signal.SIGINT)
    assert (status, took < 4) == (0, True)
