"""From settings to a running app."""

import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import gradio as gr
from starlette.middleware import Middleware

from sr_core.errors import ModelError
from sr_core.infer.model import LoadedModel
from ui import text, text_zoo
from ui.cards import header_card, panel
from ui.endpoints import add_endpoints
from ui.limits import Clients, Gate
from ui.poll import Poll, open_poll
from ui.polling import Polling
from ui.settings import SWEEP_SECONDS, Settings
from ui.studio import Studio
from ui.tabs.layout import EXAMPLES
from ui.tabs.page import build_page
from ui.theme import STYLE, app_theme
from zoo.files import Zoo
from zoo.hub import open_zoo
from zoo.release import Release
from zoo.study import Study, load_study

__all__ = ["App", "create_app", "serve"]

_CLOSING_SECONDS: Final = 0.3
"""After so long a server that was told to end takes no requests any more, and has answered those about votes."""
_TRUSTED_PEERS: Final = "FORWARDED_ALLOW_IPS"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The app: what Gradio serves, and what it owns."""

    blocks: gr.Blocks
    studio: Studio
    clients: Clients
    polling: Polling

    def close(self) -> None:
        """Ends the server, lets the last votes be taken away, and ends the processes that read and write photos."""
        server = getattr(self.blocks, "server", None)  # there is none before it is served
        if server is not None:
            server.should_exit = True
            threading.Event().wait(_CLOSING_SECONDS)
            server.force_exit = True  # pages hold a connection open, for which it would wait in vain
        self.polling.close()
        try:
            self.studio.close()
        finally:
            self.blocks.close(verbose=False)
            gc.unfreeze()


def create_app(
    settings: Settings,
    zoo: Zoo | None = None,
    load: Callable[[Release], LoadedModel] | None = None,
    poll: Poll | None = None,
    studies: Sequence[Study] | None = None,
) -> App:
    """Returns the app, not yet served.

    Args:
        settings: Limits and sizes.
        zoo: The models on offer; None for those of the settings.
        load: How a release becomes a model; None for reading its weight file.
        poll: What takes votes; None for that of the settings.
        studies: What was measured of networks that are not on offer; None for those that come with the project.

    Raises:
        ModelError: The manifest cannot be read.
    """
    zoo = open_zoo(settings.hub, settings.manifest) if zoo is None else zoo
    _LOG.info(text.ORIGIN.format(origin=zoo.origin))
    for notice in zoo.notices:
        _LOG.warning("%s", notice)
    poll = open_poll(settings.voting, zoo.manifest) if poll is None else poll
    studies, notice = _studies_here() if studies is None else (studies, "")
    studio = replace(Studio.open(settings, zoo, load, poll=poll, studies=studies), study_notice=notice)
    with gr.Blocks(
        analytics_enabled=False,
        title=text.TITLE,
        fill_width=True,
        delete_cache=(SWEEP_SECONDS, settings.keep_seconds),
    ) as blocks:
        gr.HTML(header_card(), apply_default_css=False, elem_id="top")
        for words in zoo.notices or ([text.ORIGIN.format(origin=zoo.origin)] if settings.hub else []):
            gr.HTML(panel(words, "quiet"), apply_default_css=False)
        if poll.notice is not None:
            gr.HTML(panel(poll.notice, "quiet"), apply_default_css=False)
        build_page(blocks, studio)
        add_endpoints(studio)
    blocks.queue(api_open=False, max_size=settings.queue_length, default_concurrency_limit=4)
    clients = Clients(settings.access.trusted_hops)
    return App(blocks=blocks, studio=studio, clients=clients, polling=Polling(poll, clients))


def serve(app: App, settings: Settings, *, block: bool = True) -> str:
    """Serves the app and returns its address.

    Args:
        app: What is served; it can be served once.
        settings: Address and limits.
        block: Whether to return only when the process is told to end, by Ctrl-C or SIGTERM, and close the app then.
            Asks to be called in the main thread.
    """
    if not block:
        return _launch(app, settings, quiet=True)
    told = threading.Event()

    def tell(*_: object) -> None:
        told.set()

    before = {name: signal.signal(name, tell) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        address = _launch(app, settings, quiet=False)
        told.wait()
        return address
    finally:
        for name, handler in before.items():  # told twice, it ends at once
            signal.signal(name, handler)
        app.close()


def _studies_here() -> tuple[Sequence[Study], str]:
    """Returns what was measured of networks that are not on offer, and what is to be said where it cannot be read.

    Only plots in one tab need it, so the app goes on without.
    """
    try:
        return load_study(), ""
    except ModelError as error:
        _LOG.warning("%s", error)
        return (), text_zoo.NO_STUDY.format(problem=error)


def _launch(app: App, settings: Settings, *, quiet: bool) -> str:
    app.studio.sandbox.warm()
    app.studio.poll.start()
    gate = Middleware(
        Gate, access=settings.access, max_upload_bytes=settings.limits.max_file_bytes, clients=app.clients
    )
    with _peers_as_they_are():
        _, address, _ = app.blocks.launch(
            server_name=settings.host,
            server_port=settings.port,
            prevent_thread_lock=True,
            quiet=quiet,
            app_kwargs={"middleware": [gate], "routes": app.polling.routes()},
            theme=app_theme(),
            css_paths=STYLE,
            max_file_size=settings.limits.max_file_bytes,
            allowed_paths=[str(EXAMPLES)],
            footer_links=["api"],
            show_error=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            share=False,
            pwa=False,
            mcp_server=False,
        )
    # To look through all that was loaded takes the collector a quarter of a second, in which no vote goes on.
    gc.collect()
    gc.freeze()
    return address


@contextmanager
def _peers_as_they_are() -> Generator[None]:
    """Lets a server that is made meanwhile tell who is connected to it, whatever the headers of a request say.

    uvicorn takes the client's address from ``X-Forwarded-For`` where the peer is this machine; Gradio has no argument
    for that, only the environment says otherwise. Whom to believe is said by ``PSR_TRUSTED_HOPS`` alone. Gradio reads
    ``X-Forwarded-Host`` and ``X-Forwarded-Proto`` itself, so addresses in the page stay those that a proxy is asked by.
    """
    before = os.environ.get(_TRUSTED_PEERS)
    os.environ[_TRUSTED_PEERS] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TRUSTED_PEERS]
        else:
            os.environ[_TRUSTED_PEERS] = before
