"""Simulated crowds, and what the board makes of them: ``python -m tests.ratings.crowd`` prints the figures.

A rater sees the difference of two pictures as ``sensitivity * (quality + what is special in this picture) + taste``,
plus a constant for the left side, plus logistic noise; below a threshold it is a tie. Sensitivities are log-normal,
what is special in a picture and tastes for systems are normal. An idler answers by chance, always left, or the other
way round (a third each). Golden trials are every sixth trial in the mean where the anchors are among the systems.

The truth that intervals are held against is not the quality itself, which no fit of a mixed crowd recovers, but what
the same fit gives for infinitely many honest raters on the same pictures (Gauss-Hermite quadrature over sensitivities
and tastes). So an interval says what other raters would say of these pictures; it does not speak for other pictures.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from time import process_time

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import kendalltau

from ratings.board import Board, Equivalence
from ratings.bradley_terry import solve, table_of
from ratings.rank import MARGIN, board_of
from ratings.screen import screened
from ratings.vote import BICUBIC, ORIGINAL, Choice, PairVote, View

VIEW = View(decision_ms=3000, viewport=(1280, 720), pixel_ratio=1, zoom=2)
AT = datetime(2026, 11, 3, tzinfo=UTC)
CHOICES: tuple[Choice, ...] = ("right", "tie", "left")
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
IDLERS = ("chance", "left", "reversed")
STUFFERS = ((60, 1), (400, 1), (120, 12), (400, 40))
"""Votes of one person, and for how many raters the person passes."""


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """What there is to see and who looks.

    Attributes:
        qualities: Of each system; with ``golden`` the first is the original and the second the bicubic one.
        votes: Of each rater.
        idle: Share of raters who are idlers.
        tie: Differences below this are ties.
        sensitivity: Spread of the logarithm of the raters' factors.
        special: Spread of what is special in a picture for a system.
        taste: Spread of raters' tastes for systems.
        side: Log odds for the left side.
        pictures: How many.
        golden: Whether the first two are anchors and meet every sixth time.
        kin: Systems of the same number look alike in each picture and please the same raters; each its own if empty.
    """

    qualities: tuple[float, ...]
    votes: tuple[int, ...] = (20,) * 100
    idle: float = 0.0
    tie: float = 0.0
    sensitivity: float = 0.3
    special: float = 0.4
    taste: float = 0.2
    side: float = 0.1
    pictures: int = 20
    golden: bool = True
    kin: tuple[int, ...] = ()

    @property
    def systems(self) -> tuple[str, ...]:
        anchors = (ORIGINAL, BICUBIC) if self.golden else ()
        return (*anchors, *(f"v{number}" for number in range(len(self.qualities) - len(anchors))))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Votes of a crowd, and the truth behind them.

    Attributes:
        crowd: Who voted.
        votes: In the order in which raters gave them.
        seen: Quality of each system in each picture (pictures, M).
        idlers: Words of those who idle.
    """

    crowd: Crowd
    votes: tuple[PairVote, ...]
    seen: NDArray[np.float64]
    idlers: frozenset[str]

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """Scores of the systems that infinitely many honest raters give (M,), mean 0."""
        return truth_of(self.crowd, self.seen)


def word(number: int) -> str:
    return f"{number:016x}"


def pair_vote(number: int, rater: int, left: str, right: str, choice: Choice, picture: int = 0) -> PairVote:
    """A vote without the checks of its record, which would take most of the time."""
    return PairVote.model_construct(
        kind="pair",
        id=f"{number:032x}",
        at=AT,
        rater=word(rater),
        picture_set="set",
        picture=f"p{picture}",
        left=left,
        right=right,
        choice=choice,
        view=VIEW,
    )


def sample(crowd: Crowd, seed: int) -> Sample:
    """Returns votes of a crowd; with the same seed the same."""
    rng = np.random.default_rng(seed)
    size, raters = len(crowd.qualities), len(crowd.votes)
    kin = list(crowd.kin or range(size))
    seen = np.array(crowd.qualities) + rng.normal(0, 1, (crowd.pictures, size))[:, kin] * crowd.special
    rater = np.repeat(np.arange(raters), crowd.votes)
    left = rng.integers(0, size, len(rater))
    right = (left + rng.integers(1, size, len(rater))) % size
    if crowd.golden:
        golden, swapped = rng.random(len(rater)) < 1 / 6, rng.integers(0, 2, len(rater))
        left, right = np.where(golden, swapped, left), np.where(golden, 1 - swapped, right)
    picture = rng.integers(0, crowd.pictures, len(rater))
    factor = np.exp(rng.normal(0, crowd.sensitivity, raters))
    taste = rng.normal(0, 1, (raters, size))[:, kin] * crowd.taste
    odds = (
        factor[rater] * (seen[picture, left] - seen[picture, right]) + taste[rater, left] - taste[rater, right]
    ) + crowd.side
    felt = odds + rng.logistic(size=len(rater))
    answer = np.where(np.abs(felt) < crowd.tie, 1, np.where(felt > 0, 2, 0))
    idle = np.full(raters, -1)
    number = round(crowd.idle * raters)
    idle[rng.permutation(raters)[:number]] = np.arange(number) % len(IDLERS)
    way = idle[rater]
    answer = np.select([way == 0, way == 1, way == 2], [2 * rng.integers(0, 2, len(rater)), 2, 2 - answer], answer)
    names = crowd.systems
    votes = tuple(
        pair_vote(n, r, names[a], names[b], CHOICES[c], p)
        for n, (r, a, b, c, p) in enumerate(zip(rater, left, right, answer, picture, strict=True))
    )
    idlers = frozenset(word(int(n)) for n in np.flatnonzero(idle >= 0))
    return Sample(crowd=crowd, votes=votes, seen=seen, idlers=idlers)


