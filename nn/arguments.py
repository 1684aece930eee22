"""Arguments of PyTorch that have another name here, or that change nothing: accepted, or refused with what to write."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeVar

__all__ = ["accepting", "needed"]

F = TypeVar("F", bound=Callable[..., Any])

# Other names of an argument, where a function does not have them itself.  An int: the place of the argument.
ALIASES: dict[str, str | int] = {
    "input": 0, "tensor": 0, "input1": 0, "input2": 1, "x": 0, "axis": "dim", "dim": "axis", "keepdims": "keepdim",
    "keepdim": "keepdims", "num_classes": "classes", "min_value": "min_val", "max_value": "max_val", "parameters": 0,
    "indices": "rows",
}  # fmt: skip


class Unneeded(NamedTuple):
    """An argument that is not here: the values that change nothing, and what to write for others."""

    harmless: Callable[[Any], bool]
    instead: str


def _only(*values: Any) -> Callable[[Any], bool]:
    return lambda given: any(given is value or (type(given) is type(value) and given == value) for value in values)


def _in_memory(device: Any) -> bool:
    return device is None or str(device).partition(":")[0] == "cpu"


def _count(n: Any) -> bool:
    return isinstance(n, int) and n >= 0


_FLAG = _only(True, False, None)
_OFF = _only(False, None)
_REDUCTION = "write reduction='mean', 'sum' or 'none'"
_MEMORY = "parameters are made in memory: leave it out"
_ROWS = "use F.normalize on the rows of the weight after a step"
UNNEEDED = {
    "device": Unneeded(_in_memory, _MEMORY),
    "inplace": Unneeded(_FLAG, "a recorded value never changes: use the result"),
    "out": Unneeded(_only(None), "use the result"),
    "size_average": Unneeded(_only(None), _REDUCTION),
    "reduce": Unneeded(_only(None), _REDUCTION),
    "_stacklevel": Unneeded(lambda _: True, ""),
    "dtype": Unneeded(_only(None), "convert first: x.astype(dtype)"),
    "weight": Unneeded(_only(None), "write np.mean(weight * loss) with reduction='none'"),
    "max_norm": Unneeded(_only(None), _ROWS),
    "norm_type": Unneeded(_only(2.0, 2), _ROWS),
    "scale_grad_by_freq": Unneeded(_OFF, "divide the rows of weight.grad by their counts before a step"),
    "sparse": Unneeded(_OFF, "gradients are whole arrays: leave it out"),
    "antialias": Unneeded(_OFF, "smooth the input with F.avg_pool2d first"),
    "options": Unneeded(_only(None), "leave it out: all logits are never held at once"),
    "bias": Unneeded(_only(True), "freeze it at 0: layer.bias.requires_grad = False"),
    "persistent": Unneeded(_only(True), "write module.register_buffer(name, value, persistent=False)"),
    "_weight": Unneeded(_only(None), "write layer.weight.assign(value)"),
    "_freeze": Unneeded(_OFF, "write layer.weight.requires_grad = False"),
    "custom_encoder": Unneeded(_only(None), "set the attribute: model.encoder = nn.TransformerEncoder(...)"),
    "custom_decoder": Unneeded(_only(None), "set the attribute: model.decoder = nn.TransformerDecoder(...)"),
    "enable_nested_tensor": Unneeded(_FLAG, "leave it out: there is one kind of Tensor"),
    "mask_check": Unneeded(_FLAG, "leave it out: there is one kind of Tensor"),
    "error_if_nonfinite": Unneeded(_OFF, "look at the norm that is returned: np.isfinite(norm)"),
    "padding_side": Unneeded(_only("right"), "reverse the sequences before and the result after"),
    "last_epoch": Unneeded(_only(-1), "load the state of the schedule: schedule.load_state_dict(state)"),
    "multi_avg_fn": Unneeded(_only(None), "write avg_fn=, a function of one array and its average"),
    # of a DataLoader
    "num_workers": Unneeded(_count, "batches are read in this process; prefetch=2 reads two ahead in a thread"),
    "persistent_workers": Unneeded(_FLAG, "leave it out: there are no workers"),
    "pin_memory": Unneeded(_FLAG, "leave it out: batches are NumPy's arrays"),
    "pin_memory_device": Unneeded(_only("", None), "leave it out: batches are NumPy's arrays"),
    "prefetch_factor": Unneeded(lambda n: n is None or _count(n), "write prefetch=2, which reads two batches ahead"),
    "timeout": Unneeded(_only(0, None), "leave it out: batches are read in this process"),
    "in_order": Unneeded(_only(True), "leave it out: batches come in order"),
    # of optimisers
    "foreach": Unneeded(_FLAG, "leave it out: it chooses kernels of PyTorch"),
    "fused": Unneeded(_FLAG, "leave it out: it chooses kernels of PyTorch"),
    "capturable": Unneeded(_FLAG, "leave it out: autograd.compile needs no such option"),
    "differentiable": Unneeded(_OFF, "write the steps as w = w - lr * g, with autograd.grad inside of another"),
    "maximize": Unneeded(_OFF, "minimise -loss"),
}


def needed(name: str, known: Collection[str], given: Mapping[str, Any], hints: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of a call of `name` that have an effect, under the names that it knows; TypeError for others."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        own = key
        if key not in known:
            place = ALIASES.get(key)
            own = [*known][place] if isinstance(place, int) and place < len(known) else str(place)
            if own not in known:
                unneeded = UNNEEDED.get(key)
                if unneeded is not None and unneeded.harmless(value):
                    continue
                if key in hints and value is None:
                    continue
                raise TypeError(_refusal(name, known, key, value, unneeded, hints))
        if own in found:
            raise TypeError(f"{name}() got {own!r} twice: once as {key!r}")
        found[own] = value
    return found


def _refusal(
    name: str, known: Collection[str], key: str, value: Any, unneeded: Unneeded | None, hints: Mapping[str, str]
) -> str:
    if key in hints:
        return f"{name}() has no argument {key!r}; {hints[key]}"
    if unneeded is not None:
        return f"{name}() does not take {key}={value!r:.40}; {unneeded.instead}"
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name}() has no argument {key!r}{hint} (it takes {', '.join(known)})"


def accepting(function: F, name: str = "", hints: Mapping[str, str] | None = None) -> F:
    """`function`, or the `__init__` of the class `name`, which takes PyTorch's keywords where they change nothing.

    >>> softmax = accepting(lambda x, dim: (x, dim), "softmax")
    >>> softmax(input=1, axis=0), softmax(1, 0, inplace=True)
    ((1, 0), (1, 0))
    >>> softmax(1, 0, dtype="f2")
    Traceback (most recent call last):
    TypeError: softmax() does not take dtype='f2'; convert first: x.astype(dtype)
    """
    known: dict[str, Any] = {}

    def own() -> dict[str, Any]:
        if not known:  # read on demand: reading all signatures would slow the import
            given = dict(inspect.signature(function).parameters)
            given.pop("self", None)
            known.update(given)
        return known

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not kwargs.keys() <= own().keys():
            kinds = {p.kind for p in known.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                shown = type(args[0]).__name__ if function.__name__ == "__init__" and args else function.__name__
                kwargs = needed(name or shown, known, kwargs, hints or {})
                if not args and next(iter(known)) in kwargs:  # which may be positional only
                    args = (kwargs.pop(next(iter(known))),)
        return function(*args, **kwargs)

    return called  # type: ignore[return-value]  # of the same type, but for keywords


def accepting_class(kind: type) -> None:
    """Let the class of a layer or an optimiser, if it is of this package, take such keywords."""
    if kind.__module__.startswith("nn.") and "__init__" in vars(kind):
        kind.__init__ = accepting(vars(kind)["__init__"])  # type: ignore[misc]
