"""Scales of plots: where a value has its place along an axis, and which round values are written there.

Places are shares of the axis' length, so that a file of fixed size and a page of any width use the same ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Scale", "ScaleKind", "scale_of", "short_number", "signed_number", "ticks_of"]

ScaleKind: TypeAlias = Literal["linear", "log"]
"""Whether equal steps or equal factors are equally far apart."""

_MOST_TICKS: Final = 7
"""Round values along a linear axis."""
_MOST_LOG_TICKS: Final = 12
"""Along a logarithmic one; with more, powers of ten must do."""
_BESIDE: Final = 0.08
"""Room beside the outermost values, as a share of what lies between them."""
_FACTOR_BESIDE: Final = 1.25
"""And on a logarithmic axis, where it is a factor."""
_BESIDE_EQUAL: Final = 0.02
"""Room beside equal values, as a share of them."""
_LEAST_BESIDE: Final = 0.001
"""Least room beside others, as a share of the largest: smaller differences need too many digits."""
_STRIP: Final = 0.11
"""Share of the axis that is kept for what lies below it: room for a mark with an arrow that points down."""
_UNITS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SHORT_FROM: Final = 1e4
"""Smaller numbers are written in full."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What an axis covers.

    Attributes:
        low: The value at its beginning, above the strip where there is one.
        high: The value at its end.
        kind: How values are spread.
        strip: Share of the length that is kept at its beginning for values below ``low``.
    """

    low: float
    high: float
    kind: ScaleKind
    strip: float = 0.0

    def place(self, value: float) -> float:
        """Returns where a value stands, from 0 to 1; above the end at the end, below the beginning in the strip."""
        if self.is_below(value):
            return self.strip / 2
        low, high = self._even(self.low), self._even(self.high)
        at = (self._even(min(value, self.high)) - low) / (high - low)
        return self.strip + (1 - self.strip) * at

    def is_below(self, value: float) -> bool:
        """Returns whether a value lies below the axis."""
        return value < self.low

    def _even(self, value: float) -> float:
        return math.log(value) if self.kind == "log" else value


def scale_of(
    values: Sequence[float],
    kind: ScaleKind = "linear",
    *,
    floor: float | None = None,
    room: float | None = None,
    above: int = 1,
) -> Scale:
    """Returns a scale for values, with room beside the outermost ones.

    Args:
        values: At least one. On a logarithmic axis, those that are not above 0 lie below it.
        kind: How they are spread.
        floor: Smaller values lie below the axis and do not flatten the others; None where all have their place.
        room: On a linear axis, the least room beside them, in their unit; None for a small part of the largest value.
        above: So many times as much room is left above them as below.
    """
    held = [value for value in values if (floor is None or value >= floor) and (kind == "linear" or value > 0)]
    is_cut = len(held) < len(values)
    held = held or ([1.0] if floor is None else [floor])
    lowest, highest = min(held), max(held)
    if kind == "log":
        low, high = lowest / _FACTOR_BESIDE, highest * _FACTOR_BESIDE**above
    else:
        if room is None:
            room = (_LEAST_BESIDE if highest > lowest else _BESIDE_EQUAL) * max(map(abs, held)) or 1.0
        beside = max(_BESIDE * (highest - lowest), room)
        low, high = lowest - beside, highest + above * beside
    if is_cut and floor is not None:
        low = floor
    return Scale(low, high, kind, _STRIP if is_cut else 0.0)


def ticks_of(scale: Scale, *, is_signed: bool = False) -> list[tuple[float, str]]:
    """Returns values of one, two or five times a power of ten that lie on an axis, with their words.

    Args:
        scale: The axis.
        is_signed: Whether values above 0 are written with a plus.
    """
    if scale.kind == "log":
        inside = _log_values(scale)
        if len(inside) > 1:
            return [(value, short_number(value)) for value in inside]
    length = scale.high - scale.low
    smallest = math.floor(math.log10(length / _MOST_TICKS))
    steps = [(power, digit) for power in (smallest, smallest + 1) for digit in (1, 2, 5)]
    power, digit = next((p, d) for p, d in steps if length <= _MOST_TICKS * d * 10.0**p)
    step = digit * 10.0**power
    values = [row * step for row in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)]
    unit, letter = _unit(max(map(abs, values), default=0.0))
    digits = max(0, round(math.log10(unit)) - power)
    return [(value, _tick_words(value / unit, digits, letter, is_signed=is_signed)) for value in values]


def short_number(value: float) -> str:
    """Returns a number above 0 in few signs: ``0.05``, ``2,000``, ``20k``, ``5M``."""
    unit, letter = _unit(value)
    return f"{value / unit:,.10g}{letter}"


def signed_number(value: float, digits: int) -> str:
    """Returns a number with its sign, a real minus, and no sign before zero, such as ``+42`` or ``−0.03``."""
    rounded = round(value, digits)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else ''}{abs(rounded):.{digits}f}"


def _log_values(scale: Scale) -> list[float]:
    """Returns round values on a logarithmic axis: as many as there is room for."""
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    choices = [[digit * 10.0**power for power in powers for digit in (1, 2, 5)]]
    choices += [[10.0**power for power in powers if power % every == 0] for every in range(1, len(powers))]
    inside = ([value for value in values if scale.low <= value <= scale.high] for values in choices)
    return next((values for values in inside if len(values) <= _MOST_LOG_TICKS), [])


def _unit(largest: float) -> tuple[float, str]:
    if largest < _SHORT_FROM:
        return 1.0, ""
    return next((unit, letter) for unit, letter in _UNITS if largest >= unit)


def _tick_words(value: float, digits: int, letter: str, *, is_signed: bool) -> str:
    if value == 0:
        return f"{0:.{0 if letter else digits}f}"
    sign = "−" if value < 0 else "+" if is_signed else ""
    return f"{sign}{abs(value):,.{digits}f}{letter}"
