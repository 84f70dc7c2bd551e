"""Simulated raters who grade pictures, and what the board makes of it: ``python -m tests.ratings.graders``.

A grade is 3 plus the system's and the picture's quality, what is special in this picture for this system, the rater's
leniency and noise, rounded and kept from 1 to 5. An idler grades by chance, always the same, or the other way round (a
third each). The truth is the mean grade of infinitely many honest raters on the same pictures.
"""

import argparse
import sys
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, norm

from ratings.board import GradeScore
from ratings.rank import board_of
from ratings.vote import BICUBIC, ORIGINAL, GradeVote
from tests.ratings.crowd import AT, VIEW, word


@dataclass(frozen=True, kw_only=True)
class Graders:
    """Who grades what; spreads are standard deviations in grades."""

    qualities: tuple[float, ...] = (1.2, -1.2, 0.8, 0.5, 0.2, -0.1, -0.4, -0.8)
    grades: tuple[int, ...] = (20,) * 60
    idle: float = 0.0
    picture: float = 0.4
    special: float = 0.3
    leniency: float = 0.5
    noise: float = 0.7
    pictures: int = 20

    @property
    def systems(self) -> tuple[str, ...]:
        return (ORIGINAL, BICUBIC, *(f"v{number}" for number in range(len(self.qualities) - 2)))


def grade_vote(
    number: int, rater: int, system: str, grade: int, picture: str = "p0", picture_set: str = "set"
) -> GradeVote:
    return GradeVote(
        id=f"{number:032x}",
        at=AT,
        rater=word(rater),
        picture_set=picture_set,
        picture=picture,
        system=system,
        grade=grade,
        view=VIEW,
    )


def graded(graders: Graders, seed: int) -> tuple[tuple[GradeVote, ...], NDArray[np.float64]]:
    """Returns grades, and the true mean grade of each system."""
    rng = np.random.default_rng(seed)
    size, raters = len(graders.qualities), len(graders.grades)
    seen = (
        3
        + np.array(graders.qualities)
        + rng.normal(0, graders.picture, (graders.pictures, 1))
        + rng.normal(0, graders.special, (graders.pictures, size))
    )
    rater = np.repeat(np.arange(raters), graders.grades)
    system = rng.integers(0, size, len(rater))
    picture = rng.integers(0, graders.pictures, len(rater))
    felt = seen[picture, system] + rng.normal(0, graders.leniency, raters)[rater]
    grade = np.clip(np.round(felt + rng.normal(0, graders.noise, len(rater))), 1, 5).astype(int)
    idle = np.full(raters, -1)
    idle[: round(graders.idle * raters)] = np.arange(round(graders.idle * raters)) % 3
    way, constant = idle[rater], rng.integers(1, 6, raters)[rater]
    grade = np.select([way == 0, way == 1, way == 2], [rng.integers(1, 6, len(rater)), constant, 6 - grade], grade)
    spread = np.hypot(graders.leniency, graders.noise)
    above = [norm.sf(step - 0.5, seen, spread) for step in (2, 3, 4, 5)]
    votes = tuple(
        grade_vote(n, int(r), graders.systems[s], int(g), f"p{p}")
        for n, (r, s, p, g) in enumerate(zip(rater, system, picture, grade, strict=True))
    )
    return votes, (1 + np.sum(above, axis=0)).mean(axis=0)


def scores_of(graders: Graders, votes: tuple[GradeVote, ...]) -> list[GradeScore]:
    """Returns the scores on the set of pictures, in the order of the systems."""
    by_name = {score.system: score for score in board_of(votes, graders.systems, {}).grades if not score.own}
    return [by_name[name] for name in graders.systems]


CROWDS = {
    "60 raters of 20 grades": Graders(),
    "60 raters of 20, 20 % idle": Graders(idle=0.2),
    "60 raters of 20, 40 % idle": Graders(idle=0.4),
    "150 raters of 20": Graders(grades=(20,) * 150),
    "600 raters of 1 or 2": Graders(grades=(1, 2) * 300),
    "10 raters of 100": Graders(grades=(100,) * 10),
    "three raters give nearly half": Graders(grades=(160,) * 3 + (10,) * 60),
    "little to see": Graders(qualities=(0.3, -0.3, 0.1, 0.1, 0.0, 0.0, -0.1, -0.1)),
}


def figures(graders: Graders, runs: int) -> tuple[float, float, float, float]:
    """Returns mean tau, coverage and half-width of 95 % intervals, and the share of raters that are left out."""
    rows: list[tuple[float, float, float, float]] = []
    for seed in range(runs):
        votes, truth = graded(graders, seed)
        scores = scores_of(graders, votes)
        out = board_of(votes, graders.systems, {}).screening.raters_inconsistent / len(graders.grades)
        rows.append(
            (
                float(kendalltau([score.mos for score in scores], graders.qualities)[0]),
                float(np.mean([score.low <= true <= score.high for score, true in zip(scores, truth, strict=True)])),
                float(np.mean([(score.high - score.low) / 2 for score in scores])),
                out,
            )
        )
    tau, covered, width, left_out = np.mean(rows, axis=0)
    return float(tau), float(covered), float(width), float(left_out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Simulated raters who grade pictures.")
    parser.add_argument("--runs", type=int, default=100, help="crowds of each kind")
    for name, crowd in CROWDS.items():
        tau, covered, width, left_out = figures(replace(crowd), parser.parse_args().runs)
        sys.stdout.write(
            f"{name}: tau {tau:.3f}  coverage {covered:.3f}  half-width {width:.3f}  raters out {left_out:.3f}\n"
        )
        sys.stdout.flush()
