"""Size against PSNR as an SVG whose points are links: each one chooses its variant.

Places are percentages and sizes are pixels, so that the words stay readable at any width.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import gradio as gr

from ui import text
from ui.widgets.press import fixed_template

__all__ = ["Point", "plot_html", "variant_plot"]

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
_LOWEST_BELOW_BICUBIC_DB: Final = 0.5
"""Variants that do worse than that are no use; they stand at the foot of the plot and do not flatten the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A variant in the plot.

    Attributes:
        id: Its id.
        label: Its name on screen.
        family: Variants of one family have one colour and one shape.
        size_bytes: Length of the weight file.
        psnr_db: Its score.
        has_package: Whether there is a Core ML package; the mark is filled where there is one.
    """

    id: str
    label: str
    family: str
    size_bytes: int
    psnr_db: float
    has_package: bool


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values stand, in percent of the plot: x to the right by the logarithm, y down."""

    left: float
    right: float
    low_db: float
    high_db: float

    def x(self, size_bytes: float) -> float:
        return 100 * (math.log(size_bytes) - self.left) / (self.right - self.left)

    def y(self, psnr_db: float) -> float:
        return 100 * (self.high_db - max(psnr_db, self.low_db)) / (self.high_db - self.low_db)


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


def plot_html(points: Sequence[Point], dataset: str, bicubic_db: float | None, note: str = "") -> str:
    """Returns the plot, all words escaped.

    Args:
        points: At least one.
        dataset: What the scores were measured on.
        bicubic_db: Bicubic enlargement's score on it, drawn as a line; None for no line.
        note: A sentence below.
    """
    scale = _scale(points, bicubic_db)
    families = list(dict.fromkeys(point.family for point in points))
    links = (_link(p, families.index(p.family), scale) for p in sorted(points, key=lambda p: (p.size_bytes, p.id)))
    below = f'<p class="plot-note">{html.escape(note)}</p>' if note else ""
    return (
        f'<figure class="plot"><figcaption><h2>{html.escape(text.PLOT_TITLE)}</h2>{_legend(points, families)}'
        f'</figcaption><p class="plot-axis">{html.escape(text.PLOT_Y.format(dataset=dataset))}</p>'
        f'<svg role="group" aria-label="{html.escape(text.PLOT_GROUP)}">'
        f'<g aria-hidden="true">{_grid(scale)}{_bicubic(scale, bicubic_db)}{_front(points, scale)}</g>'
        f"{''.join(links)}</svg>"
        f'<p class="plot-axis plot-axis-x">{html.escape(text.PLOT_X)}</p>{below}</figure>'
    )


def _scale(points: Sequence[Point], bicubic_db: float | None) -> _Scale:
    sizes, scores = [point.size_bytes for point in points], [point.psnr_db for point in points]
    floor = min(scores) if bicubic_db is None else bicubic_db - _LOWEST_BELOW_BICUBIC_DB
    lowest, highest = max(min(scores), floor), max(scores)
    if bicubic_db is not None:
        lowest, highest = min(lowest, bicubic_db), max(highest, bicubic_db)
    room = max(0.08 * (highest - lowest), 0.05)  # twice at the top, where a point's label stands above it
    return _Scale(math.log(min(sizes) / 1.25), math.log(max(sizes) * 1.25), lowest - room, highest + 2 * room)


def _grid(scale: _Scale) -> str:
    """Returns the lines of round values, and the values."""
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 100) if (scale.high_db - scale.low_db) / step <= 7)
    digits = 0 if step >= 1 else 1
    rows = range(math.ceil(scale.low_db / step), math.floor(scale.high_db / step) + 1)
    lines = [
        f'<line x1="0" x2="100%" y1="{scale.y(row * step):.2f}%" y2="{scale.y(row * step):.2f}%"/>'
        f'<text x="-10" y="{scale.y(row * step):.2f}%" dy="4" text-anchor="end">{row * step:.{digits}f}</text>'
        for row in rows
    ]
    sizes = [10**power * digit for power in range(3, 11) for digit in (1, 2, 5)]
    lines += [
        f'<line x1="{scale.x(size):.2f}%" x2="{scale.x(size):.2f}%" y1="0" y2="100%"/>'
        f'<text x="{scale.x(size):.2f}%" y="100%" dy="20" text-anchor="middle">{size / 1e6:g}</text>'
        for size in sizes
        if scale.left <= math.log(size) <= scale.right
    ]
    return f'<g class="plot-grid">{"".join(lines)}</g>'


