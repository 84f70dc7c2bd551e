"""What the board says, as records: scores with intervals, verdicts, and who was not counted.

They are made by :func:`ratings.rank.board_of` from votes alone.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = [
    "HIDDEN_BELOW",
    "HIDDEN_BELOW_RATERS",
    "PRELIMINARY_BELOW",
    "Board",
    "Equivalence",
    "GradeScore",
    "PairScore",
    "Screening",
    "Standing",
    "Verdict",
]

HIDDEN_BELOW: Final = 100
"""A system with fewer counted votes has no score on the board."""
HIDDEN_BELOW_RATERS: Final = 5
"""Nor has one that fewer raters voted on: how much raters differ cannot be told from less."""
PRELIMINARY_BELOW: Final = 300
"""A system with fewer counted votes is marked as preliminary."""

Standing: TypeAlias = Literal["hidden", "preliminary", "ranked"]
Verdict: TypeAlias = Literal["equivalent", "worse", "better", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """A system by the pairs that it was in (Bradley-Terry).

    Attributes:
        system: A variant's id or an anchor.
        score: Log odds against the mean of all systems that are shown; half a point is a win rate of 62 %.
        low: Lower end of the 95 % interval.
        high: Upper end.
        votes: Counted votes, without skips.
        standing: Whether there are enough votes, of enough raters, to show the score.
        rank: 1 plus the number of shown systems whose lower end is above this one's upper end; systems that share a
            rank or whose intervals overlap are not separable. A hidden one comes after all that are shown.
        group: Letters of the groups of systems that are not separable from each other, such as ``ab``: two systems
            share a letter exactly when their intervals overlap. Empty for a hidden one.
    """

    system: str
    score: float
    low: float
    high: float
    votes: int
    standing: Standing
    rank: int
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeScore:
    """A system by the grades that it got (absolute category rating).

    Attributes:
        system: A variant's id or an anchor.
        own: Whether on the raters' own photos, where there is no hidden reference.
        mos: Mean opinion score, adjusted for raters and pictures, on the scale from 1 to 5.
        low: Lower end of its 95 % interval.
        high: Upper end.
        dmos: ``mos`` less that of the hidden reference plus 5, or None where that has no grades.
        votes: Counted grades.
        standing: Whether there are enough to show it.
    """

    system: str
    own: bool
    mos: float
    low: float
    high: float
    dmos: float | None
    votes: int
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """A variant against the full-precision network that it was made from: two one-sided tests at 5 % each.

    Attributes:
        system: The variant.
        reference: The network.
        difference: Score of the variant less that of the network, in log odds.
        low: Lower end of the 90 % interval of the difference.
        high: Upper end.
        margin: What counts as no difference: ``equivalent`` when the interval lies within plus and minus this.
        verdict: ``worse`` or ``better`` when the interval leaves out zero and is not within the margin; ``open`` too
            while either has no score.
        votes_needed: How many more votes on either decide with a probability of 80 %, if the true difference is the one
            seen now; None when decided, while either has no score, or when it is too many to tell.
        drop: Votes whose removal turns the sign of the difference; no choice of fewer was found. None when more than a
            tenth of the votes would have to go, or while either has no score.
    """

    system: str
    reference: str
    difference: float
    low: float
    high: float
    margin: float
    verdict: Verdict
    votes_needed: int | None
    drop: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """Who voted and who was not counted; what is not counted stays stored.

    Attributes:
        raters: All of them.
        votes: All votes, with skips and golden trials.
        skips: Votes for nothing.
        raters_failed_golden: Raters left out because they missed too many golden trials.
        raters_one_sided: Raters left out because they took one side whatever was there.
        raters_inconsistent: Raters left out because their votes have little to do with those of others; who is so in
            grades alone still counts in pairs.
        votes_left_out: Votes that are not counted for one of these reasons, without skips.
        golden: Golden trials answered.
        golden_right: Those answered as it must be.
        left_bias: Log odds by which a picture on the left is preferred.
    """

    raters: int
    votes: int
    skips: int
    raters_failed_golden: int
    raters_one_sided: int
    raters_inconsistent: int
    votes_left_out: int
    golden: int
    golden_right: int
    left_bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """All that the votes support.

    Attributes:
        pairs: By rank, then by lower end of the interval.
        grades: On the set of pictures, then on own photos, the best first.
        equivalences: One for each variant that has a full-precision network among the systems.
        screening: Who voted.
        drop: Votes whose removal changes which variant has the highest score; no choice of fewer was found. None when
            more than a tenth of the votes would have to go or there are not two with a score.
    """

    pairs: tuple[PairScore, ...]
    grades: tuple[GradeScore, ...]
    equivalences: tuple[Equivalence, ...]
    screening: Screening
    drop: int | None
