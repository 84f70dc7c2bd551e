"""The models as a table of radio buttons: one control to read and to choose from."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ui import text

__all__ = ["ModelRow", "model_table", "table_html"]

_ON_LOAD = """
element.addEventListener('change', (event) => {
  if (!event.target.matches('input[type=radio]')) return;
  props.value = event.target.value;
  trigger('input');
});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of the table.

    Attributes:
        id: The variant's id.
        label: Its name on screen.
        parameters: How many it has.
        size_bytes: Length of its weight file.
        psnr_db: Set5, luma, or None when it was not measured.
        seconds: Estimated time for the photo, or None without a photo.
        recommended_for: One phrase.
    """

    id: str
    label: str
    parameters: int
    size_bytes: int
    psnr_db: float | None
    seconds: float | None
    recommended_for: str


def model_table(chosen: str, table: str, elem_id: str) -> gr.HTML:
    """Returns the component; its value is the id of the chosen model.

    Args:
        chosen: The id of the model that is chosen at first.
        table: What :func:`table_html` returned; an update with another one goes to the property ``table``.
        elem_id: The element's id.
    """
    return gr.HTML(
        chosen, html_template="${table}", js_on_load=_ON_LOAD, apply_default_css=False, elem_id=elem_id, table=table
    )


def table_html(rows: Sequence[ModelRow], chosen: str, note: str) -> str:
    """Returns the table, all words escaped.

    Args:
        rows: What it lists.
        chosen: Id of the chosen row.
        note: A sentence below it, about the times.
    """
    headings = "".join(_heading_html(*words) for words in text.MODEL_HEADINGS)
    return (
        f'<fieldset class="models"><legend>{html.escape(text.MODEL)}</legend><table>'
        f"<thead><tr>{headings}</tr></thead>"
        f"<tbody>{''.join(_row_html(row, row.id == chosen) for row in rows)}</tbody></table>"
        f'<p class="models-note">{html.escape(note)} {html.escape(text.PSNR_HELP)}</p></fieldset>'
    )


def _heading_html(words: str, unit: str) -> str:
    below = f'<span class="models-for">{html.escape(unit)}</span>' if unit else ""
    return f'<th scope="col">{html.escape(words)}{below}</th>'


def _row_html(row: ModelRow, is_chosen: bool) -> str:
    seconds = text.NO_TIME if row.seconds is None else f"~{text.duration_text(row.seconds)}"
    psnr = text.NO_TIME if row.psnr_db is None else f"{row.psnr_db:.2f}"
    identifier = html.escape(f"model-{row.id}")
    return (
        f'<tr><th scope="row"><label for="{identifier}">'
        f'<input type="radio" name="model" id="{identifier}" value="{html.escape(row.id)}"'
        f"{' checked' if is_chosen else ''}>"
        f'<span><span class="models-name">{html.escape(row.label)}</span>'
        f'<span class="models-for">{html.escape(row.recommended_for)}</span></span></label></th>'
        f'<td class="models-time">{html.escape(seconds)}</td><td>{html.escape(psnr)}</td>'
        f"<td>{html.escape(text.size_text(row.size_bytes))}"
        f'<span class="models-for">{html.escape(text.count_text(row.parameters))}</span></td></tr>'
    )
