"""Which raters are not counted: those who answer at random, always on one side, or regardless of what is there.

What they sent stays stored. There are two looks at each rater:

- at their golden trials, of which the better picture is known. Who has less than four of five right is out (or a share
  less by as much as others have less than 97 of 100 right, where the better one is hard to see), unless so few happen
  to others once in a hundred times. A tie is half a miss.
- at all their pairs. They are held against six ways to vote: as others do (more or less surely, by a factor of about
  a half to two), by chance, the other way round, always left, always right, and as others do but always for or against
  one system. How common each way is, is estimated from all raters together, so that in a crowd without idlers nobody is
  out for bad luck, and where there are many, little is needed. Who more probably votes in another way than as others
  do is out.

A rater is held against the fit of everybody else's votes, not against one that contains theirs, or whoever votes most
would agree with themselves; and only where others cast enough votes on both systems. Who voted little stays. Who is
out changes the fit, so both looks are taken a few times, each time at everybody.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, expit, logsumexp

from ratings.bradley_terry import PairModel, PairTable, model_of
from ratings.clustered import sums_by
from ratings.mixture import SENSITIVITIES, averaged, chances_of
from ratings.vote import BICUBIC, ORIGINAL

__all__ = ["Screened", "screened", "ways_of"]

GOLDEN_SHARE: Final = 0.8
"""Share of golden trials that must be right."""
GOLDEN_LUCK: Final = 0.01
"""Unless others have so few right with at least this probability."""
_GOLDEN_RATE: Final = 0.97
"""Share of golden trials that attentive raters have right; nobody is held to a higher one."""
_GOLDEN_GUESS: Final = 10.0
"""So many golden trials, answered at this rate, are added to those of others."""

_WAYS: Final = ("as others", "by chance", "the other way round", "left", "right", "for or against one")
_GUESS: Final = (8.0, 0.5, 0.5, 0.5, 0.5, 0.1)
"""Raters of each way that are added to those who are there, before shares are estimated."""
_DECIDED: Final = 0.95
"""Chance of their side or system, of who has decided beforehand."""
_LAPSE: Final = 0.02
"""Chance of a slip of the hand, of whoever goes by what is there."""
_KNOWN: Final = 30
"""Votes of others that a system needs before anybody's votes on it are looked at."""
_FEWEST: Final = 8
"""Votes that are looked at, that a rater needs to be left out for them."""
_LOUD: Final = 3.0
"""Who gave more than so many times the votes of the median rater is not part of the first look."""
_PASSES: Final = 12

_Array = NDArray[np.float64]
_Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """The fit of the raters who count, and who does not and why; flags are in the order of the whole table's raters.

    Attributes:
        raters: Words of the whole table's raters (G).
        model: The fit.
        failed_golden: Who missed too many golden trials (G,).
        one_sided: Who else took one side (G,).
        inconsistent: Who else voted by chance or the other way round (G,).
        golden: Golden trials answered.
        golden_right: Those in which the original was preferred.
    """

    raters: tuple[str, ...]
    model: PairModel
    failed_golden: _Flags
    one_sided: _Flags
    inconsistent: _Flags
    golden: int
    golden_right: int

    @property
    def out(self) -> _Flags:
        """Who is not counted (G,)."""
        return self.failed_golden | self.one_sided | self.inconsistent


def screened(table: PairTable) -> Screened:
    """Returns the fit of those raters of a table who pass."""
    answered, points, golden_right = _golden(table)
    failed = np.zeros(len(table.raters), np.bool_)
    # Who votes most must not be the measure of the others: the first look is without them.
    votes = np.bincount(table.rater, minlength=len(table.raters))
    out = votes > _LOUD * np.median(votes) if len(votes) else failed
    way = np.zeros(len(table.raters), np.int64)
    for _ in range(_PASSES):
        model = model_of(table.without(out))
        others = np.tile(model.coefficients, (len(table.raters), 1))
        others[~out] = model.without_each()
        chances = ways_of(table, others, ~out)
        way = np.where(chances[:, 0] < 0.5, 1 + chances[:, 1:].argmax(axis=1), 0)
        failed = _missed(answered, points, out)
        before, out = out, failed | (way > 0)
        if np.array_equal(before, out):
            break
    one_sided = np.isin(way, (_WAYS.index("left"), _WAYS.index("right")))
    return Screened(
        raters=table.raters,
        model=model_of(table.without(out)),
        failed_golden=failed,
        one_sided=one_sided & ~failed,
        inconsistent=(way > 0) & ~one_sided & ~failed,
        golden=int(answered.sum()),
        golden_right=golden_right,
    )


