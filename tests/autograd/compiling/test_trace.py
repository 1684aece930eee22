"""What a traced array represents: programs compute as NumPy does, or are refused at the line that a program cannot
follow."""

from __future__ import annotations

import functools
import types

import numpy as np
import pytest

import autograd
import nn
from autograd import AuditError, CompileError, Tensor, compile
from compiled_steps import same

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def total(x):
    n, seen = 0.0, []
    for row in x[0]:
        n += row
        seen.append(n)
    return seen


def count(x):
    n = (x > 0).sum()
    n += 0.5
    return n


def split_and_go_on(x):
    a, b = np.split(x * 2.0, 2)
    return a, b, np.exp(x) + 1.0


def accumulated(x):
    y = np.zeros(3)
    for row in x:
        y += row
    return y


def filled(x):
    y = x * 1.0
    y.fill(2.0)
    y[0] = x[1]
    return y + np.copy(y)


def by_name(name):
    return lambda x: getattr(np, name)(x)


RIGHT = [
    total,
    count,
    split_and_go_on,
    accumulated,
    filled,
    lambda x: np.exp(x[x > 0]) * 2.0,
    lambda x: x.sum() / len(x[x > 0]),
    lambda x: x[np.nonzero(x > 0)],
    lambda x: np.compress(x[0] > 0, x, axis=1),
    lambda x: np.repeat(x, (x[:, 0] > 2).astype(int) + 1, axis=0),
    lambda x: np.where(x > 0)[0],
    lambda x: np.unique(np.sign(x)),
    lambda x: np.atleast_2d(x[0], x[1])[1] * 2.0,
    lambda x: x.dot(x.T) + x.searchsorted(1.0) if x.ndim == 1 else x.dot(x.T),
    lambda x: np.sum(x.sum(), axis=None) + x.strides[0] + x.itemsize,
    lambda x: x**2 + x**3 + x**-1 + np.abs(x) ** 0.5 + np.abs(x) ** 1.5,
    lambda x: (x > 0) ** 2,
    lambda x: [x.copy(), x * 1.0],
    lambda x: (-1) ** 2 * x,
    by_name("cumsum"),
    by_name("median"),
]


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])
@pytest.mark.parametrize("f", RIGHT, ids=range(len(RIGHT)))
def test_results_are_numpys_for_other_numbers_too(f, exact):
    g = compile(f, exact=exact)
    for x in (X, X[::-1].copy(), -X, np.abs(X), np.zeros((2, 3))):
        for _ in range(3):
            with np.errstate(all="ignore"):
                ours, theirs = g(x), f(x)
            ours, theirs = (r if isinstance(r, list | tuple) else [r] for r in (ours, theirs))
            assert len(ours) == len(theirs)
            for a, b in zip(ours, theirs, strict=True):
                assert np.shape(a) == np.shape(b) and type(a) is type(b)
                np.testing.assert_allclose(a, b, rtol=0 if exact else 1e-13, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.bool_, np.int32])
@pytest.mark.parametrize("n", [0, 1, 2, 2.0, 3, 0.5, -1.0, 1.5])
def test_powers_are_those_of_the_operator(dtype, n):
    x = np.array([0.0, -0.0, 1.0, 2.0, 3.5, -np.inf, np.nan] if np.dtype(dtype).kind in "fc" else [0, 1, 2, 3], dtype)
    if np.dtype(dtype).kind in "bi" and n in (-1.0, 3) and dtype is np.bool_:
        x = x[1:]
    f = compile(lambda x: x**n, exact=True)
    with np.errstate(all="ignore"):
        for _ in range(3):
            same(f(x), x**n)


def out(x):
    y = np.empty((2, 3))
    np.multiply(x, 3.0, out=y)
    return y


def alias(x):
    y = np.zeros(3)
    z = y
    y += x[0]
    return z


def alias_in_a_list(x):
    y = np.zeros(3)
    z = [y]
    y += x[0]
    return np.stack([*z, x[0]])


def swallowed(x):
    try:
        n = int(x.sum())
    except TypeError:
        n = 0
    return x * n


def swallowed_in_numpy(x):
    y = np.zeros(2)
    y[0] = x[0, 0]
    return y


def put_along(x):
    y = x * 1.0
    np.put_along_axis(y, np.zeros((2, 1), int), 0.0, 1)
    return y


