"""The size of a picture, its numbers and its words, for every kind of layer."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import nn
from autograd import Tensor, draw, watch
from autograd.drawing.dot import BESIDE, NUMBERS, shade
from autograd.drawing.long_arrows import ROW, ranks_of
from graphs import words
from large_graphs import SHAPES
from layer_kinds import KINDS, total
from leaves import leaf

SLIDE = 1600


def pixels(picture):
    """The width and height of the SVG; 3 points are 4 pixels."""
    width, height = re.search(r'width="(\d+)pt" height="(\d+)pt"', picture.svg()).groups()
    return int(width) * 4 / 3, int(height) * 4 / 3


def drawn(model, *inputs, **options):
    with watch():
        loss = model(*inputs).sum()
        loss.backward()
    return draw(loss, names=model, **options)


def mlp(*sizes):
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(*sizes[:2]), nn.ReLU(), nn.Linear(*sizes[1:]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_a_layer_fits_a_slide_or_grows_with_its_boxes(kind):
    layer = KINDS[kind].layer()
    with watch():
        loss = total(kind, layer, [Tensor(x, requires_grad=True) for x in KINDS[kind].inputs()])
        loss.backward()
    picture = draw(loss, names=layer)
    boxes = len(picture.snapshot.boxes)
    assert picture.rankdir == "TB" and pixels(picture)[0] <= max(SLIDE, 120 * boxes)
    assert "spread" not in picture.source and ("std " not in picture.source or "std: standard dev" in picture.source)


def test_a_small_network_fits_a_slide_and_shows_its_weights():
    model = mlp(2, 4, 2)
    picture = drawn(model, np.ones((5, 2), np.float32))
    assert pixels(picture)[0] <= SLIDE / 1.3 and pixels(picture)[1] <= SLIDE
    seen = words(picture.svg())
    for weight in (model[0].weight, model[2].weight):
        for x in (*weight.data.ravel(), *weight.grad.data.ravel()):
            assert f"{x:.3g}" in seen


class Residual(nn.Module):
    def __init__(self):
        self.a, self.norm, self.b = nn.Conv1d(2, 2, 3, padding=1), nn.BatchNorm1d(2), nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        return nn.functional.relu(x + self.b(nn.functional.relu(self.norm(self.a(x)))))


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_deep_network_is_no_wider_because_its_modules_lie_one_below_the_other(blocks):
    picture = drawn(nn.Sequential(*(Residual() for _ in range(blocks))), np.ones((2, 2, 4), np.float32))
    assert pixels(picture)[0] <= SLIDE


def test_a_matrix_of_more_numbers_is_a_strip_of_colour():
    model = mlp(5, 8, 3)
    picture = drawn(model, np.ones((5, 5), np.float32))
    weight = model[0].weight.data.astype(float)
    largest = np.abs(weight).max()
    wanted = [shade(x, largest) for x in weight.ravel()]
    assert weight.size > NUMBERS and weight.shape[1] > BESIDE
    found = re.findall(r"BGCOLOR='(#\w+)' WIDTH='10'", picture.source)
    assert any(found[i : i + len(wanted)] == wanted for i in range(len(found)))
    assert shade(np.nan, 1.0) not in (shade(0.0, 1.0), shade(1.0, 1.0), shade(-1.0, 1.0))


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_every_operand_has_a_numbered_cell_where_its_arrow_ends(rankdir):
    x, y = leaf(1.0, name="x"), leaf(2.0, name="y")
    source = draw(np.where(np.array([True]), x, y - x), rankdir=rankdir).source
    ends = re.findall(r"-> (b\d+):i(\d)", source)
    assert len(ends) == len(set(ends)) >= 4
    for box, slot in ends:
        assert f"PORT='i{slot}'" in re.search(rf"^\s*{box} \[label=.*$", source, re.M)[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_arrows_in_rows_stay_in_their_row_or_are_cut(shape):
    picture = draw(SHAPES[shape](60))
    snapshot = picture.snapshot
    if any(box.call is not None for box in snapshot.boxes):
        assert picture.rankdir == "TB" and not snapshot.rows
        return
    rows, arrows = snapshot.rows or [0] * len(snapshot.boxes), [a for a in snapshot.arrows if not a.cut]
    assert all(rows[arrow.start] == rows[arrow.end] for arrow in arrows)
    ranks = ranks_of(len(rows), arrows)
    for row in set(rows):
        inside = [ranks[i] for i in range(len(rows)) if rows[i] == row]
        assert max(inside) - min(inside) <= ROW


def test_a_long_chain_fits_a_slide_in_rows_from_top_to_bottom():
    y = leaf(0.5, 1.0, name="x")
    for _ in range(30):
        y = np.sin(y) * 1.1
    picture = draw(y.sum(), run_backward=True)
    assert pixels(picture)[0] <= SLIDE
    heights = re.findall(r"<title>b(\d+)</title>.*?<text[^>]* y=\"(-?[\d.]+)\"", picture.svg(), re.S)
    at = {int(i): float(y) for i, y in heights}
    order = sorted(at, key=lambda i: picture.snapshot.rows[i])
    rows = [[at[i] for i in order if picture.snapshot.rows[i] == row] for row in sorted(set(picture.snapshot.rows))]
    assert len(rows) > 10 and all(max(a) < min(b) for a, b in itertools.pairwise(rows))
    assert not picture.whole.rows  # the page has none
