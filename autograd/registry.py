"""The registry of ops, in which NumPy's functions and Tensors find them."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, Protocol

import numpy as np

from .array import Array
from .errors import Absent, no_rule, refuse, refuse_keywords_of_others
from .mode import MODE
from .numpy_calls import NUMPY, WITHOUT
from .signatures import Shown
from .tensor import Tensor, constant_of, tensor_of
from .tree import flatten

Plan = tuple[bool, tuple[int, ...] | None]  # whether the output is kept, and which inputs are not (None: none is kept)


class Operation(Protocol):
    """An op as users call it."""

    op: Op
    __name__: str

    def __call__(self, *inputs: Any, **params: Any) -> Any: ...


@dataclass(eq=False, repr=False)
class Op:
    """An op: one entry of the registry `OPS`.  See `differentiable` for the arguments."""

    name: str
    forward: Callable[..., Any]
    rules: Sequence[Callable[..., Any]] = ()
    every: Callable[..., Any] | None = None
    call: Callable[..., Any] | None = None
    beyond: Callable[..., Any] | None = None
    numpy: Sequence[Any] = ()
    operator: str | None = None
    elementwise: bool = False
    view: bool = False
    plans: dict[int, Plan] = field(default_factory=dict)  # by which inputs need gradients
    function: Any = None
    place: str = ""  # file and line of the statement that made it
    code: Any = None  # of the function or module that the statement is in

    def __post_init__(self) -> None:
        rules = [*self.rules, *filter(None, [self.every])]
        self.params = frozenset(name for rule in rules for name in arguments_of(rule)[1])
        self.beyond = self.beyond and by_numpy(self.beyond, self.numpy)

        _check_rules(self)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def plan(self, needs: int) -> Plan:
        """What to keep when the inputs in the bit set `needs` need gradients, by the names of the rules' arguments."""
        if self.every is not None:
            names, _, star = arguments_of(self.every)
            out = (*names, star, star)[1]
            self.plans[needs] = not out.startswith("_"), None if star.startswith("_") else ()
            return self.plans[needs]
        count = len(self.rules) + 1
        rules = [arguments_of(rule) for i, rule in enumerate(self.rules) if needs >> i & 1]
        named = [(names + (star,) * (count + 1))[1 : count + 1] for names, _, star in rules]
        out_unread, *unread = (all(name.startswith("_") for name in column) for column in zip(*named, strict=True))
        self.plans[needs] = not out_unread, tuple(i for i, u in enumerate(unread) if u)
        return self.plans[needs]

    def gradients(self, g: Any, kept: Sequence[Any], params: Mapping[str, Any]) -> Callable[[int], Any]:
        """A function of i that computes the gradient of input i, as the walk does; `kept` is `[out, *inputs]`."""
        if self.every is not None:
            back: Callable[[int], Any] = self.every(g, *kept, **params)
            return back
        return lambda i: self.rules[i](g, *kept, **params)


OPS: dict[str, Op] = {}


