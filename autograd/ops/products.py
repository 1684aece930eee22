"""Rules of products of vectors and matrices: matmul, einsum, and functions written with them."""

from __future__ import annotations

import functools
import math
import string
from collections import Counter
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..numpy_calls import NUMPY
from ..op import differentiable
from ..registry import zero
from .index import array_of, scatter
from .register import CASES, Case, composite
from .shape import reshape


def transposed(x):
    """Every matrix in x transposed."""
    return x.swapaxes(-1, -2)


def _rows(x):
    """All matrices of x below each other, as one; a -1 in the shape would not do where x is empty."""
    return np.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _matmul_left(g, _z, _x, y):
    """`g @ y.T`, for matrices; a vector counts as a matrix of one row."""
    if g.ndim == y.ndim == 2:
        return np.dot(g, y.T)
    if y.ndim == 1:
        return g * y if len(_x.shape) == 1 else g[..., None] * y
    if len(_x.shape) == 1:
        return (g[..., None, :] @ transposed(y))[..., 0, :]
    return g @ transposed(y)


def _matmul_right(g, _z, x, _y):
    """`x.T @ g`, for matrices; a vector counts as a matrix of one column."""
    if g.ndim == x.ndim == 2:
        return np.dot(x.T, g)
    if x.ndim == 1:
        return g * x if len(_y.shape) == 1 else x[:, None] * g[..., None, :]
    if len(_y.shape) == 1:
        return (transposed(x) @ g[..., None])[..., 0]
    if len(_y.shape) == 2:  # one matrix for the whole batch: a single product instead of a sum of products
        return _rows(x).T @ _rows(g)
    return transposed(x) @ g


def _matmul(x1, x2):
    """np.matmul; for two matrices, np.dot gives the same product 0.25 us faster."""
    return (np.dot if getattr(x1, "ndim", 0) == getattr(x2, "ndim", 0) == 2 else np.matmul)(x1, x2)


matmul = differentiable(
    _matmul, _matmul_left, _matmul_right, name="matmul", operator="matmul", numpy=[np.matmul, np.linalg.matmul]
)


def _dot_ops(a, b):
    """NumPy's dot: sum over the last axis of a and the last but one of b; multiply if either is 0-d."""
    shapes = np.shape(a), np.shape(b)
    if () in shapes:
        return np.multiply(a, b)
    if len(shapes[0]) <= 2 >= len(shapes[1]):
        return matmul(a, b)
    if len(shapes[1]) == 1:
        return matmul(a, b)
    order = (len(shapes[1]) - 2, *range(len(shapes[1]) - 2), len(shapes[1]) - 1)
    n = shapes[1][-2]
    rest = shapes[1][:-2] + shapes[1][-1:]
    product = matmul(_rows(a), reshape(np.transpose(b, order), (n, math.prod(rest))))
    return reshape(product, shapes[0][:-1] + rest)


dot = composite(_dot_ops, np.dot)


def _outer(a, b):
    return np.multiply(reshape(a, (-1, 1)), reshape(b, (1, -1)))


outer = composite(_outer, np.outer, spelled={np.linalg.outer: lambda x1, x2, /: _outer(x1, x2)})


def _inner(a, b):
    """Sum over the last axis of both."""
    if () in (np.shape(a), np.shape(b)):
        return np.multiply(a, b)
    return np.tensordot(a, b, axes=(-1, -1))


def _vdot(a, b):
    """The sum of conj(a) * b over all elements."""
    return matmul(np.conj(reshape(a, -1)) if np.iscomplexobj(a) else reshape(a, -1), reshape(b, -1))


def _tensordot(a, b, axes=2):
    """Sum over pairs of axes: one matrix product, with these axes last in a and first in b."""
    if isinstance(axes, int):
        left, right = list(range(np.ndim(a) - axes, np.ndim(a))), list(range(axes))
    else:
        left, right = ([int(i)] if np.ndim(i) == 0 else list(i) for i in axes)
    left, right = normalize_axis_tuple(left, np.ndim(a)), normalize_axis_tuple(right, np.ndim(b))
    if [np.shape(a)[i] for i in left] != [np.shape(b)[i] for i in right]:
        raise ValueError(
            f"tensordot: axes {left} of shape {np.shape(a)} do not fit axes {right} of shape {np.shape(b)}"
        )
    rows = [i for i in range(np.ndim(a)) if i not in left]
    columns = [i for i in range(np.ndim(b)) if i not in right]
    n = math.prod(np.shape(a)[i] for i in left)
    shape = [np.shape(a)[i] for i in rows], [np.shape(b)[i] for i in columns]
    x = reshape(np.transpose(a, (*rows, *left)), (math.prod(shape[0]), n))
    y = reshape(np.transpose(b, (*right, *columns)), (n, math.prod(shape[1])))
    return reshape(matmul(x, y), (*shape[0], *shape[1]))


