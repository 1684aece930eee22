"""Wrong programs of networks and losses: each says what was given and what to do, and its repair runs."""

from __future__ import annotations

import collections

import numpy as np
import pytest

import autograd
import nn
import nn.functional as F
from autograd import Tensor

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.array([0, 1, 1, 0, 1, 0])
PAIR, P = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.2, 0.9])


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def parameters():
    return network().parameters()


def holding(value):
    model = nn.Module()
    model.parts = value
    return model.parameters()


def replaced(value):
    layer = nn.Linear(3, 2)
    layer.weight = value
    return layer(X)


def counted(change):
    layer = nn.BatchNorm1d(3)
    change(layer)
    return layer.state_dict()["running_mean"]


class Returning(nn.Module):
    def __init__(self, returns):
        self.layer, self.returns = nn.Linear(3, 2), returns

    def forward(self, x):
        y = self.layer(x)
        return y if self.returns else None


def subclass(base, *args, call_super):
    """An object of a subclass of `base` with an __init__ of its own."""
    if call_super:

        class Sub(base):
            def __init__(self):
                super().__init__(*args)
                self.more = 1

    else:

        class Sub(base):
            def __init__(self):
                self.more = 1

    return Sub()


def in_the_body():
    class Shared(nn.Module):
        layer = nn.Linear(3, 2)


def in_init():
    class Own(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 2)

    return Own().parameters()


