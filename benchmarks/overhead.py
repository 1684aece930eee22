"""What an operation costs beyond NumPy's own work, beside PyTorch where it is installed.

One process, one thread, one core, small arrays (4x4 float64), so that the engine's own time shows.  Every figure is the
median over rounds in which all candidates take turns; the spread is the range from the first to the third quartile.
"""

import os

os.environ.update(dict.fromkeys(["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"], "1"))

import subprocess
import sys
import timeit
from functools import partial

import numpy as np

import autograd
from autograd import Tensor

try:
    import torch
except ImportError:
    torch = None

ROUNDS, REPEATS = 31, 20


def elementwise_chain(x, w, tanh):
    """41 ops, element by element."""
    y = x
    for _ in range(10):
        y = y * w
        y = y + x
        y = tanh(y)
        y = y - w
    return y.sum()


def dense_chain(x, w, tanh):
    """41 ops, as a recurrent network has them."""
    y = x
    for _ in range(8):
        y = y @ w
        y = y + x
        y = tanh(y)
        y = y * w
        y = y - x
    return y.sum()


def table(library, tanh, maximum, concatenate):
    """One op each, applied 20 times to the same tensors."""
    return {
        "add": lambda x, w: x + w,
        "multiply": lambda x, w: x * w,
        "exp": lambda x, w: library.exp(x),
        "tanh": lambda x, w: tanh(x),
        "maximum": lambda x, w: maximum(x, w),
        "sum": lambda x, w: x.sum(),
        "matmul": lambda x, w: x @ w,
        "getitem": lambda x, w: x[1:3],
        "reshape": lambda x, w: x.reshape((2, 8)),
        "concatenate": lambda x, w: concatenate([x, w]),
    }


def candidates(function, ops, seed, forward_only, kind):
    """A call to time: `ops` times `function`, then (unless forward_only) back from every result."""
    numbers = np.random.default_rng(0).uniform(0.1, 0.9, (2, 4, 4))
    if kind == "numpy":
        x, w = numbers
    elif kind == "torch":
        x, w = (torch.tensor(a, requires_grad=True) for a in numbers)
    else:
        x, w = (Tensor(a, requires_grad=True) for a in numbers)

    def call():
        for _ in range(ops):
            y = function(x, w)
            if not forward_only:
                x.grad = w.grad = None
                y.backward(seed(y))

    return call


def compare(calls, per):
    """Median and quartiles of microseconds, of calls that take turns; and the same of ratios within a round."""
    times = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            times[name].append(timeit.timeit(call, number=REPEATS) / REPEATS / per * 1e6)
    return {name: np.array(t) for name, t in times.items()}


def spread(values):
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:6.2f} ({low:.2f}-{high:.2f})"


def measure(title, functions, per, ops=1):
    seeds = {"plaingrad": lambda y: np.ones(y.shape), "torch": (lambda y: torch.ones_like(y)) if torch else None}
    calls = {"numpy": candidates(functions["numpy"], ops, None, True, "numpy")}
    for name in [n for n in ("plaingrad", "torch") if n in functions]:
        calls[name + " forward"] = candidates(functions[name], ops, seeds[name], True, name)
        calls[name] = candidates(functions[name], ops, seeds[name], False, name)
    times = compare(calls, per * ops)
    row = f"{title:17}  {np.median(times['numpy']):6.2f}  {np.median(times['plaingrad forward']):6.2f}"
    row += f"  {np.median(times['plaingrad']):6.2f}  {np.median(times['plaingrad'] / times['numpy']):6.1f}"
    ratio = None
    if "torch" in times:
        ratio = times["plaingrad"] / times["torch"]
        row += f"  {np.median(times['torch forward']):6.2f}  {np.median(times['torch']):6.2f}  {spread(ratio)}"
    print(row)
    return ratio


def profiling_cost():
    """Microseconds: what `autograd.profile()` adds to an op, forward and backward, and what entering it costs."""
    function = partial(elementwise_chain, tanh=autograd.tanh)
    chain = candidates(function, 1, lambda y: np.ones(y.shape), False, "plaingrad")

    def several():
        for _ in range(REPEATS):
            chain()

    def profiled():
        with autograd.profile():
            several()

    def empty():
        with autograd.profile():
            pass

    times = compare({"without": several, "with": profiled, "empty": empty}, 1)
    return (times["with"] - times["empty"] - times["without"]) / 41 / REPEATS, times["empty"]


def import_cost():
    """Milliseconds that `import autograd` takes after `import numpy`, in fresh processes whose bytecode is cached."""
    program = "import time, numpy; t = time.perf_counter(); import autograd; print(1e3 * (time.perf_counter() - t))"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    call = partial(subprocess.run, [sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    return [float(call().stdout) for _ in range(16)][1:]


def linearity():
    """Seconds for a chain of n ops forward, backward and deleted, per million ops."""
    for n in (10_000, 100_000, 1_000_000):

        def call(n=n):
            y = Tensor(1.0, requires_grad=True)
            for _ in range(n):
                y = y + 1.0
            y.backward()

        print(f"a chain of {n:9,} ops: {timeit.timeit(call, number=1) * 1e6 / n:5.2f} us per op, forward and backward")


def main():
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if torch:
        torch.set_num_threads(1)
    else:
        print("PyTorch is not installed, so its columns are missing")
    print("microseconds per op: NumPy | plaingrad forward, forward+backward, in times NumPy", end="")
    print(" | PyTorch forward, forward+backward | plaingrad / PyTorch (quartiles)" if torch else "")
    ratios = {}
    for chain in (elementwise_chain, dense_chain):
        chains = {"numpy": partial(chain, tanh=np.tanh), "plaingrad": partial(chain, tanh=autograd.tanh)}
        if torch:
            chains["torch"] = partial(chain, tanh=torch.tanh)
        ratios[chain.__name__] = measure(chain.__name__, chains, 41)
    rows = {"numpy": table(np, np.tanh, np.maximum, np.concatenate)}
    rows["plaingrad"] = table(autograd, autograd.tanh, autograd.maximum, autograd.concatenate)
    if torch:
        rows["torch"] = table(torch, torch.tanh, torch.maximum, torch.cat)
    single = [measure(op, {name: ops[op] for name, ops in rows.items()}, 1, ops=20) for op in rows["numpy"]]
    if torch:
        mean = np.exp(np.mean(np.log([np.median(r) for r in single])))
        for name, ratio in ratios.items():
            print(f"goal: at most 0.65 of PyTorch, forward+backward per op of the {name}: {spread(ratio)}")
        print(f"one op alone, with the fixed cost of a backward(): geometric mean {mean:.2f} of PyTorch")
    linearity()
    op, block = profiling_cost()
    print(f"autograd.profile() adds {spread(op)} us to an op, forward and backward, and {spread(block)} us to a block")
    print(f"goal: `import autograd` at most 40 ms over `import numpy`: {spread(import_cost())} ms")


if __name__ == "__main__":
    main()
