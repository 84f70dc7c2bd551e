"""Which trial comes next: the one that the votes know least about, among those that a rater has not had.

Pairs are drawn by what a vote on them would tell. A vote on systems i and j has the Fisher information p (1 - p) on
the difference of their scores, p being the chance of a win, so the pair with the largest p (1 - p) Var(score
difference) comes first. Draws that are still open count as if they were answered; otherwise everybody who comes at once
would get the same pair. The variance is that of the penalized information alone, never that between raters, so it is
there before the first vote and does not depend on who voted how.

Source: Glickman and Jensen, "Adaptive paired comparison design", J. Stat. Plan. Inference 127 (2005).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ratings.bradley_terry import Fit
from ratings.vote import BICUBIC, ORIGINAL, GradeVote, PairVote, Record

__all__ = ["GOLDEN_EVERY", "Counts", "Knowledge", "Seen", "Trial", "draw_grade", "draw_pair", "known_from", "seen_by"]

GOLDEN_EVERY: Final = 6
"""One in so many pairs of a rater is a golden one."""
_REFERENCE_WEIGHT: Final = 2.0
"""A variant and the full-precision network it was made from are worth more: verdicts are about this difference."""
_ORIGINAL_WEIGHT: Final = 2.0
"""Each system's grade is set against that of the original, so the original needs more."""
_NEAR: Final = 0.8
"""Pairs that would tell at least so much of what the best one would are equally good: chance decides, so that several
replicas, which do not know of each other's draws, draw different ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a rater is asked.

    Attributes:
        picture: Name of the picture.
        systems: (left, right), or the one whose picture is graded.
    """

    picture: str
    systems: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Counts:
    """Trials by what they showed; P pictures and M systems, each in the order of the set of pictures.

    Attributes:
        pairs: (P, M, M) int64, symmetrical: trials of a pair on a picture.
        answers: (M, M) int64, symmetrical: those of them that told something (no skips), on any picture.
        grades: (P, M) int64: grades of a system on a picture.
    """

    pairs: NDArray[np.int64]
    answers: NDArray[np.int64]
    grades: NDArray[np.int64]

    @classmethod
    def none(cls, pictures: int, systems: int) -> "Counts":
        """Returns zeros."""
        return cls(
            pairs=np.zeros((pictures, systems, systems), np.int64),
            answers=np.zeros((systems, systems), np.int64),
            grades=np.zeros((pictures, systems), np.int64),
        )

    def add(self, picture: int, systems: tuple[int, ...], times: int = 1, tells: bool = True) -> None:
        """Counts a trial, by the places of its picture and systems.

        Args:
            picture: Place of the picture.
            systems: Places of the systems.
            times: How often; -1 takes one away.
            tells: Whether it is answered or will be, and not skipped.
        """
        if len(systems) == 1:
            self.grades[picture, systems[0]] += times
            return
        for i, j in (systems, systems[::-1]):
            self.pairs[picture, i, j] += times
            self.answers[i, j] += times if tells else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the votes told so far, as far as drawing needs it.

    Attributes:
        version: Of the set of pictures.
        pictures: Names of its pictures, P.
        systems: Names of its systems, M.
        scores: (M,) float64, of the last fit.
        covariance: (M, M) float64, of the scores, from the information of the votes and the penalty.
        weights: (M, M) float64, symmetrical: what a pair is worth; 0 on the diagonal and for the golden pair.
        counts: Trials on these pictures.
    """

    version: str
    pictures: tuple[str, ...]
    systems: tuple[str, ...]
    scores: NDArray[np.float64]
    covariance: NDArray[np.float64]
    weights: NDArray[np.float64]
    counts: Counts

    def with_more(self, counts: Counts) -> "Knowledge":
        """Returns what is known once more trials are answered, without a new fit: the scores stay.

        With the Laplacian L of the added information, the covariance V becomes V (I + L V)^-1, which needs no inverse
        of V: this has none, because the scores' mean is fixed.
        """
        information = counts.answers * self._variance_of_answers()
        laplacian = np.diag(information.sum(axis=1)) - information
        covariance = np.linalg.solve(np.eye(len(self.systems)) + self.covariance @ laplacian, self.covariance)
        return replace(
            self,
            covariance=covariance,
            counts=Counts(
                pairs=self.counts.pairs + counts.pairs,
                answers=self.counts.answers + counts.answers,
                grades=self.counts.grades + counts.grades,
            ),
        )

    def worth(self) -> NDArray[np.float64]:
        """Returns what one more vote on each pair would tell, (M, M), 0 where there is no pair to ask about."""
        variances = np.diag(self.covariance)
        of_differences = variances[:, None] + variances[None, :] - 2.0 * self.covariance
        return self.weights * self._variance_of_answers() * np.maximum(of_differences, 1e-12)

    def _variance_of_answers(self) -> NDArray[np.float64]:
        differences = self.scores[:, None] - self.scores[None, :]
        return 0.25 / np.cosh(0.5 * np.clip(differences, -30.0, 30.0)) ** 2  # p (1 - p) of a logistic p


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a rater has had.

    Attributes:
        pairs: (P, M, M) bool, symmetrical.
        grades: (P, M) bool.
        pair_trials: Number of all pairs, also of other sets of pictures.
    """

    pairs: NDArray[np.bool_]
    grades: NDArray[np.bool_]
    pair_trials: int