# A wrong program; the error, and words of its message; the program after the repair that the message suggests.
TABLE = [
    # modules
    *(
        (
            lambda base=base, args=args, use=use: use(subclass(base, *args, call_super=False)),
            AttributeError,
            rf"Sub does not call super\(\).__init__\(\), that of {base.__name__}$",
            lambda base=base, args=args, use=use: use(subclass(base, *args, call_super=True)),
        )
        for base, args, use in (
            (nn.Linear, (3, 2), lambda layer: layer(X)),
            (nn.Sequential, (nn.Linear(3, 2),), lambda model: model(X)),
            (nn.ModuleList, ([nn.Linear(3, 2)],), lambda model: model.parameters()),
            (nn.ModuleDict, ({"a": nn.Linear(3, 2)},), lambda model: model.parameters()),
            (nn.BatchNorm1d, (3,), lambda layer: layer(X)),
            (nn.CrossEntropyLoss, (), lambda loss: loss(network()(X), Y)),
            (nn.TensorDataset, (X, Y), lambda data: data[0]),
            (nn.SGD, (parameters(),), lambda optimizer: optimizer.zero_grad()),
        )
    ),
    (in_the_body, TypeError, "set self.layer in __init__", in_init),
    (lambda: holding({nn.Linear(3, 2)}), TypeError, "in a set, .* use a list", lambda: holding([nn.Linear(3, 2)])),
    (
        lambda: holding(collections.deque([nn.Linear(3, 2)])),
        TypeError,
        "in a deque",
        lambda: holding((nn.Linear(3, 2),)),
    ),
    (
        lambda: holding(np.array([nn.Linear(3, 2)], object)),
        TypeError,
        "in a ndarray",
        lambda: holding({"a": nn.Linear(3, 2)}),
    ),
    (lambda: replaced(np.ones((2, 3))), TypeError, "ndarray is not, .* not be learned", lambda: replaced(weight())),
    (lambda: replaced(weight() * 0.5), TypeError, "the result of multiply is not", lambda: replaced(weight())),
    (lambda: replaced(Tensor(np.ones((2, 3)))), TypeError, r"nn.Parameter\(value\)", lambda: replaced(weight())),
    (
        lambda: counted(lambda layer: setattr(layer, "running_mean", layer.running_mean * 0.9)),
        TypeError,
        r"a buffer, .* running_mean.assign",
        lambda: counted(lambda layer: layer.running_mean.assign(layer.running_mean.data * 0.9)),
    ),
    (lambda: loss_without_return(), TypeError, "lack its `return`", lambda: loss_without_return(True)),
    (
        lambda: nn.Sequential(Returning(False), nn.Linear(2, 2))(X),
        ValueError,
        "got None: does a forward",
        lambda: nn.Sequential(Returning(True), nn.Linear(2, 2))(X),
    ),
    (
        lambda: nn.Sequential(Returning(False), nn.ReLU())(X),
        TypeError,
        "relu: an input is None",
        lambda: nn.Sequential(Returning(True), nn.ReLU())(X),
    ),
    (lambda: nn.Linear(3.0, 2), TypeError, "in_features is a whole number; got 3.0", lambda: nn.Linear(3, 2)),
    (lambda: nn.Linear(3, "2"), TypeError, "out_features is a whole number; got '2'", lambda: nn.Linear(3, 2)),
    (lambda: nn.Embedding(2.5, 2), TypeError, "num_embeddings is a whole", lambda: nn.Embedding(2, 2)),
    (lambda: nn.BatchNorm1d("a"), TypeError, "num_features is a whole", lambda: nn.BatchNorm1d(3)),
    (lambda: nn.Dropout("0.5"), ValueError, "p is a probability, .* got '0.5'", lambda: nn.Dropout(0.5)),
    (lambda: nn.Flatten(5)(X), ValueError, "from axis 5 to -1 needs these axes", lambda: nn.Flatten(1)(X)),
    (lambda: nn.Flatten()(np.array(1.0)), ValueError, r"got shape \(\)", lambda: nn.Flatten(0)(X)),
    (lambda: nn.Bilinear(2, 3, 4)(X, X), ValueError, "have lengths 2 and 3", lambda: nn.Bilinear(3, 3, 4)(X, X)),
    (
        lambda: nn.BatchNorm1d(3)(X[:1]),
        ValueError,
        r"call model.eval\(\) first",
        lambda: nn.BatchNorm1d(3).eval()(X[:1]),
    ),
    # losses
    (lambda: nn.MSELoss(P, P), TypeError, r"first and then called: MSELoss\(\)\(", lambda: nn.MSELoss()(P, P)),
    (lambda: nn.MSELoss(P), TypeError, r"got ndarray .* MSELoss\(\)\(prediction", lambda: nn.MSELoss()(P, P)),
    (
        lambda: nn.CrossEntropyLoss(Tensor(PAIR)).backward(),
        AttributeError,
        "a module is called first",
        lambda: nn.CrossEntropyLoss()(Tensor(PAIR, requires_grad=True), [0, 1]).backward(),
    ),
    (lambda: F.cross_entropy(PAIR, [[0], [1]]), ValueError, r"labels\[..., 0\]", lambda: F.cross_entropy(PAIR, [0, 1])),
    (
        lambda: F.cross_entropy(PAIR, np.eye(2, dtype=int)),
        ValueError,
        r"probabilities as .astype\(float\)",
        lambda: F.cross_entropy(PAIR, np.eye(2, dtype=int).astype(float)),
    ),
    (lambda: F.mse_loss(None, P), TypeError, "the prediction is None", lambda: F.mse_loss(P, P)),
    (
        lambda: F.mse_loss(PAIR, P),
        ValueError,
        "use cross_entropy with integer",
        lambda: F.mse_loss(PAIR[:, 0], P),
    ),
    (
        lambda: F.l1_loss(np.uint8([1]), np.uint8([3])),
        TypeError,
        "wrap around at 0",
        lambda: F.l1_loss(np.float32([1]), np.uint8([3])),
    ),
    (
        lambda: F.binary_cross_entropy(P, np.array([2.0, 0.0])),
        ValueError,
        "targets are from 0 to 1; got 2.0",
        lambda: F.binary_cross_entropy(P, np.array([1.0, 0.0])),
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(P, np.array([-1.0, 1.0])),
        ValueError,
        r"labels -1 and 1 are \(target \+ 1\) / 2",
        lambda: F.binary_cross_entropy_with_logits(P, (np.array([-1.0, 1.0]) + 1) / 2),
    ),
    (
        lambda: F.binary_cross_entropy(PAIR[0], P),
        ValueError,
        "got 2.0 .for logits, binary_cross_entropy_with_logits",
        lambda: F.binary_cross_entropy_with_logits(PAIR[0], P),
    ),
    (
        lambda: F.hinge_embedding_loss(P, np.array([0.0, 1.0])),
        ValueError,
        "or -1 .unlike.; got 0.0",
        lambda: F.hinge_embedding_loss(P, np.array([-1.0, 1.0])),
    ),
    (
        lambda: F.cosine_embedding_loss(PAIR, PAIR, [0, 1]),
        ValueError,
        "or -1 .unlike.; got 0$",
        lambda: F.cosine_embedding_loss(PAIR, PAIR, [-1, 1]),
    ),
    (
        lambda: nn.NLLLoss()(PAIR, [0, 1]),
        UserWarning,
        "at most 0, but was given 2: pass nn.functional.log_softmax",
        lambda: nn.NLLLoss()(F.log_softmax(PAIR), [0, 1]),
    ),
    (lambda: nn.KLDivLoss()(P, P), UserWarning, r"pass np.log\(p\)", lambda: nn.KLDivLoss()(np.log(P), P)),
    (
        lambda: nn.CrossEntropyLoss()(PAIR[:, :1], [0, 0]),
        UserWarning,
        "always 0; .* BCEWithLogitsLoss",
        lambda: nn.BCEWithLogitsLoss()(PAIR[:, 0], np.array([0.0, 1.0])),
    ),
    (
        lambda: nn.CrossEntropyLoss()(PAIR, PAIR),
        UserWarning,
        "targets that are not probabilities",
        lambda: nn.CrossEntropyLoss()(PAIR, F.softmax(PAIR)),
    ),
    (
        lambda: nn.CrossEntropyLoss()(PAIR, Tensor(F.softmax(PAIR), requires_grad=True)),
        UserWarning,
        "swapped",
        lambda: nn.CrossEntropyLoss()(Tensor(PAIR, requires_grad=True), F.softmax(PAIR)),
    ),
]


