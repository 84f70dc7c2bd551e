"""What must be said beside the figures of a network, lest they be taken for more than they are."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from zoo.study import Study

__all__ = ["caveat_of", "in_order"]

_CAVEATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "swinir-light-x2-photos39-float16": "Half of the light network has learned nothing: it was grown from the "
        "quick one, and 16 of its 24 blocks add nothing yet. Up to 50 % gone, its curves are trivial; the real test is "
        "the quick network.",
    }
)
"""By id of the whole network. A test finds those blocks in the weights that ship."""


def caveat_of(whole: str) -> str:
    """Returns what must be said beside figures of a whole network and of what was made of it; empty for nothing."""
    return _CAVEATS.get(whole, "")


def in_order(studies: tuple[Study, ...]) -> tuple[Study, ...]:
    """Returns studies in the order in which they are shown: those first of which nothing must be said."""
    return tuple(sorted(studies, key=lambda study: bool(caveat_of(study.whole))))