WRONG = [
    (out, "np.multiply writes into an array that is made here, at .*: call it|call it without out="),
    (lambda x: np.cumsum(x, out=np.empty(6)), "np.cumsum writes into an array"),
    (lambda x: x.sum(axis=0, out=np.empty(3)), r"sum\(\) writes into an array"),
    (lambda x: np.add.reduce(x, out=np.empty(3)), "np.add writes into an array that is made here"),
    (lambda x: np.add.at(x * 1.0, 0, x[0]), "np.add.at writes into an array"),
    (lambda x: np.copyto(x * 1.0, x), "np.copyto writes into an array"),
    (lambda x: np.put(x * 1.0, [0], [9.0]), "np.put writes into an array"),
    (lambda x: np.fill_diagonal(x * 1.0, 0), "np.fill_diagonal writes into an array"),
    (put_along, "np.put_along_axis writes into an array"),
    (lambda x: (x * 1.0).sort(), "the attribute sort of an array is used"),
    (alias, "an array is read that was written into under another name"),
    (alias_in_a_list, "an array is read that was written into under another name"),
    (swallowed, "cannot become a plain number or array, at .*: n = int"),
    (swallowed_in_numpy, r"cannot become a plain number or array, at .*: y\[0\] = x\[0, 0\]"),
    (lambda x: x if np.allclose(x, 1) else x * 2, "Python code depends on the numbers in an array"),
    (lambda x: x if np.array_equal(x, x) else x * 2, "Python code depends on the numbers in an array"),
    (lambda x: np.array2string(x), "array2string makes a Python value"),
    (lambda x: round(x.sum()), "cannot become a plain number"),
    (lambda x: x.astype(object), "an array of object is made"),
    (lambda x: x.astype("datetime64[s]"), "an array of datetime64"),
    (lambda x: x.tobytes(), "the attribute tobytes of an array is used"),
    (lambda x: np.asarray(x), "it is an array as it is"),
    (lambda x: types.SimpleNamespace(y=x), "a SimpleNamespace is returned"),
    (lambda x: (y for y in [x]), "a generator is returned"),
    (lambda x: {1, 2}, "a set is returned"),
    (lambda x: x + autograd.outside(np.random.default_rng(0).normal), "returns a plain number"),
]


@pytest.mark.parametrize(("f", "text"), WRONG, ids=range(len(WRONG)))
def test_what_a_program_cannot_follow_is_refused(f, text):
    g = compile(f)
    g(X)
    with pytest.raises(CompileError, match=text):
        g(X)
    g = compile(f, fallback=True)
    g(X)
    with pytest.warns(RuntimeWarning, match="is not compiled"):
        first = g(X)
    again = f(X)
    if isinstance(first, np.ndarray) and f is not WRONG[-1][0]:
        np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("f", [lambda x: f"{x.sum():.2f}", lambda x: str(x)], ids=["format", "str"])
def test_a_text_is_a_constant_and_an_audit_finds_it(f):
    g = compile(f)
    assert g(X) == f(X) and g(X) == f(X)
    with pytest.raises(AuditError, match="differ in the result"):
        g(X + 1.0)


def test_what_is_kept_computes_as_an_array_and_is_kept_in_runs_as_written_only():
    kept = []

    @compile
    def f(x):
        kept.append(x * 2.0)
        return x * 1.0

    for k in range(7):
        same(f(X + k), X + k)
    assert len(kept) == 4  # calls 1, 2, and the audits 3 and 4
    for k, array in enumerate(kept):
        assert np.array_equal(array + 1.0, (X + k) * 2.0 + 1.0) and float(array[0, 0]) == (1.0 + k) * 2.0


def test_a_cache_is_a_constant_and_an_audit_finds_that_it_was_cleared():
    w = np.ones(3)

    @functools.lru_cache
    def table():
        return w * 2.0

    f = compile(lambda x: x * table())
    for _ in range(5):
        same(f(X), X * 2.0)
    assert type(table()) is np.ndarray
    w[:] = 2.0
    table.cache_clear()
    same(f(X), X * 2.0)
    same(f(X), X * 2.0)
    with pytest.raises(AuditError, match="differ in the result"):
        f(X)


class Counting(nn.Module):
    def __init__(self):
        self.total, self.scale = np.zeros(2), np.ones(2)

    def forward(self, x):
        self.count(x)
        return x * self.scale


class Adding(Counting):
    def count(self, x):
        self.total += x


class Keeping(Counting):
    def count(self, x):
        self.last = x * 2.0


