"""The weights of one layer put on a grid such that its outputs, not its weights, change little.

With the covariance C of a layer's inputs, the mean square error of its outputs is ``tr((W - Q) C (W - Q)^T)`` when the
bias takes up the mean. A weight that is rounded leaves an error that weights of correlated inputs can take up. So
weights are rounded column by column, in the order of falling variance, and after each one what is left of the others is
solved for again.

Source: Frantar et al., "OPTQ: accurate post-training quantization for generative pre-trained transformers", ICLR 2023,
equations 2 and 3, and section 3.3, step 3.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sr_core.arch.storage import CODE_MAX

__all__ = ["DAMPING", "Floats", "output_error", "round_to_int8", "round_to_palette"]

Floats: TypeAlias = NDArray[np.float64]

DAMPING: Final = 0.01
"""Added to the variances, in units of their mean, so that inputs which never vary do no harm."""

_Nearest: TypeAlias = Callable[[Floats, int], Floats]
"""Returns the nearest values on the grid for a column (outputs,) and its number."""


def output_error(change: Floats, covariance: Floats) -> float:
    """Returns the sum over a layer's outputs of their mean square error, for a change (outputs, K) of its weights."""
    return float(np.einsum("ok,kl,ol->", change, covariance, change, optimize=True))


def round_to_int8(weight: Floats, covariance: Floats) -> Floats:
    """Returns weights that are a whole number up to 127 times a float16 step per output, where 127 or -127 occurs.

    Args:
        weight: (outputs, K).
        covariance: Of the inputs, (K, K).
    """
    steps = (np.abs(weight).max(1) / CODE_MAX).astype(np.float16).astype(np.float64)
    place = np.abs(weight).argmax(1)  # keeps its code, by which storing finds the step
    ends = CODE_MAX * np.sign(weight[np.arange(len(weight)), place])

    def nearest(column: Floats, number: int) -> Floats:
        codes = np.clip(np.rint(column / np.where(steps > 0, steps, 1.0)), -CODE_MAX, CODE_MAX)
        return np.where(place == number, ends, codes) * steps + 0.0  # no negative zero

    return _in_order(weight, covariance, nearest)


def round_to_palette(weight: Floats, covariance: Floats, palette: Floats) -> Floats:
    """Returns weights that are values of a palette, rounded to float16.

    Args:
        weight: (outputs, K).
        covariance: Of the inputs, (K, K).
        palette: The values, such as a k-means of the weights.
    """
    values = np.unique(palette.astype(np.float16).astype(np.float64)) + 0.0  # no negative zero
    middles = (values[1:] + values[:-1]) / 2
    return _in_order(weight, covariance, lambda column, _number: values[np.searchsorted(middles, column)])


def _in_order(weight: Floats, covariance: Floats, nearest: _Nearest) -> Floats:
    """Returns the weights rounded column by column, each error taken up by the columns that come after."""
    variances = np.diagonal(covariance)
    order = np.argsort(-variances, kind="stable")
    damped = covariance + DAMPING * (float(variances.mean()) or 1.0) * np.eye(len(covariance))
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left, rounded = weight[:, order].copy(), np.empty_like(weight)
    for i, number in enumerate(order):
        rounded[:, number] = nearest(left[:, i], int(number))
        error = (left[:, i] - rounded[:, number]) / upper[i, i]
        left[:, i + 1 :] -= error[:, None] * upper[i, i + 1 :]
    return rounded
