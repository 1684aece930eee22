"""More wrong programs of the engine: each error names what was given, and its repair runs."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import autograd
from autograd import GraphError, Tensor, detect_anomaly, grad, gradcheck, hessian, jacobian, jvp, vjp


def leaf(*numbers):
    return Tensor(np.array(numbers, float), requires_grad=True)


A = np.array([1.0, 2.0])
GRID = np.arange(6.0).reshape(2, 3) + 1
MASK = np.array([True, False])


class Foreign:
    """An array of a library that NumPy cannot read."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call numpy() on me first")


class Recording:
    """An array of another engine that records gradients."""

    def __array_function__(self, *args):
        return NotImplemented

    def backward(self):
        """The method that gives it away."""


def defined(*rules, forward=lambda x: x * 2.0):
    try:
        return autograd.differentiable(forward, *rules, name="mine")
    finally:
        autograd.OPS.pop("mine", None)


def right(g, _y, _x):
    return g * 2.0


def checkpointed(random):
    rng = np.random.default_rng(0)
    noise = rng.random(2)
    x = leaf(1.0, 2.0)
    autograd.checkpoint(lambda t: t * (rng.random(2) if random else noise))(x).sum().backward()
    return x


def written(x):
    y = x.data
    y[0] = 5.0
    return x * 2.0