def truth_of(crowd: Crowd, seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the scores that infinitely many honest raters give to what is seen in each picture (pictures, M)."""
    size = len(crowd.qualities)
    gap = seen[:, :, None] - seen[:, None, :]
    kin = np.array(crowd.kin or range(size))
    differs = np.sqrt(2) * crowd.taste * (kin[:, None] != kin)
    expected = np.zeros((size, size))
    for factor, weight in zip(np.exp(crowd.sensitivity * NODES), WEIGHTS, strict=True):
        for taste, share in zip(NODES, WEIGHTS, strict=True):
            odds = factor * gap + taste * differs + crowd.side
            points = (expit(odds - crowd.tie) + expit(odds + crowd.tie)) / 2
            expected += weight * share * points.mean(axis=0)
    often = np.where(np.eye(size, dtype=bool), 0.0, 1 / (size * (size - 1)))
    if crowd.golden:
        often *= 5 / 6
        often[0, 1] += 1 / 12
        often[1, 0] += 1 / 12
    scores = solve(often * 1e7, often * 1e7 * expected)[:-1]
    return scores - scores.mean()


def stuffing(
    crowd: Crowd, number: int, target: str, seed: int, *, careful: bool, raters: int = 1
) -> tuple[PairVote, ...]:
    """Returns so many votes for a system, of one person.

    Args:
        crowd: Whose systems they are on.
        number: How many.
        target: The system that wins them.
        seed: Of the trials.
        careful: Whether the rater answers as others where the target is not, golden trials too; otherwise all their
            trials are on the target, on either side.
        raters: So many raters the person passes for, in turn.
    """
    rng = np.random.default_rng(seed)
    names, size = crowd.systems, len(crowd.systems)
    votes: list[PairVote] = []
    for n in range(number):
        left, right = rng.choice(size, 2, replace=False)
        if careful and crowd.golden and rng.random() < 1 / 6:
            left, right = rng.permutation(2)
        elif not careful and names.index(target) not in (left, right):
            left = names.index(target)
            left, right = rng.permutation((left, right))
        felt = crowd.qualities[left] - crowd.qualities[right] + rng.logistic()
        if target in (names[left], names[right]):
            felt = 1.0 if names[left] == target else -1.0
        choice: Choice = "left" if felt > 0 else "right"
        picture = int(rng.integers(0, crowd.pictures))
        votes.append(pair_vote(10**9 + n, 10**9 + n % raters, names[left], names[right], choice, picture))
    return tuple(votes)


def moves(before: Board, after: Board) -> int:
    """Returns by how many places the system moves that moves most, by rank or by order of scores."""
    ranks = [{score.system: score.rank for score in board.pairs} for board in (before, after)]
    orders = [
        {score.system: place for place, score in enumerate(sorted(board.pairs, key=lambda score: -score.score))}
        for board in (before, after)
    ]
    return max(abs(one[name] - other[name]) for one, other in (ranks, orders) for name in one)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What many boards of a crowd are like (S boards).

    Attributes:
        tau: Kendall's tau of the scores with the qualities (S,).
        covered: Share of systems whose 95 % interval holds the truth (S,).
        width: Mean half-width of the intervals (S,).
        honest_out: Share of honest raters that were left out (S,).
        idle_out: Share of idlers that were left out, 1 where there are none (S,).
    """

    tau: NDArray[np.float64]
    covered: NDArray[np.float64]
    width: NDArray[np.float64]
    honest_out: NDArray[np.float64]
    idle_out: NDArray[np.float64]

    def line(self) -> str:
        return (
            f"tau {self.tau.mean():.3f} (worst {self.tau.min():.2f})  coverage {self.covered.mean():.3f} "
            f"(standard error {self.covered.std() / len(self.covered) ** 0.5:.3f})  half-width "
            f"{self.width.mean():.3f}  honest out {self.honest_out.mean():.3f}  idlers out {self.idle_out.mean():.2f}"
        )


def outcome(draw: Callable[[int], Crowd], seeds: range) -> Outcome:
    """Returns what the boards of a crowd for each seed are like."""
    rows: list[tuple[float, ...]] = []
    for seed in seeds:
        crowd = draw(seed)
        drawn = sample(crowd, seed)
        board = board_of(drawn.votes, crowd.systems, {})
        by_name = {score.system: score for score in board.pairs}
        scores = [by_name[name] for name in crowd.systems]
        is_shown = np.array([score.standing != "hidden" for score in scores])
        truth = drawn.truth - (drawn.truth[is_shown].mean() if is_shown.any() else 0)
        looked_at = screened(table_of(drawn.votes, crowd.systems))
        is_idler = np.array([rater in drawn.idlers for rater in looked_at.raters], bool)
        rows.append(
            (
                float(kendalltau([s.score for s in scores], crowd.qualities).statistic),
                float(np.mean([s.low <= true <= s.high for s, true in zip(scores, truth, strict=True)])),
                float(np.mean([(s.high - s.low) / 2 for s in scores])),
                float(looked_at.out[~is_idler].mean()),
                float(looked_at.out[is_idler].mean()) if is_idler.any() else 1.0,
            )
        )
    tau, covered, width, honest_out, idle_out = (np.array(column) for column in zip(*rows, strict=True))
    return Outcome(tau=tau, covered=covered, width=width, honest_out=honest_out, idle_out=idle_out)


STEPS = (1.4, -1.4, 1.0, 0.6, 0.2, -0.2, -0.6, -1.0)
"""Eight systems in even steps: neighbours beat each other in 60 % of the trials."""
EVEN = Crowd(qualities=STEPS)
FEW_LOUD = (300,) * 3 + (20,) * 50
"""Votes of raters of whom three give nearly half."""
CROWDS = {
    "100 raters of 20 votes": EVEN,
    "no differences of raters and pictures": replace(EVEN, sensitivity=0.0, special=0.0, taste=0.0),
    "a quarter of ties": replace(EVEN, tie=1.0),
    "80 % of ties": replace(EVEN, tie=3.0),
    "no anchors": replace(EVEN, golden=False),
    "strong tastes": replace(EVEN, taste=0.4),
    "600 votes of 30 raters": replace(EVEN, votes=(20,) * 30),
    "3000 votes of 300 raters": replace(EVEN, votes=(10,) * 300),
    "20 raters of 100 votes": replace(EVEN, votes=(100,) * 20),
    "8 raters of 250 votes": replace(EVEN, votes=(250,) * 8),
    "5 raters of 120 votes": replace(EVEN, votes=(120,) * 5),
    "three raters give nearly half": replace(EVEN, votes=FEW_LOUD),
    "the same, strong tastes": replace(EVEN, votes=FEW_LOUD, taste=0.4),
    "20 % idle": replace(EVEN, idle=0.2),
    "40 % idle": replace(EVEN, idle=0.4),
}


def uneven(seed: int, *, idle: float = 0.4) -> Crowd:
    """A crowd that looks at anchors far apart and six variants at random places, some of them hardly apart."""
    places = np.random.default_rng(seed + 10**6).normal(0, 0.7, 6)
    return Crowd(qualities=(1.75, -1.75, *places), idle=idle)


FULL = 2, 13
"""The two full-precision networks of the zoo below."""
ZOO = Crowd(
    qualities=(2.6, -2.6, 0.8, 0.8, 0.78, 0.5, 0.75, 0.74, 0.6, 0.4, 0.1, -0.5, 0.6, 0.3, 0.3, 0.28, 0.0),
    kin=(0, 1, *(2,) * 11, *(3,) * 4),
    votes=(40,) * 125,
)
"""Two anchors and fifteen variants of two networks: most look nearly the same."""
REFERENCES = {ZOO.systems[n]: ZOO.systems[FULL[n > FULL[1]]] for n in range(3, 17) if n != FULL[1]}


def twins(difference: float, tie: float, raters: int) -> Crowd:
    """The zoo, in which one variant differs by this from its network, of which it is the first."""
    qualities = list(ZOO.qualities)
    qualities[3] = qualities[2] + difference
    return replace(ZOO, qualities=tuple(qualities), tie=tie, votes=(40,) * raters)


def difference_at(truth: float, tie: float) -> float:
    """Returns the difference of qualities at which the true scores of :func:`twins` differ by ``truth``."""

    def gap(difference: float) -> float:
        crowd = replace(twins(difference, tie, 1), special=0.0)
        scores = truth_of(crowd, np.array([crowd.qualities]))
        return float(scores[3] - scores[2] - truth)

    return float(brentq(gap, -4 * abs(truth) * (1 + tie) - 1e-6, 4 * abs(truth) * (1 + tie) + 1e-6, xtol=1e-4))


def verdicts(crowd: Crowd, seeds: range, *, at_margin: bool) -> Iterator[tuple[Equivalence, float]]:
    """Yields what boards of a zoo say of its first quantized variant, and the true difference.

    With ``at_margin`` the margin is the true difference itself, where "equivalent" is just wrong.
    """
    variant, network = crowd.systems[3], crowd.systems[2]
    for seed in seeds:
        drawn = sample(crowd, seed)
        true = float(drawn.truth[3] - drawn.truth[2])
        margin = abs(true) if at_margin else MARGIN
        (said,) = board_of(drawn.votes, crowd.systems, {variant: network}, margin).equivalences
        yield said, true


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def print_spam(seeds: range) -> None:
    for idle in (0.0, 0.2, 0.4):
        tell(f"even steps, {idle:.0%} idle:", outcome(lambda _, idle=idle: replace(EVEN, idle=idle), seeds).line())
        tell(f"uneven, {idle:.0%} idle:", outcome(partial(uneven, idle=idle), seeds).line())


def print_coverage(seeds: range) -> None:
    for name, crowd in CROWDS.items():
        tell(f"{name}:", outcome(lambda _, crowd=crowd: crowd, seeds).line())


def print_stuffing(seeds: range) -> None:
    for idle in (0.0, 0.4):
        crowd = replace(EVEN, idle=idle)
        for careful in (False, True):
            for number, raters in STUFFERS:
                most: list[int] = []
                for seed in seeds:
                    votes = sample(crowd, seed).votes
                    extra = stuffing(crowd, number, crowd.systems[-1], seed, careful=careful, raters=raters)
                    boards = [board_of(cast, crowd.systems, {}) for cast in (votes, (*votes, *extra))]
                    most.append(moves(*boards))
                tell(
                    f"{idle:.0%} idle, {number} votes for the worst as {raters} raters, careful {careful}:",
                    f"moves {sorted(Counter(most).items())}",
                )


def print_equivalence(seeds: range) -> None:
    for tie, raters, truth in (
        *((0.0, raters, 0.0) for raters in (125, 250, 500)),
        *((2.2, raters, 0.0) for raters in (50, 125)),
        *((3.5, raters, 0.0) for raters in (25, 50)),
        (0.0, 500, 0.2),
        (2.2, 125, 0.2),
        (3.5, 50, 0.2),
    ):
        crowd = twins(difference_at(-truth, tie), tie, raters)
        said = list(verdicts(crowd, seeds, at_margin=truth > 0))
        counts = Counter(one.verdict for one, _ in said)
        held = np.mean([one.low <= true <= one.high for one, true in said])
        needed = [one.votes_needed for one, _ in said if one.votes_needed is not None]
        tell(
            f"ties below {tie}, {40 * raters} votes, true difference",
            f"{-truth} (at the margin):" if truth else "0:",
            ", ".join(f"{count / len(seeds):.3f} {name}" for name, count in counts.items()),
            f"; 90 % interval holds {held:.3f}; votes needed, where open: {np.median(needed) if needed else 0:.0f}",
        )


def print_zoo(seeds: range) -> None:
    for tie in (0.0, 2.2, 3.5):
        for raters in (50, 125, 250, 500):
            crowd = replace(ZOO, tie=tie, votes=(40,) * raters)
            ties = np.mean([vote.choice == "tie" for vote in sample(crowd, 0).votes])
            tell(
                f"17 systems, {ties:.0%} ties, {40 * raters} votes:",
                outcome(lambda _, c=crowd: c, seeds).line(),
            )


def print_speed(seeds: range) -> None:
    for votes in ((40,) * 500, (10,) * 2000):
        crowd = replace(ZOO, votes=votes, tie=2.2)
        cast = sample(crowd, 0).votes
        times: list[float] = []
        for _ in range(min(len(seeds), 5)):
            start = process_time()
            board_of(cast, crowd.systems, REFERENCES)
            times.append(process_time() - start)
        tell(f"board of {len(cast)} votes of {len(votes)} raters: {min(times):.2f} s of one core")


PARTS = {
    "spam": print_spam,
    "coverage": print_coverage,
    "stuffing": print_stuffing,
    "equivalence": print_equivalence,
    "zoo": print_zoo,
    "speed": print_speed,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Simulated crowds, and what the board makes of them.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them if none is named")
    parser.add_argument("--runs", type=int, default=100, help="crowds of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the first crowd")
    asked = parser.parse_args()
    for part in asked.parts or PARTS:
        tell(f"== {part}, {asked.runs} crowds of each kind, from seed {asked.seed}")
        PARTS[part](range(asked.seed, asked.seed + asked.runs))
