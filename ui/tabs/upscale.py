"""The upscale tab: its components wired to its handlers."""

from collections.abc import Callable

import gradio as gr

from ui.studio import Studio
from ui.tabs.downloads import wire_kit
from ui.tabs.handlers import UpscaleHandlers
from ui.tabs.layout import UpscaleView, lay_out

__all__ = ["ONE_AT_A_TIME", "build_upscale_tab"]

READERS = 8
"""Visitors whose photos are opened at a time; more than there are workers, so that each of them is told to wait."""
ONE_AT_A_TIME = "model"
"""Everything that runs a network shares this queue: one job at a time on the whole machine."""


def build_upscale_tab(studio: Studio, tab: gr.Tab) -> tuple[UpscaleView, UpscaleHandlers]:
    """Returns the tab's components and their handlers, wired; must be called inside the tab."""
    view = lay_out(studio)
    handlers = UpscaleHandlers(studio, view)
    _wire_photo(view, handlers)
    _wire_saving(view, handlers)
    _wire_closer(view, handlers, tab)
    _wire_run(view, handlers)
    _wire_against(view, handlers)
    wire_kit(studio, view.kit)
    return view, handlers


def _wire_photo(view: UpscaleView, handlers: UpscaleHandlers) -> None:
    closer, full, saving = view.closer, view.full, view.saving
    for button, path in view.examples:
        button.click(
            fn=_giver(str(path)), outputs=view.photo, queue=False, show_progress="hidden", api_visibility="private"
        )
    view.photo.change(
        fn=handlers.open_photo,
        inputs=[view.photo, view.models, saving.save_as, saving.remove_location, closer.place],
        outputs=[
            view.facts, view.models, saving.save_as, saving.remove_location, saving.losses, view.run, view.cancel,
            view.status, view.outcome, view.welcome, view.result, view.result_of, view.comparison, view.grade,
            view.download, view.kit, full.also_status, full.also_run, full.also_cancel, full.against, closer.column,
            closer.picker, closer.try_spot, closer.comparison, closer.place, closer.shown,
        ],
        concurrency_limit=READERS,
        concurrency_id="read",
        show_progress="minimal",
        show_progress_on=view.status,
        trigger_mode="always_last",
        api_visibility="private",
    )  # fmt: skip


def _wire_saving(view: UpscaleView, handlers: UpscaleHandlers) -> None:
    saving = view.saving
    gr.on(
        triggers=[saving.save_as.input, saving.remove_location.input, view.models.change],
        fn=handlers.saving.choose,
        inputs=[view.photo, view.models, saving.save_as, saving.remove_location, view.closer.place],
        outputs=saving.losses,
        concurrency_limit=4,
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )


def _wire_closer(view: UpscaleView, handlers: UpscaleHandlers, tab: gr.Tab) -> None:
    closer = view.closer
    closer.picker.select(
        fn=handlers.closer.move,
        inputs=closer.place,
        outputs=closer.place,
        concurrency_limit=None,  # queued, because Gradio 6.31 tells of a changed State only through the queue
        show_progress="hidden",
        api_visibility="private",
    )
    outputs = [closer.try_spot, closer.comparison, closer.shown]
    tried = gr.on(
        triggers=[closer.place.change, view.models.input, closer.against.input, closer.try_spot.click],
        fn=handlers.closer.try_spot,
        inputs=[view.photo, view.models, closer.against, closer.place],
        outputs=outputs,
        concurrency_limit=1,
        concurrency_id=ONE_AT_A_TIME,
        show_progress="minimal",
        show_progress_on=closer.comparison,
        trigger_mode="always_last",
        api_visibility="private",
    )
    # A variant that was chosen on another tab is computed only when somebody looks.
    refreshed = tab.select(
        fn=handlers.closer.refresh,
        inputs=[view.photo, view.models, closer.against, closer.place, closer.shown],
        outputs=outputs,
        concurrency_limit=1,
        concurrency_id=ONE_AT_A_TIME,
        show_progress="minimal",
        show_progress_on=closer.comparison,
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
    for button in (view.run, view.full.also_run):
        button.click(fn=None, cancels=[tried, refreshed, measured], api_visibility="private")


def _wire_run(view: UpscaleView, handlers: UpscaleHandlers) -> None:
    full, closer = view.full, view.closer
    buttons = [view.run, view.cancel, full.also_run, full.also_cancel, full.against]
    pressed = view.run.click(
        fn=handlers.prepare_run,
        outputs=[view.status, view.outcome, full.also_status, *buttons, closer.try_spot],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    running = pressed.then(
        fn=handlers.run,
        inputs=[
            view.photo, view.models, view.saving.save_as, view.saving.remove_location, closer.against, closer.place,
        ],
        outputs=[
            view.status, *buttons, view.result, view.result_facts, view.result_of, view.comparison, view.grade,
            view.download, view.kit, view.models, full.also_status, closer.comparison, closer.shown,
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


def _wire_against(view: UpscaleView, handlers: UpscaleHandlers) -> None:
    full = view.full
    controls = [full.also_run, full.also_cancel, full.against]
    inputs = [view.photo, view.result_of, full.against, view.closer.place]
    full.against.input(
        fn=handlers.full.choose,
        inputs=inputs,
        outputs=[full.also_status, *controls, view.comparison],
        concurrency_limit=READERS,
        concurrency_id="read",
        show_progress="minimal",
        show_progress_on=view.comparison,
        trigger_mode="always_last",
        api_visibility="private",
    )
    pressed = full.also_run.click(
        fn=handlers.full.prepare,
        outputs=[full.also_status, *controls],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    running = pressed.then(
        fn=handlers.full.run,
        inputs=inputs,
        outputs=[full.also_status, *controls, view.comparison],
        concurrency_limit=1,
        concurrency_id=ONE_AT_A_TIME,
        show_progress="minimal",
        show_progress_on=full.also_status,
        scroll_to_output=False,
        api_visibility="private",
    )
    running.failure(
        fn=handlers.full.stopped, outputs=controls, queue=False, show_progress="hidden", api_visibility="private"
    )
    for one in (view.photo.change, view.run.click):
        one(fn=None, cancels=[running], api_visibility="private")
    full.also_cancel.click(
        fn=handlers.full.cancelled,
        outputs=[full.also_status, *controls],
        cancels=[running],
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )


def _giver(path: str) -> Callable[[], str]:
    return lambda: path
