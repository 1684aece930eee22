"""History: the measurements of each epoch of a training run."""

from __future__ import annotations

import csv
import html
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograd.files import write_whole

__all__ = ["History"]


class History(dict[str, list[float]]):
    """The measurements as {column: one number per epoch}; `stopped` is the reason why training ended early, or "".

    >>> History(loss=[0.5, 0.25])["loss"][-1]
    0.25
    """

    stopped: str = ""
    recording: Any = None  # the nn.Film of the run

    def film(self, path: str | Path, title: str = "How this network learned") -> Path:
        """Write the film of the run as a self-contained HTML page, and return its path.

        It needs a recording: `fit(..., callbacks=[nn.Film(samples)])`; ValueError without one.
        """
        if self.recording is None:
            raise ValueError("this run was not recorded: pass callbacks=[nn.Film(samples)] to fit")
        made: Path = self.recording.save(path, title)
        return made

    def add(self, row: Mapping[str, float]) -> None:
        """Add the measurements of one epoch."""
        for name, value in row.items():
            self.setdefault(name, []).append(float(value))

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return max(map(len, self.values()), default=0)

    def to_csv(self, path: str | Path) -> None:
        """Write a table with one line per epoch."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["epoch", *self])
        table.writerows([i + 1, *row] for i, row in enumerate(zip(*self.values(), strict=True)))
        write_whole(path, text.getvalue())

    def plot(self) -> Any:
        """A matplotlib figure of all columns, with losses and other metrics side by side (extra `plots`)."""
        try:
            figure_module = importlib.import_module("matplotlib.figure")
        except ImportError as error:
            raise ImportError("History.plot() needs matplotlib: pip install plaingrad[plots]") from error
        figure = figure_module.Figure(figsize=(8, 3), layout="constrained")
        axes = figure.subplots(1, 2)
        for name, values in self.items():
            axes[0 if "loss" in name else 1].plot(range(1, len(values) + 1), values, label=name)
        for part, title in zip(axes, ("loss", "metrics"), strict=True):
            part.set(xlabel="epoch", title=title)
            if part.lines:
                part.legend()
        return figure

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *self))
        rows = "".join(
            f"<tr><td>{i + 1}</td>{''.join(f'<td>{v:.4g}</td>' for v in row)}</tr>"
            for i, row in enumerate(zip(*self.values(), strict=True))
        )
        return f"<table><tr>{head}</tr>{rows}</table>"
