"""fit: training, measurements, progress and errors."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest

import nn
from autograd import Tensor
from nn import EarlyStopping, LRSchedule, TrackPredictions, TrainingError, fit


def blobs(n=200, seed=0):
    """Two clouds of points, and the cloud of each point."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    return (rng.normal(size=(n, 2)) + 3 * y[:, None]).astype(np.float32), y


def network(outputs=2):
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, outputs))


def run(model=None, **options):
    X, y = blobs()
    model = model or network()
    options = {"epochs": 5, "progress": False, "optimizer": nn.Adam(model.parameters(), lr=0.02)} | options
    return model, fit(model, X, y, **options)


def test_it_learns_and_measures():
    tracked = TrackPredictions(np.float32([[3.0, 3.0]]))
    model, history = run(validation=0.25, metrics=["accuracy"], callbacks=[tracked])
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"} and history.epochs == 5
    assert history["loss"][-1] < history["loss"][0] and history["val_accuracy"][-1] > 0.9
    assert len(tracked.probabilities) == 5 and tracked.probabilities[-1][0, 1] > tracked.probabilities[0][0, 1]
    assert history.stopped == "" and model.training


def test_the_same_seed_trains_the_same_weights():
    weights = [run()[0].state_dict() for _ in range(2)]
    for name in weights[0]:
        np.testing.assert_array_equal(weights[0][name], weights[1][name])


def test_regression_a_single_logit_and_metrics_of_ones_own():
    X, y = blobs()
    model = network(1)
    history = fit(
        model, X, X[:, :1] * 2, epochs=30, progress=False, metrics={"worst": lambda p, y: np.abs(p - y).max()}
    )
    assert history["loss"][-1] < history["loss"][0] and len(history["worst"]) == 30
    model = network(1)
    target = y[:, None].astype(np.float32)
    fit(
        model,
        X,
        target,
        epochs=20,
        progress=False,
        loss=nn.BCEWithLogitsLoss(),
        optimizer=nn.Adam(model.parameters(), 0.05),
    )
    assert nn.evaluate(model, X, y, metrics=["accuracy"])["accuracy"] > 0.95
    assert nn.predict_proba(model, X).shape == (200, 2)


def test_early_stopping_brings_the_best_weights_back():
    stop = EarlyStopping("loss", patience=2)
    rates = nn.SGD(network().parameters(), lr=0.1)
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)

    class Worse(nn.Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                run.optimizer.lr = 20.0

    _, history = run(model, optimizer=optimizer, epochs=50, callbacks=[Worse(), stop])
    assert "best was epoch" in history.stopped and history.epochs < 50
    for name, best in stop.weights.items():
        np.testing.assert_array_equal(model.state_dict()[name], best)
    with pytest.raises(KeyError, match="val_accuracy"):
        run(callbacks=[EarlyStopping("val_accuracy")])
    assert rates.lr == 0.1


def test_schedules_move_with_the_epochs():
    model = network()
    optimizer = nn.SGD(model.parameters(), lr=1e-3)
    run(model, optimizer=optimizer, callbacks=[LRSchedule(nn.StepLR(optimizer, 2, 0.1))])
    assert optimizer.lr == pytest.approx(1e-5)
    for monitor, options in (("loss", {}), (None, {}), (None, {"validation": 0.5})):
        optimizer = nn.SGD(model.parameters(), lr=1.0)
        plateau = nn.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0)  # no epoch is an improvement
        run(model, optimizer=optimizer, callbacks=[LRSchedule(plateau, monitor)], **options)
        assert optimizer.lr == pytest.approx(1e-5) and plateau.epoch == 5


def test_a_loss_that_is_no_number_names_the_operation():
    class Log(nn.Module):
        def forward(self, x):
            return np.log(-1.0 - x * x)

    model = nn.Sequential(nn.Linear(2, 2), Log())
    with (
        pytest.raises(TrainingError, match=r"epoch 1, batch 1: log made .* in module 1 \(Log\)"),
        np.errstate(all="ignore"),
    ):
        fit(model, blobs()[0] - 50, blobs()[1], progress=False)


def test_an_interrupt_keeps_what_was_learned():
    calls = []

    class Interrupt(nn.Callback):
        def on_epoch_end(self, run):
            calls.append(run.model.state_dict())
            if run.epoch == 3:
                raise KeyboardInterrupt

    model, history = run(callbacks=[Interrupt()])
    assert history.stopped == "interrupted in epoch 3" and history.epochs == 3
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, calls[-1][name])


def test_prediction_in_batches_records_nothing_and_restores_the_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    X = Tensor(blobs()[0])
    model[1].eval()
    whole, parts = nn.predict(model, X), nn.predict(model, X, batch_size=7)
    assert type(whole) is np.ndarray and model.training and not model[1].training
    np.testing.assert_allclose(whole, parts, rtol=1e-6)
    assert nn.predict(model, X.data[:0]).shape == (0, 2)


def test_history_is_a_table(tmp_path, monkeypatch):
    _, history = run(epochs=2, metrics=["accuracy"])
    history.to_csv(tmp_path / "h.csv")
    rows = list(csv.reader((tmp_path / "h.csv").read_text().splitlines()))
    assert rows[0] == ["epoch", "loss", "accuracy"] and float(rows[2][1]) == history["loss"][1]
    assert history._repr_html_().count("<tr>") == 3
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"plaingrad\[plots\]"):
        history.plot()


def test_the_bar_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    run(epochs=1, progress=None)
    with pytest.raises(ImportError, match=r"plaingrad\[progress\]"):
        run(epochs=1, progress=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation": 1.5}, "share"),
        ({"epochs": -1}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"metrics": ["f1"]}, "f1"),
    ],
)
def test_wrong_arguments(options, words):
    with pytest.raises(ValueError, match=words):
        run(**options)
    with pytest.raises(ValueError, match="one label per sample"):
        fit(network(), np.ones((3, 2)), np.ones(2))
