"""A real server and a real browser; the networks are fakes, so that the tests are about the page.

The server runs in a thread of the test, so that a test can look at what the server computes.
"""

import logging
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from sr_core.infer.model import LoadedModel
from tests.ui.loops import closed_event_loops
from tests.ui.studies import study
from tests.ui.studio import Loader, fake_poll, family, manifest, zoo
from tests.ui.voters import free_port
from ui.factory import create_app, serve
from ui.settings import Settings
from zoo.files import Zoo
from zoo.manifest import Manifest
from zoo.release import Release
from zoo.study import Study

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MS = 45_000
ROOT = Path(__file__).parents[2]
START_SECONDS = 120


@dataclass(frozen=True)
class Site:
    """The app as it is served, and what its networks do."""

    address: str
    loader: Loader
    temp: Path


# Each site lives for one module only: what it sets for the whole process must not meet that of another.


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app with two models of two scales that take their time."""
    with fake_site(tmp_path_factory.mktemp("server"), manifest(), Loader(seconds=0.004)) as one:
        yield one


@pytest.fixture(scope="module")
def zoo_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app with as many variants as ship, which are quick, and a study of what pruning costs."""
    with fake_site(tmp_path_factory.mktemp("zoo-server"), family(), Loader(seconds=0.001), [study()]) as one:
        yield one


@contextmanager
def fake_site(temp: Path, models: Manifest, loader: Loader, studies: Sequence[Study] = ()) -> Iterator[Site]:
    """Serves an app whose files hold no networks."""
    with served(temp, zoo(models), loader.load, studies) as address:
        yield Site(address=address, loader=loader, temp=temp)


@contextmanager
def served(
    temp: Path, models: Zoo, load: Callable[[Release], LoadedModel], studies: Sequence[Study] = ()
) -> Iterator[str]:
    """Serves an app with its own temporary folder, which is also that of what is made while it is in use."""
    (temp / "gradio").mkdir()
    with pytest.MonkeyPatch.context() as patch, closed_event_loops():
        patch.setenv("GRADIO_TEMP_DIR", str(temp / "gradio"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr("tempfile.tempdir", str(temp))
        logging.getLogger("httpx").setLevel(logging.WARNING)
        # a port of its own, because Gradio 6.31 does not close the socket with which it finds one taken
        settings = Settings(host="127.0.0.1", port=free_port())
        poll = fake_poll(temp.with_name(f"{temp.name}-votes"), models.manifest)
        app = create_app(settings, models, load, poll, studies)
        yield serve(app, settings, block=False)
        app.close()


@pytest.fixture(scope="package")  # while Playwright runs, no other test can have an event loop of its own
def browser() -> Iterator[Browser]:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a Chromium")
        pytest.skip("no Chromium here; `make browser` installs one")
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        expect.set_options(timeout=TIMEOUT_MS)
        yield one
        one.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """The app in a fresh browser context; what the page reports as an error fails the test, as does a foreign host."""
    with opened(browser, site.address) as one:
        yield one


@pytest.fixture
def zoo_page(browser: Browser, zoo_site: Site) -> Iterator[Page]:
    """The app with many variants, in the same way."""
    with opened(browser, zoo_site.address) as one:
        yield one


@contextmanager
def opened(browser: Browser, address: str, query: str = "") -> Iterator[Page]:
    """Opens a page in a fresh context and sees at its end that it did not complain."""
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    one = context.new_page()
    one.set_default_timeout(TIMEOUT_MS)
    complaints: list[str] = []
    one.on("pageerror", lambda error: complaints.append(str(error)))
    one.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    one.on(
        "request",
        lambda request: None if request.url.startswith((address, "data:", "blob:")) else complaints.append(request.url),
    )
    one.goto(address + query)
    one.wait_for_selector("#models table", state="attached")
    yield one
    context.close()
    assert complaints == []


def _is_complaint(message: ConsoleMessage) -> bool:
    """Returns whether a page says that something went wrong.

    Cancelling what has not got its number from the queue yet is answered by 422 (gradio 6.31), and is cancelled.
    """
    is_early_cancel = "422" in message.text and message.location["url"].endswith(("/cancel", "/reset"))
    return message.type == "error" and not is_early_cancel


@pytest.fixture(scope="package")
def shipped_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app with the models that ship, started as a visitor of a fresh clone starts it."""
    port, folder = free_port(), tmp_path_factory.mktemp("shipped")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PSR_")},
        "PSR_HOST": "127.0.0.1",
        "PSR_PORT": str(port),
        "PSR_THREADS": "1",
        "PSR_VOTES_DIR": str(folder / "votes"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "HF_HUB_OFFLINE": "1",
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/", server)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "the app ended before it served anything"
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  our own address
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail("the app did not serve its page")


def tab_to(page: Page, selector: str, *, presses: int) -> None:
    """Moves the keyboard's focus forwards to an element, with at most so many presses."""
    for _ in range(presses):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")
