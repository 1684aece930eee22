"""Initial values beyond the tables of the layers: their distributions, exact values, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autograd import Tensor
from nn import init


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -2.0, 2.0), (1.0, 2.0, -0.1, 0.3), (0.0, 1.0, 3.0, 4.0), (5.0, 1.0, -1.0, 1.0)],
)
def test_truncated_normal_numbers_have_the_truncated_density(mean, std, a, b, dtype):
    w = init.trunc_normal_(Tensor(np.zeros((200, 100), dtype)), mean, std, a, b, np.random.default_rng(0))
    assert w.dtype == dtype and a <= float(w.data.min()) and float(w.data.max()) <= b

    def below(x):
        return math.erf((x - mean) / std / math.sqrt(2))

    numbers = np.sort(w.data.astype(float).ravel())
    share = np.array([(below(x) - below(a)) / (below(b) - below(a)) for x in numbers])
    assert np.abs(share - (np.arange(numbers.size) + 0.5) / numbers.size).max() < (
        0.02 if dtype != np.float16 else 0.05
    )


def test_exact_initial_values():
    torch = pytest.importorskip("torch")
    for shape in ((2, 3), (3, 2), (0, 2)):
        mine, theirs = init.eye_(Tensor(np.ones(shape))), torch.nn.init.eye_(torch.ones(shape, dtype=torch.float64))
        np.testing.assert_array_equal(mine.data, theirs.numpy())
    for shape, groups in (((4, 2, 3), 2), ((4, 2, 3), 1), ((2, 4, 3, 2), 1), ((6, 2, 3, 2, 3), 3)):
        mine = init.dirac_(Tensor(np.ones(shape)), groups)
        theirs = torch.nn.init.dirac_(torch.ones(shape, dtype=torch.float64), groups)
        np.testing.assert_array_equal(mine.data, theirs.numpy())


def test_sparse_columns():
    w = init.sparse_(Tensor(np.zeros((40, 300), np.float32)), 0.31, std=2.0, generator=np.random.default_rng(0))
    assert ((w.data == 0).sum(axis=0) == 13).all() and w.dtype == np.float32
    assert 1.9 < w.data[w.data != 0].std() < 2.1 and (w.data == 0).any(axis=1).all()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (lambda: init.trunc_normal_(Tensor([1.0]), a=1.0, b=1.0), "needs a < b"),
        (lambda: init.trunc_normal_(Tensor([1.0]), std=0.0), "std > 0"),
        (lambda: init.eye_(Tensor([1.0])), "fills matrices"),
        (lambda: init.sparse_(Tensor([1.0]), 0.1), "fills matrices"),
        (lambda: init.sparse_(Tensor([[1.0]]), 1.1), "sparsity is a share"),
        (lambda: init.dirac_(Tensor([[1.0]])), "one to three more axes"),
        (lambda: init.dirac_(Tensor(np.ones((3, 1, 1))), 2), "divided into 2 groups"),
    ],
)
def test_wrong_arguments(program, words):
    with pytest.raises(ValueError, match=words):
        program()
