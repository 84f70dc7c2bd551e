"""A quiet line under a result that asks how good it is: five buttons with the words of ITU-T P.910."""

import html
from typing import Any

import gradio as gr

from ui import text
from ui.widgets.ballots import grade_buttons, said_words, vote_script
from ui.widgets.press import fixed_template

__all__ = ["grade_value", "grade_view"]


def grade_view(keeper: str, picture: str, elem_id: str) -> gr.HTML:
    """Returns the component, which shows nothing until it has a value; its values are those of :func:`grade_value`.

    Args:
        keeper: Where votes are kept for good: ``hub``, ``database`` or ``here``.
        picture: Selector of the image that is graded.
        elem_id: The element's id.
    """
    return gr.HTML(
        html_template=fixed_template(_grade_html(keeper, picture)),
        js_on_load=vote_script("grade.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def grade_value(ticket: str, width: int) -> dict[str, Any]:
    """Returns what the component needs to ask for a grade.

    Args:
        ticket: What the booth made of the variant and of the photo's secret word.
        width: Columns of the result, by which the browser tells how large its pixels are shown.
    """
    return {"ticket": ticket, "width": width}


def _grade_html(keeper: str, picture: str) -> str:
    words = said_words({"thanks": text.GRADE_THANKS, "tick": text.GRADE_TICK})
    return (
        f'<section class="grade" data-phase="open" data-keeper="{html.escape(keeper)}" '
        f'data-picture="{html.escape(picture)}" data-words="{words}" hidden>'
        f'<div class="grade-row"><h3>{html.escape(text.GRADE_TITLE)}</h3>'
        f'<div class="grade-answers" role="group" aria-label="{html.escape(text.GRADE_TITLE)}">{grade_buttons()}</div>'
        '<p class="rate-said" role="status"></p><p class="rate-problem" role="alert"></p>'
        f'<button type="button" class="rate-retry" hidden>{html.escape(text.RATE_RETRY)}</button></div>'
        f'<p class="grade-stored"><span>{html.escape(text.GRADE_STORED)}</span> '
        f'<span class="grade-as-rate" hidden>{html.escape(text.GRADE_AS_RATE)}</span></p>'
        '<label class="grade-agree"><input type="checkbox" class="rate-consent">'
        f"<span>{html.escape(text.GRADE_CONSENT)}</span></label></section>"
    )
