"""Recurrent layers: one op for a layer and a direction, whose rule on arrays is written out.

The state of a sample is updated at each of T steps from its input x_t and from the state before.  A cell says how: on
arrays `step` makes one step and `back` goes through all steps backwards; `compose` is one step made of other ops, from
which derivatives of higher order come.  The products with x do not wait for one another and are one large product.

The op returns (states + sums, T, n, size): after the states of all steps come the sums that the activations were
taken of, so that the way back need not repeat the products with h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd import CASES, Case, Tensor, differentiable, outside, vjp

from .arrays import only_real
from .windows import same_shape

Counts = tuple[int, ...] | None  # how many samples each step has, the longest first; None: always all
Made = tuple[tuple[Any, ...], tuple[Any, ...]]  # new states, and sums


def _product(h: Any, weight: Any, bias: Any) -> Any:
    """weight h + bias, of arrays or Tensors."""
    y = np.dot(h, weight.T) if isinstance(h, np.ndarray) else h @ weight.T
    return y if bias is None else y + bias


def _sigmoid(a: Any) -> Any:
    """By tanh, which NumPy computes four times as fast as exp and a division."""
    return 0.5 * np.tanh(0.5 * a) + 0.5


def _slope(gate: Any) -> Any:
    """The derivative of the sigmoid function, where that is `gate`."""
    return gate * (1 - gate)


def _blocks(a: Any, size: int) -> list[Any]:
    return [a[..., k : k + size] for k in range(0, a.shape[-1], size)]


class Cell:
    """A kind of recurrent cell: how many blocks of rows its weights have, and how many states and sums it has."""

    gates, states, sums = 1, 1, 0

    def step(self, a: Any, weight: Any, bias: Any, *states: Any) -> Made:
        """One step of arrays or Tensors, given `a` = input weight times x_t, plus bias."""
        raise NotImplementedError

    def back(self, way: Way, g: Any) -> tuple[Any, Any, list[Any]]:
        """The gradients of `a` and of the products with h for all steps, and those of the first states."""
        raise NotImplementedError


class Rnn(Cell):
    """h' = tanh(a + weight h + bias), or ReLU in place of tanh; Elman 1990."""

    def __init__(self, relu: bool = False) -> None:
        self.relu = relu

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rnn) and self.relu == other.relu

    __hash__ = object.__hash__

    def step(self, a: Any, weight: Any, bias: Any, *states: Any) -> Made:
        a = a + _product(states[0], weight, bias)
        return (np.maximum(a, 0) if self.relu else np.tanh(a),), ()

    def back(self, way: Way, g: Any) -> tuple[Any, Any, list[Any]]:
        da = (way.out[0] > 0).astype(g.dtype) if self.relu else 1 - np.square(way.out[0])
        dh = np.zeros_like(way.before[0][0])
        for t, n in way.steps():
            dh[:n] += g[0, t, :n]
            da[t, :n] *= dh[:n]
            da[t, n:] = 0
            np.dot(da[t, :n], way.weight, out=dh[:n])
        return da, da, [dh]


class Lstm(Cell):
    """Gates i, f, g, o: c' = f c + i g and h' = o tanh(c'); Hochreiter and Schmidhuber 1997, Gers et al. 2000."""

    gates, states, sums = 4, 2, 4

    def step(self, a: Any, weight: Any, bias: Any, *states: Any) -> Made:
        h, c = states
        sums = _blocks(a + _product(h, weight, bias), h.shape[-1])
        c = _sigmoid(sums[1]) * c + _sigmoid(sums[0]) * np.tanh(sums[2])
        return (_sigmoid(sums[3]) * np.tanh(c), c), tuple(sums)

    def back(self, way: Way, g: Any) -> tuple[Any, Any, list[Any]]:
        i, f, o = (_sigmoid(way.out[k]) for k in (2, 3, 5))
        new, tip = np.tanh(way.out[4]), np.tanh(way.out[1])
        da = way.empty(4)  # at first, what the gradients of h and c are multiplied by
        for block, factor in enumerate(
            (new * _slope(i), way.before[1] * _slope(f), i * (1 - new * new), tip * _slope(o))
        ):
            da[:, :, block] = factor
        through = o * (1 - tip * tip)
        dh, dc = (np.zeros_like(before[0]) for before in way.before)
        for t, n in way.steps():
            dh[:n] += g[0, t, :n]
            dc[:n] += g[1, t, :n]
            dc[:n] += dh[:n] * through[t, :n]
            da[t, :n, :3] *= dc[:n, None]
            da[t, :n, 3] *= dh[:n]
            way.add_sums(da, g, t, n)
            dc[:n] *= f[t, :n]
            np.dot(way.rows(da)[t, :n], way.weight, out=dh[:n])
        return way.rows(da), way.rows(da), [dh, dc]


