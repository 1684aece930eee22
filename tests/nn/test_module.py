"""Modules, layers, losses and SGD."""

from __future__ import annotations

import copy
import gc
import pickle
import tracemalloc

import numpy as np
import pytest

import nn
from autograd import Tensor
from nn import functional


class Net(nn.Module):
    def __init__(self):
        self.first = nn.Linear(3, 4)
        self.blocks = [nn.Linear(4, 4), {"last": nn.Linear(4, 2, bias=False)}]
        self.tied = self.first
        self.scale = Tensor(2.0, requires_grad=True)

    def forward(self, x):
        return self.blocks[1]["last"](np.tanh(self.blocks[0](self.first(x)))) * self.scale


def test_parameters_are_found_by_walking_and_shared_ones_count_once():
    net = Net()
    names = [name for name, _ in net.named_parameters()]
    expected = "blocks.0.bias blocks.0.weight blocks.1.last.weight first.bias first.weight scale"
    assert sorted(names) == expected.split()
    assert len(net.parameters()) == 6
    assert net(np.ones((5, 3))).shape == (5, 2)
    assert "blocks.1.last" not in repr(nn.Sequential())
    assert "(last) Linear(4 -> 2, bias=False): 8 parameters" in repr(net)


def test_train_and_eval_reach_all_modules():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU()))
    assert not any(m.training for _, m in net.eval().named_modules())
    assert all(m.training for _, m in net.train().named_modules())


def test_sequential_is_a_sequence():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert len(net) == 3 and list(net)[1] is net[1] and len(net[:2]) == 2 and net[-1] is net[2]
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    with pytest.raises(TypeError, match="argument 0 is function"):
        nn.Sequential(lambda x: x)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
def test_linear_is_the_matrix_product(shape):
    layer = nn.Linear(3, 4, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data.T + layer.bias.data)
    bare = nn.Linear(3, 4, bias=False, dtype=np.float64)
    np.testing.assert_allclose(bare(x).data, x @ bare.weight.data.T)


def test_the_same_seed_gives_the_same_bits():
    def made(seed):
        nn.manual_seed(seed)
        return nn.Linear(5, 5).weight.data.tobytes()

    assert made(3) == made(3) != made(4)
    rng = [np.random.default_rng(0) for _ in range(2)]
    np.testing.assert_array_equal(*(nn.Linear(4, 2, generator=r).weight.data for r in rng))
    assert np.abs(nn.Linear(4, 100).weight.data).max() <= 0.5
    assert np.abs(nn.init.kaiming_uniform_(nn.Parameter(np.empty((100, 6))), nonlinearity="relu").data).max() <= 1


ACTIVATIONS = [
    *(nn.ReLU(), nn.LeakyReLU(), nn.PReLU(), nn.ELU(), nn.SELU(), nn.CELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU()),
    *(nn.Mish(), nn.Softplus(), nn.Sigmoid(), nn.Tanh(), nn.Hardtanh(), nn.Softmax(), nn.LogSoftmax()),
]


def test_activations_stay_finite_over_the_whole_range():
    big = np.finfo(np.float32).max / 2  # SELU multiplies by 1.05
    x = Tensor(np.float32([-big, -100, 0, 100, big]), requires_grad=True)
    for layer in ACTIVATIONS:
        x.grad = None
        y = layer(x)
        y.backward(np.ones(5, np.float32))
        assert np.isfinite(y.data).all() and np.isfinite(x.grad.data).all() and y.dtype == np.float32
    np.testing.assert_allclose(nn.Sigmoid()(x).data, [0, np.exp(-100), 0.5, 1, 1], rtol=0.05)
    np.testing.assert_allclose(nn.Softmax()(x).data.sum(), 1)


def test_cross_entropy_of_extreme_logits():
    logits = Tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = functional.cross_entropy(logits, [1, 1])
    assert loss.item() == 1e4
    loss.backward()
    np.testing.assert_array_equal(logits.grad.data, [[0.5, -0.5], [0, 0]])
    masked = Tensor([[0.0, 0.0, -np.inf]], requires_grad=True)
    loss = functional.cross_entropy(masked, [1])
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    np.testing.assert_array_equal(masked.grad.data, [[0.5, -0.5, 0]])


