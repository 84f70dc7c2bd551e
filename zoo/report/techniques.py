"""Techniques as they are shown: their words, their order, and the one colour and shape that each has everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from zoo.release import Measure
from zoo.study import StudyPoint, Technique

__all__ = ["COARSE", "LOOKS", "PRUNING", "TECHNIQUES", "Look", "network_words", "series_words"]

TECHNIQUES: Final[Mapping[Technique, str]] = MappingProxyType(
    {
        "whole": "whole network",
        "heads-l1": "heads by L1 norm",
        "magnitude-l1": "single weights by size",
        "selective": "selective",
        "selective-repair": "selective + repair",
        "selective-distilled": "selective + repair + distillation",
        "uniform-bits": "one format for all layers",
        "mixed-bit": "a format for each layer",
        "selective-mixed-bit": "selective + repair, then a format for each layer",
        "mixed-bit-selective": "a format for each layer, then selective + repair",
    }
)
"""Techniques in words, in the order in which they are shown."""

PRUNING: Final[frozenset[Technique]] = frozenset(
    {"heads-l1", "magnitude-l1", "selective", "selective-repair", "selective-distilled"}
)
"""Those that only remove."""
COARSE: Final[frozenset[Technique]] = frozenset(
    {"uniform-bits", "mixed-bit", "selective-mixed-bit", "mixed-bit-selective"}
)
"""Those that store weights coarser."""

_Measure: TypeAlias = Measure | Literal["milliseconds"]
_SHARE_OF: Final[Mapping[_Measure, str]] = MappingProxyType(
    {"parameters": "of the parameters", "macs": "of the multiplications", "milliseconds": "of the measured time"}
)
_CHOSEN_BY: Final[Mapping[_Measure, str]] = MappingProxyType(
    {"parameters": "", "macs": ", by multiplications", "milliseconds": ", by measured time"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the points of a technique look: a colour on light ground, one on dark ground, and a shape.

    The shape is an SVG element around the origin, about 13 units wide.
    """

    colour: str
    dark: str
    shape: str


LOOKS: Final[Mapping[Technique, Look]] = MappingProxyType(
    {
        "whole": Look(colour="#111827", dark="#f3f4f6", shape='<circle r="6.5"/>'),
        "heads-l1": Look(
            colour="#d55e00", dark="#ff9a4d", shape='<rect x="-5.8" y="-5.8" width="11.6" height="11.6" rx="1"/>'
        ),
        "magnitude-l1": Look(colour="#b8487f", dark="#f291c1", shape='<path d="M0 8-7.4-5.4H7.4Z"/>'),
        "selective": Look(colour="#9a7200", dark="#e5c04b", shape='<path d="M0-8.2 8.2 0 0 8.2-8.2 0Z"/>'),
        "selective-repair": Look(colour="#007a59", dark="#3ecfa3", shape='<path d="M0-8 7.4 5.4H-7.4Z"/>'),
        "selective-distilled": Look(
            colour="#0061c2",
            dark="#6db3ff",
            shape='<path d="M0-8.4 2-2.7 8-2.6 3.2 1.1 4.9 6.8 0 3.4-4.9 6.8-3.2 1.1-8-2.6-2-2.7Z"/>',
        ),
        "uniform-bits": Look(
            colour="#3b8fc2", dark="#a3dcf5", shape='<path d="M-2.4-7H2.4V-2.4H7V2.4H2.4V7H-2.4V2.4H-7V-2.4H-2.4Z"/>'
        ),
        "mixed-bit": Look(
            colour="#6f42c1", dark="#b99bf5", shape='<path d="M-3.8-6.6H3.8L7.6 0 3.8 6.6H-3.8L-7.6 0Z"/>'
        ),
        "selective-mixed-bit": Look(
            colour="#be123c",
            dark="#fb8a9d",
            shape='<path d="M-7-4.2-4.2-7 0-2.8 4.2-7 7-4.2 2.8 0 7 4.2 4.2 7 0 2.8-4.2 7-7 4.2-2.8 0Z"/>',
        ),
        "mixed-bit-selective": Look(
            colour="#5b6b00", dark="#c3d64b", shape='<path d="M0-8 7.6-2.5 4.7 6.5H-4.7L-7.6-2.5Z"/>'
        ),
    }
)
"""Source of most colours: Okabe and Ito, "Color Universal Design" (2008), some darker so that they stand out from
white. The style sheet of the app repeats them."""


def network_words(point: StudyPoint) -> str:
    """Returns what tells a network from others of its technique, and of what its share is one where that is no secret.

    A share of all parameters is the usual case and goes without saying, but for zeros: variants that ship count theirs
    over the weights of linear layers, and their names say so.
    """
    if point.technique == "magnitude-l1" and point.release is None:
        return f"{point.words}, of all parameters"
    what = _SHARE_OF[point.measure]
    if point.measure == "parameters" or what in point.words:
        return point.words
    return f"{point.words} ({100 * point.share:g} % {what})"


def series_words(technique: Technique, measure: _Measure) -> str:
    """Returns what points have in common that were made by one technique and chosen by one measure."""
    return TECHNIQUES[technique] + _CHOSEN_BY[measure]
