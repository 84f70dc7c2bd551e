"""Raters as their browsers ask: drawing, looking and voting over HTTP; and the app that they ask."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from sr_core.infer.model import LoadedModel
from tests.ui.studio import Loader, fake_poll, manifest, zoo
from ui.factory import App, create_app, serve
from ui.poll import Poll
from ui.settings import Access, Settings
from zoo.manifest import Manifest
from zoo.release import Release

VIEW = {"decision_ms": 2500, "viewport": [1280, 860], "pixel_ratio": 2.0, "zoom": 2.0}
LOOKING_SECONDS = 1.05
"""No answer is taken sooner."""


class Voter:
    """A rater's browser."""

    def __init__(self, address: str, *, forwarded_for: str | None = None) -> None:
        self.address, self.browser = address, None
        headers = {"origin": address} | ({"x-forwarded-for": forwarded_for} if forwarded_for else {})
        # verify: no certificates are loaded for plain HTTP, which would take longer than all else
        self.client = httpx.Client(base_url=f"{address}/ratings/", headers=headers, timeout=30, verify=False)  # noqa: S501

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def post(self, route: str, **body: Any) -> httpx.Response:
        return self.client.post(route, json=body)

    def draw(self, mode: str = "pair") -> dict[str, Any]:
        answer = self.post("draw", browser=self.browser, mode=mode, consent=True)
        assert answer.status_code == 200, answer.text
        drawn = answer.json()
        self.browser = drawn["browser"]
        return drawn

    def look(self, drawn: dict[str, Any]) -> list[httpx.Response]:
        return [self.client.get(picture) for picture in drawn["pictures"]]

    def ask_vote(self, drawn: dict[str, Any], answer: str | int) -> httpx.Response:
        return self.post(
            "vote", browser=drawn["browser"], ballot=drawn["ballot"], answer=answer, consent=True, view=VIEW
        )

    def vote(self, drawn: dict[str, Any], answer: str | int) -> dict[str, Any]:
        answered = self.ask_vote(drawn, answer)
        assert answered.status_code == 200, answered.text
        return answered.json()

    def whole_vote(self, answer: str | int = "left", mode: str = "pair") -> dict[str, Any]:
        drawn = self.draw(mode)
        time.sleep(LOOKING_SECONDS)
        return self.vote(drawn, answer)


@dataclass(frozen=True)
class Served:
    address: str
    app: App
    poll: Poll


@contextmanager
def served(
    folder: Path,
    models: Manifest | None = None,
    load: Callable[[Release], LoadedModel] | None = None,
    *,
    poll: Poll | None = None,
    access: Access | None = None,
) -> Iterator[Served]:
    """Serves the real app with a poll of small pictures, or the given one; the app closes it."""
    models = models or manifest()
    settings = Settings(host="127.0.0.1", port=free_port(), access=access or Access())
    poll = poll or fake_poll(folder, models)
    app = create_app(settings, zoo(models), load or Loader().load, poll)
    try:
        yield Served(serve(app, settings, block=False).rstrip("/"), app, poll)
    finally:
        app.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
