"""Losses by their formulas, which need no PyTorch; `tests/properties/test_oracle_nn.py` compares them with it."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor, gradcheck, hessian

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 5, 3)) * 2
P, Q = RNG.uniform(0.1, 0.9, size=(2, 5, 3))
SIGNS = np.where(RNG.random((5, 3)) > 0.5, 1, -1)
ROWS = P / P.sum(axis=1, keepdims=True)
LABELS = np.array([0, 2, 1, 1, 2])
LOGS = A - np.log(np.exp(A).sum(axis=1, keepdims=True))
WEIGHT = np.array([0.5, 1.0, 2.5])
SIGMA = 1 / (1 + np.exp(-A))
NEAR = np.abs(A - B)
COSINE = (A * B).sum(axis=1) / np.sqrt((A * A).sum(axis=1) * (B * B).sum(axis=1))
PICKED = -LOGS[np.arange(5), LABELS]
COUNTS = np.random.default_rng(1).poisson(2.0, (5, 3)) + 0.25  # not 1, where the approximation begins
SAFE = np.maximum(COUNTS, 1.0)
STIRLING = np.where(COUNTS > 1, SAFE * np.log(SAFE) - SAFE + 0.5 * np.log(2 * np.pi * SAFE), 0.0)
HINGES = np.maximum(0, 1 - A[np.arange(5), LABELS][:, None] + A) * (np.arange(3) != LABELS[:, None])
LISTED = np.array([[0, 1, -1], [2, -1, 0], [-1, 0, 0], [0, 1, 2], [1, -1, -1]])  # the right classes, until -1


def multilabel_margin(scores, listed):
    right = listed[: [*listed, -1].index(-1)]
    wrong = [j for j in range(len(scores)) if j not in right]
    return sum(max(0.0, 1 - scores[i] + scores[j]) for i in right for j in wrong) / len(scores)


MULTI = np.array([multilabel_margin(*rows) for rows in zip(A, LISTED, strict=True)])


def far(x, y, p=2):
    return (np.abs(x - y + 1e-6) ** p).sum(axis=1) ** (1 / p)


# The loss, its options, its arguments, and its elements before the reduction.
TABLE = [
    (nn.MSELoss, {}, (A, B), (A - B) ** 2),
    (nn.L1Loss, {}, (A, B), NEAR),
    (nn.HuberLoss, {"delta": 1.3}, (A, B), np.where(NEAR < 1.3, 0.5 * NEAR**2, 1.3 * (NEAR - 0.65))),
    (nn.SmoothL1Loss, {"beta": 0.7}, (A, B), np.where(NEAR < 0.7, 0.5 * NEAR**2 / 0.7, NEAR - 0.35)),
    (nn.SmoothL1Loss, {"beta": 0.0}, (A, B), NEAR),
    (nn.GaussianNLLLoss, {}, (A, B, P), 0.5 * (np.log(P) + NEAR**2 / P)),
    (nn.GaussianNLLLoss, {"full": True}, (A, B, P), 0.5 * (np.log(2 * np.pi * P) + NEAR**2 / P)),
    (nn.BCELoss, {}, (P, Q), -(Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    (nn.BCELoss, {"weight": Q}, (P, Q), -Q * (Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    (nn.BCEWithLogitsLoss, {}, (A, Q), -(Q * np.log(SIGMA) + (1 - Q) * np.log(1 - SIGMA))),
    (
        nn.BCEWithLogitsLoss,
        {"pos_weight": WEIGHT, "weight": P},
        (A, Q),
        -P * (WEIGHT * Q * np.log(SIGMA) + (1 - Q) * np.log(1 - SIGMA)),
    ),
    (nn.KLDivLoss, {}, (np.log(P), Q), Q * (np.log(Q) - np.log(P))),
    (nn.KLDivLoss, {"log_target": True}, (np.log(P), np.log(Q)), Q * (np.log(Q) - np.log(P))),
    (nn.HingeEmbeddingLoss, {"margin": 1.5}, (A, SIGNS), np.where(SIGNS == 1, A, np.maximum(0, 1.5 - A))),
    (
        nn.CosineEmbeddingLoss,
        {"margin": 0.1},
        (A, B, SIGNS[:, 0]),
        np.where(SIGNS[:, 0] == 1, 1 - COSINE, np.maximum(0, COSINE - 0.1)),
    ),
    (nn.CrossEntropyLoss, {}, (A, LABELS), PICKED),
    (nn.CrossEntropyLoss, {"label_smoothing": 0.3}, (A, LABELS), 0.7 * PICKED - 0.1 * LOGS.sum(axis=1)),
    (nn.CrossEntropyLoss, {}, (A, ROWS), -(ROWS * LOGS).sum(axis=1)),
    (nn.CrossEntropyLoss, {"weight": WEIGHT}, (A, ROWS), -(WEIGHT * ROWS * LOGS).sum(axis=1)),
    (
        nn.CrossEntropyLoss,
        {"label_smoothing": 0.3},
        (A, ROWS),
        -((0.7 * ROWS + 0.1) * LOGS).sum(axis=1),
    ),
    (nn.NLLLoss, {}, (LOGS, LABELS), PICKED),
    (nn.NLLLoss2d, {}, (LOGS, LABELS), PICKED),
    (nn.PoissonNLLLoss, {}, (A, COUNTS), np.exp(A) - COUNTS * A),
    (nn.PoissonNLLLoss, {"log_input": False, "eps": 0.1}, (P, COUNTS), P - COUNTS * np.log(P + 0.1)),
    (nn.PoissonNLLLoss, {"full": True}, (A, COUNTS), np.exp(A) - COUNTS * A + STIRLING),
    (nn.SoftMarginLoss, {}, (A, SIGNS), np.log(1 + np.exp(-SIGNS * A))),
    (nn.MarginRankingLoss, {"margin": 0.3}, (A, B, SIGNS), np.maximum(0, 0.3 - SIGNS * (A - B))),
    (nn.MultiMarginLoss, {}, (A, LABELS), HINGES.sum(axis=1) / 3),
    (nn.MultiMarginLoss, {"p": 2, "weight": WEIGHT}, (A, LABELS), (HINGES**2).sum(axis=1) * WEIGHT[LABELS] / 3),
    (nn.MultiLabelMarginLoss, {}, (A, LISTED), MULTI),
    (
        nn.MultiLabelSoftMarginLoss,
        {"weight": WEIGHT},
        (A, Q),
        -(WEIGHT * (Q * np.log(SIGMA) + (1 - Q) * np.log(1 - SIGMA))).mean(axis=1),
    ),
    (nn.TripletMarginLoss, {"margin": 0.7}, (A, B, P), np.maximum(0, far(A, B) - far(A, P) + 0.7)),
    (
        nn.TripletMarginLoss,
        {"margin": 2.0, "p": 3.0, "swap": True},
        (A, B, P),
        np.maximum(0, far(A, B, 3) - np.minimum(far(A, P, 3), far(B, P, 3)) + 2),
    ),
    (nn.TripletMarginWithDistanceLoss, {"margin": 0.5}, (A, B, P), np.maximum(0, far(A, B) - far(A, P) + 0.5)),
]
IDS = [f"{kind.__name__}-{i}" for i, (kind, *_) in enumerate(TABLE)]


@pytest.mark.parametrize(("kind", "options", "arrays", "each"), TABLE, ids=IDS)
def test_every_loss_is_its_formula(kind, options, arrays, each):
    smooth = [a for a in arrays if a.dtype.kind == "f"]
    for reduction, expected in (("none", each), ("sum", each.sum()), ("mean", each.mean())):
        loss = kind(reduction=reduction, **options)
        np.testing.assert_allclose(loss(*map(Tensor, arrays)).data, expected, rtol=1e-12)
        fixed = [a for a in arrays if a.dtype.kind != "f"]
        assert gradcheck(lambda *xs, loss=loss, fixed=fixed: loss(*xs, *fixed), smooth, rtol=1e-5)
    assert "reduction='sum'" in repr(kind(reduction="sum", **options))
    assert repr(kind()).startswith(f"{kind.__name__}(): 0")
    for name, value in options.items():
        assert (f"{name}={value}" if np.ndim(value) == 0 else f"{name}: ") in repr(kind(**options))


@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_the_mean_over_labels_is_over_their_weights(kind):
    scores = A if kind is nn.CrossEntropyLoss else LOGS
    counted = LABELS != 2
    ours = kind(ignore_index=2)(scores, LABELS)
    np.testing.assert_allclose(ours, PICKED[counted].mean())
    ours = kind(WEIGHT, ignore_index=1, reduction="none")(scores, LABELS)
    np.testing.assert_allclose(ours, np.where(LABELS == 1, 0, WEIGHT[LABELS] * PICKED))
    ours = kind(WEIGHT)(scores, LABELS)
    np.testing.assert_allclose(ours, (WEIGHT[LABELS] * PICKED).sum() / WEIGHT[LABELS].sum())


def test_smoothed_and_weighted_labels():
    ours = nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.3, ignore_index=1, reduction="none")(A, LABELS)
    each = 0.7 * WEIGHT[LABELS] * PICKED - 0.1 * (WEIGHT * LOGS).sum(axis=1)
    np.testing.assert_allclose(ours, np.where(LABELS == 1, 0, each))


def test_more_axes_have_the_classes_second():
    scores = np.moveaxis(np.stack([A, B]), -1, 1)  # (2, 3, 5)
    labels = np.stack([LABELS, LABELS[::-1]])
    flat = nn.CrossEntropyLoss()(np.concatenate([A, B]), labels.reshape(-1))
    np.testing.assert_allclose(nn.CrossEntropyLoss()(scores, labels), flat)
    rows = np.moveaxis(np.stack([ROWS, ROWS]), -1, 1)
    np.testing.assert_allclose(
        nn.CrossEntropyLoss()(scores, rows), nn.CrossEntropyLoss()(np.concatenate([A, B]), np.concatenate([ROWS, ROWS]))
    )


def test_the_divergence_per_sample_and_of_zeros():
    zeros = np.where(Q > 0.5, Q, 0.0)
    ours = nn.KLDivLoss(reduction="none")(np.log(P), zeros)
    np.testing.assert_allclose(ours, np.where(zeros > 0, Q * np.log(Q / P), 0.0))
    np.testing.assert_allclose(nn.KLDivLoss(reduction="batchmean")(np.log(P), Q), (Q * np.log(Q / P)).sum() / 5)
    assert "batchmean" in repr(nn.KLDivLoss(reduction="batchmean"))


def test_certain_probabilities_have_finite_losses():
    p = Tensor([0.0, 1.0, 1e-50], requires_grad=True)
    loss = F.binary_cross_entropy(p, np.array([1.0, 0.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss.data, [100, 100, 100])
    loss.sum().backward()
    assert np.isfinite(p.grad.data).all() and p.grad.data[0] < 0 < p.grad.data[1]
    t = Tensor([0.5, 0.5], requires_grad=True)  # the target's gradient: log(1 - p) - log(p), each at least -100
    F.binary_cross_entropy(np.array([0.0, 1.0]), t, reduction="sum").backward()
    np.testing.assert_allclose(t.grad.data, [100, -100])


def test_a_target_of_probabilities_that_are_no_numbers_with_a_point():
    with pytest.raises(TypeError, match="floating-point"):
        F.cross_entropy(A, ROWS > 0.5)
    with pytest.raises(ValueError, match="'sum'"):
        nn.MSELoss("average")


# ---- labels: few and many classes take different paths


def by_rows(x, labels):
    """Cross-entropy with one-hot rows, by the general path."""
    return F.softmax_cross_entropy(x, F.one_hot(labels, x.shape[1], x.dtype)).mean()


@pytest.mark.parametrize("classes", [1, 2, 31, 32, 40])
@pytest.mark.parametrize("order", ["C", "F"])
def test_labels_are_rows_of_ones_and_zeros(classes, order):
    x = np.asarray(RNG.normal(size=(7, classes)) * 3, order=order)
    for kind in (np.int64, np.uint8, np.int32, np.uint64):
        labels = RNG.integers(0, classes, 7).astype(kind)
        found = []
        for loss in (F.cross_entropy, by_rows):
            t = Tensor(x, requires_grad=True)
            y = loss(t, labels)
            y.backward(retain_graph=True)
            once = t.grad.data.copy()
            y.backward()
            np.testing.assert_allclose(t.grad.data, 2 * once, rtol=1e-14)
            found.append((y.item(), once, F.cross_entropy(x, labels)))
        for mine, right in zip(*found, strict=True):
            np.testing.assert_allclose(mine, right, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(x, np.array(x))


@pytest.mark.parametrize("classes", [3, 40])
def test_higher_derivatives_by_labels(classes):
    x, labels = RNG.normal(size=(2, classes)), np.array([classes - 1, 0])
    mine = hessian(lambda t: F.cross_entropy(t, labels) ** 2)(x)
    right = hessian(lambda t: by_rows(t, labels) ** 2)(x)
    np.testing.assert_allclose(mine, right, rtol=1e-9, atol=1e-12)


def test_labels_of_extreme_logits():
    for kind in (np.float16, np.float32, np.float64):
        big = np.finfo(kind).max / 2
        x = Tensor(np.array([[big, 0, -big], [-np.inf, 1, 1]], kind), requires_grad=True)
        loss = F.cross_entropy(x, np.array([0, 1]))
        loss.backward()
        assert loss.dtype == x.grad.dtype == kind
        np.testing.assert_allclose(loss.item(), np.log(2) / 2, rtol=1e-3)
        np.testing.assert_allclose(x.grad.data, [[0, 0, 0], [0, -0.25, 0.25]], rtol=1e-3)


def test_labels_are_checked_and_kept():
    x = Tensor(A, requires_grad=True)
    for wrong in (-1, 3, 2**63):
        with pytest.raises(ValueError, match="is not one of the 3 classes"):
            F.cross_entropy(x, np.full(5, wrong, np.uint64 if wrong > 3 else np.int64))
    labels = LABELS.copy()
    loss = F.cross_entropy(x, labels)
    labels[:] = 0
    loss.backward()
    np.testing.assert_allclose(x.grad.data, (np.exp(LOGS) - F.one_hot(LABELS, 3)) / 5, rtol=1e-6)
    assert F.cross_entropy(np.array([[1, 1], [2, 2]]), [0, 1]).item() == pytest.approx(np.log(2))  # integers
    ignored = F.cross_entropy(A, np.array([0, 2, 1, 1, 2]), ignore_index=1)
    assert ignored.item() == pytest.approx(PICKED[LABELS != 1].mean())


@pytest.mark.parametrize(("kind", "options", "arrays", "each"), TABLE, ids=IDS)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_targets_of_whole_numbers_and_weights_leave_the_dtype_of_the_prediction(kind, options, arrays, each, dtype):
    if "Triplet" in kind.__name__ or (arrays[-1].dtype.kind != "f" and dtype is bool):
        pytest.skip("has no target, or one of labels")
    signs = kind in (nn.MarginRankingLoss, nn.CosineEmbeddingLoss)
    inputs = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    whole = np.abs(np.round(inputs[1 + signs])).astype(dtype)
    inputs[1 + signs] = whole
    if kind in (nn.CrossEntropyLoss, nn.NLLLoss, nn.NLLLoss2d) and arrays[1].dtype.kind == "f":
        pytest.skip("takes whole numbers for labels")
    x = Tensor(inputs[0], requires_grad=True)
    loss = kind(**options)(x, *inputs[1:])
    assert loss.dtype == np.float32
    expected = [*inputs]
    expected[1 + signs] = whole.astype(np.float32 if arrays[1 + signs].dtype.kind == "f" else np.int64)
    np.testing.assert_array_equal(loss.data, kind(**options)(*map(Tensor, expected)).data)


@pytest.mark.parametrize(("kind", "options"), [(kind, o) for kind, o, *_ in TABLE if {*o} & {"weight", "pos_weight"}])
def test_weights_of_a_loss_are_in_its_state(kind, options):
    loss, own = kind(**options), {*options} & {"weight", "pos_weight"}
    assert loss.state_dict().keys() == own and loss.parameters() == []
    loss.load_state_dict({name: 2 * options[name] for name in own})
    for name in own:
        np.testing.assert_array_equal(getattr(loss, name).data, 2 * options[name])
        learned = Tensor(options[name], requires_grad=True)
        assert getattr(kind(**{**options, name: learned}), name) is learned
    assert {array.dtype for array in loss.to(np.float32).state_dict().values()} == {np.dtype(np.float32)}


def test_a_variance_may_be_the_same_along_axes():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 3, 5))
    for shape in ((), (4, 3), (4, 3, 1), (1, 3, 5), (4, 1, 1)):
        var = rng.uniform(0.5, 2, size=shape)
        wide = np.broadcast_to(var[..., None] if shape == (4, 3) else var, x.shape)
        found = F.gaussian_nll_loss(x, y, var, reduction="none")
        np.testing.assert_array_equal(found, F.gaussian_nll_loss(x, y, wide, reduction="none"))
        assert gradcheck(lambda v: F.gaussian_nll_loss(x, y, v, full=True), [var])
    with pytest.raises(ValueError, match=r"a variance of shape \(3,\) for predictions of shape \(4, 3, 5\)"):
        F.gaussian_nll_loss(x, y, np.ones(3))
