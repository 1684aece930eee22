"""Write the stubs (.pyi) from the registry of ops, for type checkers and editors.

Run as `python docs/make_stubs.py`; a test fails when one is stale.  It needs SciPy and the newest NumPy.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import autograd
import autograd.special
import nn.functional
from autograd import Tensor
from autograd.array import Absent, Array
from autograd.numpy_calls import NUMPY
from autograd.ops.describe import differentiated
from autograd.ops.register import cases_of
from autograd.tree import flatten

ROOT = Path(__file__).parent.parent
HEAD = (
    f"# Written by docs/make_stubs.py from the registry of ops, with NumPy {np.__version__}; a test keeps it fresh.\n"
)
IMPORTS = {
    "collections.abc": ("Callable", "Sequence"),
    "typing": ("Any", "TypeAlias", "overload"),
    "numpy": ("np",),
    "numpy.typing": ("NDArray",),
}
PLAIN = """\
_Number: TypeAlias = complex | np.generic
_Array: TypeAlias = NDArray[Any] | Sequence[Any]
_Plain: TypeAlias = NDArray[Any] | Sequence[Any] | complex | np.generic
_Index: TypeAlias = NDArray[Any] | Sequence[Any] | complex | np.generic | slice | dict[Any, Any] | None

"""
Parameters = list[inspect.Parameter]


# ---- signatures


def arguments(parameters: Parameters, types: dict[str, str]) -> str:
    """Return the arguments of a function in a stub; those without a type in `types` are Any, and defaults are dots."""
    said, marks = [], {p.kind for p in parameters}
    slash = star = False
    for p in parameters:
        if p.kind is p.POSITIONAL_ONLY:
            slash = True
        elif slash:
            said.append("/")
            slash = False
        if p.kind is p.KEYWORD_ONLY and not star and p.VAR_POSITIONAL not in marks:
            said.append("*")
            star = True
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else " = ..."
        said.append(f"{prefix}{p.name}: {types.get(p.name, 'Any')}{default}")
    return ", ".join([*said, *(["/"] if slash else [])])


def function(name: str, variants: list[tuple[str, str]]) -> str:
    """Return a function with the (arguments, result) of each variant."""
    heads = [f"def {name}({given}) -> {result}: ..." for given, result in variants]
    if len(heads) == 1:
        return heads[0] + "\n"
    return "".join(f"@overload\n{head}\n" for head in heads)


def calls(op: Any) -> Iterator[inspect.BoundArguments]:
    """Yield the op's sample calls with arrays: as they are, without options, and with every flag turned."""
    signature = inspect.signature(op.function)
    flags = {p.name: not p.default for p in signature.parameters.values() if isinstance(p.default, bool)}
    for case in cases_of(op):
        if all(isinstance(x, tuple) and not x for x in case.inputs):  # numbers
            continue
        inputs = [_made(x) for x in case.inputs]
        for options in (case.params, {}, *({**case.params, name: value} for name, value in flags.items())):
            with contextlib.suppress(TypeError):  # a required argument is missing
                yield signature.bind(*inputs, **options)


def _made(x: Any) -> Any:
    if isinstance(x, list):
        return [_made(item) for item in x]
    if isinstance(x, tuple) and all(isinstance(n, int) for n in x):
        return np.linspace(0.3, 0.6, int(np.prod(x))).reshape(x) + (np.eye(*x[-2:]) if len(x) > 1 else 0.0)
    return x


def called(op: Any, call: inspect.BoundArguments, **tensors: Any) -> Any:
    """Return the result of a call with some arguments replaced by Tensors of these; None if they are not valid."""
    try:
        made = {name: [*map(Tensor, x)] if isinstance(x, list) else Tensor(x) for name, x in tensors.items()}
        given = inspect.BoundArguments(call.signature, {**call.arguments, **made})
        return op.function(*given.args, **given.kwargs)
    except Exception:  # whatever NumPy raises for arguments that are not valid
        return None


def _holds_tensor(result: Any) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in flatten(result)[0])


SETTINGS = {"axis", "source", "destination", "rcond"}  # which NumPy takes as arrays too


def takers(op: Any) -> dict[str, bool]:
    """Return the arguments of which a single Tensor makes the result one, found by calling the op, and whether always.

    An option does if it may be an array or a fraction: that an axis may be a Tensor, too, is by chance.
    """
    found: dict[str, set[bool]] = {}
    for call in calls(op):
        first = flatten(next(iter(call.arguments.values())))[0][0]
        for p in call.signature.parameters.values():
            if p.name in SETTINGS:
                continue
            values = [call.arguments.get(p.name)]
            if p.default is not p.empty:
                values = [np.ones(np.shape(first), bool)] if isinstance(p.default, bool) else [0.5, first]
            made = [called(op, call, **{p.name: x}) for x in values if p.kind is not p.VAR_POSITIONAL]
            found.setdefault(p.name, set()).update(_holds_tensor(x) for x in made if x is not None)
    return {name: all(kinds) for name, kinds in found.items() if True in kinds}


