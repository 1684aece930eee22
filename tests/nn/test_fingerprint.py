"""The fingerprint of a run: one for the same run, another for any change of data, model or settings."""

from __future__ import annotations

import functools
import subprocess
import sys

import numpy as np
import pytest

import nn
from callbacks import SCHEDULES
from nn import fingerprint as module

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def network(*layers):
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), *(layers or [nn.Tanh(), nn.Dropout(0.2)]), nn.Linear(4, 2))


def fitted(folder, X=X, Y=Y, model=None, make=nn.Adam, lr=0.01, callbacks=(), **options):
    model = network() if model is None else model
    optimizer = make(model.parameters(), lr=lr)
    options = {"epochs": 2, "batch_size": 16} | options
    extra = [callback(optimizer) if hasattr(callback, "takes_optimizer") else callback() for callback in callbacks]
    return nn.fit(
        model, X, Y, optimizer=optimizer, callbacks=[nn.Checkpoint(folder), *extra], progress=False, **options
    )


def plateau(optimizer):
    return nn.LRSchedule(nn.ReduceLROnPlateau(optimizer, patience=0, threshold=0.99))


plateau.takes_optimizer = True


def changed(array, place, value):
    other = array.copy()
    other[place] = value
    return other


class Doubled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2


class Images(nn.Dataset):
    """A dataset that reads one sample at a time, and may draw at random."""

    def __init__(self, arrays, noise=0.0):
        self.parts, self.noise, self.generator = arrays, noise, np.random.default_rng(5)

    def __len__(self):
        return len(self.parts[0])

    def __getitem__(self, i):
        x, y = (part[i] for part in self.parts)
        return (x + self.noise * self.generator.normal(size=x.shape)).astype(np.float32), y


def loader(batch_size=8, **options):
    return nn.DataLoader(nn.TensorDataset(X, Y), batch_size, **options)


class Named(nn.Module):
    """A model of a dict of arrays."""

    def __init__(self):
        nn.manual_seed(0)
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x["a"]) + self.layer(x["b"])


def loss(p, y):
    return nn.CrossEntropyLoss()(p, y)


def made(factor):
    return lambda p, y: nn.CrossEntropyLoss()(p, y) * factor


def scaled(p, y, factor=1.0):
    return loss(p, y) * factor


class Own(nn.Module):
    """A model with attributes of every kind of setting."""

    def __init__(self, act=np.tanh, mask=(1.0, 1.0), **options):
        nn.manual_seed(0)
        self.layer, self.act, self.mask = nn.Linear(3, 2), act, np.array(mask)
        self.calls, self.last = 0, None
        vars(self).update(options)

    def forward(self, x):
        self.calls += 1  # which is no setting
        self.last = (np.array(self.calls),)
        return self.act(self.layer(x)) * self.mask.astype(np.float32)


def stepped(gamma):
    def callback(optimizer):
        return nn.LRSchedule(nn.StepLR(optimizer, 1, gamma))

    callback.takes_optimizer = True
    return callback


def in_sequence(gamma):
    def callback(optimizer):
        parts = [nn.LinearLR(optimizer), nn.ExponentialLR(optimizer, gamma)]
        return nn.LRSchedule(nn.SequentialLR(optimizer, parts, [2]))

    callback.takes_optimizer = True
    return callback