class Gru(Cell):
    """Gates r and z, and n = tanh(a_n + r (weight_n h + bias_n)): h' = n + z (h - n); Cho et al. 2014."""

    gates, states, sums = 3, 1, 4

    def step(self, a: Any, weight: Any, bias: Any, *states: Any) -> Made:
        (h,) = states
        (a_r, a_z, a_n), (b_r, b_z, b_n) = (
            _blocks(part, h.shape[-1]) for part in (a, _product(h, weight, bias))
        )  # fmt: skip
        r, z = a_r + b_r, a_z + b_z
        n = a_n + _sigmoid(r) * b_n
        new = np.tanh(n)
        return (new + _sigmoid(z) * (h - new),), (r, z, n, b_n)

    def back(self, way: Way, g: Any) -> tuple[Any, Any, list[Any]]:
        r, z, new, b_n = _sigmoid(way.out[1]), _sigmoid(way.out[2]), np.tanh(way.out[3]), way.out[4]
        da, db = way.empty(3), way.empty(3)
        of_new = (1 - z) * (1 - new * new)
        for block, factor in enumerate((of_new * b_n * _slope(r), (way.before[0] - new) * _slope(z), of_new)):
            da[:, :, block] = factor
        dh = np.zeros_like(way.before[0][0])
        for t, n in way.steps():
            dh[:n] += g[0, t, :n]
            da[t, :n] *= dh[:n, None]
            if way.sums_count:
                da[t, :n, 0] += g[3, t, :n] * b_n[t, :n] * _slope(r[t, :n])
            way.add_sums(da, g, t, n)
            db[t] = da[t]
            db[t, :, 2] *= r[t]
            if way.sums_count:
                db[t, :n, 2] += g[4, t, :n]
            dh[:n] *= z[t, :n]
            dh[:n] += np.dot(way.rows(db)[t, :n], way.weight)
        return way.rows(da), way.rows(db), [dh]


# ---- a layer: a cell, all steps


class Way:
    """The arrays that the way back through a layer reads."""

    def __init__(
        self, cell: Cell, g: Any, out: Any, weight: Any, first: Sequence[Any], reverse: bool, counts: Counts
    ) -> None:
        self.out, self.weight, self.reverse, self.counts = out, weight, reverse, counts
        self.before = [_before(own, start, reverse, counts) for own, start in zip(out, first, strict=False)]
        self.states = cell.states
        self.sums_count = bool(g[cell.states :].any())  # whether anybody reads the sums

    def steps(self) -> Iterator[tuple[int, int]]:
        return _steps(self.out.shape[1:3], not self.reverse, self.counts)

    def empty(self, blocks: int) -> Any:
        """An array (T, n, blocks, size)."""
        return np.empty((*self.out.shape[1:3], blocks, self.out.shape[-1]), self.out.dtype, like=self.out)

    def rows(self, a: Any) -> Any:
        """`a` with its blocks one after the other, as in the rows of the weights."""
        return a.reshape(*a.shape[:2], a.shape[2] * a.shape[3])

    def add_sums(self, da: Any, g: Any, t: int, n: int) -> None:
        """Add the gradients that reach the sums themselves; samples that have ended get 0."""
        da[t, n:] = 0
        if self.sums_count:
            blocks = da.shape[2]
            da[t, :n] += np.moveaxis(g[self.states : self.states + blocks, t, :n], 0, 1)