def _is_sequence(op: Any, name: str) -> bool:
    """Whether an argument is a list of arrays."""
    given = [call.arguments[name] for call in calls(op) if name in call.arguments]
    return any(isinstance(x, list) and isinstance(x[0], np.ndarray) for x in given)


def results(op: Any, arrays: list[str]) -> tuple[str, str]:
    """Return the result types of an op for Tensors and for arrays with axes."""
    recorded, plain = set(), set()
    for call in calls(op):
        plain.add(type(called(op, call)))
        for name in arrays:
            recorded.add(type(called(op, call, **{name: call.arguments[name]})))
    nothing = {type(None)}
    return (
        "Tensor" if recorded - nothing == {Tensor} else "Any",
        "NDArray[Any]" if plain - nothing == {np.ndarray} else "Any",
    )


def variants(op: Any) -> list[tuple[str, str]]:
    """Return the overloads of an op: one for each argument that may be its first Tensor, then those without."""
    parameters = list(inspect.signature(op.function).parameters.values())
    always = takers(op)
    arrays = [p for p in parameters if p.name in always]
    required = [p.name for p in arrays if p.default is p.empty]
    recorded, plain = results(op, required)
    if not required:
        return [(arguments(parameters, {}), "Any")]
    gradients = [name for name in differentiated(op) if name in required]
    if gradients and _is_sequence(op, gradients[0]):
        return [
            (arguments(parameters, {gradients[0]: "Sequence[Tensor]"}), recorded),
            (arguments(parameters, {}), "Any"),
        ]
    if recorded == "Any":
        return [(arguments(parameters, dict.fromkeys(gradients, "Tensor | _Plain")), "Any")]
    types: dict[str, str] = {}
    made = []
    for p in arrays:
        result = recorded if always[p.name] else "Any"
        made += [(arguments(given, {**types, p.name: "Tensor"}), result) for given in _forms(parameters, p)]
        types[p.name] = "_Plain | None" if p.name not in required else "_Plain" if p.name in gradients else "_Index"
    kinds = [("_Plain", plain)] if plain == "Any" else [("_Array", plain), ("_Number", "Any")]
    return made + [(arguments(parameters, {**types, required[0]: kind}), result) for kind, result in kinds]


def _forms(parameters: Parameters, p: inspect.Parameter) -> list[Parameters]:
    """Return the parameters of the calls that give `p`: after all options before it, and by name."""
    i = parameters.index(p)
    before, given, after = parameters[:i], p.replace(default=p.empty), parameters[i + 1 :]
    if p.kind is p.KEYWORD_ONLY or all(q.default is q.empty for q in before):
        return [[*before, given, *after]]
    by_name = [q.replace(kind=q.KEYWORD_ONLY) for q in (given, *after)]
    return [[*(q.replace(default=q.empty) for q in before), given, *after], [*before, *by_name]]


# ---- files


def stub(body: str) -> str:
    """Return the text of a stub: the imports that `body` needs, and `body`."""
    head = HEAD
    for module, names in IMPORTS.items():
        used = [name for name in names if re.search(rf"\b{name}\b", body)]
        if used == ["np"]:
            head += "\nimport numpy as np\n"
        elif used:
            head += f"from {module} import {', '.join(used)}\n"
    return f"{head}\n{body}"


def functions(module: Any) -> str:
    """Return the functions of a module that correspond to NumPy's or SciPy's."""
    ops = {name: f for name, f in vars(module).items() if hasattr(f, "op") and name in module.__dir__()}
    return "".join(function(name, variants(ops[name].op)) for name in sorted(ops))


def package() -> str:
    """Return autograd/__init__.pyi: the imports of the package, and its functions from the registry."""
    tree = ast.parse((ROOT / "autograd/__init__.py").read_text())
    lines = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            module = "." + (node.module or "")
            names = [a.name for a in node.names if a.name in dir(autograd)]
            names = [name for name in names if not hasattr(getattr(autograd, name), "op")]
            lines += [f"from {module} import {name} as {name}" for name in names]
    later = [(module, name) for name, module in autograd._LATER.items()]
    lines += [f"from . import {name} as {name}" for module, name in later if module == name]
    lines += [f"from .{module} import {name} as {name}" for module, name in later if module != name]
    imported = {line.rpartition(" ")[2] for line in lines}
    own = {name: getattr(autograd, name) for name in dir(autograd) if name not in imported}
    own = {name: f for name, f in own.items() if hasattr(f, "op")}
    made = "".join(function(name, variants(own[name].op)) for name in sorted(own))
    return stub("\n".join(sorted(lines)) + f"\n\n__version__: str\n__all__ = {autograd.__all__}\n" + PLAIN + made)


