"""The documentation site, without building it: its pages are reached, its reference is whole, its tables filter."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

from browser import reader_or_skip

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def reached(docs):
    """The pages of a site that a toctree names, by hand or by a pattern."""
    found = {docs / "index.md"}
    for page in docs.rglob("*.md"):
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            entries = [line for line in block.splitlines() if line and not line.startswith(":")]
            for entry in entries:
                matches = set(page.parent.glob(f"{entry}.md"))
                assert matches, f"{page} names {entry}"
                found |= matches
    return found


def test_every_page_is_in_a_table_of_contents():
    assert set(PAGES) - reached(DOCS) == set()


def test_a_page_that_is_not_reached_is_found(tmp_path):
    (tmp_path / "index.md").write_text("```{toctree}\n:glob:\n\na*\n```\n")
    for name in ("a1", "b"):
        (tmp_path / f"{name}.md").write_text("# A page\n")
    assert reached(tmp_path) == {tmp_path / "index.md", tmp_path / "a1.md"}


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("public_names", DOCS / "public_names.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_in_the_reference(reference):
    shown = Counter(m for page in (DOCS / "reference").glob("*.md") for m in reference.modules_on(page.read_text()))
    assert not [module for module, count in shown.items() if count > 1]
    spaces = [space for space in reference.SPACES if space != "nn.sklearn"]  # it takes seconds to import
    for name, entry in reference.public_names(*spaces).items():
        assert entry.module in shown, f"{name}: add {entry.module} to a page of docs/reference"


def test_names_of_one_object_share_an_entry(reference):
    names = reference.public_names("autograd", "nn", "nn.optim")
    assert names["autograd.abs"] is names["autograd.absolute"]
    assert names["nn.optim.SGD"].dotted == "nn.SGD" and "nn.optim.SGD" in names["nn.SGD"].others
    assert {"autograd.compile", "autograd.sum", "autograd.OPS", "nn.fit"} <= set(names)


def test_docstrings_become_markup_without_markup_of_their_own(reference):
    text = ["A *star, a_b_ and `x |y|`, ``//``.", "", "    indented_ text", "", ">>> f(x)", "1"]
    assert reference.plain_to_rst(text) == [
        r"A \*star, a\_b\_ and ``x |y|``, ``//``.", "", "::", "", "        indented_ text", "", ">>> f(x)", "1", "",
    ]  # fmt: skip


def test_ci_builds_the_site():
    assert re.search(r"^make docs$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert re.search(r"sphinx -W .* docs ", (ROOT / "Makefile").read_text())


TABLE = """<!doctype html><meta charset="utf-8"><article><table><thead><tr><th>name</th><th>n</th></tr></thead>
<tbody>{rows}</tbody></table><table><thead><tr><th>short</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>
</article><script>{script}</script>"""


SHOWN = """const rows = [...document.querySelector('tbody').rows].filter((row) => !row.hidden);
return rows.map((row) => row.cells[1].textContent)"""
TYPE = "const b = document.querySelector('input'); b.value = arguments[0]; b.dispatchEvent(new Event('input'));"


def test_long_tables_filter_and_sort(tmp_path):
    letters = "abcdefghijklmnoqrstuvwxyz"
    rows = "".join(f"<tr><td>np.{x}</td><td>{25 - n}</td></tr>" for n, x in enumerate(letters))
    page = tmp_path / "page.html"
    page.write_text(TABLE.format(rows=rows, script=(DOCS / "_static" / "tables.js").read_text()))
    reader, driver = reader_or_skip()
    try:
        reader.open(page)
        assert reader.run("return document.querySelectorAll('input').length") == 1
        reader.run(TYPE, "NP. h")
        assert reader.run(SHOWN) == ["18"] and reader.text("output") == "1 of 25 rows"
        reader.run(TYPE, "")
        reader.click("th:nth-child(2) button")
        assert reader.run(SHOWN) == [str(n) for n in range(1, 26)]
        reader.click("th:nth-child(2) button")
        assert reader.run(SHOWN) == [str(n) for n in range(25, 0, -1)]
        assert reader.run("return document.querySelector('th:nth-child(2)').getAttribute('aria-sort')") == "descending"
        assert not reader.logged()
    finally:
        driver.quit()
