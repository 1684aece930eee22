"""Recurrent layers, whose state is updated at each step of a sequence, and single cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import functional as F
from . import init
from .functional.recurrent import Cell, Gru, Lstm, Rnn, last_steps, projected, recurrent
from .layers import whole_numbers
from .module import Module, Parameter
from .sequences import PackedSequence, packed_like, unpacked

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]


def _weights(
    module: Module,
    ending: str,
    rows: int,
    inputs: int,
    size: int,
    bias: bool,
    dtype: Any,
    generator: Any,
    proj: int = 0,
) -> None:
    """PyTorch's names and initial values: uniform within 1/sqrt(size)."""
    bound = 1 / math.sqrt(size)
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, proj or size)}
    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
    shapes |= {"weight_hr": (proj, size)} if proj else {}
    for name, shape in shapes.items():
        parameter = Parameter(np.empty(shape, dtype))
        init.uniform_(parameter, -bound, bound, generator)
        setattr(module, f"{name}{ending}", parameter)


class _Recurrent(Module):
    """Layers of one kind of cell, in one or both directions."""

    cell: Cell
    nonlinearity = "tanh"
    proj_size = 0

    def _begin(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: Any,
        generator: Any,
    ) -> None:
        whole_numbers(self, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if min(hidden_size, num_layers) < 1 or input_size < 0:
            raise ValueError(f"{type(self).__name__}: hidden_size and num_layers are at least 1")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{type(self).__name__}: dropout is a probability, from 0 to 1; got {dropout!r}")
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        self.generator = generator
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else (self.proj_size or hidden_size) * (1 + bidirectional)
            for ending in self._endings(layer):
                _weights(
                    self, ending, self.cell.gates * hidden_size, inputs, hidden_size, bias, dtype, generator,
                    self.proj_size,
                )  # fmt: skip

    def _endings(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def _layer(self, ending: str) -> list[Any]:
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        return [getattr(self, f"{name}{ending}") for name in names]

    def _first(self, given: Any, x: Any) -> list[Any]:
        """The first states (layers * directions, n, hidden_size), of zeros unless they are given."""
        shape = (self.num_layers * (1 + self.bidirectional), np.shape(x)[1], self.hidden_size)
        if given is None:
            return [np.zeros(shape, x.dtype, like=x)] * self.cell.states
        h_shape = (*shape[:2], self.proj_size) if self.proj_size else shape
        return _states(self, given, [h_shape, shape][: self.cell.states], "first states")

    def forward(self, x: Any, state: Any = None) -> Any:
        """The last layer's h at every step, and the last states of all layers (layers * directions, n, hidden_size)."""
        self._check(x)
        if isinstance(x, PackedSequence):
            own = None if state is None else _each(state, lambda s: s[:, x.sorted_indices])
            y, last = self._through(unpacked(x), own, x.batch_sizes)
            return packed_like(y, x), _each(last, lambda s: s[:, x.unsorted_indices])
        if np.ndim(x) == 2:  # one sequence
            y, last = self._through(x[:, None], None if state is None else _each(state, lambda s: s[:, None]), None)
            return y[:, 0], _each(last, lambda s: s[:, 0])
        if self.batch_first:
            y, last = self._through(np.swapaxes(x, 0, 1), state, None)
            return np.swapaxes(y, 0, 1), last
        return self._through(x, state, None)

    def _check(self, x: Any) -> None:
        """Raise ValueError for a shape that does not fit."""
        packed = isinstance(x, PackedSequence)
        shape = np.shape(x.data if packed else x)
        if len(shape) not in ((2,) if packed else (2, 3)) or shape[-1] != self.input_size:
            order = "(n, T, {0})" if self.batch_first else "(T, n, {0})"
            wanted = ("packed (steps, {0})" if packed else f"{order} or (T, {{0}})").format(self.input_size)
            raise ValueError(f"{type(self).__name__}({self.describe()}) needs inputs of shape {wanted}; got {shape}")
        if shape[1 if self.batch_first and len(shape) == 3 else 0] < 1:
            raise ValueError(f"{type(self).__name__}({self.describe()}) needs at least one step; got shape {shape}")

    def _through(self, x: Any, state: Any, counts: Any) -> tuple[Any, Any]:
        first = self._first(state, x)
        ends: list[list[Any]] = [[] for _ in first]
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training, self.generator)
            ways = []
            for way, ending in enumerate(self._endings(layer)):
                own = [states[layer * (1 + self.bidirectional) + way] for states in first]
                options = {"cell": self.cell, "reverse": bool(way), "counts": counts}
                if self.proj_size:
                    own = own if state is not None else [None, own[1]]
                    made = projected(x, getattr(self, f"weight_hr{ending}"), self._layer(ending), *own, **options)
                else:
                    made = recurrent(x, *self._layer(ending), *own, **options)
                states = [made[k] for k in range(self.cell.states)]
                ways.append(states[0])
                for end, of_all in zip(ends, states, strict=True):
                    end.append(of_all[0] if way else of_all[last_steps(counts)])
            x = np.concatenate(ways, axis=-1) if len(ways) > 1 else ways[0]
        last = tuple(np.stack(end) for end in ends)
        return x, last if len(last) > 1 else last[0]

    def describe(self) -> str:
        words = [f"{self.input_size} -> {self.hidden_size}"]
        words += [f"proj_size={self.proj_size}"] if self.proj_size else []
        words += [f"num_layers={self.num_layers}"] if self.num_layers > 1 else []
        words += [self.nonlinearity] if self.nonlinearity != "tanh" else []
        words += [name for name in ("batch_first", "bidirectional") if getattr(self, name)]
        words += [f"dropout={self.dropout}"] if self.dropout else []
        words += [] if self.bias else ["bias=False"]
        return ", ".join(words)


def _states(module: Any, given: Any, shapes: Sequence[tuple[int, ...]], what: str) -> list[Any]:
    """The states that a call was given, one for each that the cell has; ValueError for others."""
    pair = module.cell.states > 1
    states = [*given] if isinstance(given, tuple | list) and pair else [given]
    if [np.shape(state) for state in states] != [*shapes]:
        got = " and ".join(str(np.shape(state)) for state in states)
        same = shapes[0] == shapes[-1]
        needed = f"of shape {shapes[0]}" if same else f"of shapes {shapes[0]} and {shapes[1]}"
        needed = f"(h, c), {'each ' * same}{needed}" if pair else needed
        raise ValueError(f"{type(module).__name__}({module.describe()}) needs {what} {needed}; got {got}")
    return states


def _each(states: Any, change: Any) -> Any:
    return tuple(map(change, states)) if isinstance(states, tuple | list) else change(states)


class RNN(_Recurrent):
    """A recurrent layer: x (T, n, input_size) -> h of every step (T, n, hidden_size), and the last h.

    h_t = tanh(weight_ih x_t + bias_ih + weight_hh h_(t-1) + bias_hh), or with `nonlinearity="relu"`.  A call takes the
    first h (num_layers * directions, n, hidden_size), 0 if it is not given, and returns the last.  With `batch_first`
    x and the result are (n, T, ...); a `PackedSequence` gives a PackedSequence.  `dropout` is between layers.  Weights
    have PyTorch's names, `weight_ih_l0` and so on.  Elman 1990.

    >>> y, last = RNN(3, 5)(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, last.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity is 'tanh' or 'relu'; got {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        self.cell = Rnn(nonlinearity == "relu")
        self._begin(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, generator
        )  # fmt: skip


class LSTM(_Recurrent):
    """Long short-term memory: x (T, n, input_size) -> h of every step (T, n, hidden_size), and the last (h, c).

    Gates decide what the cell c forgets and takes in, and what of it h shows.  A call takes the first (h, c), each
    (num_layers * directions, n, hidden_size).  With `proj_size` every h is weight_hr h, of this size, for the next
    step too; Sak et al. 2014.  See `RNN` for the other options.  Hochreiter and Schmidhuber 1997.

    >>> y, (h, c) = LSTM(3, 5, bidirectional=True)(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, c.shape
    ((7, 2, 10), (2, 2, 5))
    """

    cell = Lstm()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        whole_numbers(self, proj_size=proj_size)
        if not 0 <= proj_size < max(hidden_size, 1):
            raise ValueError(f"LSTM: proj_size is at least 0 and below hidden_size, {hidden_size}; got {proj_size}")
        self.proj_size = proj_size
        self._begin(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, generator
        )  # fmt: skip


class GRU(_Recurrent):
    """Gated recurrent units: x (T, n, input_size) -> h of every step (T, n, hidden_size), and the last h.

    See `RNN` for the arguments of a call and the options.  Cho et al. 2014.

    >>> y, last = GRU(3, 5, num_layers=2, batch_first=True)(np.zeros((2, 7, 3), np.float32))
    >>> y.shape, last.shape
    ((2, 7, 5), (2, 2, 5))
    """

    cell = Gru()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        self._begin(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype, generator
        )  # fmt: skip


# ---- one step


class _SingleCell(Module):
    """One step of a recurrent layer."""

    cell: Cell
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter
    bias_hh: Parameter

    def _begin(self, input_size: int, hidden_size: int, bias: bool, dtype: Any, generator: Any) -> None:
        whole_numbers(self, input_size=input_size, hidden_size=hidden_size)
        if hidden_size < 1 or input_size < 0:
            raise ValueError(f"{type(self).__name__}: hidden_size is at least 1; got {hidden_size}")
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        _weights(self, "", self.cell.gates * hidden_size, input_size, hidden_size, bias, dtype, generator)

    def forward(self, x: Any, state: Any = None) -> Any:
        if np.ndim(x) not in (1, 2) or np.shape(x)[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}({self.describe()}) needs inputs of shape (n, {self.input_size}); got "
                f"{np.shape(x)}"
            )
        shape = (*np.shape(x)[:-1], self.hidden_size)
        state = (
            [np.zeros(shape, x.dtype, like=x)] * self.cell.states
            if state is None
            else _states(self, state, [shape] * self.cell.states, "a state")
        )
        bias_ih, bias_hh = (self.bias_ih, self.bias_hh) if self.bias else (None, None)
        a = F.linear(x, self.weight_ih, bias_ih)
        if np.ndim(x) == 1:
            made, _ = self.cell.step(a[None], self.weight_hh, bias_hh, *(s[None] for s in state))
            made = tuple(new[0] for new in made)
        else:
            made, _ = self.cell.step(a, self.weight_hh, bias_hh, *state)
        return made if len(made) > 1 else made[0]

    def describe(self) -> str:
        relu = ", relu" if getattr(self, "nonlinearity", "tanh") == "relu" else ""
        return f"{self.input_size} -> {self.hidden_size}{relu}{'' if self.bias else ', bias=False'}"


class RNNCell(_SingleCell):
    """One step of `RNN`: x (n, input_size) and h (n, hidden_size) -> the next h.

    >>> RNNCell(3, 5)(np.zeros((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity is 'tanh' or 'relu'; got {nonlinearity!r}")
        self.nonlinearity = nonlinearity
        self.cell = Rnn(nonlinearity == "relu")
        self._begin(input_size, hidden_size, bias, dtype, generator)


class LSTMCell(_SingleCell):
    """One step of `LSTM`: x (n, input_size) and (h, c) -> the next (h, c).

    >>> h, c = LSTMCell(3, 5)(np.zeros((2, 3), np.float32))
    >>> h.shape
    (2, 5)
    """

    cell = Lstm()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        self._begin(input_size, hidden_size, bias, dtype, generator)


class GRUCell(_SingleCell):
    """One step of `GRU`: x (n, input_size) and h (n, hidden_size) -> the next h.

    >>> GRUCell(3, 5)(np.zeros((2, 3), np.float32)).shape
    (2, 5)
    """

    cell = Gru()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        self._begin(input_size, hidden_size, bias, dtype, generator)
