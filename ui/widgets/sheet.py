"""All that is known of one variant, as sections: facts, tables, code with a copy button, links to other variants.

Every function here takes plain words and returns escaped HTML, which is a type of its own.
"""

import html
from collections.abc import Iterable, Sequence
from typing import Final, NewType

import gradio as gr

from ui import text

__all__ = [
    "Html", "code_block", "code_words", "facts", "filled_table", "folded", "gates", "section", "sheet_view", "stacked",
    "table", "variant_links", "words",
]  # fmt: skip

Html = NewType("Html", str)
"""HTML in which every word from outside is escaped."""

_ON_LOAD: Final = """
const copy = async (button) => {
  const code = button.closest('.code').querySelector('code');
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {  // a page inside a frame may not be allowed to
    getSelection().selectAllChildren(code);
    document.execCommand('copy');
    getSelection().removeAllRanges();
  }
  const said = button.parentElement.querySelector('[role=status]');
  said.textContent = button.textContent = button.dataset.done;
  setTimeout(() => { said.textContent = ''; button.textContent = button.dataset.words; }, 2000);
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('.code button');
  if (button) copy(button);
  const link = event.target.closest('[data-variant]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  trigger('select', {id: link.dataset.variant});
});
"""


def sheet_view(elem_id: str, value: Html) -> gr.HTML:
    """Returns the component; ``select`` is triggered by a link to another variant, and ``pressed_id`` says to which."""
    return gr.HTML(value, js_on_load=_ON_LOAD, apply_default_css=False, elem_id=elem_id)


def words(plain: str) -> Html:
    """Returns words, escaped."""
    return Html(html.escape(plain))


def code_words(plain: str) -> Html:
    """Returns an id, a path or a hash."""
    return Html(f"<code>{html.escape(plain)}</code>")


def variant_links(variants: Sequence[tuple[str, str]]) -> Html:
    """Returns links to variants, given as id and label, in the order in which one was made from another."""
    links = (
        f'<a href="?variant={html.escape(key)}" data-variant="{html.escape(key)}">{html.escape(label)}</a>'
        for key, label in variants
    )
    return Html('<span aria-hidden="true"> → </span>'.join(links))


def facts(pairs: Iterable[tuple[str, Html]]) -> Html:
    """Returns names with their values."""
    rows = (f"<div><dt>{html.escape(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return Html(f"<dl>{''.join(rows)}</dl>")


def gates(rows: Iterable[tuple[str, str, str, str]]) -> Html:
    """Returns what was proven: for each gate its name, what it says, what was found, and what is asked for."""
    lines = (
        f"<div><dt>{html.escape(name)}</dt>{''.join(f'<dd>{html.escape(one)}</dd>' for one in rest)}</div>"
        for name, *rest in rows
    )
    return Html(f'<dl class="gates">{"".join(lines)}</dl>')


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> Html:
    """Returns a table; columns from ``numbers_from`` on hold numbers."""

    def cells(values: Sequence[str], tag: str) -> str:
        marks = (' class="number"' if i >= numbers_from else "" for i in range(len(values)))
        return "".join(f"<{tag}{mark}>{html.escape(v)}</{tag}>" for v, mark in zip(values, marks, strict=True))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    head = cells(headings, "th").replace("<th", '<th scope="col"')
    return Html(f'<div class="sheet-table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def filled_table(
    caption: str, corner: str, columns: Sequence[str], rows: Iterable[Sequence[tuple[str, float]]]
) -> Html:
    """Returns a small table whose cells are filled from below by a share, so that it is read like a chart.

    Args:
        caption: What the numbers are.
        corner: What the rows are; they are numbered from 1.
        columns: Heading of each column.
        rows: Each cell's words and its share, from 0 to 1; a short row is filled up with empty cells.
    """

    def cell(said: str, share: float) -> str:
        mark = "" if share > 0 else ' class="is-gone"'
        return f'<td{mark} style="--share:{100 * min(share, 1):.1f}%">{html.escape(said)}</td>'

    head = "".join(f'<th scope="col"><span class="unseen">{html.escape(name)}</span></th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row"><span class="unseen">{html.escape(corner)} </span>{at}</th>'
        f"{''.join(cell(*one) for one in row)}{'<td></td>' * (len(columns) - len(row))}</tr>"
        for at, row in enumerate(rows, start=1)
    )
    return Html(
        f'<table class="sheet-fill"><caption>{html.escape(caption)}</caption>'
        f'<thead class="unseen"><tr><td>{html.escape(corner)}</td>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def folded(title: str, content: Html) -> Html:
    """Returns what is shown only on request."""
    return Html(f"<details><summary>{html.escape(title)}</summary>{content}</details>")


def code_block(name: str, code: str) -> Html:
    """Returns a file's text with a button that copies it."""
    label, done = html.escape(text.COPY), html.escape(text.COPIED)
    return Html(
        f'<div class="code"><div class="code-head"><span>{html.escape(name)}</span>'
        f'<span class="unseen" role="status"></span>'
        f'<button type="button" data-words="{label}" data-done="{done}">{label}</button></div>'
        f'<pre tabindex="0" role="region" aria-label="{html.escape(name)}"><code>{html.escape(code)}</code></pre></div>'
    )


def section(title: str, *parts: Html, note: str = "", is_wide: bool = False) -> Html:
    """Returns a section with a heading."""
    below = f'<p class="sheet-note">{html.escape(note)}</p>' if note else ""
    mark = ' class="sheet-wide"' if is_wide else ""
    return Html(f"<section{mark}><h3>{html.escape(title)}</h3>{below}{''.join(parts)}</section>")


def stacked(*sections: Html) -> Html:
    """Returns short sections, one below the other in the place of one."""
    return Html(f'<div class="sheet-stack">{"".join(sections)}</div>')
