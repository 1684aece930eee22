"""The engine's error messages, each with its remedy.  None of it is on the hot path or depends on the Tensor class."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from .callsite import frames_of_call
from .elsewhere import KEYWORDS, NUMPY
from .libraries import library_of, of_library


class GraphError(RuntimeError):
    """The graph cannot be walked: it was freed, or a value that it needs has been replaced."""


REFUSED = {
    # ---- a Tensor
    "copy": "Tensor(t) would drop the gradient of a Tensor that requires one; use t itself or t.copy(), t.detach() for "
    "its value, or pass requires_grad=True for a leaf that starts with this value",
    "name": "the name of a Tensor is a string; got {}",
    "mixed": "{0} of arrays of {1}, which are in different places: move one with t.to({2}) or t.to(np), a model with "
    "model.to({2}) or model.to(np)",
    "units": "a {} has units, which a Tensor would drop: pass its numbers alone",
    "another engine": "{0}: a {1} would become a copy in NumPy's memory; pass np.asarray(x) to say so",
    "no library": "to() takes the module of an array library, as in t.to(cupy) and t.to(np), or one of its arrays; got "
    "{} (another dtype is t.astype(dtype))",
    "no length": "a 0-d Tensor has no length; other libraries take its array, t.detach().data, without the gradient",
    "iteration": "iteration over a 0-d Tensor",
    "one element": "item() needs exactly one element, and this Tensor has shape {}",
    "item": "a Tensor cannot be changed element by element; use autograd.set_at(x, index, value), which returns a new "
    "Tensor, or autograd.where(mask, value, x); x.assign(value) replaces the whole value of a leaf",
    "out": "np.{} cannot write into an existing array when an input is a Tensor (out=, or x += tensor for an array x), "
    "because a recorded value must not change; write x = x + tensor, or use autograd.where",
    "grad": "the gradient of a leaf must be a Tensor of shape {2}, or None; got {0} of shape {1}: write "
    "leaf.grad = Tensor(array)",
    "no leaf": "{} is for leaves; this Tensor is the result of {}, so compute a new one instead",
    "no place": "only a leaf with requires_grad=True has a gradient; this Tensor {}",
    "assigned shape": "assign() was given shape {} for a Tensor of shape {}",
    "assigned dtype": "assign() was given {} for a Tensor of {}",
    "shares": "as_tensor shares memory, so {} cannot become {}; use astype",
    "pickle": "a Tensor made by {} cannot be pickled or copied, because it holds a graph; use its .detach()",
    # ---- numbers
    "requires": "requires_grad is True or False; got {!r:.50} (a dtype is given as dtype=)",
    "masked": "a masked array would lose its mask; use x.filled(0.0), and autograd.where with the mask",
    "no numbers": "a Tensor holds numbers; got {} that NumPy reads as {}",
    "whole numbers": "requires_grad=True needs a floating-point or complex array, and this one is {}; pass "
    "dtype=float, or write the numbers with a decimal point",
    # ---- backward
    "backward": "backward() on a Tensor that records nothing: none of its inputs has requires_grad=True, or it was "
    "computed under no_grad() or from .data",
    "no gradient": "backward() on a Tensor of shape {} and {} needs a gradient of that shape; for a loss, reduce to "
    "one real number first, as in loss.mean().backward()",
    "flag": "the first argument of backward() is the gradient; write retain_graph=True, or create_graph=True",
    "gradient shape": "backward() got a gradient of shape {} for a Tensor of shape {}",
    "gradient dtype": "backward() got a complex gradient for a Tensor of {}",
    "walked": "the graph behind {} has already been walked backward (perhaps until an error) and its arrays were "
    "freed; pass retain_graph=True to the first backward(), or run the forward pass again",
    "replaced": "an input of {} was replaced (by an optimiser step, assign() or a new .data) after the forward pass "
    "that used it; run the forward pass again before backward()",
    # ---- rules
    "no array": "{}: its rule returned {}, which is not an array",
    "shape of rule": "{}: its rule returned a gradient of shape {} for an input of shape {}",
    "unread": "{}: a rule reads an argument whose name begins with _, so its array was not kept ({})",
    # ---- buffers
    "buffer dtype": "a buffer holds floating-point or complex numbers; got {}",
    "buffer value": "a value of {} does not fit into a buffer of {}; give the buffer a dtype=",
    "buffer shape": "buffer[{}] has shape {}, and the value has shape {}, which does not broadcast to it",
    "set twice": "item {} of a buffer was already set, and each is set once; add up what goes into an item first, "
    "or use autograd.add_at",
    "unset": "a buffer was read before these items were set: {}",
    # ---- ops
    "matrix": "{}: for an np.matrix, * is the matrix product; pass np.asarray(x)",
    "masked input": "{}: a masked array has no gradient; use autograd.where with a plain array and its mask",
    "other gradients": "{}: a {} records its own gradients, which would be lost; pass its array",
    "list": "{}: a list that holds Tensors is not an array; join them with autograd.stack",
    "unreadable": "{}: NumPy cannot read this {} as an array ({}); pass a NumPy array",
    "no number": "{}: cannot compute with {} {}",
    "not one array": "{}: the forward of an op returns one array; this one returned {}",
    "argument": "{} has no derivative rule for the argument {}={:.40}; {}",
    "objects": "{}: an array of objects has no gradient; join Tensors with autograd.stack",
    "no name": "an op made from a lambda needs a name: differentiable(..., name=...); got {!r}",
    "taken": "{!r} is already the name of the op made at {}; choose another name for the one made at {}",
}


def refuse(what: str, *about: Any, error: type[Exception] = TypeError) -> NoReturn:
    """Raise an error with a message from `REFUSED`."""
    raise error(REFUSED[what].format(*about))


def refuse_keywords_of_others(name: str, keywords: Iterable[str]) -> None:
    """Raise TypeError for a keyword argument that other libraries have, and say what it is here."""
    for keyword in keywords:
        if keyword in KEYWORDS:
            raise TypeError(f"{name}() has no argument {keyword!r}; write {KEYWORDS[keyword]}")


class Absent:
    """Descriptor for a missing attribute: raises an AttributeError that suggests what to write instead.

    A `__getattr__` for all names would make access to existing attributes five times slower.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, owner: Any, kind: type) -> NoReturn:
        raise AttributeError(f"a {kind.__name__} has no attribute {self.name!r}; {self.instead}", name=self.name)