def namespace(module: Any) -> str:
    """Return the stub of a module of functions, such as autograd.linalg."""
    written = []
    for name in module.__all__:  # some are loaded on first access
        if not hasattr(f := getattr(module, name), "op"):  # not an op, but a function that makes or calls one
            signature = inspect.signature(f)
            parameters = list(signature.parameters.values())
            types = {p.name: p.annotation for p in parameters}
            written.append(function(name, [(arguments(parameters, types), signature.return_annotation)]))
    return stub("from .tensor import Tensor\n\n" + PLAIN + functions(module) + "".join(written))


def methods() -> str:
    """Return autograd/_methods.pyi: the methods that ops set on Tensor."""
    body = []
    for name, method in sorted(vars(Array).items()):
        if isinstance(method, property) and name in ("real", "imag"):
            body.append(f"@property\ndef {name}(self) -> Tensor: ...\n")
        elif callable(method) and not isinstance(method, Absent | type) and not _is_written(name):
            body.append(_method(name, method))
    text = "".join(f"    {line}\n" for line in "".join(body).splitlines())
    return stub(f"from .hooks import Handle\nfrom .tensor import Tensor\n\nclass Methods:\n{text}")


def _is_written(name: str) -> bool:
    """Whether the method is written in the class itself."""
    return f"def {name}(" in inspect.getsource(Array) or name in ("__module__", "__doc__", "__hash__", "__slots__")


def _method(name: str, method: Any) -> str:
    if name == "register_hook":
        return "def register_hook(self, hook: Callable[[Tensor], Any]) -> Handle: ...\n"
    if name.startswith("__"):
        binary = name not in ("__neg__", "__pos__", "__abs__")
        plain = name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")
        other = ", other: Any, /" if binary else ""
        return f"def {name}(self{other}) -> {'Any' if plain else 'Tensor'}: ...\n"
    parameters = list(inspect.signature(method).parameters.values())[1:]
    given = arguments(parameters, {})
    plain = NUMPY.get(getattr(np, name, None)) is method and not hasattr(method, "op")
    return f"def {name}(self{', ' + given if given else ''}) -> {'Any' if plain else 'Tensor'}: ...\n"


def nets() -> str:
    """Return nn/functional/__init__.pyi: the first argument decides the result, unless it is annotated."""
    first = {"embedding": "weight"}
    body = []
    for name in sorted(n for n in dir(nn.functional) if not n.startswith("_")):
        f = getattr(nn.functional, name)
        if inspect.ismodule(f):
            continue
        if hasattr(f, "op"):
            body.append(function(name, variants(f.op)))
            continue
        signature = inspect.signature(f)
        parameters = list(signature.parameters.values())
        types = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
        if signature.return_annotation != "Any" or not parameters:
            body.append(function(name, [(arguments(parameters, types), signature.return_annotation)]))
            continue
        decides = first.get(name, parameters[0].name)
        pair = [(arguments(parameters, {**types, decides: "Tensor"}), "Tensor"), (arguments(parameters, types), "Any")]
        body.append(function(name, pair))
    return stub("from autograd import Tensor\n\n" + PLAIN + "".join(body))


def modules_of_functions(module: Any) -> str:
    """Return the stub of a module of FunctionModules: their arguments have the types of their functions'."""
    made = "".join(_class(getattr(module, name)) for name in module.__all__)
    return stub(f"from autograd import Tensor\n\nfrom .function_module import FunctionModule\n\n{made}")


def _class(kind: Any) -> str:
    function = kind._function
    types = {**getattr(function.op.forward if hasattr(function, "op") else function, "__annotations__", {})}
    options = inspect.signature(kind).parameters
    every = [*inspect.signature(function).parameters.values()]
    inputs = [p for p in every if p.default is p.empty] if kind._inputs is None else every[: kind._inputs]
    given, called = arguments([*options.values()], {"inplace": "bool", **types}), arguments(inputs, types)
    lines = [f"{name}: {types[name]}" for name in options if name != "inplace"]
    lines += [f"def __init__(self{', ' + given if given else ''}) -> None: ..."]
    lines += [f"def forward(self, {called}) -> Tensor: ..."]
    return f"class {kind.__name__}(FunctionModule):\n" + "".join(f"    {line}\n" for line in lines)


def stubs() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of every stub."""
    yield ROOT / "autograd/__init__.pyi", package()
    yield ROOT / "autograd/_methods.pyi", methods()
    for name in ("linalg", "fft", "special"):
        yield ROOT / f"autograd/{name}.pyi", namespace(getattr(autograd, name))
    yield ROOT / "nn/functional/__init__.pyi", nets()
    for name in ("activations", "losses", "pooling", "resampling"):
        yield ROOT / f"nn/{name}.pyi", modules_of_functions(importlib.import_module(f"nn.{name}"))


if __name__ == "__main__":
    for path, text in stubs():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
