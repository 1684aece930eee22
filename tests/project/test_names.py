"""The public names: `dir()` and `__all__` agree, and every public name has a docstring."""

from __future__ import annotations

import builtins
import copy
import functools
import importlib
import importlib.metadata
import inspect
import operator
import pickle
import pkgutil
import pydoc
import re
import subprocess
import sys
import types
from types import ModuleType

import numpy as np
import pytest

import autograd
import nn
from autograd import OPS, Tensor
from autograd.array import Absent, Array
from autograd.elsewhere import TENSOR
from autograd.numpy_calls import NUMPY

MODULES = [
    autograd, autograd.linalg, autograd.fft, autograd.special, autograd.files, autograd.hooks, nn, nn.functional,
    nn.optim, nn.init,
]  # fmt: skip
PACKAGES = [autograd, autograd.linalg, autograd.fft, autograd.special, nn, nn.functional]


def public(module):
    return {name for name in dir(module) if not name.startswith("__")}


BUILTINS = public(autograd) & vars(builtins).keys()  # a star import keeps Python's own


def callables():
    for module in MODULES:
        for name in sorted({*module.__all__, *(BUILTINS if module is autograd else ())}):
            value = getattr(module, name)
            if callable(value):
                yield pytest.param(value, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("module", PACKAGES, ids=lambda module: module.__name__)
def test_dir_is_the_public_api_and_nothing_else(module):
    names = public(module)
    assert names - (BUILTINS if module is autograd else set()) == set(module.__all__)
    for name in names:
        value = getattr(module, name)
        assert not isinstance(value, ModuleType) or value.__name__.split(".")[0] in ("autograd", "nn"), name
        assert value is not sys.modules.get(name), name
    assert not names & {"os", "math", "np", "sys", "Any", "annotations", "tensor", "LN2"}


@pytest.mark.parametrize("package", [autograd, nn], ids=lambda package: package.__name__)
def test_every_name_in_an_all_is_there(package):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.{name}"


def test_a_star_import_leaves_pythons_own_functions_alone():
    names = {}
    exec("from autograd import *", names)
    assert names["exp"] is autograd.exp and names["Tensor"] is Tensor
    assert not BUILTINS & names.keys()
    assert all(callable(getattr(autograd, name)) for name in BUILTINS)


WITHOUT = """
import inspect, sys
sys.modules.update({"scipy": None, "scipy.special": None})
import autograd, nn
from autograd import *
from nn import *
for module in (autograd, nn):
    assert set(module.__all__) <= dict(inspect.getmembers(module)).keys() == set(dir(module))
try:
    autograd.special
except ImportError as error:
    print(error)
"""


def test_every_name_can_be_had_without_scipy():
    result = subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert "special needs SciPy" in result.stdout


@pytest.mark.parametrize(
    "program",
    [
        "import autograd.special; print(autograd.special.logsumexp)",
        "from autograd.special import logsumexp, erf; print(erf)",
        "import autograd.linalg, autograd.fft; print(autograd.linalg.solve, autograd.fft.rfft)",
        "from autograd.linalg import norm; from autograd.fft import fft; print(norm, fft)",
        "import autograd; print(autograd.__version__, autograd.special.erf, autograd.linalg.inv, autograd.fft.fft)",
    ],
)
def test_public_modules_are_imported_as_the_documents_say(program):
    result = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_version_is_that_of_the_distribution():
    assert importlib.metadata.version("plaingrad") == autograd.__version__


@pytest.mark.parametrize("function", list(callables()))
def test_help_shows_the_arguments_of_a_call(function):
    assert function.__doc__ and function.__doc__.strip(), "no docstring"
    assert "object at 0x" not in function.__doc__
    if isinstance(function, type) and issubclass(function, BaseException | dict):
        return
    shown = str(inspect.signature(function))
    assert "object at 0x" not in shown and "inputs0" not in shown and "*more" not in shown


MADE = [kind for kind in vars(nn).values() if isinstance(kind, type) and nn.FunctionModule in kind.__mro__[1:]]


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
def test_modules_made_of_functions_have_the_signature_of_what_is_called(kind):
    class Same(kind): ...

    class Own(kind):
        def __init__(self, k):
            super().__init__(*needed)

    shown = inspect.signature(kind)
    needed = [2 for p in shown.parameters.values() if p.default is p.empty]
    assert inspect.signature(Same) == shown
    assert list(inspect.signature(Own).parameters) == ["k"]
    module = Own(1)
    assert repr(module) == repr(kind(*needed)).replace(kind.__name__, "Own")
    assert inspect.signature(module) == inspect.signature(module.__call__)
    with pytest.raises(TypeError) as told:
        kind(no_such=1)
    assert str(told.value).startswith(f"{kind.__name__}{shown}: ")


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_the_signature_of_an_op_is_used_like_any_other(op):
    found = inspect.signature(op.function)
    assert found.replace() == found == inspect.Signature(found.parameters.values())
    assert found.replace(return_annotation=Tensor).return_annotation is Tensor
    for same in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert str(same) == str(found)
    bound = inspect.signature(types.MethodType(op.function, found))
    assert inspect.signature(functools.partial(op.function, found)) == bound


@pytest.mark.slow
@pytest.mark.parametrize("value", list(callables()))
def test_public_names_are_pickled(value):
    assert pickle.loads(pickle.dumps(value)) is value


def positional(function):
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in kinds]


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.numpy], ids=lambda op: op.name)
def test_arguments_have_numpys_places(op):
    """A call with positions means what it means in NumPy; what NumPy has behind a refused argument is a keyword."""
    theirs, own = op.numpy[0], positional(op.function)
    if isinstance(theirs, np.ufunc):
        assert len(own) <= theirs.nin
    elif inspect.isroutine(theirs):  # the methods of ufuncs have no signature to compare
        assert own == positional(theirs)[: len(own)]


