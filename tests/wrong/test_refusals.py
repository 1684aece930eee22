"""Calls that an op refuses, and the less usual calls that it takes, beside NumPy."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd
from autograd import Tensor, no_grad
from autograd.elsewhere import NUMPY

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
ROW = X[0]


class Foreign:
    """An array of another library, as far as an op can see."""

    def __array_function__(self, *args):
        return NotImplemented


# A call of t = Tensor(X), its error, and words of the message.
REFUSED = [
    (lambda t: np.clip(t, -1.0, 1.0, max=0.0), ValueError, "a bound is given twice"),
    (lambda t: np.split(t, 2, axis=1), ValueError, "3 elements cannot be split into 2 equal parts; use array_split"),
    (lambda t: np.pad(t, 1, mode="of_my_own"), ValueError, "mode 'of_my_own' is not supported"),
    (lambda t: np.pad(t, 1, mode=lambda *_: None), TypeError, "one of NumPy's named modes"),
    (lambda t: np.pad(t, 1, mode="edge", constant_values=0), ValueError, "'edge' does not take constant_values"),
    (lambda t: np.linalg.qr(t.T, mode="complete"), ValueError, "use mode='reduced'"),
    (lambda t: np.linalg.norm(t, ord=7), ValueError, "7 is not an order of matrices"),
    (lambda t: np.linalg.norm(t.reshape(1, 2, 3), ord=2), ValueError, "one axis .* or two"),
    (lambda t: np.tensordot(t, np.ones((4, 2)), axes=1), ValueError, "shape"),
    (lambda t: np.cross(t[:, :2], t[:, :2]), ValueError, "need 3 components; got 2 and 2"),
    (lambda t: np.einsum("ij,jk", t), ValueError, r"einsum of shapes \(2, 3\): .*operands"),
    (lambda t: np.select([X > 0], [t, t]), ValueError, "1 conditions for 2 choices"),
    (lambda t: np.choose(np.array([0, 5, 0]), [t[0], t[1]]), ValueError, "not one of the 2 choices"),
    (lambda t: np.choose(np.array([0, 2, 0]), [t[0], t[1]]), ValueError, "not one of the 2 choices"),
    (lambda t: np.piecewise(t, [X > 0], [abs, abs, abs]), ValueError, "3 functions for 1 conditions"),
    (lambda t: np.cumulative_sum(t), ValueError, "the axis is needed"),
    (lambda t: np.diff(t, -1), ValueError, "must not be negative; got -1"),
    (lambda t: np.gradient(t, axis=0, edge_order=2), ValueError, "at least 3 elements .* got 2"),
    (lambda t: np.gradient(t, edge_order=3), ValueError, "edge_order is 1 or 2; got 3"),
    (lambda t: np.gradient(t, 1.0, 2.0, 3.0), TypeError, "3 spacings for 2 axes"),
    (lambda t: np.moveaxis(t, (0, 1), (0,)), ValueError, "equally many axes"),
    (lambda t: np.average(t, weights=np.ones(3)), TypeError, "the axis is needed"),
    (lambda t: np.average(t, axis=0, weights=np.ones(3)), ValueError, r"weights of shape \(3,\) do not fit axis 0"),
    (lambda t: np.quantile(t, 0.5, out=np.empty(())), TypeError, "np.quantile cannot write into"),
    (lambda t: np.exp(t, where=X > 0, signature="d->d"), TypeError, "no derivative rule for the argument signature"),
    (
        lambda t: autograd.sum(t, 0, None, None, False, 0.0, True, 5),
        TypeError,
        r"sum: too many positional arguments; it is called as sum\(a, axis=None",
    ),
    (lambda t: autograd.sum(t, a=t), TypeError, "sum: multiple values for argument .a."),
    (lambda t: autograd.multiply(t), TypeError, "multiply: missing a required argument: .x2."),
    (lambda t: autograd.stack(t, t, t, t), TypeError, "stack: "),
    (
        lambda t: autograd.cumsum(t, axis=0, speed=5),
        TypeError,
        "cumsum has no derivative rule for the argument speed=5",
    ),
    (lambda t: autograd.exp(t, speed=5), TypeError, "argument speed"),
    (lambda t: autograd.as_tensor(ROW).assign(np.ones(3) * 1j), TypeError, "complex128 for a Tensor of float64"),
    (lambda t: iter(t[0, 0]), TypeError, "iteration over a 0-d"),
    (lambda t: np.linalg.inv(t[:, :2] * 0), np.linalg.LinAlgError, r"inv of shapes \(2, 2\): Singular"),
    (lambda t: np.linalg.cholesky(-np.eye(2) * t[0, 0]), np.linalg.LinAlgError, "cholesky of shapes"),
    (lambda t: t + Foreign(), TypeError, "add"),
    (
        lambda t: autograd.differentiable(lambda x: x, lambda g, *_: g, name="exp"),
        ValueError,
        "'exp' is already the name of the op",
    ),
    (lambda t: no_grad(agen), TypeError, "use `with` inside its body"),
]


async def agen():
    yield 1


def refused_id(row):
    return row[2][:30]


@pytest.mark.parametrize(("program", "kind", "words"), REFUSED, ids=map(refused_id, REFUSED))
def test_what_is_refused_is_named(program, kind, words):
    if "cumulative_sum" in program.__code__.co_names and not hasattr(np, "cumulative_sum"):
        pytest.skip("NumPy 2.1")
    with pytest.raises(kind, match=words):
        program(Tensor(X, requires_grad=True))
    assert autograd.is_grad_enabled()


# Calls that do not come up in the cases of the ops, and which give what NumPy gives; their gradients are checked too.
TAKEN = [
    lambda x: np.pad(x, [(1, 2)], mode="edge"),
    lambda x: np.pad(x, {0: 1, -1: (0, 2)} if isinstance(x, Tensor) else [(1, 1), (0, 2)]),  # NumPy 2.2 has it too
    lambda x: np.take(x, [0, 5, 2]),
    lambda x: np.median(x, axis=None, keepdims=True),
    lambda x: np.quantile(x, [0.25, 0.75], axis=1),
    lambda x: np.linalg.norm(x.T, axis=(1, 0)),
    lambda x: np.transpose(x)[1:],
    lambda x: x[Tensor(np.array([1, 0]))] if type(x) is Tensor else x[[1, 0]],
    lambda x: np.partition(x, 2, axis=None),
    lambda x: np.sort(x, axis=None),
    lambda x: np.choose(np.array([1, 0, 1]), [x[0], x[1]]),
    lambda x: np.piecewise(x, [x > 100, x < 0], [lambda v: v * 9, lambda v: v * v, lambda v: v]),
    lambda x: np.bincount(np.array([0, 1, 1]), weights=x[0], minlength=4),
    lambda x: np.bincount(np.array([0, 3, 1]), weights=x[1]),
    lambda x: np.take(x, [5, 2, -7, 0], axis=1, mode="clip"),
    lambda x: np.take(x, [5, 2, -7, 0], axis=1, mode="wrap"),
    lambda x: np.take(x, [[1], [0]], axis=-2),
    lambda x: np.add.reduce(x, dtype=np.longdouble),
    lambda x: np.multiply.reduce(x, axis=1, dtype="f8", keepdims=True),
    lambda x: np.add.accumulate(x, axis=1, dtype=np.longdouble),
    lambda x: np.multiply.accumulate(x, dtype=np.longdouble),
    lambda x: np.abs(np.fft.fftn(x, s=(-1, 2), axes=(0, 1))) + np.abs(np.fft.fftn(x, s=(2, 4), axes=(0, -1)))[:, :2],
    lambda x: np.abs(np.fft.fft2(x, s=(2, -1))),
    lambda x: np.einsum(np.stack([x, x * 2]), [..., 0], x, [..., 0], [...]),
    lambda x: np.einsum(x, [Ellipsis, 1], [1, Ellipsis]),
    lambda x: np.stack([(x * (1 + 2j)).real, (x * (1 + 2j)).imag, x.real]),
    lambda x: np.linalg.norm(np.stack([x, x * 3]), ord=1, axis=(1, 2)),
    lambda x: np.linalg.norm(np.stack([x, x * 3]), ord=-np.inf, axis=(1, 2)),
    lambda x: np.linalg.norm(np.stack([x, x * 3]), ord=np.inf, axis=(0, 2)),
    lambda x: np.take_along_axis(x, np.array([[2, 0], [1, 1]]), axis=-1),
    lambda x: np.take_along_axis(x, np.array([5, 0]), axis=None),
    lambda x: np.rollaxis(np.stack([x, x * x]), 2, -2),
    lambda x: np.rollaxis(np.stack([x, x * x]), -1, -1),
    lambda x: np.linalg.tensorinv(np.eye(6).reshape(2, 3, 6) * x[..., None] + np.ones((2, 3, 6)) * 0.1),
    lambda x: np.linalg.tensorinv(x[:, :2] + 0, ind=1),
    lambda x: np.mean(x, where=x > 0, axis=1),
    lambda x: np.where(x > 0.75, x, 0.0),
    lambda x: np.add(x, 1, dtype="f8", casting="same_kind"),
    lambda x: x * [[1.0, 2.0, 3.0]],
    lambda x: x * np.float32(2) - (1,),
]


@pytest.mark.parametrize("call", TAKEN, ids=range(len(TAKEN)))
def test_what_is_taken_is_numpys_and_has_its_gradient(call):
    np.testing.assert_allclose(call(Tensor(X)).data, call(X), rtol=1e-14)
    assert call(Tensor(X)).dtype == call(X).dtype
    assert autograd.gradcheck(call, (X,))


def test_parts_are_numpys_one_by_one():
    row = np.arange(10.0)
    for call in (
        lambda x: np.array_split(x, 3),
        lambda x: np.array_split(x, [2, 3, 7]),
        lambda x: np.array_split(x.reshape(2, 5), 4, axis=1),
        lambda x: np.split(x, 5),
        lambda x: np.hsplit(x.reshape(2, 5), [1]),
    ):
        theirs, mine = call(row), call(Tensor(row))
        assert [a.tolist() for a in theirs] == [t.tolist() for t in mine]


def test_tensorsolve_moves_axes():
    a = np.arange(16.0).reshape(2, 4, 2) % 7 + 8.0 * np.eye(4).reshape(2, 2, 4).transpose(0, 2, 1)
    b = np.array([1.0, -2.0, 0.5, 3.0])
    np.testing.assert_allclose(
        np.linalg.tensorsolve(Tensor(a), b, axes=(0, 2)).data, np.linalg.tensorsolve(a, b, axes=(0, 2)), rtol=1e-12
    )
    assert autograd.gradcheck(lambda t: np.linalg.tensorsolve(t, b, axes=(0, 2)), (a,))


def test_scipys_softmax_along_every_axis():
    special = pytest.importorskip("scipy.special")
    for axis in (None, 0, 1, -1):
        for function in (special.softmax, special.log_softmax):
            np.testing.assert_allclose(
                getattr(autograd.special, function.__name__)(Tensor(X), axis=axis).data, function(X, axis=axis)
            )


def test_a_count_of_what_is_not_zero_is_a_step():
    counts = np.linalg.norm(Tensor(X, requires_grad=True), ord=0, axis=1)
    assert type(counts) is np.ndarray and counts.tolist() == [3, 3]


def test_no_order_among_equals():
    for function in (np.fmax, np.fmin, np.maximum, np.minimum):
        x, y = Tensor([1.0, np.nan, 2.0], requires_grad=True), Tensor([1.0, 5.0, 2.0], requires_grad=True)
        function(x, y).backward(np.array([1.0, 0.0, 3.0]))
        assert x.grad.tolist()[::2] == y.grad.tolist()[::2] == [0.5, 1.5]


@pytest.mark.parametrize(
    "matrix", [[[0.0]], [[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [1.0, 1.0, 3.0]]]
)
def test_determinants_of_singular_matrices(matrix):
    assert autograd.gradcheck(np.linalg.det, (np.array(matrix),))
    assert autograd.gradcheck(np.linalg.det, (np.stack([np.array(matrix), np.eye(len(matrix)) * 2]),))


def test_where_computes_only_there():
    x = Tensor(X, requires_grad=True)
    y = np.log(x, where=X > 0, dtype=np.float64)
    np.testing.assert_array_equal(y.data, np.where(X > 0, np.log(np.abs(X)), 0.0))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.where(X > 0, 1 / X, 0.0))


def test_the_nearest_function_is_named_if_there_is_one():
    with pytest.raises(TypeError, match=r"the nearest that has one is np\.exp2?\. Add"):
        autograd.numpy_calls.dispatch(expp)(Tensor(X, requires_grad=True))
    with pytest.raises(TypeError, match=r"np\.xyzzyq has no derivative rule, so it cannot take a Tensor\. Add"):
        autograd.numpy_calls.dispatch(xyzzyq)(Tensor(X, requires_grad=True))


M = Tensor(np.arange(1.0, 4.0), requires_grad=True)
OUT = np.zeros(3)
# Calls of functions without a rule, and the program that the message says to write instead, with its values.
INSTEAD = {
    "full_like": (lambda: np.full_like(OUT, M[0]), lambda: autograd.full_like(OUT, M[0]), [1, 1, 1]),
    "copyto": (lambda: np.copyto(OUT, M), lambda: autograd.where(OUT == 0, M, OUT), [1, 2, 3]),
    "place": (lambda: np.place(OUT, OUT == 0, M), lambda: autograd.where(OUT == 0, M, OUT), [1, 2, 3]),
    "putmask": (lambda: np.putmask(OUT, OUT == 0, M), lambda: autograd.where(OUT == 0, M, OUT), [1, 2, 3]),
    "put": (lambda: np.put(OUT, [0, 1, 2], M), lambda: autograd.set_at(OUT, [0, 1, 2], M), [1, 2, 3]),
    "put_along_axis": (lambda: np.put_along_axis(OUT, np.array([2, 1, 0]), M, 0),
                       lambda: autograd.set_at(OUT, [2, 1, 0], M), [3, 2, 1]),
    "add.at": (lambda: np.add.at(OUT, [0, 1, 1], M), lambda: autograd.add_at(OUT, [0, 1, 1], M), [1, 5, 0]),
    "subtract.at": (lambda: np.subtract.at(OUT, [0, 1, 1], M),
                    lambda: autograd.add_at(OUT, [0, 1, 1], -M), [-1, -5, 0]),
    "ix_": (lambda: np.ix_(M, M), lambda: (M * np.eye(3))[[0, 2]][:, [0, 2]], [[1, 0], [0, 3]]),
    "roots": (lambda: np.roots(M[:2]), lambda: np.linalg.eigvals(np.reshape(-M[1] / M[0], (1, 1))), [-2]),
    "poly": (lambda: np.poly(M[:1]), lambda: np.convolve(np.ones(1), np.stack([M[0], -M[1]])), [1, -2]),
    "polymul": (lambda: np.polymul(M, M), lambda: np.convolve(M, M), [1, 4, 10, 12, 9]),
    "poly1d": (lambda: np.poly1d(M), lambda: np.polyval(M, 2.0), 11),
    "polyfit": (lambda: np.polyfit(np.arange(3.0), M, 1),
                lambda: np.linalg.lstsq(np.arange(3.0)[:, None] ** np.arange(2), M)[0], [1, 1]),
    "vander": (lambda: np.vander(M), lambda: M[:, None] ** np.arange(3)[::-1], np.vander(M.data)),
    "logspace": (lambda: np.logspace(0, M[1], 3), lambda: 10 ** np.linspace(0, M[1], 3), [1, 10, 100]),
    "geomspace": (lambda: np.geomspace(1, M[1], 2), lambda: np.exp(np.linspace(0, np.log(M[1]), 2)), [1, 2]),
    "apply_along_axis": (lambda: np.apply_along_axis(np.sum, 0, M), lambda: np.sum(M, axis=0), 6),
    "apply_over_axes": (lambda: np.apply_over_axes(np.sum, M, [0]), lambda: np.sum(M, axis=(0,), keepdims=True), [6]),
    "sort_complex": (lambda: np.sort_complex(M), lambda: np.sort(M), [1, 2, 3]),
    "nanmedian": (lambda: np.nanmedian(M), lambda: np.median(M[~np.isnan(M)]), 2),
    "nanquantile": (lambda: np.nanquantile(M, 0.5), lambda: np.quantile(M[~np.isnan(M)], 0.5), 2),
    "nanpercentile": (lambda: np.nanpercentile(M, 50), lambda: np.percentile(M[~np.isnan(M)], 50), 2),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(NUMPY.keys() - {"fill_diagonal"}))
def test_the_message_for_a_function_without_a_rule_says_what_works(name):
    call, better, values = INSTEAD[name]
    said = re.escape(f"np.{name} has no derivative rule, so it cannot take a Tensor; use {NUMPY[name]}. ")
    with pytest.raises(TypeError, match=f"^{said}"):
        call()
    assert not OUT.any()
    result = better()
    assert result.requires_grad
    np.testing.assert_allclose(result.data, values)


@pytest.mark.parametrize("name", sorted(NUMPY))
def test_what_a_message_offers_exists(name):
    for module, found in re.findall(r"\b(np|autograd)\.([a-z_.]+)\(?", NUMPY[name]):
        offered = functools.reduce(getattr, found.strip(".").split("."), {"np": np, "autograd": autograd}[module])
        assert module == "autograd" or offered in autograd.numpy_calls.NUMPY or found in ("arange", "eye"), found


def expp():
    """Not a NumPy function, though its name is near one."""


def xyzzyq():
    """Not one either."""


def test_correlations():
    z = np.array([[1 + 2j, 0.5, 3j, 2 - 1j], [2, 1j, 1 + 1j, 0.3]])
    np.testing.assert_allclose(np.corrcoef(Tensor(z)).data, np.corrcoef(z), rtol=1e-14)
    for seed in range(200):  # rounding alone makes some of these larger than 1
        x = np.random.default_rng(seed).normal(size=5)
        assert np.abs(np.corrcoef(Tensor(np.stack([x, x * 3, -x]))).data).max() <= 1


def test_holes_stay_holes():
    x = np.array([[1.0, np.nan, 2.0], [4.0, 5.0, 7.0]])
    np.testing.assert_array_equal(np.quantile(Tensor(x), [0.25, 0.5], axis=1).data, np.quantile(x, [0.25, 0.5], axis=1))
    constant = np.corrcoef(Tensor(np.array([1.0, 2.0, 4.0])))
    assert constant.item() == 1.0


def test_representations_name_the_op():
    y = np.exp(Tensor(X, requires_grad=True))
    assert repr(y.node).startswith("<exp #") and "(2, 3) float64" in repr(y.node)
    assert repr(y.node.op) == "<op exp>"
    assert Tensor(Tensor(ROW)).data is not ROW and complex(Tensor(2.0)) == 2 + 0j


def test_a_generator_under_no_grad_passes_errors_and_its_result_on():
    x, seen = Tensor(ROW, requires_grad=True), []

    @no_grad()
    def steps():
        try:
            yield x * 2
        except KeyError:
            seen.append((x * 2).requires_grad)
            yield x * 3
        return "end"

    def outer():
        seen.append((yield from steps()))

    run = outer()
    assert not next(run).requires_grad
    assert not run.throw(KeyError()).requires_grad and autograd.is_grad_enabled()
    assert list(run) == [] and seen == [False, "end"]
    closed = steps()
    next(closed)
    closed.close()
    assert autograd.is_grad_enabled()


def test_several_observers_are_told_of_cuts():
    x = Tensor(ROW, requires_grad=True)
    with autograd.watch(), autograd.detect_anomaly():
        (x * 2).detach()  # both observe this
    assert "# both observe this" in autograd.why(x)


def test_the_last_axis_is_taken_along_if_none_is_given():
    x, indices = Tensor(np.arange(6.0).reshape(2, 3)), np.array([[2, 0, 0], [1, 1, 2]])
    assert autograd.take_along_axis(x, indices).tolist() == np.take_along_axis(x.data, indices, axis=-1).tolist()


def test_rules_of_scipy_are_there_when_scipy_is():
    pytest.importorskip("scipy.special")
    program = (
        "import scipy.special, autograd; x = autograd.Tensor(0.5, requires_grad=True);"
        "scipy.special.gammaln(x).backward(); print(x.grad.item() == scipy.special.digamma(0.5))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    ).stdout
    assert said == "True\n"


def test_what_is_kept_depends_on_how_many_arrays_are_joined():
    x = Tensor(ROW, requires_grad=True)
    for others in ([ROW, ROW], [ROW], []):
        np.concatenate([x, *others]).backward(np.arange(1.0, 4.0 + 3 * len(others)))
    assert x.grad.tolist() == [3.0, 6.0, 9.0]
