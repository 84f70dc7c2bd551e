"""Where a visitor looks closer; it stays on the server, in the state of the page."""

from dataclasses import dataclass

from ui.widgets.spot import CENTRE, Spot

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A spot of a photo; ``photo`` is another secret word for each upload, under which its pictures are kept."""

    photo: str
    spot: Spot = CENTRE

    def key(self, model_id: str, against: str) -> str:
        """Returns what a close look shows, as a word that differs where the look does."""
        return f"{self.photo} {self.spot.x} {self.spot.y} {model_id} {against}"
