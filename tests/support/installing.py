"""Installing the packages into new virtual environments."""

from __future__ import annotations

import os
import subprocess
import sys


def run(*command, ok=True, cwd=None):
    """The output of a command that sees nothing of this environment."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=environment)
    assert (result.returncode == 0) == ok, result.stdout + result.stderr
    return result.stdout + result.stderr


def install(python, packages, *what):
    """pip install of a wheel, or of `--editable` and a folder, into another environment than that of the tests."""
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--force-reinstall"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what)
    assert packages.exists()
