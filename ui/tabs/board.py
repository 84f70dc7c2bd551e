"""The board tab: what the votes support, made anew when the tab is opened."""

import gradio as gr

from ui import text
from ui.cards import panel
from ui.failures import failure_sentence
from ui.studio import Studio
from ui.tabs.board_rows import board_html
from ui.widgets.board_table import board_view
from ui.widgets.sheet import Html

__all__ = ["build_board_tab", "show_board"]


def build_board_tab(studio: Studio, tab: gr.Tab) -> gr.HTML:
    """Builds the tab and returns its one component; must be called inside the tab.

    Returns:
        The component; ``select`` is triggered by a link to a variant, and ``pressed_id`` says to which.
    """
    view = board_view("board", Html(panel(text.BOARD_COUNTING, "quiet")))
    tab.select(
        fn=lambda: show_board(studio),
        outputs=view,
        queue=False,
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )
    return view


def show_board(studio: Studio) -> Html:
    """Returns the board as it stands, or why there is none."""
    if studio.booth is None:
        return Html(panel(studio.poll.notice or text.BOARD_OFF, "quiet"))
    try:
        return board_html(studio.booth.board(), studio.manifest, studio.keeper)
    except Exception as error:  # noqa: BLE001  said to the visitor as a sentence, logged where it is a bug
        return Html(panel(failure_sentence(error), "error"))
