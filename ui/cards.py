"""Small pieces of HTML around the pictures; every word that comes from outside is escaped here."""

import html
import math
from collections.abc import Sequence

from sr_core.image.header import Header
from sr_core.image.metadata import has_location
from sr_core.image.picture import FORMAT_NAMES, PhotoFormat
from ui import text
from ui.jobs import Stage

__all__ = [
    "facts_card", "header_card", "limits_card", "losses_card", "panel", "photo_card", "progress_panel", "refusal_card",
    "section_head", "stage_panel",
]  # fmt: skip


def header_card() -> str:
    """Returns the top of the page."""
    return f"<header class='top'><h1>{html.escape(text.TITLE)}</h1><p>{html.escape(text.HERO)}</p></header>"


def limits_card(gone_seconds: int) -> str:
    """Returns what to expect, shown until there is a photo."""
    points = "".join(
        f"<div><dt>{html.escape(title)}</dt><dd>{html.escape(words)}</dd></div>" for title, words in text.WELCOME_POINTS
    )
    return (
        f"<section class='welcome'><h2>{html.escape(text.WELCOME_TITLE)}</h2><dl>{points}</dl>"
        f"<p>{html.escape(text.PRIVACY.format(minutes=math.ceil(gone_seconds / 60)))}</p></section>"
    )


def section_head(title: str, words: str) -> str:
    """Returns a heading with a sentence under it."""
    return f"<div class='head'><h2>{html.escape(title)}</h2><p>{html.escape(words)}</p></div>"


def photo_card(header: Header) -> str:
    """Returns what is known of a photo."""
    facts = [
        header.kind,
        f"{header.width} × {header.height}",
        text.megapixels_text(header.height * header.width),
        text.size_text(header.size_bytes),
        header.samples,
    ]
    if header.channels == 1:
        facts.append(text.GREY)
    if header.has_alpha:
        facts.append(text.TRANSPARENCY)
    facts.append(text.WITH_LOCATION if has_location(header.metadata) else text.NO_LOCATION)
    return _facts(facts)


def losses_card(losses: Sequence[str], photo_format: PhotoFormat) -> str:
    """Returns what a photo carries and a result will not.

    Args:
        losses: A sentence for each; none where all is carried, which is said too.
        photo_format: Family of the result.
    """
    if losses:
        return f"<div role='status'>{_notices(losses)}</div>"
    words = text.KEEPS_LIGHT if photo_format == "dng" else text.KEEPS_ALL.format(name=FORMAT_NAMES[photo_format])
    return f"<p class='keeps-all' role='status'>{html.escape(words)}</p>"


def refusal_card(sentence: str) -> str:
    """Returns why a result cannot be made as it is chosen."""
    return f"<ul class='notices notices-refusal' role='alert'><li>{html.escape(sentence)}</li></ul>"


def facts_card(facts: Sequence[str], notices: Sequence[str]) -> str:
    """Returns the line of facts above a result, and what did not get into it."""
    return f"<div role='status'>{_facts(facts)}</div>{_notices(notices)}"


def panel(words: str, kind: str = "busy") -> str:
    """Returns a line that says what is going on: ``busy``, ``quiet`` or ``error``."""
    role = "alert" if kind == "error" else "status"
    return f"<div class='panel panel-{kind}' role='{role}'><p>{html.escape(words)}</p></div>"


def progress_panel(words: str, detail: str, done: int, total: int) -> str:
    """Returns a line that says what is going on, with a bar."""
    words, detail = html.escape(words), html.escape(detail)
    return (
        f"<div class='panel panel-busy'><p><b role='status'>{words}</b><span>{detail}</span></p>"
        f"<progress max='{total}' value='{done}' aria-label='{words}'></progress></div>"
    )


def stage_panel(stage: Stage) -> str:
    """Returns a line that says what a job is doing, with a bar where there are tiles to count."""
    return progress_panel(stage.words, stage.detail, stage.done, stage.total) if stage.total else panel(stage.words)


def _facts(facts: Sequence[str]) -> str:
    return "<ul class='facts'>" + "".join(f"<li>{html.escape(fact)}</li>" for fact in facts) + "</ul>"


def _notices(notices: Sequence[str]) -> str:
    if not notices:
        return ""
    return "<ul class='notices'>" + "".join(f"<li>{html.escape(notice)}</li>" for notice in notices) + "</ul>"
