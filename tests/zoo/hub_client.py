"""The real client, set up to know one Hub on this machine and nothing else."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import close_session
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from tests.zoo.hub_server import Hub, running_hub

_PAST_PROXIES = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


@contextmanager
def hub_and_client(folder: Path) -> Iterator[Hub]:
    """Serves a Hub, and keeps the client of this process from every other one, from the user's token and cache."""
    settings: dict[str, object] = {
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_CACHE": str(folder / "client"),
        "HF_TOKEN_PATH": str(folder / "client" / "token"),
        "HF_STORED_TOKENS_PATH": str(folder / "client" / "tokens"),
        "AGENT_HARNESSES_PATH": str(folder / "client" / "harnesses"),
    }
    with running_hub() as hub, pytest.MonkeyPatch.context() as patch:
        settings["ENDPOINT"] = hub.address
        settings["HUGGINGFACE_CO_URL_TEMPLATE"] = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        for name, value in settings.items():
            patch.setattr(f"huggingface_hub.constants.{name}", value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            patch.delenv(name, raising=False)
        for name, hosts in _PAST_PROXIES.items():
            patch.setenv(name, hosts)
        close_session()  # the next request makes a session that knows of no proxy
        disable_progress_bars()
        try:
            yield hub
        finally:
            for thread in threading.enumerate():
                if thread.name == "hub":  # what nobody waits for any more must not reach into the next test
                    thread.join(10)
            enable_progress_bars()
            close_session()


def client_environment(hub: Hub, folder: Path) -> dict[str, str]:
    """Returns the environment of a process whose client knows only this Hub."""
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "ZOO_"))}
    return {**kept, **own, **_PAST_PROXIES, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
