"""Pictures of backpropagation: `draw` the graph behind a loss, with the values and gradients that flow through it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..errors import GraphError
from ..tensor import Tensor
from .capture import take
from .long_arrows import in_rows
from .page import Page as Page
from .recording import watch as watch
from .render import Picture as Picture
from .render import RendererError as RendererError
from .trace import Trace as Trace
from .trace import trace as trace

WHOLE = 2000  # most boxes on a page whose modules can be opened

__all__ = ["Page", "Picture", "RendererError", "Trace", "draw", "trace", "watch"]


def draw(
    loss: Tensor,
    *,
    names: Mapping[str, Tensor] | Any = None,
    run_backward: bool = False,
    depth: int | None = None,
    expand: Collection[str] = (),
    max_nodes: int = 300,
    rankdir: str | None = None,
) -> Picture:
    """Draw how `loss` was computed and how its gradient flows back.

    Each tensor is a box with its value and gradient (an op and its output share a box), and each operand is an arrow.
    `names` is {name: tensor} or a module (anything with `named_parameters()`); a leaf's own `name` is used too.
    Gradients are shown if the graph was watched (see `watch`) and backward() ran; `run_backward=True` computes them for
    the picture only and changes no `.grad`.  `rankdir` is the direction of the forward pass: TB, BT, LR or RL;
    by default it is TB if modules are framed, and else LR, in several rows if the graph is long.

    Each call of a module inside `watch()` is a frame around its boxes.  Modules nested more than `depth` deep are
    folded into one box each (depth=0 folds all), except those whose dotted names are in `expand`.  Above `max_nodes`
    boxes, or three arrows for each of them, more modules are folded, innermost first, and if that is not enough, a run
    of ops in the middle.  An arrow that would pass many ranks is cut: it starts at a copy of its box, and both have the
    same number, as in (1).  The caption reports all this.

    Raises GraphError when `loss` records nothing or its graph was freed unwatched, and ValueError for `run_backward`
    with a loss of more than one element, an unknown `rankdir`, or a name in `expand` that no module has.

    >>> w = Tensor([1.0, -2.0], requires_grad=True, name="w")
    >>> picture = draw((w * w).sum(), run_backward=True)
    >>> picture
    <picture of sum: 3 boxes, 3 arrows>
    >>> [(box.kind, box.title, box.gradient.lines) for box in picture.snapshot.boxes if box.title == "w"]
    [('parameter', 'w', ('[2, -4]',))]
    """
    if not isinstance(loss, Tensor):
        raise TypeError(f"draw() takes a loss Tensor; got {type(loss).__name__}")
    if not loss.requires_grad:
        raise GraphError(
            "there is no graph to draw: none of the inputs of this Tensor has requires_grad=True, "
            "or it was computed under no_grad() or from .data"
        )
    if rankdir not in (None, "LR", "RL", "TB", "BT"):
        raise ValueError(f"rankdir is LR, RL, TB or BT; got {rankdir!r}")
    if max_nodes < 4:
        raise ValueError(f"max_nodes must leave room for 4 boxes; got {max_nodes}")
    if depth is not None and depth < 0:
        raise ValueError(f"depth is 0 or more; got {depth}")
    expand = [expand] if isinstance(expand, str) else expand
    named = _named(names)
    snapshot = take(loss, named, names, run_backward=run_backward, max_nodes=max_nodes, depth=depth, expand=expand)
    known = sorted({call.path for call in snapshot.calls})
    if unknown := [path for path in expand if path not in known]:
        has = f"its modules are {known}" if known else "it knows no modules: compute the loss inside `with watch():`"
        raise ValueError(f"no module of this graph is called {', '.join(map(repr, unknown))}; {has}")
    whole = take(loss, named, names, run_backward=run_backward, max_nodes=WHOLE) if snapshot.closed else snapshot
    whole = whole if len(whole.boxes) <= WHOLE else snapshot
    framed = any(box.call is not None for box in snapshot.boxes)
    rankdir = rankdir or ("TB" if framed else "LR")
    shown = snapshot if framed or rankdir in ("TB", "BT") else in_rows(snapshot)
    return Picture(shown, rankdir=rankdir, whole=whole)


def _named(names: Any) -> dict[str, Tensor]:
    """Return `names` as {name: tensor}.  Raises TypeError for a value that is not a Tensor."""
    if hasattr(names, "named_parameters"):
        names = dict(names.named_parameters())
    if not isinstance(names, Mapping | None):
        raise TypeError(f"names is a dict of Tensors or has named_parameters(); got {type(names).__name__}")
    named = dict(names or {})
    for name, tensor in named.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise TypeError(f"names maps strings to Tensors; got {type(tensor).__name__} for {name!r:.60}")
    return named
