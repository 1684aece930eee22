"""Draw the two pictures of RESULTS.md: all ratios, and the elementwise chain by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from harness import CONTENDERS, Case, Outcomes, quartiles, ratios

matplotlib.use("Agg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text, and the files stay small
matplotlib.rcParams["svg.hashsalt"] = "plaingrad"
import matplotlib.pyplot as plt

# Okabe and Ito's colours, each with its own shape, so that the contenders differ without colour too.
LOOKS = {
    "by_hand": ("#000000", "|"),
    "tuned": ("#999999", "|"),
    "eager": ("#0072B2", "o"),
    "compiled": ("#D55E00", "D"),
    "pytorch": ("#E69F00", "s"),
    "torch_compile": ("#F0E442", "s"),
    "jax_jit": ("#009E73", "^"),
    "mygrad": ("#CC79A7", "v"),
    "hips": ("#56B4E9", "<"),
}


def draw(folder: Path, cases: Sequence[Case], results: Mapping[str, Outcomes]) -> None:
    """Write ratios.svg and chain.svg."""
    _ratios(folder / "ratios.svg", [case for case in cases if next(iter(case.ways)) == "by_hand"], results)
    _chain(folder / "chain.svg", [case for case in cases if case.group == "Elementwise chain"], results)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def _ratios(path: Path, cases: Sequence[Case], results: Mapping[str, Outcomes]) -> None:
    figure, axes = plt.subplots(figsize=(9, 0.42 * len(cases) + 1.2))
    axes.hlines(range(len(cases)), 0, 1, transform=axes.get_yaxis_transform(), color="#eeeeee", zorder=0)
    for name, (colour, shape) in LOOKS.items():
        places = [
            (row, *quartiles(ratios(results[case.name], name, "by_hand")))
            for row, case in enumerate(cases)
            if _measured(results[case.name], name) and _measured(results[case.name], "by_hand")
        ]
        if places:
            rows, low, middle, high = zip(*places, strict=True)
            edge, width = (colour, 2) if shape == "|" else ("#333333", 0.5)
            axes.hlines(rows, low, high, color=colour, linewidth=1)
            axes.plot(middle, rows, shape, color=colour, markersize=7, markeredgecolor=edge, markeredgewidth=width,
                      label=CONTENDERS[name].title)  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1, color="#000000", linewidth=0.8)
    axes.set_yticks(range(len(cases)), [case.name for case in cases])
    axes.invert_yaxis()
    axes.set_xlabel("time (memory) relative to NumPy written by hand; further left is less")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=5, frameon=False, fontsize="small")
    _save(figure, path)


def _measured(outcomes: Outcomes, name: str) -> bool:
    return name in outcomes and bool(outcomes[name].times)


def _chain(path: Path, cases: Sequence[Case], results: Mapping[str, Outcomes]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    for name, (colour, shape) in LOOKS.items():
        points = [
            (case.args[0], np.median(results[case.name][name].times) / case.args[0] * 1e9)
            for case in cases
            if _measured(results[case.name], name)
        ]
        if points:
            marker = "x" if shape == "|" else shape
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=CONTENDERS[name].title)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("elements")
    axes.set_ylabel("ns per element")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)
