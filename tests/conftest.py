"""What all tests share: how many examples hypothesis tries (20, always the same), and packages to install."""

import gc
import itertools
import shutil
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from autograd.convention import CONVENTION
from installing import run

settings.register_profile("default", max_examples=20, deadline=None, derandomize=True)
settings.register_profile(
    "nightly", max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")

TESTS = itertools.count()


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="one case of every op, nothing that takes long")


def pytest_collection_modifyitems(config, items):
    """With --quick, keep the first case of every op, and drop what is marked slow."""
    if not config.getoption("--quick"):
        return
    seen, kept = set(), []
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        case = (item.function, params["name"]) if "name" in params and "i" in params else item.nodeid
        if case not in seen and "slow" not in item.keywords:
            kept.append(item)
        seen.add(case)
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def pytest_runtest_setup(item):
    """Leave the tests and their reports out of garbage collections, each of which they made take a second."""
    if next(TESTS) % 500 == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _one_convention():
    """Every test begins with our complex gradients, whatever a module imported, and with none delivered."""
    CONVENTION.chosen, CONVENTION.delivered = "ascent", None


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of the sources, in which building may leave its folders."""
    folder = tmp_path_factory.mktemp("sources") / "source"
    ignored = shutil.ignore_patterns(".*", "out", "build", "*.egg-info", "__pycache__")
    return shutil.copytree(Path(__file__).parent.parent, folder, ignore=ignored)


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-w"]
    run(sys.executable, "-m", "pip", "wheel", source, *options, folder)
    return next(folder.glob("*.whl"))


@pytest.fixture
def fresh(tmp_path):
    """A new virtual environment's Python, which finds this one's NumPy."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(packages) / "numpy_of_the_tests.pth").write_text(str(Path(np.__file__).parent.parent) + "\n")
    return python, Path(packages)
