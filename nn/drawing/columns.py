"""A network as columns of nodes: its layers, the nodes that are shown, and their values for one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd import Tensor

from ..layers import Linear
from ..module import Module
from .dataflow import SAME, Skip, Step, follow, row_of


@dataclass
class Column:
    """A column of nodes: its title, its number of nodes, the `shown` ones, and the Linear layer that leads to it.

    The `title` has the name of the module.  The `heading` of a module that has only a number is its place instead.
    `layer` is None for the input column.  `values` (size,) are the activations of one sample, or None.  `skips` lead to
    this column.
    """

    title: str
    size: int
    shown: list[int]
    layer: Linear | None = None
    name: str = ""
    values: Any = None
    heading: str = "input"
    skips: list[Skip] = field(default_factory=list)

    @property
    def left_out(self) -> int:
        """The number of nodes that are not shown."""
        return self.size - len(self.shown)


def shown_units(size: int, most: int) -> list[int]:
    """Return the indices of the nodes to show: all, or the first and last ones.

    >>> shown_units(4, 6), shown_units(100, 6)
    ([0, 1, 2, 3], [0, 1, 2, 97, 98, 99])
    """
    if size <= most:
        return list(range(size))
    first = (most + 1) // 2
    return [*range(first), *range(size - (most - first), size)]


def columns_of(model: Module, sample: Any = None, max_units: int = 10, *others: Any) -> list[Column]:
    """Return the input column and one column per Linear layer, in the order in which a sample passes them.

    `sample`, (features,) or (1, features) or an image, sets the values: the output of a layer, or of the last
    activation after it that keeps its shape; `others` are further inputs.  Without one, a model that is not a
    row of modules is called on zeros, to see how its layers are joined.  Raises ValueError for a model without Linear
    layers, for columns that do not join, for a result that is not the last column, and for a sample of several rows.
    """
    linear = [module for module in model.modules() if isinstance(module, Linear)]
    if not linear:
        raise ValueError(f"nn.draw shows dense layers, and {type(model).__name__} has no nn.Linear")
    row, skips = row_of(model), list[Skip]()
    if sample is not None:
        steps, first, skips = _steps(model, sample, *others)
        if first.size != steps[0].module.in_features:  # type: ignore[union-attr]  # a Linear
            raise ValueError(f"nn.draw shows one sample; the first layer reads {np.size(first)} values")
    elif row is not None:
        steps, first = [Step(name, type(module).__name__, module, None) for name, module in row], None
        start = next(i for i, step in enumerate(steps) if isinstance(step.module, Linear))
        if any(not isinstance(step.module, SAME) for step in steps[:start]):
            raise ValueError(f"a layer of {type(model).__name__} changes the input before the first nn.Linear")
        steps = steps[start:]
    else:
        steps, first, skips = _steps_on_zeros(model, linear[0])
    columns = [Column("input", steps[0].module.in_features, [], values=first)]  # type: ignore[union-attr]  # a Linear
    for name, kind, module, value in steps:
        if isinstance(module, Linear):
            before = columns[-1]
            if module.in_features != before.size:
                raise ValueError(
                    f"the column before {name} has {before.size} nodes, but the layer takes {module.in_features}; "
                    f"nn.draw shows only layers that follow one another"
                )
            columns.append(Column(f"{name} Linear".strip(), module.out_features, [], module, name, value))
        elif value is not None and value.shape == (columns[-1].size,):
            columns[-1].title += f", {kind}"
            columns[-1].values = value
    for i, column in enumerate(columns[1:], 1):
        column.heading = _heading(column, "output layer" if i == len(columns) - 1 else f"hidden layer {i}")
    columns[-1].title = f"output: {columns[-1].title}"
    for skip in skips:
        columns[skip.end].skips.append(skip)
    for column in columns:
        column.shown = shown_units(column.size, max_units)
    return columns


def _heading(column: Column, place: str) -> str:
    """The name of the module, or its place if it has only a number; and the ops after it: hidden layer 1 (ReLU)."""
    _, comma, after = column.title.partition(", ")
    named = column.name and not column.name.replace(".", "").isdigit()
    return (column.name if named else place) + (f" ({after})" if comma else "")


def _steps_on_zeros(model: Module, layer: Linear) -> tuple[list[Step], None, list[Skip]]:
    """Return the steps and skips, without values."""
    try:
        steps, _, skips = _steps(model, np.zeros((1, layer.in_features), layer.weight.dtype))
    except Exception as error:  # the model may take anything
        raise ValueError(
            f"nn.draw shows only layers that follow one another, and cannot tell how {type(model).__name__} joins its "
            f"layers ({error}); pass a sample="
        ) from error
    return [step._replace(output=None) for step in steps], None, skips


def _steps(model: Module, *samples: Any) -> tuple[list[Step], Any, list[Skip]]:
    """Return the steps of the model for one sample, with their values; the first input; the skips."""
    arrays = [sample.data if isinstance(sample, Tensor) else np.asarray(sample) for sample in samples]
    rows = [data if data.ndim == 2 else data[None] for data in arrays]  # an image is one sample
    if any(len(data) != 1 for data in rows):
        raise ValueError(f"nn.draw shows one sample; got {' and '.join(str(len(data)) for data in rows)} rows")
    steps, first, skips = follow(model, *rows)
    return [s._replace(output=_row(s.output)) for s in steps if hasattr(s.output, "shape")], _row(first), skips


def _row(value: Any) -> Any:
    return np.ravel(value.data if isinstance(value, Tensor) else value)


def weights_between(before: Column, after: Column, array: Any) -> Any:
    """Return the part of a weight (out, in) between shown nodes: (out shown, in shown)."""
    return array[np.ix_(after.shown, before.shown)]


def flat_weights(columns: Sequence[Column], arrays: Sequence[Any]) -> Any:
    """Return the weights of all shown arrows, in drawing order."""
    pairs = zip(columns[:-1], columns[1:], arrays, strict=True)
    return np.concatenate([weights_between(before, after, array).ravel() for before, after, array in pairs])


def flat_values(columns: Sequence[Column]) -> Any:
    """Return the activations of all shown nodes, in drawing order; NaN if unknown."""
    parts = [np.full(len(c.shown), np.nan) if c.values is None else c.values[c.shown] for c in columns]
    return np.concatenate(parts).astype(float)


def scales(columns: Sequence[Column]) -> Any:
    """Return the largest activation of its column for each shown node: the value of the full colour."""
    parts = [
        np.full(len(c.shown), 1.0 if c.values is None else max(float(np.abs(c.values).max()), 1e-12)) for c in columns
    ]
    return np.concatenate(parts)
