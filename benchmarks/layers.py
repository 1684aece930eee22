"""Measure layers of `nn` beside PyTorch's: the time of a forward and backward pass, as a ratio.

Run it on an idle core: `OPENBLAS_NUM_THREADS=1 taskset -c 1 python benchmarks/layers.py [word ...]`; words choose.
Both are measured in one process, in turns of about 20 ms of processor time, in float32, with the same weights.  A ratio
is of the shortest times, with the quartiles of the ratios of single turns; `forward` is the forward pass alone.
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
from autograd import as_tensor
from harness import quartiles

TURNS, SECONDS = 20, 0.02
Pass = Callable[[], Any]
IMAGES, SMALL, WORDS = (8, 64, 56, 56), (32, 16, 14, 14), (16, 64, 64)
LAST = "channels last"
DENSE = {"dropout": 0.0, "batch_first": True}
CASES: list[tuple[str, tuple[int, ...], Any, dict[str, Any], str]] = [
    ("BatchNorm1d", (64, 256), (256,), {}, ""),
    *(("BatchNorm2d", shape, shape[1:2], {}, how) for shape in (IMAGES, SMALL) for how in ("", LAST)),
    ("BatchNorm3d", (4, 16, 8, 16, 16), (16,), {}, ""),
    *(("GroupNorm", IMAGES, (8, 64), {}, how) for how in ("", LAST)),
    *(("InstanceNorm2d", IMAGES, (64,), {}, how) for how in ("", LAST)),
    *((norm, shape, shape[-1:], {}, "") for norm in ("LayerNorm", "RMSNorm") for shape in (WORDS, (32, 128, 512))),
    ("Conv2d", IMAGES, (64, 64, 3), {"padding": 1}, ""),
    ("Conv2d", SMALL, (16, 16, 3), {"padding": 1}, ""),
    ("Conv2d", IMAGES, (64, 64, 3), {"padding": 1, "groups": 64}, "depthwise"),
    *(("MaxPool2d", IMAGES, (2,), {}, how) for how in ("", LAST)),
    ("Upsample", (4, 16, 32, 32), (), {"scale_factor": 2, "mode": "bilinear"}, ""),
    ("Linear", WORDS, (64, 256), {}, ""),
    ("Linear", (32, 128, 256), (256, 256), {}, ""),
    ("TransformerEncoderLayer", WORDS, (64, 4, 256), DENSE, ""),
    ("TransformerEncoderLayer", WORDS, (64, 4, 256), {**DENSE, "activation": "gelu"}, "GELU"),
    *(
        (kind, shape, shape[-1:] * 2, {}, "")
        for kind in ("RNN", "LSTM", "GRU")
        for shape in ((35, 32, 128), (100, 64, 256))
    ),
]


def first(y: Any) -> Any:
    return y[0] if isinstance(y, tuple) else y


def passes(layer: Any, x: Any, g: Any) -> tuple[Pass, Pass]:
    """The forward pass, and both passes with the gradient `g` of the result."""

    def both() -> None:
        for leaf in (x, *layer.parameters()):
            leaf.grad = None
        first(layer(x)).backward(g)

    return lambda: layer(x), both


def layers(name: str, shape: tuple[int, ...], args: Any, options: Any, last: bool) -> tuple[Any, Any]:
    """The passes of our layer and of PyTorch's, with the same weights; with `last`, channels are last in memory."""
    mine, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    mine.load_state_dict({key: value.detach().numpy() for key, value in theirs.state_dict().items()})
    memory = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(shape).to(memory_format=memory)
    g = torch.randn_like(first(theirs(x)))
    leaf = as_tensor(x.numpy())
    leaf.requires_grad = True
    return passes(mine, leaf, as_tensor(g.numpy())), passes(theirs, x.requires_grad_(), g)


def training(package: Any, optimizer: Any, array: Any) -> Pass:
    """A training step on characters: 64 kinds, in 16 sequences of 64; 2 layers, 64 wide, with 4 heads."""
    draw = np.random.default_rng(0)
    kinds, labels = array(draw.integers(0, 64, (16, 64))), array(draw.integers(0, 64, 1024))
    hidden = array(np.triu(np.ones((64, 64), bool), 1))
    blocks = [package.TransformerEncoderLayer(64, 4, 256, activation="gelu", **DENSE) for _ in range(2)]
    embed, head = package.Embedding(64, 64), package.Linear(64, 64)
    optimizer = optimizer([p for part in (embed, *blocks, head) for p in part.parameters()])

    def step() -> None:
        x = embed(kinds)
        for block in blocks:
            x = block(x, src_mask=hidden, is_causal=True)
        optimizer.zero_grad()
        package.functional.cross_entropy(head(x).reshape(-1, 64), labels).backward()
        optimizer.step()

    return step


def measure(ours: Pass, theirs: Pass) -> tuple[float, float, list[float]]:
    """The shortest times in milliseconds, and the ratio of each turn."""
    times: list[list[float]] = [[], []]
    for run in (ours, theirs):
        run()
    for _ in range(TURNS):
        for own, run in zip(times, (ours, theirs), strict=True):
            start, count = time.process_time(), 0
            while time.process_time() < start + SECONDS or not count:
                run()
                count += 1
            own.append((time.process_time() - start) / count * 1e3)
    return min(times[0]), min(times[1]), [a / b for a, b in zip(*times, strict=True)]


def show(name: str, ours: tuple[Pass, Pass], theirs: tuple[Pass, Pass]) -> None:
    (a, b, _), (c, d, ratios) = (measure(*pair) for pair in zip(ours, theirs, strict=True))
    low, _, high = quartiles(ratios)
    print(f"| {name} | {a / b:.2f} | {c / d:.2f} ({low:.2f} to {high:.2f}) | {c:.2f} ms | {d:.2f} ms |", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| layer | forward | both | ours | PyTorch |\n|---|---|---|---|---|")
    for name, shape, args, options, how in CASES:
        title = f"{name} {'x'.join(map(str, shape))}{how and ', '}{how}"
        if all(word in title for word in sys.argv[1:]):
            show(title, *layers(name, shape, args, options, how == LAST))
    if not sys.argv[1:]:
        ours, theirs = training(nn, nn.AdamW, np.asarray), training(torch.nn, torch.optim.AdamW, torch.tensor)
        show("a step on characters", (ours, ours), (theirs, theirs))
