"""Write RESULTS.md: a table for each group of cases, with footnotes for missing results, and the machine."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from footprint import Footprint, title
from harness import CONTENDERS, Case, Outcome, Outcomes, environment, python_of, quartiles, ratios

PREAMBLE = """# Results on {cpu}

Written by `make bench` on {date}. Each contender of a case ran in its own process, all on one core with one thread
(except for the default threads). They were checked to compute the same numbers, and took turns in {rounds} rounds.
A cell is the time divided by the time of the first column in the same round: the median, with the quartiles in
brackets; less is faster. *Tuned* is NumPy by hand with every array allocated beforehand, and for the chain also in
blocks that stay in the cache. *Eager* and *compiled* are ours. Times are processor times, so that other programs on the
core do not count (on an idle core elapsed time is the same; here it was {share} as long), except for the default
threads, where they are elapsed times.
"""
PICTURES = """![Ratios to NumPy by hand, for every case and contender](ratios.svg)

![Time per element of the elementwise chain, by the number of elements](chain.svg)"""
WORDS = {
    "One SGD step": "Forward, backward, update, and the loss as a Python number; float32, softmax cross-entropy.",
    "Networks": "A training step of networks as people build them, float32. The mask of dropout is part of the batch.",
    "Compile time": "Compiling a training step and running it once, without caches on disk.",
    "Elementwise chain": "Value and gradient of sum(exp(-x x) sin(y) + tanh(x y)), float32.",
    "Cost of an op": "Time per op, forward and backward, on 4x4 float64 arrays, so that arithmetic hardly counts.",
    "Graphs and derivatives": "A value and its gradient; a Hessian; a Jacobian.",
    "Science": "A value and its gradient, a fit, or a Hessian; float64.",
    "Memory": "The peak of resident memory during two SGD steps, after compiling and warming up, above the memory of "
    "the process with libraries, network and data loaded, before its first step.",
    "Training": "`nn.fit` compared with scikit-learn's MLPClassifier: the same network, batches, epochs and Adam.",
    "Profile": "The cost of `autograd.profile()`.",
    "The machine's limits": "Lower bounds for any NumPy program here: the parts of the cases above that cannot be "
    "omitted. For a network these are its matrix products, into preallocated arrays; for the elementwise chain, its "
    "four functions, in blocks, and its memory traffic; for small arrays, the cost of a call.",
    "Default threads": "Threads are neither pinned nor limited: {cores} for each process, and one process is "
    "alive at a time, started in several turns.",
}
FOOTPRINT = """Processor time of the import in a fresh process with cached bytecode; sizes of the installed files
without bytecode, alone and with all dependencies."""


class Notes:
    """Numbered notes under a table; equal notes share a number."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def mark(self, who: str, words: str) -> str:
        """Return the number of a note: ` (2)`."""
        line = f"{CONTENDERS[who].title}: {words}"
        if line not in self.lines:
            self.lines.append(line)
        return f" ({self.lines.index(line) + 1})"

    def __str__(self) -> str:
        return "\n".join(f"{i}. {line}." for i, line in enumerate(self.lines, 1))


def amount(value: float, peak: bool) -> str:
    """Format seconds with three significant digits, or bytes as MiB."""
    if peak:
        return f"{value / 2**20:.0f} MiB"
    for scale, unit in ((1, "s"), (1e3, "ms")):
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e6:.3g} us" if value < 1e-4 else f"{value * 1e6:.0f} us"


def number(x: float) -> str:
    """Format with two decimals below 10, one below 100, and none above."""
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def cell(case: Case, outcomes: Outcomes, name: str, base: str, notes: Notes) -> str:
    """Format the outcome of one contender."""
    outcome = outcomes.get(name, Outcome(reason="was not run"))
    mark = notes.mark(name, case.notes[name]) if name in case.notes and outcome.times else ""
    if not outcome.times:
        return f"{'error' if outcome.failed else '-'}{notes.mark(name, outcome.reason)}"
    if name == base or base not in outcomes or not outcomes[base].times:  # nothing to divide by
        return amount(float(np.median(outcome.times)), case.peak) + mark
    low, middle, high = quartiles(ratios(outcomes, name, base))
    if case.peak:
        return f"{number(middle)}{mark}"
    once = len(outcome.times) == 1
    return f"{number(middle)} ({'once' if once else f'{number(low)} to {number(high)}'}){mark}"


