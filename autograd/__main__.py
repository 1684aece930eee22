"""`python -m autograd`, for reports of faults: versions, BLAS, which extras are there, and whose files these are.

HIPS's package imports as `autograd` too; the files are compared with the records of what was installed, and neither
package needs to work for that.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any, cast

import numpy as np

THREADS = "OPENBLAS_NUM_THREADS OMP_NUM_THREADS MKL_NUM_THREADS".split()
DEVELOPERS = "docs examples test lint oracle bench peers".split()  # extras for work on the package itself


def files_of(found: Distribution) -> tuple[int, int]:
    """How many files under `autograd/` a distribution installed, and how many of them are there unchanged."""
    count = same = 0
    for file in found.files or ():
        if file.parts[0] == "autograd" and file.suffix == ".py" and file.hash is not None:
            count += 1
            path = Path(str(file.locate()))
            if path.exists():
                digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
                same += base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value
    return count, same


def owners() -> list[str]:
    """One line for each installed distribution with files of `autograd`, and one with advice if they are mixed."""
    found = [(d, *files_of(d)) for d in distributions()]
    lines = [f"{d.name} {d.version}: {same} of {count} files" for d, count, same in found if count]
    here = f"autograd is imported from {Path(__file__).parent}"
    if len(lines) > 1:
        lines.append("two packages share this folder: pip uninstall autograd plaingrad, then install the one you want")
    return [here, *(lines or ["its files are not recorded: it is a folder of sources"])]


def versions() -> list[str]:
    """Versions of the package, Python, NumPy and its BLAS, the system, and the numbers of threads that are set."""
    config = cast(dict[str, Any], np.show_config(mode="dicts"))
    blas = config.get("Build Dependencies", {}).get("blas", {})
    threads = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    return [
        f"plaingrad {_version('plaingrad') or 'not installed'}, NumPy {np.__version__}, "
        f"Python {platform.python_version()} ({platform.python_implementation()})",
        f"{platform.platform()}, {os.cpu_count()} cores",
        f"BLAS {blas.get('name', 'unknown')} {blas.get('version', '')}".rstrip() + "".join(f", {t}" for t in threads),
    ]


def extras() -> list[str]:
    """Two lines: the extras whose packages are all there, with their versions, and those with missing packages."""
    try:
        required = distribution("plaingrad").requires or []
    except PackageNotFoundError:
        return ["extras: unknown, plaingrad is not installed"]
    packages: dict[str, list[str]] = {}
    for line in required:
        found = re.match(r"([\w.-]+).*;.*\bextra *== *[\"']([\w-]+)", line)
        if found and found[2] not in DEVELOPERS:
            packages.setdefault(found[2], []).append(found[1])
    there, absent = [], []
    for extra, names in packages.items():
        known = {name: _version(name) for name in names}
        if all(known.values()):
            there.append(f"{extra} ({', '.join(f'{name} {version}' for name, version in known.items())})")
        else:
            absent.append(f"{extra} ({', '.join(name for name, version in known.items() if version is None)})")
    return [f"extras: {'; '.join(there) or 'none'}", f"not there: {'; '.join(absent) or 'none'}"]


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def report() -> list[str]:
    """All lines, for a report of a fault."""
    return [*versions(), *extras(), *owners()]


if __name__ == "__main__":
    print("\n".join(report()))
