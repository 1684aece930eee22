"""Vector spaces: zeros, sums and products of arrays, numbers, and nested lists, tuples and dicts of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from autograd import Tensor

from .trees import flatten


class VSpace:
    """The vector space of a value.  Subclasses register for a type of values; `vspace(value)` finds them."""

    mappings: ClassVar[dict[type, Callable[[Any], Any]]] = {}
    iscomplex = False

    def __init__(self, value: Any) -> None:
        pass

    @classmethod
    def register(cls, value_type: type, maker: Callable[[Any], Any] | None = None) -> None:
        """Use this class, or `maker`, for the values of a type."""
        VSpace.mappings[value_type] = maker or cls

    def add(self, x: Any, y: Any) -> Any:
        """x + y."""
        return self._add(x, y)

    def mut_add(self, x: Any, y: Any) -> Any:
        """x + y, or 0 + y for None; a recorded value never changes, so this is a new one."""
        return self._add(self.zeros() if x is None else x, y)

    def scalar_mul(self, x: Any, a: Any) -> Any:
        """x times a number."""
        return self._scalar_mul(x, a)

    def inner_prod(self, x: Any, y: Any) -> Any:
        """The real inner product."""
        return self._inner_prod(x, y)

    def covector(self, x: Any) -> Any:
        """The conjugate."""
        return self._covector(x)

    def zeros(self) -> Any:
        """The vector 0."""
        raise NotImplementedError(f"{type(self).__name__}.zeros")

    def _add(self, x: Any, y: Any) -> Any:
        return x + y

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return x * a

    def _inner_prod(self, x: Any, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}._inner_prod")

    def _covector(self, x: Any) -> Any:
        return x

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # as HIPS's

    def __repr__(self) -> str:
        return f"{type(self).__name__}_{vars(self)}"


class ArrayVSpace(VSpace):
    """Real arrays of one shape and dtype."""

    units: tuple[Any, ...] = (1.0,)

    def __init__(self, value: Any) -> None:
        value = np.asarray(value)
        self.shape, self.dtype = value.shape, value.dtype

    @property
    def size(self) -> int:
        """The number of real numbers in an array."""
        return int(np.prod(self.shape)) * len(self.units)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def zeros(self) -> Any:
        """An array of zeros."""
        return np.zeros(self.shape, self.dtype)

    def ones(self) -> Any:
        """An array of ones; 1 + 1j for complex ones."""
        return np.full(self.shape, sum(self.units), self.dtype)

    def standard_basis(self) -> Iterator[Any]:
        """The arrays with one unit (1, or also 1j) each."""
        for index, unit in itertools.product(np.ndindex(*self.shape), self.units):
            vector = self.zeros()
            vector[index] = unit
            yield vector

    def randn(self) -> Any:
        """An array drawn from the standard normal distribution."""
        return sum(unit * np.array(np.random.randn(*self.shape)) for unit in self.units).astype(self.dtype)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return np.dot(np.ravel(x), np.ravel(y))


class ComplexArrayVSpace(ArrayVSpace):
    """Complex arrays of one shape and dtype, as real vectors of twice the size."""

    iscomplex = True
    units = (1.0, 1.0j)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return np.real(np.dot(np.conj(np.ravel(x)), np.ravel(y)))

    def _covector(self, x: Any) -> Any:
        return np.conj(x)


class ContainerVSpace(VSpace):
    """Lists, tuples or dicts of vectors, nested in one way."""

    def __init__(self, value: Any) -> None:
        leaves, self._build = flatten(value)
        self.kind, self.parts = type(value), [vspace(leaf) for leaf in leaves]
        self.shape = self._build(self.parts)

    @property
    def size(self) -> int:
        """The number of real numbers."""
        return sum(part.size for part in self.parts)

    def _each(self, method: str, *trees: Any) -> list[Any]:
        rows = [flatten(tree)[0] for tree in trees]
        return [getattr(part, method)(*row) for part, *row in zip(self.parts, *rows, strict=True)]

    def zeros(self) -> Any:
        """Zeros, nested in this way."""
        return self._build(self._each("zeros"))

    def ones(self) -> Any:
        """Ones, nested in this way."""
        return self._build(self._each("ones"))

    def randn(self) -> Any:
        """Random numbers, nested in this way."""
        return self._build(self._each("randn"))

    def standard_basis(self) -> Iterator[Any]:
        """The vectors with one unit each."""
        zeros = self._each("zeros")
        for i, part in enumerate(self.parts):
            for unit in part.standard_basis():
                yield self._build([*zeros[:i], unit, *zeros[i + 1 :]])

    def _add(self, x: Any, y: Any) -> Any:
        return self._build(self._each("_add", x, y))

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return self._build([part._scalar_mul(leaf, a) for part, leaf in zip(self.parts, flatten(x)[0], strict=True)])

    def _inner_prod(self, x: Any, y: Any) -> Any:
        return sum(self._each("_inner_prod", x, y))

    def _covector(self, x: Any) -> Any:
        return self._build(self._each("_covector", x))

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, ContainerVSpace) and self.kind is other.kind and bool(self.shape == other.shape)

    __hash__ = None


def vspace(value: Any) -> Any:
    """The vector space of a value.

    >>> vspace(np.ones((2, 3))).zeros().shape
    (2, 3)
    >>> vspace([1.0, {"a": np.ones(2)}]).size
    3
    """
    if isinstance(value, Tensor):
        value = value.data
    maker = VSpace.mappings.get(type(value))
    if maker is not None:
        return maker(value)
    if isinstance(value, list | tuple | dict):
        return ContainerVSpace(value)
    kind = getattr(value, "dtype", np.dtype(type(value)) if isinstance(value, float | complex) else None)
    if kind is not None and kind.kind in "fc":
        return (ComplexArrayVSpace if kind.kind == "c" else ArrayVSpace)(value)
    raise TypeError(
        f"Can't find vector space for value {value} of type {type(value)}: it is an array or number (floating-point or "
        f"complex), or a list, tuple or dict of these"
    )
