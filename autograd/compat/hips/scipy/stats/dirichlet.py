"""The Dirichlet distribution, as scipy.stats.dirichlet."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from autograd import special


def logpdf(x: Any, alpha: Any) -> Any:
    """log of the density at x, whose first axis lists the shares."""
    spread = np.reshape(alpha, (-1,) + (1,) * (np.ndim(x) - 1))
    norm = np.sum(special.gammaln(alpha)) - special.gammaln(np.sum(alpha))
    return np.sum(special.xlogy(spread - 1.0, x), axis=0) - norm


def pdf(x: Any, alpha: Any) -> Any:
    """The density at x."""
    return np.exp(logpdf(x, alpha))


def __getattr__(name: str) -> Any:
    return getattr(scipy.stats.dirichlet, name)
