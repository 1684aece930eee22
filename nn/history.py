"""History: the measurements of each epoch of a training run."""

from __future__ import annotations

import csv
import functools
import html
import importlib
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autograd.files import write_whole

__all__ = ["History"]


class History(dict[str, list[float]]):
    """The measurements as {column: one number per epoch}; `stopped` is the reason why training ended early, or "".

    A column that began in a later epoch has NaN before.  In a notebook a history is a table, `plot()` and `film()` are
    a picture and a page.

    >>> History(loss=[0.5, 0.25])["loss"][-1]
    0.25
    """

    stopped: str = ""
    recording: Any = None  # the nn.Film of the run

    def __missing__(self, name: Any) -> list[float]:
        hint = "; pass validation= to fit" if str(name).startswith("val_") else ""
        raise KeyError(f"the history has the columns {', '.join(self) or '(none)'}, not {name!r}{hint}")

    def __getattr__(self, name: str) -> Any:
        hint = f"; write history[{name!r}]" if name in self else ""
        raise AttributeError(f"History has no attribute {name!r}{hint}", name=name, obj=self)

    def film(self, path: str | Path | None = None, title: str = "How this network learned") -> Any:
        """The film of the run, a page that a notebook shows; with `path`, write it as HTML and return the path.

        It needs a recording: `fit(..., callbacks=[nn.Film(samples)])`; ValueError without one.
        """
        if self.recording is None:
            raise ValueError("this run was not recorded: pass callbacks=[nn.Film(samples)] to fit")
        return self.recording.page(title) if path is None else self.recording.save(path, title)

    def add(self, row: Mapping[str, float]) -> None:
        """Add the measurements of one epoch."""
        before = self.epochs
        for name, value in row.items():
            column = self.setdefault(name, [])
            column += [math.nan] * (before - len(column))
            column.append(float(value))

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return max(map(len, self.values()), default=0)

    def rows(self) -> Iterator[tuple[float, ...]]:
        """The measurements of each epoch, NaN where a column begins later.

        >>> [*History(loss=[0.5, 0.25], rate=[0.1]).rows()]
        [(0.5, nan), (0.25, 0.1)]
        """
        n = self.epochs
        return zip(*([math.nan] * (n - len(column)) + list(column) for column in self.values()), strict=True)

    def to_csv(self, path: str | Path) -> None:
        """Write a table with one line per epoch."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["epoch", *self])
        table.writerows([i + 1, *row] for i, row in enumerate(self.rows()))
        write_whole(path, text.getvalue())

    def plot(self) -> Any:
        """A matplotlib figure of all columns, with losses and other metrics side by side (extra `plots`)."""
        try:
            figure_module = importlib.import_module("matplotlib.figure")
        except ImportError as error:
            raise ImportError("History.plot() needs matplotlib: pip install plaingrad[plots]") from error

        figure = figure_module.Figure(figsize=(8, 3), layout="constrained")
        figure._repr_png_ = functools.partial(_png, figure)  # what a notebook shows, also without pyplot
        axes = figure.subplots(1, 2)
        for name, values in self.items():
            first = 1 + self.epochs - len(values)
            axes[0 if "loss" in name else 1].plot(range(first, first + len(values)), values, label=name)
        for part, title in zip(axes, ("loss", "metrics"), strict=True):
            part.set(xlabel="epoch", title=title)
            if part.lines:
                part.legend()
        return figure

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *self))
        rows = "".join(
            f"<tr><td>{i + 1}</td>{''.join(f'<td>{v:.4g}</td>' for v in row)}</tr>" for i, row in enumerate(self.rows())
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def _png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
