"""Points between two axes: an SVG in which a point of a variant is a link that chooses it, and lines may join points.

What the axes mean is the caller's: they come as records, and each point brings the words that say its numbers. Places
are percentages and sizes are pixels, so that the words stay readable at any width.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

import gradio as gr

from ui import text, text_zoo
from ui.widgets.axes import Axis, Frame, scale_along, ticks_along
from ui.widgets.looks import Look
from ui.widgets.press import fixed_template

__all__ = ["Level", "Plot", "Point", "plot_html", "variant_plots"]

_ON_LOAD: Final = """
const paint = () => {
  for (const plot of element.querySelectorAll('.plot')) {
    const said = plot.querySelector('.plot-chosen');
    said.textContent = '';
    for (const link of plot.querySelectorAll('[data-variant]')) {
      if (link.dataset.variant === props.value) {
        link.setAttribute('aria-current', 'true');
        said.textContent = said.dataset.words + link.getAttribute('aria-label');
      } else link.removeAttribute('aria-current');
    }
  }
};
element.addEventListener('click', (event) => {
  const link = event.target.closest('[data-variant]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  props.value = link.dataset.variant;
  paint();
  trigger('input');
});
element.addEventListener('keydown', (event) => {
  const mark = event.target.closest('.plot-mark');
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  if (!mark || !step) return;
  event.preventDefault();
  const all = [...mark.closest('.plot').querySelectorAll('.plot-mark')];
  all[(all.indexOf(mark) + step + all.length) % all.length].focus();
});
watch('value', paint);
paint();
"""

_ANY: Final = '<circle r="6.5"/>'
"""In the legend, for marks of any family."""
_HIT: Final = '<circle class="plot-hit" r="14"/>'
_DOWN: Final = '<path class="plot-down" d="M-4 12 0 16 4 12"/>'
_LETTER: Final = 8
"""Width of a sign along an axis, in pixels, about."""
_LEFT: Final = 40
"""Room for what stands along the upright axis, at least, in pixels; :data:`_BETWEEN` of it are free."""
_BETWEEN: Final = 14
_LONG_WHISKERS: Final = 2
"""Whiskers so many times as long as the median, and as far as the points are apart, still widen the plot in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point in the plot.

    Attributes:
        id: The id of the variant that it is; None for what is no variant and leads nowhere.
        label: Its name on screen.
        family: What it has in common with others, in the words of the legend.
        look: How the points of that family look.
        x: Its value along the foot.
        y: Its value upwards.
        words: Both, as they are said beside it.
        interval: Ends of an upright whisker; None for none.
        is_filled: Whether the mark is filled; the plot says what that means.
    """

    id: str | None
    label: str
    family: str
    look: Look
    x: float
    y: float
    words: str
    interval: tuple[float, float] | None = None
    is_filled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A dashed line across the plot: its height, and its name."""

    y: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """All that a plot shows.

    Attributes:
        title: Its heading.
        group: What its points are, for those who do not see it.
        x: The axis along the foot.
        y: The upright one.
        points: At least one.
        levels: Dashed lines across.
        filled: What a filled mark means; said where some are not.
        hollow: What a hollow one means.
        front: What the line means that joins the points which none to their left, or above them, surpasses; empty for
            no such line.
        has_curves: Whether a line joins the points of each family, from left to right. There may be many points then:
            Tab goes to the first one, arrow keys to the others.
        note: A sentence below.
    """

    title: str
    group: str
    x: Axis
    y: Axis
    points: tuple[Point, ...]
    levels: tuple[Level, ...] = ()
    filled: str = ""
    hollow: str = ""
    front: str = ""
    has_curves: bool = False
    note: str = ""


def variant_plots(chosen: str, plots: str, elem_id: str, scripts: Sequence[str] = ()) -> gr.HTML:
    """Returns the component; its value is the id of the chosen variant.

    Args:
        chosen: The id of the variant that is chosen at first.
        plots: What :func:`plot_html` returned, with anything around it.
        elem_id: The element's id.
        scripts: What it runs besides; ``paint()`` marks the chosen variant anew.
    """
    return gr.HTML(
        chosen,
        html_template=fixed_template(plots),
        js_on_load="\n".join((_ON_LOAD, *scripts)),
        apply_default_css=False,
        elem_id=elem_id,
    )


def plot_html(plot: Plot) -> str:
    """Returns the plot, all words escaped."""
    frame = _frame(plot)
    looks = {point.family: point.look for point in plot.points}
    below = f'<p class="plot-note">{html.escape(plot.note)}</p>' if plot.note else ""
    look = "plot plot-curves" if plot.has_curves else "plot"
    widest = max((len(words) for _, words in ticks_along(plot.y, frame.up)), default=0)
    return (
        f'<figure class="{look}" style="--left:{max(_LEFT, _BETWEEN + _LETTER * widest)}px"><figcaption>'
        f"<h2>{html.escape(plot.title)}</h2>{_legend(plot, looks)}</figcaption>"
        f'<div class="plot-head"><p class="plot-axis">{html.escape(plot.y.title)}</p>'
        f'<p class="plot-chosen" data-words="{html.escape(text_zoo.CHOSEN)}" aria-hidden="true"></p></div>'
        f'<svg role="group" aria-label="{html.escape(plot.group)}"><g aria-hidden="true">'
        f"{_grid(plot, frame)}{_levels(plot.levels, frame)}{_front(plot, frame)}{_curves(plot, looks, frame)}</g>"
        f"{_marks(plot, looks, frame)}</svg>"
        f'<p class="plot-axis plot-axis-x">{html.escape(plot.x.title)}</p>{below}</figure>'
    )


def _frame(plot: Plot) -> Frame:
    heights = [point.y for point in plot.points] + [level.y for level in plot.levels]
    lowest, highest = min(heights), max(heights)
    intervals = [point.interval for point in plot.points if point.interval is not None]
    usual = median([high - low for low, high in intervals] or [0.0])
    reach = max(highest - lowest, _LONG_WHISKERS * usual)  # a longer whisker leaves the plot
    heights += [min(max(end, lowest - reach), highest + reach) for interval in intervals for end in interval]
    # twice the room at the top, where a point's label stands above it
    return Frame(scale_along(plot.x, [point.x for point in plot.points], 1), scale_along(plot.y, heights, 2))


def _grid(plot: Plot, frame: Frame) -> str:
    """Returns the lines of round values, and the values."""
    lines = [
        f'<line x1="0" x2="100%" y1="{frame.y(value):.2f}%" y2="{frame.y(value):.2f}%"/>'
        f'<text x="-10" y="{frame.y(value):.2f}%" dy="4" text-anchor="end">{words}</text>'
        for value, words in ticks_along(plot.y, frame.up)
    ]
    lines += [
        f'<line x1="{frame.x(value):.2f}%" x2="{frame.x(value):.2f}%" y1="0" y2="100%"/>'
        f'<text x="{frame.x(value):.2f}%" y="100%" dy="20" text-anchor="middle">{words}</text>'
        for value, words in ticks_along(plot.x, frame.across)
    ]
    return f'<g class="plot-grid"><line x1="0" x2="100%" y1="100%" y2="100%"/>{"".join(lines)}</g>'


def _levels(levels: Sequence[Level], frame: Frame) -> str:
    if not levels:
        return ""
    lines = (
        f'<line x1="0" x2="100%" y1="{frame.y(level.y):.2f}%" y2="{frame.y(level.y):.2f}%"/>'
        f'<text x="100%" y="{frame.y(level.y):.2f}%" dy="-6" text-anchor="end">{html.escape(level.words)}</text>'
        for level in levels
    )
    return f'<g class="plot-level">{"".join(lines)}</g>'


def _front(plot: Plot, frame: Frame) -> str:
    """Returns the line through the points that none to their left, or above them, surpasses."""
    if not plot.front:
        return ""
    best: list[Point] = []
    for point in sorted(plot.points, key=lambda p: (p.x, -p.y)):
        if not best or point.y > best[-1].y:
            best.append(point)
    return f'<g class="plot-front">{_joined(best, frame)}</g>'


def _curves(plot: Plot, looks: Mapping[str, Look], frame: Frame) -> str:
    """Returns a line through the points of each family, from left to right."""
    if not plot.has_curves:
        return ""
    points = _in_order(plot, looks)
    return "".join(
        f'<g class="plot-curve plot-{look.name}{" plot-dashed" if look.is_dashed else ""}">'
        f"{_joined([point for point in points if point.family == family], frame)}</g>"
        for family, look in looks.items()
    )


def _joined(points: Sequence[Point], frame: Frame) -> str:
    """Returns lines from point to point; a polyline takes no percentages."""
    return "".join(
        f'<line x1="{frame.x(a.x):.2f}%" y1="{frame.y(a.y):.2f}%" x2="{frame.x(b.x):.2f}%" y2="{frame.y(b.y):.2f}%"/>'
        for a, b in pairwise(points)
    )


def _in_order(plot: Plot, looks: Mapping[str, Look]) -> list[Point]:
    """Returns the points as the keyboard meets them: from left to right, and curve by curve where there are some."""
    families = list(looks)

    def place(point: Point) -> tuple[int, float, str]:
        return (families.index(point.family) if plot.has_curves else 0, point.x, point.id or point.label)

    return sorted(plot.points, key=place)


def _marks(plot: Plot, looks: Mapping[str, Look], frame: Frame) -> str:
    marks: list[str] = []
    for at, point in enumerate(_in_order(plot, looks)):
        tab = ' tabindex="-1"' if plot.has_curves and at else "" if point.id is not None else ' tabindex="0"'
        marks.append(_mark(point, looks[point.family], frame, tab))
    return "".join(marks)


def _mark(point: Point, kind: Look, frame: Frame, tab: str) -> str:
    """Returns a point's mark with its label: a link where it is a variant."""
    x, y = frame.x(point.x), frame.y(point.y)
    is_below = frame.up.is_below(point.y)
    words = html.escape(text.PLOT_BELOW.format(words=point.words) if is_below else point.words)
    label = html.escape(point.label)
    fill = "plot-filled" if point.is_filled else "plot-hollow"
    look = f'class="plot-mark plot-{kind.name} {fill}" aria-label="{label}: {words}"'
    inside = (
        f"{_HIT}{_whisker(point, frame)}{_DOWN if is_below else ''}{kind.shape}"
        f'<g class="plot-label" style="--at:{x:.0f}%" aria-hidden="true"><text y="-34">{label}</text>'
        f'<text y="-19">{words}</text></g>'
    )
    mark = f'<g role="img" {look}{tab}>{inside}</g>'
    if point.id is not None:
        identifier = html.escape(point.id)
        mark = f'<a href="?variant={identifier}" data-variant="{identifier}" {look}{tab}>{inside}</a>'
    return f'<svg x="{x:.2f}%" y="{y:.2f}%" overflow="visible">{mark}</svg>'


def _whisker(point: Point, frame: Frame) -> str:
    """Returns the interval, from the point on: the inner SVG is as high as the plot, so percentages mean the same."""
    if point.interval is None:
        return ""
    low, high = (frame.y(value) - frame.y(point.y) for value in point.interval)
    ends = "".join(f'<line x1="-4" x2="4" y1="{end:.2f}%" y2="{end:.2f}%"/>' for end in (low, high))
    return f'<g class="plot-whisker"><line x1="0" x2="0" y1="{low:.2f}%" y2="{high:.2f}%"/>{ends}</g>'


def _legend(plot: Plot, looks: Mapping[str, Look]) -> str:
    def item(mark: str, shape: str, words: str) -> str:
        icon = f'<svg class="{mark}" viewBox="-10 -10 20 20" aria-hidden="true">{shape}</svg>'
        return f"<li>{icon}{html.escape(words)}</li>"

    items = [item(f"plot-{look.name} plot-filled", look.shape, family) for family, look in looks.items()]
    if not all(point.is_filled for point in plot.points):
        items.append(item("plot-any plot-filled", _ANY, plot.filled))
        items.append(item("plot-any plot-hollow", _ANY, plot.hollow))
    if plot.front:
        items.append(item("plot-front", '<line x1="-9" x2="9" y1="0" y2="0"/>', plot.front))
    return f'<ul class="plot-legend">{"".join(items)}</ul>'