class Replacing(Counting):
    def count(self, x):
        self.total = self.total + x


@pytest.mark.parametrize("kind", [Adding, Keeping, Replacing])
def test_attributes_that_a_module_changes_in_every_call_are_refused(kind):
    module = kind()
    f = compile(lambda x: module(x))
    f(np.ones(2))
    with pytest.raises(CompileError, match=r"\w+\.\w+ is changed in the function"):
        f(np.ones(2))


def test_an_array_of_its_own_name_that_a_function_adds_to_is_refused():
    total = np.zeros(2)

    def f(x):
        nonlocal total
        total += x
        return x * 2.0

    g = compile(f)
    g(np.ones(2))
    with pytest.raises(CompileError, match=r"written into, at test_trace.py:\d+: total \+= x"):
        g(np.ones(2))


def test_another_array_as_an_attribute_or_in_a_tuple_is_noticed_at_once():
    module, pair = Counting(), (np.ones(2), 2.0)
    module.count = lambda x: None
    f = compile(lambda x: module(x) * pair[0] * pair[1])
    for _ in range(5):
        same(f(np.ones(2)), np.full(2, 2.0))
    module.scale = np.full(2, 3.0)
    same(f(np.ones(2)), np.full(2, 6.0))
    same(f(np.ones(2)), np.full(2, 6.0))
    pair = (np.full(2, 5.0), 2.0)
    same(f(np.ones(2)), np.full(2, 30.0))


def test_a_backward_pass_that_depends_on_numbers_is_refused():
    @autograd.custom_gradient
    def op(x):
        if x.sum() > 3:
            return x * 2.0, lambda g: g * 2.0
        return x * 1.0, lambda g: g

    w = Tensor(np.ones(2), requires_grad=True)
    f = compile(lambda x: op(w * x).sum().backward())
    f(np.ones(2))
    with pytest.raises(CompileError, match=r"Python code depends on the numbers in an array, at .*if x.sum"):
        f(np.ones(2))


class Alternating(nn.Optimizer):
    def __init__(self, params, lr=1.0):
        super().__init__(params, lr=lr)

    def update(self, w, g, state, group):
        t = state.get("t", 0) + 1
        return w + (-1) ** t * group["lr"] * g, {"t": t}


def trained(wrap, make, steps=9, **options):
    w = Tensor(np.array([0.5, -1.0], np.float32), requires_grad=True)
    optimizer = make([w])

    @wrap
    def step(x):
        optimizer.zero_grad()
        (w * w * x).sum().backward()
        nn.clip_grad_norm_([w], 1.0)
        optimizer.step()

    for i in range(steps):
        step(np.full(2, 1.0 + i, np.float32))
        optimizer.groups[0]["lr"] = options.get("lr", 0.1) * 0.9**i
    return w


@pytest.mark.parametrize(
    "make",
    [Alternating, lambda p: nn.SGD(p, lr=np.float64(0.1)), lambda p: nn.Adam(p, lr=0.1), lambda p: nn.SGD(p, lr=1)],
    ids=["power of a negative number", "a NumPy number", "Adam", "a whole number"],
)
@pytest.mark.parametrize("lr", [0.1, np.float64(0.1)], ids=["float", "np.float64"])
def test_numbers_that_change_are_those_of_the_function(make, lr):
    same(trained(lambda f: compile(f, exact=True), make, lr=lr), trained(lambda f: f, make, lr=lr))


def test_python_code_does_not_look_at_a_learning_rate():
    w = Tensor(np.ones(3), requires_grad=True)
    optimizer = nn.SGD([w], lr=0.1)

    def stepped(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return optimizer.groups[0]["lr"]

    for look in (
        lambda lr: lr > 0.01,
        lambda lr: min(lr, 1.0),
        lambda lr: lr % 2,
        lambda lr: int(lr),
    ):
        f = compile(lambda x, look=look: (look(stepped(x)), x)[1])
        f(X)
        with pytest.raises(CompileError, match="depends on a number that changes"):
            f(X)
    f = compile(lambda x: x * np.sqrt(stepped(x)) + optimizer.groups[0]["lr"] * np.arange(3.0))
    for lr in (0.25, 0.25, 0.25, 0.25, 0.5, 0.75):
        optimizer.groups[0]["lr"] = lr
        np.testing.assert_allclose(f(X), X * np.sqrt(lr) + lr * np.arange(3.0))
    assert f.stats.compiles == 1