def ways_of(table: PairTable, others: _Array, counted: _Flags) -> _Array:
    """Returns the probability that each rater votes in each of the six ways, in the order given above (G, 6).

    Args:
        table: The votes.
        others: Coefficients of the votes of all others who count, a row for each rater (G, M + 1).
        counted: Who counts (G,).
    """
    raters, size = len(table.raters), len(table.systems)
    with_left, with_right = table.rater * size + table.left, table.rater * size + table.right

    def of_systems(for_left: _Array, for_right: _Array) -> _Array:
        summed = sums_by(with_left, for_left, raters * size) + sums_by(with_right, for_right, raters * size)
        return summed.reshape(raters, size)

    one = np.ones(len(table.points))
    cast = of_systems(one, one)
    is_known = cast[counted].sum(axis=0) - cast * counted[:, None] >= _KNOWN
    is_seen = is_known[table.rater, table.left] & is_known[table.rater, table.right]
    is_seen &= (sums_by(table.rater, is_seen * one, raters) >= _FEWEST)[table.rater]
    gap = others[table.rater, table.left] - others[table.rater, table.right]
    side = others[table.rater, -1]

    def logs(chance: _Array | float) -> _Array:
        return is_seen * (table.points * np.log(chance) + (1 - table.points) * np.log(1 - chance))

    def going_by(odds: _Array) -> _Array:
        return logs(_LAPSE + (1 - 2 * _LAPSE) * expit(odds))

    def of_raters(values: _Array) -> _Array:
        return sums_by(table.rater, values, raters)

    as_others: list[_Array] = []
    reversed_: list[_Array] = []
    partial: list[_Array] = []
    wins = of_systems(logs(_DECIDED), logs(1 - _DECIDED))
    loses = of_systems(logs(1 - _DECIDED), logs(_DECIDED))
    for factor in SENSITIVITIES:
        fair = going_by(factor * gap + side)
        as_others.append(of_raters(fair))
        reversed_.append(of_raters(going_by(-factor * gap + side)))
        without = as_others[-1][:, None] - of_systems(fair, fair)
        partial.append(np.hstack([without + wins, without + loses]))
    other_ways = [
        of_raters(going_by(side)),
        averaged(reversed_),
        of_raters(logs(_DECIDED)),
        of_raters(logs(1 - _DECIDED)),
        np.asarray(logsumexp(averaged(partial), axis=1)) - np.log(max(2 * size, 1)),
    ]
    return chances_of(as_others, other_ways, _GUESS)


def _missed(answered: _Array, points: _Array, out: _Flags) -> _Flags:
    """Who has too few golden trials right, by the rate of those who are not out (G,)."""
    trials = _GOLDEN_GUESS + answered[~out].sum() - np.where(out, 0, answered)
    right = _GOLDEN_GUESS * _GOLDEN_RATE + points[~out].sum() - np.where(out, 0, points)
    rate = np.minimum(right / trials, _GOLDEN_RATE)
    luck = bdtrc(np.floor(answered - points) - 1, answered.astype(np.int64), 1 - rate)
    return (points < GOLDEN_SHARE * rate / _GOLDEN_RATE * answered) & (luck < GOLDEN_LUCK)


def _golden(table: PairTable) -> tuple[_Array, _Array, int]:
    """Golden trials that each rater answered (G,), points for the original (G,), and how many were right."""
    raters = len(table.raters)
    if ORIGINAL not in table.systems or BICUBIC not in table.systems:
        return np.zeros(raters), np.zeros(raters), 0
    original, bicubic = table.systems.index(ORIGINAL), table.systems.index(BICUBIC)
    on_left = (table.left == original) & (table.right == bicubic)
    on_right = (table.left == bicubic) & (table.right == original)
    golden = on_left | on_right
    points = np.where(on_left, table.points, 1 - table.points)[golden]
    return (
        np.bincount(table.rater[golden], minlength=raters).astype(np.float64),
        sums_by(table.rater[golden], points, raters),
        int((points == 1).sum()),
    )
