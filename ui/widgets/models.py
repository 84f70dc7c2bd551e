"""The models as tables of radio buttons: one control to read and to choose from.

The recommended variant of each family stands in the open; the others are behind a disclosure, which says which one is
chosen when it is closed.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ui import text

__all__ = ["ModelGroup", "ModelRow", "model_table", "table_html"]

_ON_LOAD = """
let open = false;
const paint = () => {
  const more = element.querySelector('.models-more');
  for (const radio of element.querySelectorAll('input')) radio.checked = radio.value === props.value;
  if (!more) return;
  more.open = open;
  more.querySelector('.models-chosen').textContent = more.querySelector('input:checked')?.dataset.chosen ?? '';
};
element.addEventListener('change', (event) => {
  if (!event.target.matches('input[type=radio]')) return;
  props.value = event.target.value;
  paint();
  trigger('input');
});
element.addEventListener('click', (event) => {
  if (event.target.closest('summary')) open = !element.querySelector('.models-more').open;
});
watch(['value', 'table'], paint);
paint();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One line of the table.

    Attributes:
        id: The variant's id.
        label: Its name on screen.
        short: Its name below the heading of its family.
        parameters: How many it has.
        size_bytes: Length of its weight file.
        psnr_db: Set5, luma, or None when it was not measured.
        seconds: Estimated time for the photo, or None without a photo.
        recommended_for: One phrase.
    """

    id: str
    label: str
    short: str
    parameters: int
    size_bytes: int
    psnr_db: float | None
    seconds: float | None
    recommended_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelGroup:
    """The variants of a family; the first one is recommended."""

    heading: str
    rows: tuple[ModelRow, ...]


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


def table_html(groups: Sequence[ModelGroup], note: str) -> str:
    """Returns the tables, all words escaped; which row is chosen is up to the component's value.

    Args:
        groups: What they list.
        note: A sentence below, about the times.
    """
    first = "".join(_row_html(group.rows[0], group.rows[0].label) for group in groups)
    return (
        f'<fieldset class="models"><legend>{html.escape(text.MODEL)}</legend>{_table(first, "")}{_more(groups)}'
        f'<p class="models-note">{html.escape(note)} {html.escape(text.PSNR_HELP)}</p></fieldset>'
    )


def _more(groups: Sequence[ModelGroup]) -> str:
    """Returns the variants that are not recommended, under the names of their families."""
    others = [(group.heading, group.rows[1:]) for group in groups if len(group.rows) > 1]
    if not others:
        return ""
    count = sum(len(rows) for _, rows in others)
    tables = (
        _table("".join(_row_html(row, row.short, is_brief=True) for row in rows), heading) for heading, rows in others
    )
    return (
        f'<details class="models-more"><summary><span>{html.escape(text.MORE_VARIANTS.format(count=count))}</span>'
        f'<span class="models-chosen"></span></summary>{"".join(tables)}</details>'
    )


def _table(rows: str, heading: str) -> str:
    columns = "".join(f'<col class="models-col-{name}">' for name in ("name", "time", "psnr", "size"))
    headings = "".join(_heading_html(*words) for words in text.MODEL_HEADINGS)
    caption = f"<caption>{html.escape(heading)}</caption>" if heading else ""
    return (
        f"<table>{caption}<colgroup>{columns}</colgroup><thead><tr>{headings}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _heading_html(words: str, unit: str) -> str:
    below = _below(unit) if unit else ""
    return f'<th scope="col">{html.escape(words)}{below}</th>'


def _row_html(row: ModelRow, name: str, *, is_brief: bool = False) -> str:
    seconds = text.NO_TIME if row.seconds is None else f"~{text.duration_text(row.seconds)}"
    psnr = text.NO_TIME if row.psnr_db is None else text.decibels_text(row.psnr_db)
    identifier = html.escape(f"model-{row.id}")
    chosen = html.escape(text.CHOSEN.format(label=row.label))
    for_whom = "" if is_brief else _below(row.recommended_for)
    count = "" if is_brief else _below(text.count_text(row.parameters))
    return (
        f'<tr><th scope="row"><label for="{identifier}">'
        f'<input type="radio" name="model" id="{identifier}" value="{html.escape(row.id)}" data-chosen="{chosen}">'
        f'<span><span class="models-name">{html.escape(name)}</span>{for_whom}</span></label></th>'
        f'<td class="models-time">{html.escape(seconds)}</td><td>{html.escape(psnr)}</td>'
        f"<td>{html.escape(text.size_text(row.size_bytes))}{count}</td></tr>"
    )


def _below(words: str) -> str:
    return f'<span class="models-for">{html.escape(words)}</span>'
