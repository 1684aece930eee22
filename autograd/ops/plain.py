"""Functions whose result is not smooth in the input: they take Tensors, return plain arrays, and have no gradient."""

from __future__ import annotations

import numpy as np

from .register import described, plain

plain(np.less, operator="lt")
plain(np.less_equal, operator="le")
plain(np.greater, operator="gt")
plain(np.greater_equal, operator="ge")
plain(np.equal, operator="eq")
plain(np.not_equal, operator="ne")
plain(np.logical_and, np.logical_or, np.logical_not, np.logical_xor)
plain(np.isnan, np.isinf, np.isfinite, np.isneginf, np.isposinf, np.signbit, np.isreal, np.iscomplex)
described(np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj)
plain(np.isclose, np.allclose, np.array_equal, np.array_equiv, np.all, np.any)
plain(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.lexsort, np.searchsorted)
plain(np.nonzero, np.flatnonzero, np.argwhere, np.count_nonzero, np.digitize, np.histogram_bin_edges, np.isin)
plain(np.unique_all, np.unique_counts, np.unique_inverse, np.einsum_path)
plain(np.result_type, np.can_cast, np.common_type, np.min_scalar_type)
plain(np.shares_memory, np.may_share_memory, np.zeros_like, np.ones_like, np.empty_like)
plain(np.tril_indices_from, np.triu_indices_from, np.diag_indices_from, np.linalg.matrix_rank)
plain(np.array_repr, np.array_str, np.array2string, np.save, np.savetxt, np.savez, np.savez_compressed)
