"""Rules of products of vectors and matrices."""

from __future__ import annotations

import string
from collections import Counter
from typing import Any

import numpy as np

from ..op import Case, composite, differentiable
from .index import scatter
from .shape import reshape


def _flip(x: Any) -> Any:
    """Every matrix in x transposed."""
    return x.swapaxes(-1, -2)


def _matmul_left(g: Any, _z: Any, _x: Any, y: Any) -> Any:
    if g.ndim == y.ndim == 2:
        return g @ y.T
    if y.ndim == 1:
        return g * y if len(_x.shape) == 1 else g[..., None] * y
    if len(_x.shape) == 1:
        return (g[..., None, :] @ _flip(y))[..., 0, :]
    return g @ _flip(y)


def _matmul_right(g: Any, _z: Any, x: Any, _y: Any) -> Any:
    if g.ndim == x.ndim == 2:
        return x.T @ g
    if x.ndim == 1:
        return g * x if len(_y.shape) == 1 else x[:, None] * g[..., None, :]
    if len(_y.shape) == 1:
        return (_flip(x) @ g[..., None])[..., 0]
    if len(_y.shape) == 2:  # one matrix for the whole batch: a single product, not one to sum per item
        return np.reshape(x, (-1, x.shape[-1])).T @ np.reshape(g, (-1, g.shape[-1]))
    return _flip(x) @ g


matmul = differentiable(
    np.matmul,
    _matmul_left,
    _matmul_right,
    operator="matmul",
    cases=[
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
    ],
)


def _dot_ops(a: Any, b: Any) -> Any:
    """NumPy's dot: the last axis of a with the last but one of b; a product when either is 0-d."""
    shapes = np.shape(a), np.shape(b)
    if () in shapes:
        return np.multiply(a, b)
    if len(shapes[0]) <= 2 >= len(shapes[1]):
        return matmul(a, b)
    if len(shapes[1]) == 1:
        return matmul(a, b)
    order = (len(shapes[1]) - 2, *range(len(shapes[1]) - 2), len(shapes[1]) - 1)
    n = shapes[1][-2]
    product = matmul(reshape(a, (-1, n)), reshape(np.transpose(b, order), (n, -1)))
    return reshape(product, shapes[0][:-1] + shapes[1][:-2] + shapes[1][-1:])


dot = composite(
    _dot_ops,
    np.dot,
    cases=[
        Case((), (2, 3)),
        Case((3,), (3,)),
        Case((2, 3), (3, 4)),
        Case((2, 3), (3,)),
        Case((3,), (4, 3, 2)),
        Case((2, 3), (4, 3, 2)),
        Case((5, 2, 3), (4, 3, 2)),
        Case((5, 2, 3), (3,)),
    ],
)
outer = composite(
    lambda a, b: np.multiply(reshape(a, (-1, 1)), reshape(b, (1, -1))),
    np.outer,
    cases=[Case((2,), (3,)), Case((2, 2), (3,)), Case((), (2,))],
)


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


def _einsum_call(*operands: Any, optimize: Any = False) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Also takes NumPy's other form, einsum(a, [0, 1], b, [1, 2], [0, 2])."""
    if isinstance(operands[0], str):
        return operands[1:], {"subscripts": operands[0], "optimize": optimize}
    names = [
        "".join("..." if i is Ellipsis else string.ascii_letters[i] for i in axes)
        for axes in operands[1::2] + (operands[-1:] if len(operands) % 2 else ())
    ]
    arrays = operands[: len(operands) // 2 * 2 : 2]
    text = ",".join(names[: len(arrays)]) + "".join("->" + name for name in names[len(arrays) :])
    return arrays, {"subscripts": text, "optimize": optimize}


def _einsum_rule(i: int, g: Any, _out: Any, *inputs: Any, subscripts: str, optimize: Any) -> Any:
    """An einsum of g with the other operands gives the gradient for each distinct letter of operand i.

    A letter that occurs nowhere else was only summed over, so its gradient repeats: an operand of ones carries it.
    Letters that operand i repeats ("ii") name a diagonal: the gradient is put on it.
    """
    terms, result = _parse(subscripts, [x.shape for x in inputs])
    mine, shape = terms[i], inputs[i].shape
    letters = "".join(dict.fromkeys(mine))
    sizes = dict(zip(mine, shape, strict=True))
    others = [(t, x) for j, (t, x) in enumerate(zip(terms, inputs, strict=True)) if j != i]
    known = result + "".join(t for t, _ in others)
    others += [(c, np.ones_like(inputs[i], shape=(sizes[c],))) for c in letters if c not in known]
    text = ",".join([result, *(t for t, _ in others)]) + "->" + letters
    gradient = np.einsum(text, g, *(x for _, x in others), optimize=optimize)
    if letters == mine:
        return gradient
    places = {c: np.arange(n).reshape([n if c == other else 1 for other in letters]) for c, n in sizes.items()}
    return scatter(gradient, shape=shape, index=tuple(places[c] for c in mine))


einsum = differentiable(
    lambda *operands, subscripts, optimize: np.einsum(subscripts, *operands, optimize=optimize),
    every=_einsum_rule,
    call=_einsum_call,
    name="einsum",
    numpy=[np.einsum],
    cases=[
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
    ],
)
