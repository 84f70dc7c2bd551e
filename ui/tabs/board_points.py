"""Scores as readers know them: points, as chess players count, and how often a system is preferred."""

import math
from typing import Final

from ui import text

__all__ = ["points_of", "points_text", "range_text", "wins_percent"]

_POINTS_OF_A_LOG_ODD: Final = 400 / math.log(10)
"""400 points are odds of ten to one (Elo, "The Rating of Chessplayers", 1978)."""


def points_of(score: float) -> float:
    """Returns log odds in points."""
    return score * _POINTS_OF_A_LOG_ODD


def wins_percent(difference: float) -> float:
    """Returns in how many of 100 pairs a system is preferred that is ahead by so many log odds."""
    return 50 * (1 + math.tanh(difference / 2))  # the logistic function, for differences of any size


def points_text(score: float) -> str:
    """Returns log odds in points with their sign: ``+42``."""
    return text.signed_text(points_of(score), 0)


def range_text(low: float, high: float) -> str:
    """Returns an interval of log odds in points: ``−12 to +96``."""
    return text.BOARD_RANGE.format(low=points_text(low), high=points_text(high))