WEIGHTS = np.float32([1.0, 2.0])
BASE = {
    "plain": {},
    "labels held out": {"validation": 0.25, "metrics": ["accuracy"]},
    "a pair": {"validation": (X[:5], Y[:5])},
    "a loader": {"X": loader(shuffle=True), "Y": None},
    "a dataset": {"X": Images((X, Y)), "Y": None},
    "normed": {"model": network(nn.BatchNorm1d(4))},
    "samples": {"X": [*zip(X, Y, strict=True)], "Y": None},
    "named": {"X": {"a": X, "b": X}, "model": Named()},
    "weighted": {"loss": nn.CrossEntropyLoss(weight=WEIGHTS)},
    "watched": {"callbacks": [nn.EarlyStopping]},
    "own": {"model": Own(pair=(1, 2.0), f=nn.functional.relu)},
    "a lambda": {"loss": lambda p, y: nn.CrossEntropyLoss()(p, y) * 2},
    "enclosed": {"loss": made(1.0)},
    "partial": {"loss": functools.partial(scaled, factor=1.0)},
    "a function to measure": {"metrics": {"a": lambda p, y: float(p.argmax(-1)[0])}},
    "steps": {"callbacks": [stepped(0.1)]},
    "steps in sequence": {"callbacks": [in_sequence(0.5)]},
    "noise": {"X": Images((X, Y), noise=0.1), "Y": None},
}
CHANGES = [
    ("plain", {"X": changed(X, (39, 2), 0.5)}, "data"),
    ("plain", {"Y": changed(Y, 0, 1 - Y[0])}, "data"),
    ("plain", {"X": X.astype(np.float64)}, "data"),
    ("plain", {"Y": Y.astype(np.int32)}, "data"),
    ("plain", {"X": X[:-1], "Y": Y[:-1]}, "data"),
    ("plain", {"X": X[::-1], "Y": Y[::-1]}, "data"),
    ("plain", {"model": network(nn.ReLU(), nn.Dropout(0.2))}, "model"),
    ("plain", {"model": network(nn.Tanh(), nn.Dropout(0.3))}, "model"),
    ("plain", {"model": network().double()}, "model"),
    ("normed", {"model": network(nn.BatchNorm1d(4, momentum=0.2))}, "model"),
    ("normed", {"model": network(nn.BatchNorm1d(4, eps=1e-3))}, "model"),
    ("plain", {"model": network(nn.Tanh(), Doubled(4, 4))}, "model"),
    ("plain", {"lr": 0.02}, "optimizer"),
    ("plain", {"make": nn.AdamW}, "optimizer"),
    ("plain", {"make": lambda p, lr: nn.Adam(p, lr, betas=(0.5, 0.9))}, "optimizer"),
    ("plain", {"make": lambda p, lr: nn.Adam(p[:2], lr)}, "optimizer"),
    ("plain", {"loss": nn.CrossEntropyLoss(reduction="sum")}, "loss"),
    ("plain", {"loss": loss}, "loss"),
    ("plain", {"batch_size": 8}, "batches"),
    ("plain", {"metrics": ["accuracy"]}, "metrics"),
    ("plain", {"validation": 0.5}, "validation data"),
    ("labels held out", {"validation": 0.5}, "validation data"),
    ("a pair", {"validation": (X[:5], 1 - Y[:5])}, "validation data"),
    ("a pair", {"validation": nn.TensorDataset(X[5:10], Y[5:10])}, "validation data"),
    ("a loader", {"X": loader(shuffle=True, drop_last=True)}, "batches"),
    ("a loader", {"X": loader()}, "batches"),
    ("a loader", {"X": loader(4, shuffle=True)}, "batches"),
    ("a loader", {"X": nn.DataLoader(nn.TensorDataset(X, 1 - Y), 8, shuffle=True)}, "data"),
    ("a dataset", {"X": Images((changed(X, (0, 0), 9.0), Y))}, "data"),
    ("samples", {"X": [*zip(X, 1 - Y, strict=True)]}, "data"),
    ("named", {"X": {"a": X, "b": X * 2}}, "data"),
    ("named", {"X": {"b": X, "a": X}}, "data"),
    ("weighted", {"loss": nn.CrossEntropyLoss(weight=WEIGHTS * 2)}, "loss"),
    ("weighted", {"loss": nn.CrossEntropyLoss()}, "loss"),
    ("watched", {"callbacks": [lambda: nn.EarlyStopping("loss", mode="max")]}, "columns to watch"),
    ("own", {"model": Own(np.sin, pair=(1, 2.0), f=nn.functional.relu)}, "model"),
    ("own", {"model": Own(lambda x: np.tanh(x), pair=(1, 2.0), f=nn.functional.relu)}, "model"),
    ("own", {"model": Own(mask=(1, 0), pair=(1, 2.0), f=nn.functional.relu)}, "model"),
    ("own", {"model": Own(pair=(1, 3.0), f=nn.functional.relu)}, "model"),
    ("own", {"model": Own(pair=(1, 2.0), f=nn.functional.gelu)}, "model"),
    ("a lambda", {"loss": lambda p, y: nn.CrossEntropyLoss()(p, y) * 3}, "loss"),
    ("a lambda", {"loss": lambda p, y: nn.CrossEntropyLoss()(p, y) + 2}, "loss"),
    ("enclosed", {"loss": made(2.0)}, "loss"),
    ("partial", {"loss": functools.partial(scaled, factor=2.0)}, "loss"),
    ("partial", {"loss": functools.partial(loss)}, "loss"),
    ("a function to measure", {"metrics": {"a": lambda p, y: float(p.argmax(-1)[1])}}, "metrics"),
    ("steps", {"callbacks": [stepped(0.9)]}, "schedules"),
    ("steps in sequence", {"callbacks": [in_sequence(0.6)]}, "schedules"),
    ("noise", {"X": Images((X, Y), noise=10.0), "Y": None}, "data"),
]


@pytest.mark.parametrize(("base", "change", "words"), CHANGES)
def test_a_run_with_any_other_data_model_or_setting_is_refused(base, change, words, tmp_path):
    before = BASE[base]
    history = fitted(tmp_path, **before)
    model = change.get("model", network())
    weights = model.state_dict()
    with pytest.raises(ValueError, match=f"not a checkpoint of this run: another {words}: .* then, .* now.* remove it"):
        fitted(tmp_path, **{**before, "model": model, **change})
    assert all(model.state_dict()[name] is array for name, array in weights.items())
    assert fitted(tmp_path, **before) == history  # and the file is as it was
    longer = fitted(tmp_path, **{**before, "epochs": 3})
    assert longer["loss"][:2] == history["loss"] and longer.epochs == 3