def weight():
    return nn.Parameter(np.ones((2, 3), np.float32))


def loss_without_return(returns=False):
    return F.cross_entropy(Returning(returns)(X), Y)


@pytest.mark.parametrize(("program", "kind", "words", "repair"), TABLE, ids=[row[2] for row in TABLE])
def test_wrong_programs_say_what_to_do_and_it_works(program, kind, words, repair):
    with pytest.raises(kind, match=words):
        program()
    repair()


@pytest.mark.parametrize("library", ["torch"])
def test_arrays_of_another_library_are_read_or_refused(library):
    torch = pytest.importorskip(library)
    x, labels = Tensor(PAIR, requires_grad=True), torch.tensor([0, 1])
    F.cross_entropy(x, labels).backward()
    expected = x.grad.data
    x.grad = None
    F.cross_entropy(x, labels.numpy()).backward()
    np.testing.assert_array_equal(x.grad.data, expected)
    with pytest.raises(TypeError, match="class indices, integers; got float"):
        F.cross_entropy(x, torch.tensor([0.0, 1.0]))
    with pytest.raises(TypeError, match=r"add: NumPy cannot read this torch.Tensor .*detach"):
        x + torch.ones(2, requires_grad=True)
    assert Tensor(torch.ones(2)).dtype == np.float32 and autograd.gradcheck(np.sin, torch.ones(2).double())


def test_losses_look_at_their_first_batch_only():
    loss = nn.NLLLoss()
    with pytest.warns(UserWarning, match="log-probabilities"):
        loss(PAIR, [0, 1])
    assert loss(PAIR, [0, 1]).item() == pytest.approx(0.0)


def test_what_a_class_body_may_hold():
    class Plain(nn.Module):
        sizes, rate, array = (1, 2), 0.5, np.ones(2)

    assert Plain().parameters() == []
    with pytest.raises(AttributeError, match=r"'Plain' object has no attribute 'layer'$"):
        _ = Plain().layer
