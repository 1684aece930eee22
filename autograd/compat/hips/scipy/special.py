"""scipy.special: its ufuncs take Tensors; what SciPy writes in Python is taken from autograd.special."""

import scipy.special as _special

import autograd.special as _ours

globals().update({name: x for name, x in vars(_special).items() if not name.startswith("_")})
globals().update({name: getattr(_ours, name) for name in dir(_ours) if not name.startswith("_")})
