"""Module: a network is a plain object, and its parameters are found by walking its attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np

from autograd import Tensor, assign_all, attributes_changed, clear_gradients, current_mode, to
from autograd.hooks import Handle

from .arguments import accepting_class
from .elsewhere import MODULE, TO, explains
from .missing import Missing, missing
from .module_hooks import Hooks
from .parameter import Buffer, Parameter, Parameters
from .placement import is_elsewhere, moved, on_host
from .state import ambiguous, is_parameter, is_state, joined, mismatches, must_stay
from .unsearched import ITERATORS, loses, unsearched

__all__ = ["Buffer", "Module", "Parameter"]

M = TypeVar("M", bound="Module")


class Keys(NamedTuple):
    """The keys that `load_state_dict(strict=False)` skipped."""

    missing_keys: list[str]
    unexpected_keys: list[str]


_CALL_FIRST = "a module is called first, as in loss_of(prediction, target).backward()"


if TYPE_CHECKING:
    P = ParamSpec("P")
    R_co = TypeVar("R_co", covariant=True)

    class _Forward(Protocol[P, R_co]):
        def forward(self, *inputs: P.args, **options: P.kwargs) -> R_co: ...


class Module:
    """Base of every layer and network: define `__init__`, which sets attributes, and `forward`.

    Its parameters are the Parameters, and the Tensors with `requires_grad`, among its attributes, including those
    inside lists, tuples, dicts and other modules; a shared one counts once.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter(2.0)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(Tensor(3.0)).item(), [name for name, _ in Scale().named_parameters()]
    (6.0, ['factor'])
    """

    training: bool = True
    _hooks: Hooks | None = None  # most modules never have any

    def __init_subclass__(cls) -> None:
        slots = [vars(base).get("__slots__", ()) for base in cls.__mro__]
        names = {name for slot in slots for name in ((slot,) if isinstance(slot, str) else slot)}
        if names := names - {"__dict__", "__weakref__"}:
            raise TypeError(
                f"{cls.__name__} has __slots__ ({', '.join(sorted(names))}), where parameters are not found; remove "
                f"them, a module has a __dict__ anyway"
            )
        for name, value in vars(cls).items():
            if isinstance(value, Tensor | Module):
                raise TypeError(
                    f"{cls.__name__}.{name} is set in the class body, where all objects share it and it is not found "
                    f"among the parameters; set self.{name} in __init__"
                )
        accepting_class(cls)

    if TYPE_CHECKING:  # a call has the signature of `forward`

        def __call__(self: _Forward[P, R_co], *inputs: P.args, **options: P.kwargs) -> R_co: ...
    else:
        backward, item = Missing(_CALL_FIRST), Missing(_CALL_FIRST)
        locals().update({name: Missing(hint) for name, hint in MODULE.items()})

        def __dir__(self) -> list[str]:
            hints = {name for name in super().__dir__() if isinstance(getattr(type(self), name, None), Missing)}
            return [*({*super().__dir__()} - hints | {*vars(self)})]

        def __setattr__(self, name: str, value: Any) -> None:
            held = vars(self).get(name)
            if isinstance(held, Tensor) and isinstance(value, Tensor | np.ndarray | float | int | list | tuple):
                must_stay(self, name, held, value)
            if type(value) not in _PLAIN and isinstance(value, _CHECKED):
                _check_attribute(self, name, value)
            if held is not value or name not in vars(self):
                attributes_changed()
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            attributes_changed()
            object.__delattr__(self, name)

        def __call__(self, *inputs: Any, **options: Any) -> Any:
            observer = current_mode().observer
            forward = self.forward if observer is None else observer.around("module", self, self.forward)
            try:
                if self._hooks is not None:
                    return self._hooks.call(self, forward, inputs, options)
                return forward(*inputs, **options) if options else forward(*inputs)
            except AttributeError as error:
                if error.obj is self and error.name:
                    raise missing(self, error.name) from error
                raise
            except TypeError as error:
                if error.__traceback__.tb_next is None and "forward() missing" in str(error):  # of this call
                    raise TypeError(
                        f"{error}; a call passes on what it is given, and nn.fit gives one input: put several into a "
                        f"dict, which forward(self, inputs) reads as inputs['name']"
                    ) from error
                raise

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise TypeError(f"{type(self).__name__} has no forward(): write `def forward(self, x)` in its class")

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], Any]) -> Handle:
        """Call `hook(module, inputs, output)` after every forward; its result, unless None, replaces the output.

        The handle's `remove()` removes the hook.
        """
        hooks: Hooks = vars(self).setdefault("_hooks", Hooks())
        return hooks.add("forward", hook)

    def register_full_backward_hook(self, hook: Callable[[Module, Any, Any], Any]) -> Handle:
        """Call `hook(module, grad_inputs, grad_output)` when backward() has passed through this module.

        `grad_inputs` has a Tensor for each input that needs a gradient (zeros if the output does not depend on it) and
        None for the others.  A tuple that the hook returns replaces it; a gradient whose shape is not that of its input
        raises ValueError.  For modules whose output is one Tensor (TypeError otherwise).
        """
        hooks: Hooks = vars(self).setdefault("_hooks", Hooks())
        return hooks.add("backward", hook)

    # ---- what is inside

    def contents(self) -> Mapping[str, Any]:
        """The attributes, which are searched for modules and Tensors.  Containers override this to name their items."""
        return vars(self)

    def _has_item(self, name: str) -> bool:
        """Whether an item of a container has this name."""
        return False

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one, with their names."""
        return ((name, value) for name, value in _leaves(self) if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """The modules directly inside this one."""
        return (child for _, child in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module (named "") and all inside it, each once, with dotted names.

        Raises ValueError when two modules have the same name.
        """
        stack: list[tuple[str, Module]] = [("", self)]
        seen, paths = set(), set()
        while stack:
            prefix, module = stack.pop()
            if id(module) in seen:
                continue
            if prefix in paths:
                raise ambiguous(self, prefix)
            seen.add(id(module))
            paths.add(prefix)
            yield prefix, module
            inner = [(joined(prefix, name), child) for name, child in module.named_children()]
            stack.extend(reversed(inner))

    def modules(self) -> Iterator[Module]:
        """This module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def _named(self, kind: Callable[[Tensor], bool]) -> Iterator[tuple[str, Tensor]]:
        """Every Tensor of this kind once, with its dotted name."""
        seen, paths = set(), set()
        for prefix, module in self.named_modules():
            for name, value in _leaves(module):
                if isinstance(value, Tensor) and is_state(value) and id(value) not in seen:
                    path = joined(prefix, name)
                    if path in paths:
                        raise ambiguous(self, path)
                    seen.add(id(value))
                    paths.add(path)
                    if kind(value):
                        yield path, value

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter once, with its dotted name: `0.weight`, `encoder.layers.1.bias`."""
        return self._named(is_parameter)

    def parameters(self) -> list[Tensor]:
        """Every parameter once, in the order of `named_parameters`; `next(model.parameters())` is the first."""
        return Parameters(parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every Buffer once, with its dotted name."""
        return self._named(lambda tensor: isinstance(tensor, Buffer))

    def buffers(self) -> list[Tensor]:
        """Every Buffer once."""
        return [buffer for _, buffer in self.named_buffers()]

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Set the attribute `name` to a Buffer of this value; without `persistent` it stays out of the state."""
        if isinstance(tensor, Tensor):
            tensor = tensor.data
        setattr(self, name, None if tensor is None else Buffer(tensor) if persistent else Tensor(tensor))

    # ---- how it is used

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """Call `function` with every module inside, innermost first, and with this one last."""
        for _, module in reversed(list(self.named_modules())):
            function(module)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Set `training` on this module and all inside; some layers act differently while training."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """The opposite of `train()`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze (False) or unfreeze all parameters; a plain Tensor without `requires_grad` stops being one."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters, or set them to zeros."""
        if set_to_none:
            clear_gradients(self.parameters())
            return
        for p in self.parameters():
            if p.grad is not None:
                p.grad = Tensor(np.zeros_like(p.grad.data))

    @explains(TO)
    def to(self: M, target: Any) -> M:
        """Convert floating-point parameters and buffers to a dtype, or move all to a library: model.to(cupy), to(np).

        Their gradients are cleared.  Make optimisers afterwards: their states stay where they were.
        """
        moved(self, target)
        return self

    def double(self: M) -> M:
        """Convert all parameters to float64."""
        return self.to(np.float64)

    def float(self: M) -> M:
        """Convert all parameters to float32."""
        return self.to(np.float32)

    # ---- its state

    def _state(self) -> dict[str, Tensor]:
        """Every parameter and buffer under each of its names; as in PyTorch, a shared one is listed more than once."""
        found: dict[str, Tensor] = {}
        stack: list[tuple[str, Module, tuple[int, ...]]] = [("", self, ())]
        while stack:
            prefix, module, above = stack.pop()
            inner, around = [], (*above, id(module))
            for name, value in _leaves(module):
                path = joined(prefix, name)
                if isinstance(value, Module):
                    if id(value) not in around:  # a module that refers to itself, or to one around it
                        inner.append((path, value, around))
                elif is_state(value) and found.setdefault(path, value) is not value:
                    raise ambiguous(self, path)
            stack.extend(reversed(inner))
        return found

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """{dotted name: array} of all parameters and buffers.

        Training replaces arrays instead of writing into them, so the result does not change later.  Raises ValueError
        when two tensors have the same name, such as those of the keys 1 and "1" of a dict.

        >>> Linear = __import__("nn").Linear
        >>> {name: array.shape for name, array in Linear(3, 2).state_dict().items()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        return {name: tensor.data for name, tensor in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Keys:
        """Load the arrays of `state`, in this module's dtypes.

        Raises a ValueError that names every missing, unexpected, wrongly shaped and wrongly typed key, before anything
        changes.  With `strict=False` missing and unexpected keys are returned instead.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict() takes a dict of arrays, as state_dict() gives; got {type(state).__name__} (for a "
                f"file, use nn.load(path, model))"
            )
        own = self._state()
        arrays = {name: v if is_elsewhere(v) else on_host(v) for name, v in state.items()}
        given = {id(own[name]): name for name in arrays if name in own}
        missing = [name for name, tensor in own.items() if id(tensor) not in given]
        unexpected = [name for name in arrays if name not in own]
        faults = [f"missing: {', '.join(missing)}"] if missing and strict else []
        faults += [f"unexpected: {', '.join(unexpected)}"] if unexpected and strict else []
        for name, array in arrays.items():
            if name in own:
                faults += mismatches(name, array, own[name], given, arrays)
        if faults:
            raise ValueError(f"this state does not fit {type(self).__name__}:\n  " + "\n  ".join(faults))
        fitting = {own[name]: array for name, array in arrays.items() if name in own}
        news = [np.empty_like(tensor.data) for tensor in fitting]  # keeps the layout, and with it the bits of products
        for new, array in zip(news, fitting.values(), strict=True):
            new[...] = to(array, new)
        assign_all(list(fitting), news)
        return Keys(missing, unexpected)

    def flops(self, shape: tuple[int, ...]) -> int:
        """Floating-point operations of a call whose output has this shape: one per element, unless overridden.

        `nn.summary` calls it on modules without inner modules.
        """
        return math.prod(shape)

    # ---- how it is shown

    def describe(self) -> str:
        """The text in brackets after the class name."""
        return ""

    def __repr__(self) -> str:
        lines = []
        for path, module in self.named_modules():
            depth, name = (path.count(".") + 1, path.rpartition(".")[2]) if path else (0, "")
            count = sum(parameter.size for parameter in module.parameters())
            label = f"({name}) " if name else ""
            lines.append(f"{'  ' * depth}{label}{type(module).__name__}({module.describe()}): {count:,} parameters")
        return "\n".join(lines)


_CHECKED = (Tensor, Module, dict, *ITERATORS)


def _check_attribute(module: Module, name: str, value: Any) -> None:
    """Raise an error for an attribute whose parameters would not be found, or not by a name of their own."""
    where = f"{type(module).__name__}.{name}"
    if isinstance(value, ITERATORS):
        raise unsearched(where, value)
    if isinstance(value, dict):
        holder = Module()
        vars(holder)[name] = value
        holder._state()
    elif not name or "." in name:
        raise ValueError(f"{where!r} cannot hold parameters: a name has at least one character, and no dot")
    elif module._has_item(name):
        raise ValueError(f"{type(module).__name__} has an item named {name!r}: give the attribute another name")


_PLAIN = {bool, int, float, str, type(None)}  # most attributes; asking first saves a quarter of the walk


def _leaves(module: Module) -> Iterator[tuple[str, Any]]:
    """The Tensors and modules among the contents, inside lists, tuples and dicts too, with dotted names."""
    stack = [(name, value) for name, value in reversed(list(module.contents().items()))]
    seen = set()
    while stack:
        name, value = stack.pop()
        if isinstance(value, Tensor | Module):
            yield name, value
        elif isinstance(value, list | tuple | dict) and id(value) not in seen:
            seen.add(id(value))
            items = value.items() if isinstance(value, dict) else enumerate(value)
            stack.extend(reversed([(f"{name}.{key}", item) for key, item in items]))
            if isinstance(value, dict) and any(isinstance(key, Tensor | Module) for key in value):
                raise unsearched(f"{type(module).__name__}.{name}", value)
        elif type(value) not in _PLAIN and (isinstance(value, ITERATORS) or loses(module, value, (Tensor, Module))):
            raise unsearched(f"{type(module).__name__}.{name}", value)