# A wrong program; the error, and words of its message; the program after the repair that the message suggests.
TABLE = [
    # what a Tensor is made of
    (lambda: Tensor(leaf(1.0) * 2), TypeError, r"t.detach\(\)", lambda: Tensor((leaf(1.0) * 2).detach())),
    (lambda: Tensor(leaf(1.0)), TypeError, "would drop the gradient", lambda: Tensor(leaf(1.0), requires_grad=True)),
    (lambda: Tensor(A, np.float32), TypeError, "a dtype is given as dtype=", lambda: Tensor(A, dtype=np.float32)),
    (lambda: Tensor(A, requires_grad="yes"), TypeError, "True or False", lambda: Tensor(A, requires_grad=True)),
    (
        lambda: Tensor(np.ma.array(A, mask=MASK)),
        TypeError,
        "would lose its mask",
        lambda: Tensor(np.ma.array(A, mask=MASK).filled(0.0)),
    ),
    (
        lambda: autograd.as_tensor(np.ma.array(A, mask=MASK)),
        TypeError,
        "would lose its mask",
        lambda: autograd.as_tensor(np.ma.array(A, mask=MASK).filled(0.0)),
    ),
    (
        lambda: autograd.as_tensor(np.array([1.0, None])),
        TypeError,
        "holds numbers",
        lambda: autograd.as_tensor(np.array([1.0, 2.0])),
    ),
    (lambda: leaf(1.0).astype(str), TypeError, "holds numbers; got <U0", lambda: leaf(1.0).astype(np.float32)),
    (lambda: len(leaf(1.0)[0]), TypeError, "0-d Tensor has no length", lambda: len(leaf(1.0))),
    # names of other libraries
    (lambda: leaf(1.0).numpy(), AttributeError, "NumPy's functions take the Tensor itself", lambda: leaf(1.0).data),
    (lambda: leaf(1.0).clone(), AttributeError, r"t.copy\(\)", lambda: leaf(1.0).copy()),
    (lambda: leaf(1.0).view(-1), AttributeError, "t.reshape", lambda: leaf(1.0).reshape(-1)),
    (lambda: leaf(1.0).zero_grad(), AttributeError, r"t.grad = None", lambda: setattr(leaf(1.0), "grad", None)),
    (lambda: leaf(1.0).fill(0), AttributeError, "t.assign", lambda: leaf(1.0).assign([0.0])),
    (lambda: leaf(1.0).backwards(), AttributeError, "no attribute 'backwards'", lambda: leaf(1.0).backward()),
    # foreign arrays
    (lambda: leaf(1.0) + Foreign(), TypeError, r"cannot read this .*Foreign", lambda: leaf(1.0) + np.ones(1)),
    (lambda: leaf(1.0) + Recording(), TypeError, "records its own gradients", lambda: leaf(1.0) + np.ones(1)),
    (lambda: leaf(1.0) * [[1], [2, 3]], TypeError, "cannot read this list", lambda: leaf(1.0) * [[1], [2]]),
    (
        lambda: np.sum([leaf(1.0), leaf(2.0)]),
        TypeError,
        r"np.stack\(\[...\]\) makes one of a list",
        lambda: np.sum(stacked()),
    ),
    (lambda: leaf(1.0) + None, TypeError, "an input is None; .* lack its `return`", lambda: leaf(1.0) + 1.0),
    # axes and shapes
    (lambda: np.fft.fft(leaf(1.0), axis=3), IndexError, "axis=3", lambda: np.fft.fft(leaf(1.0), axis=0)),
    (lambda: np.sum(Tensor(GRID), axis=5), ValueError, r"\(2, 3\), axis=5: axis 5", lambda: np.sum(Tensor(GRID), 1)),
    (lambda: Tensor(GRID).reshape(4, 2), ValueError, r"shape=\(4, 2\)", lambda: Tensor(GRID).reshape(3, 2)),
    # backward
    (
        lambda: leaf(1.0).sum().backward(True),
        TypeError,
        "write retain_graph=True",
        lambda: leaf(1.0).sum().backward(retain_graph=True),
    ),
    # functions
    (lambda: grad(np.sum, 1.0)(A), TypeError, "a tuple of indices", lambda: grad(np.sum, 0)(A)),
    (lambda: grad(np.sum, "x")(A), TypeError, "got 'x'", lambda: grad(np.sum)(A)),
    (lambda: grad(lambda x: None)(1.0), TypeError, "lack its `return`", lambda: grad(lambda x: x)(1.0)),
    (lambda: grad(lambda x, y: x)(x=1.0, y=1.0), TypeError, "0 positional", lambda: grad(lambda x, y: x)(1.0, y=1.0)),
    (
        lambda: jacobian(lambda x: (x, {1, 2}))(A),
        TypeError,
        "jacobian needs .* arrays or numbers; it returned set",
        lambda: jacobian(lambda x: (x, x))(A),
    ),
    (lambda: jacobian(str)(A), TypeError, "it returned str", lambda: jacobian(np.sin)(A)),
    (
        lambda: autograd.elementwise_grad(lambda x: None)(A),
        TypeError,
        "elementwise_grad needs",
        lambda: autograd.elementwise_grad(np.sin)(A),
    ),
    (lambda: hessian(np.sum, (0, 1))(A), TypeError, "argument 1, but", lambda: hessian(np.sum, (0,))(A)),
    (lambda: jvp(np.sin, A, A), TypeError, r"jvp\(f, \[x\], \[t\]\); got ndarray", lambda: jvp(np.sin, [A], [A])),
    (
        lambda: jvp(lambda p: p["a"], [{"a": A}], [{"b": A}]),
        ValueError,
        r"a dict with \['a'\] is needed, there is a dict with \['b'\]",
        lambda: jvp(lambda p: p["a"], [{"a": A}], [{"a": A}]),
    ),
    (
        lambda: gradcheck(lambda p: {"out": p["a"]}, {"a": A}),
        TypeError,
        "returns one Tensor; got dict",
        lambda: gradcheck(lambda p: p["a"], {"a": A}),
    ),
    (lambda: autograd.hvp(np.sum)(A), TypeError, "and then the vector", lambda: autograd.hvp(np.sum)(A, A)),
    (lambda: vjp(np.sin, A)[1](A * 1j), TypeError, "complex cotangent", lambda: vjp(np.sin, A)[1](A)),
    *(
        (
            lambda f=f: jacobian(f, vectorize=True)(A),
            ValueError,
            "results that depend on the other rows; leave out vectorize",
            lambda f=f: jacobian(f)(A),
        )
        for f in (
            lambda x: x / x.sum(),
            lambda x: x * x.mean(),
            lambda x: np.cumsum(x, axis=0),
            lambda x: x[::-1],
            lambda x: x * np.arange(1.0, np.size(x) + 1)[: len(x)].sum(),
        )
    ),
    (
        lambda: hessian(lambda x: x.sum() ** 3, vectorize=True)(A),
        ValueError,
        "other rows",
        lambda: hessian(lambda x: (x**3).sum(), vectorize=True)(A),
    ),
    # gradcheck
    (
        lambda: autograd.gradcheck(lambda x: x * np.random.default_rng().random(), A),
        ValueError,
        "two calls differ; draw random numbers outside",
        lambda: autograd.gradcheck(lambda x: x * np.random.default_rng(0).random(), A),
    ),
    (lambda: autograd.gradcheck(written, A), ValueError, "read-only", lambda: autograd.gradcheck(np.sin, A)),
    (
        lambda: autograd.gradcheck(defined(lambda g, _y, x: np.multiply(x, 2.0, out=x) * g), A),
        ValueError,
        "read-only",
        lambda: autograd.gradcheck(defined(right), A),
    ),
    # ops and backward passes of one's own
    (lambda: defined(lambda g: g), TypeError, "takes 3 arguments .* it takes 1: g", lambda: defined(right)),
    (lambda: defined(right, right), TypeError, "has 2 inputs, .* takes 4 arguments", lambda: defined(right)),
    (
        lambda: defined(lambda g, _y, x, z: g),
        TypeError,
        "it takes 4: g, _y, x, z",
        lambda: defined(lambda g, _y, x, z=0: g),
    ),
    (
        lambda: defined(lambda g, _y, _x: g * _x)(leaf(1.0, 2.0)).sum().backward(),
        TypeError,
        "begins with _",
        lambda: defined(lambda g, _y, x: g * x)(leaf(1.0, 2.0)).sum().backward(),
    ),
    (
        lambda: defined(right, forward=lambda x: Tensor(x))(leaf(1.0)),
        TypeError,
        "this one returned Tensor",
        lambda: defined(right)(leaf(1.0)),
    ),
    (
        lambda: defined(lambda g, _y, _x, *, w: g * w, forward=lambda x, w: x * w)(leaf(1.0), w=leaf(3.0)),
        TypeError,
        "a Tensor among its keywords",
        lambda: defined(lambda g, _y, _x, *, w: g * w, forward=lambda x, w: x * w)(leaf(1.0), w=3.0),
    ),
    (
        lambda: autograd.custom_gradient(lambda x: x)(leaf(1.0)),
        TypeError,
        "returns a pair",
        lambda: autograd.custom_gradient(lambda x: (x, lambda g: g))(leaf(1.0)),
    ),
    (lambda: checkpointed(random=True), GraphError, "pass what changes", lambda: checkpointed(random=False)),
    (lambda: autograd.trace(A), TypeError, "got ndarray", lambda: autograd.trace(leaf(1.0)[0] * 2)),
    (
        lambda: copy.deepcopy(leaf(1.0) * 2),
        TypeError,
        r"use its .detach\(\)",
        lambda: copy.deepcopy((leaf(1.0) * 2).detach()),
    ),
    (lambda: math.exp(leaf(1.0)[0]), TypeError, r"np.exp takes the Tensor", lambda: np.exp(leaf(1.0)[0])),
]


