"""The documents: counts, links, and the programs of the README with their output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from counting import code_lines

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
CORE = ["graph", "tensor", "op", "numpy_calls"]
ENGINE = [
    *CORE,
    *"array conversion errors inputs libraries mode ownership parts registry signatures tree updating".split(),
]


def lines(names):
    return sum(code_lines(ROOT / "autograd" / f"{name}.py") for name in names)


def test_the_engine_is_as_small_as_the_readme_says():
    said = re.search(r"recording and walking are (\d+) lines of code, ([\d,]+) with", (ROOT / "README.md").read_text())
    assert int(said[1]) >= lines(CORE) > int(said[1]) - 10
    assert int(said[2].replace(",", "")) == lines(ENGINE)


def test_documents_agree_on_how_many_functions_are_differentiable():
    count = re.search(r"\*\*gradient\*\* \| (\d+) \|", (ROOT / "docs" / "coverage.md").read_text())[1]
    for path in DOCUMENTS:
        assert set(re.findall(r"\b(2[34]\d) functions", path.read_text())) <= {count}, path


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text()):
        assert link.startswith("http") or (path.parent / link).exists(), link


def test_the_programs_of_the_readme_print_the_output_that_it_shows(tmp_path):
    blocks = re.findall(r"^```(python)?\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    programs = [text for kind, text in blocks if kind]
    shown = [text for kind, text in blocks if not kind and "make " not in text]
    assert len(programs) == len(shown) == 2
    result = subprocess.run(
        [sys.executable, "-c", "".join(programs)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line.rstrip() for line in result.stdout.splitlines()] == "".join(shown).splitlines()
    assert (tmp_path / "xor.svg").stat().st_size > 10_000