OWN = {name: value for kind in (Array, Tensor) for name, value in vars(kind).items() if not isinstance(value, Absent)}
SPOKEN = [name for name in OWN if name in dir(Tensor) and not name.startswith("_")]
OPERATORS = [name for name in OWN if {name, name.replace("__r", "__", 1)} & vars(operator).keys()]


@pytest.mark.parametrize("name", sorted({*SPOKEN, *OPERATORS} - {"node", "name", "__doc__"}))
def test_help_of_a_tensor_describes_its_methods_and_operators(name):
    value = OWN[name]
    assert value.__doc__ and "object at 0x" not in value.__doc__
    if callable(value):
        bound = getattr(Tensor([1.0]), name)
        names = {name, *({"conjugate"} if name == "conj" else ())}
        if name in OPERATORS:
            names |= {f.__name__ for f in NUMPY.values() if f is value}
        assert value.__name__ in names and value.__qualname__.rpartition(".")[2] == value.__name__
        for shown in (str(inspect.signature(value)), str(inspect.signature(bound))):
            assert " at 0x" not in shown and "_function" not in shown and "**" not in shown and "lambda" not in shown
        assert "<lambda>" not in pydoc.plain(pydoc.render_doc(bound))


def test_help_of_the_class_shows_no_addresses():
    shown = pydoc.plain(pydoc.render_doc(Tensor))
    assert not re.search(r" at 0x|<lambda>|= lambda|_function=", shown)


@pytest.mark.parametrize("function", {f: f for f in NUMPY.values() if not hasattr(f, "op")})
def test_functions_without_a_gradient_are_described(function):
    if function not in [f for theirs, f in NUMPY.items() if isinstance(theirs, tuple)]:
        assert "no gradient" in function.__doc__ and function.__name__ == function.__qualname__ != "<lambda>"


# Functions that replace one of NumPy's or SciPy's have its docstring; classes have an example in the documents.
OURS = [p for p in callables() if not isinstance(p.values[0], type) and not getattr(p.values[0], "op", None)]
OURS += [p for p in callables() if (op := getattr(p.values[0], "op", None)) and not op.numpy]


@pytest.mark.parametrize("function", OURS)
def test_functions_of_our_own_show_an_example(function):
    assert ">>>" in inspect.getdoc(function)


def test_the_help_of_numpys_functions_shows_the_gradients():
    said = inspect.getdoc(autograd.maximum)
    assert "`x1`, `x2`" in said and "half to each" in said and "numpy.maximum" in said
    assert str(inspect.signature(autograd.exp)) == "(x, /, *, where=True, dtype=None)"
    assert "axis" in inspect.signature(autograd.sum).parameters


MISSING = [name for name, value in vars(Array).items() if isinstance(value, Absent) and name not in TENSOR]


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_method_suggests_a_function_that_takes_tensors(name):
    with pytest.raises(AttributeError) as error:
        getattr(Tensor([1.0]), name)
    module, _, last = re.search(r"use the function ([\w.]+)$", str(error.value))[1].rpartition(".")
    assert getattr(importlib.import_module(module), last) in NUMPY


def test_tensors_have_numpys_methods_and_their_own():
    """No op sets a method on Tensor by itself; names from other libraries only appear as hints in errors."""
    own = {  # the words of the graph
        "assign", "backward", "detach", "grad", "is_leaf", "name", "node", "register_hook", "requires_grad", "to",
    }  # fmt: skip
    assert {name for name in public(Tensor) if not name.startswith("_")} - set(dir(np.ndarray)) == own
    for name in ("linear", "eigh_rows", "label_cross_entropy", "gelu", "exp", "cuda"):
        assert name not in dir(Tensor) and name not in dir(Tensor([1.0]))
        with pytest.raises(AttributeError):
            getattr(Tensor([1.0]), name)
