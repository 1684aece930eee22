"""nn.Film: the predictions, boundaries and drawings of every epoch."""

from __future__ import annotations

import base64
import io
import itertools
import re

import numpy as np
import pytest

import nn
from autograd import draw, trace, watch
from graphs import without_renderers
from nn.drawing import png
from nn.drawing.boundary import CELLS, COLOURS, plane_of, regions


def small(*sizes):
    nn.manual_seed(0)
    layers = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


# ---- the film


def run_with_film(**options):
    nn.manual_seed(0)
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    model, film = small(3, 4, 2), nn.Film(X[:2], y[:2], **options)
    history = nn.fit(model, X, y, epochs=3, batch_size=10, callbacks=[film], progress=False)
    return model, film, history, X


def test_a_film_has_the_predictions_of_every_epoch():
    model, film, history, X = run_with_film(classes=["a", "b"])
    data = film.data()["film"]
    assert len(data["outputs"]) == 4 and data["epochs"] == 3
    assert np.allclose(data["outputs"][-1], nn.predict_proba(model, X[:2]), atol=1e-5)
    assert data["history"]["loss"] == pytest.approx(history["loss"], rel=1e-5)
    assert len(data["network"]) == 4 and len(data["path"]) == 4 and len(data["health"]) == 3
    film.follow(X[5:8])
    assert np.shape(film.data()["film"]["outputs"]) == (4, 3, 2)


def test_a_notebook_shows_every_picture_without_a_dot_program(monkeypatch):
    without_renderers(monkeypatch, "pygraphviz", "graphviz")
    model, film, _, X = run_with_film()
    assert "<svg" in nn.draw(model, X[0])._repr_svg_() and "<svg" in film.surface()._repr_svg_()
    assert repr(film.surface()).startswith("<loss surface of 25x25 points, from ")
    with watch():
        loss = model(X).sum()
        loss.backward()
    shown = [film, film.page(), nn.draw(model).page(), draw(loss).page(), trace(loss)]
    assert all(re.match("<(iframe|table)", thing._repr_html_()) for thing in shown)
    assert "<iframe" in draw(loss)._repr_mimebundle_()["text/html"]
    assert nn.Film(X)._repr_html_() is None


def test_making_the_film_changes_nothing():
    model, film, _, _ = run_with_film()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    film.page()
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_the_error_for_a_run_that_was_not_recorded_says_how_to(tmp_path):
    X = np.zeros((4, 3), np.float32)
    history = nn.fit(small(3, 1), X, X[:, :1], epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"callbacks=\[nn\.Film"):
        history.film(tmp_path / "film.html")
    with pytest.raises(ValueError, match=r"callbacks=\[nn\.Film"):
        nn.draw(small(3, 1)).page(history)
    with pytest.raises(ValueError, match="samples, boundary, curves"):
        nn.Film(X).body(parts=["plot"])
    with pytest.raises(ValueError, match="the film is empty"):
        nn.Film(X).page()


def test_a_film_of_a_regression_and_of_a_network_that_is_not_a_row_of_columns(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.a(x) + self.b(x)

    X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    film = nn.Film(X[:1], X[:1, :2])
    history = nn.fit(Two(), X, X[:, :2], epochs=2, callbacks=[film], progress=False)
    text = history.film(tmp_path / "film.html").read_text()
    page = text.partition("<script")[0]
    assert "film-network" not in page and "a network of 5 blocks" in page and film.data()["film"]["network"] == []


def test_a_png_is_read_back():
    pillow = pytest.importorskip("PIL.Image")
    for shape in ((3, 4), (3, 4, 3)):
        image = np.random.default_rng(0).random(shape)
        content = base64.b64decode(re.sub("^data:image/png;base64,", "", png(image)))
        assert np.array_equal(np.asarray(pillow.open(io.BytesIO(content))), (image * 255).round().astype(np.uint8))


# ---- decision boundaries


def pixels_of(uri):
    pillow = pytest.importorskip("PIL.Image")
    return np.asarray(pillow.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_the_areas_are_the_classes_of_the_network_at_each_place():
    X = np.array([[-1.0, -1.0], [3.0, 1.0], [2.0, 0.5]], np.float32)
    plane = plane_of(X, np.array([0, 1, 2]))
    assert plane["points"] == [[-1.0, -1.0, 0], [3.0, 1.0, 1], [2.0, 0.5, 2]]
    seen = []

    def three(x):  # class 0 on the left, else class 1 above and class 2 below
        seen.append(x)
        return np.where(x[:, :1] < 1, [[1.0, 0, 0]], np.where(x[:, 1:] > 0, [[0, 0.6, 0.4]], [[0.2, 0, 0.8]]))

    image = pixels_of(regions(plane, three, np.float32)).astype(int)
    assert seen[0].dtype == np.float32 and seen[0].shape == (CELLS**2, 2)
    half = CELLS // 2
    corners = [image[half, 0], image[0, -1], image[-1, -1]]
    assert (image[:, :half] == corners[0]).all() and (image[:half, half:] == corners[1]).all()
    assert (image[half:, half:] == corners[2]).all()
    for k, pixel in enumerate(corners):  # each is its class's colour mixed with white
        away = 255 - np.array([int(COLOURS[k][i : i + 2], 16) for i in (1, 3, 5)])
        share = (255 - pixel) / np.maximum(away, 1)
        assert share.max() - share.min() < 0.03 or (away < 30).any()
    assert (corners[1] > corners[0]).any()  # less sure, so paler


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.zeros((4, 3), np.float32), np.zeros(4, int)),
        (np.zeros((4, 2), np.float32), np.zeros(4, np.float32)),
        (np.full((4, 2), np.nan), np.zeros(4, int)),
        (np.zeros((0, 2)), np.zeros(0, int)),
        (np.zeros((4, 2, 2)), np.zeros(4, int)),
        ([1.0], np.zeros(1, int)),
    ],
)
def test_other_data_has_no_plane(X, y):
    assert plane_of(X, y) is None


def test_a_film_of_samples_of_two_numbers_has_boundaries_and_labels(tmp_path):
    nn.manual_seed(0)
    X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    model, film = small(2, 4, 2), nn.Film(X[:2], y[:2], classes=["a", "b"])
    history = nn.fit(model, X, y, epochs=3, callbacks=[film], progress=False)
    data = film.data()["film"]
    assert len(data["boundary"]["images"]) == 4 and len(data["boundary"]["points"]) == 40
    assert data["samples"][0]["label"] == int(y[0])
    assert "✓" not in history.film(tmp_path / "film.html").read_text("utf-8")  # a label is no correct prediction
    assert "film-boundary" in history.film(tmp_path / "film.html").read_text().partition("<script")[0]
    plane = data["boundary"]
    assert plane["images"][-1] == regions(plane, lambda x: nn.predict_proba(model, x), np.float32)
    _, other, _, _ = run_with_film()
    assert other.data()["film"]["boundary"] is None and "film-boundary" not in other.body()
