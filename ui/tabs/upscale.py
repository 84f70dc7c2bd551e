"""The upscale tab: its components wired to its handlers."""

from collections.abc import Callable

import gradio as gr

from ui.studio import Studio
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out

__all__ = ["ONE_AT_A_TIME", "build_upscale_tab"]

ONE_AT_A_TIME = "model"
"""Everything that runs a network shares this queue: one job at a time on the whole machine."""


def build_upscale_tab(studio: Studio) -> UpscaleView:
    """Returns the tab's components, wired; must be called inside a Blocks context."""
    view = lay_out(studio)
    handlers = UpscaleHandlers(studio, view)
    _wire_photo(view, handlers)
    _wire_run(view, handlers)
    return view


def _wire_photo(view: UpscaleView, handlers: UpscaleHandlers) -> None:
    for button, path in view.examples:
        button.click(
            fn=_giver(str(path)), outputs=view.photo, queue=False, show_progress="hidden", api_visibility="private"
        )
    view.photo.change(
        fn=handlers.open_photo,
        inputs=[view.photo, view.models, view.place],
        outputs=[
            view.facts, view.models, view.run, view.cancel, view.status, view.outcome, view.welcome, view.result,
            view.comparison, view.download, view.closer, view.picker, view.try_spot, view.spot_comparison, view.place,
        ],
        concurrency_limit=2,
        concurrency_id="read",
        show_progress="minimal",
        show_progress_on=view.status,
        trigger_mode="always_last",
        api_visibility="private",
    )  # fmt: skip
    view.picker.select(
        fn=handlers.move_spot,
        inputs=view.place,
        outputs=view.place,
        concurrency_limit=None,  # queued, because Gradio 6.31 tells of a changed State only through the queue
        show_progress="hidden",
        api_visibility="private",
    )
    tried = gr.on(
        triggers=[view.place.change, view.models.input, view.try_spot.click],
        fn=handlers.try_spot,
        inputs=[view.photo, view.models, view.place],
        outputs=[view.try_spot, view.spot_comparison],
        concurrency_limit=1,
        concurrency_id=ONE_AT_A_TIME,
        show_progress="minimal",
        show_progress_on=view.spot_comparison,
        trigger_mode="always_last",
        api_visibility="private",
    )
    measured = tried.then(
        fn=handlers.measure,
        inputs=[view.photo, view.models],
        outputs=view.models,
        concurrency_limit=1,
        concurrency_id=ONE_AT_A_TIME,
        show_progress="hidden",
        api_visibility="private",
    )
    # What was started without being asked for makes room. Cancelling has listeners of its own, because Gradio 6.31
    # does not promise that what follows a listener that cancels is run (gradio issue 10432).
    view.run.click(fn=None, cancels=[tried, measured], api_visibility="private")


def _wire_run(view: UpscaleView, handlers: UpscaleHandlers) -> None:
    buttons = [view.run, view.cancel]
    pressed = view.run.click(
        fn=handlers.prepare_run,
        outputs=[view.status, view.outcome, *buttons, view.try_spot],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    running = pressed.then(
        fn=handlers.run,
        inputs=[view.photo, view.models, view.save_as, view.place],
        outputs=[
            view.status, *buttons, view.result, view.result_facts, view.comparison, view.download, view.models,
            view.spot_comparison,
        ],
        concurrency_limit=1,
        concurrency_id=ONE_AT_A_TIME,
        show_progress="minimal",
        show_progress_on=view.status,
        scroll_to_output=False,
        api_visibility="private",
    )  # fmt: skip
    running.failure(
        fn=handlers.not_started, outputs=buttons, queue=False, show_progress="hidden", api_visibility="private"
    )
    # A new photo or a press on Cancel closes the job's generator, which stops the computation at the next tile.
    view.photo.change(fn=None, cancels=[running], api_visibility="private")
    view.cancel.click(
        fn=handlers.cancelled,
        outputs=[view.status, view.outcome, *buttons],
        cancels=[running],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _giver(path: str) -> Callable[[], str]:
    return lambda: path
