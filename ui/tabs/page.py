"""The page: its tabs, and the one variant that is chosen on those about one photo or one variant."""

from collections.abc import Callable

import gradio as gr
from gradio.blocks import Block

from ui import text
from ui.failures import failure_sentence, spoken_error
from ui.studio import Studio
from ui.tabs.board import build_board_tab
from ui.tabs.closer import CloserHandlers, Updates
from ui.tabs.layout import UpscaleView
from ui.tabs.rate import build_rate_tab
from ui.tabs.upscale import build_upscale_tab
from ui.tabs.zoo import ZooView, build_zoo_tab, show_variant
from ui.widgets.ballots import receipt_keeper
from ui.widgets.press import pressed_id

__all__ = ["Choice", "build_page"]

UPSCALE, ZOO, RATE, BOARD = "upscale", "zoo", "rate", "board"
LINK = "variant"
"""The word of an address that names a variant: ``?variant=ID``."""


class Choice:
    """The variant that is chosen: three components show it, and a change of one goes to the others.

    Args:
        studio: What the app owns.
        upscale: The components of the one tab.
        zoo: Those of the other.
        closer: The handlers of the close look, whose choices depend on the variant.
    """

    def __init__(self, studio: Studio, upscale: UpscaleView, zoo: ZooView, closer: CloserHandlers) -> None:
        self._studio, self._zoo, self._closer = studio, zoo, closer
        self.choosers: tuple[gr.HTML, ...] = (upscale.models, zoo.plot, zoo.table)
        self.against = upscale.closer.against

    def outputs(self, chooser: gr.HTML | None) -> list[Block]:
        """Returns what a choice changes, without the component that it was made with."""
        return [*(one for one in self.choosers if one is not chooser), *self._zoo.shown(), self.against]

    def made_with(self, chooser: gr.HTML | None) -> Callable[[str, str], Updates]:
        """Returns the handler of a choice, given the id and what the close look is compared with."""

        def choose(model_id: str, against: str) -> Updates:
            try:
                shown = show_variant(self._studio, self._zoo, model_id)
                choices = self._closer.choices(model_id, against)
            except Exception as error:  # said to the visitor as a sentence, logged where it is a bug
                raise spoken_error(failure_sentence(error)) from error
            return {**{one: model_id for one in self.choosers if one is not chooser}, **shown, **choices}

        return choose

    def follow(self, against: str, event: gr.EventData) -> Updates:
        """Chooses the variant of a link that was pressed."""
        return self.made_with(None)(pressed_id(event), against)


def build_page(app: gr.Blocks, studio: Studio) -> None:
    """Adds the tabs to the app; must be called inside its context."""
    with gr.Tabs(elem_id="tabs") as tabs:
        with gr.Tab(text.UPSCALE_TAB, id=UPSCALE, elem_id="upscale-tab", render_children=True) as upscale_tab:
            upscale, handlers = build_upscale_tab(studio, upscale_tab)
        with gr.Tab(text.ZOO_TAB, id=ZOO, elem_id="zoo-tab", render_children=True):
            zoo = build_zoo_tab(studio)
        with gr.Tab(text.RATE_TAB, id=RATE, elem_id="rate-tab", render_children=True):
            trials = build_rate_tab(studio)
        with gr.Tab(text.BOARD_TAB, id=BOARD, elem_id="board-tab", render_children=True) as board_tab:
            board = build_board_tab(studio, board_tab)
    if studio.booth is not None:
        receipt_keeper()
    choice = Choice(studio, upscale, zoo, handlers.closer)
    _wire(choice, zoo, tabs)
    for linked in (board, *([] if trials is None else [trials])):
        _wire_names(choice, linked, tabs)
    _wire_link(app, studio, choice, tabs)


def _wire(choice: Choice, zoo: ZooView, tabs: gr.Tabs) -> None:
    for chooser in choice.choosers:
        chooser.input(
            fn=choice.made_with(chooser),
            inputs=[chooser, choice.against],
            outputs=choice.outputs(chooser),
            queue=False,
            show_progress="hidden",
            trigger_mode="always_last",
            api_visibility="private",
        )
    zoo.sheet.select(
        fn=choice.follow,
        inputs=choice.against,
        outputs=choice.outputs(None),
        queue=False,
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )
    zoo.use.click(
        fn=lambda: gr.Tabs(selected=UPSCALE), outputs=tabs, queue=False, show_progress="hidden",
        api_visibility="private",
    )  # fmt: skip


def _wire_names(choice: Choice, linked: gr.HTML, tabs: gr.Tabs) -> None:
    """Lets the name of a variant on another tab open the zoo at it."""

    def open_zoo(against: str, event: gr.EventData) -> Updates:
        return {**choice.follow(against, event), tabs: gr.Tabs(selected=ZOO)}

    linked.select(
        fn=open_zoo,
        inputs=choice.against,
        outputs=[tabs, *choice.outputs(None)],
        queue=False,
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )


def _wire_link(app: gr.Blocks, studio: Studio, choice: Choice, tabs: gr.Tabs) -> None:
    """Lets an address open the zoo at the variant that it names; one that is not known changes nothing."""
    known = {release.id for release in studio.manifest.releases}
    outputs: list[Block] = [tabs, *choice.outputs(None)]

    def open_link(request: gr.Request) -> Updates:
        variant = str(request.query_params.get(LINK, ""))
        if variant not in known:
            return {tabs: gr.skip()}
        return {tabs: gr.Tabs(selected=ZOO), **choice.made_with(None)(variant, text.BICUBIC)}

    app.load(fn=open_link, outputs=outputs, queue=False, show_progress="hidden", api_visibility="private")
