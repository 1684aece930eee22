"""Node types that run graphs inside the graph: If, Loop and Scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .values import array, refuse


def if_(condition: Any, *, then_branch: Any, else_branch: Any, scope: Mapping[str, Any]) -> Any:
    return tuple((then_branch if np.all(array(condition)) else else_branch).run({}, scope))


def loop(trips: Any, condition: Any, *carried: Any, body: Any, scope: Mapping[str, Any]) -> Any:
    """The values carried from turn to turn, and what every turn made, stacked."""
    going = condition is None or bool(np.all(array(condition)))
    limit = None if trips is None else int(np.ravel(array(trips))[0])
    made: list[list[Any]] = []
    turn, values = 0, list(carried)
    while going and (limit is None or turn < limit):
        given = [np.array(turn, np.int64), np.array(going), *values]
        again, *rest = body.run(dict(zip(body.inputs, given, strict=True)), scope)
        values, every = rest[: len(carried)], rest[len(carried) :]
        made.append(every)
        going, turn = bool(np.all(array(again))), turn + 1
    if not made and len(body.outputs) > 1 + len(carried):
        refuse("runs no turn, and the shape of what its turns make is not known")
    return (*values, *(np.stack(rows) for rows in zip(*made, strict=True)))


def scan(
    *inputs: Any,
    body: Any,
    num_scan_inputs: int,
    scan_input_axes: Any = None,
    scan_input_directions: Any = None,
    scan_output_axes: Any = None,
    scan_output_directions: Any = None,
    scope: Mapping[str, Any],
) -> Any:
    states, rows = list(inputs[:-num_scan_inputs]), inputs[-num_scan_inputs:]
    axes, ways = scan_input_axes or (0,) * len(rows), scan_input_directions or (0,) * len(rows)
    rows = tuple(np.moveaxis(row, axis, 0) for row, axis in zip(rows, axes, strict=True))
    steps = np.shape(rows[0])[0]
    made = []
    for t in range(steps):
        given = [*states, *(row[steps - 1 - t if way else t] for row, way in zip(rows, ways, strict=True))]
        found = body.run(dict(zip(body.inputs, given, strict=True)), scope)
        states = found[: len(states)]
        made.append(found[len(states) :])
    count = len(made[0])
    ways, axes = scan_output_directions or (0,) * count, scan_output_axes or (0,) * count
    turned = [column[::-1] if way else column for column, way in zip(zip(*made, strict=True), ways, strict=True)]
    return (*states, *(np.stack(column, axis=axis) for column, axis in zip(turned, axes, strict=True)))


def scan_of_batches(*inputs: Any, body: Any, num_scan_inputs: int, directions: Any = None) -> Any:
    refuse("has the form of opset 8, with a batch axis")


CONTROL: dict[str, Callable[..., Any]] = {"If": if_, "Loop": loop, "Scan": scan, "Scan/8": scan_of_batches}
