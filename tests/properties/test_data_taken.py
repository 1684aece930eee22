"""What one entry takes as data, the others take, with the same result; and no exception of users ends data silently."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor

N = 9
X = np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


class Indexed:
    """What a dataset of another library is: len and [i]."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        return X[i], Y[i]


class Own(Indexed, nn.Dataset):
    pass


class OfTensors(Indexed):
    def __getitem__(self, i):
        return Tensor(X[i]), Tensor(Y[i])


PAIRS = [*zip(X, Y, strict=True)]

# Data with labels: as the arguments of fit, evaluate and predict.  A DataLoader takes what has labels in it.
WITH_LABELS = {
    "arrays": (X, Y),
    "lists": (X.tolist(), Y.tolist()),
    "tuples of rows": (tuple(map(tuple, X.tolist())), tuple(Y.tolist())),
    "Tensors": (Tensor(X), Tensor(Y)),
    "a pair": ((X, Y),),
    "a TensorDataset": (nn.TensorDataset(X, Y),),
    "a Subset": (nn.Subset(PAIRS, range(N)),),
    "a Dataset": (Own(),),
    "a list of samples": (PAIRS,),
    "an object with len and [i]": (Indexed(),),
    "samples that are Tensors": (OfTensors(),),
    "a DataLoader": (nn.DataLoader(nn.TensorDataset(X, Y), 4),),
    "a DataLoader of a list": (nn.DataLoader(PAIRS, 4),),
    "a DataLoader of a tuple": (nn.DataLoader(tuple(PAIRS), 4),),
    "a DataLoader with a thread": (nn.DataLoader(PAIRS, 4, prefetch=2),),
}


def fitted(*data, **options):
    model = network()
    nn.fit(model, *data, epochs=2, batch_size=4, progress=False, generator=np.random.default_rng(1), **options)
    return model


def shuffled(data):
    """The same data; a DataLoader with the order that fit draws."""
    if not isinstance(data[0], nn.DataLoader):
        return data
    return (nn.DataLoader(data[0].dataset, 4, shuffle=True, generator=np.random.default_rng(1)),)


LOSS = nn.CrossEntropyLoss()
ENTRIES = {
    "fit": lambda data: fitted(*shuffled(data)).state_dict()["0.weight"],
    "validation": lambda data: list(
        nn.fit(
            network(), X, Y, epochs=2, validation=data if len(data) == 2 else data[0], progress=False,
            generator=np.random.default_rng(1), metrics="accuracy",
        )["val_loss"]
    ),
    "evaluate": lambda data: nn.evaluate(network(), *data, loss=LOSS)["loss"],
    "predict": lambda data: nn.predict(network(), data[0]),
    "predict_proba": lambda data: nn.predict_proba(network(), data[0]),
    "a compiled model": lambda data: nn.predict(autograd.compile(network()), data[0], batch_size=4),
}  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", WITH_LABELS)
def test_every_entry_takes_every_kind_of_data(kind, entry):
    expected, found = (ENTRIES[entry](WITH_LABELS[name]) for name in ("arrays", kind))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # lists are float64


@pytest.mark.parametrize("kind", [name for name, data in WITH_LABELS.items() if len(data) == 1 and name != "a pair"])
def test_a_loader_takes_what_fit_takes_alone(kind):
    data = WITH_LABELS[kind][0]
    loader = data if isinstance(data, nn.DataLoader) else nn.DataLoader(data, 4)
    for i, (x, y) in enumerate(loader):
        np.testing.assert_array_equal(x, X[4 * i : 4 * i + 4])
        np.testing.assert_array_equal(y, Y[4 * i : 4 * i + 4])


@pytest.mark.parametrize("kind", [k for k in WITH_LABELS if "DataLoader" not in k])
def test_a_share_is_held_out_of_every_kind(kind):
    expected, found = (fitted(*WITH_LABELS[name], validation=0.3).state_dict() for name in ("arrays", kind))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)


REFUSED = {
    "a generator": lambda: ((pair for pair in PAIRS),),
    "an iterator": lambda: (iter(PAIRS),),
    "zip": lambda: (zip(X, Y, strict=True),),
    "a set": lambda: ({1, 2},),
    "a string": lambda: ("data.csv",),
    "a number": lambda: (3.0,),
    "nothing": lambda: (None,),
    "samples of two lengths": lambda: ([(X[0], 1), (X[1],)],),
    "samples that are dicts": lambda: ([{"x": X[0], "y": 1}] * 2,),
    "samples with None": lambda: ([(X[0], None)] * 2,),
    "no samples": lambda: ([],),
    "rows of two lengths": lambda: ([[1.0], [1.0, 2.0]], [0, 1]),
}


