"""How the points of a family look: a colour, which the style sheet knows by a name, and a shape."""

from dataclasses import dataclass
from typing import Final

from zoo.report.techniques import LOOKS

__all__ = ["Look", "network_look"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A colour and a shape.

    Attributes:
        name: The colour's name: that of the class ``plot-NAME`` in the style sheet.
        shape: An SVG element around the origin.
        is_dashed: Whether a line that joins the points is dashed.
    """

    name: str
    shape: str
    is_dashed: bool = False


_SHAPES: Final = tuple(look.shape for look in LOOKS.values())[:8]
"""Those of techniques serve networks too, which have colours of their own: no plot tells both apart."""


def network_look(number: int) -> Look:
    """Returns the look of a network by its number on the page; the ninth looks like the first."""
    return Look(name=f"network-{number % len(_SHAPES)}", shape=_SHAPES[number % len(_SHAPES)])
