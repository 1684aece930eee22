"""The normal distribution, as scipy.stats.norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.stats

from autograd import special

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


def logpdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """log of the density at x.

    >>> logpdf(0.0).round(4)
    np.float64(-0.9189)
    """
    z = (x - loc) / scale
    return -0.5 * z * z - _LOG_ROOT_2PI - np.log(scale)


def pdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The probability of at most x."""
    return special.ndtr((x - loc) / scale)


def logcdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """log of the probability of at most x."""
    return special.log_ndtr((x - loc) / scale)


def sf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The probability of more than x."""
    return special.ndtr((loc - x) / scale)


def logsf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """log of the probability of more than x."""
    return special.log_ndtr((loc - x) / scale)


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.norm, name)