def arguments_of(rule: Any) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The positional, keyword-only and starred (or "") argument names of a rule."""
    if not inspect.isfunction(rule):
        raise TypeError(
            f"a rule is a function written with def or lambda, whose arguments say what it reads; got {rule!r}"
        )
    code = rule.__code__
    n, names = code.co_argcount, code.co_varnames
    m = n + code.co_kwonlyargcount
    return names[:n], names[n:m], names[m] if code.co_flags & inspect.CO_VARARGS else ""


def _check_rules(op: Op) -> None:
    """Raise TypeError for a rule that does not take the gradient, the output and every input."""
    for i, rule in enumerate(op.rules):
        names, _, star = arguments_of(rule)
        count, needed = len(op.rules) + 2, len(names) - len(rule.__defaults__ or ())
        if needed > count or (len(names) < count and not star):
            raise TypeError(
                f"{op.name} has {len(op.rules)} inputs, one per rule, so its rule {i} takes {count} arguments (the "
                f"gradient, the output and the inputs); it takes {len(names)}: {', '.join(names)}"
            )


def zero(like: Any, *_: Any) -> Any:
    """`0`: the rule of a step function, and zeros of any shape (np.zeros_like would not return a Tensor)."""
    return np.where(False, like, 0.0)


def no_gradient(i: int) -> Callable[..., Any]:
    """The rule of an input without a gradient, in case it is called."""
    return lambda g, out, *inputs, **params: zero(inputs[i])


def register(op: Op, function: Any, methods: Mapping[str, Callable[..., Any]]) -> Operation:
    """Add an op to the registry, and its function to the places where NumPy and Tensors find it.

    Running a statement again, or a changed file, replaces its op; another with the same name raises ValueError.
    """
    if not op.name.isidentifier():
        refuse("no name", op.name, error=ValueError)
    function.__module__, op.place, op.code = _statement()
    known = OPS.get(op.name)
    if known and not _is_again(known, op):
        refuse("taken", op.name, known.place, op.place, error=ValueError)
    OPS[op.name], op.function = op, function
    function.op, function.__name__, function.__qualname__ = op, op.name, op.name
    if function is not op.forward:
        function.__signature__ = Shown(op)
    if not function.__doc__:
        own = None if isinstance(op.forward, np.ufunc) else inspect.getdoc(op.forward)
        function.__doc__ = own or f"{op.name} of Tensors and arrays."
    for f in op.numpy:
        NUMPY[f] = function
    if op.operator:
        setattr(Array, f"__{op.operator}__", function)
        if len(op.rules) == 2:
            setattr(Array, f"__r{op.operator}__", _reflected(op, function))
    if op.numpy and callable(getattr(np.ndarray, op.name, None)):
        methods = {op.name: function, **methods}
    elif op.numpy and not hasattr(Array, op.name):  # t.exp() of other libraries
        setattr(Array, op.name, Absent(op.name, f"use the function {full_name(op.numpy[0])}"))
    for name, method in methods.items():
        if method is not None:
            setattr(Array, name, method)
    return function  # type: ignore[no-any-return]  # its attributes make it an Operation


def full_name(function: Any) -> str:
    """Where a function of NumPy or SciPy is found: numpy.exp, numpy.linalg.inv, scipy.special.erf."""
    name = function.__name__
    known = "numpy" if getattr(np, name, None) is function else "scipy.special"  # some ufuncs do not say
    module = getattr(function, "__module__", None) or known
    return f"{module.partition('._')[0]}.{name}"


def _reflected(op: Op, function: Any) -> Callable[..., Any]:
    """The operator for a Tensor on its right side."""

    def called(x: Any, y: Any) -> Any:
        return function(y, x)

    called.__name__ = called.__qualname__ = f"__r{op.operator}__"
    called.__doc__ = f"{op.name}(y, x): the operator for a Tensor on its right side."
    return called


def _statement() -> tuple[str | None, str, CodeType]:
    """The module, the file and line, and the surrounding code, of the statement that makes an op."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in (__name__, "autograd.op", "autograd.ops.register") and frame.f_back:
        frame = frame.f_back
    return frame.f_globals.get("__name__"), f"{frame.f_code.co_filename}:{frame.f_lineno}", frame.f_code


def _is_again(known: Op, op: Op) -> bool:
    """Whether the statement of a known op is run again, perhaps in a notebook, or in a file that has changed since."""
    if known.place == op.place or not (_is_file(known.place) or _is_file(op.place)):
        return True
    old, new = known.code, op.code
    return old is not new and (old.co_filename, old.co_qualname) == (new.co_filename, new.co_qualname)


def _is_file(place: str) -> bool:
    """Whether a statement is in a file; one typed into a notebook, say, may be changed and run again."""
    return os.path.exists(place.rpartition(":")[0])


