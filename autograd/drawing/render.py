"""Turn DOT text into SVG, PNG or PDF, by the `dot` program or else by the pygraphviz package, which needs none."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

from .dot import ADVICE, to_dot
from .page import Page, write_whole
from .snapshot import Snapshot
from .steps import to_page

FORMATS = ("svg", "png", "pdf", "dot", "html")


class RendererError(RuntimeError):
    """Nothing on this machine can lay out a graph."""


def render(source: str, suffix: str) -> bytes:
    """DOT text as the file that `suffix` names (svg, png or pdf).  Raises RendererError, which says what to install."""
    if shutil.which("dot"):
        graphviz: Any = importlib.import_module("graphviz")
        return bytes(graphviz.Source(source).pipe(format=suffix))
    try:
        pygraphviz: Any = importlib.import_module("pygraphviz")
    except ImportError as error:
        raise RendererError(
            f"there is no `dot` program on PATH and no pygraphviz package to lay out the graph: {ADVICE}"
        ) from error
    graph = pygraphviz.AGraph(string=source)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # it warns of more than 1000 boxes
            return bytes(graph.draw(format=suffix, prog="dot"))
    finally:
        graph.close()


class Picture:
    """A drawn graph: `save` it, or let a notebook show it.

    `snapshot` is the picture as data, `source` as DOT text.
    """

    def __init__(self, snapshot: Snapshot, *, rankdir: str = "LR", whole: Snapshot | None = None) -> None:
        self.snapshot, self.rankdir = snapshot, rankdir
        self.whole = whole or snapshot  # with the modules open that are folded in `snapshot`

    @cached_property
    def source(self) -> str:
        """The picture as DOT text.  Raises ImportError when the `graphviz` package is not installed."""
        return to_dot(self.snapshot, rankdir=self.rankdir)

    def svg(self) -> str:
        """The picture as SVG text.  Raises RendererError when nothing can lay it out."""
        return render(self.source, "svg").decode("utf-8")

    def page(self) -> Page:
        """The picture step by step: forward and backward, with each local rule and the numbers of this run.

        A self-contained HTML page, which a notebook shows in a frame; it needs no Graphviz.
        """
        return to_page(self.whole, self.snapshot.closed)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture in the format that the suffix names and return the path: .svg, .png, .pdf, .dot or .html.

        The page that .html names is the picture step by step, see `page`.

        The file appears whole or not at all.  Raises ValueError for another suffix.
        """
        path = Path(path)
        suffix = path.suffix.lower().removeprefix(".")
        if suffix not in FORMATS:
            known = ", ".join(f".{name}" for name in FORMATS)
            raise ValueError(f"a picture is saved as one of {known}; got {path.name!r}")
        if suffix == "html":
            return self.page().save(path)
        return write_whole(path, self.source.encode("utf-8") if suffix == "dot" else render(self.source, suffix))

    def __repr__(self) -> str:
        boxes, arrows = self.snapshot.boxes, self.snapshot.arrows
        loss = next((box.title or "one leaf" for box in boxes if box.kind == "loss"), "nothing")
        return f"<picture of {loss}: {_count(len(boxes), 'box', 'boxes')}, {_count(len(arrows), 'arrow', 'arrows')}>"

    def _repr_svg_(self) -> str | None:
        try:
            return self.svg()
        except (RendererError, ImportError):
            return None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the SVG, or where nothing can lay it out, the DOT text and what to install."""
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except RendererError as error:
            return {"text/plain": f"{self!r}\n{error}\n\n{self.source}"}
        except ImportError as error:
            return {"text/plain": f"{self!r}\n{error}"}


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