def test_losses_and_their_reductions():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    rows = -np.log(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[range(4), labels]
    one_hot = np.eye(3)[labels]
    for reduction, expected in (("mean", rows.mean()), ("sum", rows.sum()), ("none", rows)):
        loss_of = nn.CrossEntropyLoss(reduction=reduction)
        np.testing.assert_allclose(loss_of(Tensor(logits), labels).data, expected)
        np.testing.assert_allclose(loss_of(Tensor(logits), Tensor(labels)).data, expected)
        np.testing.assert_allclose(loss_of(Tensor(logits), one_hot).data, expected)
    assert nn.MSELoss()(Tensor([1.0, 3.0]), np.array([0.0, 1.0])).item() == 2.5
    x = Tensor(logits, requires_grad=True)
    nn.CrossEntropyLoss()(x, labels).backward()
    np.testing.assert_allclose(x.grad.data, (functional.softmax(logits) - one_hot) / 4)


def test_sgd_with_momentum_follows_its_formula():
    p = Tensor([1.0, -2.0], requires_grad=True)
    optimizer = nn.SGD([p], lr=0.1, momentum=0.9)
    x, v = p.data.copy(), np.zeros(2)
    for _ in range(20):
        optimizer.zero_grad()
        (p * p * p).sum().backward()
        optimizer.step()
        v = 0.9 * v + 3 * x**2
        x = x - 0.1 * v
        np.testing.assert_allclose(p.data, x, rtol=1e-12)
        if np.abs(x).max() > 10:
            break
    assert optimizer.state[0]["velocity"].shape == (2,)


def test_sgd_leaves_parameters_without_a_gradient_alone():
    p, q = Tensor(1.0, requires_grad=True), Tensor(1.0, requires_grad=True)
    optimizer = nn.SGD([p, q], lr=0.5)
    (p * 2).backward()
    optimizer.step()
    assert p.item() == 0 and q.item() == 1


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        (lambda: nn.Linear(3, 2)(np.ones((4, 5))), ValueError, r"length 3; got shape \(4, 5\)"),
        (lambda: functional.cross_entropy(Tensor(np.ones((2, 3))), [0, -1]), ValueError, r"label -1 at \(1,\)"),
        (lambda: functional.cross_entropy(Tensor(np.ones((2, 3))), [0, 3]), ValueError, "3 classes"),
        (lambda: functional.cross_entropy(Tensor(np.ones((2, 3))), [0]), ValueError, "one integer label per row"),
        (
            lambda: functional.cross_entropy(Tensor(np.ones((2, 3))), np.ones(3)),
            ValueError,
            "a probability for each class",
        ),
        (lambda: functional.one_hot([0.5], 2), TypeError, "integers"),
        (lambda: functional.mse_loss(np.ones((5, 1)), np.ones(5)), ValueError, r"\(5, 1\).*\(5,\)"),
        (lambda: nn.MSELoss("average"), ValueError, "reduction"),
        (lambda: functional.mse_loss(np.ones(1), np.ones(1), "all"), ValueError, "reduction"),
        (lambda: nn.SGD([], lr=1), ValueError, "no parameters"),
        (lambda: nn.SGD(Tensor(1.0, requires_grad=True), lr=1), TypeError, "list"),
        (lambda: nn.SGD([Tensor(1.0)], lr=1), TypeError, "parameter 0"),
        (lambda: nn.SGD([Tensor(1.0, requires_grad=True)] * 2, lr=1), ValueError, "twice"),
        (lambda: nn.SGD([Tensor(1.0, requires_grad=True)], lr=-1), ValueError, "learning rate"),
        (lambda: nn.SGD([Tensor(1.0, requires_grad=True)], lr=1, momentum=1), ValueError, "momentum"),
        (lambda: nn.Module()(1), TypeError, "forward"),
    ],
)
def test_errors_say_what_to_do(program, kind, words):
    with pytest.raises(kind, match=words):
        program()


def test_modules_copy_and_pickle():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other(np.ones(2)).data, net(np.ones(2)).data)
        assert other[0].weight is not net[0].weight


def test_a_thousand_training_steps_leave_no_garbage_and_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 4)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(int)
    nn.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    loss_of, optimizer = nn.CrossEntropyLoss(), nn.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step():
        loss = loss_of(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    first = step()
    gc.collect()
    gc.freeze()  # exclude the objects that exist now
    gc.disable()
    tracemalloc.start()
    try:
        sizes = []
        for i in range(1000):
            last = step()
            assert gc.collect() == 0
            if i >= 100 and i % 100 == 0:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
        gc.enable()
        gc.unfreeze()
    assert max(sizes) - min(sizes) < 20_000
    assert last < first / 10


def test_a_subclass_of_sequential_and_a_remembered_activation():
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(2, 2), nn.Tanh())
            self.head = nn.Linear(2, 1)

        def forward(self, x):
            self.hidden = super().forward(x)
            return self.head(self.hidden)

    net = Net()
    net(np.ones((3, 2), np.float32))
    assert {name for name, _ in net.named_parameters()} == {"0.weight", "0.bias", "head.weight", "head.bias"}


def test_what_cross_entropy_takes():
    logits = [[0.0, 1.0], [1.0, 0.0]]
    expected = functional.cross_entropy(np.array(logits), np.array([1, 0]))
    assert functional.cross_entropy(logits, [1, 0]) == expected
    assert functional.cross_entropy(logits[0], 1) == pytest.approx(expected)
    assert functional.cross_entropy(np.zeros((0, 2)), [], reduction="sum") == 0
    assert functional.cross_entropy(Tensor(np.float32(logits)), np.eye(2)).dtype == np.float32
    for wrong in ([True, False], [1.0, 0.0]):
        with pytest.raises(TypeError, match="integers"):
            functional.cross_entropy(logits, wrong)
    with pytest.raises(ValueError, match="one integer label per row"):
        functional.cross_entropy(logits, [1, 0, 1])
    with pytest.raises(ValueError, match="at least one node"):
        nn.Linear(-2, 3)
