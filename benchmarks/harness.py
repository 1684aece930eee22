"""Measure contenders in separate processes that take turns, and compare their times within a round.

A case is one piece of work, and a contender is one way to do it.  Every contender of a case runs in a fresh process
(the memory allocator of an old one behaves differently), on the same core, with the same number of threads, which the
environment sets before anything is imported.  First all must compute the same numbers, or they are reported as faulty.
Then they take turns: in every round each is timed for about the same duration, and a ratio compares two times of one
round.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
HIPS = ROOT / ".venv-hips" / "bin" / "python"
ONE_THREAD = {
    **dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
FORCED = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]  # would select another kernel than NumPy's own choice
QUIET = {"JAX_PLATFORMS": "cpu", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
LONG, SLOW = 1.0, 8.0  # seconds: steps above LONG need no warming up; steps above SLOW are run and timed once
WHILE = 0.08  # seconds for which a contender is timed in each round
TURNS = 3  # how often a contender is started that runs while no other is alive


@dataclass(frozen=True)
class Contender:
    """A way to do the work: its title and its package, installed here or (HIPS) in a separate environment."""

    title: str
    package: str
    elsewhere: bool = False


CONTENDERS = {
    "by_hand": Contender("NumPy by hand", "numpy"),
    "tuned": Contender("NumPy tuned", "numpy"),
    "eager": Contender("eager", "plaingrad"),
    "compiled": Contender("compiled", "plaingrad"),
    "pytorch": Contender("PyTorch", "torch"),
    "torch_compile": Contender("torch.compile", "torch"),
    "jax_jit": Contender("JAX jit", "jax"),
    "mygrad": Contender("MyGrad", "mygrad"),
    "hips": Contender("HIPS autograd", "autograd", elsewhere=True),
    "profiled": Contender("eager, profiled", "plaingrad"),
    "sklearn": Contender("scikit-learn", "sklearn"),
    "limit": Contender("NumPy", "numpy"),
}


@dataclass
class Case:
    """One piece of work, shown in the table of its `group`.

    `ways` maps the names of contenders to functions of `args` that return a step to be timed.  The results of a step
    (arrays and numbers, nested) must agree for all, to `rtol`; ratios are relative to the first way.  `per` divides a
    step's time (41 for a chain of 41 ops).  `cannot` maps contenders that cannot do this to the reason, and `notes`
    maps contenders to remarks.  Without `pinned`, the libraries choose their thread counts.
    """

    group: str
    name: str
    about: str
    ways: dict[str, Callable[..., Any]]
    args: tuple[Any, ...] = ()
    per: int = 1
    rtol: float = 1e-3
    cannot: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    pinned: bool = True
    rounds: int | None = None
    peak: bool = False  # measure memory instead of time


def ways(*functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Map functions by name; the names are those of contenders."""
    return {function.__name__: function for function in functions}


@dataclass
class Outcome:
    """The result of one contender of a case: seconds per round (or bytes), or the reason why there are none."""

    times: list[float] = field(default_factory=list)
    reason: str = ""
    failed: bool = False
    shares: list[float] = field(default_factory=list)  # processor time over elapsed time, of each round


Outcomes = dict[str, Outcome]


def digest(result: Any) -> list[float]:
    """Reduce a result to a few numbers: the norm, first and last element of every array."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, list | tuple):
        return [number for part in result for number in digest(part)]
    data = getattr(result, "data", None)  # a Tensor, ours or MyGrad's
    array = np.asarray(data if isinstance(data, np.ndarray) else result, dtype=float).reshape(-1)
    return [float(np.linalg.norm(array)), *map(float, array[[0, -1]])]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the first quartile, the median and the third quartile."""
    low, middle, high = np.quantile(np.asarray(values), [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def ratios(outcomes: Outcomes, name: str, base: str) -> list[float]:
    """Return the times of `name` over those of `base`, round by round; a single time is compared with all others."""
    mine, theirs = outcomes[name].times, outcomes[base].times
    if len(mine) == 1 or len(theirs) == 1:
        return [a / b for a in mine for b in theirs]
    return [a / b for a, b in zip(mine, theirs, strict=False)]


def python_of(contender: str) -> Path:
    return HIPS if CONTENDERS[contender].elsewhere else Path(sys.executable)


def installed(contender: str) -> bool:
    """Whether the package of a contender is installed."""
    about = CONTENDERS[contender]
    if about.package == "plaingrad":
        return True
    program = f"import importlib.util as u, sys; sys.exit(u.find_spec({about.package!r}) is None)"
    python = python_of(contender)
    return python.exists() and subprocess.run([python, "-c", program], cwd=HERE).returncode == 0


def environment(contender: str, pinned: bool) -> dict[str, str]:
    """Return a worker's environment: thread counts, and the path of this engine for the contenders that use it."""
    kept = {k: v for k, v in os.environ.items() if k not in (*ONE_THREAD, *FORCED, "PYTHONPATH")}
    ours = {} if CONTENDERS[contender].elsewhere else {"PYTHONPATH": str(ROOT)}
    return {**kept, **QUIET, **(ONE_THREAD if pinned else {}), **ours}


class Worker:
    """A process that runs one contender of one case on request."""

    def __init__(self, case: Case, contender: str, core: int | None) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the process)
        pin = "" if core is None or not case.pinned else str(core)
        command = [python_of(contender), HERE / "worker.py", case.name, contender, pin]
        self.process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=environment(contender, case.pinned), cwd=HERE,
        )  # fmt: skip

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer.  Raises RuntimeError with its last line of stderr if it died."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = self.process.wait()
            self.errors.seek(0)
            lines = [line.strip() for line in self.errors if line.strip()]
            raise RuntimeError(lines[-1] if lines and status > 0 else f"ended with status {status}")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise RuntimeError(found["error"])
        return found

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def measure(case: Case, who: Sequence[str], rounds: int, core: int | None) -> Outcomes:
    """Run a case and return an Outcome for each of its contenders in `who`."""
    outcomes = {name: Outcome(reason=reason) for name, reason in case.cannot.items() if name in who}
    names = [name for name in case.ways if name in who]
    (_together if case.pinned else _one_at_a_time)(case, names, outcomes, case.rounds or rounds, core)
    return {name: outcomes[name] for name in CONTENDERS if name in outcomes}


