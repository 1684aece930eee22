"""Measure layers of `nn` beside PyTorch's: the time of a forward and backward pass, as a ratio.

Run it on an idle core: `OPENBLAS_NUM_THREADS=1 taskset -c 1 python benchmarks/layers.py [word ...]`; words choose.
Both run in one process with the same weights, in turns of 20 ms of processor time, in float32.  A ratio is of the
shortest times, with the quartiles of the ratios of single turns; `forward` is the forward pass alone.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

import nn
from autograd import as_tensor
from harness import quartiles

TURNS, SECONDS, LAST, DENSE = 20, 0.02, "channels last", {"dropout": 0.0, "batch_first": True}
IMAGES, SMALL, WORDS, SERIES = (8, 64, 56, 56), (32, 16, 14, 14), (16, 64, 64), ((35, 32, 128), (100, 64, 256))
GROUPED = ("GroupNorm", 8, 64), ("InstanceNorm2d", 64)
CASES: list[tuple[str, tuple[int, ...], Any, dict[str, Any], str]] = [
    ("BatchNorm1d", (64, 256), (256,), {}, ""),
    *(("BatchNorm2d", shape, shape[1:2], {}, how) for shape in (IMAGES, SMALL) for how in ("", LAST)),
    ("BatchNorm3d", (4, 16, 8, 16, 16), (16,), {}, ""),
    *((name, IMAGES, args, {}, how) for name, *args in GROUPED for how in ("", LAST)),
    *((norm, shape, shape[-1:], {}, "") for norm in ("LayerNorm", "RMSNorm") for shape in (WORDS, (32, 128, 512))),
    *(("Conv2d", shape, (shape[1], shape[1], 3), {"padding": 1}, "") for shape in (IMAGES, SMALL)),
    ("Conv2d", IMAGES, (64, 64, 3), {"padding": 1, "groups": 64}, "depthwise"),
    *(("MaxPool2d", IMAGES, (2,), {}, how) for how in ("", LAST)),
    ("Upsample", (4, 16, 32, 32), (), {"scale_factor": 2, "mode": "bilinear"}, ""),
    *(("Linear", shape, (shape[-1], 256), {}, "") for shape in (WORDS, (32, 128, 256))),
    *((name, (16, 64, 256), (), {}, "") for name in ("GELU", "SiLU")),
    ("Softmax", (16, 4, 64, 64), (-1,), {}, ""),
    ("MultiheadAttention", WORDS, (64, 4), {"batch_first": True}, ""),
    *(("TransformerEncoderLayer", WORDS, (64, 4, 256), {**DENSE, "activation": f}, f) for f in ("relu", "gelu")),
    *((kind, shape, shape[-1:] * 2, {}, "") for kind in ("RNN", "LSTM", "GRU") for shape in SERIES),
]


def passes(layer: Any, x: Any, g: Any) -> tuple[Any, Any]:
    """The forward pass, and both passes with the gradient `g` of the result; attention is of x to itself."""
    inputs = (x, x, x) if type(layer).__name__ == "MultiheadAttention" else (x,)

    first = lambda y: y[0] if isinstance(y, tuple) else y
    forward = lambda: first(layer(*inputs))

    def both() -> None:
        for leaf in (x, *layer.parameters()):
            leaf.grad = None
        forward().backward(g)

    return forward, both


def layers(name: str, shape: tuple[int, ...], args: Any, options: Any, last: bool) -> tuple[Any, Any]:
    """The passes of our layer and of PyTorch's, with the same weights; with `last`, channels are last in memory."""
    mine, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    mine.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = torch.randn(shape).to(memory_format=torch.channels_last if last else torch.contiguous_format)
    g = torch.randn_like(passes(theirs, x, None)[0]())
    leaf, gradient = as_tensor(x.numpy()), as_tensor(g.numpy())
    leaf.requires_grad = True
    return passes(mine, leaf, gradient), passes(theirs, x.requires_grad_(), g)


def training(package: Any, optimizer: Any, array: Any) -> Any:
    """A training step on characters: 64 kinds, in 16 sequences of 64; 2 layers, 64 wide, with 4 heads."""
    draw = np.random.default_rng(0)
    kinds, labels = (array(draw.integers(0, 64, shape)) for shape in ((16, 64), 1024))
    hidden = array(np.triu(np.ones((64, 64), bool), 1))
    blocks = [package.TransformerEncoderLayer(64, 4, 256, activation="gelu", **DENSE) for _ in range(2)]
    parts = embed, *_, head = package.Embedding(64, 64), *blocks, package.Linear(64, 64)
    optimizer = optimizer([p for part in parts for p in part.parameters()])

    def step() -> None:
        x = embed(kinds)
        optimizer.zero_grad()
        for block in blocks:
            x = block(x, src_mask=hidden, is_causal=True)
        package.functional.cross_entropy(head(x).reshape(-1, 64), labels).backward()
        optimizer.step()

    return step


def measure(ours: Any, theirs: Any) -> tuple[float, float, list[float]]:
    """The shortest times in milliseconds, and the ratio of each turn."""
    times: Any = [[], []]
    for own, run in [*zip(times, (ours, theirs), strict=True)] * TURNS:
        start, count = time.process_time(), 0
        while time.process_time() < start + SECONDS or not count:
            run()
            count += 1
        own.append((time.process_time() - start) / count * 1e3)
    return min(times[0]), min(times[1]), [a / b for a, b in zip(*times, strict=True)]


def show(name: str, ours: tuple[Any, Any], theirs: tuple[Any, Any]) -> None:
    (a, b, _), (c, d, ratios) = map(measure, ours, theirs)
    spread = "{0:.2f} to {2:.2f}".format(*quartiles(ratios))
    print(f"| {name} | {a / b:.2f} | {c / d:.2f} ({spread}) | {c:.2f} ms | {d:.2f} ms |", flush=True)


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
