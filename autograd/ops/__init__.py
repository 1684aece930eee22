"""Every derivative rule, and nothing else: one module per family."""

from . import elementwise as elementwise
from . import index as index
from . import linalg as linalg
from . import plain as plain
from . import reduce as reduce
from . import shape as shape
