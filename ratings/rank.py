"""The board: what all votes say of all systems. A pure function of the votes; their order does not matter.

Systems are separable when their 95 % intervals do not overlap. Ranks and groups both come from this: the rank is 1 plus
the number of systems whose lower end is above one's upper end, and two systems share a letter exactly when their
intervals overlap. So systems that share a rank always share a letter, and what the table says is what the intervals of
the plot show. It is stricter than a test of each difference at 5 %, which is wanted where there are many pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ratings.board import (
    HIDDEN_BELOW,
    HIDDEN_BELOW_RATERS,
    PRELIMINARY_BELOW,
    Board,
    Equivalence,
    GradeScore,
    PairScore,
    Screening,
    Standing,
)
from ratings.bradley_terry import PairModel, table_of
from ratings.clustered import Interval, Sandwich
from ratings.equivalence import equivalence_of, fewest_to_turn
from ratings.grades import GradeTable, grade_model_of, grade_table_of, inconsistent_graders
from ratings.screen import screened
from ratings.vote import ANCHORS, ORIGINAL, OWN, Forget, GradeVote, PairVote, Record

__all__ = ["CONFIDENCE", "MARGIN", "board_of", "groups_of", "ranks_of"]

CONFIDENCE: Final = 0.95
MARGIN: Final = 0.2
"""What counts as no difference, in log odds: a win rate of 55 %, ties counted half."""
_CHALLENGERS: Final = 3
"""So many variants behind the first are tried, those of the least distance in errors."""

_Array = NDArray[np.float64]


def board_of(
    records: Sequence[Record], systems: Sequence[str], references: Mapping[str, str], margin: float = MARGIN
) -> Board:
    """Returns what all votes say.

    Args:
        records: All of them, each id once; votes under words that asked to be forgotten are left out.
        systems: Which may stand on the board, each once; votes on others are ignored.
        references: From a variant to the full-precision network that it was made from.
        margin: Difference in log odds that counts as none, above 0.
    """
    votes = _votes_on(records, tuple(systems))
    looked_at = screened(table_of(votes.pairs, systems))
    out = _words(looked_at.raters, looked_at.out)
    on_set, on_own = (
        grade_table_of([v for v in grades if v.rater not in out], systems, own=own)
        for grades, own in ((votes.on_set, False), (votes.on_own, True))
    )
    out_of_step = inconsistent_graders(on_set)
    out_of_grades = _words(on_set.raters, out_of_step)
    on_set = on_set.without(out_of_step)
    on_own = on_own.without(np.array([word in out_of_grades for word in on_own.raters], np.bool_))
    sandwich = looked_at.model.sandwich()
    shown = _shown(looked_at.model)
    scores = _pair_scores(looked_at.model, sandwich, shown)
    counted = len(looked_at.model.table.points) + len(on_set.grade) + len(on_own.grade)
    every: tuple[PairVote | GradeVote, ...] = (*votes.pairs, *votes.on_set, *votes.on_own)
    skips = sum(vote.choice == "skip" for vote in votes.pairs)
    return Board(
        pairs=scores,
        grades=(*_grade_scores(on_set, own=False), *_grade_scores(on_own, own=True)),
        equivalences=_equivalences(looked_at.model, sandwich, references, shown, margin),
        screening=Screening(
            raters=len({vote.rater for vote in every}),
            votes=len(every),
            skips=skips,
            raters_failed_golden=int(looked_at.failed_golden.sum()),
            raters_one_sided=int(looked_at.one_sided.sum()),
            raters_inconsistent=int(looked_at.inconsistent.sum()) + len(out_of_grades),
            votes_left_out=len(every) - skips - counted,
            golden=looked_at.golden,
            golden_right=looked_at.golden_right,
            left_bias=float(looked_at.model.coefficients[-1]),
        ),
        drop=_drop_of_first(looked_at.model, sandwich, scores),
    )


def ranks_of(lows: Sequence[float], highs: Sequence[float]) -> tuple[int, ...]:
    """Returns for each interval 1 plus the number of intervals that lie wholly above it."""
    return tuple(1 + sum(low > high for low in lows) for high in highs)


def groups_of(lows: Sequence[float], highs: Sequence[float]) -> tuple[str, ...]:
    """Returns letters for each interval, best first: two share one exactly when they overlap.

    A group is a largest set of intervals that all overlap; all of them then hold the highest of their lower ends.
    """
    sets = [
        frozenset(i for i, (low, high) in enumerate(zip(lows, highs, strict=True)) if low <= point <= high)
        for point in sorted(set(lows), reverse=True)
    ]
    groups = [one for one in sets if not any(one < other for other in sets)]
    return tuple("".join(_letter(n) for n, group in enumerate(groups) if i in group) for i in range(len(lows)))


def _letter(number: int) -> str:
    turn, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] + (str(turn + 1) if turn else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Votes:
    pairs: tuple[PairVote, ...]
    on_set: tuple[GradeVote, ...]
    on_own: tuple[GradeVote, ...]


def _votes_on(records: Sequence[Record], systems: tuple[str, ...]) -> _Votes:
    """The votes on these systems, in an order that does not depend on the one they came in."""
    forgotten = {word for record in records if isinstance(record, Forget) for word in record.raters}
    pairs: list[PairVote] = []
    on_set: list[GradeVote] = []
    on_own: list[GradeVote] = []
    for record in sorted(records, key=lambda record: record.id):
        match record:
            case PairVote():
                if record.rater not in forgotten and record.left in systems and record.right in systems:
                    pairs.append(record)
            case GradeVote():
                if record.rater not in forgotten and record.system in systems:
                    (on_own if record.picture_set == OWN else on_set).append(record)
            case Forget():
                pass
    return _Votes(pairs=tuple(pairs), on_set=tuple(on_set), on_own=tuple(on_own))


def _words(raters: Sequence[str], flags: NDArray[np.bool_]) -> frozenset[str]:
    return frozenset(word for word, flag in zip(raters, flags, strict=True) if flag)


def _standing(votes: int, raters: int) -> Standing:
    if votes < HIDDEN_BELOW or raters < HIDDEN_BELOW_RATERS:
        return "hidden"
    return "preliminary" if votes < PRELIMINARY_BELOW else "ranked"


def _shown(model: PairModel) -> NDArray[np.bool_]:
    """Which systems have enough votes for a score (M,)."""
    votes, raters = model.table.votes_of_systems(), model.table.raters_of_systems()
    return np.array([_standing(int(v), int(r)) != "hidden" for v, r in zip(votes, raters, strict=True)], np.bool_)


def _pair_scores(model: PairModel, sandwich: Sandwich, shown: NDArray[np.bool_]) -> tuple[PairScore, ...]:
    size = len(shown)
    # A system of few votes is known badly; in the mean, it would blur the scores of all.
    in_mean = shown if shown.any() else np.ones(size, np.bool_)
    contrasts = np.zeros((size, size + 1))
    contrasts[:, :size] = np.eye(size) - in_mean / max(int(in_mean.sum()), 1)
    intervals = sandwich.intervals(contrasts, contrasts @ model.coefficients)
    ends = [interval.ends(CONFIDENCE) for interval in intervals]
    ranked = [ends[system] for system in np.flatnonzero(shown)]
    lows, highs = [low for low, _ in ranked], [high for _, high in ranked]
    places = iter(zip(ranks_of(lows, highs), groups_of(lows, highs), strict=True))
    votes, raters = model.table.votes_of_systems(), model.table.raters_of_systems()
    scores: list[PairScore] = []
    for system, name in enumerate(model.table.systems):
        rank, group = next(places) if shown[system] else (len(ranked) + 1, "")
        scores.append(
            PairScore(
                system=name,
                score=intervals[system].value,
                low=ends[system][0],
                high=ends[system][1],
                votes=int(votes[system]),
                standing=_standing(int(votes[system]), int(raters[system])),
                rank=rank,
                group=group,
            )
        )
    return tuple(sorted(scores, key=lambda score: (score.rank, -score.low, score.system)))


def _equivalences(
    model: PairModel, sandwich: Sandwich, references: Mapping[str, str], shown: NDArray[np.bool_], margin: float
) -> tuple[Equivalence, ...]:
    systems = model.table.systems
    return tuple(
        equivalence_of(
            model,
            sandwich,
            (name, references[name]),
            margin,
            is_shown=bool(shown[systems.index(name)] and shown[systems.index(references[name])]),
        )
        for name in systems
        if references.get(name, name) != name and references[name] in systems
    )


def _drop_of_first(model: PairModel, sandwich: Sandwich, scores: Sequence[PairScore]) -> int | None:
    """Fewest votes whose removal would put another variant first."""
    systems = model.table.systems
    variants = [score for score in scores if score.standing != "hidden" and score.system not in ANCHORS]
    if len(variants) < 2:
        return None
    first = systems.index(max(variants, key=lambda score: score.score).system)
    others = [index for index in (systems.index(score.system) for score in variants) if index != first]
    contrasts = np.zeros((len(others), len(model.coefficients)))
    contrasts[:, first] = 1
    contrasts[np.arange(len(others)), others] = -1
    leads = sandwich.intervals(contrasts, contrasts @ model.coefficients)
    near = sorted(range(len(others)), key=lambda n: leads[n].value / max(leads[n].error, _TINY))[:_CHALLENGERS]
    drops = [fewest_to_turn(model, sandwich, first, others[n]) for n in near]
    return min((drop for drop in drops if drop is not None), default=None)


_TINY: Final = 1e-12


def _grade_scores(table: GradeTable, *, own: bool) -> tuple[GradeScore, ...]:
    """The systems that have grades, the best first."""
    votes, raters = table.grades_of_systems(), table.raters_of_systems()
    opinions: tuple[Interval, ...] = grade_model_of(table).opinions()
    reference = None
    if not own and ORIGINAL in table.systems and votes[table.systems.index(ORIGINAL)]:
        reference = opinions[table.systems.index(ORIGINAL)].value
    scores: list[GradeScore] = []
    for name, opinion, count, people in zip(table.systems, opinions, votes, raters, strict=True):
        if not count:
            continue
        low, high = opinion.ends(CONFIDENCE)
        scores.append(
            GradeScore(
                system=name,
                own=own,
                mos=opinion.value,
                low=low,
                high=high,
                dmos=None if reference is None else opinion.value - reference + 5,
                votes=int(count),
                standing=_standing(int(count), int(people)),
            )
        )
    return tuple(sorted(scores, key=lambda score: (-score.mos, score.system)))
