"""detect_anomaly, why, and hooks."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

import autograd
import nn
from autograd import AnomalyError, GraphError, Tensor, detect_anomaly
from leaves import leaf
from samples import CALLS, IDS, closed

# ---- detect_anomaly


def test_the_first_bad_operation_is_named_with_its_numbers_and_line():
    x = leaf(1.0, -1.0)
    with pytest.raises(AnomalyError) as caught, detect_anomaly():
        y = np.exp(x) * 2
        z = np.log(x)  # here
        (y * z + 1).sum()
    error = caught.value
    assert (error.op, error.phase, error.index, error.values) == ("log", "forward", (1,), (-1.0,))
    assert "# here" in error.line and "test_anomaly.py" in error.line
    assert "log made nan at [1] out of -1.0, forward" in str(error) and "logarithm of -1.0" in str(error)


@pytest.mark.parametrize(
    ("program", "op", "words"),
    [
        (lambda x: x / (x - x), "divide", "division by 0"),
        (lambda x: np.sqrt(-x), "sqrt", "root of a negative"),
        (lambda x: np.exp(x * 1000), "exp", "logsumexp"),
        (lambda x: (-x) ** 0.5, "power", "not whole"),
        (lambda x: np.log1p(-x - 1), "log1p", "above -1"),
        (lambda x: np.linalg.norm(x) * np.arctanh(x + 1), "arctanh", "out of"),
    ],
)
def test_hints_in_the_forward_pass(program, op, words):
    with pytest.raises(AnomalyError, match=words) as caught, detect_anomaly():
        program(leaf(1.0, 2.0))
    assert caught.value.op == op


def test_a_where_that_masks_only_the_output():
    x = leaf(0.0, 4.0)
    with pytest.raises(AnomalyError, match="select a safe input") as caught, detect_anomaly():
        y = autograd.where(x > 0, np.sqrt(x), 0.0)
        y.sum().backward()
    assert caught.value.phase == "backward" and caught.value.op == "sqrt" and caught.value.index == (0,)
    with detect_anomaly():
        safe = autograd.where(x > 0, x, 1.0)
        autograd.where(x > 0, np.sqrt(safe), 0.0).sum().backward()
    assert x.grad.data.tolist() == [0, 0.25]


def test_an_infinite_slope_and_second_derivatives():
    x = leaf(0.0)
    with pytest.raises(AnomalyError, match="slope of sqrt is infinite"), detect_anomaly():
        np.sqrt(x).backward()
    with pytest.raises(AnomalyError), detect_anomaly():
        y = x**1.5
        y.backward(create_graph=True)
        x.grad.backward()


def test_a_nan_that_comes_in_is_not_blamed_and_a_nan_loss_is_caught():
    with detect_anomaly():
        (leaf(np.nan, 1.0) * 2).sum()
    model, x = nn.Linear(2, 1), np.float32([[1e30, 1e30]])
    with pytest.raises(AnomalyError, match=r"Linear|multiply|linear") as caught, detect_anomaly():
        out = model(x * np.float32(1e8)) if False else model(x)
        (out * out * out).sum().backward()
    assert caught.value.phase == "forward"


def test_the_module_is_named():
    class Log(nn.Module):
        def forward(self, x):
            return np.log(x)

    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), Log()))
    with pytest.raises(AnomalyError, match=r"in module 1\.1 \(Log\)"), detect_anomaly():
        model(-np.ones((3, 2), np.float32) * 9 - 9)
        model(np.ones((3, 2), np.float32) * 9 + 9)

    class Net(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList([nn.ReLU(), Log()])

        def forward(self, x):
            return self.layers[1](x)

    with pytest.raises(AnomalyError, match=r"in module layers\.1 \(Log\)"), detect_anomaly():
        Net()(leaf(0.0))


def test_recorded_arrays_are_locked_and_unlocked():
    x = leaf(1.0, 2.0)
    y = x.data
    try:
        with detect_anomaly():
            z = (x * x).sum()
            with pytest.raises(ValueError, match="read-only"):
                x.data[0] = 5.0
            z.backward()
            raise KeyError
    except KeyError:
        pass
    assert y.flags.writeable and x.data is y
    y[0] = 5.0


def test_other_threads_are_not_watched_and_watching_ends():
    seen = []

    def other():
        with np.errstate(all="ignore"):
            seen.append(np.log(leaf(-1.0, 1.0)).data[1])

    with detect_anomaly():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert seen == [0]
    with np.errstate(all="ignore"):
        np.log(leaf(-1.0, 1.0))


def test_detecting_changes_no_gradient_and_leaves_no_garbage():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, y = np.ones((5, 3), np.float32), np.array([0, 1, 1, 0, 1])
    nn.functional.cross_entropy(model(x), y).backward()
    plain = [p.grad.data for p in model.parameters()]
    model.zero_grad()
    gc.collect()
    with detect_anomaly(), autograd.watch():
        nn.functional.cross_entropy(model(x), y).backward()
    for p, g in zip(model.parameters(), plain, strict=True):
        np.testing.assert_array_equal(p.grad.data, g)


# ---- more messages of the detective


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (lambda x: np.exp(x * x.dtype.type(1000)), "too large for exp in this dtype"),
        (lambda x: np.outer(x, x) @ np.full((2, 2), 1e308), "an array of "),
        (lambda x: x[:0].sum() + np.log(x - 1), "log made -inf"),
        (lambda x: np.log2(-x), "nn.functional.log_softmax"),
    ],
)
def test_what_the_detective_says_of_other_ops(program, words):
    with pytest.raises(AnomalyError, match=words), detect_anomaly():
        program(leaf(1.0, 2.0))


def test_a_slope_that_is_infinite_where_the_result_has_another_shape():
    x = leaf(0.0, 1.0)
    with pytest.raises(AnomalyError, match="infinite or not defined") as caught, detect_anomaly():
        own = autograd.differentiable(
            lambda x: np.sum(np.sqrt(x)), lambda g, _y, x: g * 0.5 / np.sqrt(x), name="sum_of_roots"
        )
        try:
            own(x).backward()
        finally:
            del autograd.OPS["sum_of_roots"]
    assert caught.value.index == (0,) and caught.value.op == "sum_of_roots"


def test_a_gradient_that_begins_infinite_is_nobodys_fault():
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        (x * 2).backward(np.array([np.inf, 1.0]))
    assert x.grad.data.tolist() == [np.inf, 2]


def writing_op(rule, forward=lambda x: x * 2.0, name="writing_op"):
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
    assert "test_anomaly.py" in caught.value.line and x.grad is None


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
        with pytest.raises(AnomalyError, match=r"out of -1\.0, forward, in test_anomaly\.py"), detect_anomaly():
            program()
    with pytest.raises(AnomalyError, match="log made nan"), detect_anomaly(), autograd.no_grad():
        np.log(leaf(-1.0))
    with detect_anomaly(), autograd.no_grad():
        np.exp(leaf(np.nan) * 1.0)  # it came in, and no loss was made of it


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
        with pytest.raises(GraphError, match="writing_op for its input 0 writes into an array"), detect_anomaly():
            writing_op(rule)(x * 1.0).sum().backward()
    with pytest.raises(ValueError, match="planted"), detect_anomaly():
        writing_op(planted)(x).sum().backward()
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
        (
            lambda: writing_op(lambda g, *_: g, lambda x: np.sum(x) + np.inf)(Tensor(np.ones(0), requires_grad=True)),
            "0,",
        ),
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
