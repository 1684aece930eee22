"""Layers, activations and initial values against their formulas."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
import nn.functional as F
from autograd import Tensor

RNG = np.random.default_rng(0)


def test_activations_follow_their_formulas():
    x = np.linspace(-4, 4, 17)
    sigma = 1 / (1 + np.exp(-x))
    cdf = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    below = np.exp(x) - 1
    for mine, formula in [
        (nn.LeakyReLU(0.1), np.where(x > 0, x, 0.1 * x)),
        (nn.PReLU(dtype=float), np.where(x > 0, x, 0.25 * x)),
        (nn.ELU(0.5), np.where(x > 0, x, 0.5 * below)),
        (nn.CELU(2.0), np.where(x > 0, x, 2 * (np.exp(x / 2) - 1))),
        (nn.SELU(), 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * below)),
        (nn.GELU(), x * cdf),
        (nn.GELU("tanh"), 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
        (nn.SiLU(), x * sigma),
        (nn.Mish(), x * np.tanh(np.log1p(np.exp(x)))),
        (nn.Softplus(2.0), np.log1p(np.exp(2 * x)) / 2),
        (nn.Sigmoid(), sigma),
        (nn.Hardtanh(-1, 2), np.clip(x, -1, 2)),
        (nn.LogSoftmax(), x - np.log(np.exp(x).sum())),
        (nn.GLU(), x[:8] * sigma[8:16]),
    ]:
        given = x[:16] if isinstance(mine, nn.GLU) else x
        np.testing.assert_allclose(mine(Tensor(given)).data, formula, rtol=1e-13, atol=1e-15)


def test_sigmoid_keeps_its_digits_far_from_0():
    x = np.array([-700.0, -100.0, -30.0])
    np.testing.assert_allclose(F.sigmoid(x), np.exp(x) / (1 + np.exp(x)), rtol=1e-15)


def test_norms_standardise():
    x = RNG.normal(size=(6, 4)) * 3 + 5
    rows = nn.LayerNorm(4, dtype=float)(Tensor(x)).data
    np.testing.assert_allclose([rows.mean(axis=1), rows.var(axis=1)], [[0] * 6, [1] * 6], atol=1e-4)
    columns = nn.BatchNorm1d(4, dtype=float)(Tensor(x)).data
    np.testing.assert_allclose([columns.mean(axis=0), columns.var(axis=0)], [[0] * 4, [1] * 4], atol=1e-4)
    scaled = nn.RMSNorm(4, dtype=float)(Tensor(x)).data
    np.testing.assert_allclose(scaled, x / np.sqrt((x**2).mean(axis=1, keepdims=True)))


def test_batch_norm_keeps_running_means_for_eval():
    layer = nn.BatchNorm1d(2, momentum=0.5, dtype=float)
    x = RNG.normal(size=(50, 2))
    layer(x)
    np.testing.assert_allclose(layer.running_mean.data, 0.5 * x.mean(axis=0))
    np.testing.assert_allclose(layer.running_var.data, 0.5 + 0.5 * x.var(axis=0, ddof=1))
    before = layer.state_dict()
    y = layer.eval()(x).data
    expected = (x - before["running_mean"]) / np.sqrt(before["running_var"] + 1e-5)
    np.testing.assert_allclose(y, expected)
    assert all(before[name] is array for name, array in layer.state_dict().items())
    assert before["num_batches_tracked"] == 1
    bare = nn.BatchNorm1d(2, track_running_stats=False, affine=False).eval()
    np.testing.assert_allclose(bare(x).data if isinstance(bare(x), Tensor) else bare(x), F.standardize(x, axis=0))


def test_dropout_keeps_the_mean_and_is_off_in_eval():
    x = np.ones((200, 200))
    layer = nn.Dropout(0.25, generator=np.random.default_rng(0))
    y = layer(Tensor(x)).data
    assert set(np.unique(y)) == {0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.01
    assert layer.eval()(x) is x and nn.Dropout(0)(x) is x
    assert not nn.Dropout(1.0)(Tensor(x)).data.any()
    t = Tensor([np.inf, 1.0], requires_grad=True)
    out = F.dropout(t, 1.0)
    out.backward(np.array([np.inf, 1.0]))
    assert not out.data.any() and not t.grad.data.any()


def test_embedding_looks_rows_up_and_leaves_the_padding_alone():
    table = nn.Embedding(5, 3, padding_idx=-1, dtype=float)
    assert not table.weight.data[4].any() and table.weight.data[:4].all()
    y = table([[0, 4], [0, 1]])
    assert y.shape == (2, 2, 3)
    y.sum().backward()
    np.testing.assert_array_equal(table.weight.grad.data[:, 0], [2, 1, 0, 0, 0])


def test_flatten_identity_and_bilinear():
    x = RNG.normal(size=(2, 3, 4, 5))
    assert nn.Flatten()(Tensor(x)).shape == (2, 60) and nn.Flatten(1, 2)(x).shape == (2, 12, 5)
    assert nn.Identity(1, key=2)(x) is x
    layer = nn.Bilinear(4, 5, 2, dtype=float)
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 5))
    expected = [[p @ w @ q for w in layer.weight.data] for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(layer(a, b).data, np.array(expected) + layer.bias.data)


def test_orthogonal_rows_or_columns_are_orthonormal():
    for shape in [(3, 7), (7, 3), (4, 2, 2)]:
        w = nn.init.orthogonal_(nn.Parameter(np.empty(shape)), gain=2.0).data.reshape(shape[0], -1)
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_initialisers_use_the_generator_that_they_are_given():
    for fill in (
        nn.init.uniform_,
        nn.init.normal_,
        nn.init.xavier_uniform_,
        nn.init.kaiming_normal_,
        nn.init.orthogonal_,
    ):
        a, b = (fill(nn.Parameter(np.empty((4, 3))), generator=np.random.default_rng(5)).data for _ in range(2))
        np.testing.assert_array_equal(a, b)
    assert (
        not nn.init.zeros_(nn.Parameter(np.ones(3))).data.any() and nn.init.ones_(nn.Parameter(np.zeros(3))).data.all()
    )


def test_the_same_seed_gives_the_same_bits_in_another_process():
    program = (
        "import nn, hashlib; nn.manual_seed(7);"
        "net = nn.Sequential(nn.Linear(9, 8), nn.Embedding(5, 4), nn.Bilinear(2, 3, 4));"
        "x = nn.functional.dropout(net[0].weight.data);"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in [*net.state_dict().values(), x])).hexdigest())"
    )
    root = Path(__file__).parents[2]
    runs = [
        subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert len(runs[0]) == 65 and runs[0] == runs[1]


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        (lambda: nn.Bilinear(2, 3, 1)(np.ones(2), np.ones(2)), ValueError, "Bilinear"),
        (lambda: nn.BatchNorm1d(3)(np.ones((2, 4))), ValueError, r"\(n, 3\)"),
        (lambda: nn.BatchNorm1d(3)(np.ones((1, 3))), ValueError, "more than one value"),
        (lambda: F.batch_norm(np.ones(3), None, None), ValueError, "channels"),
        (lambda: nn.LayerNorm(3)(np.ones((2, 4))), ValueError, "last axes"),
        (lambda: nn.Dropout(1.5), ValueError, "probability"),
        (lambda: F.dropout(np.ones(3), -0.1), ValueError, "probability"),
        (lambda: nn.Dropout(0.5, generator=3)(np.ones(3)), TypeError, "Generator"),
        (lambda: nn.Embedding(3, 2)([3]), ValueError, "3 is not one of the 3 rows"),
        (lambda: nn.Embedding(3, 2)([-1]), ValueError, "-1"),
        (lambda: nn.Embedding(3, 2)([0.5]), TypeError, "integers"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx"),
        (lambda: nn.Flatten(2, 1)(np.ones((1, 2, 3))), ValueError, "axis 2"),
        (lambda: F.glu(np.ones(3)), ValueError, "odd"),
        (lambda: F.gelu(np.ones(3), approximate="erf"), ValueError, "approximate"),
        (lambda: F.prelu(np.ones((2, 3)), np.ones(2)), ValueError, "one per channel"),
        (lambda: F.huber_loss(np.ones(3), np.ones(3), delta=0), ValueError, "delta"),
        (lambda: F.smooth_l1_loss(np.ones(3), np.ones(3), beta=-1), ValueError, "beta"),
        (lambda: F.binary_cross_entropy(np.full(2, 1.5), np.ones(2)), ValueError, "probabilities"),
        (lambda: F.gaussian_nll_loss(np.ones(2), np.ones(2), -np.ones(2)), ValueError, "negative"),
        (lambda: F.cross_entropy(np.ones((2, 3)), [0, 1], np.ones(2)), ValueError, "one number per class"),
        (lambda: F.cross_entropy(np.ones((2, 3)), [0, 1], label_smoothing=2), ValueError, "share"),
        (lambda: F.cosine_embedding_loss(np.ones((2, 3)), np.ones((2, 3)), np.ones(3)), ValueError, "targets"),
        (lambda: nn.KLDivLoss(reduction="all"), ValueError, "batchmean"),
        (lambda: nn.init.xavier_normal_(nn.Parameter(np.ones(3))), ValueError, "axes"),
        (lambda: nn.init.kaiming_normal_(nn.Parameter(np.ones((3, 3))), mode="in"), ValueError, "fan_in"),
        (lambda: nn.init.calculate_gain("cosine"), ValueError, "nonlinearity"),
    ],
)
def test_errors_say_what_to_do(program, kind, words):
    with pytest.raises(kind, match=words):
        program()


def test_every_label_ignored_is_nan_as_in_pytorch():
    assert math.isnan(F.cross_entropy(np.ones((2, 3)), np.array([-100, -100])))
