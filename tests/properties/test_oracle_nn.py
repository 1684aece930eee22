"""Layers, activations, losses and initial values compared with PyTorch's (extra `oracle`)."""

from __future__ import annotations

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor

torch = pytest.importorskip("torch")
TF = torch.nn.functional


def compare(mine, theirs, *arrays, rtol=1e-10, atol=1e-12):
    """Values, and the gradients of their sum weighted by 1, 2, 3, ... with respect to every floating-point array."""
    ours = [Tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in arrays]
    torchs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, t = mine(*ours), theirs(*torchs)
    np.testing.assert_allclose(y.data, t.detach().numpy(), rtol=rtol, atol=atol)
    weights = np.arange(1, y.size + 1, dtype=y.dtype).reshape(y.shape)
    y.backward(weights)
    t.backward(torch.tensor(weights))
    for a, b in zip(ours, torchs, strict=True):
        if isinstance(a, Tensor) and b.grad is not None:
            np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=rtol, atol=atol)


WIDE = np.concatenate([np.random.default_rng(0).normal(size=40) * 3, [-700.0, -50.0, 50.0, 700.0, -1e300, 1e300]])
SMOOTH = ["relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "sigmoid", "hardtanh"]


@pytest.mark.parametrize("name", SMOOTH)
def test_activations(name):
    theirs = {"sigmoid": torch.sigmoid}.get(name) or getattr(TF, name)
    compare(getattr(F, name), theirs, WIDE)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("leaky_relu", (0.3,)),
        ("elu", (0.7,)),
        ("celu", (0.7,)),
        ("softplus", (2.0, 5.0)),
        ("hardtanh", (-0.5, 2.0)),
        ("softmax", (1,)),
        ("log_softmax", (0,)),
        ("glu", (1,)),
        ("glu", (0,)),
    ],
)
def test_activations_with_arguments(name, args):
    x = np.random.default_rng(1).normal(size=(4, 6, 2)) * 3
    rtol = 1e-6 if name == "celu" else 1e-10  # PyTorch rounds the alpha of CELU to float32
    compare(lambda t: getattr(F, name)(t, *args), lambda t: getattr(TF, name)(t, *args), x, rtol=rtol)


def test_gelu_approximated_and_prelu():
    x = WIDE[:40].reshape(5, 4, 2)
    compare(lambda t: F.gelu(t, approximate="tanh"), lambda t: TF.gelu(t, approximate="tanh"), x)
    for weight in (np.array([0.3]), np.array([0.1, 0.2, 0.3, 0.4])):
        compare(F.prelu, TF.prelu, x, weight)


def test_dense_functions():
    rng = np.random.default_rng(2)
    x, w, b = rng.normal(size=(2, 5, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    compare(F.linear, TF.linear, x, w, b)
    compare(F.linear, TF.linear, x, w)
    compare(F.bilinear, TF.bilinear, x, rng.normal(size=(2, 5, 2)), rng.normal(size=(4, 3, 2)), b)
    indices = np.array([[0, 2, 2], [1, 0, 3]])
    compare(lambda t: F.embedding(indices, t), lambda t: TF.embedding(torch.tensor(indices), t), w)
    compare(lambda t: F.embedding(indices, t, 2), lambda t: TF.embedding(torch.tensor(indices), t, 2), w)
    gain, shift = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    compare(
        lambda *a: F.layer_norm(a[0], (5, 3), *a[1:]), lambda *a: TF.layer_norm(a[0], (5, 3), *a[1:]), x, gain, shift
    )
    compare(lambda *a: F.rms_norm(a[0], (5, 3), a[1]), lambda *a: TF.rms_norm(a[0], (5, 3), a[1]), x, gain)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4)])
def test_batch_norm_and_its_running_means(shape, momentum):
    rng = np.random.default_rng(3)
    mine = nn.BatchNorm1d(3, momentum=momentum, dtype=np.float64)
    theirs = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    for training in (True, True, False):
        mine.train(training), theirs.train(training)
        compare(mine, theirs, rng.normal(size=shape))
        for name, array in mine.state_dict().items():
            np.testing.assert_allclose(array, theirs.state_dict()[name].numpy(), rtol=1e-12)


def reductions(*more):
    return pytest.mark.parametrize("reduction", ["mean", "sum", "none", *more])


PAIR = np.random.default_rng(4).normal(size=(2, 5, 3)) * 2
P = np.random.default_rng(5).uniform(0.05, 0.95, size=(2, 5, 3))
SIGNS = np.sign(np.random.default_rng(6).normal(size=(5, 3)))
ROWS = P[0] / P[0].sum(axis=1, keepdims=True)
LOSSES = {
    "MSELoss": ({}, PAIR[0], PAIR[1]),
    "L1Loss": ({}, PAIR[0], PAIR[1]),
    "HuberLoss": ({"delta": 1.3}, PAIR[0], PAIR[1]),
    "SmoothL1Loss": ({"beta": 0.7}, PAIR[0], PAIR[1]),
    "GaussianNLLLoss": ({"full": True}, PAIR[0], PAIR[1], P[0]),
    "BCELoss": ({}, P[0], P[1]),
    "BCEWithLogitsLoss": ({}, PAIR[0] * 20, P[1]),
    "KLDivLoss": ({}, np.log(P[0]), P[1]),
    "HingeEmbeddingLoss": ({"margin": 1.5}, PAIR[0], SIGNS),
    "CosineEmbeddingLoss": ({"margin": 0.1}, PAIR[0], PAIR[1], SIGNS[:, 0]),
    "CrossEntropyLoss": ({"label_smoothing": 0.1}, PAIR[0], ROWS),
}