@pytest.mark.parametrize("entry", ["fit", "evaluate", "validation"])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_entry_takes_is_refused_in_our_words(kind, entry):
    if (kind, entry) == ("nothing", "validation"):
        return  # the default
    with pytest.raises((TypeError, ValueError)) as caught:
        ENTRIES[entry](REFUSED[kind]())
    assert not any(word in str(caught.value) for word in ("zip()", "unpack", "object has no", "has no len()"))
    assert any(word in str(caught.value) for word in ("sample", "rows", "pair", "label"))


@pytest.mark.parametrize("kind", ["a generator", "an iterator", "zip", "a set", "a number"])
def test_predict_and_loaders_refuse_these_too(kind):
    (data,) = REFUSED[kind]()
    with pytest.raises((TypeError, ValueError), match=r"sample|rows"):
        nn.predict(network(), data)
    with pytest.raises(TypeError, match="DataLoader takes a Dataset"):
        nn.DataLoader(data)


# ---- inputs and outputs in dicts


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 2), nn.Linear(1, 2)

    def forward(self, x, more=None):
        a, b = (x["a"], x["b"]) if more is None else (x, more)
        return self.left(a) + self.right(b)


DICT = {"a": X, "b": X[:, :1]}
SAMPLES = [({"a": x, "b": x[:1]}, y) for x, y in PAIRS]


def test_a_model_of_two_inputs_is_trained_on_dicts():
    found = []
    for data in [(DICT, Y), ((DICT, Y),), (nn.TensorDataset(DICT, Y),), (SAMPLES,), (nn.DataLoader(SAMPLES, 4),)]:
        nn.manual_seed(0)
        model = TwoInputs()
        history = nn.fit(
            model, *shuffled(data), epochs=2, batch_size=4, progress=False, generator=np.random.default_rng(1),
            metrics="accuracy", validation=None if isinstance(data[0], nn.DataLoader) else 0.3,
        )  # fmt: skip
        if "val_loss" in history:
            found.append([*history["loss"], *history["val_loss"], nn.evaluate(model, *data, loss=LOSS)["loss"]])
        assert nn.predict(model, data[0], batch_size=4).shape == (N, 2)
    for row in found:
        np.testing.assert_allclose(row, found[0], rtol=1e-6)
    for held in ((DICT, Y), SAMPLES, nn.DataLoader(SAMPLES, 4), nn.TensorDataset(DICT, Y)):
        history = nn.fit(model, DICT, Y, epochs=1, validation=held, progress=False)
        assert history["val_loss"] == pytest.approx([nn.evaluate(model, DICT, Y, loss=LOSS)["loss"]])


def test_labels_in_a_dict_go_to_the_loss_and_outputs_keep_their_structure():
    def loss(predictions, y):
        return (nn.CrossEntropyLoss(reduction="none")(predictions, y["label"]) * y["weight"]).mean()

    labels = {"label": Y, "weight": np.linspace(0, 1, N, dtype=np.float32)}
    model = fitted(X, labels, loss=loss)
    expected = float(loss(nn.predict(model, X), labels))
    assert nn.evaluate(model, X, labels, loss=loss)["loss"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="a loss of your own"):
        fitted(X, labels)

    class Several(nn.Module):
        def forward(self, x):
            return {"sum": x.sum(axis=1), "both": (x, [x * 2])}

    found = nn.predict(Several(), X, batch_size=4)
    np.testing.assert_allclose(found["sum"], X.sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found["both"][1][0], X * 2)


def test_summary_of_two_inputs_and_of_a_dict():
    model = TwoInputs()
    rows = [(layer.name, layer.shape, layer.flops) for layer in nn.summary(model, X, X[:, :1])]
    assert rows == [("left", (N, 2), N * 2 * 6), ("right", (N, 2), N * 2 * 2)]
    assert [*nn.summary(model, DICT)] == [*nn.summary(model, X, X[:, :1])]


def test_samples_of_three_parts_say_where_to_put_the_third():
    for entry in ("fit", "evaluate", "validation"):
        with pytest.raises(ValueError, match="have 3 parts; put several inputs"):
            ENTRIES[entry](([(x, x, y) for x, y in PAIRS],))


# ---- exceptions that Python's loops take for the end


