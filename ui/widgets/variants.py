"""All variants in one table: each column sorts it, each row chooses its variant, also by keyboard."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import gradio as gr

from ui import text
from ui.widgets.press import fixed_template

__all__ = ["Cell", "Column", "VariantRow", "variant_table", "variants_html"]

_ON_LOAD = """
const paint = () => {
  for (const radio of element.querySelectorAll('input')) radio.checked = radio.value === props.value;
};
const compare = (a, b) => {
  const apart = Number(a) - Number(b);
  return Number.isNaN(apart) ? a.localeCompare(b) : apart;
};
const sort = (button) => {
  const head = button.closest('th');
  const turned = {ascending: 'descending', descending: 'ascending'};
  const order = turned[head.getAttribute('aria-sort')] ?? button.dataset.first;
  for (const other of element.querySelectorAll('[aria-sort]')) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', order);
  const column = [...head.parentElement.children].indexOf(head);
  const key = (row) => row.children[column].dataset.order;
  const body = element.querySelector('tbody');
  const rows = [...body.rows].sort((a, b) => {
    if (!key(a) || !key(b)) return Number(!key(a)) - Number(!key(b));
    return order === 'ascending' ? compare(key(a), key(b)) : compare(key(b), key(a));
  });
  body.append(...rows);
  const said = element.querySelector('[role=status]');
  said.textContent = said.dataset.words.replace('{column}', button.dataset.name).replace('{order}', order);
};
element.addEventListener('change', (event) => {
  if (!event.target.matches('input[type=radio]')) return;
  props.value = event.target.value;
  trigger('input');
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('thead button');
  if (button) sort(button);
});
watch('value', paint);
paint();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the table.

    Attributes:
        words: Its heading.
        unit: What stands below the heading.
        first: How a first press sorts: the better values should come to the top.
        is_number: Whether its cells are numbers, which stand to the right.
    """

    words: str
    unit: str = ""
    first: Literal["ascending", "descending"] = "ascending"
    is_number: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What stands in the table, and what it is sorted by; None goes to the end, whichever the order."""

    shown: str
    order: float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """A variant: its id, its name on screen, and a cell for every column but the first."""

    id: str
    label: str
    cells: tuple[Cell, ...]


def variant_table(chosen: str, table: str, elem_id: str) -> gr.HTML:
    """Returns the component; its value is the id of the chosen variant.

    Args:
        chosen: The id of the variant that is chosen at first.
        table: What :func:`variants_html` returned; it must not change, because a visitor may have sorted it.
        elem_id: The element's id.
    """
    return gr.HTML(
        chosen,
        html_template=fixed_template(table),
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id=elem_id,
    )


def variants_html(columns: Sequence[Column], rows: Sequence[VariantRow], notes: Sequence[str]) -> str:
    """Returns the table, all words escaped.

    Args:
        columns: The first one is for the names.
        rows: What it lists.
        notes: Sentences below it.
    """
    headings = "".join(_heading_html(column) for column in columns)
    body = "".join(_row_html(row, columns[1:]) for row in rows)
    caption, words = html.escape(text.TABLE_CAPTION), html.escape(text.SORTED)
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return (
        f'<div class="variants"><div class="variants-frame"><table><caption>{caption}</caption>'
        f"<thead><tr>{headings}</tr></thead><tbody>{body}</tbody></table></div>"
        f'<p class="unseen" role="status" data-words="{words}"></p><div class="variants-notes">{below}</div></div>'
    )


def _heading_html(column: Column) -> str:
    words, unit = html.escape(column.words), html.escape(column.unit)
    return (
        f'<th scope="col"{_mark(column)}><button type="button" data-first="{column.first}" data-name="{words}">'
        f'<span>{words}</span><span class="variants-unit">{unit}</span></button></th>'
    )


def _row_html(row: VariantRow, columns: Sequence[Column]) -> str:
    cells = "".join(
        f'<td data-order="{_order(cell)}"{_mark(column)}>{html.escape(cell.shown)}</td>'
        for cell, column in zip(row.cells, columns, strict=True)
    )
    identifier, label = html.escape(row.id), html.escape(row.label)
    return (
        f'<tr><th scope="row" data-order="{label}"><label><input type="radio" name="variant" value="{identifier}">'
        f'<span><span class="variants-name">{label}</span><code>{identifier}</code></span></label></th>{cells}</tr>'
    )


def _mark(column: Column) -> str:
    return "" if column.is_number else ' class="variants-words"'


def _order(cell: Cell) -> str:
    return "" if cell.order is None else html.escape(str(cell.order))
