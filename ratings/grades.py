"""Scores from grades: absolute category rating with a hidden reference.

A grade is what the system deserves, plus what the picture and the rater have to do with it. With the system and the
picture as fixed and the rater as a random effect, the fit is fair to a system that met strict raters or easy pictures,
and raters with one grade count too.

Source: ITU-T P.910 (10/2023), section 8.1 (ACR) and hidden reference: DMOS is the score less that of the reference plus
5. Deviations: scores come from the additive model, not from plain means, because in a crowd nobody grades everything;
and raters are left out by how their grades go with those of all others, because the rejection of BT.500 finds nobody
where each picture has few grades. A rater is held against three ways to grade: as others do, regardless of what is
there, and the other way round; the noise is the rater's own. Who gave few grades, or only on what others find equally
good, gives little evidence and stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ratings.clustered import Interval, Sandwich, sums_by
from ratings.mixture import SENSITIVITIES, averaged, chances_of
from ratings.vote import GradeVote

__all__ = ["GradeModel", "GradeTable", "grade_model_of", "grade_table_of", "inconsistent_graders"]

RIDGE: Final = 0.01
"""Penalty on squared effects of systems and pictures, so that what nobody graded is average."""
RATER_RIDGE: Final = 1.0
"""The same on raters: the variance of a grade around its expectation over the variance among raters."""
_GUESS: Final = (8.0, 1.0, 0.5)
"""Raters of each way (as others, regardless, the other way round) that are added before shares are estimated."""
_NOISE: Final = (4.0, 2.0)
"""What is known of a rater's noise beforehand: as many grades, and the sum of their squared errors."""
_PASSES: Final = 12

