"""The Poisson distribution, as scipy.stats.poisson; differentiable in the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from autograd import special


def logpmf(k: Any, mu: Any) -> Any:
    """log of the probability of k."""
    return special.xlogy(k, mu) - special.gammaln(k + 1.0) - mu


def pmf(k: Any, mu: Any) -> Any:
    """The probability of k."""
    return np.exp(logpmf(k, mu))


def cdf(k: Any, mu: Any) -> Any:
    """The probability of at most k."""
    return special.gammaincc(np.floor(k) + 1.0, mu)


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.poisson, name)
