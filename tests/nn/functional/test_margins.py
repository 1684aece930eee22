"""Losses by margins beside PyTorch's (extra `oracle`), over random options, and what they refuse."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import nn
import nn.functional as F
from autograd import Tensor, hessian
from nn.functional import margins


def random_case(name, seed):
    """Arguments and options of a loss."""
    r = np.random.default_rng(seed)
    n, classes = int(r.integers(1, 5)), int(r.integers(1, 5))
    x, y, z = r.normal(size=(3, n, classes)) * 2
    signs, labels = r.choice([-1.0, 1.0], (n, classes)), r.integers(0, classes, n)
    weight = r.uniform(0.5, 2.0, classes)
    margin = float(r.uniform(0.1, 2.0))
    listed = np.array([[*r.permutation(classes)[:k], *[-1] * (classes - k)] for k in r.integers(0, classes + 1, n)])
    triplet = (x, y, z), {"margin": margin, "swap": bool(r.integers(2))}
    return {
        "poisson_nll_loss": (
            (x, r.poisson(2.0, x.shape).astype(float)), {"full": bool(r.integers(2)), "eps": 0.1},
        ),
        "soft_margin_loss": ((x * 100, signs), {}),
        "margin_ranking_loss": ((x, y, signs), {"margin": margin}),
        "multi_margin_loss": ((x, labels), {"p": int(r.integers(1, 3)), "margin": margin, "weight": weight}),
        "multilabel_margin_loss": ((x, listed), {}),
        "multilabel_soft_margin_loss": ((x * 30, r.integers(0, 2, x.shape).astype(float)), {"weight": weight}),
        "triplet_margin_loss": (triplet[0], {**triplet[1], "p": float(r.choice([1.0, 2.0, 3.0]))}),
        "triplet_margin_with_distance_loss": triplet,
        "pairwise_distance": ((x, y), {"p": float(r.choice([1.0, 2.0, 3.0])), "keepdim": bool(r.integers(2))}),
    }[name]  # fmt: skip


NAMES = margins.__all__
ONES = np.ones((2, 3))


@pytest.mark.parametrize("name", NAMES)
@given(st.integers(0, 2**32))
def test_values_and_gradients_are_pytorchs(name, seed):
    torch = pytest.importorskip("torch")
    arrays, options = random_case(name, seed)
    for reduction in ("mean", "sum", "none")[: 1 if name == "pairwise_distance" else 3]:
        more = {} if name == "pairwise_distance" else {"reduction": reduction}
        theirs = {key: torch.tensor(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
        if name == "triplet_margin_with_distance_loss":
            theirs["distance_function"] = None
        ours = [Tensor(a, requires_grad=i == 0) for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        torchs = [torch.tensor(a, requires_grad=i == 0) for i, a in enumerate(arrays)]
        fixed = [a for a in arrays if a.dtype.kind != "f"]
        mine = getattr(F, name)(*ours, *fixed, **options, **more)
        other = getattr(torch.nn.functional, name)(*torchs, **theirs, **more)
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=1e-9, atol=1e-12)
        mine.sum().backward()
        other.sum().backward()
        np.testing.assert_allclose(ours[0].grad.data, torchs[0].grad.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_the_dtype_is_that_of_the_scores_and_second_derivatives_exist(name, dtype):
    arrays, options = random_case(name, 7)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    x = Tensor(arrays[0], requires_grad=True)
    loss = getattr(F, name)(x, *arrays[1:], **options)
    loss.sum().backward()
    assert loss.dtype == x.grad.dtype == dtype and np.isfinite(x.grad.data).all()
    arrays, options = random_case(name, 7)
    second = hessian(lambda x: getattr(F, name)(x, *arrays[1:], **options).sum())(arrays[0])
    assert np.isfinite(second).all()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (lambda: F.soft_margin_loss(np.ones(2), np.array([1.0, 0.0])), "targets are 1 or -1; got 0"),
        (lambda: F.margin_ranking_loss(np.ones(2), np.ones(2), np.zeros(2)), "targets are 1 or -1"),
        (lambda: F.margin_ranking_loss(np.ones(2), np.ones(2), np.ones(1)), "shape"),
        (lambda: F.multi_margin_loss(np.ones((2, 3)), np.zeros(3, int)), r"labels of shape \(3,\)"),
        (lambda: F.multi_margin_loss(np.ones((2, 3)), np.array([0, 3])), "label 3"),
        (lambda: F.multi_margin_loss(np.ones((2, 3)), np.zeros(2, int), p=3), "p is 1 or 2"),
        (lambda: F.multi_margin_loss(np.ones((2, 3)), np.zeros(2, int), weight=np.ones(2)), "one number per class"),
        (lambda: F.multi_margin_loss(np.ones((2, 3, 1)), np.zeros(2, int)), r"scores are \(classes,\)"),
        (lambda: F.multilabel_margin_loss(np.ones((1, 3)), np.array([[0, 3, -1]])), "label 3"),
        (lambda: F.multilabel_margin_loss(np.ones((1, 3)), np.array([[0, -1]])), "shape"),
        (lambda: F.triplet_margin_loss(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2)), margin=0.0), "margin must"),
        (lambda: F.triplet_margin_loss(np.ones((1, 2)), np.ones((1, 2)), np.ones((2, 2))), "shape"),
        (lambda: F.poisson_nll_loss(np.ones(2), np.ones(3)), "shape"),
        (lambda: nn.LinearCrossEntropyLoss(2, 3, weight=np.ones(2)), "one number per class"),
        (lambda: nn.LinearCrossEntropyLoss(2, 3, label_smoothing=2.0), "label_smoothing is a share"),
        (lambda: nn.LinearCrossEntropyLoss(2, 3, reduction="all"), "reduction is"),
        (lambda: nn.LinearCrossEntropyLoss(2, 3)(np.ones((2, 3)), [0, 1]), "x is"),
        (
            lambda: F.linear_cross_entropy(np.ones((2, 3)), np.ones((4, 3)), [0, 1], linear_bias=np.ones(3)),
            "the bias is",
        ),
        (
            lambda: F.linear_cross_entropy(np.ones((1, 1)), np.ones((2, 1)), np.ones((1, 2)), ignore_index=1),
            "ignore_index",
        ),
    ],
)
def test_what_does_not_fit_is_refused(program, words):
    with pytest.raises(ValueError, match=words):
        program()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("out", [(), (2,)])
@pytest.mark.parametrize(
    "options", [{}, {"weight": np.array([0.5, 1.0, 2.0]), "label_smoothing": 0.1, "ignore_index": 1}]
)
def test_a_loss_with_a_layer_of_its_own_is_pytorchs(bias, out, options):
    torch = pytest.importorskip("torch")
    mine = nn.LinearCrossEntropyLoss(4, 3, out_features=out, bias=bias, **options).double()
    theirs = {key: torch.tensor(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
    other = torch.nn.LinearCrossEntropyLoss(4, 3, out_features=out, bias=bias, dtype=torch.float64, **theirs)
    state = mine.state_dict()
    other.load_state_dict({key: torch.tensor(x) for key, x in state.items()}, strict=False)
    r = np.random.default_rng(0)
    x, target = r.normal(size=(5, 4)), r.integers(0, 3, (5, *out))
    loss = mine(x, target)
    np.testing.assert_allclose(loss.item(), other(torch.tensor(x), torch.tensor(target)).item(), rtol=1e-10)
    loss.backward()
    assert mine.linear.weight.grad is not None and (mine.linear.bias is None) is (not bias)
