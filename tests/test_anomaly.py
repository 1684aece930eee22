"""detect_anomaly, why, and hooks."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import autograd
import nn
from autograd import AnomalyError, GraphError, Tensor, detect_anomaly, why


def leaf(*numbers):
    return Tensor(np.array(numbers) if len(numbers) != 1 else numbers[0], requires_grad=True, dtype=float)


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


# ---- why


def test_why_a_gradient_is_missing_or_zero():
    w, x, other = leaf(2.0), leaf(-3.0), leaf(1.0)
    assert "without requires_grad" in why(Tensor(1.0))
    assert "result of multiply" in why(w * 2)
    assert "no backward() has reached it" in why(w)
    loss = np.maximum(w * x, 0.0) + other
    assert "backward() has not been called" in why(w, loss)
    assert "no path of recorded ops" in why(leaf(1.0), loss)
    loss.backward(retain_graph=True)
    assert "all paths end at maximum" in why(w, loss)
    assert "nothing is wrong" in why(other, loss)
    assert "does not hold it" in why(w, optimizer=nn.SGD([other], lr=0.1))
    loss.backward()
    assert "already let go of" in why(w, loss)
    assert "all paths pass factors that are 0" in why(w)
    w.grad = Tensor(np.nan)
    assert "1 of 1 elements" in why(w)


def test_why_finds_where_the_gradient_was_cut():
    w = leaf(2.0)
    with detect_anomaly():
        y = (w * 3).detach() * 2  # cut here
        z = leaf(1.0) * y
        z.backward()
    assert "cut off by detach() in test_anomaly.py" in why(w) and "# cut here" in why(w)
    assert "# cut here" in why(w, z * leaf(1.0))
    with detect_anomaly():
        with autograd.no_grad():
            y = w * 3  # not recorded
        (leaf(1.0) * y).backward()
    assert "no_grad()" in why(w) and "# not recorded" in why(w)
    with detect_anomaly():
        (leaf(1.0) * w.astype(int)).backward()  # whole numbers
    assert "# whole numbers" in why(w)


# ---- hooks


def test_a_hook_sees_the_whole_gradient_and_may_replace_it():
    x, seen = leaf(1.0, 2.0), []
    y = x * 3
    handle = y.register_hook(lambda g: seen.append(g.data.copy()))
    (y * y).sum().backward(retain_graph=True)
    assert seen[0].tolist() == [6, 12] and x.grad.data.tolist() == [18, 36]
    x.grad = None
    double = y.register_hook(lambda g: g * 2)
    leafs = x.register_hook(lambda g: np.clip(g, 0, 50))
    loss = (y * y).sum()
    loss.backward(retain_graph=True)
    assert len(seen) == 2 and x.grad.data.tolist() == [36, 50]
    for hook in (handle, double, leafs, leafs):
        hook.remove()
    x.grad = None
    loss.backward()
    assert len(seen) == 2 and x.grad.data.tolist() == [18, 36]


def test_hooks_in_recorded_gradients_and_wrong_ones():
    x = leaf(3.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    y.backward(create_graph=True)  # 2x * x
    g = x.grad
    x.grad = None
    g.backward()
    assert g.item() == 18 and x.grad.item() == 12
    z = leaf(1.0, 2.0) * 2
    z.register_hook(lambda g: g[:1])
    with pytest.raises(ValueError, match=r"shape \(1,\) for a gradient of shape \(2,\)"):
        z.sum().backward()
    with pytest.raises(GraphError, match="records nothing"):
        Tensor(1.0).register_hook(print)


def test_a_hook_gets_the_dtype_of_its_gradient_and_cannot_write_into_what_others_hold():
    x, other, seed = leaf(1.0, 2.0), leaf(1.0, 2.0), np.ones(2)
    narrow = Tensor(np.float32([1, 2]), requires_grad=True)
    for returned in (lambda g: g.data.astype(float) * 3, lambda g: [3, 3], lambda g: g * 3):
        narrow.grad = None
        handle = narrow.register_hook(returned)
        (narrow * 1.0).sum().backward()
        assert narrow.grad.dtype == np.float32 and narrow.grad.tolist() == [3, 3]
        handle.remove()

    def writes(g):
        g.data[0] = 100.0

    for hooked in (x * 1.0, x):
        handle = hooked.register_hook(writes)
        with pytest.raises(ValueError, match="read-only"):
            (hooked * 1.0 + other).backward(seed)
        handle.remove()
    assert seed.tolist() == [1, 1] and x.grad is None and other.grad is None
    x.register_hook(lambda g: g * 1j)
    with pytest.raises(TypeError, match="a hook returned complex128 for a gradient of float64"):
        x.sum().backward()
    for register in (x.register_hook, nn.ReLU().register_forward_hook, nn.ReLU().register_full_backward_hook):
        with pytest.raises(TypeError, match="a hook is a function; got int"):
            register(5)


def test_hooks_go_with_their_tensor():
    class Seen:
        def __call__(self, g):
            return None

    y, seen = leaf(1.0) * 2, Seen()
    gone = weakref.ref(seen)
    y.register_hook(seen)
    del seen
    assert gone() is not None
    del y
    assert gone() is None


def test_an_error_in_a_hook_leaves_the_mode_and_the_gradients():
    x = leaf(1.0)
    y = x * 2

    def fails(g):
        raise KeyError("planted")

    y.register_hook(fails)
    with pytest.raises(KeyError):
        y.backward(create_graph=True)
    assert x.grad is None and autograd.is_grad_enabled()


# ---- more of what the detective and `why` say


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (lambda x: np.exp(x * x.dtype.type(1000)), "too large for it in this dtype"),
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


def test_why_of_paths_that_cancel_and_of_changed_values():
    x = leaf(3.0)
    loss = x * 2 - x * 2
    loss.backward(retain_graph=True)
    assert "arrives on its paths adds up to 0" in why(x, loss)
    assert "records nothing" in why(x, Tensor(1.0))
    w = leaf(2.0)
    loss = w * w * 0.0
    loss.backward(retain_graph=True)
    assert "all paths end at multiply" in why(w, loss)
    w.assign(5.0)
    assert "was replaced" in why(w, loss)
    y = leaf(1.0)
    y.backward(np.array(0.0))
    assert "it is the loss itself" in why(y, y)
