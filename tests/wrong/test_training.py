"""Wrong programs of optimisers, data, training and files: each says what to do, and its repair runs."""

from __future__ import annotations

import contextlib

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


def plateau(**options):
    return nn.ReduceLROnPlateau(nn.SGD(parameters(), lr=0.1), **options)


def train(model, optimizer, order="zero backward step"):
    for _ in range(2):
        loss = F.cross_entropy(model(X), Y)
        for word in order.split():
            {"zero": optimizer.zero_grad, "backward": loss.backward, "step": optimizer.step}[word]()


def trained(order):
    model = network()
    train(model, nn.SGD(model.parameters(), lr=0.1), order)


def trained_with(change):
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    model = change(model) or model
    train(model, optimizer)


def stepped(gradient):
    w = Tensor(np.ones((2, 3)), requires_grad=True)
    w.grad = gradient
    nn.SGD([w], lr=0.1, weight_decay=0.1).step()


def loaded(kind, other):
    models = [network(), network()]
    optimizers = [make(m.parameters(), lr=0.1) for make, m in zip((kind, other), models, strict=True)]
    train(models[0], optimizers[0])
    optimizers[1].load_state_dict(optimizers[0].state_dict())


def closure(model, backward=True, returns=True):
    def run():
        model.zero_grad()
        loss = F.cross_entropy(model(X), Y)
        if backward:
            loss.backward()
        return loss if returns else None

    return run


def lbfgs(**options):
    model = network()
    nn.LBFGS(model.parameters()).step(closure(model, **options))


def fitted(*args, **options):
    return nn.fit(*(args or (network(), X, Y)), epochs=options.pop("epochs", 1), progress=False, **options)


