"""Measure layers of `nn` beside PyTorch's: the time of a forward and backward pass, as a ratio.

Run it on an idle core: `OPENBLAS_NUM_THREADS=1 taskset -c 1 python benchmarks/layers.py [word ...]`.  Both are measured in one process, in turns of about 20 ms, in float32, with the same weights.  A ratio is of the shortest times,
with the quartiles of the ratios of single turns; `forward` is the forward pass alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

import nn
from autograd import Tensor, as_tensor
from harness import quartiles

TURNS, SECONDS = 30, 0.02
Pass = Callable[[], Any]


def first(y: Any) -> Any:
    return y[0] if isinstance(y, tuple) else y


def same_weights(mine: Any, theirs: Any) -> None:
    mine.load_state_dict({name: value.detach().numpy() for name, value in theirs.state_dict().items()})


def passes(apply: Any, x: Any, g: Any, weights: list[Any]) -> tuple[Pass, Pass]:
    """The forward pass, and both passes with the gradient `g` of the result; return the gradient of x."""

    def both() -> Any:
        for weight in (x, *weights):
            weight.grad = None
        first(apply(x)).backward(g)
        return x.grad

    return lambda: first(apply(x)), both


def layer(name: str, shape: tuple[int, ...], *args: Any, last: bool = False, **options: Any) -> Any:
    """Passes of the layer of this name, of ours and of PyTorch's; with `last` the channels are last in memory."""
    mine, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    same_weights(mine, theirs)
    return function(mine, theirs, shape, last, mine.parameters(), [*theirs.parameters()])


def function(mine: Any, theirs: Any, shape: Any, last: bool = False, own: Any = (), their: Any = ()) -> Any:
    draw = np.random.default_rng(0).standard_normal
    order = [0, *range(2, len(shape)), 1] if last else [*range(len(shape))]
    x = draw([shape[i] for i in order], np.float32).transpose(np.argsort(order))
    t = torch.tensor(np.ascontiguousarray(x), requires_grad=True)
    if last:
        t = t.detach().to(memory_format=torch.channels_last).requires_grad_()
    y = first(theirs(t))
    g = torch.randn_like(y)
    leaf = Tensor(x, requires_grad=True)
    leaf.data = x  # in its own order of axes
    return passes(mine, leaf, as_tensor(g.numpy()), [*own]), passes(theirs, t, g, [*their])


def attention(package: Any, **options: Any) -> Any:
    attend = package.functional.scaled_dot_product_attention
    return lambda x: attend(x, x, x, is_causal=True, **options)


