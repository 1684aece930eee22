"""The types: the stubs are current, correct programs pass, and mistakes are reported."""

from __future__ import annotations

import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import autograd
import autograd.special
import nn
from autograd import Tensor
from autograd.ops.register import cases_of
from installing import install, run
from samples import sample

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "support" / "typed_program.py"
MISTAKES = {  # {a line added to the program: the error that the checker reports}
    "x[0] = 1.0": "Unsupported target for indexed assignment",
    "x[0] += 1.0": "Unsupported target for indexed assignment",
    "x.summ()": 'has no attribute "summ"',
    "count: int = x.sum()": "Incompatible types in assignment",
    "autograd.exponential(x)": 'has no attribute "exponential"',
    "autograd.exp(x, x, x)": 'No overload variant of "exp"',
    "autograd.stack([x], axes=1)": 'Unexpected keyword argument "axes"',
    "autograd.linalg.inverse(x)": 'has no attribute "inverse"',
    "x.backward(retain_grpah=True)": 'Unexpected keyword argument "retain_grpah"',
    "model(x).shpe": 'has no attribute "shpe"',
    "model(x, x)": "Too many arguments",
    "name: str = F.softmax(x)": "Incompatible types in assignment",
    'nn.Linear("4", 8)': 'Argument 1 to "Linear" has incompatible type',
    "optimizer.stepp()": 'has no attribute "stepp"',
    'autograd.grad(volume)("a")': "Argument 1 has incompatible type",
    "size: int = autograd.grad(volume)(np.ones(3))": "Incompatible types in assignment",
    'nn.CrossEntropyLoss(reduktion="sum")': 'Unexpected keyword argument "reduktion"',
    "nn.LeakyReLU(0.1, 2, 3, 4)": "Too many arguments",
    "nn.MSELoss()(x, x, x)": "Too many arguments",
}


def check(python, folder, lines):
    """Return {line: error} from `mypy --strict` for the program and these lines, with the packages of `python`."""
    text = PROGRAM.read_text()
    path = folder / "program.py"
    path.write_text(text + "".join(f"{line}\n" for line in lines))
    options = ["--strict", "--no-error-summary", "--cache-dir", folder / "cache", "--python-executable", python]
    command = [sys.executable, "-m", "mypy", *options, path]
    said = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=folder)
    assert said.returncode == 1 and said.stderr == "", f"{said.returncode} {said.stderr}"  # not a crash
    lines = path.read_text().splitlines()
    found = re.findall(r"program\.py:(\d+): error: (.*)", said.stdout)
    return {lines[int(number) - 1]: message for number, message in reversed(found)}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["installed", "editable"])
def test_a_checker_finds_mistakes_and_nothing_else(how, wheel, source, fresh, tmp_path):
    python, packages = fresh
    if how == "installed":
        install(python, packages, wheel)
    else:
        install(python, packages, "--editable", source)
    assert run(python, "-I", "-c", "import autograd; print(autograd.__file__)", cwd=tmp_path).startswith(
        str(packages if how == "installed" else source)
    )
    found = check(python, tmp_path, MISTAKES)
    assert {line: message for line, message in found.items() if line not in MISTAKES} == {}
    for line, message in MISTAKES.items():
        assert message in found.get(line, "nothing"), line