def _together(case: Case, names: Sequence[str], outcomes: Outcomes, rounds: int, core: int | None) -> None:
    """Start all contenders, compare their numbers, and let them take turns in every round."""
    workers: dict[str, Worker] = {}
    known: dict[str, dict[str, Any]] = {}
    try:
        for name in names:
            workers[name] = Worker(case, name, core)
            _prepare(name, workers[name], known, outcomes)
        _compare(case, known, outcomes)
        running = [name for name in known if not outcomes[name].failed]
        if case.peak:
            for name in running:
                try:
                    outcomes[name].times = [float(workers[name].ask(peak=True)["bytes"])]
                except RuntimeError as error:
                    outcomes[name] = Outcome(reason=str(error), failed=True)
        else:
            _take_turns(case, running, workers, known, outcomes, rounds)
    finally:
        for worker in workers.values():
            worker.close()


def _one_at_a_time(case: Case, names: Sequence[str], outcomes: Outcomes, rounds: int, core: int | None) -> None:
    """Start a contender when the one before has ended: idle threads of others would take the cores that it may use.

    Every contender is started in several turns, and timed in as many rounds in all as those of other cases.
    """
    known: dict[str, dict[str, Any]] = {}
    for turn in range(TURNS):
        for name in names:
            if turn and (name not in known or outcomes[name].failed):
                continue
            worker = Worker(case, name, core)
            try:
                if _prepare(name, worker, known, outcomes):
                    here: Outcomes = {name: Outcome()}
                    _take_turns(case, [name], {name: worker}, known, here, -(-rounds // TURNS))
                    outcomes[name].times += here[name].times
                    outcomes[name].shares += here[name].shares
            finally:
                worker.close()
        if not turn:
            _compare(case, known, outcomes)


def _prepare(name: str, worker: Worker, known: dict[str, dict[str, Any]], outcomes: Outcomes) -> bool:
    """Let a worker build and check its step; return whether it could."""
    try:
        known[name] = worker.ask(prepare=True)
    except RuntimeError as error:
        outcomes[name] = Outcome(reason=str(error), failed=True)
        return False
    outcomes.setdefault(name, Outcome())
    return True


def _compare(case: Case, known: Mapping[str, dict[str, Any]], outcomes: Outcomes) -> None:
    """Fail contenders that compute other numbers than the first one.  Long steps are checked once, others twice."""
    base = next(iter(known.values()), {})
    for name, found in known.items():
        for mine, theirs in zip(found["digests"], base["digests"], strict=False):
            if len(mine) != len(theirs):
                outcomes[name] = Outcome(reason=f"returns {len(mine) // 3} arrays for {len(theirs) // 3}", failed=True)
            elif not np.allclose(mine, theirs, rtol=case.rtol, atol=1e-6):
                outcomes[name] = Outcome(reason=f"computes other numbers: {mine[:3]} for {theirs[:3]}", failed=True)


def _take_turns(
    case: Case,
    running: Sequence[str],
    workers: Mapping[str, Worker],
    known: Mapping[str, dict[str, Any]],
    outcomes: Outcomes,
    rounds: int,
) -> None:
    clock = "cpu" if case.pinned else "elapsed"
    for name in running:
        if known[name]["cpu"] > SLOW:
            outcomes[name].times = [known[name][clock] / case.per]
    turns = [name for name in running if not outcomes[name].times]
    for i in range(rounds if turns else 0):
        for name in turns[i % len(turns) :] + turns[: i % len(turns)]:  # rotate who is first
            if outcomes[name].failed:
                continue
            try:
                found = workers[name].ask(steps=max(1, int(WHILE / known[name]["cpu"])))
            except RuntimeError as error:
                outcomes[name] = Outcome(reason=str(error), failed=True)
                continue
            outcomes[name].times.append(found[clock] / case.per)
            outcomes[name].shares.append(found["cpu"] / found["elapsed"])
