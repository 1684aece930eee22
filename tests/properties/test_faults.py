"""Faults that other engines have, one test each: HIPS autograd 1.9, MyGrad 2.5, micrograd, PyTorch 2.13, JAX 0.10.

Each was seen in at least one of them.  Here each is right, or a clear error.
"""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import autograd
import nn
import nn.functional as F
from autograd import AnomalyError, GraphError, Tensor


def leaf(value, dtype=float):
    return Tensor(np.array(value, dtype), requires_grad=True)


def gradient(function, *arrays):
    leaves = [leaf(a, np.asarray(a).dtype) for a in arrays]
    np.sum(function(*leaves)).backward()
    found = [x.grad.data for x in leaves]
    return found[0] if len(found) == 1 else found


# ---- graphs


def test_astype_stays_in_the_graph():
    x = leaf([1.0, 2.0])
    y = x.astype(np.float32) * 3
    y.sum().backward()
    assert y.dtype == np.float32 and x.grad.dtype == float and x.grad.tolist() == [3, 3]
    z = leaf([1.0, 2.0], np.float32)
    np.astype(z, np.float64).sum().backward() if hasattr(np, "astype") else z.astype(float).sum().backward()
    assert z.grad.dtype == np.float32


def test_a_second_backward_adds_the_same_again():
    x = leaf(3.0)
    y = x * x  # intermediate nodes keep nothing from the first pass
    z = y * 2 + y * y
    z.backward(retain_graph=True)
    once = x.grad.item()
    z.backward(retain_graph=True)
    assert once == 120 and x.grad.item() == 240
    z.backward()
    with pytest.raises(GraphError, match="retain_graph=True"):
        z.backward()


def test_a_graph_holds_no_cycle():
    gc.collect()
    gc.disable()
    try:
        x = leaf([1.0, 2.0])
        y = np.exp(x)
        loss = (y * y).sum()
        alive = weakref.ref(y.node)
        del y, loss
        assert alive() is None
        loss = np.exp(x).sum()
        loss.backward(create_graph=True)
        alive = weakref.ref(loss.node)
        x.grad = None
        del loss
        assert alive() is None and gc.collect() == 0
    finally:
        gc.enable()


