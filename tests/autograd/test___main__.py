"""`python -m autograd`: the lines for a report of a fault."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import numpy as np

from autograd import __main__ as main


def test_versions_of_everything_that_computes(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    lines = main.versions()
    assert "plaingrad " in lines[0] and f"Python {platform.python_version()}" in lines[0]
    assert f"NumPy {np.__version__}" in lines[0]
    assert lines[2].startswith("BLAS ") and "OPENBLAS_NUM_THREADS=3" in lines[2]


def test_extras_are_there_or_not(monkeypatch):
    versions = {"plaingrad": "1", "tqdm": "4.7", "safetensors": "0.5"}
    required = [
        "numpy>=2.0", 'tqdm>=4.60; extra == "progress"',
        'absent>=1; extra == "both"', 'tqdm; sys_platform != "win32" and extra == "both"',
        'safetensors (>=0.4) ; extra == \'safetensors\'', 'pytest>=8; extra == "test"',
    ]  # fmt: skip

    def distribution(name):
        if name not in versions:
            raise PackageNotFoundError(name)
        return SimpleNamespace(version=versions[name], requires=required)

    monkeypatch.setattr(main, "distribution", distribution)
    assert main.extras() == ["extras: progress (tqdm 4.7); safetensors (safetensors 0.5)", "not there: both (absent)"]
    versions.clear()
    assert main.extras() == ["extras: unknown, plaingrad is not installed"]


def test_the_report_ends_with_whose_files_are_there():
    assert any(line.startswith("autograd is imported from ") for line in main.report())
