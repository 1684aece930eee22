"""nn.draw, nn.Film, the loss surface and the health of a run."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import nn
from autograd import draw, watch
from nn.drawing.columns import columns_of, shown_units
from nn.drawing.health import LayerHealth, dead_units, health_of, in_words
from nn.drawing.surface import path_points, surface_of, surface_svg

SVG = "{http://www.w3.org/2000/svg}"


def small(*sizes):
    nn.manual_seed(0)
    layers = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def lines_and_circles(picture):
    root = ElementTree.fromstring(picture.svg())
    return [*root.iter(f"{SVG}line")], [*root.iter(f"{SVG}circle")]


# ---- the network


def test_every_circle_has_an_arrow_to_every_circle_of_the_next_column():
    model = small(3, 5, 2)
    lines, circles = lines_and_circles(nn.draw(model))
    assert len(lines) == 3 * 5 + 5 * 2 and len(circles) == 10


def test_arrows_are_as_thick_as_weights_are_large_and_dashed_where_negative():
    model = small(2, 2)
    model[0].weight.assign(np.array([[1.0, -2.0], [0.5, 0.0]], np.float32))
    lines, _ = lines_and_circles(nn.draw(model))
    widths = [float(line.get("stroke-width")) for line in lines]
    assert widths[1] > widths[0] > widths[2] > widths[3]
    assert [line.get("stroke-dasharray") is not None for line in lines] == [False, True, False, False]
    assert lines[0].get("stroke") != lines[1].get("stroke")
    assert "weight -2" in "".join(lines[1].itertext())


def test_circles_are_filled_by_the_output_of_the_activation():
    model = small(2, 3, 1)
    x = np.array([1.0, 2.0], np.float32)
    columns = columns_of(model, x)
    assert np.array_equal(columns[0].values, x)
    assert np.array_equal(columns[1].values, np.maximum(model[0](x).data, 0))
    assert np.array_equal(columns[2].values, model(x).data)
    assert columns[1].title == "0 Linear, ReLU"


def test_the_fill_of_a_circle_is_its_share_of_the_largest_and_a_legend_says_so():
    model, x = small(2, 3, 1), np.array([1.0, -0.5], np.float32)
    picture = nn.draw(model, x)
    _, circles = lines_and_circles(picture)
    assert [(c.get("fill"), c.get("fill-opacity")) for c in circles[:2]] == [("#0072B2", "1.00"), ("#D55E00", "0.50")]
    assert "full colour: the largest of the column" in picture.svg()
    assert "full colour" not in nn.draw(model).svg()  # no sample, no fill


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.code, self.out = nn.Linear(3, 2), nn.Linear(2, 3)

    def forward(self, x):
        return self.out(nn.functional.relu(self.code(x)))


def test_a_module_that_has_only_a_number_is_headed_by_its_place():
    x = np.ones(3, np.float32)
    nested = nn.Sequential(small(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Sigmoid())
    for model, headings in (
        (small(3, 4, 4, 2), ["input", "hidden layer 1 (ReLU)", "hidden layer 2 (ReLU)", "output layer"]),
        (nested, ["input", "hidden layer 1 (Tanh)", "output layer (Sigmoid)"]),
        (Named(), ["input", "code (relu)", "out"]),
    ):
        assert [column.heading for column in columns_of(model, x)] == headings
        bold = [e for e in ElementTree.fromstring(nn.draw(model, x).svg()).iter() if e.get("font-weight") == "bold"]
        assert [e.find(f"{SVG}title").tail for e in bold] == headings


def test_gradients_on_request():
    model = small(2, 3, 1)
    with pytest.raises(ValueError, match=r"0\.weight has none"):
        nn.draw(model, gradients=True)
    model(np.ones((1, 2), np.float32)).sum().backward()
    lines, _ = lines_and_circles(nn.draw(model, gradients=True))
    assert "d(loss)/d(weight)" in "".join(lines[0].itertext())


def test_large_layers_show_their_ends_and_count_the_rest():
    model = small(100, 64, 2)
    picture = nn.draw(model, max_units=6)
    lines, circles = lines_and_circles(picture)
    assert len(circles) == 6 + 6 + 2 and len(lines) == 36 + 12
    assert "94 more" in picture.svg() and "58 more" in picture.svg()
    assert shown_units(7, 5) == [0, 1, 2, 5, 6]


def test_numbers_are_those_of_the_network_and_do_not_hide_one_another():
    model, x = small(2, 4, 2), np.array([0.25, -1.5], np.float32)
    texts = [*ElementTree.fromstring(nn.draw(model, x, numbers=True).svg()).iter(f"{SVG}text")]
    said = {kind: [t.text for t in texts if t.get("class") == kind] for kind in ("weight", "bias", "value")}
    layers = [model[0], model[2]]
    assert said["weight"] == [f"{w:.3g}" for layer in layers for w in layer.weight.data.ravel().tolist()]
    assert said["bias"] == [f"b {b:.3g}" for layer in layers for b in layer.bias.data.tolist()]
    hidden = np.maximum(model[0](x).data, 0)
    assert said["value"] == [f"{v:.3g}" for v in [*x.tolist(), *hidden.tolist(), *model(x).data.tolist()]]
    places = [(float(t.get("x")), float(t.get("y"))) for t in texts if t.get("class") == "weight"]
    assert all(abs(a[0] - b[0]) > 10 or abs(a[1] - b[1]) > 6 for a, b in itertools.combinations(places, 2))


def test_errors_for_what_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match=r"one sample.*; and as blocks: Sequential does not take samples of shape"):
        nn.draw(small(2, 2), np.zeros((3, 5), np.float32))
    with pytest.raises(ValueError, match=r"follow one another.*pass a sample="):
        nn.draw(nn.ModuleList([nn.Linear(2, 3), nn.Linear(4, 1)]))
    for option in ("gradients", "numbers"):
        with pytest.raises(ValueError, match=r"has no nn\.Linear"):
            nn.draw(nn.Sequential(nn.ReLU()), **{option: True})
    with pytest.raises(ValueError, match="at most 60 arrows, and this one has 70"):
        nn.draw(small(7, 10), numbers=True)
    with pytest.raises(ValueError, match=r"\.svg or \.html"):
        nn.draw(small(2, 2)).save(tmp_path / "network.gif")
    assert nn.draw(small(2, 2)).save(tmp_path / "network.svg").read_text().startswith("<svg")


def test_a_weight_that_is_not_finite_is_red():
    model = small(1, 1)
    model[0].weight.assign(np.array([[np.nan]], np.float32))
    assert "#C00000" in nn.draw(model).svg()


# ---- health


def test_dead_units_are_found():
    model = small(2, 4, 1)
    model[0].bias.assign(np.array([-100, -100, 100, 100], np.float32))
    assert dead_units(model, np.ones((5, 2), np.float32)) == {"0": 0.5}
    assert model.training


def test_health_measures_gradients_and_steps():
    model = small(2, 3, 1)
    before = model.state_dict()
    model(np.ones((4, 2), np.float32)).sum().backward()
    nn.SGD(model.parameters(), lr=0.1).step()
    first, last = health_of(model, before, np.ones((4, 2), np.float32))
    assert (first.name, last.name) == ("0", "2") and last.dead is None
    w, b = model[2].weight, model[2].bias
    assert last.gradient == pytest.approx(np.sqrt(np.sum(w.grad.data**2) + np.sum(b.grad.data**2)), rel=1e-6)
    size = np.sqrt(np.sum(w.data**2) + np.sum(b.data**2))
    assert last.moved == pytest.approx(0.1 * last.gradient / size, rel=1e-5)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (LayerHealth("2", 1.0, 0.01, 0.61), "layer 2: 61% of units never fire"),
        (LayerHealth("2", np.nan, 0.01), "not finite"),
        (LayerHealth("2", 0.0, 0.0), "learns nothing"),
        (LayerHealth("2", 1.0, 2.0), "may be too large"),
        (LayerHealth("2", 1.0, 1e-9), "may be too small"),
        (LayerHealth("2", 1.0, 0.01, 0.0), "all layers learn"),
    ],
)
def test_the_health_of_a_run_in_words(layer, words):
    assert words in " ".join(in_words([layer], 0.1))


def test_vanishing_gradients_are_reported():
    layers = [LayerHealth(str(i), 10.0 ** (2 * i - 6), 0.01) for i in range(4)]
    assert any("vanish" in text for text in in_words(layers, 0.1))


# ---- the loss surface


def test_the_surface_is_the_loss_and_the_path_ends_at_the_origin():
    r = np.random.default_rng(0)
    states = [{"w": r.normal(size=(2, 3)) / (i + 1)} for i in range(4)]
    surface = surface_of(lambda weights: float(np.sum(weights["w"] ** 2)), states, n=9)
    assert np.allclose(surface.path[-1], 0) and surface.losses.shape == (9, 9)
    assert surface.losses.min() < float(np.sum(states[-1]["w"] ** 2)) * 1.5
    assert 0.0 < surface.held <= 1.0 + 1e-12
    assert len(path_points(surface)) == 4
    root = ElementTree.fromstring(surface_svg(surface))
    assert [c for c in root.iter(f"{SVG}circle") if c.get("class") == "walker"]


def test_a_path_in_a_plane_is_held_entirely():
    last = np.array([[3.0, 4.0]])
    states = [{"w": last + d} for d in (np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]]), np.zeros((1, 2)))]
    surface = surface_of(lambda w: float(np.sum(w["w"])), states, n=5)
    assert surface.held == pytest.approx(1.0)


def test_directions_are_as_long_as_the_weights_row_by_row():
    seen = []
    w = np.array([[3.0, 4.0], [0.0, 1.0]])
    states = [{"w": w + 1.0}, {"w": w}]
    surface_of(lambda weights: seen.append(weights["w"]) or 1.0, states, n=3)
    for step in (seen[1] - seen[0], seen[3] - seen[0]):  # along the first direction, along the second
        lengths = np.linalg.norm(step, axis=1)
        assert lengths[0] == pytest.approx(5 * lengths[1])


def test_ops_and_parameters_of_a_convolutional_network_have_their_names():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 2)
    )
    with watch():
        loss = model(np.ones((1, 1, 6, 6), np.float32)).sum()
        loss.backward()
    text = draw(loss, names=model).source
    for word in ("convolution", "window_max", "0.weight", "2x1x3x3", "MaxPool2d(kernel_size=2)"):
        assert word in text
