"""Run programs written for HIPS's autograd on this package and on HIPS's own (`make clients`).

It installs four public clients twice, with HIPS's package and with this one in its place, runs one job of each
and compares the results and the times; then the suites that pymanopt and HIPS's package ship, on both.  It needs a
package index, and about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HIPS = "autograd==1.9.1"
CLIENTS = ["pymanopt==2.2.1", "autograd-gamma==0.5.0", "lifelines==0.30.3"]
LOOSE = ["ceviche==0.1.3"]  # it asks for packages that it does not need here
NEEDS = ["numpy>=2,<3", "scipy", "matplotlib", "pytest"]


# ---- the jobs: each prints numbers, which are equal on both


def manifold() -> Any:
    """The dominant subspace of a matrix, by trust regions on a Stiefel manifold."""
    import autograd.numpy as np
    import pymanopt

    rng = np.random.RandomState(0)
    matrix = rng.randn(30, 30)
    matrix = matrix + matrix.T
    space = pymanopt.manifolds.Stiefel(30, 3)

    @pymanopt.function.autograd(space)
    def cost(point):
        return -np.trace(point.T @ matrix @ point)

    start = np.linalg.qr(rng.randn(30, 3))[0]
    np.random.seed(0)
    optimizer = pymanopt.optimizers.TrustRegions(verbosity=0)
    return float(optimizer.run(pymanopt.Problem(space, cost), initial_point=start).cost)


def incomplete_gamma() -> Any:
    """Gradients by the shape parameters of incomplete gamma and beta functions."""
    import autograd.numpy as np
    from autograd_gamma import betainc, gammainc

    from autograd import grad

    x = np.linspace(0.1, 0.9, 20)
    found = [
        (grad(lambda a: gammainc(a, 2.0))(a), grad(lambda a: np.sum(np.log(betainc(a, 2.0, x))))(a))
        for a in np.linspace(1.0, 3.0, 100)
    ]
    return [float(np.sum(column)) for column in zip(*found)]  # noqa: B905 (clients run on old Pythons too)


def survival() -> Any:
    """Parametric survival models, with standard errors from a Hessian."""
    from lifelines import GeneralizedGammaFitter, LogNormalAFTFitter, WeibullAFTFitter, WeibullFitter
    from lifelines.datasets import load_rossi, load_waltons

    waltons, rossi = load_waltons(), load_rossi()
    plain = WeibullFitter().fit(waltons["T"], waltons["E"])
    aft = WeibullAFTFitter().fit(rossi, "week", "arrest")
    log_normal = LogNormalAFTFitter().fit(rossi, "week", "arrest")
    gamma = GeneralizedGammaFitter().fit(waltons["T"], waltons["E"])
    return [
        float(plain.lambda_), float(plain.rho_), float(aft.log_likelihood_), *map(float, aft.summary["se(coef)"]),
        float(log_normal.log_likelihood_), float(gamma.log_likelihood_),
    ]  # fmt: skip


def photonics() -> Any:
    """The gradient of a field's intensity by the permittivity of every pixel."""
    import autograd.numpy as np
    from ceviche import fdfd_ez, jacobian

    n = 60
    source = np.zeros((n, n))
    source[20, 10] = 1
    solver = fdfd_ez(2 * np.pi * 200e12, 5e-8, np.ones((n, n)), [10, 10])

    def intensity(pixels):
        solver.eps_r = pixels.reshape((n, n))
        return np.sum(np.abs(solver.solve(source)[2][30, :]) ** 2) * 1e12

    pixels = np.full(n * n, 2.0)
    return [float(intensity(pixels)), float(np.linalg.norm(jacobian(intensity, mode="reverse")(pixels)))]


JOBS = {job.__name__: job for job in (manifold, incomplete_gamma, survival, photonics)}


def work(name: str) -> None:
    """Run one job three times, in a process of its own, and print its numbers and the best time."""
    import warnings

    warnings.simplefilter("ignore")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = JOBS[name]()
        times.append(time.perf_counter() - start)
    print(json.dumps({"found": found, "seconds": min(times)}))


# ---- environments


def run(*command: Any, cwd: Path | None = None, check: bool = True) -> str:
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.pop("PYTHONPATH", None)
    result = subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True)
    if check and result.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")
    return result.stdout


def environment(folder: Path, ours: bool) -> Path:
    """A virtual environment with the clients; ours has this package in HIPS's place."""
    python = folder / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
        run(python, "-m", "pip", "install", "--quiet", *NEEDS, *CLIENTS, HIPS)
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", *LOOSE)
    if ours:
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "autograd")
        run(python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", ROOT)
        run(python, "-m", "pip", "install", "--quiet", "graphviz")
    return python


def source(python: Path, package: str, folder: Path) -> Path:
    """The unpacked sources of a package, which hold its tests."""
    run(python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder, package)
    name = package.replace("==", "-").replace("autograd-gamma", "autograd_gamma")
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name


def suite(python: Path, tests: Path, *options: Any) -> str:
    """The last line of a suite: what passed and what failed."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tests, tests]
    return run(*command, *options, check=False, cwd=tests).strip().splitlines()[-1]


def suites(pythons: dict[str, Path], folder: Path) -> None:
    pymanopt = source(pythons["HIPS"], CLIENTS[0], folder) / "tests"
    (pymanopt / "conftest.py").write_text(
        "import numpy, pytest\n\n\n@pytest.fixture(autouse=True)\ndef seed():\n    numpy.random.seed(0)\n"
    )  # its own needs TensorFlow and PyTorch, as do the tests that are left out
    others = ["backends/test_jax.py", "backends/test_pytorch.py", "backends/test_tensorflow.py"]
    left_out = [f"--ignore={pymanopt / name}" for name in (*others, "test_problem.py", "test_examples.py")]
    hips = source(pythons["HIPS"], HIPS, folder) / "tests"
    for title, tests, options in (("pymanopt's tests", pymanopt, left_out), ("HIPS's tests", hips, [])):
        for name, python in pythons.items():
            said = suite(python, tests, *options)
            print(f"{title} on {name}: {re.sub(r' in .*', '', said).strip('= ')}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".venv-clients")
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.job:
        work(chosen.job)
        return 0
    chosen.folder.mkdir(exist_ok=True)
    pythons = {
        "HIPS": environment(chosen.folder / "hips", ours=False),
        "plaingrad": environment(chosen.folder / "ours", ours=True),
    }
    bad = 0
    for name in JOBS:
        rounds = [
            {who: json.loads(run(python, __file__, "--job", name)) for who, python in pythons.items()} for _ in range(3)
        ]
        equal = all(close(one["plaingrad"]["found"], one["HIPS"]["found"]) for one in rounds)
        bad += not equal
        best = {who: min(one[who]["seconds"] for one in rounds) for who in pythons}
        ratio = best["HIPS"] / best["plaingrad"]
        print(f"{name}: {'equal' if equal else 'DIFFERENT'} results, {ratio:.2f} times as fast as HIPS's")
    suites(pythons, chosen.folder)
    return bad


def close(a: Any, b: Any) -> bool:
    """Whether two (lists of) numbers agree to seven digits: optimisers stop at about this distance."""
    pairs = list(zip(a, b, strict=True)) if isinstance(a, list) else [(a, b)]
    return all(abs(x - y) <= 1e-7 * max(abs(x), abs(y)) for x, y in pairs)


if __name__ == "__main__":
    sys.exit(main())