def _kron(a, b):
    """Every element of a times all of b, laid out in blocks."""
    ndim = max(np.ndim(a), np.ndim(b))
    sa, sb = ((1,) * (ndim - np.ndim(x)) + np.shape(x) for x in (a, b))
    x = reshape(a, [n for pair in zip(sa, (1,) * ndim, strict=True) for n in pair])
    y = reshape(b, [n for pair in zip((1,) * ndim, sb, strict=True) for n in pair])
    return reshape(np.multiply(x, y), [n * m for n, m in zip(sa, sb, strict=True)])


def _cross(a, b, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None):
    """The vector product in three dimensions."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if (a.shape[-1], b.shape[-1]) != (3, 3):
        raise ValueError(f"cross: the vectors need 3 components; got {a.shape[-1]} and {b.shape[-1]}")
    turn, back = [1, 2, 0], [2, 0, 1]
    return np.moveaxis(a[..., turn] * b[..., back] - a[..., back] * b[..., turn], -1, axisc)


def _vecdot(x1, x2, /, *, axis: int = -1):
    """The sum of conj(x1) * x2 along an axis."""
    x1, x2 = (np.moveaxis(x, normalize_axis_index(axis, np.ndim(x)), -1) for x in (x1, x2))
    if x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"vecdot: vectors of {x1.shape[-1]} and {x2.shape[-1]} elements along axis {axis}")
    return np.sum((np.conj(x1) if np.iscomplexobj(x1) else x1) * x2, axis=-1)


inner = composite(_inner, np.inner)
vdot = composite(_vdot, np.vdot)
tensordot = composite(_tensordot, np.tensordot, np.linalg.tensordot)
kron = composite(_kron, np.kron)
cross = composite(
    _cross, np.cross, spelled={np.linalg.cross: lambda x1, x2, /, *, axis=-1: _cross(x1, x2, axis, axis, axis)}
)
vecdot = composite(_vecdot, *[f for f in (getattr(np, "vecdot", None), np.linalg.vecdot) if f], name="vecdot")
if hasattr(np, "matvec"):  # NumPy 2.2
    matvec = composite(lambda x1, x2: matmul(x1, np.expand_dims(x2, -1))[..., 0], np.matvec)
    vecmat = composite(
        lambda x1, x2: matmul(np.expand_dims(np.conj(x1) if np.iscomplexobj(x1) else x1, -2), x2)[..., 0, :], np.vecmat
    )

# ---- einsum


def _parse(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """One letter per axis for every operand and for the result: no ellipsis, no implicit result."""
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands; got {len(shapes)}")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    longest = max(len(s) - len(t) + 3 if "..." in t else 0 for t, s in zip(terms, shapes, strict=True))
    dots = "".join(spare[:longest])
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        hidden = len(shape) - len(term) + 3
        terms[i] = term.replace("...", dots[longest - hidden :]) if "..." in term else term
    if not arrow:
        counts = Counter("".join(terms))
        result = "..." + "".join(sorted(c for c, n in counts.items() if n == 1 and c not in dots))
    return terms, result.replace("...", dots)


_LABELS = string.ascii_uppercase + string.ascii_lowercase  # as NumPy orders the integers


def _einsum_call(*operands, optimize=False) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Also takes NumPy's other form, einsum(a, [0, 1], b, [1, 2], [0, 2])."""
    if isinstance(operands[0], str):
        return operands[1:], {"subscripts": operands[0], "optimize": optimize}
    names = [
        "".join("..." if i is Ellipsis else _LABELS[i] for i in axes)
        for axes in operands[1::2] + (operands[-1:] if len(operands) % 2 else ())
    ]
    arrays = operands[: len(operands) // 2 * 2 : 2]
    text = ",".join(names[: len(arrays)]) + "".join("->" + name for name in names[len(arrays) :])
    return arrays, {"subscripts": text, "optimize": optimize}


def _einsum_rule(g, _out, *inputs, subscripts: str, optimize):
    """`einsum(g, others)`: the other operands, with the gradient in place of the result."""
    terms, result = _parse(subscripts, [x.shape for x in inputs])
    return lambda i: _einsum_gradient(i, g, inputs, terms, result, optimize)


def _einsum_gradient(i: int, g, inputs, terms: list[str], result: str, optimize):
    """An einsum of g with the other operands gives the gradient for each distinct letter of operand i.

    A letter that occurs nowhere else, or only with length 1, was summed over, so its gradient repeats: an operand of
    ones carries it.  An axis of length 1 of operand i was itself repeated, so its gradient is a sum.
    Letters that operand i repeats ("ii") name a diagonal: the gradient goes there.
    """
    mine, shape = terms[i], inputs[i].shape
    if 0 in shape:  # which NumPy's einsum may refuse
        return zero(inputs[i])
    letters = "".join(dict.fromkeys(mine))
    others = [(t, x) for j, (t, x) in enumerate(zip(terms, inputs, strict=True)) if j != i]
    sizes, known = _sizes([(mine, inputs[i])]), _sizes([(result, g), *others])
    repeated = [(c, n) for c, n in sizes.items() if c not in known or known[c] != n != 1]
    others += [(c, np.ones_like(inputs[i], shape=(n,))) for c, n in repeated]
    text = ",".join([result, *(t for t, _ in others)]) + "->" + letters
    gradient = einsum(text, g, *(x for _, x in others), optimize=optimize)
    if letters == mine:
        return gradient
    places = {
        c: np.arange(n, like=array_of(inputs[i])).reshape([n if c == other else 1 for other in letters])
        for c, n in zip(letters, gradient.shape, strict=True)
    }
    return scatter(
        gradient,
        shape=shape,
        index=tuple(places[c] if n != 1 else 0 * places[c] for c, n in zip(mine, shape, strict=True)),
    )


def _sizes(operands) -> dict[str, int]:
    """How often each letter counts: an axis of length 1 is repeated as often as the others of its letter are long."""
    sizes: dict[str, int] = {}
    for term, x in operands:
        for c, n in zip(term, x.shape, strict=True):
            sizes[c] = n if sizes.get(c, 1) == 1 else sizes[c]
    return sizes


SMALL = 4000  # products, which NumPy's loop adds up in the 2 us that all this takes


@functools.lru_cache(1024)
def _as_matmul(subscripts: str, *shapes: tuple[int, ...]) -> tuple[Any, ...] | None:
    """How an einsum of two arrays is a product of stacks of matrices; None if it is not, or is small, or is wrong.

    (Whether the second array is the left factor; axes and shape of the left one, of the right one, of the result.)  A
    letter of both arrays counts stacks or, if the result lacks it, is summed over; one of a single array counts rows or
    columns.
    """
    left, arrow, right = subscripts.partition("->")
    if left.count(",") != 1 or (arrow and ("..." in left) != ("..." in right)):
        return None
    (a, b), result = _parse(subscripts, [*shapes])
    plain = a.isalpha() and b.isalpha() and (a + b).isascii() and {*result} <= {*a, *b}
    if not plain or any(len({*t}) != len(t) for t in (a, b, result)) or (len(a), len(b)) != (*map(len, shapes),):
        return None
    swapped = result[-1:] in {*a} - {*b} and not {*b} <= {*a}  # so that the result lies row by row
    (a, x), (b, y) = list(zip((a, b), shapes, strict=True))[:: -1 if swapped else 1]
    mine, theirs = dict(zip(a, x, strict=True)), dict(zip(b, y, strict=True))
    sizes = {c: theirs.get(c, n) if n == 1 else n for c, n in (theirs | mine).items()}
    stacks = "".join(c for c in result if c in a and c in b)
    rows, columns = ("".join(c for c in result if c not in other) for other in (b, a))
    summed = "".join(c for c in a if c in b and c not in result)
    alone = len(a) + len(b) != len(rows + columns) + 2 * len(stacks + summed)  # a letter is summed over in one of them
    repeated = any(mine[c] != theirs[c] and (c in summed or 1 not in (mine[c], theirs[c])) for c in stacks + summed)
    if alone or repeated or not summed or not rows + columns or math.prod(sizes.values()) < SMALL:
        return None
    n, m, k = (math.prod(sizes[c] for c in letters) for letters in (rows, columns, summed))
    return (
        swapped,
        *(_axes(a, stacks + rows + summed), (*(mine[c] for c in stacks), n, k)),
        *(_axes(b, stacks + summed + columns), (*(theirs[c] for c in stacks), k, m)),
        *(_axes(stacks + rows + columns, result), tuple(sizes[c] for c in stacks + rows + columns)),
    )


def _axes(old: str, new: str) -> list[int] | None:
    """The axes to transpose to for letters in another order; None if it is the same."""
    return None if old == new else [old.index(c) for c in new]


def _einsum(*operands, subscripts: str, optimize):
    """np.einsum, whose own loop takes 12 to 20 times as long as a product of matrices where it is one."""
    dtypes, found = {getattr(x, "dtype", None) for x in operands}, None
    if len(operands) == 2 and len(dtypes) == 1 and dtypes <= _OF_BLAS and type(optimize) is bool:
        found = _as_matmul(subscripts, operands[0].shape, operands[1].shape)
    if found is None:
        return np.einsum(subscripts, *operands, optimize=optimize)
    swapped, rows, left, columns, right, order, shape = found
    x, y = operands[::-1] if swapped else operands
    product = _reshaped(_matmul(_reshaped(x, rows, left), _reshaped(y, columns, right)), None, shape)
    return product if order is None else np.transpose(product, order)


def _reshaped(x, axes: list[int] | None, shape: tuple[int, ...]):
    """x with its axes in this order, then of this shape."""
    x = x if axes is None else np.transpose(x, axes)
    return x if x.shape == shape else np.reshape(x, shape)


_OF_BLAS = {np.dtype(c) for c in "fdFD"}

einsum = differentiable(
    _einsum,
    every=_einsum_rule,
    call=_einsum_call,
    name="einsum",
    numpy=[np.einsum],
    view=True,  # of one operand
)

# ---- test data

CASES[matmul] = [
    Case((3,), (3,)),
    Case((3,), (3, 2)),
    Case((2, 3), (3,)),
    Case((2, 3), (3, 4)),
    Case((3,), (5, 3, 2)),
    Case((5, 2, 3), (3,)),
    Case((5, 2, 3), (3, 4)),
    Case((2, 3), (5, 3, 4)),
    Case((5, 1, 2, 3), (4, 3, 2)),
    Case((2, 0), (0, 3)),
]
CASES[dot] = [
    Case((), (2, 3)),
    Case((3,), (3,)),
    Case((2, 3), (3, 4)),
    Case((2, 3), (3,)),
    Case((3,), (4, 3, 2)),
    Case((2, 3), (4, 3, 2)),
    Case((5, 2, 3), (4, 3, 2)),
    Case((5, 2, 3), (3,)),
]
CASES[outer] = [Case((2,), (3,)), Case((2, 2), (3,)), Case((), (2,))]
CASES[inner] = [Case((3,), (3,)), Case((2, 3), (4, 3)), Case((), (2,)), Case((2, 4, 3), (3,))]
CASES[vdot] = [Case((3,), (3,)), Case((2, 3), (2, 3))]
CASES[tensordot] = [
    Case((2, 3, 4), (3, 4, 5)),
    Case((2, 3), (3,), axes=1),
    Case((2, 3), (2, 3), axes=([0, 1], [0, 1])),
    Case((2, 3), (4, 2), axes=(0, -1)),
    Case((2,), (3,), axes=0),
]
CASES[kron] = [Case((2,), (3,)), Case((2, 3), (3, 2)), Case((2,), (2, 2)), Case((), (2,))]
CASES[cross] = [Case((3,), (3,)), Case((2, 3), (3,)), Case((3, 2), (3, 2), axis=0), Case((3, 2), (2, 3), axisa=0)]
CASES[vecdot] = [Case((3,), (3,)), Case((2, 3), (2, 3)), Case((4, 1, 3), (2, 3)), Case((3, 2), (3, 2), axis=0)]
if hasattr(np, "matvec"):
    CASES[matvec] = [Case((2, 3), (3,)), Case((5, 2, 3), (5, 3)), Case((2, 3), (5, 3))]
    CASES[vecmat] = [Case((2,), (2, 3)), Case((5, 2), (5, 2, 3)), Case((5, 2), (2, 3))]
CASES[NUMPY[np.linalg.cross]] = [Case((2, 3), (2, 3))]
CASES[NUMPY[np.linalg.outer]] = [Case((2,), (3,))]
CASES[einsum] = [
    Case("ij,jk->ik", (2, 3), (3, 4)),
    Case("ij,jk", (2, 3), (3, 4)),
    Case("ba", (2, 3)),
    Case("ij->", (2, 3)),
    Case("ij->j", (2, 3)),
    Case("ii", (3, 3)),
    Case("ii->i", (3, 3)),
    Case("iij,j->i", (2, 2, 3), (3,)),
    Case("i,i,i->i", (3,), (3,), (3,)),
    Case("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    Case("...i,i", (4, 2, 3), (3,)),
    Case("i...->...", (2, 3)),
    Case("...,...", (2, 1), (3,)),
    Case("ij,jk,kl->il", (2, 3), (3, 4), (4, 2), optimize=True),
    Case(",ij->ji", (), (2, 3)),
]
