"""A real server and a real browser; the networks are fakes, so that the tests are about the page.

The server runs in a thread of the test, so that a test can look at what the server computes.
"""

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.ui.loops import closed_event_loops
from tests.ui.studio import Loader, manifest
from ui.factory import create_app, serve
from ui.settings import Settings

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


@dataclass(frozen=True)
class Site:
    """The app as it is served, and what its networks do."""

    address: str
    loader: Loader
    temp: Path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    temp = tmp_path_factory.mktemp("server")
    (temp / "gradio").mkdir()
    with pytest.MonkeyPatch.context() as patch, closed_event_loops():
        patch.setenv("GRADIO_TEMP_DIR", str(temp / "gradio"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setattr("tempfile.tempdir", str(temp))
        logging.getLogger("httpx").setLevel(logging.WARNING)
        settings, loader = Settings(host="127.0.0.1"), Loader(seconds=0.004)
        app = create_app(settings, manifest(), loader.load)
        yield Site(address=serve(app, settings, block=False), loader=loader, temp=temp)
        app.close(verbose=False)


@pytest.fixture(scope="session")
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
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    one = context.new_page()
    one.set_default_timeout(TIMEOUT_MS)
    complaints: list[str] = []
    one.on("pageerror", lambda error: complaints.append(str(error)))
    one.on(
        "request",
        lambda request: (
            None if request.url.startswith((site.address, "data:", "blob:")) else complaints.append(request.url)
        ),
    )
    one.goto(site.address)
    one.wait_for_selector("#models table")
    yield one
    context.close()
    assert complaints == []