_Array = NDArray[np.float64]
_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeTable:
    """Grades as arrays of one entry per grade.

    Attributes:
        systems: Names of the M systems.
        pictures: Number of pictures; those of the raters' own count as one, because nobody else sees them.
        raters: Words of the G raters.
        rater: Number of each grade's rater (N,).
        system: Number of the system (N,).
        picture: Number of the picture (N,).
        grade: From 1 to 5 (N,).
    """

    systems: tuple[str, ...]
    pictures: int
    raters: tuple[str, ...]
    rater: _Integers
    system: _Integers
    picture: _Integers
    grade: _Array

    def without(self, out: NDArray[np.bool_]) -> "GradeTable":
        """Returns the grades of the raters that are not out (G,); those who are left are numbered anew."""
        stays = ~out[self.rater]
        number = np.cumsum(~out) - 1
        return GradeTable(
            systems=self.systems,
            pictures=self.pictures,
            raters=tuple(word for word, is_out in zip(self.raters, out, strict=True) if not is_out),
            rater=number[self.rater[stays]],
            system=self.system[stays],
            picture=self.picture[stays],
            grade=self.grade[stays],
        )

    def grades_of_systems(self) -> _Integers:
        """Returns how many grades each system got (M,)."""
        return np.bincount(self.system, minlength=len(self.systems))

    def raters_of_systems(self) -> _Integers:
        """Returns how many raters graded each system (M,)."""
        seen = np.zeros((len(self.raters), len(self.systems)), np.bool_)
        seen[self.rater, self.system] = True
        return seen.sum(axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeModel:
    """A fitted table (P = M + pictures).

    Attributes:
        table: The grades.
        mean: Of all grades.
        effects: Of the systems, then of the pictures, around the mean (P,).
        slopes: Slope of each rater's log likelihood at the estimate, for a variance of 1 (G, P).
        information: Their information (G, P, P).
        variance: Of a grade around what is expected of this rater.
    """

    table: GradeTable
    mean: float
    effects: _Array
    slopes: _Array
    information: _Array
    variance: float

    def opinions(self) -> tuple[Interval, ...]:
        """Returns the mean opinion score of each system over the pictures alike and a mean rater."""
        size, pictures = len(self.table.systems), self.table.pictures
        contrasts = np.hstack([np.eye(size), np.full((size, pictures), 1 / max(pictures, 1))])
        sandwich = Sandwich.of(self.slopes, self.information, np.full(size + pictures, RIDGE), self.variance)
        return sandwich.intervals(contrasts, self.mean + contrasts @ self.effects)

    def without_each(self) -> _Array:
        """Returns the effects that the grades of all others give, a row for each rater (G, P)."""
        whole = self.information.sum(axis=0) + RIDGE * np.eye(len(self.effects))
        return self.effects - np.linalg.solve(whole - self.information, self.slopes[..., None])[..., 0]


def grade_table_of(votes: Sequence[GradeVote], systems: Sequence[str], *, own: bool) -> GradeTable:
    """Returns the grades on these systems as arrays.

    Args:
        votes: The grades.
        systems: Names, each once.
        own: Whether the grades are on the raters' own photos.
    """
    number = {system: index for index, system in enumerate(systems)}
    raters: dict[str, int] = {}
    pictures: dict[tuple[str, str], int] = {}
    rows: list[tuple[int, int, int, int]] = []
    for vote in votes:
        system = number.get(vote.system)
        if system is None:
            continue
        name = ("", "") if own else (vote.picture_set, vote.picture)
        picture = pictures.setdefault(name, len(pictures))
        rows.append((raters.setdefault(vote.rater, len(raters)), system, picture, vote.grade))
    rater, of_system, of_picture, grade = zip(*rows, strict=True) if rows else ((), (), (), ())
    return GradeTable(
        systems=tuple(systems),
        pictures=len(pictures),
        raters=tuple(raters),
        rater=np.array(rater, np.int64),
        system=np.array(of_system, np.int64),
        picture=np.array(of_picture, np.int64),
        grade=np.array(grade, np.float64),
    )


def grade_model_of(table: GradeTable) -> GradeModel:
    """Returns the fit of a table: generalized least squares with a random effect of each rater."""
    size, raters = len(table.systems), len(table.raters)
    width = size + table.pictures
    second = size + table.picture
    met = np.zeros((raters, width, width))
    for one, other in ((table.system, table.system), (second, second), (table.system, second), (second, table.system)):
        np.add.at(met, (table.rater, one, other), 1.0)
    count = np.bincount(table.rater, minlength=raters).astype(np.float64)
    seen = met.diagonal(axis1=1, axis2=2)
    shrink = 1 / (count + RATER_RIDGE)
    information = met - seen[:, :, None] * seen[:, None, :] * shrink[:, None, None]
    mean = float(table.grade.mean()) if len(table.grade) else 3.0
    rest = table.grade - mean
    whole = information.sum(axis=0) + RIDGE * np.eye(width)
    effects = np.linalg.solve(whole, _slopes(table, rest, seen, shrink).sum(axis=0))
    rest = rest - effects[table.system] - effects[second]
    of_rater = sums_by(table.rater, rest, raters) * shrink
    return GradeModel(
        table=table,
        mean=mean,
        effects=effects,
        slopes=_slopes(table, rest, seen, shrink),
        information=information,
        variance=float(((rest - of_rater[table.rater]) ** 2).mean()) if len(rest) else 1.0,
    )


def inconsistent_graders(table: GradeTable) -> NDArray[np.bool_]:
    """Returns whose grades have little to do with those of all others (G,)."""
    out = np.zeros(len(table.raters), np.bool_)
    for _ in range(_PASSES):
        model = grade_model_of(table.without(out))
        others = np.tile(model.effects, (len(table.raters), 1))
        others[~out] = model.without_each()
        expected = others[table.rater, table.system] + others[table.rater, len(table.systems) + table.picture]
        before, out = out, _ways_of(table, expected)[:, 0] < 0.5
        if np.array_equal(before, out):
            break
    return out


def _ways_of(table: GradeTable, expected: _Array) -> _Array:
    """Probability of each of the three ways, by each rater's grades around their own mean (G, 3)."""
    raters = len(table.raters)
    count = np.bincount(table.rater, minlength=raters)

    def centred(values: _Array) -> _Array:
        mean = sums_by(table.rater, values, raters) / np.maximum(count, 1)
        return values - mean[table.rater]

    given, awaited = centred(table.grade), centred(expected)
    both = sums_by(table.rater, given * awaited, raters)
    squares = sums_by(table.rater, given**2, raters)
    spread = sums_by(table.rater, awaited**2, raters)

    def likelihood(factor: float) -> _Array:
        errors = np.maximum(squares - 2 * factor * both + factor**2 * spread, 0.0)
        return -(np.maximum(count - 1, 0) + _NOISE[0]) / 2 * np.log(errors + _NOISE[1])

    as_others = [likelihood(factor) for factor in SENSITIVITIES]
    reversed_ = averaged([likelihood(-factor) for factor in SENSITIVITIES])
    return chances_of(as_others, [likelihood(0.0), reversed_], _GUESS)


def _slopes(table: GradeTable, rest: _Array, seen: _Array, shrink: _Array) -> _Array:
    """Each rater's columns times the inverse covariance of their grades times what is left of them (G, P)."""
    slopes = np.zeros(seen.shape)
    np.add.at(slopes, (table.rater, table.system), rest)
    np.add.at(slopes, (table.rater, len(table.systems) + table.picture), rest)
    total = sums_by(table.rater, rest, len(table.raters))
    return slopes - seen * (total * shrink)[:, None]
