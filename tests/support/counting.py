"""How much code a file has."""

from __future__ import annotations

import ast
from pathlib import Path


def code_lines(path: Path) -> int:
    """Lines that hold code, without blank lines, comments and docstrings."""
    tree = ast.parse(path.read_text())
    words = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(path.read_text().splitlines(), 1)
    return sum(bool(text.strip()) and not text.strip().startswith("#") and n not in words for n, text in lines)
