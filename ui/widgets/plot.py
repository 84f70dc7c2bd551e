"""Points between two axes: an SVG in which a point of a variant is a link that chooses it, and lines may join points.

What the axes mean is the caller's: they come as records, and each point brings the words that say its numbers. Places
are percentages and sizes are pixels, so that the words stay readable at any width.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

import gradio as gr

from ui import text
from ui.widgets.axes import Axis, Frame, round_values, span_of
from ui.widgets.press import fixed_template

__all__ = ["Level", "Plot", "Point", "plot_html", "variant_plots"]

_ON_LOAD: Final = """
const paint = () => {
  for (const link of element.querySelectorAll('[data-variant]')) {
    if (link.dataset.variant === props.value) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
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

_SHAPES: Final = (
    '<circle r="6.5"/>',
    '<rect x="-5.8" y="-5.8" width="11.6" height="11.6" rx="1"/>',
    '<path d="M0-8 7.4 5.4H-7.4Z"/>',
    '<path d="M0-8.2 8.2 0 0 8.2-8.2 0Z"/>',
    '<path d="M0 8-7.4-5.4H7.4Z"/>',
    '<path d="M-2.4-7H2.4V-2.4H7V2.4H2.4V7H-2.4V2.4H-7V-2.4H-2.4Z"/>',
    '<path d="M-3.8-6.6H3.8L7.6 0 3.8 6.6H-3.8L-7.6 0Z"/>',
    '<path d="M0-8.4 2-2.7 8-2.6 3.2 1.1 4.9 6.8 0 3.4-4.9 6.8-3.2 1.1-8-2.6-2-2.7Z"/>',
)
"""One for each family, with a colour of its own in the style sheet; a ninth family looks like the first."""
_HIT: Final = '<circle class="plot-hit" r="14"/>'
_DOWN: Final = '<path class="plot-down" d="M-4 12 0 16 4 12"/>'
_LONG_WHISKERS: Final = 2
"""Whiskers so many times as long as the median, and as far as the points are apart, still widen the plot in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point in the plot.

    Attributes:
        id: The id of the variant that it is; None for what is no variant and leads nowhere.
        label: Its name on screen.
        family: Points of one family have one colour and one shape.
        x: Its value along the foot.
        y: Its value upwards.
        words: Both, as they are said beside it.
        interval: Ends of an upright whisker; None for none.
        is_filled: Whether the mark is filled; the plot says what that means.
    """

    id: str | None
    label: str
    family: str
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
    families = list(dict.fromkeys(point.family for point in plot.points))
    below = f'<p class="plot-note">{html.escape(plot.note)}</p>' if plot.note else ""
    look = "plot plot-curves" if plot.has_curves else "plot"
    return (
        f'<figure class="{look}"><figcaption><h2>{html.escape(plot.title)}</h2>{_legend(plot, families)}'
        f'</figcaption><p class="plot-axis">{html.escape(plot.y.title)}</p>'
        f'<svg role="group" aria-label="{html.escape(plot.group)}"><g aria-hidden="true">'
        f"{_grid(plot, frame)}{_levels(plot.levels, frame)}{_front(plot, frame)}{_curves(plot, families, frame)}</g>"
        f"{_marks(plot, families, frame)}</svg>"
        f'<p class="plot-axis plot-axis-x">{html.escape(plot.x.title)}</p>{below}</figure>'
    )


def _frame(plot: Plot) -> Frame:
    heights = [point.y for point in plot.points]
    floor = min(heights) if plot.y.floor is None else plot.y.floor
    heights = [max(height, floor) for height in heights] + [level.y for level in plot.levels]
    lowest, highest = min(heights), max(heights)
    intervals = [point.interval for point in plot.points if point.interval is not None]
    usual = median([high - low for low, high in intervals] or [0.0])
    reach = max(highest - lowest, _LONG_WHISKERS * usual)  # a longer whisker leaves the plot
    heights += [min(max(end, lowest - reach), highest + reach) for interval in intervals for end in interval]
    # twice the room at the top, where a point's label stands above it
    return Frame(span_of(plot.x, [point.x for point in plot.points], 1), span_of(plot.y, heights, 2))


def _grid(plot: Plot, frame: Frame) -> str:
    """Returns the lines of round values, and the values."""
    lines = [
        f'<line x1="0" x2="100%" y1="{frame.y(value):.2f}%" y2="{frame.y(value):.2f}%"/>'
        f'<text x="-10" y="{frame.y(value):.2f}%" dy="4" text-anchor="end">{words}</text>'
        for value, words in round_values(plot.y, frame.up)
    ]
    lines += [
        f'<line x1="{frame.x(value):.2f}%" x2="{frame.x(value):.2f}%" y1="0" y2="100%"/>'
        f'<text x="{frame.x(value):.2f}%" y="100%" dy="20" text-anchor="middle">{words}</text>'
        for value, words in round_values(plot.x, frame.across)
    ]
    return f'<g class="plot-grid">{"".join(lines)}</g>'


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


def _curves(plot: Plot, families: Sequence[str], frame: Frame) -> str:
    """Returns a line through the points of each family, from left to right."""
    if not plot.has_curves:
        return ""
    curves = ([point for point in _in_order(plot, families) if point.family == family] for family in families)
    return "".join(
        f'<g class="plot-curve plot-{at % len(_SHAPES)}">{_joined(curve, frame)}</g>' for at, curve in enumerate(curves)
    )


def _joined(points: Sequence[Point], frame: Frame) -> str:
    """Returns lines from point to point; a polyline takes no percentages."""
    return "".join(
        f'<line x1="{frame.x(a.x):.2f}%" y1="{frame.y(a.y):.2f}%" x2="{frame.x(b.x):.2f}%" y2="{frame.y(b.y):.2f}%"/>'
        for a, b in pairwise(points)
    )


def _in_order(plot: Plot, families: Sequence[str]) -> list[Point]:
    """Returns the points as the keyboard meets them: from left to right, and curve by curve where there are some."""

    def place(point: Point) -> tuple[int, float, str]:
        return (families.index(point.family) if plot.has_curves else 0, point.x, point.id or point.label)

    return sorted(plot.points, key=place)


def _marks(plot: Plot, families: Sequence[str], frame: Frame) -> str:
    marks: list[str] = []
    for at, point in enumerate(_in_order(plot, families)):
        tab = ' tabindex="-1"' if plot.has_curves and at else "" if point.id is not None else ' tabindex="0"'
        marks.append(_mark(point, families.index(point.family) % len(_SHAPES), frame, tab))
    return "".join(marks)


def _mark(point: Point, family: int, frame: Frame, tab: str) -> str:
    """Returns a point's mark with its label: a link where it is a variant."""
    x, y = frame.x(point.x), frame.y(point.y)
    is_below = point.y < frame.up.low
    words = html.escape(text.PLOT_BELOW.format(words=point.words) if is_below else point.words)
    label = html.escape(point.label)
    fill = "plot-filled" if point.is_filled else "plot-hollow"
    look = f'class="plot-mark plot-{family} {fill}" aria-label="{label}: {words}"'
    inside = (
        f"{_HIT}{_whisker(point, frame)}{_DOWN if is_below else ''}{_SHAPES[family]}"
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


def _legend(plot: Plot, families: Sequence[str]) -> str:
    def item(mark: str, shape: str, words: str) -> str:
        icon = f'<svg class="{mark}" viewBox="-10 -10 20 20" aria-hidden="true">{shape}</svg>'
        return f"<li>{icon}{html.escape(words)}</li>"

    items = [
        item(f"plot-{i % len(_SHAPES)} plot-filled", _SHAPES[i % len(_SHAPES)], name) for i, name in enumerate(families)
    ]
    if not all(point.is_filled for point in plot.points):
        items.append(item("plot-any plot-filled", _SHAPES[0], plot.filled))
        items.append(item("plot-any plot-hollow", _SHAPES[0], plot.hollow))
    if plot.front:
        items.append(item("plot-front", '<line x1="-9" x2="9" y1="0" y2="0"/>', plot.front))
    return f'<ul class="plot-legend">{"".join(items)}</ul>'
