"""Figures as SVG pictures that stand alone: plain text, the same for the same figure, readable on any ground."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from zoo.report.records import Figure, FigureAxis, FigurePoint, Series
from zoo.report.scales import Scale, scale_of, ticks_of
from zoo.report.techniques import LOOKS

__all__ = ["svg_of"]

_WIDTH: Final = 760
_LEFT, _RIGHT, _TOP, _BELOW = 76, 24, 44, 56
_HEIGHT: Final = 360
"""Of the field between the axes."""
_LINE: Final = 22
"""Of the legend."""
_LETTER: Final = 7.2
"""Width of a letter of the legend, about."""
_SIZE: Final = 0.8
"""Of a mark, beside that on a page."""
_SMALLER: Final = 0.62
"""And in a mark's middle, where it is hollow."""
_DASHES: Final = ' stroke-dasharray="6 4"'


@dataclass(frozen=True, slots=True)
class _Side:
    """An axis in pixels: from ``start``, where its scale begins, to ``end``."""

    scale: Scale
    start: float
    end: float

    def place(self, value: float) -> float:
        return self.start + (self.end - self.start) * self.scale.place(value)


def svg_of(figure: Figure) -> str:
    """Returns a figure as the text of an SVG file; without series it says only that nothing was measured.

    Colour and shape are those of the technique. The networks that techniques were applied to are told apart by how
    marks are filled.
    """
    legend, lines = _legend(figure.series)
    height = _TOP + _HEIGHT + _BELOW + lines * _LINE if figure.series else 2 * _TOP
    title = html.escape(figure.title)
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="13">',
        f"<title>{title}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="16" font-weight="600">{title}</text>',
        *(_field(figure) if figure.series else [f'<text x="{_LEFT}" y="56">{html.escape(figure.note)}</text>']),
        *legend,
        "</svg>",
    ]
    return "\n".join(body) + "\n"


def _field(figure: Figure) -> Iterator[str]:
    points = [point for series in figure.series for point in series.points]
    heights = [point.y for point in points] + [end for point in points for end in point.interval or ()]
    across = _Side(_scale(figure.x, [point.x for point in points]), _LEFT, _WIDTH - _RIGHT)
    up = _Side(_scale(figure.y, heights), _TOP + _HEIGHT, _TOP)
    yield from _grid(figure, across, up)
    for series in figure.series:
        yield f'<g fill="{LOOKS[series.technique].colour}" stroke="{LOOKS[series.technique].colour}">'
        if series.is_joined and len(series.points) > 1:
            line = " ".join(f"{across.place(point.x):.1f},{up.place(point.y):.1f}" for point in series.points)
            dashes = _DASHES if series.is_dashed else ""
            yield f'<polyline points="{line}" fill="none" stroke-width="1.6"{dashes}/>'
        for point in series.points:
            yield _placed(point, _mark(series, figure.series), across, up)
        yield "</g>"


def _mark(one: Series, series: Sequence[Series]) -> str:
    """Returns the mark of a series: filled for the first network, hollow for the second, ringed for others."""
    network = list(dict.fromkeys(other.whole for other in series)).index(one.whole)
    shape = LOOKS[one.technique].shape
    filled = f'<g transform="scale({_SIZE})" stroke="none">{shape}</g>'
    if network == 0:
        return filled
    middle = f'<g transform="scale({_SIZE * _SMALLER:.3f})" fill="#ffffff" stroke="none">{shape}</g>'
    ring = "" if network == 1 else f'<circle r="8.5" fill="none" stroke="{LOOKS[one.technique].colour}"/>'
    return f"{filled}{middle}{ring}"


def _placed(point: FigurePoint, mark: str, across: _Side, up: _Side) -> str:
    x, y = across.place(point.x), up.place(point.y)
    whisker = ""
    if point.interval is not None:
        low, high = (up.place(end) - y for end in point.interval)
        whisker = f'<path d="M0 {low:.1f}V{high:.1f}M-4 {low:.1f}H4M-4 {high:.1f}H4" fill="none"/>'
    below = '<path d="M-4 9 0 13 4 9" fill="none"/>' if up.scale.is_below(point.y) else ""
    words = html.escape(f"{point.label}: {point.words}")
    return f'<g transform="translate({x:.1f} {y:.1f})"><title>{words}</title>{whisker}{below}{mark}</g>'


def _scale(axis: FigureAxis, values: Sequence[float]) -> Scale:
    return scale_of(values, axis.kind, floor=axis.floor)


def _grid(figure: Figure, across: _Side, up: _Side) -> Iterator[str]:
    right, foot = _WIDTH - _RIGHT, _TOP + _HEIGHT
    heights, breadths = ticks_of(up.scale), ticks_of(across.scale)
    yield '<g stroke="#d8d8d8">'
    for value, _ in heights:
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{up.place(value):.1f}" y2="{up.place(value):.1f}"/>'
    for value, _ in breadths:
        yield f'<line x1="{across.place(value):.1f}" x2="{across.place(value):.1f}" y1="{_TOP}" y2="{foot}"/>'
    yield f'<line x1="{_LEFT}" x2="{right}" y1="{foot}" y2="{foot}"/>'
    yield '</g><g fill="#333333">'
    for value, words in heights:
        yield f'<text x="{_LEFT - 8}" y="{up.place(value) + 4:.1f}" text-anchor="end">{words}</text>'
    for value, words in breadths:
        yield f'<text x="{across.place(value):.1f}" y="{foot + 18}" text-anchor="middle">{words}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle}" y="{foot + 38}" text-anchor="middle">{html.escape(figure.x.words)}</text>'
    yield (
        f'<text transform="translate(16 {_TOP + _HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(figure.y.words)}</text></g>"
    )


def _legend(series: Sequence[Series]) -> tuple[list[str], int]:
    """Returns the legend below the field, and its lines."""
    items: list[str] = []
    x, line = float(_LEFT), 0
    for one in series:
        width = 46 + _LETTER * len(one.name)
        if x > _LEFT and x + width > _WIDTH - _RIGHT:
            x, line = float(_LEFT), line + 1
        y = _TOP + _HEIGHT + _BELOW + line * _LINE
        colour = LOOKS[one.technique].colour
        stroke = f'<path d="M-12 0H12" stroke="{colour}" stroke-width="1.6"{_DASHES if one.is_dashed else ""}/>'
        items.append(
            f'<g transform="translate({x + 12:.1f} {y})" fill="{colour}" stroke="none">'
            f"{stroke if one.is_joined else ''}{_mark(one, series)}"
            f'<text x="18" y="4.5" fill="#333333">{html.escape(one.name)}</text></g>'
        )
        x += width
    return items, line + 1
