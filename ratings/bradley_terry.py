"""Scores from pairs: how often each system is preferred, by the model of Bradley and Terry.

The log odds that the left picture is preferred are the difference of both systems' scores plus a constant for the left
side. A tie, also one where both are bad, is half a win each; a skip is nothing. All votes are fitted at once, so their
order does not matter.

Source: Bradley and Terry, "Rank Analysis of Incomplete Block Designs" (1952); deviations: the constant for the side
(Davidson and Beaver, 1977), half wins in place of a parameter for ties, and a ridge that keeps scores finite when a
system always wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import numpy as np
from numpy.typing import NDArray

from ratings.clustered import Sandwich, sums_by
from ratings.vote import Choice, PairVote

__all__ = ["RIDGE", "Fit", "PairModel", "PairTable", "fit_pairs", "model_of", "table_of"]

RIDGE: Final = 0.05
"""Twice the factor of the squared scores that are subtracted from the log likelihood: as much as a fifth of a vote."""

_Array = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Scores of systems in log odds, with their uncertainty.

    Attributes:
        systems: Names of the M systems.
        scores: (M,) float64, in log odds against the mean of all systems; their mean is 0.
        covariance: (M, M), clustered by rater; with fewer than two raters that of the model.
        model_covariance: (M, M), from the penalized information alone: never zero, also without votes.
        left_bias: Log odds by which a picture on the left is preferred to the same on the right.
    """

    systems: tuple[str, ...]
    scores: _Array
    covariance: _Array
    model_covariance: _Array
    left_bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTable:
    """Pair votes as arrays of one entry per vote.

    Attributes:
        systems: Names of the M systems.
        raters: Words of the G raters.
        rater: Number of each vote's rater (N,).
        left: Number of the system on the left (N,).
        right: Number of the one on the right (N,).
        points: What the left one got (N,): 1, a half or 0.
    """

    systems: tuple[str, ...]
    raters: tuple[str, ...]
    rater: _Integers
    left: _Integers
    right: _Integers
    points: _Array

    def votes_of_systems(self) -> _Integers:
        """Returns how many votes each system was in (M,)."""
        size = len(self.systems)
        return np.bincount(self.left, minlength=size) + np.bincount(self.right, minlength=size)

    def raters_of_systems(self) -> _Integers:
        """Returns how many raters each system was seen by (M,)."""
        seen = np.zeros((len(self.raters), len(self.systems)), np.bool_)
        seen[self.rater, self.left] = True
        seen[self.rater, self.right] = True
        return seen.sum(axis=0)

    def counts(self) -> tuple[_Array, _Array]:
        """Returns votes and points of the left system, each by left and right system (M, M)."""
        size = len(self.systems)
        cell = self.left * size + self.right
        votes = np.bincount(cell, minlength=size * size).astype(np.float64)
        points = sums_by(cell, self.points, size * size)
        return votes.reshape(size, size), points.reshape(size, size)

    def without(self, out: NDArray[np.bool_]) -> "PairTable":
        """Returns the votes of the raters that are not out (G,); those who are left are numbered anew."""
        stays = ~out[self.rater]
        number = np.cumsum(~out) - 1
        return PairTable(
            systems=self.systems,
            raters=tuple(word for word, is_out in zip(self.raters, out, strict=True) if not is_out),
            rater=number[self.rater[stays]],
            left=self.left[stays],
            right=self.right[stays],
            points=self.points[stays],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairModel:
    """A fitted table: the scores, and what each rater had to do with them.

    Attributes:
        table: The votes.
        coefficients: Scores, of which only differences mean something, then the constant for the left side (M + 1).
        slopes: Slope of each rater's log likelihood at the estimate (G, M + 1).
        information: Their information there (G, M + 1, M + 1).
        dispersion: Variance of a vote over the one that the model says; ties make it small.
    """

    table: PairTable
    coefficients: _Array
    slopes: _Array
    information: _Array
    dispersion: float

    def sandwich(self) -> Sandwich:
        """Returns the uncertainty of the coefficients."""
        return Sandwich.of(self.slopes, self.information, np.full(len(self.coefficients), RIDGE), self.dispersion)

    def without_each(self) -> _Array:
        """Returns the coefficients that the votes of all others give, a row for each rater (G, M + 1).

        They are one Newton step from the estimate, and a second fit where a rater gave a good part of the votes.
        """
        whole = self.information.sum(axis=0) + RIDGE * np.eye(len(self.coefficients))
        steps = np.linalg.solve(whole - self.information, self.slopes[..., None])[..., 0]
        others = self.coefficients - steps
        votes = np.bincount(self.table.rater, minlength=len(self.table.raters))
        for rater in np.flatnonzero(votes > _HEAVY * max(len(self.table.rater), 1)):
            out = np.arange(len(self.table.raters)) == rater
            others[rater] = solve(*self.table.without(out).counts())
        return others


_HEAVY: Final = 0.02
"""Share of all votes above which one step is not trusted to take a rater's votes out."""


def fit_pairs(votes: Sequence[PairVote], systems: Sequence[str]) -> Fit:
    """Returns the scores of systems by all pair votes on them.

    Args:
        votes: The votes; skips and those with a system that is not asked for are left out.
        systems: Names, each once.
    """
    model = model_of(table_of(votes, systems))
    sandwich = model.sandwich()
    size = len(systems)
    centre = np.zeros((size, size + 1))
    centre[:, :size] = np.eye(size) - 1 / max(size, 1)
    return Fit(
        systems=tuple(systems),
        scores=centre @ model.coefficients,
        covariance=centre @ sandwich.covariance @ centre.T,
        model_covariance=centre @ sandwich.model_covariance @ centre.T,
        left_bias=float(model.coefficients[-1]),
    )


def table_of(votes: Sequence[PairVote], systems: Sequence[str]) -> PairTable:
    """Returns the votes that count as arrays: no skips, both systems among those that are asked for."""
    number = {system: index for index, system in enumerate(systems)}
    raters: dict[str, int] = {}
    rows: list[tuple[int, int, int, float]] = []
    for vote in votes:
        points = _points(vote.choice)
        left, right = number.get(vote.left), number.get(vote.right)
        if points is None or left is None or right is None or left == right:
            continue
        rows.append((raters.setdefault(vote.rater, len(raters)), left, right, points))
    rater, left_side, right_side, got = zip(*rows, strict=True) if rows else ((), (), (), ())
    return PairTable(
        systems=tuple(systems),
        raters=tuple(raters),
        rater=np.array(rater, np.int64),
        left=np.array(left_side, np.int64),
        right=np.array(right_side, np.int64),
        points=np.array(got, np.float64),
    )


def model_of(table: PairTable) -> PairModel:
    """Returns the fit of a table."""
    coefficients = solve(*table.counts())
    size, raters = len(table.systems), len(table.raters)
    width = size + 1
    chance = _chance(coefficients)[table.left, table.right]
    rest, weight = table.points - chance, chance * (1 - chance)

    def summed(column: _Integers, values: _Array) -> _Array:
        return sums_by(table.rater * size + column, values, raters * size).reshape(raters, size)

    slopes = np.zeros((raters, width))
    slopes[:, :size] = summed(table.left, rest) - summed(table.right, rest)
    slopes[:, size] = sums_by(table.rater, rest, raters)
    cell = (table.rater * size + table.left) * size + table.right
    met = sums_by(cell, weight, raters * size * size).reshape(raters, size, size)
    return PairModel(
        table=table,
        coefficients=coefficients,
        slopes=slopes,
        information=information_of(met),
        dispersion=float((rest**2).sum() / weight.sum()) if len(rest) else 1.0,
    )


def information_of(weights: _Array) -> _Array:
    """Returns the information on scores and side (..., M + 1, M + 1) of votes of summed weights (..., M, M)."""
    size = weights.shape[-1]
    as_left, as_right = weights.sum(axis=-1), weights.sum(axis=-2)
    information = np.zeros((*weights.shape[:-2], size + 1, size + 1))
    information[..., :size, :size] = -(weights + np.swapaxes(weights, -1, -2))
    diagonal = np.arange(size)
    information[..., diagonal, diagonal] += as_left + as_right
    information[..., :size, size] = information[..., size, :size] = as_left - as_right
    information[..., size, size] = as_left.sum(axis=-1)
    return information


def solve(votes: _Array, points: _Array, start: _Array | None = None) -> _Array:
    """Returns the coefficients (M + 1) of votes and points of the left system by left and right system (M, M).

    Args:
        votes: How many.
        points: What the left one got of them.
        start: Where to begin, such as the coefficients of nearly the same votes.
    """
    size = len(votes)
    coefficients = np.zeros(size + 1) if start is None else start.copy()
    for _ in range(_MOST_STEPS):
        chance = _chance(coefficients)
        rest = points - votes * chance
        slope = np.append(rest.sum(axis=1) - rest.sum(axis=0), rest.sum()) - RIDGE * coefficients
        information = information_of(votes * chance * (1 - chance)) + RIDGE * np.eye(size + 1)
        step = np.linalg.solve(information, slope)
        # A long step may overshoot where chances are near 0 or 1; the likelihood is concave, so a short one is safe.
        step *= min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), _LONGEST_STEP))
        coefficients += step
        if np.abs(step).max() < _CLOSE:
            break
    return coefficients


_MOST_STEPS: Final = 100
_LONGEST_STEP: Final = 2.0
_CLOSE: Final = 1e-9


def _chance(coefficients: _Array) -> _Array:
    """Probability that the left system is preferred, by left and right (M, M)."""
    scores, side = coefficients[:-1], coefficients[-1]
    return 1 / (1 + np.exp(-(scores[:, None] - scores[None, :] + side)))


def _points(choice: Choice) -> float | None:
    match choice:
        case "left":
            return 1.0
        case "right":
            return 0.0
        case "tie" | "both_bad":
            return 0.5
        case "skip":
            return None
        case _:
            assert_never(choice)
