"""Blind trials: one picture twice, whose makers are told after the vote; or one picture to grade.

The component has no value. What it shows of a trial it gets from the server by itself, so that Gradio never knows.
"""

import html
from collections.abc import Collection
from typing import Final

import gradio as gr

from ui import text
from ui.widgets.ballots import grade_buttons, said_words, vote_script
from ui.widgets.press import fixed_template

__all__ = ["blind_view"]

_QUIET: Final = ("both_bad", "skip")
"""Answers that are needed less often, and stand back."""


def blind_view(keeper: str, anchors: Collection[str], elem_id: str) -> gr.HTML:
    """Returns the component; ``select`` is triggered by a link to a variant, and ``pressed_id`` says to which.

    Args:
        keeper: Where votes are kept for good: ``hub``, ``database`` or ``here``.
        anchors: Systems that are no variants and have no page in the zoo.
        elem_id: The element's id.
    """
    return gr.HTML(
        html_template=fixed_template(_blind_html(keeper, anchors)),
        js_on_load=vote_script("blind.js"),
        apply_default_css=False,
        elem_id=elem_id,
    )


def _blind_html(keeper: str, anchors: Collection[str]) -> str:
    """Returns everything that the script shows and hides, all words escaped."""
    return (
        f'<section class="rate" data-phase="intro" data-mode="pair" data-keeper="{html.escape(keeper)}" '
        f'data-anchors="{html.escape(" ".join(anchors))}" data-sides="{html.escape("".join(text.RATE_SIDES))}" '
        f'data-words="{said_words(_words())}">'
        f"{_head()}{_intro(keeper)}{_pictures()}{_hands()}{_foot()}</section>"
    )


def _words() -> dict[str, str]:
    return {
        "loading": text.RATE_LOADING,
        "look": text.RATE_LOOK,
        "scroll": text.RATE_SCROLL,
        "scroll_one": text.RATE_SCROLL_ONE,
        "ready": text.RATE_READY,
        "reveal": text.RATE_REVEAL,
        "reveal_one": text.RATE_REVEAL_ONE,
        "pictures_lost": text.RATE_PICTURES_LOST,
        "larger": text.RATE_LARGER,
        "smaller": text.RATE_SMALLER,
        "today": text.RATE_TODAY,
        "photo": text.RATE_PHOTO,
        "deleted": text.RATE_DELETED,
        "foreign": text.RATE_FOREIGN,
    }


def _head() -> str:
    modes = "".join(
        f'<button type="button" data-mode="{mode}" aria-pressed="{pressed}">{html.escape(words)}</button>'
        for mode, words, pressed in (("pair", text.RATE_PAIR, "true"), ("grade", text.RATE_ONE, "false"))
    )
    return (
        f'<div class="rate-head"><h2><span class="for-pair">{html.escape(text.RATE_TITLE)}</span>'
        f'<span class="for-grade">{html.escape(text.RATE_ONE_TITLE)}</span></h2>'
        f'<div class="rate-modes" role="group" aria-label="{html.escape(text.RATE_MODES)}">{modes}</div></div>'
    )


def _intro(keeper: str) -> str:
    stored = f"{text.RATE_STORED} {text.RATE_HERE}" if keeper == "here" else text.RATE_STORED
    return (
        f'<div class="rate-intro"><p class="for-pair">{html.escape(text.RATE_INTRO)}</p>'
        f'<p class="for-grade">{html.escape(text.RATE_ONE_INTRO)}</p><p class="rate-stored">{html.escape(stored)}</p>'
        f'<label><input type="checkbox" class="rate-consent"><span>{html.escape(text.RATE_CONSENT)}</span></label>'
        f'<button type="button" class="rate-start" disabled>{html.escape(text.RATE_START)}</button></div>'
    )


def _pictures() -> str:
    figures = "".join(_figure(side) for side in text.RATE_SIDES)
    return (
        f'<div class="rate-trial" hidden><div class="rate-mat">{figures}'
        '<div class="rate-line" aria-hidden="true"><span></span></div></div></div>'
    )


def _figure(side: str) -> str:
    alt = html.escape(text.RATE_PICTURE_ALT.format(side=side))
    return (
        f'<figure><div class="rate-frame"><img alt="{alt}" draggable="false"></div>'
        f'<figcaption><b>{html.escape(side)}</b><span class="rate-maker"></span></figcaption></figure>'
    )


def _answer(answer: str, words: str, key: str, aloud: str) -> str:
    is_quiet = " is-quiet" if answer in _QUIET else ""
    return (
        f'<button type="button" class="vote{is_quiet}" data-answer="{html.escape(answer)}" '
        f'aria-label="{html.escape(aloud)}">'
        f'<kbd aria-hidden="true">{html.escape(key)}</kbd><span>{html.escape(words)}</span></button>'
    )


def _hands() -> str:
    """Returns the answers, and the line that says how things stand."""
    answers = "".join(_answer(*one) for one in text.RATE_ANSWERS)
    group = f'role="group" aria-label="{html.escape(text.RATE_VOTE)}"'
    return (
        f'<div class="rate-hands" tabindex="-1"><div class="rate-answers for-pair" {group}>{answers}</div>'
        f'<div class="rate-answers for-grade" {group}>{grade_buttons()}</div>'
        '<p class="rate-aloud" role="status"></p>'
        '<div class="rate-bar"><p class="rate-said" role="status"></p><p class="rate-problem" role="alert"></p>'
        f'<button type="button" class="rate-retry">{html.escape(text.RATE_RETRY)}</button>'
        f'<button type="button" class="rate-next"><span>{html.escape(text.RATE_NEXT)}</span>'
        '<kbd aria-hidden="true">N</kbd></button></div></div>'
    )


def _foot() -> str:
    return (
        '<div class="rate-foot"><span class="rate-today"></span><span class="rate-photo"></span>'
        '<button type="button" class="rate-zoom" hidden><span></span><kbd aria-hidden="true">Z</kbd></button>'
        f'<button type="button" class="rate-delete" hidden>{html.escape(text.RATE_DELETE)}</button>'
        f'<span class="rate-sure" hidden><span>{html.escape(text.RATE_DELETE_ASK)}</span>'
        f'<button type="button" class="rate-delete-yes">{html.escape(text.RATE_DELETE_YES)}</button>'
        f'<button type="button" class="rate-delete-no">{html.escape(text.RATE_DELETE_NO)}</button></span></div>'
    )
