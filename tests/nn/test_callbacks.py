"""Callbacks: a second run begins anew or is refused, and the best weights return however a run ends."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import pytest

import nn
from autograd import Tensor
from callbacks import SCHEDULES, Counts

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
OTHER = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)


def network(seed=0):
    nn.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


class Remembers(nn.Callback):
    """A user's callback without a state_dict, which forgets in `reset`."""

    losses = ()

    def reset(self):
        super().reset()
        self.losses = []

    def on_epoch_end(self, run):
        self.losses.append(run.history["loss"][-1])
        return "enough" if len(self.losses) > 2 else None


class Plain(nn.Callback):
    """A user's callback that does nothing to begin anew."""

    def __init__(self):
        self.n, self.losses, self.by_epoch, self.seen = 0, [], {"first": {}}, {1: {0}}
        self.best, self.curve, self.limit = None, np.zeros(5), 3

    def on_epoch_end(self, run):
        self.n += 1
        self.losses.append(run.history["loss"][-1])
        self.by_epoch["first"].setdefault("loss", self.losses[-1])
        self.seen[1].add(self.n)
        self.best = min(self.best or np.inf, self.losses[-1])
        self.curve[self.n - 1] = self.losses[-1]
        self.late = getattr(self, "late", 0) + 1
        return "enough" if self.n == self.limit else None


CALLBACKS = {
    "EarlyStopping": lambda folder: nn.EarlyStopping("loss", patience=2, min_delta=0.05),
    "EarlyStopping max": lambda folder: nn.EarlyStopping("val_accuracy", patience=2, mode="max"),
    "TrackPredictions": lambda folder: nn.TrackPredictions(X[:2]),
    "Film": lambda folder: nn.Film(X[:2]),
    "TensorBoard": lambda folder: nn.TensorBoard(folder / "board"),
    "own": lambda folder: Counts(),
    "own, plain": lambda folder: Plain(),
    "own, with reset": lambda folder: Remembers(),
}


def fitted(model, x, y, callbacks, epochs=5, optimizer=None):
    optimizer = optimizer or nn.SGD(model.parameters(), lr=0.1, momentum=0.5)
    return nn.fit(
        model, x, y, epochs=epochs, batch_size=16, optimizer=optimizer, validation=(x[:8], y[:8]), metrics=["accuracy"],
        callbacks=callbacks, progress=False, generator=np.random.default_rng(0),
    )  # fmt: skip


def outcome(callback, model, history):
    held = {
        name: value
        for name, value in vars(callback).items()
        if isinstance(value, float | int | str | list | dict | tuple | np.ndarray) and name[0] != "_"
    }
    return model.state_dict(), dict(history), history.stopped, held


def same(a, b):
    np.testing.assert_equal(a, b)


# ---- a second run


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_in_a_second_run_is_as_a_new_one(name, tmp_path):
    used, new = CALLBACKS[name](tmp_path / "a"), CALLBACKS[name](tmp_path / "b")
    fitted(network(1), X, Y, [used], epochs=4)
    found = []
    for callback in (used, new):
        model = network(2)
        history = fitted(model, OTHER, 1 - Y, [callback])
        found.append(outcome(callback, model, history))
        if hasattr(callback, "folder"):
            found[-1][3].pop("folder", None)
    same(*found)


def test_what_a_checkpoint_does_not_hold_is_forgotten_before_it_resumes(tmp_path):
    callback = Remembers()
    for epochs in (1, 2):
        fitted(network(), X, Y, [callback, nn.Checkpoint(tmp_path)], epochs=epochs)
    assert len(callback.losses) == 1  # of the second epoch


@pytest.mark.parametrize("end", [None, KeyboardInterrupt, RuntimeError])
def test_what_was_set_by_hand_between_runs_stays(end):
    class Ends(nn.Callback):
        def on_epoch_end(self, run):
            if end:
                raise end

    callback, model = Plain(), network()
    callback.model, callback.kept, callback.open = model, [model], lambda: None
    held = dict(vars(callback))
    for limit in (3, 2, 1):
        callback.limit, callback.name = limit, f"run {limit}"
        with contextlib.suppress(RuntimeError):
            fitted(network(), X, Y, [callback, Ends()])
        assert callback.n == len(callback.losses) == callback.late == (1 if end else limit)
        assert callback.limit == limit and callback.name == f"run {limit}"
        assert callback.model is callback.kept[0] is model and callback.open is held["open"]


