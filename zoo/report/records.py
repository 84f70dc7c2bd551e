"""A figure of the report as a record, from which a page or a file can draw it.

Whoever draws one needs nothing else: names, words and places are in it, and nothing in it depends on how it is drawn.
"""

from dataclasses import dataclass

from zoo.report.scales import ScaleKind
from zoo.study import Technique

__all__ = ["Figure", "FigureAxis", "FigurePoint", "Series"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureAxis:
    """What stands along a side of a figure.

    Attributes:
        words: What the values are, with their unit.
        kind: Whether equal steps or equal factors are equally far apart.
        floor: Values below it stand below the axis, with an arrow; None where all have their place. A logarithmic axis
            with values of 0 or less has one.
    """

    words: str
    kind: ScaleKind = "linear"
    floor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigurePoint:
    """A network in a figure.

    Attributes:
        id: Id of the release that it is; None when it does not ship.
        label: Its name.
        x: Its value along the foot.
        y: Its value upwards, which may be below the floor of that axis.
        words: Both, as they are said beside it.
        interval: Ends of an upright whisker; None for none.
    """

    id: str | None
    label: str
    x: float
    y: float
    words: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points that belong together.

    Attributes:
        name: What they have in common.
        points: From left to right, at least one.
        technique: How they were made; gives them one colour and one shape in all figures.
        whole: Id of the whole network that they were made from.
        is_joined: Whether they are amounts of one technique, so that a line may join them.
        is_dashed: Whether that line is dashed, because they were chosen by another measure than their parameters.
    """

    name: str
    points: tuple[FigurePoint, ...]
    technique: Technique
    whole: str
    is_joined: bool = False
    is_dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """All that a figure shows; without series where nothing was measured.

    Attributes:
        title: Its heading.
        x: The axis along the foot.
        y: The upright one.
        series: What is drawn.
        note: Sentences below: what is assumed, and what is left out.
    """

    title: str
    x: FigureAxis
    y: FigureAxis
    series: tuple[Series, ...]
    note: str
