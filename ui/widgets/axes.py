"""Axes of a plot: what stands along them, where a value has its place, and which round values are written there.

Places are percentages, so that a plot fits any width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, assert_never

from ui import text

__all__ = ["Axis", "AxisKind", "Frame", "Span", "round_values", "span_of"]

AxisKind: TypeAlias = Literal["linear", "log"]
"""Whether equal steps or equal factors are equally far apart."""

_MOST_LINES: Final = 7
"""Lines of round values along a linear axis."""
_MOST_LOG_LINES: Final = 12
"""Along a logarithmic one; with more, powers of ten must do."""
_BESIDE: Final = 0.08
"""Room beside the outermost values, as a share of what lies between them."""
_FACTOR_BESIDE: Final = 1.25
"""And on a logarithmic axis, where it is a factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What stands along a side of the plot.

    Attributes:
        title: What the values are, with their unit.
        kind: How they are spread. On a logarithmic axis, values that are not above 0 stand at its beginning.
        room: On a linear axis, the least that is left free beside the outermost values, in their unit: a single value,
            or equal ones, then have a place too.
        is_signed: Whether values above 0 are shown with a plus.
        floor: Points below it stand at the foot of the plot with an arrow and do not flatten the others; None where all
            have their place. Of the upright axis only.
    """

    title: str
    kind: AxisKind = "linear"
    room: float = 1e-9
    is_signed: bool = False
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """What an axis covers; places are in percent from its beginning."""

    low: float
    high: float
    kind: AxisKind

    def place(self, value: float) -> float:
        """Returns where a value stands; what lies outside stands at the end."""
        low, high = _even(self.low, self.kind), _even(self.high, self.kind)
        return 100 * (_even(min(max(value, self.low), self.high), self.kind) - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values stand, in percent of the plot: x to the right, y down."""

    across: Span
    up: Span

    def x(self, value: float) -> float:
        """Returns how far to the right."""
        return self.across.place(value)

    def y(self, value: float) -> float:
        """Returns how far down."""
        return 100 - self.up.place(value)


def span_of(axis: Axis, values: Sequence[float], above: int) -> Span:
    """Returns what an axis covers: the values, room below them, and so many times as much above."""
    match axis.kind:
        case "log":
            values = [value for value in values if value > 0] or [1.0]
            return Span(min(values) / _FACTOR_BESIDE, max(values) * _FACTOR_BESIDE**above, axis.kind)
        case "linear":
            lowest, highest = min(values), max(values)
            room = max(_BESIDE * (highest - lowest), axis.room)
            return Span(lowest - room, highest + above * room, axis.kind)
        case _:
            assert_never(axis.kind)


def round_values(axis: Axis, span: Span) -> list[tuple[float, str]]:
    """Returns values of one, two or five times a power of ten that lie on an axis, with their words."""
    if axis.kind == "log":
        powers = range(math.floor(math.log10(span.low)), math.ceil(math.log10(span.high)) + 1)
        for digits in ((1, 2, 5), (1,)):
            values = [digit * 10.0**power for power in powers for digit in digits]
            inside = [(value, f"{value:.10g}") for value in values if span.low <= value <= span.high]
            if 1 < len(inside) <= _MOST_LOG_LINES:
                return inside
    length = span.high - span.low
    smallest = math.floor(math.log10(length / _MOST_LINES))
    steps = [(power, digit) for power in (smallest, smallest + 1) for digit in (1, 2, 5)]
    power, digit = next((p, d) for p, d in steps if length <= _MOST_LINES * d * 10.0**p)
    step, digits = digit * 10.0**power, max(0, -power)
    values = [row * step for row in range(math.ceil(span.low / step), math.floor(span.high / step) + 1)]
    return [(v, text.signed_text(v, digits) if axis.is_signed else f"{v:.{digits}f}") for v in values]


def _even(value: float, kind: AxisKind) -> float:
    return math.log(value) if kind == "log" else value