@pytest.mark.slow
def said_with(options):
    """Return keyword arguments as they are written in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def test_arguments_of_modules_made_of_functions_have_types(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    right, wrong = [], []
    for name, kind in vars(nn).items():
        if isinstance(kind, type) and nn.FunctionModule in kind.__mro__[1:]:
            defaults = {p.name: p.default for p in inspect.signature(kind).parameters.values()}
            needed = {option: 2 for option, value in defaults.items() if value is inspect.Parameter.empty}
            given = [{**needed, option: value} for option, value in defaults.items() if option not in needed]
            right += [f"nn.{name}({said_with(options)}).forward" for options in (given or [needed])]
            typed = [option for option, value in defaults.items() if value is not None and option not in needed]
            wrong += [f"nn.{name}({said_with({**needed, option: {}})})" for option in [*typed, "no_such"]]
    found = check(sys.executable, tmp_path, [*right, *wrong])
    assert [line for line in right if line in found] == []
    assert [line for line in wrong if line not in found] == []


MODULES = (autograd, autograd.linalg, autograd.fft, autograd.special)
PUBLIC = {f.op: f"{m.__name__}.{name}" for m in MODULES for name, f in vars(m).items() if hasattr(f, "op")}


def said(x):
    """Return an expression for an argument; those of arrays and Tensors are names that the program declares."""
    if isinstance(x, list):
        return f"[{', '.join(map(said, x))}]"
    names = {Tensor: "x", np.ndarray: "array", np.ufunc: "np.exp", np.dtype: "float", type: "float", ModuleType: "np"}
    for kind, name in names.items():
        if isinstance(x, kind):
            return name
    return repr(x)


def calls_of(op):
    """Yield the arguments of calls with arrays, of which one or none is a Tensor, as (positional, by name)."""
    parameters = list(inspect.signature(op.function).parameters.values())
    for i in range(min(3, len(cases_of(op)))):
        inputs, params = sample(op.name, i)
        if not all(np.ndim(x) for x in inputs if isinstance(x, np.ndarray)):
            continue
        yield inputs, params
        yield inputs, {}
        for j, x in enumerate(inputs):
            if isinstance(x, np.ndarray):
                yield [*inputs[:j], Tensor(x), *inputs[j + 1 :]], params
        first = inputs[0] if isinstance(inputs[0], np.ndarray) else np.ones(2)
        for j, p in enumerate(parameters):
            if p.default is p.empty or p.name in ("keepdims", "dtype", "order"):
                continue
            for value in [first > -np.inf] if isinstance(p.default, bool) else [0.5, first]:
                yield inputs, {**params, p.name: Tensor(value)}
                if p.kind is p.POSITIONAL_OR_KEYWORD and j >= len(inputs):
                    yield [*inputs, *(q.default for q in parameters[len(inputs) : j]), Tensor(value)], {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_type_of_a_result_is_what_a_call_returns(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    returned = {}
    for op, path in PUBLIC.items():
        for inputs, params in calls_of(op):
            try:
                result = op.function(*inputs, **params)
            except Exception:
                continue
            given = ", ".join([*map(said, inputs), *(f"{name}={said(x)}" for name, x in params.items())])
            returned[f"assert_type({path}({given}), None)"] = type(result)
    declared = ["from typing import Any, assert_type", "import autograd.fft, autograd.linalg, autograd.special"]
    found = check(sys.executable, tmp_path, [*declared, "def made() -> NDArray[Any]: ...", "array = made()", *returned])
    types = {
        line: (re.findall(r'Expression is of type "([\w.]*)', found[line]) or [found[line]])[0] for line in returned
    }
    allowed = {Tensor: {"Tensor", "Any"}, np.ndarray: {"ndarray", "Any"}}
    assert {line: types[line] for line, kind in returned.items() if types[line] not in allowed.get(kind, {"Any"})} == {}
    assert sum(kind != "Any" for kind in types.values()) > len(types) / 2


def test_the_program_with_types_runs():
    names = runpy.run_path(str(PROGRAM))
    assert np.allclose(names["slope"], 1.0) and names["probabilities"].shape == (3, 2)


def stubs():
    """Return {path: text} of every stub, from the program that writes them."""
    return dict(runpy.run_path(str(ROOT / "docs" / "make_stubs.py"))["stubs"]())


@pytest.mark.filterwarnings("ignore")  # the cases of an op include singular points
def test_stubs_are_current():
    for path, text in stubs().items():
        written = path.read_text()
        with_numpy = re.search(r"with NumPy (\d+)\.(\d+)", written)
        assert with_numpy is not None
        if tuple(map(int, with_numpy.groups())) == tuple(map(int, np.__version__.split(".")[:2])):
            assert drop_head(written) == drop_head(text), f"run `python docs/make_stubs.py`: {path} is stale"
        else:  # other versions of NumPy have other keywords, and older ones fewer functions
            assert names(text) <= names(written), path


def drop_head(text):
    return text.partition("\n")[2]


def names(text):
    return set(re.findall(r"^def (\w+)", text, re.MULTILINE))