def test_twenty_thousand_uses_of_one_leaf_take_the_memory_of_a_few():
    wide = Tensor(np.ones(50_000), requires_grad=True)
    y = wide
    for _ in range(20):
        y = y + wide
    tracemalloc.start()
    y.backward(np.ones(50_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 400_000 and wide.grad.data[0] == 21
    small = leaf(1.0)
    many = small
    for _ in range(20_000):
        many = many + small
    many.backward()
    assert small.grad.item() == 20_001


def test_an_intermediate_gradient_is_dropped_once_used():
    x = Tensor(np.full(250_000, 0.5), requires_grad=True)  # 2 MB
    y = x
    for _ in range(40):
        y = np.tanh(y)
    y = y.sum()
    tracemalloc.start()
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2_000_000  # 40 of them would be 80 MB


# ---- shapes and numbers


def test_the_gradient_of_a_transpose_with_negative_axes_has_the_shape_of_the_input():
    x = np.arange(24.0).reshape(2, 3, 4)
    for axes in ((-1, 0, 1), (1, -1, 0), (-3, -1, -2), (0, 2, 1)):
        w = np.transpose(np.arange(24.0).reshape(2, 3, 4), axes)
        found = gradient(lambda t, axes=axes, w=w: np.transpose(t, axes) * w, x)
        assert found.shape == x.shape
        np.testing.assert_array_equal(found, x)


def test_python_numbers_keep_the_dtype_in_value_and_gradient():
    for dtype in (np.float16, np.float32):
        x = leaf([1.0, 2.0], dtype)
        for y in (x * 2.0, 2.0 * x, x + 1, x**2, x / 3, 3 / x, np.maximum(x, 0.0), np.where(x > 1, x, 0.0), x.mean()):
            assert y.dtype == dtype
        (x**2 * 2.0 + x / 3).sum().backward()
        assert x.grad.dtype == dtype


def test_a_mean_of_many_small_numbers_is_not_zero():
    x = Tensor(np.ones(70_000, np.float16), requires_grad=True)
    y = x.mean()
    y.backward()
    assert y.item() == 1 and x.grad.data[0] == np.float16(1 / 70_000) != 0


def test_results_without_axes_are_arrays():
    x = leaf([1.0, 2.0])
    for y in (x.sum(), x[0], np.max(x), np.exp(x[0]), x @ x, np.linalg.norm(x), x[0] * 2):
        assert type(y.data) is np.ndarray and y.data.shape == ()


# ---- singular points


def test_the_norm_at_0_and_products_with_zeros():
    assert gradient(np.linalg.norm, [0.0, 0.0]).tolist() == [0, 0]
    assert gradient(np.prod, [0.0, 2.0, 3.0]).tolist() == [6, 0, 0]
    assert gradient(np.prod, [0.0, 0.0, 3.0]).tolist() == [0, 0, 0]
    assert gradient(np.std, [2.0, 2.0]).tolist() == [0, 0]


def test_masks_select():
    slope = np.array([np.inf, 1.0])
    for function in (
        F.relu,
        lambda t: np.maximum(t, 0.0),
        lambda t: np.clip(t, 0.0, 9.0),
        lambda t: np.where(t > 0, t, 0.0),
    ):
        x = leaf([-1.0, 2.0])
        function(x).backward(slope)
        assert x.grad.tolist() == [0, 1]


def test_sums_of_exponentials_are_shifted_by_a_finite_number():
    rows = [[-np.inf, -np.inf], [1000.0, 1000.0], [-np.inf, 0.0]]
    with np.errstate(all="ignore"):
        value = autograd.logsumexp(Tensor(rows), axis=1)
    np.testing.assert_array_equal(value.data, [-np.inf, 1000.0 + np.log(2.0), 0.0])
    np.testing.assert_allclose(gradient(lambda t: autograd.logsumexp(t, axis=1), rows[1:]), [[0.5, 0.5], [0, 1]])
    assert F.softmax(np.array([1000.0, 0.0])).tolist() == [1, 0]


def test_the_variance_of_large_numbers_is_of_their_distances():
    x = np.array([1.0, 2.0, 3.0], np.float32) + np.float32(1e5)
    assert np.var(Tensor(x)).item() == pytest.approx(2 / 3, rel=1e-3)
    np.testing.assert_allclose(gradient(np.var, x), [-2 / 3, 0, 2 / 3], rtol=1e-3, atol=1e-6)


# ---- copies


def test_who_shares_memory_with_whom():
    array = np.array([1.0, 2.0])
    assert not np.shares_memory(Tensor(array).data, array) and np.shares_memory(autograd.as_tensor(array).data, array)
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (x + y).sum().backward()
    assert not np.shares_memory(x.grad.data, y.grad.data)
    index, mask = np.array([0, 1]), np.array([True, False])
    total = (x[index] * np.array([1.0, 10.0])).sum() + np.where(mask, x, 0.0).sum() + x[mask].sum()
    index[:], mask[:] = 0, False
    x.grad = None
    total.backward()
    assert x.grad.tolist() == [3, 10]


# ---- arguments


def test_where_counts_only_what_it_chooses():
    mask = np.array([True, False])
    assert gradient(lambda t: np.sum(t, where=mask), [1.0, 2.0]).tolist() == [1, 0]
    assert gradient(lambda t: np.mean(t, where=mask), [1.0, 2.0]).tolist() == [1, 0]
    with pytest.raises(TypeError, match="no derivative rule for the argument"):
        np.exp(leaf([1.0]), casting="unsafe")
    with pytest.raises(TypeError, match="has no derivative rule, so it cannot take a Tensor"):
        np.polyfit(leaf([1.0, 2.0]), leaf([1.0, 2.0]), 1)


def test_labels_never_count_from_the_end():
    scores = Tensor(np.zeros((2, 3)), requires_grad=True)
    for labels in ([0, -1], [0, 3], [2**40, 0]):
        for loss in (F.cross_entropy, F.nll_loss):
            with pytest.raises(ValueError, match="is not one of the 3 classes"):
                loss(scores, labels)
        with pytest.raises(ValueError, match="is not one of the 3 classes"):
            F.one_hot(labels, 3)
        with pytest.raises(ValueError, match="is not one of the 3 rows"):
            nn.Embedding(3, 2)(np.array(labels))
    with pytest.raises(IndexError, match="sample -1"):
        nn.Subset(nn.TensorDataset(np.ones(3)), [-1])


def test_losses_do_not_broadcast():
    for loss in (F.mse_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match=r"\(5, 1\) for a target of shape \(5,\)"):
            loss(np.full((5, 1), 0.5), np.full(5, 0.5))


def test_a_state_is_taken_over_whole_or_not_at_all():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = model.state_dict()
    for change in ({"1.bias": np.ones(2)}, {"1.bias": np.array(["a"])}, {"1.bias": np.array([1j])}, {"9": np.ones(1)}):
        with pytest.raises(ValueError, match=r"1\.bias|unexpected: 9"):
            model.load_state_dict({name: array * 0 for name, array in before.items()} | change)
        assert all(array is before[name] for name, array in model.state_dict().items())


# ---- NaN


def test_a_nan_loss_does_not_pass_for_its_gradients_are_finite():
    x = leaf([1.0, 2.0])
    with pytest.raises(AnomalyError, match="begins with nan"), autograd.detect_anomaly():
        (x.sum() + Tensor(np.nan)).backward()
    assert x.grad is None
