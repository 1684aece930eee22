"""The gamma distribution of scale 1, as scipy.stats.gamma."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from autograd import special


def logpdf(x: Any, a: Any) -> Any:
    """log of the density at x."""
    return special.xlogy(a - 1.0, x) - x - special.gammaln(a)


def pdf(x: Any, a: Any) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, a))


def cdf(x: Any, a: Any) -> Any:
    """The probability of at most x; differentiable in x."""
    return special.gammainc(a, x)


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.gamma, name)