def _steps(shape: tuple[int, ...], reverse: bool, counts: Counts) -> Iterator[tuple[int, int]]:
    """The number of each step and how many samples it has, in order."""
    order = range(shape[0])
    for t in reversed(order) if reverse else order:
        yield t, shape[1] if counts is None else counts[t]


def _before(states: Any, first: Any, reverse: bool, counts: Counts) -> Any:
    """The state before each step."""
    before = np.empty_like(states)
    if not reverse:
        before[1:], before[:1] = states[:-1], first
        return before
    before[:-1], before[-1:] = states[1:], first
    for t, (n, later) in enumerate(zip(counts or (), (counts or ())[1:], strict=False)):
        before[t, later:n] = first[later:n]  # samples that begin here
    return before


def last_steps(counts: Counts) -> Any:
    """An index of the last step of every sequence."""
    if counts is None:
        return -1
    lengths = (np.array(counts)[:, None] > np.arange(counts[0])).sum(0)
    return lengths - 1, np.arange(counts[0])


def _split(cell: Cell, inputs: Sequence[Any]) -> tuple[Any, Any, Any, Any, Any, list[Any]]:
    x, weight_in, weight, *rest = inputs
    bias_in, bias = rest[:2] if len(rest) > cell.states else (None, None)
    return x, weight_in, weight, bias_in, bias, [*rest[-cell.states :]]


def _sums_of_inputs(x: Any, weight: Any, bias: Any) -> Any:
    return np.reshape(_product(np.reshape(x, (-1, x.shape[-1])), weight, bias), (*x.shape[:2], weight.shape[0]))


def _check(cell: Cell, x: Any, weight_in: Any, weight: Any, bias_in: Any, bias: Any, first: Sequence[Any]) -> None:
    """Raise ValueError for shapes that do not fit, before NumPy stretches them."""
    for array in (x, weight_in, weight, bias_in, bias, *first):
        only_real("recurrent", array)
    size = weight.shape[-1]
    if len(x) < 1:
        raise ValueError(f"recurrent needs at least one step; got inputs of shape {x.shape}")
    same_shape("the weight of inputs", weight_in.shape, (cell.gates * size, x.shape[-1]))
    same_shape("the weight of states", weight.shape, (cell.gates * size, size))
    for vector in (bias_in, bias):
        if vector is not None:
            same_shape("a bias", vector.shape, (cell.gates * size,))
    for state in first:
        same_shape("a first state", state.shape, (x.shape[1], size))


def _steps_forward(cell: Cell, reverse: bool, counts: Counts, *arrays: Any) -> Any:
    x, weight_in, weight, bias_in, bias, first = _split(cell, arrays)
    _check(cell, x, weight_in, weight, bias_in, bias, first)
    states = [state.copy() for state in first]
    a = _sums_of_inputs(x, weight_in, bias_in)
    out = np.zeros((cell.states + cell.sums, *x.shape[:2], states[0].shape[-1]), a.dtype, like=a)
    for t, n in _steps(x.shape, reverse, counts):
        made, sums = cell.step(a[t, :n], weight, bias, *(state[:n] for state in states))
        for state, new in zip(states, made, strict=True):
            state[:n] = new
        for own, new in zip(out, (*made, *sums), strict=True):
            own[t, :n] = new
    return out


