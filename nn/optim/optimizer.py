"""Base of all optimisers: groups of parameters with options, their state, and a step that changes all or nothing.

An optimiser is one function, `update(weight, gradient, state, group)`, which returns the new weight and state and
changes nothing; `step()` applies it to every parameter and then sets all of them at once.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy import ndarray

from autograd import Tensor, assign_all, clear_gradients, current_mode, enable_grad, to, use_gradients

from ..arguments import accepting_class
from ..missing import Missing
from ..module import Parameter
from ..placement import not_lazy

__all__ = ["Optimizer"]

State = dict[str, Any]


def blend(old: Any, share: float, new: Any) -> Any:
    """`old * share + new`, with only one new array; a copy of `new` if `old` is None."""
    if old is None:
        return new.copy("K")  # as the weight lies: across its rows, the root of 512x512 takes ten times as long
    blend = old * share
    blend += new
    return blend


def observed(step: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `step` so that an observer, such as a profile, sees it."""

    @functools.wraps(step)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        observer = current_mode().observer
        called = step if observer is None else observer.around("step", self, step)
        return called(self, *args, **kwargs)

    return watched


class Optimizer:
    """Base of optimisers: groups of parameters with their own options, and the state of each parameter.

    `params` are the parameters, or groups: dicts with "params" and options that differ from the arguments.  A frozen
    parameter is skipped, with its state, until it is freed, whatever gradient it holds.  `state` is
    a list parallel to `self.params`; `groups` are dicts whose options, such as the learning rate "lr", may be changed
    at any time.
    """

    elementwise = False  # whether `update` moves each number by itself, so that ranks can divide a step
    by_parts = False  # whether `update` moves the real and imaginary parts of complex weights apart, and needs float32
    decoupled = False  # whether `update` shrinks weights itself; otherwise weight_decay is added to the gradients
    shares: tuple[str, ...] = ("momentum", "alpha", "rho")  # options that are at least 0 and below 1
    others: tuple[str, ...] = ("params", "betas", "line_search_fn")  # options that are not numbers

    params: list[Tensor] = Missing()  # type: ignore[assignment]  # until __init__
    groups: list[dict[str, Any]] = Missing()  # type: ignore[assignment]  # until __init__
    state: list[State] = Missing()  # type: ignore[assignment]  # until __init__

    def __init_subclass__(cls) -> None:
        if "step" in vars(cls):
            cls.step = observed(cls.step)  # type: ignore[method-assign]  # the same, observed
        accepting_class(cls)

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor) or hasattr(params, "parameters") or not isinstance(params, Iterable):
            kind = "one Tensor" if isinstance(params, Tensor) else type(params).__name__
            raise TypeError(f"{name} takes a list of parameters, such as model.parameters(); got {kind}")
        given = list(params)
        if not given:
            raise ValueError(
                f"{name} was given no parameters: those of a model are the nn.Parameters (and leaf Tensors with "
                f"requires_grad=True) in its attributes, lists, tuples and dicts"
            )
        groups = given if isinstance(given[0], dict) else [{"params": given}]
        for group in groups:
            if isinstance(group, dict) and isinstance(group.get("params"), Tensor):
                raise TypeError(f'{name} takes groups whose "params" is a list; got one Tensor')
        self.defaults = options
        self.groups, self.params, self.state = [], [], []
        for group in groups:
            self.add_param_group(group)
        self.used = 0  # the number of the last step that used gradients
        self.warned = False

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Also move the parameters group["params"], with its options, or those that the optimiser was made with.

        Raises an error, before anything changes, for what is not a group, or a parameter that the optimiser has.

        >>> from nn import SGD
        >>> first, second = Tensor(1.0, requires_grad=True), Tensor(2.0, requires_grad=True)
        >>> optimizer = SGD([first], lr=0.1)
        >>> optimizer.add_param_group({"params": [second], "lr": 0.5})
        >>> [group["lr"] for group in optimizer.groups]
        [0.1, 0.5]
        """
        name, options = type(self).__name__, self.defaults
        if not isinstance(group, Mapping) or not isinstance(group.get("params"), Iterable):
            raise TypeError(f'{name} takes parameters, or groups {{"params": [...], ...}}; got {_shown(group)}')
        if unknown := group.keys() - options.keys() - {"params", "initial_lr"}:
            raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}")
        self._check({**options, **group})
        params = group["params"]
        added = [params] if isinstance(params, Tensor) else list(params)
        for i, p in enumerate(added, len(self.params)):
            if not isinstance(p, Tensor) or not p.is_leaf or not (p.requires_grad or isinstance(p, Parameter)):
                raise TypeError(f"parameter {i} is not a leaf Tensor with requires_grad=True: {_instead(p)}")
            self._check_parameter(i, p)
        if len({id(p) for p in [*self.params, *added]}) != len(self.params) + len(added):
            raise ValueError(f"{name} was given the same parameter twice; it would move twice as far")
        self.groups.append({**options, **group, "params": added})
        self.params, self.state = [*self.params, *added], [*self.state, *({} for _ in added)]

    def _check(self, options: Mapping[str, Any]) -> None:
        """Raise an error for options that no optimiser can use."""
        for key, value in options.items():
            if key not in self.others and not isinstance(value, Real):
                raise TypeError(f"{key} is a number; got {_shown(value)}")
        betas = options.get("betas", (0, 0))
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise ValueError(f"betas are two numbers; got {betas!r}")
        if not 0 <= options["lr"] < np.inf:
            raise ValueError(f"the learning rate must be at least 0, and finite; got {options['lr']!r}")
        for name in {"weight_decay", "eps", "lr_decay", "momentum_decay", "lambd"} & options.keys() - {*self.others}:
            if not options[name] >= 0:
                raise ValueError(f"{name} must be at least 0; got {options[name]!r}")
        for name in self.shares:
            if not 0 <= options.get(name, 0.0) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1; got {options[name]!r}")
        for beta in options.get("betas", ()):
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be at least 0 and below 1; got {options['betas']!r}")

    def _check_parameter(self, i: int, p: Tensor) -> None:
        """Raise an error for parameter number i if this kind of optimiser cannot move it."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """PyTorch's name for `groups`."""
        return self.groups

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets all groups."""
        return float(self.groups[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.groups:
            self._check({**group, "lr": value})
        for group in self.groups:
            group["lr"] = value

    def update(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        """The new weight and state of one parameter; the given arrays are not changed."""
        raise TypeError(
            f"{type(self).__name__} has no update(): write `def update(self, w, g, state, group)` in its class"
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient: all of them, or none after an error or an interrupt.

        A `closure`, which computes the loss and its gradients, is called first, and its result is returned.
        """
        if closure is None:
            loss = None
        elif not callable(closure):
            raise TypeError(f"step(closure) takes a function that computes the loss; got {type(closure).__name__}")
        else:
            with enable_grad():
                loss = closure()
        observer = current_mode().observer
        take = Optimizer._take_step if observer is None else observer.around("step", self, Optimizer._take_step)
        take(self)
        return loss

    def _take_step(self) -> None:
        moving, news, states = self._moved()
        self.used, mixed = use_gradients(moving, self.used)
        assign_all(moving, news, (self, "state", states))  # new arrays: recorded values never change
        if not moving:
            self._found_none()
        if mixed and not self.warned:
            self.warned = True
            warnings.warn(
                "the gradients that an earlier step had used were not cleared, and newer ones were added to them: "
                "call optimizer.zero_grad() before every backward(), or after every step()",
                stacklevel=3,
            )

    def _moved(self) -> tuple[list[Tensor], list[Any], list[State]]:
        """The parameters that have a gradient, their new values, and the new state of all."""
        moving, news, states, olds = [], [], [], iter(self.state)
        for group in self.groups:
            maximize, decay = group.get("maximize"), group.get("weight_decay")
            if group.get("decoupled_weight_decay", self.decoupled):
                decay = 0
            for p, state in zip(group["params"], olds):  # noqa: B905 (the states of all groups are in one list)
                if (grad := p.grad) is not None and p.requires_grad:
                    w, g = p.data, grad.data
                    if g.__class__ is not ndarray:
                        not_lazy(g)
                    if maximize:
                        g = -g
                    if decay:
                        g = blend(w, decay, g)
                    new, state = self._updated(w, g, state, group)
                    moving.append(p)
                    news.append(new)
                states.append(state)
        return moving, news, states

    def _updated(self, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
        """`update` for weights of any shape and dtype."""
        update, dtype = self.update, w.dtype
        if state and getattr(state[next(reversed(state))], "dtype", None) is not dtype:  # a look at one is faster
            own = self._state_dtype(w)
            state = {key: _converted(value, own) for key, value in state.items()}
        if self.by_parts and dtype.char in "eFDG":
            if dtype.kind == "c":
                update = functools.partial(_in_parts, update)
            else:
                w, g = w.astype(np.float32), g.astype(np.float32)
        return update(w, g, state, group) if g.shape else _along_an_axis(update, w, g, state, group)

    def _state_dtype(self, w: Any) -> Any:
        """The dtype of the arrays in a weight's state: its own, but squares and eps do not fit float16."""
        return np.dtype(np.float32) if self.by_parts and w.dtype == np.float16 else w.dtype

    def _state_shape(self, key: str, p: Tensor) -> tuple[int, ...]:
        """The shape of this array in the state of a parameter."""
        return p.shape

    def _try_on(self, states: Sequence[State], groups: Sequence[dict[str, Any]]) -> None:
        """Raise ValueError for a state that makes a step fail."""
        options = [given for own, given in zip(self.groups, groups, strict=True) for _ in own["params"]]
        for i, (p, state, given) in enumerate(zip(self.params, states, options, strict=True)):
            try:
                self._updated(p.data, np.zeros_like(p.data), state, given)
            except Exception as error:
                raise ValueError(f"the state of parameter {i} does not fit {type(self).__name__}: {error!r}") from error

    def _found_none(self) -> None:
        if not self.warned:
            self.warned = True
            warnings.warn(
                "step() found no gradient in any parameter, so nothing moved: call zero_grad() before backward() and "
                "step() after it, and make the optimiser from the model's current parameters",
                stacklevel=4,
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients, or set them to zeros, so that the next backward() does not add to them."""
        if set_to_none:
            clear_gradients(self.params)
            return
        for p in self.params:
            if p.grad is not None:
                p.grad = Tensor(np.zeros_like(p.grad.data))

    def state_dict(self) -> dict[str, Any]:
        """{"state": per parameter, "groups": the options}, for `load_state_dict`."""
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.groups]
        return {"state": [dict(state) for state in self.state], "groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the state and the options.

        Raises ValueError, before anything changes, if they are from other parameters or another kind of optimiser.
        """
        if not isinstance(state, Mapping) or not {"state", "groups"} <= state.keys():
            raise ValueError('the state of an optimiser is {"state": ..., "groups": ...}, as its state_dict() returns')
        states, groups = list(state["state"]), list(state["groups"])
        if len(states) != len(self.params) or len(groups) != len(self.groups):
            raise ValueError(
                f"this state has {len(states)} parameters in {len(groups)} groups, but the optimiser has "
                f"{len(self.params)} in {len(self.groups)}"
            )
        for own, theirs in zip(self.groups, groups, strict=True):
            if differing := sorted((own.keys() ^ set(theirs)) - {"params", "initial_lr"}):
                raise ValueError(
                    f"this state is from another kind of optimiser than {type(self).__name__}: only one of them has "
                    f"{', '.join(differing)}"
                )
        for own, options in zip(self.groups, groups, strict=True):
            self._check({**own, **options})
        for i, (own, p) in enumerate(zip(states, self.params, strict=True)):
            for key, value in own.items():
                if (value if hasattr(value, "dtype") else np.asarray(value)).dtype.kind not in "fciub":
                    raise ValueError(f"{key} of parameter {i} is {_shown(value)}, but must be numbers")
                if np.ndim(value) and np.shape(value) != self._state_shape(key, p):
                    raise ValueError(
                        f"{key} of parameter {i} has shape {np.shape(value)}, but the parameter has {p.shape}"
                    )
                if np.iscomplexobj(value) and p.dtype.kind != "c":
                    raise ValueError(f"{key} of parameter {i} is complex, but the parameter is real")
        states = [{k: _beside(v, p) for k, v in own.items()} for p, own in zip(self.params, states, strict=True)]
        self._try_on(states, groups)
        for group, options in zip(self.groups, groups, strict=True):
            group.update(options)
        self.state = [
            {k: _copied(v, self._state_dtype(p), p.data) for k, v in own.items()}
            for p, own in zip(self.params, states, strict=True)
        ]


def _along_an_axis(update: Any, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
    """`update` for a weight without axes: NumPy turns such arrays into numbers, which cannot be written into."""
    wide = {key: value.reshape(1) if hasattr(value, "reshape") else value for key, value in state.items()}
    new, wide = update(w.reshape(1), g.reshape(1), wide, group)
    return new.reshape(()), {key: v.reshape(()) if hasattr(v, "reshape") else v for key, v in wide.items()}


def _in_parts(update: Any, w: Any, g: Any, state: State, group: dict[str, Any]) -> tuple[Any, State]:
    """`update` for complex weights, whose real and imaginary parts are weights of their own, as in PyTorch."""
    apart = {key: _apart(value) if hasattr(value, "dtype") else value for key, value in state.items()}
    new, apart = update(_apart(w), _apart(g), apart, group)
    return new[0] + 1j * new[1], {
        key: value[0] + 1j * value[1] if getattr(value, "shape", ()) else value for key, value in apart.items()
    }


def _apart(x: Any) -> Any:
    return np.stack([x.real, x.imag])


def _converted(value: Any, dtype: Any) -> Any:
    """An array of a state in the dtype of its weight; whole numbers, such as a count of steps, stay as they are."""
    floats = not isinstance(value, np.generic) and getattr(value, "dtype", np.dtype(bool)).kind in "fc"
    return value.astype(dtype, copy=False) if floats else value


def _copied(value: Any, dtype: Any, w: Any) -> Any:
    """A copy of an array of a state that lies as its weight does: files hold all arrays row by row."""
    value = _converted(value, dtype)
    if np.isscalar(value):
        return value
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    copy = np.empty_like(w if np.shape(value) == w.shape else value, dtype=dtype)
    copy[...] = value
    return copy


def _beside(value: Any, p: Tensor) -> Any:
    """An array of a state where its parameter is."""
    return to(value, p.data) if np.ndim(value) else value


def _shown(x: Any) -> str:
    return f"{x!r:.60}".replace("\n", " ")


def _instead(p: Any) -> str:
    """The object given instead of a parameter, and what to do about it."""
    if not isinstance(p, Tensor):
        return f"got {type(p).__name__}; model.parameters() is a list of them"
    if not p.is_leaf:
        return f"it is the result of {p.node.op.name}; make a leaf of its value, nn.Parameter(t.detach())"
    return "requires_grad is False; make it Tensor(value, requires_grad=True), or an nn.Parameter, which may be frozen"
