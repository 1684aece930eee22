"""The multivariate normal distribution, as scipy.stats.multivariate_normal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.stats


def _shaped(mean: Any, cov: Any) -> tuple[Any, Any, int]:
    """The mean as a vector, the covariance as a matrix, and the dimension."""
    size = np.size(mean) if np.ndim(mean) else max(1, np.shape(cov)[-1] if np.ndim(cov) else 1)
    if np.ndim(cov) < 2:
        cov = cov * np.eye(size) if np.ndim(cov) == 0 else np.eye(size) * cov
    return np.reshape(mean, -1), cov, np.shape(cov)[-1]


def logpdf(x: Any, mean: Any = 0.0, cov: Any = 1.0, allow_singular: bool = False) -> Any:
    """log of the density at the vectors in the last axis of x (at the numbers in x, in one dimension).

    For a singular covariance, with `allow_singular`, it is the density within its range.
    """
    mean, cov, size = _shaped(mean, cov)
    moved = np.reshape(x, (*np.shape(x), 1) if size == 1 and np.shape(x)[-1:] != (1,) else np.shape(x)) - mean
    if allow_singular:
        return _singular(moved, cov)
    factor = np.linalg.cholesky(0.5 * (cov + cov.T))
    whitened = np.linalg.solve(factor, np.reshape(moved, (-1, size)).T)
    squares = np.reshape(np.sum(whitened**2, axis=0), np.shape(moved)[:-1])
    return -0.5 * (squares + size * math.log(2.0 * math.pi)) - np.sum(np.log(np.diagonal(factor)))


def _singular(moved: Any, cov: Any) -> Any:
    """The density within the range of a covariance that may have no inverse."""
    numbers = np.linalg.eigvalsh(cov.data if hasattr(cov, "requires_grad") else cov)
    limit = 1e6 * np.finfo(numbers.dtype).eps * np.max(np.abs(numbers))
    if np.min(numbers) < -limit:
        raise ValueError("the covariance has negative eigenvalues")
    rank = int(np.sum(numbers > limit))
    inverse = np.linalg.pinv(cov, hermitian=True)
    volume = np.sum(np.log(np.sort(np.linalg.eigvalsh(cov))[len(numbers) - rank :]))
    return -0.5 * (np.sum((moved @ inverse) * moved, axis=-1) + rank * math.log(2.0 * math.pi) + volume)


def pdf(x: Any, mean: Any = 0.0, cov: Any = 1.0, allow_singular: bool = False) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, mean, cov, allow_singular))


def entropy(mean: Any = None, cov: Any = 1.0) -> Any:
    """The differential entropy, in nats."""
    _, cov, size = _shaped(0.0 if mean is None else mean, cov)
    return 0.5 * (size * (1.0 + math.log(2.0 * math.pi)) + np.linalg.slogdet(cov)[1])


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.multivariate_normal, name)