def table(cases: Sequence[Case], results: Mapping[str, Outcomes], who: Sequence[str]) -> str:
    """Return the table of one group of cases."""
    names = [name for name in who if any(name in case.ways or name in case.cannot for case in cases)]
    names.sort(key=lambda name: name != next(iter(cases[0].ways)))  # the first column is the base of the ratios
    head = ["", *(CONTENDERS[name].title for name in names)]
    lines, notes = [head, ["---"] * len(head)], Notes()
    for case in cases:
        base = next(iter(case.ways))
        about = f": {case.about}" if case.about and len(cases) > 1 else ""
        about += f"; {case.rounds} rounds" if case.rounds else ""
        lines.append([case.name + about, *(cell(case, results[case.name], n, base, notes) for n in names)])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{notes}" if notes.lines else text


def footprint_table(found: Mapping[str, Footprint]) -> str:
    """Return the table of import times and installed sizes."""
    lines = ["| | import, ms | alone, MB | with dependencies, MB |", "|---|---|---|---|"]
    for name, footprint in found.items():
        low, middle, high = (f"{1e3 * x:.0f}" for x in quartiles(footprint.imports))
        sizes = [f"{n / 1e6:.2f}" if n < 1e7 else f"{n / 1e6:.0f}" for n in (footprint.alone, footprint.together)]
        lines.append(f"| {title(name)}: `{footprint.statement}` | {middle} ({low} to {high}) | {' | '.join(sizes)} |")
    return "\n".join(lines)


def cpu() -> str:
    """Return the name of the processor."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        text = Path("/proc/cpuinfo").read_text()
        name = text.partition("model name")[2].partition("\n")[0].strip("\t :") or name
    return name


def versions(who: Sequence[str]) -> str:
    """Return the machine and the versions as a list."""
    lines = [
        f"- {cpu()}, {len(affinity())} of {os.cpu_count()} cores allowed; {platform.system()} {platform.machine()}"
    ]
    lines.append(f"- Python {platform.python_version()}, NumPy {np.__version__}{blas()}")
    peers = [
        f"{CONTENDERS[name].title} {version(name)}" for name in ("pytorch", "jax_jit", "mygrad", "hips") if name in who
    ]
    return "\n".join(lines + ([f"- {', '.join(peers).replace('JAX jit', 'JAX')}"] if peers else []))


def affinity() -> set[int]:
    """Return the cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def blas() -> str:
    """Return the BLAS of the pinned workers, if threadpoolctl is installed."""
    program = "import json, numpy, threadpoolctl; print(json.dumps(threadpoolctl.threadpool_info()))"
    run = subprocess.run([python_of("by_hand"), "-c", program], capture_output=True, text=True,
                         env=environment("by_hand", True))  # fmt: skip
    if run.returncode:
        return ""
    found = [f"{x['internal_api']} {x['version']}, {x.get('architecture')} kernels" for x in json.loads(run.stdout)]
    return f" ({'; '.join(found)})"


def version(name: str) -> str:
    """Return the version of a contender's package, in its own environment."""
    program = f"import importlib.metadata as m; print(m.version({CONTENDERS[name].package!r}))"
    return subprocess.run([python_of(name), "-c", program], capture_output=True, text=True).stdout.strip()


def write(
    path: Path,
    cases: Sequence[Case],
    results: Mapping[str, Outcomes],
    found: Mapping[str, Footprint],
    who: Sequence[str],
    missing: Sequence[str],
    rounds: int,
) -> None:
    """Write the results on this processor, above those that the page has from other processors."""
    shares = [s for case in cases if case.pinned for o in results[case.name].values() for s in o.shares]
    share = f"{1 / np.median(shares):.2f} times" if shares else "unknown"
    cores = len(affinity())
    parts = [PREAMBLE.format(cpu=cpu(), date=datetime.date.today(), rounds=rounds, share=share)]
    parts += [PICTURES, versions(who)]
    if missing:
        parts.append(f"Not installed, and left out: {', '.join(CONTENDERS[name].title for name in missing)}.")
    for group in [group for group in WORDS if any(case.group == group for case in cases)]:
        words = WORDS[group].format(cores=f"{cores} core{'s' if cores > 1 else ''}")
        parts += [f"## {group}", words, table([c for c in cases if c.group == group], results, who)]
    parts += ["## Import and size", FOOTPRINT, footprint_table(found)]
    pages = path.read_text(encoding="utf-8").split("# Results on ")[1:] if path.exists() else []
    others = [f"# Results on {page}".replace(f"{PICTURES}\n\n", "") for page in pages if page.splitlines()[0] != cpu()]
    path.write_text("\n\n".join(part.strip() for part in parts + others) + "\n", encoding="utf-8")
