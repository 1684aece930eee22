"""The benchmarks themselves: contenders compute the same numbers, faults are shown, and the page reports them."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import harness
import results
import run
from cases import CASES
from footprint import Footprint, footprints, sizes
from harness import CONTENDERS, Case, Outcome, Worker, digest, measure

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OURS = ["by_hand", "tuned", "eager", "compiled"]
TESTED = ("numpy", "plaingrad", "sklearn")  # the packages available to tests
SMALL = {"mlp": ((3, 5, 4, 2), 6), "memory": ((3, 5, 2), 6), "chain of": (1000,), "a chain": (50,), "ODE": (10,)}


def small(case):
    """Return arguments with which a case is fast, if it has any."""
    return next((args for word, args in SMALL.items() if case.name.startswith(word)), case.args)


@pytest.mark.parametrize("case", [case for case in CASES if "by_hand" in case.ways], ids=lambda case: case.name)
def test_ours_compute_what_is_computed_by_hand(case):
    steps = {name: case.ways[name](*small(case)) for name in OURS if name in case.ways}
    for _ in range(3):
        found = {name: digest(step()) for name, step in steps.items()}
        for name, numbers in found.items():
            np.testing.assert_allclose(numbers, found["by_hand"], rtol=case.rtol, atol=1e-6, err_msg=name)
        assert np.isfinite(found["by_hand"]).all()


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # scikit-learn is stopped before it converges
def test_fits_learn_and_profiles_change_nothing():
    for case in CASES:
        if "by_hand" not in case.ways:
            here = {name for name, contender in CONTENDERS.items() if contender.package in TESTED}
            first, *others = [digest(make(*case.args)()) for name, make in case.ways.items() if name in here]
            assert all(np.allclose(other, first) for other in others)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_covers_every_contender(case):
    assert case.ways.keys() <= CONTENDERS.keys() and case.cannot.keys() <= CONTENDERS.keys() - case.ways.keys()
    assert case.notes.keys() <= case.ways.keys() and case.group in results.WORDS
    if "by_hand" in case.ways:
        assert {*case.ways, *case.cannot} >= CONTENDERS.keys() - {"tuned", "profiled", "sklearn", "limit"}


def test_a_case_is_measured_in_processes_that_take_turns():
    case = next(case for case in CASES if case.name.startswith("Hessian of Rosenbrock"))
    found = measure(case, ["by_hand", "eager", "mygrad"], 3, None)
    assert list(found) == ["by_hand", "eager", "mygrad"]
    assert len(found["by_hand"].times) == len(found["eager"].times) == 3
    assert all(0 < t < 1 for name in ("by_hand", "eager") for t in found[name].times)
    assert found["mygrad"].reason == "has no second derivatives" and not found["mygrad"].failed
    assert harness.ratios(found, "by_hand", "by_hand") == [1, 1, 1]
    assert min(harness.ratios(found, "eager", "by_hand")) > 1


def test_with_default_threads_one_process_is_alive_at_a_time(monkeypatch):
    alive, most = set(), []

    class Counted(Worker):
        def __init__(self, case, contender, core):
            super().__init__(case, contender, core)
            alive.add(contender)
            most.append(len(alive))

        def close(self):
            super().close()
            alive.clear()

    monkeypatch.setattr(harness, "Worker", Counted)
    monkeypatch.setattr(harness, "TURNS", 2)
    case = next(case for case in CASES if case.name.startswith("Hessian of Rosenbrock"))
    found = measure(dataclasses.replace(case, pinned=False), ["by_hand", "eager", "mygrad"], 3, None)
    assert most == [1] * 4 and [len(found[name].times) for name in found] == [4, 4, 0]
    assert found["mygrad"].reason == "has no second derivatives"


def test_a_contender_that_dies_or_raises_is_shown():
    nowhere = Case("Memory", "no such case", "", {})
    worker = Worker(nowhere, "eager", None)
    with pytest.raises(RuntimeError, match="StopIteration"):
        worker.ask(prepare=True)
    worker.close()
    worker = Worker(next(case for case in CASES if case.name.startswith("Hessian of Rosenbrock")), "mygrad", None)
    with pytest.raises(RuntimeError, match="KeyError: 'mygrad'"):
        worker.ask(prepare=True)
    worker.process.kill()
    with pytest.raises(RuntimeError, match="ended with status -9"):
        worker.ask(prepare=True)
    worker.close()


def test_other_numbers_are_a_fault():
    known = {
        "by_hand": {"digests": [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]},
        "eager": {"digests": [[1.0, 1.0, 1.0]]},  # a long step, checked once
        "pytorch": {"digests": [[1.0, 1.0, 1.0], [2.0, 2.0, 2.01]]},
        "jax_jit": {"digests": [[1.0, 1.0, 1.0, 5.0, 5.0, 5.0]]},
    }
    outcomes = {name: Outcome() for name in known}
    harness._compare(Case("Memory", "x", "", {}), known, outcomes)
    assert [name for name, outcome in outcomes.items() if outcome.failed] == ["pytorch", "jax_jit"]
    assert "other numbers" in outcomes["pytorch"].reason and "2 arrays for 1" in outcomes["jax_jit"].reason


def test_workers_have_one_thread_no_forced_kernel_and_hips_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    ours, theirs = harness.environment("eager", True), harness.environment("hips", False)
    assert ours["OMP_NUM_THREADS"] == "1" and ours["PYTHONPATH"] == str(ROOT)
    assert "OMP_NUM_THREADS" not in theirs and "PYTHONPATH" not in theirs
    assert "OPENBLAS_CORETYPE" not in ours and "OPENBLAS_CORETYPE" not in theirs


# ---- the page


def fake():
    """Return three cases and possible outcomes."""
    about = {"notes": {"jax_jit": "as a scan"}, "cannot": {"compiled": "unrolls it"}}
    ways = dict.fromkeys(["by_hand", "eager", "pytorch", "jax_jit", "mygrad"])
    cases = [Case("Elementwise chain", f"chain of {n}", "", ways, (n,), **about) for n in (10, 1000)]
    cases.append(Case("Memory", "memory", "", ways, (), peak=True))
    outcomes = {
        "by_hand": Outcome([2e-6, 4e-6, 2e-6], shares=[0.5]),
        "eager": Outcome([3e-6, 8e-6, 5e-6], shares=[0.5]),
        "compiled": Outcome(reason="unrolls it"),
        "pytorch": Outcome(reason="RuntimeError: no", failed=True),
        "jax_jit": Outcome([1e-6, 2e-6, 1e-6], shares=[0.5]),
        "mygrad": Outcome([30.0]),
    }
    peaks = {name: Outcome([float(i << 20)]) for i, name in enumerate(ways, 1)}
    return cases, {cases[0].name: outcomes, cases[1].name: outcomes, "memory": peaks}


def test_the_page_has_ratios_spreads_notes_and_errors(tmp_path):
    cases, found = fake()
    feet = {"by_hand": Footprint("import numpy", [0.05, 0.06], 10**7, 10**7)}
    who = ["by_hand", "eager", "compiled", "pytorch", "jax_jit", "mygrad"]
    path = tmp_path / "RESULTS.md"
    path.write_text(f"# Results on another processor\n\n{results.PICTURES}\n\nas it was\n")
    results.write(path, cases, found, feet, [n for n in who if n != "pytorch"], ["hips"], 3)
    results.write(path, cases, found, feet, who, ["hips"], 3)
    page = path.read_text()
    assert page.count("# Results on ") == 2 and page.count("ratios.svg") == 1  # of this processor, and of the other
    assert page.endswith("# Results on another processor\n\nas it was\n")
    for words in (
        "| chain of 10 | 2 us | 2.00 (1.75 to 2.25) | - (1) | error (2) | 0.50 (0.50 to 0.50) (3) |",
        "1. compiled: unrolls it.",
        "2. PyTorch: RuntimeError: no.",
        "3. JAX jit: as a scan.",
        "(once)",
        "| memory | 1 MiB | 2.00 | 3.00 | 4.00 | 5.00 |",
        "Not installed, and left out: HIPS autograd.",
        "here it was 2.00 times as long",
        "| NumPy: `import numpy` | 55 (53 to 57) | 10 | 10 |",
        f"NumPy {np.__version__}",
    ):
        assert words in page


def test_amounts_have_three_digits():
    said = [results.amount(x, False) for x in (4.56e-7, 1.234e-5, 0.000456, 0.0123, 1.5)]
    assert said == ["0.456 us", "12.3 us", "456 us", "12.3 ms", "1.5 s"]
    assert [results.number(x) for x in (0.123, 12.34, 123.4)] == ["0.12", "12.3", "123"]


def test_the_plots_are_small_pictures(tmp_path):
    import plots

    cases, found = fake()
    plots.draw(tmp_path, cases, found)
    for name in ("ratios.svg", "chain.svg"):
        text = (tmp_path / name).read_text()
        assert len(text) < 60_000
        words = {
            "".join(text.itertext()) for text in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")
        }
        assert {"eager", "MyGrad"} <= words and "compiled" not in words


def test_peers_that_are_missing_are_named(monkeypatch, capsys):
    monkeypatch.setattr(harness, "HIPS", ROOT / "no such python")
    monkeypatch.setattr(sys, "argv", ["run.py", "--only", "import", "--rounds", "1", "--contenders", "by_hand,hips"])
    run.main()
    said = capsys.readouterr().out
    assert "HIPS autograd is not installed and is left out" in said and "| NumPy: `import numpy` |" in said


def test_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["run.py", "--list"])
    run.main()
    assert capsys.readouterr().out.splitlines() == [*(case.name for case in CASES), "import and size"]
    monkeypatch.setattr(sys, "argv", ["run.py", "--contenders", "tinygrad"])
    with pytest.raises(SystemExit):
        run.main()
    command = [
        sys.executable,
        "benchmarks/run.py",
        "--only",
        "Jacobian",
        "--contenders",
        "by_hand,eager",
        "--rounds",
        "2",
    ]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.search(r"\| Jacobian of 32-64-64-16 \| [\d.]+ us \| [\d.]+ \([\d.]+ to [\d.]+\)", said)


def test_sizes_and_imports():
    alone, together = sizes("eager")
    assert 4e5 < alone < 5e6 < together
    found = footprints(["by_hand", "eager"], 1, None)
    assert 0 < found["by_hand"].imports[0] < found["eager"].imports[0] < 5


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "Makefile", *map(str, (ROOT / "docs").glob("**/*.md"))]
)
def test_commands_in_the_documents_are_there(page):
    text = (ROOT / page).read_text()
    for path in re.findall(r"benchmarks/[\w/]+\.(?:py|md)", text):
        assert (ROOT / path).exists(), f"{page} names {path}"
    for word in re.findall(r"run\.py --only (\w+)", text):
        assert any(word in case.name for case in CASES), f"{page} asks for the case {word}"
