"""Figures as SVG pictures that stand alone: plain text, the same for the same figure, readable on any ground."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from zoo.report.figures import Figure, FigureAxis, FigurePoint, Series
from zoo.study import Technique

__all__ = ["svg_of"]

_WIDTH: Final = 760
_LEFT, _RIGHT, _TOP, _BELOW = 64, 24, 44, 56
_HEIGHT: Final = 360
"""Of the field between the axes."""
_LINE: Final = 22
"""Of the legend."""
_LETTER: Final = 7.2
"""Width of a letter of the legend, about."""
_MOST_TICKS: Final = 8
_ROOM: Final = 0.06
"""Room beside the outermost values, as a share of what lies between them."""

_COLOURS: Final[Mapping[Technique, str]] = MappingProxyType(
    {
        "whole": "#000000",
        "heads-l1": "#d55e00",
        "magnitude-l1": "#b8487f",
        "selective": "#b88600",
        "selective-repair": "#007a59",
        "selective-distilled": "#0072b2",
        "uniform-bits": "#3b8fc2",
        "mixed-bit": "#6f42c1",
    }
)
"""Source: after Okabe and Ito, "Color Universal Design" (2008), some darker so that they stand out from white."""

_SHAPES: Final = (
    '<circle r="5"/>',
    '<rect x="-4.6" y="-4.6" width="9.2" height="9.2"/>',
    '<path d="M0-6.4 5.9 4.3H-5.9Z"/>',
    '<path d="M0-6.6 6.6 0 0 6.6-6.6 0Z"/>',
)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where the values of an axis stand, in pixels: ``low`` at ``start`` and ``high`` at ``end``."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool

    def place(self, value: float) -> float:
        low, high, at = (math.log(v) if self.is_log else v for v in (self.low, self.high, max(value, self.low)))
        return self.start + (self.end - self.start) * (at - low) / (high - low)


def svg_of(figure: Figure) -> str:
    """Returns a figure as the text of an SVG file; without series it says only that nothing was measured."""
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
    across = _scale(figure.x, [point.x for point in points], _LEFT, _WIDTH - _RIGHT)
    up = _scale(figure.y, heights, _TOP + _HEIGHT, _TOP)
    yield from _grid(figure, across, up)
    wholes = list(dict.fromkeys(series.whole for series in figure.series))
    for series in figure.series:
        shape = _SHAPES[wholes.index(series.whole) % len(_SHAPES)]
        yield f'<g fill="{_COLOURS[series.technique]}" stroke="{_COLOURS[series.technique]}">'
        if series.is_joined and len(series.points) > 1:
            line = " ".join(f"{across.place(point.x):.1f},{up.place(point.y):.1f}" for point in series.points)
            yield f'<polyline points="{line}" fill="none" stroke-width="1.6"/>'
        for point in series.points:
            yield _mark(point, shape, across, up)
        yield "</g>"


def _mark(point: FigurePoint, shape: str, across: _Scale, up: _Scale) -> str:
    x, y = across.place(point.x), up.place(point.y)
    whisker = ""
    if point.interval is not None:
        low, high = (up.place(end) - y for end in point.interval)
        whisker = f'<path d="M0 {low:.1f}V{high:.1f}M-4 {low:.1f}H4M-4 {high:.1f}H4" fill="none"/>'
    below = '<path d="M-4 9 0 13 4 9" fill="none"/>' if point.y < up.low else ""
    words = html.escape(f"{point.label}: {point.words}")
    return f'<g transform="translate({x:.1f} {y:.1f})"><title>{words}</title>{whisker}{below}{shape}</g>'


def _scale(axis: FigureAxis, values: Sequence[float], start: float, end: float) -> _Scale:
    """Returns an axis with room beside the outermost values; none goes below its floor."""
    floor = -math.inf if axis.floor is None else axis.floor
    low, high = (max(value, floor) for value in (min(values), max(values)))
    if axis.kind == "log":
        factor = max((high / low) ** _ROOM, 1.1)
        return _Scale(max(low / factor, floor), high * factor, start, end, is_log=True)
    room = (high - low) * _ROOM or max(abs(high), 1.0) * _ROOM
    return _Scale(max(low - room, floor), high + room, start, end, is_log=False)


def _grid(figure: Figure, across: _Scale, up: _Scale) -> Iterator[str]:
    right, foot = _WIDTH - _RIGHT, _TOP + _HEIGHT
    yield '<g stroke="#d8d8d8">'
    for value, _ in _ticks(up):
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{up.place(value):.1f}" y2="{up.place(value):.1f}"/>'
    for value, _ in _ticks(across):
        yield f'<line x1="{across.place(value):.1f}" x2="{across.place(value):.1f}" y1="{_TOP}" y2="{foot}"/>'
    yield '</g><g fill="#333333">'
    for value, words in _ticks(up):
        yield f'<text x="{_LEFT - 8}" y="{up.place(value) + 4:.1f}" text-anchor="end">{words}</text>'
    for value, words in _ticks(across):
        yield f'<text x="{across.place(value):.1f}" y="{foot + 18}" text-anchor="middle">{words}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle}" y="{foot + 38}" text-anchor="middle">{html.escape(figure.x.words)}</text>'
    yield (
        f'<text transform="translate(16 {_TOP + _HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(figure.y.words)}</text></g>"
    )


def _ticks(scale: _Scale) -> list[tuple[float, str]]:
    """Returns round values on an axis, with their words: one, two or five times a power of ten, or even steps."""
    if scale.is_log:
        powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
        values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        inside = [(value, f"{value:g}") for value in values if scale.low <= value <= scale.high]
        if len(inside) > 1:
            return inside
    length = scale.high - scale.low
    power = math.floor(math.log10(length / _MOST_TICKS))
    step = next(d * 10.0**p for p in (power, power + 1) for d in (1, 2, 5) if length <= _MOST_TICKS * d * 10.0**p)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)
    return [(number * step, f"{number * step:,.{digits}f}".replace("-", "−")) for number in numbers]


def _legend(series: Sequence[Series]) -> tuple[list[str], int]:
    """Returns the legend below the field, and its lines."""
    wholes = list(dict.fromkeys(one.whole for one in series))
    items: list[str] = []
    x, line = float(_LEFT), 0
    for one in series:
        width = 34 + _LETTER * len(one.name)
        if x > _LEFT and x + width > _WIDTH - _RIGHT:
            x, line = float(_LEFT), line + 1
        y = _TOP + _HEIGHT + _BELOW + line * _LINE
        shape = _SHAPES[wholes.index(one.whole) % len(_SHAPES)]
        items.append(
            f'<g transform="translate({x + 6:.1f} {y})" fill="{_COLOURS[one.technique]}">{shape}'
            f'<text x="12" y="4.5" fill="#333333">{html.escape(one.name)}</text></g>'
        )
        x += width
    return items, line + 1
