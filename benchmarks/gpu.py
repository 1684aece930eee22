"""On one GPU with CuPy: agreement with NumPy, three training steps beside PyTorch, and memory over 100 steps.

    python benchmarks/gpu.py > gpu.txt

takes under eight minutes, needs CuPy, and compares with PyTorch where it is installed.  Every part is bounded in time,
prints a line as soon as it is measured, and says why if it fails; the next part runs all the same.
"""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
SECONDS = {"agreement": 150.0, "step": 20.0}  # the longest that each part may take
BATCH, STEPS = 256, 100


def main() -> None:
    import cupy

    import nn

    print(f"CuPy {cupy.__version__}, NumPy {np.__version__}, {name_of_gpu(cupy)}")
    part("agreement", lambda: agreement(cupy))
    for name, make in MODELS.items():
        part(name, lambda name=name, make=make: print(f"{name}: {beside(cupy, nn, *make(nn))}"))  # type: ignore[misc]
        part(f"{name}, PyTorch", lambda name=name: print(f"{name}, PyTorch: {in_pytorch(name)}"))  # type: ignore[misc]


def part(name: str, run: Callable[[], None]) -> None:
    """Run a part, and say why if it fails."""
    try:
        run()
    except Exception:  # the next part is measured all the same
        print(f"{name} failed: {traceback.format_exc(limit=3)}")
    sys.stdout.flush()


def name_of_gpu(cupy: Any) -> str:
    return str(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())


# ---- agreement


def agreement(cupy: Any) -> None:
    """Every case of every op in float32: its value and gradient on the device beside NumPy's."""
    from foreign_ops import LEVELS, levels
    from samples import CALLS

    def there(a: Any) -> Any:
        return cupy.asarray(narrow(a))

    def narrow(a: Any) -> Any:
        return np.asarray(a, {"f": np.float32, "c": np.complex64}.get(np.asarray(a).dtype.kind))

    start, failed, done = time.perf_counter(), dict[str, str](), set()
    warnings.simplefilter("ignore")
    for name, i in CALLS:
        for order in (0, 1):
            if time.perf_counter() - start > SECONDS["agreement"] or name in failed:
                continue
            try:
                for a, b in zip(levels(name, i, there, order), levels(name, i, narrow, order), strict=True):
                    if b is not None:
                        a, b = (getattr(x, "data", x) if hasattr(x, "requires_grad") else x for x in (a, b))
                        np.testing.assert_allclose(cupy.asnumpy(a), b, rtol=2e-3, atol=2e-4)
                done.add(name)
            except Exception as error:  # it is counted
                failed[name] = f"{LEVELS[order]} of case {i}: {type(error).__name__}: {error}".replace("\n", " ")[:160]
    print(f"agreement in float32: {len(done - failed.keys())} ops agree, {len(failed)} do not")
    for name, why in failed.items():
        print(f"    {name}: {why}")


# ---- steps


def _mlp(nn: Any) -> tuple[Any, Any]:
    return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)), (784,)


def _convolution(nn: Any) -> tuple[Any, Any]:
    layers = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 8 * 8, 10)), (3, 32, 32)


def _attention(nn: Any) -> tuple[Any, Any]:
    layer = nn.TransformerEncoderLayer(128, 8, 512, dropout=0.0, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(128 * 32, 10)), (32, 128)


MODELS = {"MLP": _mlp, "convolution": _convolution, "attention": _attention}


def _data(shape: tuple[int, ...]) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH, *shape)).astype(np.float32), rng.integers(0, 10, BATCH)


def timed(step: Callable[[], Any], wait: Callable[[], Any], used: Callable[[], int]) -> str:
    """The median time of a step, and the memory after 10 and after 100 of them."""
    times, after, start = [], [], time.perf_counter()
    for i in range(STEPS + 10):
        begin = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - begin)
        if i in (9, STEPS - 1):
            after.append(used() / 2**20)
        if time.perf_counter() - start > SECONDS["step"]:
            break
    memory = " and ".join(f"{x:.1f}" for x in after)
    return f"{np.median(times[len(times) // 10 :]) * 1e3:.2f} ms a step, {memory} MB after 10 and {STEPS} steps"


def beside(cupy: Any, nn: Any, model: Any, shape: tuple[int, ...]) -> str:
    """A step of SGD with CuPy."""
    model.to(cupy)
    X, y = map(cupy.asarray, _data(shape))
    optimizer, loss = nn.SGD(model.parameters(), lr=0.01), nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(X), y).backward()
        optimizer.step()

    pool = cupy.get_default_memory_pool()
    return timed(step, cupy.cuda.get_current_stream().synchronize, pool.used_bytes)


def in_pytorch(name: str) -> str:
    """The same step with PyTorch on the same GPU."""
    import torch

    model, shape = MODELS[name](torch.nn)
    model.cuda()
    X, y = (torch.from_numpy(a).cuda() for a in _data(shape))
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.01), torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(X), y).backward()
        optimizer.step()

    return timed(step, torch.cuda.synchronize, torch.cuda.memory_allocated)


if __name__ == "__main__":
    main()
