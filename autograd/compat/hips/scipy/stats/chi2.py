"""The chi-squared distribution, as scipy.stats.chi2."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.stats

from . import gamma


def logpdf(x: Any, df: Any) -> Any:
    """log of the density at x."""
    return gamma.logpdf(0.5 * x, 0.5 * df) - math.log(2.0)


def pdf(x: Any, df: Any) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, df))


def cdf(x: Any, df: Any) -> Any:
    """The probability of at most x; differentiable in x."""
    return gamma.cdf(0.5 * x, 0.5 * df)


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.chi2, name)