def test_a_copy_of_a_used_callback_begins_anew_too():
    used = nn.EarlyStopping("loss", patience=2)
    fitted(network(1), X, Y, [used])
    other = copy.deepcopy(used)
    model = network(2)
    fitted(model, OTHER, 1 - Y, [other], epochs=1)
    assert other.best_epoch == 1
    same(other.weights, model.state_dict())


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_in_a_second_run_is_refused_until_it_begins_anew(name):
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    schedule = SCHEDULES[name](optimizer)
    first = optimizer.lr
    fitted(model, X, Y, [nn.LRSchedule(schedule)], epochs=3, optimizer=optimizer)
    reached = optimizer.lr
    for callback in (nn.LRSchedule(schedule), nn.LRSchedule(schedule)):
        with pytest.raises(ValueError, match=f"this {name} is at epoch 3 of an earlier run: call its restart"):
            fitted(model, X, Y, [callback], optimizer=optimizer)
    assert optimizer.lr == reached and schedule.epoch == 3
    other = network()
    with pytest.raises(ValueError, match=f"this {name} changes the rate of another optimiser"):
        fitted(other, X, Y, [nn.LRSchedule(schedule)])
    schedule.restart()
    assert optimizer.lr == first
    fitted(model, X, Y, [nn.LRSchedule(schedule)], epochs=3, optimizer=optimizer)
    assert optimizer.lr == reached


def test_a_schedule_whose_state_was_loaded_goes_on():
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    schedule = nn.ExponentialLR(optimizer, 0.5)
    fitted(model, X, Y, [nn.LRSchedule(schedule)], epochs=2, optimizer=optimizer)
    later = nn.ExponentialLR(optimizer, 0.5)
    later.load_state_dict(schedule.state_dict())
    fitted(model, X, Y, [nn.LRSchedule(later)], epochs=1, optimizer=optimizer)
    assert later.epoch == 3 and optimizer.lr == pytest.approx(0.0125)


def test_what_a_schedule_callback_takes():
    optimizer = nn.SGD([Tensor(1.0, requires_grad=True)], lr=0.1)
    with pytest.raises(TypeError, match=r"takes a schedule, such as nn.StepLR\(optimizer, 10\); got float"):
        nn.LRSchedule(0.1)
    with pytest.raises(ValueError, match="only ReduceLROnPlateau takes monitor"):
        nn.LRSchedule(nn.StepLR(optimizer, 1), monitor="loss")
    with pytest.raises(ValueError, match="not a state of LRSchedule"):
        nn.LRSchedule(nn.StepLR(optimizer, 1)).load_state_dict({})

    class Own:
        rate = 1.0

        def step(self):
            self.rate /= 2

    own = Own()
    fitted(network(), X, Y, [nn.LRSchedule(own)], epochs=3)
    assert own.rate == 1 / 8


# ---- the best weights


class Worse(nn.Callback):
    """Spoils the weights and buffers of every epoch after the second, and ends the run in a way of its own."""

    def __init__(self, end):
        self.end, self.best = end, None

    def on_epoch_end(self, run):
        if run.epoch == 2:
            self.best = {name: array.copy() for name, array in run.model.state_dict().items()}
            run.optimizer.lr = 20.0
        if run.epoch < 4:
            return None
        if isinstance(self.end, type):
            raise self.end
        return self.end

    def on_begin(self, run):
        self.loss, run.loss = run.loss, lambda p, y: self.measured(run, p, y)

    def measured(self, run, p, y):
        if run.epoch == 4 and self.end in ("interrupt", "nan"):
            if self.end == "interrupt":
                raise KeyboardInterrupt
            return self.loss(p, y) * np.float32(np.nan)
        return self.loss(p, y)


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (None, None),  # out of epochs
        ("enough", None),  # another callback's reason
        ("interrupt", None),  # in the middle of an epoch
        (KeyboardInterrupt, None),  # between epochs
        (ZeroDivisionError, ZeroDivisionError),
        ("nan", nn.TrainingError),
        ("patience", None),
    ],
    ids=str,
)
@pytest.mark.parametrize("first", [False, True])
def test_the_best_weights_and_buffers_return_however_a_run_ends(end, error, first):
    stop = nn.EarlyStopping("loss", patience=2 if end == "patience" else 50)
    worse = Worse(None if end == "patience" else end)
    model = network()
    callbacks = [stop, worse] if first else [worse, stop]
    options = {"epochs": 9 if end == "patience" else 5, "callbacks": callbacks}
    if error:
        with pytest.raises(error), np.errstate(all="ignore"):
            fitted(model, X, Y, **options)
    else:
        fitted(model, X, Y, **options)
    assert stop.best_epoch == 2 and "1.running_mean" in worse.best
    same(model.state_dict(), worse.best)


def test_without_restore_the_last_weights_stay():
    stop, worse, last = nn.EarlyStopping("loss", restore=False), Worse(None), []

    class Last(nn.Callback):
        def on_epoch_end(self, run):
            last.append(run.model.state_dict())

    model = network()
    fitted(model, X, Y, [stop, worse, Last()])
    same(model.state_dict(), last[-1])


def test_every_callback_is_told_of_the_end_once():
    told = []

    class End(nn.Callback):
        def on_end(self, run):
            told.append((run.epoch, run.history.stopped))

    fitted(network(), X, Y, [End(), End()], epochs=2)
    assert told == [(2, ""), (2, "")]
