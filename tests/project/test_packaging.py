"""The wheel, and another package with the same import name."""

from __future__ import annotations

import email
import sys
import zipfile
from pathlib import Path

import pytest

from installing import install, run

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """HIPS's autograd as a wheel: the real one."""
    folder = tmp_path_factory.mktemp("other")
    run(sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", "-d", folder, "autograd")
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_both_packages_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = email.message_from_bytes(archive.read(next(n for n in names if n.endswith("METADATA"))))
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {"autograd", "nn"}
    stubs = {str(path.relative_to(ROOT)) for package in ("autograd", "nn") for path in (ROOT / package).rglob("*.pyi")}
    assert stubs | {"autograd/py.typed", "nn/py.typed"} <= set(names)
    assert {"autograd/ops/linalg.py", "autograd/drawing/dot.py"} <= set(names)
    assert metadata["Name"] == "plaingrad"
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert sorted(line.split(">")[0].strip() for line in needed) == ["graphviz", "numpy"]
    assets = {"autograd/drawing/assets/steps.js", "nn/drawing/assets/film.css", "nn/playground/assets/notebook.mjs"}
    assert assets <= set(names)
    extras = {
        "sklearn",
        "images",
        "tensorboard",
        "parallel",
        "pictures",
        "plots",
        "progress",
        "safetensors",
        "scipy",
        "docs",
        "examples",
        "test",
        "lint",
        "onnx",
        "oracle",
        "bench",
        "peers",
        "play",
    }
    assert set(metadata.get_all("Provides-Extra")) == extras


def test_the_wheel_works_where_it_is_installed(wheel, fresh, tmp_path):
    python, packages = fresh
    install(python, packages, wheel)
    program = "import autograd, nn; print(autograd.grad(lambda x: x ** 3)(2.0), autograd.__file__)"
    printed = run(python, "-I", "-c", program, cwd=tmp_path)
    assert printed.startswith("12.0") and str(packages) in printed
    program = "import autograd.numpy as np; from autograd import make_vjp; print(make_vjp(np.array)([1.0])[1])"
    assert run(python, "-I", "-c", program, cwd=tmp_path).strip() == "[1.]"
    report = run(python, "-I", "-m", "autograd", cwd=tmp_path)
    assert str(packages) in report and "plaingrad" in report and "share" not in report


@pytest.mark.parametrize("ours_last", [True, False])
def test_another_package_with_the_same_import_name_is_noticed(wheel, other, fresh, tmp_path, ours_last):
    python, packages = fresh
    for which in [other, wheel] if ours_last else [wheel, other]:
        install(python, packages, which)
    said = run(python, "-I", "-c", "import nn", ok=False, cwd=tmp_path).strip().splitlines()[-1]
    assert said.startswith("ImportError:")
    assert "pip uninstall autograd" in said and "virtual environment" in said
    report = run(python, "-I", "-m", "autograd", ok=not ours_last, cwd=tmp_path)
    assert "mixed" in report or "two packages share this folder" in report
    if ours_last:
        assert "mixed" in run(python, "-I", "-c", "import autograd", ok=False, cwd=tmp_path)
