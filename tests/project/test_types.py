"""The types: the stubs are current, correct programs pass, and mistakes are reported."""

from __future__ import annotations

import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
from installing import install, run

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
def test_arguments_of_modules_made_of_functions_have_types(tmp_path, monkeypatch):
    monkeypatch.setenv("MYPYPATH", str(ROOT))
    right, wrong = [], []
    for name, kind in vars(nn).items():
        if isinstance(kind, type) and nn.FunctionModule in kind.__mro__[1:]:
            defaults = {p.name: p.default for p in inspect.signature(kind).parameters.values()}
            right += [f"nn.{name}({option}={value!r}).forward" for option, value in defaults.items()]
            typed = [option for option, value in defaults.items() if value is not None]
            wrong += [f"nn.{name}({option}=[])" for option in [*typed, "no_such"]]
    found = check(sys.executable, tmp_path, [*right, *wrong])
    assert [line for line in right if line in found] == []
    assert [line for line in wrong if line not in found] == []


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
