"""The beta distribution, as scipy.stats.beta."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from autograd import special


def logpdf(x: Any, a: Any, b: Any) -> Any:
    """log of the density at x."""
    return special.xlogy(a - 1.0, x) + special.xlog1py(b - 1.0, -x) - special.betaln(a, b)


def pdf(x: Any, a: Any, b: Any) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, a, b))


def cdf(x: Any, a: Any, b: Any) -> Any:
    """The probability of at most x; differentiable in x."""
    return special.betainc(a, b, x)


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.beta, name)