class Raising(nn.Dataset):
    """A dataset whose sample 5 raises; its samples have no end for [i]."""

    def __init__(self, error, where="[i]"):
        self.error, self.where = error, where

    def __len__(self):
        return N

    def __getitem__(self, i):
        if self.where == "[i]" and i % N == 5:
            raise self.error("of the user")
        return X[i % N], Y[i % N]

    def batch(self, rows):
        if self.where == "batch" and 5 in rows:
            raise self.error("of the user")
        return super().batch(rows)


class Foreign(Raising):
    """The same without our base class."""

    def __new__(cls, error, where):
        inner = Raising(error, "[i]")
        made = type("Foreign", (), {"__len__": lambda self: N, "__getitem__": lambda self, i: inner[i]})
        return made()


def wrapped_in_subset(error, where):
    return nn.Subset(Raising(error, where), np.arange(N))


def walk(data):
    for _ in data:
        pass


READERS = {
    "for": walk,
    "list": list,
    "reversed": lambda data: walk(reversed(data)),
    "in": lambda data: "nothing" in data,
    "zip": lambda data: walk(zip(data, range(N), strict=True)),
    "a loader": lambda data: walk(nn.DataLoader(data, 2)),
    "a shuffled loader": lambda data: walk(nn.DataLoader(data, 2, shuffle=True)),
    "a loader with a thread": lambda data: walk(nn.DataLoader(data, 2, prefetch=2)),
    "fit": lambda data: fitted(data),
    "fit of a loader": lambda data: fitted(nn.DataLoader(data, 2)),
    "fit with a share": lambda data: fitted(data, validation=0.3),
    "validation": lambda data: fitted(X, Y, validation=data),
    "metrics": lambda data: nn.evaluate(network(), data, metrics="accuracy"),
    "predict": lambda data: nn.predict(network(), data),
    "predict of a loader": lambda data: nn.predict(network(), nn.DataLoader(data, 2, prefetch=1)),
    "predict_proba": lambda data: nn.predict_proba(network(), data),
    "random_split": lambda data: [walk(part) for part in nn.random_split(data, [0.5, 0.5])],
}
LOOPS = ("for", "list", "reversed", "in", "zip")
CASES = [
    (reader, make, where)
    for reader in READERS
    for make in (Raising, wrapped_in_subset, Foreign)
    for where in ("[i]", "batch")
    if not (make is Foreign and (where == "batch" or reader in LOOPS))
    and not (where == "batch" and (reader in LOOPS or reader == "random_split"))
]


@pytest.mark.parametrize("error", [StopIteration, IndexError, StopAsyncIteration, GeneratorExit, KeyError])
@pytest.mark.parametrize(("reader", "make", "where"), CASES)
def test_an_exception_in_a_dataset_never_ends_the_data(reader, make, where, error):
    with pytest.raises(RuntimeError if error is StopIteration else error) as caught:
        READERS[reader](make(error, where))
    if error is StopIteration:
        assert "end the data silently" in str(caught.value) and isinstance(caught.value.__cause__, StopIteration)


def test_a_loop_over_a_dataset_ends_with_its_length():
    endless = Raising(ValueError, "nowhere")
    assert len(list(endless)) == N == len([*reversed(endless)])
    assert [int(y) for _, y in nn.TensorDataset(X, Y)] == Y.tolist()


@pytest.mark.parametrize("error", [StopIteration, IndexError])
def test_an_exception_of_a_model_a_loss_or_a_metric_arrives(error):
    def raising(*_):
        raise error

    class Broken(nn.Linear):
        forward = raising

    for call in (
        lambda: nn.predict(Broken(3, 2), X),
        lambda: nn.evaluate(network(), X, Y, loss=raising),
        lambda: nn.evaluate(network(), X, Y, metrics={"m": raising}),
        lambda: nn.fit(Broken(3, 2), X, Y, progress=False),
        lambda: fitted(X, Y, loss=raising),
    ):
        with pytest.raises((error, RuntimeError)):
            call()


def test_a_loader_of_two_samples_in_a_tuple_is_not_a_pair():
    loader = nn.DataLoader(tuple(PAIRS[:2]), 2, shuffle=True)
    history = nn.fit(network(), loader, epochs=1, metrics="accuracy", validation=loader, progress=False)
    assert history["val_accuracy"] == history["accuracy"]
    assert nn.predict(network(), loader).shape == (2, 2)


Point = namedtuple("Point", "x y")


def test_samples_may_be_named_tuples():
    samples = [Point(x, y) for x, y in PAIRS]
    np.testing.assert_array_equal(ENTRIES["fit"]((samples,)), ENTRIES["fit"]((X, Y)))