def by_numpy(function: Any, numpy: Sequence[Any]) -> Any:
    """`function`, except that Tensors of whole numbers, and results of whole numbers, are NumPy's own.

    They have no gradient, and `function`, written with other ops, would return another dtype than NumPy's.  A call
    that it refuses goes to NumPy's too, if no gradient is needed.
    """
    if not numpy or isinstance(numpy[0], tuple):
        return function
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else ()
    out, dtype = (names.index(name) if name in names else 99 for name in ("out", "dtype"))

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        refuse_keywords_of_others(numpy[0].__name__, kwargs)
        if kwargs.get("out") is not None or (len(args) > out and args[out] is not None):
            refuse("out", numpy[0].__name__)
        wanted = kwargs.get("dtype", args[dtype] if len(args) > dtype else None)
        whole = wanted is not None and np.dtype(wanted).kind in "iub"
        for x in args:
            if isinstance(x, Tensor):
                if whole or (x.data.dtype.kind in "iub" and _all_whole((*args, *kwargs.values()))):
                    return _by_numpy(numpy[0], args, kwargs)
                break
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError, IndexError) as error:
            return unneeded(numpy, args, kwargs, error)

    return called


def unneeded(numpy: Sequence[Any], args: Sequence[Any], kwargs: Mapping[str, Any], error: Exception) -> Any:
    """The result of a NumPy function on the arrays of Tensors, if none needs a gradient; otherwise raise `error`.

    `error` is why an op has no result: NumPy may take keywords, shapes and numbers for which there is no rule.  A
    Tensor as an option, a mask or an axis say, stays an error.
    """
    arrays = list(args[: getattr(numpy[0], "nin", 1)]) if numpy else []
    first, tensors, options = (
        [x for x in flatten(values)[0] if isinstance(x, Tensor)] for values in (arrays, list(args), dict(kwargs))
    )
    recording = MODE.get().recording
    constant = all(type(x.data) is np.ndarray and not (recording and x.node) for x in tensors)
    if first and not options and constant and not _writes(numpy[0], args, kwargs):
        try:
            return _by_numpy(numpy[0], args, kwargs)
        except Exception:  # our message says more
            raise error from None
    raise error


def _without_rule(function: Any) -> Callable[..., Any]:
    """What to call for a NumPy function without a rule: itself, if no Tensor needs a gradient; TypeError otherwise.

    It gets arrays that it cannot write into, since a Tensor is not changed element by element.
    """
    compute = getattr(*function) if isinstance(function, tuple) else function

    def called(*args: Any, **kwargs: Any) -> Any:
        tensors, cause = [x for x in flatten([list(args), dict(kwargs)])[0] if isinstance(x, Tensor)], None
        at = compute.__name__ == "at" and isinstance(args[0], Tensor)  # which writes into read-only arrays too
        if not at and not (MODE.get().recording and any(x.node for x in tensors)):
            try:
                return _by_numpy(compute, args, kwargs, own=_read_only)
            except ValueError as error:
                if "read-only" not in str(error):
                    raise
                cause = error
        try:
            no_rule(function, {f.__name__ for f, op in NUMPY.items() if hasattr(op, "op")})
        except TypeError as error:
            raise error from cause

    return called


WITHOUT.append(_without_rule)


def _read_only(x: Any) -> Any:
    """The same memory, not writable; arrays that are not NumPy's unchanged."""
    if type(x) is np.ndarray:
        x = x.view()
        x.flags.writeable = False
    return x


def _writes(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call gives an array to write into."""
    with contextlib.suppress(ValueError, TypeError):  # a function written in C without a signature
        kwargs = inspect.signature(function).bind(*args, **kwargs).arguments
    return kwargs.get("out") is not None


def _by_numpy(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], own: Any = lambda x: x) -> Any:
    """The result of NumPy's function on the arrays of Tensors, as constants."""
    given, build = flatten([list(args), dict(kwargs)])
    for x in given:
        if isinstance(x, Tensor) and x.node is not None:
            constant_of(x, f"{function.__name__}(), whose result here has no gradient")
    args, kwargs = build(own(x.data) if isinstance(x, Tensor) else x for x in given)
    parts, build = flatten(function(*args, **kwargs))
    return build(tensor_of(np.asarray(part)) if np.asarray(part).dtype.kind in "biufc" else part for part in parts)


def _all_whole(values: Sequence[Any]) -> bool:
    """Whether all Tensors here hold whole numbers, and no list contains more Tensors."""
    for x in values:
        if isinstance(x, Tensor):
            if x.data.dtype.kind not in "iub":
                return False
        elif isinstance(x, list | tuple) and any(isinstance(item, Tensor) for item in x):
            return False
    return True