def stacked():
    return autograd.stack([leaf(1.0), leaf(2.0)])


@pytest.mark.parametrize(("program", "kind", "words", "repair"), TABLE, ids=[row[2] for row in TABLE])
def test_wrong_programs_say_what_to_do_and_it_works(program, kind, words, repair):
    with pytest.raises(kind, match=words):
        program()
    repair()


def test_a_jacobian_of_a_batch_is_that_of_each_row():
    w = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    for f in (lambda x: np.sin(x @ w.T) * 2, lambda x: np.exp(x), lambda x: x.sum(axis=-1) ** 2):
        np.testing.assert_allclose(jacobian(f, vectorize=True)(A), jacobian(f)(A), rtol=1e-14)
    narrow = A.astype(np.float32)
    np.testing.assert_allclose(jacobian(np.tanh, vectorize=True)(narrow), jacobian(np.tanh)(narrow), rtol=1e-6)


def test_a_constant_leaf_may_begin_with_the_value_of_a_result_and_why_knows():
    w = leaf(1.0, 2.0)
    with detect_anomaly():
        other = Tensor(w * 2, requires_grad=True)
        (other * 3).sum().backward()
    assert w.grad is None and "cut off by Tensor(t)" in autograd.why(w)


def test_tensors_are_formatted():
    assert f"{Tensor(1.5)}" == "Tensor(1.5)" and f"{Tensor(1.5):.3f}" == "1.500"
    assert f"{leaf(1.0, 2.0)}" == "Tensor([1., 2.], requires_grad=True)"
    with pytest.raises(ValueError, match="exactly one"):
        f"{leaf(1.0, 2.0):.3f}"


def test_shared_memory_is_shared_whatever_the_dtype_is_called():
    array = np.zeros(2)
    assert autograd.as_tensor(array, "f8").data is array and autograd.as_tensor(array, np.float64).data is array
    assert autograd.as_tensor(array, np.float32).dtype == np.float32
