"""One option for each of several items, of least error in all, that together free enough."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT", "pick_most", "pick_options"]

EXACT: Final = 1e-12
"""The share of what is wanted that may be missing: floats that add up to it may miss it by their rounding."""


def pick_options(
    freed: Sequence[Sequence[float]], errors: Sequence[Sequence[float]], wanted: float, cell: float
) -> list[int] | None:
    """Returns the number of one option for each item, or None where no choice frees enough.

    What an option frees is counted in whole cells, rounded down, so that what is chosen never frees less than it
    counts for; of all choices that free enough in cells, it is the one with the least sum of errors. Where only
    rounding stands against it, what frees most is chosen.

    Args:
        freed: What each option of each item frees, 0 or more.
        errors: What each of them costs.
        wanted: How much is to be freed in all, 0 or more.
        cell: The unit in which is counted.
    """
    count = int(np.ceil(wanted / cell * (1 - EXACT)))
    cells = np.arange(count + 1)
    least = np.where(cells > 0, np.inf, 0.0)  # the least error with which at least so many cells are free
    picks: list[tuple[NDArray[np.int64], NDArray[np.intp]]] = []
    for amounts, costs in zip(freed, errors, strict=True):
        whole = np.floor(np.array(amounts) / cell).astype(np.int64)
        sums = np.array(costs)[:, None] + least[np.maximum(cells - whole[:, None], 0)]  # (options, cells)
        picks.append((whole, sums.argmin(0)))
        least = sums.min(0)
    if not np.isfinite(least[-1]):
        most = pick_most(freed, errors)
        is_enough = sum(one[number] for one, number in zip(freed, most, strict=True)) >= wanted * (1 - EXACT)
        return most if is_enough else None
    place, found = count, list[int]()
    for whole, best in reversed(picks):
        found.append(int(best[place]))
        place = max(place - int(whole[found[-1]]), 0)
    return found[::-1]


def pick_most(freed: Sequence[Sequence[float]], errors: Sequence[Sequence[float]]) -> list[int]:
    """Returns the number of the option of each item that frees most, and of several that free as much costs least."""
    items = (list(zip(*item, strict=True)) for item in zip(freed, errors, strict=True))
    return [max(range(len(item)), key=lambda number, item=item: (item[number][0], -item[number][1])) for item in items]