@reductions()
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_losses(name, reduction):
    options, *arrays = LOSSES[name]
    if name == "HingeEmbeddingLoss":  # PyTorch has no gradient of the target
        arrays[1] = arrays[1].astype(int)
    mine = getattr(nn, name)(reduction=reduction, **options)
    theirs = getattr(torch.nn, name)(reduction=reduction, **options)
    compare(mine, theirs, *arrays)


@reductions()
@pytest.mark.parametrize(
    "options", [{}, {"ignore_index": 2}, {"label_smoothing": 0.2}, {"ignore_index": 2, "label_smoothing": 0.2}]
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4)])
def test_cross_entropy_of_labels(shape, weighted, options, reduction):
    rng = np.random.default_rng(7)
    logits, labels = rng.normal(size=shape) * 3, rng.integers(0, 3, (shape[0], *shape[2:]))
    weight = np.array([0.5, 1.0, 2.5]) if weighted else None
    w = None if weight is None else torch.tensor(weight)
    mine = nn.CrossEntropyLoss(weight, reduction=reduction, **options)
    compare(mine, torch.nn.CrossEntropyLoss(w, reduction=reduction, **options), logits, labels)
    if "label_smoothing" not in options:
        mine = nn.NLLLoss(weight, reduction=reduction, **options)
        compare(mine, torch.nn.NLLLoss(w, reduction=reduction, **options), -np.abs(logits), labels)


@reductions()
def test_cross_entropy_of_weighted_probabilities(reduction):
    weight = np.array([0.5, 1.0, 2.5])
    rows = np.moveaxis(np.stack([ROWS] * 4), 0, -1)
    mine, theirs = (
        nn.CrossEntropyLoss(weight, reduction=reduction),
        torch.nn.CrossEntropyLoss(torch.tensor(weight), reduction=reduction),
    )
    compare(mine, theirs, np.moveaxis(np.stack([PAIR[0]] * 4), 0, -1), rows)


@reductions()
def test_weights_of_binary_losses(reduction):
    weight, pos_weight = P[1], np.array([0.5, 1.0, 3.0])
    compare(
        nn.BCEWithLogitsLoss(weight, reduction=reduction, pos_weight=pos_weight),
        torch.nn.BCEWithLogitsLoss(torch.tensor(weight), reduction=reduction, pos_weight=torch.tensor(pos_weight)),
        PAIR[0] * 20, P[0],
    )  # fmt: skip
    certain = np.array([0.0, 1.0, 1e-30]), np.array([1, 0, 1])
    compare(
        nn.BCELoss(reduction=reduction),
        lambda p, t: torch.nn.BCELoss(reduction=reduction)(p, t.double()),
        *certain,
        rtol=1e-8,  # PyTorch's bound of 1e-12 is a float32
    )
    right = Tensor([0.0, 1.0], requires_grad=True)
    nn.BCELoss(reduction="sum")(right, np.array([0, 1])).backward()
    np.testing.assert_array_equal(right.grad.data, [1.0, -1.0])  # the slopes, where PyTorch's bound makes them 0


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
@reductions("batchmean")
def test_kl_div_of_logs_and_zeros(reduction):
    compare(
        lambda x: nn.KLDivLoss(reduction=reduction, log_target=True)(x, np.log(P[1])),
        lambda x: torch.nn.KLDivLoss(reduction=reduction, log_target=True)(x, torch.tensor(np.log(P[1]))),
        np.log(P[0]),
    )
    target = np.where(P[1] > 0.5, P[1], 0.0)
    compare(
        lambda x: nn.KLDivLoss(reduction=reduction)(x, target),
        lambda x: torch.nn.KLDivLoss(reduction=reduction)(x, torch.tensor(target)),
        np.log(P[0]),
    )


@pytest.mark.parametrize(
    "name", ["uniform_", "normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"]
)
def test_initial_values_are_spread_as_pytorchs(name):
    shape = (300, 200)
    torch.manual_seed(0)
    theirs = getattr(torch.nn.init, name)(torch.empty(shape)).numpy()
    mine = getattr(nn.init, name)(nn.Parameter(np.empty(shape)), generator=np.random.default_rng(0)).data
    np.testing.assert_allclose([mine.mean(), mine.std()], [theirs.mean(), theirs.std()], atol=0.02 * theirs.std())
    np.testing.assert_allclose([mine.min(), mine.max()], [theirs.min(), theirs.max()], rtol=0.2, atol=0.001)


@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid", "linear", "selu", "leaky_relu"])
def test_gains(kind):
    assert nn.init.calculate_gain(kind) == pytest.approx(torch.nn.init.calculate_gain(kind))
