"""What `detect_anomaly` notices beyond the operation that makes the first NaN, and that it changes nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from samples import CALLS, IDS, closed

import autograd
import nn
from autograd import AnomalyError, GraphError, Tensor, detect_anomaly, why


def leaf(*numbers, dtype=float):
    return Tensor(np.array(numbers, dtype) if len(numbers) != 1 else numbers[0], requires_grad=True, dtype=dtype)


def own_op(rule, forward=lambda x: x * 2.0, name="own_op"):
    try:
        return autograd.differentiable(forward, rule, name=name)
    finally:
        autograd.OPS.pop(name, None)


@pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
def test_no_op_is_accused_and_none_is_changed(name, i):
    call, arrays = closed(name, i)
    if not arrays:
        pytest.skip("no input has a gradient")

    def first_and_second(arrays):
        with np.errstate(all="ignore"):
            leaves = [Tensor(a, requires_grad=True) for a in arrays]
            out = call(*leaves)
            if not isinstance(out, Tensor) or not out.requires_grad:
                return [out]
            out.backward(np.ones_like(out.data), create_graph=True)
            found = [out.data, *(x.grad.data for x in leaves if x.grad is not None)]
            slopes = [x.grad for x in leaves if x.grad is not None and x.grad.requires_grad]
            if slopes and not np.iscomplexobj(found[0]) and not any(np.iscomplexobj(s.data) for s in slopes):
                sum(np.sum(np.cos(s)) for s in slopes).backward()
                found += [x.grad.data for x in leaves]
            return found

    plain = first_and_second(arrays)
    with detect_anomaly():
        watched = first_and_second(arrays)
    for a, b in zip(plain, watched, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- a NaN loss whose gradients are finite


NOT_MADE = {
    "a number": lambda x: x.sum() + np.nan,
    "an infinity": lambda x: x.sum() + np.inf,
    "a label": lambda x: nn.functional.mse_loss(x, np.array([np.nan, 1.0])),
    "plain NumPy": lambda x: x.sum() + np.log(np.array(-1.0)),
    "a constant": lambda x: x.sum() + Tensor(np.nan),
    "a sample": lambda x: nn.functional.linear(np.array([[np.nan, 1.0]]), x[None]).sum(),
}


@pytest.mark.parametrize("loss_of", NOT_MADE.values(), ids=NOT_MADE)
def test_a_loss_that_is_no_number_is_caught_though_nothing_here_made_it(loss_of):
    x = leaf(1.0, 2.0)
    with np.errstate(all="ignore"), detect_anomaly():
        loss = loss_of(x)
        with pytest.raises(AnomalyError, match=r"backward\(\) begins with (nan|inf) .* came in as (nan|inf)") as caught:
            loss.backward()
    assert caught.value.phase == "forward" and caught.value.op in ("add", "subtract", "matmul")
    assert "test_detective.py" in caught.value.line and x.grad is None


def test_the_operation_that_took_the_nan_in_is_the_first_of_all():
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        y = x * np.array([1.0, np.nan])  # here
        loss = (np.tanh(y) + x).sum() * np.inf
        with pytest.raises(AnomalyError, match=r"came in as nan at \[1\] of input 1 of multiply, in .*# here"):
            loss.backward()


def test_a_graph_from_before_the_block_and_a_leaf():
    x = leaf(1.0, 2.0)
    loss = x.sum() + np.nan
    with pytest.raises(AnomalyError, match="computed before detect_anomaly"), detect_anomaly():
        loss.backward()
    with pytest.raises(AnomalyError, match="a leaf, whose value was given"), detect_anomaly():
        leaf(np.nan).backward()
    with pytest.raises(AnomalyError, match="begins with nan"), detect_anomaly():
        autograd.grad(lambda t: t * np.nan)(1.0)


def test_what_leaves_no_graph_is_looked_at_too():
    for program in (lambda: np.log(Tensor(-1.0)), lambda: leaf(1.0) * np.sqrt(Tensor(-1.0))):
        with pytest.raises(AnomalyError, match=r"out of -1\.0, forward, in test_detective\.py"), detect_anomaly():
            program()
    with pytest.raises(AnomalyError, match="log made nan"), detect_anomaly(), autograd.no_grad():
        np.log(leaf(-1.0))
    with detect_anomaly(), autograd.no_grad():
        np.exp(leaf(np.nan) * 1.0)  # which came in, and nobody made a loss of it


# ---- backward


def test_the_numbers_behind_a_slope_and_what_masks_it():
    for mask in (
        lambda y, x: np.where(x > 0, y, 0.0),
        lambda y, x: np.maximum(y, 0.5),
        lambda y, x: nn.functional.relu(y - 0.5),
    ):
        x = leaf(4.0, 0.0)
        with pytest.raises(AnomalyError, match=r"select a safe input .* before sqrt") as caught, detect_anomaly():
            mask(np.sqrt(x), x).sum().backward()
        assert caught.value.values == (0.0,) and caught.value.index == (1,)
        assert "to which the gradient 0.0 came, made nan at [1] out of 0.0" in str(caught.value)
    with pytest.raises(AnomalyError, match=r"the where\(\) masks the output"), detect_anomaly():
        np.where(x > 0, np.sqrt(x), 0.0).sum().backward()
    with pytest.raises(AnomalyError, match=r"if a where\(\) masks this output, the slope of log"), detect_anomaly():
        np.where(x > 0, np.log(x), 0.0)


def test_hooks_and_sums_of_finite_gradients():
    x = leaf(1.0, 2.0, dtype=np.float32)
    with pytest.raises(AnomalyError, match="a hook on the result of multiply made nan") as caught, detect_anomaly():
        y = x * 2.0
        y.register_hook(lambda g: g * np.nan)
        y.sum().backward()
    assert (caught.value.phase, caught.value.op) == ("backward", "hook")
    handle = x.register_hook(lambda g: g * np.inf)
    with pytest.raises(AnomalyError, match=r"a hook on the leaf of shape \(2,\) made inf"), detect_anomaly():
        (x * 2.0).sum().backward()
    handle.remove()
    x.name = "w"
    x.assign([1e-3, 2e-3])
    with pytest.raises(AnomalyError, match="gradients that come to the leaf w add up to inf"), detect_anomaly():
        (x * 2e38 + x * 2e38).sum().backward()
    with pytest.raises(AnomalyError, match="come to the result of multiply add up to inf"), detect_anomaly():
        y = x * 1e-3
        (y * 2e38 + y * 2e38).sum().backward()
    with detect_anomaly():
        (x * 2e38 - x * 2e38).sum().backward()
    assert x.grad.tolist() == [0, 0]


def test_a_rule_that_writes_into_what_it_was_given_is_named():
    x = leaf(1.0, 2.0)
    for rule in (lambda g, _y, _x: np.multiply(g, 2, out=g), lambda g, _y, x: np.multiply(x, 0, out=x) + g):
        with pytest.raises(GraphError, match="own_op for its input 0 writes into an array"), detect_anomaly():
            own_op(rule)(x * 1.0).sum().backward()
    with pytest.raises(ValueError, match="planted"), detect_anomaly():
        own_op(planted)(x).sum().backward()
    assert x.tolist() == [1, 2] and x.grad is None


def planted(g, _y, _x):
    raise ValueError("planted")


def test_a_leaf_that_was_given_new_data():
    x = leaf(1.0, 2.0)
    with (
        pytest.raises(GraphError, match=r"replaced .by an optimiser step, assign\(\) or a new .data"),
        detect_anomaly(),
    ):
        loss = (x * x).sum()
        x.data = np.array([5.0, 6.0])
        loss.backward()
    with detect_anomaly():
        loss = (x + 1.0).sum()  # reads nothing
        x.data = np.array([5.0, 6.0])
        loss.backward()
    with pytest.raises(GraphError, match="run the forward pass again"), detect_anomaly():
        loss = (x * x).sum()
        x.assign([1.0, 2.0])
        loss.backward()


def test_ranges_are_shown_where_an_op_does_not_work_element_by_element():
    x = Tensor(np.full((2, 2), 1e200), requires_grad=True)
    with pytest.raises(AnomalyError, match=r"\(2, 2\) from 1e\+200 to 1e\+200 and") as caught, detect_anomaly():
        x @ x  # of the shape of its inputs
    assert "larger than float64 can hold" in str(caught.value)
    for program, words in (
        (lambda: np.log(Tensor([0j, 1.0], requires_grad=True)), "the logarithm of 0.0"),
        (lambda: np.sum(Tensor([1e308 + 1j] * 2, requires_grad=True)), "absolute values up to 1e"),
        (lambda: leaf(0.0) ** -1.0, "a division by 0"),
        (lambda: np.sum(leaf(3e38, 3e38, dtype=np.float32)), "larger than float32 can hold"),
        (lambda: own_op(lambda g, *_: g, lambda x: np.sum(x) + np.inf)(Tensor(np.ones(0), requires_grad=True)), "0,"),
    ):
        with pytest.raises(AnomalyError, match=words), detect_anomaly():
            program()


def test_detect_anomaly_is_called():
    with pytest.raises(TypeError, match=r"@detect_anomaly\(\)"):

        @detect_anomaly
        def step():
            """Without the brackets."""

    @detect_anomaly()
    def watched():
        return np.log(leaf(-1.0))

    with pytest.raises(AnomalyError):
        watched()


# ---- why


def test_why_names_every_kind_of_cut():
    for program, words in (
        (lambda w: w.astype(np.int64) * 1.0, r"cut off by astype\(int64\) in test_detective"),
        (lambda w: w.detach() * 1.0, r"cut off by detach\(\) in test_detective"),
        (lambda w: (w > 1.0) * Tensor(1.0), r"cut off by greater\(\), which has no gradient"),
        (lambda w: np.argmax(w) * Tensor(1.0), r"cut off by argmax\(\), which has no gradient"),
    ):
        w, v = leaf(1.0, 2.0), leaf(1.0)
        with detect_anomaly():
            loss = np.sum(program(w * 1.0) * v)
            loss.backward(retain_graph=True)
        assert autograd.why(v, loss).startswith("nothing is wrong")
        for said in (why(w), why(w, loss)):
            assert re.search(words, said), said
        loss.backward()
        assert "already let go of" in why(w, loss) and "cut off by" in why(w, loss)


def test_a_cut_that_was_meant_comes_before_one_for_a_mask():
    w = leaf(1.0, 2.0)
    with detect_anomaly():
        mask = w > 1.0
        (w.detach() * mask * leaf(1.0)).sum().backward()
    assert "detach()" in why(w)


def test_why_sees_hooks_and_sums_inside():
    w = leaf(1.0)
    for program, words in (
        (lambda y: [y.register_hook(lambda g: g * 0), y * 3][1], "a hook on the result of multiply makes it 0"),
        (lambda y: (y * 2 - y * 2) * 3, "adds up to 0"),
    ):
        w.grad = None
        loss = program(w * 2)
        loss.backward(retain_graph=True)
        assert words in why(w, loss)
    handle = w.register_hook(lambda g: g * 0)
    w.grad, loss = None, w * 2
    loss.backward(retain_graph=True)
    assert "a hook on the parameter makes it 0" in why(w, loss)
    handle.remove()


def test_why_of_a_long_chain_takes_no_time():
    w = leaf(1.0)
    y = np.maximum(-w, 0.0)
    for _ in range(20_000):
        y = y * 1.0
    y.backward(retain_graph=True)
    assert "all paths end at maximum" in why(w, y)


def test_why_takes_tensors():
    model = nn.Linear(2, 1)
    for program, words in (
        (lambda: why(model), r"got Linear; ask for each: for p in model.parameters\(\)"),
        (lambda: why(np.ones(2)), "takes a parameter, which is a Tensor; got ndarray"),
        (lambda: why(model.weight, 5.0), "takes a loss, which is a Tensor; got float"),
        (lambda: why(model.weight, optimizer=[model.weight]), "takes an optimizer, .* got list"),
    ):
        with pytest.raises(TypeError, match=words):
            program()
    for p in model.parameters():
        assert "no backward() has reached it" in why(p)
    assert "frozen" in why(model.requires_grad_(False).weight)
