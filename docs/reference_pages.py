"""The directive `public`, which fills the pages of the reference: the public names defined in the given modules.

    ```{public} nn.losses nn.linear_cross_entropy
    ```

A name is shown where it is public, not where it is defined: `nn.MSELoss`, not `nn.losses.MSELoss`.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from public_names import TABLES, Name, inline, plain_to_rst, public_names
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Public(SphinxDirective):
    """Show the public names that are defined in the modules given as arguments."""

    required_arguments = 1
    optional_arguments = 100

    def run(self) -> list[nodes.Node]:
        lines: list[str] = []
        entries = dict.fromkeys(public_names().values())
        for module in self.arguments:
            shown = sorted((e for e in entries if e.module == module), key=lambda e: e.dotted.lower())
            if not shown:
                raise self.error(f"no public name is defined in {module}")
            for entry in shown:
                lines += _entry(entry)
        container = nodes.container()
        self.state.nested_parse(StringList(_wrapped(lines), self.get_source_info()[0]), 0, container)
        return container.children


def _entry(entry: Name) -> list[str]:
    if entry.dotted in TABLES:
        return [f".. py:data:: {entry.dotted}", "", f"   {inline(TABLES[entry.dotted])}", ""]
    return [f".. auto{'class' if inspect.isclass(entry.value) else 'function'}:: {entry.dotted}", ""]


def _wrapped(lines: list[str]) -> list[str]:
    """The lines as reStructuredText inside a page of Markdown."""
    return ["```{eval-rst}", *lines, "```"]


def _docstring(_app: Sphinx, _what: str, name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    entry = public_names().get(name)
    also = [f"Also as {', '.join(f'`{other}`' for other in sorted(entry.others))}."] if entry and entry.others else []
    lines[:] = plain_to_rst([*lines, "", *also])


def _signature(
    _app: Sphinx, _what: str, _name: str, _value: Any, _options: Any, signature: str | None, result: Any
) -> Any:
    return (re.sub(r"<class '(\w+)'>", r"\1", signature), result) if signature else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("public", Public)
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}
