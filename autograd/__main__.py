"""`python -m autograd`: which of the two packages that import as `autograd`, this one or HIPS's, is installed here.

It compares the files with the records of what was installed, and needs neither package to work.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import Distribution, distributions
from pathlib import Path


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


def report() -> list[str]:
    """One line for each installed distribution with files of `autograd`, and one with advice if they are mixed."""
    found = [(d, *files_of(d)) for d in distributions()]
    lines = [f"{d.name} {d.version}: {same} of {count} files" for d, count, same in found if count]
    here = f"autograd is imported from {Path(__file__).parent}"
    if len(lines) > 1:
        lines.append("two packages share this folder: pip uninstall autograd plaingrad, then install the one you want")
    return [here, *(lines or ["its files are not recorded: it is a folder of sources"])]


if __name__ == "__main__":
    print("\n".join(report()))
