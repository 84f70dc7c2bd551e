"""Variants as points between two axes: an SVG whose points are links, and each one chooses its variant.

What the axes mean is the caller's: they come as records, and each point brings the words that say its numbers. Places
are percentages and sizes are pixels, so that the words stay readable at any width.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Literal, assert_never

import gradio as gr

from ui import text
from ui.widgets.press import fixed_template

__all__ = ["Axis", "Level", "Plot", "Point", "plot_html", "variant_plot"]

_ON_LOAD = """
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
watch('value', paint);
paint();
"""

_SHAPES: Final = (
    '<circle r="6.5"/>',
    '<rect x="-5.8" y="-5.8" width="11.6" height="11.6" rx="1"/>',
    '<path d="M0-8 7.4 5.4H-7.4Z"/>',
    '<path d="M0-8.2 8.2 0 0 8.2-8.2 0Z"/>',
)
_HIT: Final = '<circle class="plot-hit" r="14"/>'
_DOWN: Final = '<path class="plot-down" d="M-4 12 0 16 4 12"/>'
_MOST_LINES: Final = 7
"""Lines of round values along a linear axis."""
_BESIDE: Final = 0.08
"""Room beside the outermost values, as a share of what lies between them."""
_LONG_WHISKERS: Final = 2
"""Whiskers so many times as long as the median, and as far as the points are apart, still widen the plot in full."""
_FACTOR_BESIDE: Final = 1.25
"""And on a logarithmic axis, where it is a factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What stands along a side of the plot.

    Attributes:
        title: What the values are, with their unit.
        kind: Whether equal steps or equal factors are equally far apart; a logarithmic one takes values above 0.
        room: On a linear axis, the least that is left free beside the outermost values, in their unit: a single value,
            or equal ones, then have a place too.
        is_signed: Whether values above 0 are shown with a plus.
        floor: Points below it stand at the foot of the plot with an arrow and do not flatten the others; None where all
            have their place. Of the upright axis only.
    """

    title: str
    kind: Literal["linear", "log"] = "linear"
    room: float = 1e-9
    is_signed: bool = False
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A variant in the plot.

    Attributes:
        id: Its id.
        label: Its name on screen.
        family: Variants of one family have one colour and one shape.
        x: Its value along the foot.
        y: Its value upwards.
        words: Both, as they are said beside it.
        interval: Ends of an upright whisker; None for none.
        is_filled: Whether the mark is filled; the plot says what that means.
    """

    id: str
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
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """What an axis covers; places are in percent from its beginning."""

    low: float
    high: float
    kind: Literal["linear", "log"]

    def place(self, value: float) -> float:
        low, high = _even(self.low, self.kind), _even(self.high, self.kind)
        return 100 * (_even(min(max(value, self.low), self.high), self.kind) - low) / (high - low)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where values stand, in percent of the plot: x to the right, y down."""

    across: _Span
    up: _Span

    def x(self, value: float) -> float:
        return self.across.place(value)

    def y(self, value: float) -> float:
        return 100 - self.up.place(value)


def variant_plot(chosen: str, plot: str, elem_id: str) -> gr.HTML:
    """Returns the component; its value is the id of the chosen variant.

    Args:
        chosen: The id of the variant that is chosen at first.
        plot: What :func:`plot_html` returned.
        elem_id: The element's id.
    """
    return gr.HTML(
        chosen,
        html_template=fixed_template(plot),
        js_on_load=_ON_LOAD,
        apply_default_css=False,
        elem_id=elem_id,
    )


def plot_html(plot: Plot) -> str:
    """Returns the plot, all words escaped."""
    frame = _frame(plot)
    families = list(dict.fromkeys(point.family for point in plot.points))
    links = (_link(p, families.index(p.family), frame) for p in sorted(plot.points, key=lambda p: (p.x, p.id)))
    below = f'<p class="plot-note">{html.escape(plot.note)}</p>' if plot.note else ""
    return (
        f'<figure class="plot"><figcaption><h2>{html.escape(plot.title)}</h2>{_legend(plot, families)}'
        f'</figcaption><p class="plot-axis">{html.escape(plot.y.title)}</p>'
        f'<svg role="group" aria-label="{html.escape(plot.group)}">'
        f'<g aria-hidden="true">{_grid(plot, frame)}{_levels(plot.levels, frame)}{_front(plot, frame)}</g>'
        f"{''.join(links)}</svg>"
        f'<p class="plot-axis plot-axis-x">{html.escape(plot.x.title)}</p>{below}</figure>'
    )


def _frame(plot: Plot) -> _Frame:
    heights = [point.y for point in plot.points]
    floor = min(heights) if plot.y.floor is None else plot.y.floor
    heights = [max(height, floor) for height in heights] + [level.y for level in plot.levels]
    lowest, highest = min(heights), max(heights)
    intervals = [point.interval for point in plot.points if point.interval is not None]
    usual = median([high - low for low, high in intervals] or [0.0])
    reach = max(highest - lowest, _LONG_WHISKERS * usual)  # a longer whisker leaves the plot
    heights += [min(max(end, lowest - reach), highest + reach) for interval in intervals for end in interval]
    # twice the room at the top, where a point's label stands above it
    return _Frame(_span(plot.x, [point.x for point in plot.points], 1), _span(plot.y, heights, 2))


def _span(axis: Axis, values: Sequence[float], above: int) -> _Span:
    """Returns what an axis covers: the values, room below them, and so many times as much above."""
    lowest, highest = min(values), max(values)
    match axis.kind:
        case "log":
            return _Span(lowest / _FACTOR_BESIDE, highest * _FACTOR_BESIDE**above, axis.kind)
        case "linear":
            room = max(_BESIDE * (highest - lowest), axis.room)
            return _Span(lowest - room, highest + above * room, axis.kind)
        case _:
            assert_never(axis.kind)


def _even(value: float, kind: Literal["linear", "log"]) -> float:
    return math.log(value) if kind == "log" else value


def _grid(plot: Plot, frame: _Frame) -> str:
    """Returns the lines of round values, and the values."""
    lines = [
        f'<line x1="0" x2="100%" y1="{frame.y(value):.2f}%" y2="{frame.y(value):.2f}%"/>'
        f'<text x="-10" y="{frame.y(value):.2f}%" dy="4" text-anchor="end">{words}</text>'
        for value, words in _round_values(plot.y, frame.up)
    ]
    lines += [
        f'<line x1="{frame.x(value):.2f}%" x2="{frame.x(value):.2f}%" y1="0" y2="100%"/>'
        f'<text x="{frame.x(value):.2f}%" y="100%" dy="20" text-anchor="middle">{words}</text>'
        for value, words in _round_values(plot.x, frame.across)
    ]
    return f'<g class="plot-grid">{"".join(lines)}</g>'


def _round_values(axis: Axis, span: _Span) -> list[tuple[float, str]]:
    """Returns values of one, two or five times a power of ten that lie on an axis, with their words."""
    if axis.kind == "log":
        powers = range(math.floor(math.log10(span.low)), math.ceil(math.log10(span.high)) + 1)
        values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        inside = [(value, f"{value:g}") for value in values if span.low <= value <= span.high]
        if len(inside) > 1:
            return inside
    length = span.high - span.low
    smallest = math.floor(math.log10(length / _MOST_LINES))
    steps = [(power, digit) for power in (smallest, smallest + 1) for digit in (1, 2, 5)]
    power, digit = next((p, d) for p, d in steps if length <= _MOST_LINES * d * 10.0**p)
    step, digits = digit * 10.0**power, max(0, -power)
    values = [row * step for row in range(math.ceil(span.low / step), math.floor(span.high / step) + 1)]
    return [(v, text.signed_text(v, digits) if axis.is_signed else f"{v:.{digits}f}") for v in values]


def _levels(levels: Sequence[Level], frame: _Frame) -> str:
    if not levels:
        return ""
    lines = (
        f'<line x1="0" x2="100%" y1="{frame.y(level.y):.2f}%" y2="{frame.y(level.y):.2f}%"/>'
        f'<text x="100%" y="{frame.y(level.y):.2f}%" dy="-6" text-anchor="end">{html.escape(level.words)}</text>'
        for level in levels
    )
    return f'<g class="plot-level">{"".join(lines)}</g>'


def _front(plot: Plot, frame: _Frame) -> str:
    """Returns the line through the points that none to their left, or above them, surpasses."""
    if not plot.front:
        return ""
    best: list[Point] = []
    for point in sorted(plot.points, key=lambda p: (p.x, -p.y)):
        if not best or point.y > best[-1].y:
            best.append(point)
    lines = (
        f'<line x1="{frame.x(a.x):.2f}%" y1="{frame.y(a.y):.2f}%" x2="{frame.x(b.x):.2f}%" y2="{frame.y(b.y):.2f}%"/>'
        for a, b in pairwise(best)
    )
    return f'<g class="plot-front">{"".join(lines)}</g>'


def _link(point: Point, family: int, frame: _Frame) -> str:
    x, y = frame.x(point.x), frame.y(point.y)
    is_below = point.y < frame.up.low
    words = html.escape(text.PLOT_BELOW.format(words=point.words) if is_below else point.words)
    anchor = "start" if x < 35 else "end" if x > 65 else "middle"
    down = _DOWN if is_below else ""
    label, identifier = html.escape(point.label), html.escape(point.id)
    marks = "plot-filled" if point.is_filled else "plot-hollow"
    return (
        f'<svg x="{x:.2f}%" y="{y:.2f}%" overflow="visible">'
        f'<a href="?variant={identifier}" data-variant="{identifier}" class="plot-{family % len(_SHAPES)} {marks}" '
        f'aria-label="{label}: {words}">{_HIT}{_whisker(point, frame)}{down}{_SHAPES[family % len(_SHAPES)]}'
        f'<g class="plot-label" text-anchor="{anchor}" aria-hidden="true"><text y="-34">{label}</text>'
        f'<text y="-19">{words}</text></g></a></svg>'
    )


def _whisker(point: Point, frame: _Frame) -> str:
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
