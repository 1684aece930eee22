"""Write the stubs (.pyi) from the registry of ops, for type checkers and editors.

Run as `python docs/make_stubs.py`; a test fails when one is stale.  It needs SciPy and the newest NumPy.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
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


def results(op: Any) -> tuple[str, str]:
    """Return the result types of an op for Tensors and for arrays with axes, found by running its cases."""
    kinds: list[set[type]] = [set(), set()]
    for case in cases_of(op):
        if all(isinstance(x, tuple) and not x for x in case.inputs):
            continue
        for found, wrap in zip(kinds, (Tensor, np.asarray), strict=True):
            try:
                found.add(type(op.function(*(_made(x, wrap) for x in case.inputs), **case.params)))
            except Exception:  # the inputs are outside the domain of the op
                continue
    return "Tensor" if kinds[0] == {Tensor} else "Any", "NDArray[Any]" if kinds[1] == {np.ndarray} else "Any"


def _made(x: Any, wrap: Callable[[Any], Any]) -> Any:
    if isinstance(x, list):
        return [_made(item, wrap) for item in x]
    if isinstance(x, tuple) and all(isinstance(n, int) for n in x):
        return wrap(np.linspace(0.3, 0.6, int(np.prod(x))).reshape(x) + (np.eye(*x[-2:]) if len(x) > 1 else 0.0))
    return wrap(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def variants(op: Any) -> list[tuple[str, str]]:
    """Return the overloads of an op: Tensors give Tensors, arrays give arrays."""
    parameters = list(inspect.signature(op.function).parameters.values())
    recorded, plain = results(op)
    arrays = [name.lstrip("*") for name in differentiated(op)][:2]
    first = next((p for p in parameters if p.name in arrays), None)
    if first is None:
        return [(arguments(parameters, {}), "Any")]
    if first.kind is first.VAR_POSITIONAL:
        return [(arguments(parameters, {}), "Any")]
    if any(isinstance(x, list) for case in cases_of(op) for x in case.inputs):
        types = {first.name: "Sequence[Tensor]"}
        return [(arguments(parameters, types), recorded), (arguments(parameters, {}), "Any")]
    types = [({arrays[0]: "Tensor"}, recorded)]
    if len(arrays) == 2:
        types.append(({arrays[0]: "_Plain", arrays[1]: "Tensor"}, recorded))
        rest = {arrays[1]: "_Plain"}
    else:
        rest = {}
    if plain == "Any":
        types.append(({arrays[0]: "_Plain", **rest}, "Any"))
    else:
        types += [({arrays[0]: "_Array", **rest}, plain), ({arrays[0]: "_Number", **rest}, "Any")]
    return [(arguments(parameters, given), result) for given, result in types]


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
    return stub("\n".join(sorted(lines)) + "\n\n__version__: str\n" + PLAIN + made)


def namespace(module: Any) -> str:
    """Return the stub of a module of functions, such as autograd.linalg."""
    return stub("from .tensor import Tensor\n\n" + PLAIN + functions(module))


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
        if signature.return_annotation != "Any":
            body.append(function(name, [(arguments(parameters, types), signature.return_annotation)]))
            continue
        decides = first.get(name, parameters[0].name)
        pair = [(arguments(parameters, {**types, decides: "Tensor"}), "Tensor"), (arguments(parameters, types), "Any")]
        body.append(function(name, pair))
    return stub("from autograd import Tensor\n\n" + PLAIN + "".join(body))


def stubs() -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of every stub."""
    yield ROOT / "autograd/__init__.pyi", package()
    yield ROOT / "autograd/_methods.pyi", methods()
    for name in ("linalg", "fft", "special"):
        yield ROOT / f"autograd/{name}.pyi", namespace(getattr(autograd, name))
    yield ROOT / "nn/functional/__init__.pyi", nets()


if __name__ == "__main__":
    for path, text in stubs():
        path.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")
