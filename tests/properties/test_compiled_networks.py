"""Every layer, activation, loss and optimiser of nn, and programs from hypothesis, compiled and eager."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
from autograd import Tensor, compile
from compiled_steps import MODES, close
from optimisers import moves
from recorded import OPTIMISERS, START, loss

pytestmark = pytest.mark.slow

LAYERS = {
    "Linear": (lambda: nn.Linear(4, 3), (5, 4)),
    "Linear without bias, three axes": (lambda: nn.Linear(4, 3, bias=False), (2, 5, 4)),
    "Bilinear": (lambda: Twice(nn.Bilinear(4, 4, 2)), (5, 4)),
    "Embedding": (lambda: nn.Embedding(6, 3, padding_idx=0), np.array([[0, 2], [5, 2]])),
    "LayerNorm": (lambda: nn.LayerNorm(4), (5, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (5, 4)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (5, 4)),
    "BatchNorm1d, three axes": (lambda: nn.BatchNorm1d(4, momentum=None), (5, 4, 3)),
    "Dropout": (lambda: nn.Dropout(0.5), (40, 4)),
    "Flatten": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), (5, 2, 3)),
    "Softmax": (lambda: nn.Softmax(dim=-1), (5, 4)),
    "LogSoftmax": (lambda: nn.LogSoftmax(dim=-1), (5, 4)),
    "PReLU": (lambda: nn.PReLU(4), (5, 4)),
    "long rows": (lambda: nn.Sequential(nn.Linear(3, 300), nn.ReLU(), nn.Linear(300, 2)), (7, 3)),
    "long columns": (lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 2)), (400, 3)),
}
for _name in (
    "ReLU LeakyReLU ReLU6 Hardtanh ELU CELU SELU GELU SiLU Mish Sigmoid LogSigmoid Softplus Softsign Tanh Tanhshrink "
    "Hardsigmoid Hardswish Softshrink Hardshrink Threshold Identity"
).split():
    if hasattr(nn, _name) and _name != "Threshold":
        LAYERS[_name] = (getattr(nn, _name), (5, 4))


class Twice(nn.Module):
    def __init__(self, module):
        self.module = module

    def forward(self, x):
        return self.module(x, x)


def both(make):
    """Two of the same."""
    found = []
    for _ in range(2):
        nn.manual_seed(1)
        found.append(make())
    return found


@MODES
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, exact, same):
    make, shape = LAYERS[name]
    ours, theirs = both(make)
    rng = np.random.default_rng(0)
    x = shape if isinstance(shape, np.ndarray) else rng.normal(size=shape).astype(np.float32)

    def step(layer, x):
        layer.zero_grad()
        leaf = x if x.dtype.kind == "i" else Tensor(x, requires_grad=True)
        out = layer(leaf)
        slopes = np.linspace(-1, 1, out.size, dtype=out.dtype).reshape(out.shape)  # a norm makes 0 of slopes like out
        ((out + slopes) * out).sum().backward()
        return out, None if x.dtype.kind == "i" else leaf.grad

    compiled = compile(step, exact=exact)
    for training in (True, True, True, True, False, False, False):
        nn.manual_seed(2)
        found = compiled(ours.train(training), x)
        nn.manual_seed(2)
        expected = step(theirs.train(training), x)
        for a, b in zip(found, expected, strict=True):
            if b is not None:
                same(a, b)
        for p, q in zip([*ours.parameters(), *ours.buffers()], [*theirs.parameters(), *theirs.buffers()], strict=True):
            same(p, q)
            assert (p.grad is None) == (q.grad is None)
            if q.grad is not None:
                same(p.grad, q.grad)
        x = x if isinstance(shape, np.ndarray) else x * np.float32(0.9)
    assert compiled.stats.eager == 0 and compiled.stats.compiles == 2


PROBABILITIES = np.random.default_rng(1).dirichlet(np.ones(3), 6)
SIGNS = np.array([1, -1, 1, 1, -1, -1])
LOSSES = {
    "MSELoss": (nn.MSELoss, PROBABILITIES),
    "L1Loss": (nn.L1Loss, PROBABILITIES),
    "HuberLoss": (nn.HuberLoss, PROBABILITIES),
    "SmoothL1Loss": (nn.SmoothL1Loss, PROBABILITIES),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, PROBABILITIES),
    "KLDivLoss": (lambda **o: nn.KLDivLoss(**o), PROBABILITIES),
    "CrossEntropyLoss": (nn.CrossEntropyLoss, np.array([0, 2, 1, 1, 0, 2])),
    "CrossEntropyLoss of probabilities": (nn.CrossEntropyLoss, PROBABILITIES),
    "CrossEntropyLoss, smoothed": (lambda **o: nn.CrossEntropyLoss(label_smoothing=0.1, **o), np.array([0, 2] * 3)),
    "CrossEntropyLoss, weighted": (
        lambda **o: nn.CrossEntropyLoss(np.array([0.5, 1.0, 2.0]), ignore_index=1, **o), np.array([0, 2, 1, 1, 0, 2])
    ),
    "NLLLoss": (nn.NLLLoss, np.array([0, 2, 1, 1, 0, 2])),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss, SIGNS),
}  # fmt: skip


@MODES
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, reduction, exact, same):
    make, target = LOSSES[name]
    ours, theirs = both(lambda: make(reduction=reduction))
    x = np.random.default_rng(0).normal(size=(6, 3))

    def step(loss_of, x):
        leaf = Tensor(x, requires_grad=True)
        value = loss_of(leaf, leaf * 0.5 + 0.1, target) if "Embedding" in name else loss_of(leaf, target)
        (value * 1.5).sum().backward()
        return value, leaf.grad

    compiled = compile(step, exact=exact)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(4):
            for a, b in zip(compiled(ours, x * (i + 1)), step(theirs, x * (i + 1)), strict=True):
                same(a, b)
    assert compiled.stats.eager == 0 and compiled.stats.compiles == 1


@MODES
@pytest.mark.parametrize("i", range(len(OPTIMISERS)), ids=lambda i: f"{OPTIMISERS[i][0]}-{i}")
def test_optimisers(i, exact, same):
    name, options = OPTIMISERS[i]
    sign = -1 if options.get("maximize") else 1
    runs = []
    for wrap in (compile(exact=exact, grads=True), lambda f: f):
        params = [Tensor(np.array(x), requires_grad=True) for x in START]
        optimizer = getattr(nn, name)([p for p in params if moves(name, p.shape)], **options)

        @wrap
        def step(params=params, optimizer=optimizer):
            value = loss(*params) * sign
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            return value

        runs.append((step, params, optimizer))
    for k in range(10):
        for _, _, optimizer in runs:
            optimizer.lr = options["lr"] * 0.9**k
        same(runs[0][0](), runs[1][0]())
        for p, q in zip(runs[0][1], runs[1][1], strict=True):
            same(p, q)
            same(p.grad, q.grad)
        for own, other in zip(runs[0][2].state, runs[1][2].state, strict=True):
            assert own.keys() == other.keys()
            for key in own:
                same(own[key], other[key])
    assert runs[0][0].stats.eager == 0 and runs[0][0].stats.compiles == 1


# ---- programs from hypothesis

ONE = [np.tanh, np.exp, np.sin, np.abs, np.square, lambda x: x.T, lambda x: x[:1], lambda x: x.sum(axis=0), np.negative]
ONE += [lambda x: np.maximum(x, 0.0), lambda x: x.mean(), lambda x: x * 0.5, lambda x: np.where(x > 0, x, 0.1 * x)]
ONE += [lambda x: x.reshape(-1), lambda x: x.max(axis=-1, keepdims=True), lambda x: x.sum(axis=-1), lambda x: x**2]
ONE += [lambda x: x - x.max(axis=-1, keepdims=True), lambda x: x / (1.0 + np.sum(x * x)), lambda x: x @ x.T]
TWO = [np.add, np.subtract, np.multiply, np.maximum, np.minimum, lambda x, y: x / (1.0 + y * y), lambda x, y: x @ y.T]
STEPS = st.lists(st.tuples(st.integers(0, len(ONE) + len(TWO) - 1), st.integers(0, 9), st.integers(0, 9)), max_size=12)
SHAPES = st.sampled_from([(3, 4), (4, 3), (5,), (), (1, 4), (4, 1), (2, 3, 4), (130, 2), (2, 130), (0, 3)])


@MODES
@given(
    steps=STEPS,
    shapes=st.tuples(SHAPES, SHAPES),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 9),
)
def test_programs_that_hypothesis_makes(exact, same, steps, shapes, dtype, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1.0, 1.0, shape).astype(dtype) for shape in shapes]

    def program(*leaves):
        values = list(leaves)
        for function, i, j in steps:
            x, y = values[-1 - i % len(values)], values[-1 - j % len(values)]
            try:
                values.append(ONE[function](x) if function < len(ONE) else TWO[function - len(ONE)](x, y))
            except (ValueError, IndexError, np.exceptions.AxisError):
                continue  # these shapes do not fit
        total = sum(v.sum() for v in values[-3:])
        if isinstance(total, Tensor) and total.requires_grad:
            total.backward()
        return values[-1], total

    ours, theirs = ([Tensor(a, requires_grad=True) for a in arrays] for _ in range(2))
    compiled = compile(program, exact=exact)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of no numbers
        for _ in range(3):
            for leaf in (*ours, *theirs):
                leaf.grad = None
            for a, b in zip(compiled(*ours), program(*theirs), strict=True):
                same(a, b)
            for a, b in zip(ours, theirs, strict=True):
                same(a.grad, b.grad)
    assert compiled.stats.eager == 0


def test_close_is_not_blind():
    with pytest.raises(AssertionError):
        close(np.array([1.0, 1e-9]), np.array([1.0 + 1e-12, 1e-9]))


def test_large_products_and_small_ones():
    """np.matmul and np.dot: either one gives the eager result, bit for bit."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(130, 40)), rng.normal(size=(40, 140))
    f = lambda a, b: (a @ b, np.dot(a, b), np.dot(b.T, a.T) * 2, a[:4] @ b, np.dot(a[:4], b))
    for exact in (True, False):
        compiled = compile(f, exact=exact)
        for _ in range(3):
            for mine, theirs in zip(compiled(a, b), f(a, b), strict=True):
                np.testing.assert_array_equal(mine, theirs) if exact else close(mine, theirs)
        assert compiled.source.count("np.dot") == (3 if exact else 1)