class Samples:
    """A dataset of the given samples."""

    def __init__(self, *samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        return self.samples[i]


def batches(*samples):
    return list(nn.DataLoader(Samples(*samples), batch_size=2))


DATA = nn.TensorDataset(X, Y)
BIG = nn.DataLoader(DATA, batch_size=10, drop_last=True)

# A wrong program; the error, and words of its message; the program after the repair that the message suggests.
TABLE = [
    # optimisers
    (lambda: nn.SGD(network()), TypeError, r"model.parameters\(\); got Sequential", lambda: nn.SGD(parameters())),
    (lambda: nn.SGD(network().parameters), TypeError, "got method", lambda: nn.SGD(parameters())),
    (
        lambda: nn.SGD(network().named_parameters()),
        TypeError,
        "got tuple; model.parameters",
        lambda: nn.SGD(p for _, p in network().named_parameters()),
    ),
    (lambda: nn.SGD([weight() * 2]), TypeError, "the result of multiply", lambda: nn.SGD([weight()])),
    (
        lambda: nn.SGD([Tensor(1.0)]),
        TypeError,
        "make it Tensor\\(value, requires_grad=True\\), or an nn.Parameter, which may be frozen",
        lambda: nn.SGD([*frozen().parameters(), nn.Parameter(1.0, requires_grad=False)]),
    ),
    (lambda: nn.SGD([]), ValueError, "nn.Parameters", lambda: nn.SGD(parameters())),
    (lambda: nn.SGD([{"lr": 1.0}]), TypeError, '"params"', lambda: nn.SGD([{"params": parameters(), "lr": 1.0}])),
    (
        lambda: nn.SGD([{"params": weight()}]),
        TypeError,
        '"params" is a list',
        lambda: nn.SGD([{"params": [weight()]}]),
    ),
    (lambda: nn.SGD(parameters(), lr="0.1"), TypeError, "lr is a number; got '0.1'", lambda: nn.SGD(parameters(), 0.1)),
    (lambda: nn.SGD(parameters(), lr=np.inf), ValueError, "and finite; got inf", lambda: nn.SGD(parameters(), 0.1)),
    (
        lambda: nn.Adam(parameters(), betas=0.9),
        ValueError,
        "two numbers",
        lambda: nn.Adam(parameters(), betas=(0.9, 0.99)),
    ),
    (
        lambda: setattr(nn.SGD(parameters()), "lr", -1.0),
        ValueError,
        "at least 0",
        lambda: setattr(nn.SGD(parameters()), "lr", 1.0),
    ),
    (
        lambda: trained("backward zero step"),
        UserWarning,
        "zero_grad.. before backward",
        lambda: trained("zero backward step"),
    ),
    (lambda: trained("step backward zero"), UserWarning, "found no gradient", lambda: trained("zero backward step")),
    (
        lambda: trained_with(lambda m: network()),
        UserWarning,
        "the model's current parameters",
        lambda: trained_with(lambda m: None),
    ),
    (
        lambda: stepped(np.ones((2, 3))),
        TypeError,
        "got ndarray of shape .2, 3.",
        lambda: stepped(ones(2, 3)),
    ),
    (lambda: stepped(ones(3, 2)), TypeError, "must be a Tensor of shape .2, 3.", lambda: stepped(ones(2, 3))),
    (lambda: loaded(nn.Adam, nn.SGD), ValueError, "another kind of optimiser", lambda: loaded(nn.SGD, nn.SGD)),
    (lambda: loaded(nn.SGD, nn.Adam), ValueError, "only one of them has amsgrad", lambda: loaded(nn.Adam, nn.Adam)),
    (
        lambda: nn.SGD(parameters()).load_state_dict(network().state_dict()),
        ValueError,
        r"as its state_dict\(\) returns",
        lambda: nn.SGD(parameters()).load_state_dict(nn.SGD(parameters()).state_dict()),
    ),
    (lambda: lbfgs(backward=False), ValueError, "left no gradients", lambda: lbfgs()),
    (lambda: lbfgs(returns=False), TypeError, "returns the loss, .* NoneType", lambda: lbfgs()),
    (lambda: nn.StepLR(0.1, 2), TypeError, "takes an optimiser; got float", lambda: nn.StepLR(nn.SGD(parameters()), 2)),
    (lambda: nn.StepLR(sgd(), 0), ValueError, "step_size must be", lambda: nn.StepLR(sgd(), 1)),
    (lambda: nn.CosineAnnealingLR(sgd(), 0), ValueError, "T_max", lambda: nn.CosineAnnealingLR(sgd(), 1)),
    (lambda: nn.LinearLR(sgd(), total_iters=0), ValueError, "total_iters", lambda: nn.LinearLR(sgd(), total_iters=1)),
    (lambda: nn.ReduceLROnPlateau(0.1), TypeError, "takes an optimiser", lambda: nn.ReduceLROnPlateau(sgd())),
    (
        lambda: nn.StepLR(sgd(), 1).load_state_dict(nn.ExponentialLR(sgd(), 0.5).state_dict()),
        ValueError,
        "another kind of schedule than StepLR",
        lambda: nn.StepLR(sgd(), 1).load_state_dict(nn.StepLR(sgd(), 2).state_dict()),
    ),
    (
        lambda: nn.clip_grad_norm_(network(), 1.0),
        TypeError,
        "got Sequential",
        lambda: nn.clip_grad_norm_(parameters(), 1),
    ),
    (lambda: nn.clip_grad_norm_([], -1.0), ValueError, "max_norm", lambda: nn.clip_grad_norm_([], 1.0)),
    (lambda: nn.clip_grad_value_([], -1.0), ValueError, "clip_value", lambda: nn.clip_grad_value_([], 1.0)),
    # data
    (lambda: nn.DataLoader(X), TypeError, r"nn.TensorDataset\(X, y\)", lambda: nn.DataLoader(DATA)),
    (lambda: nn.DataLoader((X, Y), 2), TypeError, "got tuple", lambda: nn.DataLoader(DATA, 2)),
    (lambda: nn.DataLoader(iter([1])), TypeError, r"with len\(\) and \[i\]", lambda: nn.DataLoader([(1,)])),
    (lambda: nn.DataLoader(DATA, Y), TypeError, "batch_size is a whole number", lambda: nn.DataLoader(DATA, 2)),
    (lambda: batches(X[0], X[1]), TypeError, "gave ndarray", lambda: batches((X[0],), (X[1],))),
    (lambda: batches({"x": 1}, {"x": 2}), TypeError, "gave dict", lambda: batches((1,), (2,))),
    (
        lambda: batches((X[0], 0), (X[1, :2], 1)),
        ValueError,
        r"part 0 .* several shapes: \(2,\), \(3,\)",
        lambda: batches((X[0], 0), (X[1], 1)),
    ),
    (lambda: nn.TensorDataset(np.array(1.0)), ValueError, "one row per sample", lambda: nn.TensorDataset(np.ones(1))),
    (lambda: nn.Subset(DATA, [-1]), IndexError, "sample -1: the samples are 0 .. 5", lambda: nn.Subset(DATA, [5])),
    (lambda: nn.Subset(DATA, [6]), IndexError, "sample 6", lambda: nn.Subset(DATA, [5])),
    (lambda: nn.Subset(DATA, [0.5]), TypeError, "sample numbers, or a mask", lambda: nn.Subset(DATA, Y == 0)),
    # training and inference
    (lambda: fitted(X, Y, network()), TypeError, "takes a module first; got ndarray", lambda: fitted(network(), X, Y)),
    (lambda: fitted(nn.Linear, X, Y), TypeError, "got the class Linear", lambda: fitted(nn.Linear(3, 2), X, Y)),
    (lambda: fitted(loss="mse"), TypeError, "loss is a function", lambda: fitted(loss=nn.CrossEntropyLoss())),
    (lambda: fitted(loss=nn.CrossEntropyLoss), TypeError, r"such as nn.CrossEntropyLoss\(\)", lambda: fitted()),
    (lambda: fitted(optimizer="adam"), TypeError, "optimizer is an object", lambda: fitted()),
    (lambda: fitted(optimizer=nn.Adam), TypeError, r"such as nn.Adam\(model.parameters\(\)\)", lambda: fitted()),
    (lambda: fitted(optimizer=sgd()), ValueError, "none of the model's parameters", lambda: fitted()),
    (lambda: fitted(epochs=1.5), ValueError, "whole numbers", lambda: fitted(epochs=2)),
    (
        lambda: fitted(callbacks=nn.EarlyStopping()),
        TypeError,
        "are a list of",
        lambda: fitted(callbacks=[nn.EarlyStopping()]),
    ),
    (lambda: fitted(batch_size=None), ValueError, "single batch", lambda: fitted(batch_size=len(X))),
    *(
        (lambda f=f, n=n: f(network(), X, batch_size=n), ValueError, "a single batch", lambda f=f: f(network(), X))
        for f in (nn.predict, nn.predict_proba)
        for n in (None, 0, 1.5)
    ),
    (lambda: nn.EarlyStopping(restore_best_weights=True), TypeError, "write restore=True", nn.EarlyStopping),
    (lambda: fitted().loss, AttributeError, r"write history\['loss'\]", lambda: fitted()["loss"]),
    (lambda: plateau(verbose=True), TypeError, r"get_last_lr", plateau),
    (lambda: plateau().step(), TypeError, r"step\(loss\) needs", lambda: plateau().step(1.0)),
    (lambda: network().summary(), AttributeError, r"use nn.summary\(model, x\)", lambda: nn.summary(network(), X)),
    (lambda: network().save("a.npz"), AttributeError, r"use nn.save\(model", network),
    (lambda: fitted(validation=X), TypeError, r"a pair \(X, y\)", lambda: fitted(validation=(X, Y))),
    (lambda: fitted(validation=0.999), ValueError, "leaves none to learn from", lambda: fitted(validation=0.5)),
    (lambda: fitted(network(), BIG), ValueError, "drop_last leaves out 6 samples", lambda: fitted(network(), DATA)),
    (lambda: fitted(metrics=["acuracy"], epochs=0), ValueError, "not a metric", lambda: fitted(metrics="accuracy")),
    (
        lambda: fitted(metrics=nn.accuracy),
        TypeError,
        "metrics are names, or",
        lambda: fitted(metrics={"a": nn.accuracy}),
    ),
    (
        lambda: fitted(network(), X, np.array(list("abbaba"))),
        ValueError,
        "np.unique",
        lambda: fitted(network(), X, np.unique(list("abbaba"), return_inverse=True)[1]),
    ),
    (
        lambda: fitted(nn.Linear(3, 1), X, (Y == 1)[:, None]),
        ValueError,
        r"y.astype\(int\)",
        lambda: fitted(nn.Linear(3, 1), X, (Y == 1)[:, None], loss=nn.BCEWithLogitsLoss()),
    ),
    (
        lambda: fitted(network(), X * np.float32(np.nan), Y),
        nn.TrainingError,
        "came in as nan at .0, 0. of input 0 of linear",
        lambda: fitted(network(), X, Y),
    ),
    (
        lambda: nn.evaluate(network(), X, metrics="accuracy"),
        ValueError,
        r"evaluate\(model, X, y\)",
        lambda: nn.evaluate(network(), X, Y, metrics="accuracy"),
    ),
    (
        lambda: nn.evaluate(network(), X, Y[:3]),
        ValueError,
        "6 samples and 3 labels",
        lambda: nn.evaluate(network(), X, Y),
    ),
    (
        lambda: nn.accuracy(PAIR, np.array([[0], [1]])),
        ValueError,
        r"shape \(2,\); got \(2, 1\)",
        lambda: nn.accuracy(PAIR, np.array([0, 1])),
    ),
    (lambda: nn.accuracy(P, np.array([-1, 1])), ValueError, "from -1 to 1", lambda: nn.accuracy(P, np.array([0, 1]))),
    # files
    (lambda: nn.save([1.0], "a.npz"), TypeError, "a dict of arrays first; got list", lambda: None),
    (lambda: nn.save(network(), "/nowhere/a.npz"), FileNotFoundError, "no folder /nowhere", lambda: None),
    (lambda: network().load_state_dict("a.npz"), TypeError, r"nn.load\(path, model\)", lambda: None),
    (
        lambda: network().load_state_dict(network()),
        TypeError,
        r"as state_dict\(\) gives; got Sequential",
        lambda: network().load_state_dict(network().state_dict()),
    ),
]


def weight():
    return nn.Parameter(np.ones((2, 3), np.float32))


def ones(*shape):
    return Tensor(np.ones(shape))


def sgd():
    return nn.SGD(parameters(), lr=0.1)


def frozen():
    model = network()
    model[0].requires_grad_(False)
    return model


@pytest.mark.parametrize(("program", "kind", "words", "repair"), TABLE, ids=[row[2] for row in TABLE])
def test_wrong_programs_say_what_to_do_and_it_works(program, kind, words, repair):
    with pytest.raises(kind, match=words):
        program()
    repair()


def test_a_frozen_part_is_left_alone_by_fit():
    model = frozen()
    before = model.state_dict()
    fitted(model, X, Y)
    assert model[0].weight.data is before["0.weight"] and model[2].weight.data is not before["2.weight"]


def test_a_schedule_of_schedules_is_kept_and_taken_up(tmp_path):
    def run(epochs, folder):
        model = network()
        optimizer = nn.SGD(model.parameters(), lr=0.1)
        parts = [nn.LinearLR(optimizer, total_iters=2), nn.StepLR(optimizer, 1, 0.5)]
        schedule = nn.SequentialLR(optimizer, parts, [2])
        callbacks = [nn.LRSchedule(schedule), nn.Checkpoint(folder)]
        nn.fit(model, X, Y, optimizer=optimizer, epochs=epochs, callbacks=callbacks, progress=False)
        assert schedule.schedulers[0] is parts[0] and parts[0].optimizer is optimizer
        return [p.data.tolist() for p in model.parameters()], optimizer.lr

    whole = run(5, tmp_path / "whole")
    run(3, tmp_path / "parts")
    assert run(5, tmp_path / "parts") == whole


def test_early_stopping_where_no_epoch_had_a_number():
    validation = (np.full((2, 3), np.nan, np.float32), Y[:2])
    history = fitted(epochs=9, callbacks=[nn.EarlyStopping(patience=2)], validation=validation)
    assert history.epochs == 2 and "val_loss" in history.stopped
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    with pytest.raises(KeyError, match="LRSchedule watches 'speed'"):
        fitted(model, X, Y, optimizer=optimizer, callbacks=[nn.LRSchedule(nn.ReduceLROnPlateau(optimizer), "speed")])


def test_one_tensor_is_clipped_as_a_list_of_one():
    w = Tensor([3.0, 4.0], requires_grad=True)
    w.sum().backward(retain_graph=True)
    assert nn.clip_grad_norm_(w, 0.5) == pytest.approx(2**0.5) and np.linalg.norm(w.grad.data) < 0.51
    nn.clip_grad_value_(w, 0.1)
    assert w.grad.tolist() == [0.1, 0.1]


def test_the_gradients_of_a_failed_explanation_are_not_kept():
    model = network()
    with contextlib.suppress(nn.TrainingError):
        fitted(model, X * np.float32(np.nan), Y)
    assert all(p.grad is None for p in model.parameters())


def test_a_compiled_model_is_saved_as_the_model_is(tmp_path):
    model = network()
    nn.save(autograd.compile(model), tmp_path / "a.npz")
    other = nn.load(tmp_path / "a.npz")
    assert all(np.array_equal(other[name], array) for name, array in model.state_dict().items())
