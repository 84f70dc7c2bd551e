"""How far an estimate may be off when its votes come from few raters, some of whom vote a lot.

Votes of one rater are alike: eyes, screen and taste go with them. So the uncertainty is measured by how much the raters
differ from each other, not by how many votes there are.

Source: the bias-reduced sandwich "CR2" and Satterthwaite's degrees of freedom, Bell and McCaffrey, "Bias Reduction in
Standard Errors for Linear Regression with Multi-Stage Samples" (2002). All is computed in the space of coefficients,
where a rater takes one small matrix whatever they voted. Deviations:

- the penalty counts as one more source of error, so that nothing is certain because nobody voted;
- votes of a rater are taken as alike, as much as the raters turn out to differ (a variance of tastes, by the method of
  moments), both in the degrees of freedom and in what the sandwich is too small by. With independent votes, as in the
  source, 95 % intervals hold in 92.6 % where three of 53 raters give half of the votes and tastes differ.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

__all__ = ["Interval", "Sandwich", "sums_by"]

_Array = NDArray[np.float64]
_CERTAIN = 1 - 1e-9
"""Largest share of what is known of something that may come from one rater, so that roots stay finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with what is needed to tell how far it may be off.

    Attributes:
        value: The estimate.
        error: Its standard error.
        freedom: Degrees of freedom of the error, at least 1.
    """

    value: float
    error: float
    freedom: float

    def ends(self, confidence: float) -> tuple[float, float]:
        """Returns both ends of the interval that holds the truth with a confidence from 0 to 1."""
        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return self.value - reach, self.value + reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandwich:
    """The uncertainty of penalized estimates, clustered by rater (P coefficients, G raters).

    Coordinates are chosen so that the penalized information is the identity.

    Attributes:
        root: From these coordinates to coefficients (P, P); ``root @ root.T`` is the inverse of the information.
        shares: Each rater's share of the information, along their own axes (G, P).
        axes: Those axes, as columns (G, P, P).
        pulls: Slope of each rater's log likelihood at the estimate (G, P), corrected for that the estimate follows it.
        common: Sum of the squares of all raters' shares (P, P).
        penalty: Share of the penalty (P, P).
        dispersion: Variance of a vote over the one that the model says.
        taste: Variance of the coefficients among raters, over that of the estimate if all votes were independent.
    """

    root: _Array
    shares: _Array
    axes: _Array
    pulls: _Array
    common: _Array
    penalty: _Array
    dispersion: float
    taste: float

    @classmethod
    def of(cls, slopes: _Array, information: _Array, penalty: _Array, dispersion: float) -> Self:
        """Returns the sandwich of an estimate.

        Args:
            slopes: Slope of each rater's log likelihood at the estimate (G, P).
            information: Their information there (G, P, P).
            penalty: Twice the factors of the squared coefficients that were subtracted (P), above 0.
            dispersion: Variance of a vote over the one that the model says.
        """
        values, vectors = np.linalg.eigh(information.sum(axis=0) + np.diag(penalty))
        root = vectors / np.sqrt(values)
        shares, axes = np.linalg.eigh(root.T @ information @ root)
        shares = np.clip(shares, 0.0, _CERTAIN)
        along = np.matmul((slopes @ root)[:, None, :], axes)[:, 0]
        pulls = np.matmul(axes, (along / np.sqrt(1 - shares))[:, :, None])[:, :, 0]
        common = _squared(shares, axes)
        independent = (shares - shares**2).sum()
        alike = (shares**2 - 2 * shares**3).sum() + (common**2).sum()
        excess = (along**2).sum() - dispersion * independent
        return cls(
            root=root,
            shares=shares,
            axes=axes,
            pulls=pulls,
            common=common,
            penalty=(root.T * penalty) @ root,
            dispersion=dispersion,
            taste=max(float(excess / alike), 0.0) if alike > 0 else 0.0,
        )

    @property
    def model_covariance(self) -> _Array:
        """The inverse of the penalized information (P, P)."""
        return self.root @ self.root.T

    @property
    def covariance(self) -> _Array:
        """The clustered covariance (P, P); with fewer than two raters, who cannot differ, that of the model."""
        if len(self.pulls) < 2:
            return self.model_covariance
        return self.root @ (self.pulls.T @ self.pulls + self.penalty) @ self.root.T

    def intervals(self, contrasts: _Array, values: _Array) -> tuple[Interval, ...]:
        """Returns estimates of sums of coefficients.

        Args:
            contrasts: Factors of the coefficients, a row for each sum (K, P).
            values: The sums at the estimate (K).
        """
        inner = contrasts @ self.root
        if len(self.pulls) < 2:
            variance, freedom = (inner**2).sum(axis=1), np.ones(len(inner))
        else:
            scale, freedom = self._small_sample(inner)
            variance = scale * ((inner @ self.pulls.T) ** 2).sum(axis=1) + ((inner @ self.penalty) * inner).sum(axis=1)
        return tuple(
            Interval(value=float(value), error=float(error), freedom=float(degrees))
            for value, error, degrees in zip(values, np.sqrt(variance), freedom, strict=True)
        )

    def _small_sample(self, inner: _Array) -> tuple[_Array, _Array]:
        """What each estimated variance is to be multiplied by, and its degrees of freedom (K and K).

        Both follow from the covariance of the raters' pulls on a contrast, if votes vary as ``dispersion`` and raters
        as ``taste`` say. It is a diagonal (K, G) plus ``spans @ middle @ spans.T`` (each K, G, 2 P and 2 P, 2 P).
        """
        size = inner.shape[1]
        along = np.matmul(inner, self.axes)
        back = np.swapaxes(self.axes, 1, 2)
        share = self.shares[:, None, :]
        first = along * share / np.sqrt(1 - share)
        diagonal = (self.dispersion * along**2 * share / (1 - share) + self.taste * first**2).sum(axis=2).T
        spans = np.concatenate([np.matmul(first, back), np.matmul(first * share, back)], axis=2).transpose(1, 0, 2)
        corner = self.taste * self.common - self.dispersion * np.eye(size)
        rim = -self.taste * np.eye(size)
        middle = np.block([[corner, rim], [rim, np.zeros((size, size))]])
        crossed = np.matmul(middle, np.matmul(np.swapaxes(spans, 1, 2), spans))
        trace = diagonal.sum(axis=1) + np.trace(crossed, axis1=1, axis2=2)
        squares = (
            (diagonal**2).sum(axis=1)
            + 2 * (diagonal * (np.matmul(spans, middle) * spans).sum(axis=2)).sum(axis=1)
            + (crossed * np.swapaxes(crossed, 1, 2)).sum(axis=(1, 2))
        )
        whole = self.dispersion * (np.eye(size) - self.penalty) + self.taste * self.common
        true = ((inner @ whole) * inner).sum(axis=1)
        is_known = (trace > 0) & (squares > 0) & (true > 0)
        scale = np.divide(true, trace, out=np.ones(len(inner)), where=is_known)
        freedom = np.divide(trace**2, squares, out=np.ones(len(inner)), where=is_known)
        return np.maximum(scale, 1.0), np.clip(freedom, 1.0, len(self.pulls) - 1.0)


def sums_by(index: NDArray[np.int64], values: _Array, size: int) -> _Array:
    """Returns the sums of values that have the same index (size,)."""
    return np.bincount(index, weights=values, minlength=size).astype(np.float64)


def _squared(shares: _Array, axes: _Array) -> _Array:
    """Sum of the squares of all raters' shares of the information (P, P)."""
    raters, size = shares.shape
    wide = (axes * shares[:, None, :]).transpose(1, 0, 2).reshape(size, raters * size)
    return wide @ wide.T
