"""From settings to a running app."""

from collections.abc import Callable
from functools import partial

import gradio as gr

from sr_core.infer.model import LoadedModel
from ui import text
from ui.cards import header_card
from ui.endpoints import add_endpoints
from ui.settings import SWEEP_SECONDS, Settings
from ui.studio import Studio
from ui.tabs.layout import EXAMPLES
from ui.tabs.upscale import build_upscale_tab
from ui.theme import STYLE, app_theme
from zoo.catalogue import load_model
from zoo.manifest import BUILTIN, Manifest, Release, load_manifest

__all__ = ["create_app", "serve"]


def create_app(
    settings: Settings, manifest: Manifest | None = None, load: Callable[[Release], LoadedModel] | None = None
) -> gr.Blocks:
    """Returns the app, not yet served.

    Args:
        settings: Limits and sizes.
        manifest: The models on offer; None for those of the settings.
        load: How a release becomes a model; None for reading its weight file.

    Raises:
        ModelError: The manifest cannot be read.
    """
    folder = settings.manifest.with_name(BUILTIN.name)
    studio = Studio.open(
        settings,
        load_manifest(settings.manifest) if manifest is None else manifest,
        partial(load_model, folder=folder) if load is None else load,
    )
    with gr.Blocks(
        analytics_enabled=False,
        title=text.TITLE,
        fill_width=True,
        delete_cache=(SWEEP_SECONDS, settings.keep_seconds),
    ) as app:
        gr.HTML(header_card(), apply_default_css=False, elem_id="top")
        build_upscale_tab(studio)
        add_endpoints(studio)
    return app.queue(api_open=False, max_size=settings.queue_length, default_concurrency_limit=4)


def serve(app: gr.Blocks, settings: Settings, *, block: bool = True) -> str:
    """Serves the app and returns its address; with ``block``, only when it is interrupted."""
    _, address, _ = app.launch(
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
    return address
