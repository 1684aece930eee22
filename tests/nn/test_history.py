"""History: a table, a picture and a page, also with columns that begin late."""

from __future__ import annotations

import csv
import math
import pickle

import numpy as np
import pytest

import nn

X = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class Late(nn.Callback):
    """Adds columns of its own from epoch 3 on, by row and by hand."""

    def on_epoch_end(self, run):
        if run.epoch >= 3:
            run.history.setdefault("by hand", []).append(run.epoch * 1.0)


def trained(callbacks=(), **options):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2))
    options = {"epochs": 5, "batch_size": 8} | options
    return model, nn.fit(model, X, Y, callbacks=callbacks, progress=False, **options)


def late():
    history = nn.History()
    for epoch in range(1, 6):
        history.add({"loss": 1 / epoch} | ({"late": epoch} if epoch in (2, 5) else {}))
    return history


def test_a_column_that_begins_late_or_leaves_epochs_out_stays_with_its_epochs(tmp_path):
    nan = math.nan
    np.testing.assert_equal(late()["late"], [nan, 2.0, nan, nan, 5.0])
    _, by_hand = trained([Late()])
    assert by_hand["by hand"] == [3.0, 4.0, 5.0] and by_hand.epochs == 5
    for history, name, wanted in (
        (late(), "late", [nan, 2.0, nan, nan, 5.0]),
        (by_hand, "by hand", [nan, nan, 3.0, 4.0, 5.0]),
    ):
        np.testing.assert_equal([row[list(history).index(name)] for row in history.rows()], wanted)
        history.to_csv(tmp_path / "h.csv")
        rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
        np.testing.assert_equal([float(row[name]) for row in rows], wanted)
        assert [float(row["loss"]) for row in rows] == history["loss"]
        assert history._repr_html_().count("<tr>") == 6 and "<td>5</td></tr>" in history._repr_html_()
        shown = {line.get_label(): line for axes in history.plot().axes for line in axes.lines}
        points = {int(x): y for x, y in zip(*shown[name].get_data(), strict=True) if not np.isnan(y)}
        assert points == {i: value for i, value in enumerate(wanted, 1) if not math.isnan(value)}


@pytest.mark.parametrize("history", [nn.History(), nn.History(loss=[0.5]), nn.History(loss=[0.5], val_loss=[math.nan])])
def test_a_notebook_shows_a_history_and_its_plot(history):
    assert history._repr_html_().count("<tr>") == 1 + history.epochs
    figure = history.plot()
    assert figure._repr_png_().startswith(b"\x89PNG") and type(figure).__name__ == "Figure"
    assert pickle.loads(pickle.dumps(figure))._repr_png_() == figure._repr_png_()


def test_a_notebook_shows_the_film(tmp_path):
    _, history = trained([nn.Film(X[:2])], epochs=2)
    page = history.film()
    assert page._repr_html_().startswith("<iframe") and history.film(title="Two epochs").title == "Two epochs"
    path = history.film(tmp_path / "film.html")
    assert path.read_text("utf-8") == page.text
    with pytest.raises(ValueError, match=r"callbacks=\[nn.Film\(samples\)\]"):
        nn.History().film()


def test_a_column_that_is_not_there_is_named_with_the_others():
    _, history = trained()
    with pytest.raises(KeyError, match="has the columns loss, not 'val_loss'; pass validation= to fit"):
        history["val_loss"]
    with pytest.raises(KeyError, match=r"has the columns \(none\), not 'loss'"):
        nn.History()["loss"]
    assert history.get("val_loss") is None and "val_loss" not in history
    assert pickle.loads(pickle.dumps(history)) == history


# ---- what the losses are


@pytest.mark.parametrize("batch_size", [5, 8, 24])
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "MSELoss", "L1Loss", "BCEWithLogitsLoss"])
def test_a_loss_that_sums_is_measured_per_sample_as_one_that_averages(name, batch_size):
    found = []
    for reduction in ("mean", "sum"):
        nn.manual_seed(0)
        classes = name == "CrossEntropyLoss"
        model = nn.Linear(2, 2 if classes else 1)
        y = Y if classes else Y[:, None].astype(np.float32)
        loss = getattr(nn, name)(reduction=reduction)
        optimizer = nn.SGD(model.parameters(), lr=0.0)
        for validation in ((X, y), nn.DataLoader(nn.TensorDataset(X, y), 7), 0.25):
            history = nn.fit(
                model, X, y, epochs=2, batch_size=batch_size, loss=loss, optimizer=optimizer, validation=validation,
                progress=False, generator=np.random.default_rng(0),
            )  # fmt: skip
            found.append([history["loss"], history["val_loss"]])
            if not isinstance(validation, float):
                np.testing.assert_allclose(history["loss"], history["val_loss"], rtol=1e-5)
    np.testing.assert_allclose(found[:3], found[3:], rtol=1e-5)


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_in_fit_moves_as_its_step_does(search):
    def made():
        nn.manual_seed(1)
        model = nn.Linear(2, 1)
        return model, nn.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn=search)

    target = X @ np.float32([[1.0], [-2.0]]) + 0.5
    model, optimizer = made()
    history = nn.fit(model, X, target, epochs=3, batch_size=24, optimizer=optimizer, progress=False)
    other, stepping = made()
    rows = nn.init.default_generator()
    losses = []
    for _ in range(3):
        order = rows.permutation(24)

        def closure(order=order):
            stepping.zero_grad()
            loss = nn.MSELoss()(other(X[order]), target[order])
            loss.backward()
            return loss

        losses.append(stepping.step(closure).item())
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    np.testing.assert_allclose(model.weight.data, other.weight.data, rtol=1e-5)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_lbfgs_in_fit_names_the_operation_of_a_loss_that_is_not_finite():
    model = nn.Linear(2, 1)
    weights = model.weight.data
    with pytest.raises(nn.TrainingError, match="no longer finite in epoch 1, batch 1"):
        nn.fit(model, X * np.float32(np.nan), Y[:, None] * 1.0, optimizer=nn.LBFGS(model.parameters()), progress=False)
    np.testing.assert_array_equal(model.weight.data, weights)


def test_a_line_search_may_try_points_where_the_loss_is_not_finite():
    nn.manual_seed(1)
    model, losses = nn.Linear(2, 1), []

    def loss(p, y):
        losses.append(np.exp((p - y) ** 2).mean())
        return losses[-1]

    optimizer = nn.LBFGS(model.parameters(), lr=100.0, line_search_fn="strong_wolfe")
    with np.errstate(all="ignore"):
        history = nn.fit(model, X, X[:, :1], epochs=2, batch_size=24, loss=loss, optimizer=optimizer, progress=False)
    assert not np.isfinite([value.item() for value in losses]).all() and history["loss"][1] < history["loss"][0]
