"""Whether a variant looks like the full-precision network that it was made from, and how much hangs on few votes.

The verdict is that of two one-sided tests: the variant is equivalent when it is shown not to be worse by the margin and
shown not to be better by it, each at 5 %, which is when the 90 % interval of the difference lies within the margin. "No
difference found" is not a verdict: with few votes the interval is wide, and the verdict is open.

Source: Schuirmann, "A comparison of the two one-sided tests procedure and the power approach" (1987); which votes a
difference hangs on: Huang et al., "Dropping Just a Handful of Preferences Can Change Top Large Language Model Rankings"
(2025); deviation: what one step of Newton's method tells is only used for the order in which votes go, and the number
comes from fits without them.
"""

from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from ratings.board import Equivalence, Verdict
from ratings.bradley_terry import PairModel, PairTable, solve
from ratings.clustered import Interval, Sandwich

__all__ = ["equivalence_of", "fewest_to_turn", "verdict_of", "votes_to_decide"]

TEST_CONFIDENCE: Final = 0.90
"""Of the interval that amounts to two one-sided tests at 5 % each."""
POWER: Final = 0.8
"""With this probability the votes needed decide, if the difference is what it seems to be now."""
DROP_SHARE: Final = 0.1
"""No more than this share of the votes is taken away to turn a difference."""
_HALVINGS: Final = 40
_TOO_MANY: Final = 100
"""Where so many times the votes would be needed, no number is told: the estimate is too rough for it."""

_Array = NDArray[np.float64]


def equivalence_of(
    model: PairModel, sandwich: Sandwich, names: tuple[str, str], margin: float, *, is_shown: bool
) -> Equivalence:
    """Returns the verdict on a variant.

    Args:
        model: The fit.
        sandwich: Its uncertainty.
        names: The variant and its full-precision network, both among the systems of the fit.
        margin: Difference in log odds that counts as none, above 0; 0.2 is a win rate of 55 %.
        is_shown: Whether both have votes enough for a verdict.
    """
    system, reference = (model.table.systems.index(name) for name in names)
    contrast = np.zeros((1, len(model.coefficients)))
    contrast[0, system] += 1
    contrast[0, reference] -= 1
    (interval,) = sandwich.intervals(contrast, contrast @ model.coefficients)
    low, high = interval.ends(TEST_CONFIDENCE)
    verdict = verdict_of(low, high, margin) if is_shown else "open"
    needed = None
    if is_shown and verdict == "open":
        needed = votes_to_decide(interval, margin, _votes_on(model.table, system, reference))
    drop = None
    if is_shown:
        ahead, behind = (system, reference) if interval.value >= 0 else (reference, system)
        drop = fewest_to_turn(model, sandwich, ahead, behind)
    return Equivalence(
        system=names[0],
        reference=names[1],
        difference=interval.value,
        low=low,
        high=high,
        margin=margin,
        verdict=verdict,
        votes_needed=needed,
        drop=drop,
    )


def verdict_of(low: float, high: float, margin: float) -> Verdict:
    """Returns what the 90 % interval of a difference says."""
    if -margin < low and high < margin:
        return "equivalent"
    if high < 0:
        return "worse"
    if low > 0:
        return "better"
    return "open"


def votes_to_decide(interval: Interval, margin: float, votes: int) -> int | None:
    """Returns how many more votes on the variant or the network decide, or None where it is too many to tell.

    The criterion: if the true difference is the one that is seen now and errors shrink with the root of the votes, the
    easier of both verdicts (no difference, or a difference) is reached with a probability of 80 %.

    Args:
        interval: The difference.
        margin: What counts as no difference.
        votes: Votes that there are on either.
    """
    reach, distance = float(stdtrit(interval.freedom, (1 + TEST_CONFIDENCE) / 2)), abs(interval.value)
    error = max(_error_for_none(distance, margin, reach), distance / (reach + float(ndtri(POWER))))
    times = (interval.error / error) ** 2
    return None if times > _TOO_MANY else max(ceil(votes * (times - 1)), 1)


def _error_for_none(distance: float, margin: float, reach: float) -> float:
    """Returns the error at which a difference is shown to be within the margin with the power, or 0 where none is.

    Either test may fail, so at a distance of 0 the error must be smaller than for one test alone.
    """

    def power(error: float) -> float:
        return float(ndtr((margin - distance) / error - reach) + ndtr((margin + distance) / error - reach)) - 1

    least, most = 1e-9, margin
    if distance >= margin or power(least) < POWER:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        least, most = (least, middle) if power(middle) < POWER else (middle, most)
    return least


def fewest_to_turn(model: PairModel, sandwich: Sandwich, ahead: int, behind: int) -> int | None:
    """Returns how many votes must go so that the system that is behind comes to lead, or None for more than a tenth.

    Votes go in the order of how much the difference hangs on each by one step of Newton's method. That a fit without
    this many turns, and one without one less does not, is computed; that no other choice of fewer would, is not.

    Args:
        model: The fit.
        sandwich: Its uncertainty.
        ahead: Number of the system that leads.
        behind: Number of the other.
    """
    kinds = _Kinds(model, sandwich.model_covariance, ahead, behind)
    least, most = 0, int(DROP_SHARE * len(model.table.points))
    if not kinds.turns_without(most):
        return None
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if kinds.turns_without(middle) else (middle, most)
    return most


class _Kinds:
    """The votes by what they say (who on the left, who on the right, how many points), in the order in which they go.

    Votes that say the same have the same influence, so it does not matter which of them go.
    """

    def __init__(self, model: PairModel, bread: _Array, ahead: int, behind: int) -> None:
        size = len(model.table.systems)
        table = model.table
        cell = (table.left * size + table.right) * 3 + np.round(2 * table.points).astype(np.int64)
        count = np.bincount(cell, minlength=size * size * 3)
        kind = np.flatnonzero(count)
        pair, halves = np.divmod(kind, 3)
        rows = np.zeros((len(kind), size + 1))
        entry = np.arange(len(kind))
        rows[entry, pair // size] += 1
        rows[entry, pair % size] -= 1
        rows[:, size] = 1
        chance = 1 / (1 + np.exp(-rows @ model.coefficients))
        spread = np.einsum("np,pq,nq->n", rows, bread, rows) * chance * (1 - chance)
        gain = (rows @ (bread[ahead] - bread[behind])) * (halves / 2 - chance) / np.maximum(1 - spread, _SOLE)
        order = np.argsort(-gain, kind="stable")
        self._votes, self._points = model.table.counts()
        self._start = model.coefficients
        self._ahead, self._behind = ahead, behind
        self._pair, self._got = pair[order], halves[order] / 2
        self._count = count[kind][order]
        self._before = np.cumsum(self._count) - self._count

    def turns_without(self, number: int) -> bool:
        """Returns whether the system that was behind leads in the fit without so many votes."""
        gone = np.clip(number - self._before, 0, self._count)
        votes, points = self._votes.copy(), self._points.copy()
        np.subtract.at(votes.reshape(-1), self._pair, gone)
        np.subtract.at(points.reshape(-1), self._pair, gone * self._got)
        fit = solve(votes, points, self._start)
        return bool(fit[self._ahead] < fit[self._behind])


_SOLE: Final = 1e-6
"""Least share of a vote's chance that is not explained by the vote itself."""


def _votes_on(table: PairTable, one: int, other: int) -> int:
    return int((np.isin(table.left, (one, other)) | np.isin(table.right, (one, other))).sum())