@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_of_a_schedule_are_no_settings(name):
    schedule = SCHEDULES[name](nn.SGD(network().parameters(), lr=0.1))
    before = module._schedule(schedule)
    for _ in range(3):
        schedule.step(*[1.0] * ("Plateau" in name))
    assert module._schedule(schedule) == before and before.count("=") > 0


class Stepping(nn.Callback):
    """A user's callback that moves a schedule."""

    def __init__(self, optimizer):
        self.held = nn.ExponentialLR(optimizer, 0.5)

    def on_epoch_end(self, run):
        self.held.step()


def test_the_rates_that_a_run_has_changed_itself_do_not_matter(tmp_path):
    for callback in (plateau, Stepping):
        folder = tmp_path / callback.__name__
        model = network()
        optimizer = nn.SGD(model.parameters(), lr=0.1)
        callbacks = [nn.Checkpoint(folder), callback(optimizer)]
        for epochs in (3, 5):
            found = nn.fit(model, X, Y, epochs=epochs, optimizer=optimizer, callbacks=callbacks, progress=False)
            assert found.epochs == epochs
        assert optimizer.lr < 0.1


def test_samples_that_are_drawn_are_those_of_one_seed(tmp_path):
    data = Images((X, Y), noise=0.1)
    fitted(tmp_path, X=data, Y=None)
    again = Images((X, Y), noise=0.1)
    again.generator = np.random.default_rng()  # a seed of its own is no setting
    assert fitted(tmp_path, X=again, Y=None, epochs=3).epochs == 3
    with pytest.raises(ValueError, match="another data: 40 samples of"):
        fitted(tmp_path, X=Images((X[:30], Y[:30]), noise=0.1), Y=None)


def test_samples_that_differ_at_every_reading_are_known_by_their_outline(tmp_path):
    class Drawn(Images):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x + np.random.default_rng().normal(size=3).astype(np.float32), y

    fitted(tmp_path, X=Drawn((X, Y)), Y=None)
    assert fitted(tmp_path, X=Drawn((X, Y)), Y=None, epochs=3).epochs == 3
    with pytest.raises(ValueError, match="another data: 40 samples of"):
        fitted(tmp_path, X=Drawn((X[:30], Y[:30])), Y=None)


def test_what_a_run_changes_itself_may_differ_and_nothing_else(tmp_path):
    for held in (nn.Checkpoint(tmp_path / "one"), None):  # one object, or another for each run
        model = Own()

        def run(epochs, model=model, held=held):
            callbacks = [held or nn.Checkpoint(tmp_path / "many")]
            return nn.fit(model, X, Y, epochs=epochs, callbacks=callbacks, progress=False).epochs

        assert [run(2), run(3), run(3), run(4)] == [2, 3, 3, 4] and model.calls
        model.mask = model.mask * 2
        with pytest.raises(ValueError, match="another model"):
            run(5)


def test_a_checkpoint_does_not_change_a_run_of_samples_that_are_drawn(tmp_path):
    plain = network()
    options = {"epochs": 2, "progress": False}
    history = nn.fit(plain, Images((X, Y), noise=0.1), **options)
    kept = network()
    assert nn.fit(kept, Images((X, Y), noise=0.1), callbacks=[nn.Checkpoint(tmp_path)], **options) == history


@pytest.mark.parametrize("mapped", [False, True])
def test_of_large_arrays_rows_are_read_and_of_labels_all(mapped, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1000)
    rows = np.arange(30_000.0).reshape(10_000, 3)
    labels = np.zeros(100, np.int8)
    read = []
    monkeypatch.setattr(module, "digest", lambda a: read.append(a.nbytes) or module_digest(a))

    def described(rows, labels):
        if mapped:
            for name, array in (("rows", rows), ("labels", labels)):
                np.save(tmp_path / f"{name}.npy", array)
            return module._data(nn.MappedDataset(tmp_path / "rows.npy", tmp_path / "rows.npy"))
        return module._data(nn.TensorDataset(rows)) + module._data(nn.TensorDataset(labels))

    first = described(rows, labels)
    assert described(rows.copy(), labels) == first and max(read) <= 1024 * 24
    assert described(changed(rows, (0, 0), 5.0), labels) != first != described(changed(rows, (9999, 2), 5.0), labels)
    assert mapped or described(rows, changed(labels, 50, 1)) != first


module_digest = module.digest
PROGRAM = """
import numpy as np, nn
from nn.fingerprint import fingerprint
from nn.callbacks import TrainingRun
model = nn.Sequential(nn.Linear(2, 2), nn.Function(lambda x: x * 2) if hasattr(nn, "Function") else nn.Tanh())
run = TrainingRun(model, nn.SGD(model.parameters(), 0.1), None, np.random.default_rng(), [])
metrics = {"a": lambda p, y: y in {"a", "b", "c", "d"}}
run.given = {"data": nn.TensorDataset(np.ones((3, 2))), "loss": lambda p, y: p.sum(), "metrics": metrics}
print(fingerprint(run))
"""


def test_it_is_the_same_in_every_process():
    found = {
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1 and "0x" not in found.pop()