def _bicubic(scale: _Scale, bicubic_db: float | None) -> str:
    if bicubic_db is None:
        return ""
    y, words = scale.y(bicubic_db), html.escape(text.PLOT_BICUBIC.format(psnr_db=text.decibels_text(bicubic_db)))
    return (
        f'<g class="plot-bicubic"><line x1="0" x2="100%" y1="{y:.2f}%" y2="{y:.2f}%"/>'
        f'<text x="100%" y="{y:.2f}%" dy="-6" text-anchor="end">{words}</text></g>'
    )


def _front(points: Sequence[Point], scale: _Scale) -> str:
    """Returns the line through the variants that none of at most their size surpasses."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.size_bytes, -p.psnr_db)):
        if not best or point.psnr_db > best[-1].psnr_db:
            best.append(point)
    lines = (
        f'<line x1="{scale.x(a.size_bytes):.2f}%" y1="{scale.y(a.psnr_db):.2f}%" '
        f'x2="{scale.x(b.size_bytes):.2f}%" y2="{scale.y(b.psnr_db):.2f}%"/>'
        for a, b in pairwise(best)
    )
    return f'<g class="plot-front">{"".join(lines)}</g>'


def _link(point: Point, family: int, scale: _Scale) -> str:
    x, y = scale.x(point.size_bytes), scale.y(point.psnr_db)
    is_below = point.psnr_db < scale.low_db
    megabytes, psnr_db = text.megabytes_text(point.size_bytes), text.decibels_text(point.psnr_db)
    numbers = (text.PLOT_BELOW if is_below else text.PLOT_POINT).format(megabytes=megabytes, psnr_db=psnr_db)
    anchor = "start" if x < 35 else "end" if x > 65 else "middle"
    down = _DOWN if is_below else ""
    label, identifier = html.escape(point.label), html.escape(point.id)
    marks = "plot-filled" if point.has_package else "plot-hollow"
    return (
        f'<svg x="{x:.2f}%" y="{y:.2f}%" overflow="visible">'
        f'<a href="?variant={identifier}" data-variant="{identifier}" class="plot-{family % len(_SHAPES)} {marks}" '
        f'aria-label="{label}: {html.escape(numbers)}">{_HIT}{down}{_SHAPES[family % len(_SHAPES)]}'
        f'<g class="plot-label" text-anchor="{anchor}" aria-hidden="true"><text y="-34">{label}</text>'
        f'<text y="-19">{html.escape(numbers)}</text></g></a></svg>'
    )


def _legend(points: Sequence[Point], families: Sequence[str]) -> str:
    def item(mark: str, shape: str, words: str) -> str:
        icon = f'<svg class="{mark}" viewBox="-10 -10 20 20" aria-hidden="true">{shape}</svg>'
        return f"<li>{icon}{html.escape(words)}</li>"

    items = [
        item(f"plot-{i % len(_SHAPES)} plot-filled", _SHAPES[i % len(_SHAPES)], name) for i, name in enumerate(families)
    ]
    if not all(point.has_package for point in points):
        items.append(item("plot-any plot-filled", _SHAPES[0], text.PLOT_FILLED))
        items.append(item("plot-any plot-hollow", _SHAPES[0], text.PLOT_HOLLOW))
    items.append(item("plot-front", '<line x1="-9" x2="9" y1="0" y2="0"/>', text.PLOT_FRONT))
    return f'<ul class="plot-legend">{"".join(items)}</ul>'
