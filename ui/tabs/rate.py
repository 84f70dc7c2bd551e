"""The Rate tab: blind trials on the pictures that come with the project."""

import gradio as gr

from ratings.vote import ANCHORS
from ui import text
from ui.cards import panel
from ui.studio import Studio
from ui.widgets.blind import blind_view

__all__ = ["build_rate_tab"]


def build_rate_tab(studio: Studio) -> gr.HTML | None:
    """Returns the blind trials, or None where votes are not taken, which is said; must be called inside the tab.

    ``select`` is triggered by a link to a variant, and ``pressed_id`` says to which.
    """
    if studio.booth is None:
        gr.HTML(panel(studio.poll.notice or text.RATINGS_OFF, "quiet"), apply_default_css=False, elem_id="rate-off")
        return None
    return blind_view(studio.keeper, ANCHORS, "rate")