def known_from(
    records: Iterable[Record], fit: Fit, version: str, pictures: tuple[str, ...], references: Mapping[str, str]
) -> Knowledge:
    """Returns what is known from all votes.

    Args:
        records: All that counts.
        fit: Made from the pairs among them; its systems are those that can be drawn.
        version: Of the set of pictures; votes on another one count in the fit alone.
        pictures: Names of the pictures.
        references: From a variant to the full-precision network that it was made from.
    """
    systems = fit.systems
    places = {name: place for place, name in enumerate(systems)}
    picture_places = {name: place for place, name in enumerate(pictures)}
    counts = Counts.none(len(pictures), len(systems))
    for record in records:
        match record:
            case PairVote() | GradeVote():
                names = (record.left, record.right) if isinstance(record, PairVote) else (record.system,)
                shown = tuple(places[name] for name in names if name in places)
                picture = picture_places.get(record.picture)
                if record.picture_set == version and picture is not None and len(shown) == len(names):
                    counts.add(picture, shown, tells=not (isinstance(record, PairVote) and record.choice == "skip"))
            case _:
                pass
    return Knowledge(
        version=version,
        pictures=pictures,
        systems=systems,
        scores=fit.scores,
        covariance=fit.model_covariance,
        weights=_weights_of(systems, references),
        counts=counts,
    )


def seen_by(slots: Iterable[str], knowledge: Knowledge) -> Seen:
    """Returns what a rater has had, from the slots (:func:`ratings.vote.slot_of`) that the rater's votes took."""
    places = {name: place for place, name in enumerate(knowledge.systems)}
    picture_places = {name: place for place, name in enumerate(knowledge.pictures)}
    none = Counts.none(len(knowledge.pictures), len(knowledge.systems))
    pairs, grades, pair_trials = none.pairs > 0, none.grades > 0, 0
    for slot in slots:
        _, version, picture, names = slot.split(":")
        systems = names.split("|")
        pair_trials += len(systems) == 2
        shown = [places[name] for name in systems if name in places]
        if version != knowledge.version or picture not in picture_places or len(shown) != len(systems):
            continue
        if len(shown) == 1:
            grades[picture_places[picture], shown[0]] = True
        else:
            pairs[picture_places[picture], shown, shown[::-1]] = True
    return Seen(pairs=pairs, grades=grades, pair_trials=pair_trials)


