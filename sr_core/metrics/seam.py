"""How visible the seams between tiles are: tiled output against the output of the whole picture at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sr_core.errors import OptionError

__all__ = ["SeamReport", "compare_seams"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamReport:
    """Absolute differences between tiled and whole output, in steps of 1/255 of the data range (8-bit steps).

    Attributes:
        max_near: Largest difference near a seam; 0 when nothing is near one.
        mean_near: Mean difference near a seam; 0 when nothing is near one.
        max_elsewhere: Largest difference elsewhere; 0 when everything is near a seam.
        mean_elsewhere: Mean difference elsewhere; 0 when everything is near a seam.
    """

    max_near: float
    mean_near: float
    max_elsewhere: float
    mean_elsewhere: float

    @property
    def max(self) -> float:
        """Largest difference anywhere."""
        return float(np.max((self.max_near, self.max_elsewhere)))  # not a number if one of them is none


def compare_seams(
    tiled: NDArray[np.generic],
    whole: NDArray[np.generic],
    *,
    row_spans: Sequence[tuple[int, int]],
    column_spans: Sequence[tuple[int, int]],
    reach: int,
    data_range: float,
) -> SeamReport:
    """Returns the differences near the seams and elsewhere.

    Both outputs should be floats from before rounding: 8-bit rounding hides differences below half a step and
    doubles others.

    Args:
        tiled: (H, W, C), put together from tiles.
        whole: Same shape, from one tile.
        row_spans: Overlaps of tiles as first row and row after the last.
        column_spans: Overlaps of tiles as first column and column after the last.
        reach: Pixels before and after each overlap that still count as near.
        data_range: The value of full intensity.

    Raises:
        OptionError: The shapes differ, or the reach is negative.
    """
    if tiled.shape != whole.shape or tiled.ndim != 3:
        raise OptionError(f"Two pictures of one size are needed, not {tiled.shape} and {whole.shape}.")
    if reach < 0:
        raise OptionError(f"The reach around a seam cannot be negative, but is {reach} pixels.")
    difference = np.abs(tiled.astype(np.float64) - whole.astype(np.float64)) * (255.0 / data_range)
    height, width = difference.shape[:2]
    near = _marked(height, row_spans, reach)[:, None] | _marked(width, column_spans, reach)
    at_seams, elsewhere = difference[near], difference[~near]
    return SeamReport(
        max_near=float(at_seams.max(initial=0.0)),
        mean_near=float(at_seams.mean()) if at_seams.size else 0.0,
        max_elsewhere=float(elsewhere.max(initial=0.0)),
        mean_elsewhere=float(elsewhere.mean()) if elsewhere.size else 0.0,
    )


def _marked(size: int, spans: Sequence[tuple[int, int]], reach: int) -> NDArray[np.bool_]:
    """Returns for each place along an axis whether it lies in a span or within reach of one."""
    marked = np.zeros(size, np.bool_)
    for first, end in spans:
        marked[max(first - reach, 0) : end + reach] = True
    return marked
