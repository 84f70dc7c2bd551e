"""Which way each rater votes most probably, where the ways are known and how common they are is not.

A rater who votes as others do does so more or less surely: others' differences are multiplied by a factor, the rater's
sensitivity, of about a half to two. How common each factor is, is estimated too: where idlers have shrunk the
differences, attentive raters have factors above 1, and who has one near 0 stands out the more.

Source: the EM algorithm for the shares of a mixture, Dempster, Laird and Rubin (1977).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

__all__ = ["SENSITIVITIES", "averaged", "chances_of"]

SENSITIVITIES: Final = tuple(
    float(np.exp(0.4 * place)) for place in (-2.85697001, -1.35562618, 0, 1.35562618, 2.85697001)
)
"""Factors of others' differences: five places of a log-normal distribution of spread 0.4 (Gauss-Hermite quadrature)."""
_WEIGHTS: Final = (0.01125741, 0.22207592, 0.53333333, 0.22207592, 0.01125741)
_STEPS: Final = 100
_CLOSE: Final = 1e-4

_Array = NDArray[np.float64]


def averaged(likelihoods: Sequence[_Array]) -> _Array:
    """Returns the log of the mean likelihood over the sensitivities, of a log likelihood (...) for each of them."""
    weights = np.array(_WEIGHTS).reshape(-1, *(1,) * likelihoods[0].ndim)
    return np.asarray(logsumexp(np.stack(likelihoods), b=weights, axis=0), np.float64)


def chances_of(as_others: Sequence[_Array], other_ways: Sequence[_Array], guess: Sequence[float]) -> _Array:
    """Returns the probability that each rater votes as others do and in each other way (G, 1 + W).

    Args:
        as_others: Log likelihood of each rater's votes for each sensitivity (G,).
        other_ways: Log likelihood in each other way (G,).
        guess: Raters of each way, of that of others first, that are added to those who are there when shares are
            estimated (1 + W), above 0.
    """
    likelihoods = np.stack([*as_others, *other_ways], axis=1)
    added = np.array([*(guess[0] * weight for weight in _WEIGHTS), *guess[1:]])
    share = added / added.sum()
    chances = likelihoods
    for _ in range(_STEPS):
        chances = likelihoods + np.log(share)
        chances = np.exp(chances - logsumexp(chances, axis=1, keepdims=True))
        before, share = share, (chances.sum(axis=0) + added) / (len(chances) + added.sum())
        if np.abs(share - before).max() < _CLOSE:
            break
    honest = chances[:, : len(_WEIGHTS)].sum(axis=1, keepdims=True)
    return np.hstack([honest, chances[:, len(_WEIGHTS) :]])