def draw_pair(knowledge: Knowledge, seen: Seen, rng: Random, golden: bool = False) -> Trial | None:
    """Returns a pair that a rater has not had, or None where there is none left.

    Args:
        knowledge: What the votes told.
        seen: What the rater has had.
        rng: Chance, for the sides and between what is equally good.
        golden: Whether the original and the bicubic picture are asked for. Where there is none of the sort that is
            asked for, one of the other sort is returned.
    """
    # Both are looked for each time, so that the time that a draw takes does not tell a golden one.
    kinds = [_ordinary_pair(knowledge, seen, rng), _golden_pair(knowledge, seen)]
    pair = next((pair for pair in (kinds[::-1] if golden else kinds) if pair is not None), None)
    if pair is None:
        return None
    free = np.flatnonzero(~seen.pairs[:, pair[0], pair[1]])
    picture = _picture_among(free, knowledge.counts.pairs[:, pair[0], pair[1]], seen, rng)
    left, right = pair if rng.random() < 0.5 else pair[::-1]
    return Trial(picture=knowledge.pictures[picture], systems=(knowledge.systems[left], knowledge.systems[right]))


def draw_grade(knowledge: Knowledge, seen: Seen, rng: Random) -> Trial | None:
    """Returns a picture to grade that a rater has not graded, or None where there is none left.

    The system with the fewest grades comes first; the original counts as having fewer.
    """
    weights = np.array([_ORIGINAL_WEIGHT if system == ORIGINAL else 1.0 for system in knowledge.systems])
    grades = np.where(seen.grades.all(axis=0), np.inf, knowledge.counts.grades.sum(axis=0) / weights)
    if not np.isfinite(grades).any():
        return None
    system = int(rng.choice(np.flatnonzero(grades == grades.min())))
    free = np.flatnonzero(~seen.grades[:, system])
    picture = _picture_among(free, knowledge.counts.grades[:, system], seen, rng)
    return Trial(picture=knowledge.pictures[picture], systems=(knowledge.systems[system],))


def _ordinary_pair(knowledge: Knowledge, seen: Seen, rng: Random) -> tuple[int, int] | None:
    worth = np.triu(np.where(seen.pairs.all(axis=0), 0.0, knowledge.worth()))
    if not worth.any():
        return None
    near = np.argwhere(worth >= _NEAR * worth.max())
    i, j = near[rng.randrange(len(near))]
    return int(i), int(j)


def _golden_pair(knowledge: Knowledge, seen: Seen) -> tuple[int, int] | None:
    if not {ORIGINAL, BICUBIC} <= set(knowledge.systems):
        return None
    i, j = knowledge.systems.index(ORIGINAL), knowledge.systems.index(BICUBIC)
    return None if seen.pairs[:, i, j].all() else (i, j)


def _picture_among(free: NDArray[np.intp], counts: NDArray[np.int64], seen: Seen, rng: Random) -> int:
    """Returns the free picture with the fewest counts; of equal ones the one that the rater has seen least often."""
    fewest = free[counts[free] == counts[free].min()]
    looks = seen.pairs.sum(axis=(1, 2)) // 2 + seen.grades.sum(axis=1)
    fresh = fewest[looks[fewest] == looks[fewest].min()]
    return int(rng.choice(fresh))


def _weights_of(systems: tuple[str, ...], references: Mapping[str, str]) -> NDArray[np.float64]:
    weights = 1.0 - np.eye(len(systems))
    places = frozenset(systems)
    for variant, reference in references.items():
        if variant in places and reference in places and variant != reference:
            i, j = systems.index(variant), systems.index(reference)
            weights[i, j] = weights[j, i] = _REFERENCE_WEIGHT
    if ORIGINAL in places and BICUBIC in places:
        i, j = systems.index(ORIGINAL), systems.index(BICUBIC)
        weights[i, j] = weights[j, i] = 0.0
    return weights