def transformer() -> Any:
    """A training step of a network of characters: 64 kinds, 64 long, 16 at once, 2 layers, 64 wide, with 4 heads."""

    def step(package: Any, tensor: Any, made: Any, causal: Any) -> Pass:
        blocks, (embed, head), kinds, labels = made
        weights = [p for part in (embed, *blocks, head) for p in part.parameters()]
        optimizer = package.AdamW(weights) if package is nn else torch.optim.AdamW(weights)

        def run() -> Any:
            x = embed(kinds)
            for block in blocks:
                x = block(x, src_mask=causal, is_causal=True)
            loss = package.functional.cross_entropy(head(x).reshape(-1, 64), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return run

    draw = np.random.default_rng(0)
    kinds, labels = draw.integers(0, 64, (16, 64)), draw.integers(0, 64, 1024)
    causal = np.triu(np.ones((64, 64), bool), 1)
    options = {"dropout": 0.0, "batch_first": True, "activation": "gelu"}
    made = []
    for package in (nn, torch.nn):
        blocks = [package.TransformerEncoderLayer(64, 4, 256, **options) for _ in range(2)]
        made.append((blocks, (package.Embedding(64, 64), package.Linear(64, 64))))
    for mine, theirs in zip([*made[0][0], *made[0][1]], [*made[1][0], *made[1][1]], strict=True):
        same_weights(mine, theirs)
    ours = step(nn, Tensor, (*made[0], kinds, labels), causal)
    theirs = step(torch.nn, torch.tensor, (*made[1], torch.tensor(kinds), torch.tensor(labels)), torch.tensor(causal))
    return (ours, ours), (theirs, theirs)


IMAGES = (8, 64, 56, 56)
CASES: dict[str, Callable[[], Any]] = {
    "BatchNorm1d 64x256": lambda: layer("BatchNorm1d", (64, 256), 256),
    "BatchNorm1d 32x64x100": lambda: layer("BatchNorm1d", (32, 64, 100), 64),
    "BatchNorm2d 8x64x56x56": lambda: layer("BatchNorm2d", IMAGES, 64),
    "BatchNorm2d 8x64x56x56, channels last": lambda: layer("BatchNorm2d", IMAGES, 64, last=True),
    "BatchNorm2d 32x16x14x14": lambda: layer("BatchNorm2d", (32, 16, 14, 14), 16),
    "BatchNorm2d 32x16x14x14, channels last": lambda: layer("BatchNorm2d", (32, 16, 14, 14), 16, last=True),
    "BatchNorm3d 4x16x8x16x16": lambda: layer("BatchNorm3d", (4, 16, 8, 16, 16), 16),
    "GroupNorm 8x64x56x56": lambda: layer("GroupNorm", IMAGES, 8, 64),
    "GroupNorm 8x64x56x56, channels last": lambda: layer("GroupNorm", IMAGES, 8, 64, last=True),
    "InstanceNorm2d 8x64x56x56": lambda: layer("InstanceNorm2d", IMAGES, 64),
    "InstanceNorm2d 8x64x56x56, channels last": lambda: layer("InstanceNorm2d", IMAGES, 64, last=True),
    "LayerNorm 16x64x64": lambda: layer("LayerNorm", (16, 64, 64), 64),
    "LayerNorm 32x128x512": lambda: layer("LayerNorm", (32, 128, 512), 512),
    "RMSNorm 16x64x64": lambda: layer("RMSNorm", (16, 64, 64), 64),
    "RMSNorm 32x128x512": lambda: layer("RMSNorm", (32, 128, 512), 512),
    "Conv2d 8x64x56x56, 3x3": lambda: layer("Conv2d", IMAGES, 64, 64, 3, padding=1),
    "Conv2d 32x16x14x14, 3x3": lambda: layer("Conv2d", (32, 16, 14, 14), 16, 16, 3, padding=1),
    "Conv2d 8x64x56x56, depthwise": lambda: layer("Conv2d", IMAGES, 64, 64, 3, padding=1, groups=64),
    "MaxPool2d 8x64x56x56, 2x2": lambda: layer("MaxPool2d", IMAGES, 2),
    "MaxPool2d 8x64x56x56, 2x2, channels last": lambda: layer("MaxPool2d", IMAGES, 2, last=True),
    "interpolate 4x16x32x32, bilinear": lambda: layer("Upsample", (4, 16, 32, 32), scale_factor=2, mode="bilinear"),
    "Linear 16x64x64": lambda: layer("Linear", (16, 64, 64), 64, 256),
    "Linear 32x128x256": lambda: layer("Linear", (32, 128, 256), 256, 256),
    "attention 16x4x64x16": lambda: function(attention(nn), attention(torch.nn), (16, 4, 64, 16)),
    "TransformerEncoderLayer 16x64x64": lambda: layer(
        "TransformerEncoderLayer", (16, 64, 64), 64, 4, 256, dropout=0.0, batch_first=True
    ),
    "TransformerEncoderLayer 16x64x64, gelu, dropout": lambda: layer(
        "TransformerEncoderLayer", (16, 64, 64), 64, 4, 256, dropout=0.1, activation="gelu", batch_first=True
    ),
    "characters, a step": transformer,
    **{
        f"{kind} {steps}x{n}x{size}": lambda kind=kind, steps=steps, n=n, size=size: layer(
            kind, (steps, n, size), size, size
        )
        for kind in ("RNN", "LSTM", "GRU")
        for steps, n, size in ((35, 32, 128), (100, 64, 256))
    },
}


def measure(ours: Pass, theirs: Pass) -> tuple[float, float, tuple[float, float, float]]:
    """The shortest times in seconds, and the quartiles of the turns' ratios."""
    times: list[list[float]] = [[], []]
    counts = []
    for run in (ours, theirs):
        run()
        start = time.process_time()
        run()
        counts.append(max(1, int(SECONDS / (time.process_time() - start))))
    for _ in range(TURNS):
        for own, run, count in zip(times, (ours, theirs), counts, strict=True):
            start = time.process_time()
            for _ in range(count):
                run()
            own.append((time.process_time() - start) / count)
    return min(times[0]), min(times[1]), quartiles([a / b for a, b in zip(*times, strict=True)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{'':45} {'forward':>8} {'both':>8} {'spread':>14} {'ours':>10} {'PyTorch':>10}")
    for name, make in CASES.items():
        if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
            ours, theirs = make()
            a, b, _ = measure(ours[0], theirs[0])
            c, d, (low, _, high) = measure(ours[1], theirs[1])
            print(
                f"{name:45} {a / b:8.2f} {c / d:8.2f} {low:6.2f} to {high:.2f} {c * 1e3:7.2f} ms {d * 1e3:7.2f} ms",
                flush=True,
            )