def no_rule(function: Any, known: Iterable[str]) -> NoReturn:
    """Raise TypeError for a NumPy function without a rule: name it, or the one around it that the program called.

    It says what to write instead, or which function with a rule has nearly the same name.
    """
    name = ".".join([function[0].__name__, function[1]]) if isinstance(function, tuple) else function.__name__
    _, inner = frames_of_call()
    if inner is not None:
        called = inner.f_code.co_qualname.removesuffix(".__init__")
        name = called if hasattr(np, called) else name
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.75)
    hint = f"; the nearest that has one is np.{near[0]}" if near else ""
    hint = f"; use {NUMPY[name]}" if name in NUMPY else hint
    raise TypeError(
        f"np.{name} has no derivative rule, so it cannot take a Tensor{hint}. "
        f"Add it with autograd.differentiable, or write it with functions that have a rule; only where no gradient is "
        f"wanted, pass the array, t.detach().data"
    )


# What messages call ops that compute all results of a function at once.
PUBLIC = {
    **{f"{name}_rows": name for name in ("eigh", "eig", "svd", "qr")},
    "complex_rows": "{kind}",
    "complex_sign_of_det": "slogdet",
    "log_abs_det": "slogdet",
    "spectral_derivative": "spectral({f!r})",
}
SHOWN = {"axis", "axes", "shape", "axis1", "axis2", "dim", "n", "ord"}  # params that messages about shapes repeat


def explain_rule(op: Any, gradient: Any, error: Exception) -> NoReturn:
    """Raise `error`, from a rule of `op` that may have returned `gradient`, with a clearer message if there is one."""
    if "has no attribute 'shape'" in str(error) and not hasattr(gradient, "shape"):
        refuse("no array", op.name, repr(gradient)[:50])
    if any(kind in str(error) for kind in ("Leaf", "Node", "Outline")):
        raise TypeError(REFUSED["unread"].format(op.name, error)) from error
    raise error


def explain(op: Any, error: Exception, arrays: Sequence[Any], params: dict[str, Any]) -> Any:
    """Raise `error` again with the op's name and the shapes of its inputs.

    If the forward failed on an array of a kind that computes ops itself, let that compute the op instead.
    """
    waiting = [*arrays, *params.values()]
    while waiting:
        x = waiting.pop()
        if hasattr(x, "__autograd_forward__"):
            return x.__autograd_forward__(op, arrays, params)
        waiting += x if isinstance(x, tuple | list) else ()
    if isinstance(op.forward, np.ufunc) and (theirs := of_library(op.forward, *arrays)) is not op.forward:
        return theirs(*arrays, **params)
    names = sorted({library_of(x).__name__ for x in arrays if hasattr(x, "__array_function__")})
    if len(names) > 1 and isinstance(error, TypeError):
        foreign = next(name for name in names if name != "numpy")
        raise TypeError(REFUSED["mixed"].format(op.name, " and ".join(names), foreign)) from error
    if any(a is None for a in arrays) and isinstance(error, TypeError):
        raise TypeError(f"{op.name}: an input is None; does a function (or forward()) lack its `return`?") from error
    shapes = " and ".join(str(getattr(a, "shape", a)) for a in arrays)
    shapes += "".join(f", {name}={value!r:.40}" for name, value in params.items() if name in SHOWN)
    for kind in (np.exceptions.AxisError, np.linalg.LinAlgError, IndexError, ValueError, TypeError):
        if isinstance(error, kind):
            name = PUBLIC.get(op.name, op.name).format(**params)
            raise kind(f"{name} of shapes {shapes}: {error}") from error
    raise error
