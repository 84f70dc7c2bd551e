"""From settings to a running app."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr

from sr_core.infer.model import LoadedModel
from ui import text
from ui.cards import header_card, panel
from ui.endpoints import add_endpoints
from ui.settings import SWEEP_SECONDS, Settings
from ui.studio import Studio
from ui.tabs.layout import EXAMPLES
from ui.tabs.page import build_page
from ui.theme import STYLE, app_theme
from zoo.files import Zoo
from zoo.hub import open_zoo
from zoo.release import Release

__all__ = ["App", "create_app", "serve"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The app: what Gradio serves, and what it owns."""

    blocks: gr.Blocks
    studio: Studio

    def close(self) -> None:
        """Ends the server, and the processes that read and write photos."""
        self.blocks.close(verbose=False)
        self.studio.close()


def create_app(settings: Settings, zoo: Zoo | None = None, load: Callable[[Release], LoadedModel] | None = None) -> App:
    """Returns the app, not yet served.

    Args:
        settings: Limits and sizes.
        zoo: The models on offer; None for those of the settings.
        load: How a release becomes a model; None for reading its weight file.

    Raises:
        ModelError: The manifest cannot be read.
    """
    zoo = open_zoo(settings.hub, settings.manifest) if zoo is None else zoo
    _LOG.info(text.ORIGIN.format(origin=zoo.origin))
    for notice in zoo.notices:
        _LOG.warning("%s", notice)
    studio = Studio.open(settings, zoo, load)
    with gr.Blocks(
        analytics_enabled=False,
        title=text.TITLE,
        fill_width=True,
        delete_cache=(SWEEP_SECONDS, settings.keep_seconds),
    ) as blocks:
        gr.HTML(header_card(), apply_default_css=False, elem_id="top")
        for words in zoo.notices or ([text.ORIGIN.format(origin=zoo.origin)] if settings.hub else []):
            gr.HTML(panel(words, "quiet"), apply_default_css=False)
        build_page(blocks, studio)
        add_endpoints(studio)
    blocks.queue(api_open=False, max_size=settings.queue_length, default_concurrency_limit=4)
    return App(blocks=blocks, studio=studio)


def serve(app: App, settings: Settings, *, block: bool = True) -> str:
    """Serves the app and returns its address; with ``block``, only when it is interrupted, and closes it then."""
    app.studio.sandbox.warm()
    _, address, _ = app.blocks.launch(
        server_name=settings.host,
        server_port=settings.port,
        prevent_thread_lock=not block,
        quiet=not block,
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
    if block:
        app.studio.close()
    return address
