"""Which names of the packages are public, and their docstrings as reStructuredText; needs no Sphinx."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from typing import Any

# The modules whose names are public. Those of an object in several of them are shown in the first.
SPACES = """
    autograd autograd.linalg autograd.fft autograd.special autograd.hooks autograd.files
    nn nn.functional nn.init nn.optim nn.optim.lr_scheduler nn.optim.swa_utils
    nn.utils nn.utils.parametrize nn.utils.parametrizations nn.utils.rnn nn.sklearn
    nn.onnx nn.parallel nn.playground
""".split()
WHOLE = ["autograd"]  # its __all__ leaves out the names of Python's builtins, such as sum
TABLES = {
    "autograd.OPS": "The registry: every op by name. `differentiable` and `elementwise` enter what they make.",
    "autograd.CASES": "Test data of ops, {function: cases}: what `CASES[my_op] = [...]` adds is tested like the rest.",
    "nn.onnx.NODES": "The node types of ONNX that are read: {type: function}.",
    "nn.onnx.OPS_WRITTEN": "How the ops of a graph are written: {name of the op: function}.",
    "nn.onnx.LAYERS_WRITTEN": "The layers that are written as one node: {class: function}.",
}


class Name:
    """A public name: where it is shown, the object, the module that defines it, and its other names."""

    def __init__(self, dotted: str, value: Any):
        self.dotted, self.value, self.others = dotted, value, []
        self.module = f"{dotted.rpartition('.')[0]}.tables" if dotted in TABLES else value.__module__


@functools.cache
def public_names(*spaces: str) -> dict[str, Name]:
    """Return the public names of these modules (of all) by their dotted names; those of one object share one entry."""
    found: dict[str, Name] = {}
    by_object: dict[int, Name] = {}
    for space in spaces or SPACES:
        module = importlib.import_module(space)
        names = dir(module) if space in WHOLE else getattr(module, "__all__", dir(module))
        for name in names:
            value, dotted = getattr(module, name), f"{space}.{name}"
            if (
                name.startswith("_")
                or inspect.ismodule(value)
                or not (hasattr(value, "__module__") or dotted in TABLES)
            ):
                continue
            if not (hasattr(module, "__all__") or value.__module__ == space):
                continue  # imported there, for its own use
            entry = by_object.get(id(value))
            if entry is None:
                entry = by_object[id(value)] = Name(dotted, value)
            elif dotted != entry.dotted:
                entry.others.append(dotted)
            found[dotted] = entry
    return found


def inline(text: str) -> str:
    """Escape what reStructuredText would read as markup; `code` stays code."""
    parts = re.split(r"``([^`]+)``|`([^`]+)`", text)
    code = {i: (parts[i] or parts[i + 1]) for i in range(1, len(parts), 3)}
    plain = {i: re.sub(r"([\\*_|`])", r"\\\1", parts[i]) for i in range(0, len(parts), 3)}
    return "".join(plain[i] if i in plain else f"``{code[i]}``" for i in sorted({*plain, *code}))


def modules_on(page: str) -> list[str]:
    """The modules whose public names a page of the reference shows."""
    return [name for line in re.findall(r"^```\{public\} (.*)$", page, re.MULTILINE) for name in line.split()]


def plain_to_rst(lines: list[str]) -> list[str]:
    """Return a docstring of paragraphs, indented text and doctests as reStructuredText."""
    blocks = re.split(r"\n\s*\n", inspect.cleandoc("\n".join(lines)))
    out: list[str] = []
    for block in blocks:
        if block.lstrip().startswith(">>>"):
            out += [*inspect.cleandoc(block).splitlines(), ""]
        elif block.startswith("    "):
            out += ["::", "", *(f"    {line}" for line in block.splitlines()), ""]
        else:
            out += [*inline(inspect.cleandoc(block)).splitlines(), ""]
    return out
