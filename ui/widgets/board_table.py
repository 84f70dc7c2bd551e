"""The board as HTML: tables in which a system is a row, intervals drawn as bars, and what is said around them.

Every function here takes plain words and returns escaped HTML.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import gradio as gr

from ui.widgets.sheet import Html, words

__all__ = [
    "Bar", "Entry", "Heading", "Row", "bar", "board_table", "board_view", "key", "listed", "marked", "paragraphs",
    "part", "progress", "system_name",
]  # fmt: skip

_ON_LOAD: Final = """
const mark = () => {
  for (const frame of element.querySelectorAll('.board-frame')) {
    frame.classList.toggle('has-more', frame.scrollWidth - frame.clientWidth - frame.scrollLeft > 2);
  }
};
new MutationObserver(mark).observe(element, {childList: true, subtree: true});
new ResizeObserver(mark).observe(element);
element.addEventListener('scroll', mark, true);
element.addEventListener('click', (event) => {
  const link = event.target.closest('[data-variant]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  trigger('select', {id: link.dataset.variant});
});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column's heading, what stands below it, and whether its cells are numbers, which stand to the right."""

    words: str
    unit: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands in the table, and over how many columns."""

    content: Html
    columns: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A system of the table.

    Attributes:
        before: What stands before its name, or None where the name is the first column.
        name: Its name.
        cells: What stands behind the name.
        kind: What it is; an anchor is no variant, and who waits has no score.
    """

    before: Entry | None
    name: Html
    cells: tuple[Entry, ...]
    kind: Literal["variant", "anchor", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """An interval with its middle, and what all bars of a table have in common: their ends and a line.

    Attributes:
        low: Lower end.
        at: The value.
        high: Upper end.
        ends: What the whole width stands for.
        line: A value at which each bar has a line.
        is_faint: Whether it is drawn hollow.
    """

    low: float
    at: float
    high: float
    ends: tuple[float, float]
    line: float
    is_faint: bool = False


def board_view(elem_id: str, value: Html) -> gr.HTML:
    """Returns the component; ``select`` is triggered by a link to a variant, and ``pressed_id`` says to which."""
    return gr.HTML(value, js_on_load=_ON_LOAD, apply_default_css=False, elem_id=elem_id)


def part(title: str, *content: Html) -> Html:
    """Returns a part of the board with a heading."""
    return Html(f"<section><h2>{html.escape(title)}</h2>{''.join(content)}</section>")


def paragraphs(sentences: Iterable[str]) -> Html:
    """Returns sentences, each a paragraph."""
    return Html("".join(f"<p>{words(one)}</p>" for one in sentences))


def board_table(
    caption: str, headings: Sequence[Heading], rows: Iterable[Row], groups: Sequence[tuple[str, int]] = ()
) -> Html:
    """Returns the table.

    Args:
        caption: What it is.
        headings: Of all columns; the one of the names stands first, or second where rows have something before.
        rows: From top to bottom.
        groups: What columns have in common, with how many they are; a row of headings above the others.
    """
    above = "".join(
        f'<th scope="colgroup" colspan="{columns}">{words(said)}</th>' if said else f'<td colspan="{columns}"></td>'
        for said, columns in groups
    )
    head = (f"<tr>{above}</tr>" if groups else "") + f"<tr>{''.join(_heading(one) for one in headings)}</tr>"
    body = "".join(_row(row, headings) for row in rows)
    return Html(
        f'<div class="board-frame" tabindex="0" role="region" aria-label="{html.escape(caption)}">'
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def system_name(label: str, variant: str | None = None, note: str = "") -> Html:
    """Returns a system's name, as a link to its variant where it is one, with a word on what it is."""
    name = f'<span class="board-name">{html.escape(label)}</span>'
    if variant is not None:
        identifier = html.escape(variant)
        name = (
            f'<a class="board-name" href="?variant={identifier}" data-variant="{identifier}">{html.escape(label)}</a>'
        )
    return Html(f'{name} <span class="board-mark">{html.escape(note)}</span>' if note else name)


def bar(one: Bar, said: str) -> Html:
    """Returns an interval as a bar with its ends in words."""
    start, end = one.ends

    def place(value: float) -> str:
        return f"{100 * (min(max(value, start), end) - start) / (end - start):.2f}%"

    faint = " board-faint" if one.is_faint else ""
    return Html(
        f'<span class="board-interval{faint}"><span class="board-bar" aria-hidden="true" style="--low:{place(one.low)};'
        f'--at:{place(one.at)};--high:{place(one.high)};--line:{place(one.line)}"></span>'
        f"<span>{html.escape(said)}</span></span>"
    )


def progress(share: float, said: str) -> Html:
    """Returns how much of something there is, from 0 to 1, as a bar with words."""
    full = f"{100 * min(share, 1):.0f}%"
    return Html(
        f'<span class="board-progress"><span aria-hidden="true" style="--full:{full}"></span>'
        f"<span>{html.escape(said)}</span></span>"
    )


def marked(kind: str, said: str, numbers: str = "", detail: str = "") -> Html:
    """Returns a word that stands out, numbers behind it, and a line below.

    Args:
        kind: Which mark, a word of the style sheet.
        said: The word.
        numbers: What it rests on.
        detail: More on it.
    """
    figures = f" <span>{html.escape(numbers)}</span>" if numbers else ""
    below = f'<span class="board-detail">{html.escape(detail)}</span>' if detail else ""
    word = f'<b class="board-{html.escape(kind)}">{html.escape(said)}</b>'
    return Html(f'<span class="board-verdict">{word}{figures}</span>{below}')


def key(entries: Iterable[tuple[str, str]]) -> Html:
    """Returns what the words of the board mean."""
    rows = (f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(meaning)}</dd></div>" for name, meaning in entries)
    return Html(f'<dl class="board-key">{"".join(rows)}</dl>')


def listed(sentences: Iterable[str]) -> Html:
    """Returns sentences, one to a line."""
    return Html(f'<ul class="board-list">{"".join(f"<li>{words(one)}</li>" for one in sentences)}</ul>')


def _heading(one: Heading) -> str:
    unit = f'<span class="board-unit">{html.escape(one.unit)}</span>' if one.unit else ""
    return f'<th scope="col"{_mark(one)}>{html.escape(one.words)}{unit}</th>'


def _row(row: Row, headings: Sequence[Heading]) -> str:
    before = "" if row.before is None else f"<td{_mark(headings[0])}>{row.before.content}</td>"
    column = 1 if row.before is None else 2
    cells: list[str] = []
    for cell in row.cells:
        across = "" if cell.columns == 1 else f' colspan="{cell.columns}"'
        mark = _mark(headings[column]) if cell.columns == 1 else ""
        cells.append(f"<td{across}{mark}>{cell.content}</td>")
        column += cell.columns
    if column != len(headings):
        raise ValueError(f"a row has {column} columns and the table {len(headings)}")
    return f'<tr class="board-{row.kind}">{before}<th scope="row">{row.name}</th>{"".join(cells)}</tr>'


def _mark(heading: Heading) -> str:
    return ' class="number"' if heading.is_number else ""
