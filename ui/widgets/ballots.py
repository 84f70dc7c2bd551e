"""What the two widgets that take votes share: one script in the browser, and the buttons for grades.

Votes do not pass through Gradio: the scripts here talk to the routes below ``ratings/``, so that nothing of a trial is
ever in Gradio's config, its events or its files.
"""

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import gradio as gr

from ui import text

__all__ = ["grade_buttons", "receipt_keeper", "said_words", "vote_script"]

_SHARED: Final = "ballots.js"


def receipt_keeper() -> gr.HTML:
    """Returns the component that nobody sees: when the page opens, it hands over again what a server may have lost.

    Gradio 6.31 runs the script of a widget only when its tab is opened.
    """
    return gr.HTML(
        js_on_load=_script(_SHARED), apply_default_css=False, visible="hidden", elem_id="receipts", html_template=""
    )


def vote_script(name: str) -> str:
    """Returns a widget's script for ``js_on_load``, with the shared one before it.

    Args:
        name: Its file in this folder.
    """
    return f"{_script(_SHARED)}\n{_script(name)}"


def _script(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def said_words(more: Mapping[str, str]) -> str:
    """Returns what the scripts say, as the escaped value of an attribute.

    Args:
        more: The words of one widget only.
    """
    shared = {
        "accepted": text.RATE_ACCEPTED,
        "accepted_more": text.RATE_ACCEPTED_MORE,
        "slow_more": text.RATE_SLOW_MORE,
        "saved": text.RATE_SAVED,
        "saved_more": text.RATE_SAVED_MORE,
        "kept": text.RATE_KEPT,
        "sending": text.RATE_SENDING,
        "offline": text.RATE_OFFLINE,
        "broken": text.RATE_BROKEN,
    }
    return html.escape(json.dumps({**shared, **more}))


def grade_buttons() -> str:
    """Returns five buttons, from bad to excellent."""
    return "".join(
        f'<button type="button" class="vote" data-answer="{grade}"><kbd aria-hidden="true">{grade}</kbd>'
        f"<span>{html.escape(words)}</span></button>"
        for grade, words in enumerate(text.GRADES, 1)
    )
