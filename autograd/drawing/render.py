"""Turn DOT text into SVG, PNG or PDF, with the `dot` program or else with pygraphviz, which does not need it."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

from ..files import write_whole
from .dot import ADVICE, to_dot
from .page import Page
from .snapshot import Snapshot
from .steps import to_page

FORMATS = ("svg", "png", "pdf", "dot", "html")


class RendererError(RuntimeError):
    """No renderer that can lay out a graph is installed."""


def render(source: str, suffix: str) -> bytes:
    """Render DOT text as svg, png or pdf.  Raises RendererError, which names the package to install."""
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
        with contextlib.redirect_stderr(io.StringIO()):  # it warns above 1000 boxes
            return bytes(graph.draw(format=suffix, prog="dot"))
    finally:
        graph.close()


class Picture:
    """A drawn graph: `save` it, or show it in a notebook.

    `snapshot` is the picture as data, and `source` as DOT text.
    """

    def __init__(self, snapshot: Snapshot, *, rankdir: str = "LR", whole: Snapshot | None = None) -> None:
        self.snapshot, self.rankdir = snapshot, rankdir
        self.whole = whole or snapshot  # without the folding of `snapshot`

    @cached_property
    def source(self) -> str:
        """The picture as DOT text.  Raises ImportError when the `graphviz` package is not installed."""
        return to_dot(self.snapshot, rankdir=self.rankdir)

    def svg(self) -> str:
        """The picture as SVG text.  Raises RendererError when no renderer is installed."""
        return render(self.source, "svg").decode("utf-8")

    def page(self) -> Page:
        """The picture as a step-by-step page: forward and backward, with each local rule and the numbers of this run.

        The page is self-contained HTML and needs no Graphviz; a notebook shows it in a frame.
        """
        return to_page(self.whole, self.snapshot.closed)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture as .svg, .png, .pdf, .dot or .html, by the suffix, and return the path.

        An .html file is the step-by-step page, see `page`.  The file appears whole or not at all.  Raises ValueError
        for any other suffix.
        """
        path = Path(path)
        suffix = path.suffix.lower().removeprefix(".")
        if suffix not in FORMATS:
            known = ", ".join(f".{name}" for name in FORMATS)
            raise ValueError(f"a picture is saved as one of {known}; got {path.name!r}")
        if suffix == "html":
            return self.page().save(path)
        return write_whole(path, self.source if suffix == "dot" else render(self.source, suffix))

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
        """The SVG for a notebook, or without a renderer, the step-by-step page and what to install."""
        try:
            return {"image/svg+xml": self.svg(), "text/plain": repr(self)}
        except RendererError as error:
            return self._page(f"{error}\n\n{self.source}")
        except ImportError as error:
            return self._page(str(error))

    def _page(self, why: str) -> dict[str, str]:
        return {"text/html": self.page()._repr_html_(), "text/plain": f"{self!r}\n{why}"}


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
