"""Axes of a plot on the page: what stands along them. Places are percentages, so that a plot fits any width."""

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.report.scales import Scale, ScaleKind, scale_of, ticks_of

__all__ = ["Axis", "Frame", "scale_along", "ticks_along"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What stands along a side of the plot.

    Attributes:
        title: What the values are, with their unit.
        kind: How they are spread. On a logarithmic axis, values that are not above 0 lie below it.
        room: On a linear axis, the least that is left free beside the outermost values, in their unit: a single value,
            or equal ones, then have a place too. None for a small part of the largest value.
        is_signed: Whether values above 0 are shown with a plus.
        floor: Points below it stand below the axis with an arrow and do not flatten the others; None where all have
            their place. Of the upright axis only.
    """

    title: str
    kind: ScaleKind = "linear"
    room: float | None = None
    is_signed: bool = False
    floor: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values stand, in percent of the plot: x to the right, y down."""

    across: Scale
    up: Scale

    def x(self, value: float) -> float:
        """Returns how far to the right."""
        return 100 * self.across.place(value)

    def y(self, value: float) -> float:
        """Returns how far down."""
        return 100 - 100 * self.up.place(value)


def scale_along(axis: Axis, values: Sequence[float], above: int) -> Scale:
    """Returns what an axis covers: the values, room below them, and so many times as much above."""
    return scale_of(values, axis.kind, floor=axis.floor, room=axis.room, above=above)


def ticks_along(axis: Axis, scale: Scale) -> list[tuple[float, str]]:
    """Returns the round values on an axis, with their words."""
    return ticks_of(scale, is_signed=axis.is_signed)
