"""numpy.random, unchanged."""

import numpy.random as _random

globals().update({name: x for name, x in vars(_random).items() if not name.startswith("__")})