def _composed(cell: Cell, reverse: bool, counts: Counts, *inputs: Any) -> Any:
    """`_steps_forward`, of ops."""
    x, weight_in, weight, bias_in, bias, states = _split(cell, inputs)
    rows: list[Any] = [None] * x.shape[0]
    a = _sums_of_inputs(x, weight_in, bias_in)
    for t, n in _steps(x.shape, reverse, counts):
        made, sums = cell.step(a[t, :n], weight, bias, *(state[:n] for state in states))
        ended = np.zeros((x.shape[1] - n, made[0].shape[1]), made[0].dtype, like=made[0])
        rows[t] = np.stack([np.concatenate([new, ended]) for new in (*made, *sums)])
        states = [np.concatenate([new, state[n:]]) for new, state in zip(made, states, strict=True)]
    return np.stack(rows, axis=1)


def _steps_back(cell: Cell, reverse: bool, counts: Counts, g: Any, out: Any, *arrays: Any) -> list[Any]:
    x, weight_in, weight, _, bias, first = _split(cell, arrays)
    way = Way(cell, g, out, weight, first, reverse, counts)
    da, db, of_first = cell.back(way, g)
    da, db = da.reshape(-1, da.shape[-1]), db.reshape(-1, db.shape[-1])
    found = [
        np.dot(da, weight_in).reshape(x.shape),
        np.dot(da.T, x.reshape(-1, x.shape[-1])),
        np.dot(db.T, way.before[0].reshape(len(db), weight.shape[1])),
    ]
    biases = [] if bias is None else [da.sum(0), db.sum(0)]
    return [*found, *biases, *of_first]


def _rule(g: Any, out: Any, *inputs: Any, cell: Cell, reverse: bool, counts: Counts) -> Callable[[int], Any]:
    """`back through all steps`, for all inputs at once: on arrays by `Cell.back`, on Tensors by ops."""
    if any(isinstance(x, Tensor) for x in (g, out, *inputs)):
        _, pull = vjp(lambda *own: _composed(cell, reverse, counts, *own), *inputs)
        found = pull(g)
    else:
        found = outside(_steps_back, cell, reverse, counts, g, out, *inputs)
    return lambda i: found[i]


recurrent: Any = differentiable(
    lambda *arrays, cell, reverse, counts: outside(_steps_forward, cell, reverse, counts, *arrays),
    every=_rule,
    call=lambda *inputs, cell, reverse=False, counts=None: (
        inputs,
        {"cell": cell, "reverse": reverse, "counts": counts},
    ),
    name="recurrent",
)


def projected(
    x: Any, weight_hr: Any, weights: Sequence[Any], h: Any, c: Any, *, cell: Cell, reverse: bool, counts: Counts
) -> tuple[Any, Any]:
    """The h of every step, projected by weight_hr (Sak et al. 2014), and the c; `h` None: the first is 0.

    weight_hh (weight_hr u) is (weight_hh weight_hr) u, so the steps are those of an LSTM with the state u, which is h
    before it is projected, and all projections are one product.  The first h is an input, of the first step.
    """
    weight_ih, weight_hh, *biases = weights
    if h is not None:
        begin = 0 if not reverse else len(x) - 1 if counts is None else last_steps(counts)[0]
        begins = np.arange(len(x))[:, None] == np.broadcast_to(begin, x.shape[1])
        begins = np.asarray(begins, like=h)
        x = np.concatenate([x, np.where(begins[:, :, None], h, 0.0)], axis=-1)
        weight_ih = np.concatenate([weight_ih, weight_hh], axis=1)
    arrays = (x, weight_ih, weight_hh @ weight_hr, *biases, np.zeros_like(c), c)
    made = recurrent(*arrays, cell=cell, reverse=reverse, counts=counts)
    return made[0] @ weight_hr.T, made[1]


CASES[recurrent] = [
    Case((3, 2, 2), (2, 2), (2, 2), (2,), (2,), (2, 2), cell=Rnn()),
    Case((3, 2, 2), (8, 2), (8, 2), (2, 2), (2, 2), cell=Lstm(), reverse=True),
    Case((3, 2, 2), (6, 2), (6, 2), (6,), (6,), (2, 2), cell=Gru(), counts=(2, 1, 1)),
]
