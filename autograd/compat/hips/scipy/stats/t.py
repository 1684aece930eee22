"""Student's t distribution, as scipy.stats.t."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from autograd import special


def logpdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """log of the density at x."""
    z = (x - loc) / scale
    heavy = -0.5 * (df + 1.0) * np.log1p(z * z / df)
    return heavy - special.betaln(0.5 * df, 0.5) - 0.5 * np.log(df) - np.log(scale)


def pdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, df, loc, scale))


def cdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The probability of at most x; differentiable in x, loc and scale."""
    return special.stdtr(df, (x - loc) / scale)


def logcdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """log of the probability of at most x."""
    return np.log(cdf(x, df, loc, scale))


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.t, name)
