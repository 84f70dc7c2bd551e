"""Where a visitor looks closer; it stays on the server, in the state of the page."""

from dataclasses import dataclass

from ui.widgets.spot import CENTRE, Spot

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A spot of a photo; ``photo`` is another secret word for each upload, under which its pictures are kept."""

    photo: str
    spot: Spot = CENTRE
