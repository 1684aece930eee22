"""Functions whose result does not depend smoothly on the input: Tensors in, plain arrays out, no gradient."""

from __future__ import annotations

import numpy as np

from ..op import plain

plain(np.less, operator="lt")
plain(np.less_equal, operator="le")
plain(np.greater, operator="gt")
plain(np.greater_equal, operator="ge")
plain(np.equal, operator="eq")
plain(np.not_equal, operator="ne")
plain(np.floor_divide, operator="floordiv")
plain(np.logical_and, np.logical_or, np.logical_not, np.logical_xor)
plain(np.isnan, np.isinf, np.isfinite, np.signbit, np.sign, np.floor, np.ceil, np.rint, np.trunc, np.round)
plain(np.argmax, np.argmin, np.argsort, np.nonzero, np.count_nonzero, np.flatnonzero, np.searchsorted, np.all, np.any)
plain(np.isclose, np.allclose, np.array_equal, np.iscomplexobj, np.isrealobj, np.shares_memory, np.may_share_memory)
plain(np.shape, np.ndim, np.size, np.result_type, np.can_cast)
plain(np.zeros_like, np.ones_like, np.empty_like, np.full_like)
