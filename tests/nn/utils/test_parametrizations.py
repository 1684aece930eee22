"""Weights of a chosen length, of spectral norm 1 and orthogonal ones, beside PyTorch's and by their definitions."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, gradcheck
from nn.utils import parametrize
from nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

LAYERS = {
    "Linear": ((4, 3), (5, 4)),
    "wide Linear": ((3, 5), (2, 3)),
    "square Linear": ((4, 4), (5, 4)),
    "Conv2d": ((2, 3, 2), (2, 2, 4, 5)),
    "ConvTranspose1d": ((2, 3, 2), (2, 2, 4)),
}
KINDS = {
    "weight_norm": (weight_norm, {}),
    "weight_norm of the whole": (weight_norm, {"dim": None}),
    "weight_norm of columns": (weight_norm, {"dim": 1}),
    "spectral_norm": (spectral_norm, {}),
    "spectral_norm, 3 times": (spectral_norm, {"n_power_iterations": 3}),
    "spectral_norm of a bias": (spectral_norm, {"name": "bias"}),
    "orthogonal": (orthogonal, {}),
    "orthogonal cayley": (orthogonal, {"orthogonal_map": "cayley"}),
    "orthogonal householder": (orthogonal, {"orthogonal_map": "householder"}),
    "orthogonal, no base": (orthogonal, {"orthogonal_map": "householder", "use_trivialization": False}),
    "orthogonal exp, no base": (orthogonal, {"orthogonal_map": "matrix_exp", "use_trivialization": False}),
}


def made(kind, layer, dtype=float):
    nn.manual_seed(0)
    args, shape = LAYERS[layer]
    built = getattr(nn, layer.split()[-1])(*args, dtype=dtype)
    function, options = KINDS[kind]
    x = np.random.default_rng(1).normal(size=shape).astype(dtype)
    return function(built, **options), x


def moved(layer, tall=False):
    """The layer with other values than those it begins with; the diagonal of reflections stays 1 or -1."""
    rng = np.random.default_rng(2)
    for p in layer.parameters():
        step = rng.normal(size=p.shape).astype(p.dtype) * 0.3
        apart = np.arange(p.shape[-2])[:, None] != np.arange(p.shape[-1]) if tall and p.ndim > 1 else True
        p.assign(p.data + step * apart)
    return layer


PAIRS = [(k, n) for k in KINDS for n in LAYERS if "orthogonal" not in k or "Linear" in n or k == "orthogonal"]


@pytest.mark.parametrize(("kind", "layer"), PAIRS)
def test_states_values_and_gradients_are_those_of_pytorch(kind, layer):
    torch = pytest.importorskip("torch")
    if kind == "spectral_norm of a bias" and "Transpose" in layer:
        pytest.skip("a vector has no axis 1")
    mine, x = made(kind, layer)
    theirs = getattr(torch.nn, layer.split()[-1])(*LAYERS[layer][0]).double()
    function, options = KINDS[kind]
    getattr(torch.nn.utils.parametrizations, function.__name__)(theirs, **options)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    moved(mine, tall=function is orthogonal)
    theirs.load_state_dict({key: torch.tensor(array) for key, array in mine.state_dict().items()})
    for training in (True, True, False):
        mine.train(training), theirs.train(training)
        mine.zero_grad(), theirs.zero_grad()
        y, z = mine(x), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-9, atol=1e-12)
        np.sum(y * y * 0.5 + y).backward()
        (z * z * 0.5 + z).sum().backward()
        named = dict(theirs.named_parameters())
        for name, p in mine.named_parameters():
            np.testing.assert_allclose(p.grad.data, named[name].grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=name)
        for name, array in mine.state_dict().items():
            np.testing.assert_allclose(array, theirs.state_dict()[name].numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    back = made(kind, layer)[0]
    back.load_state_dict({key: t.numpy() for key, t in theirs.state_dict().items()})
    np.testing.assert_allclose(back.eval()(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", ["Linear", "wide Linear"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_parametrized_layer_is_a_layer(kind, layer, tmp_path):
    mine, x = made(kind, layer, np.float32)
    plain = nn.Linear(*LAYERS[layer][0])
    assert isinstance(mine, nn.Linear) and parametrize.type_before_parametrizations(mine) is nn.Linear
    assert {p.dtype for p in mine.parameters()} == {np.dtype(np.float32)} and mine(x).dtype == np.float32
    mine.eval()
    expected = mine(x).data
    for copied in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        np.testing.assert_array_equal(copied(x).data, expected)
        assert not {id(p) for p in copied.parameters()} & {id(p) for p in mine.parameters()}
    nn.save(mine, tmp_path / "state.safetensors")
    other, _ = made(kind, layer, np.float32)
    nn.load(tmp_path / "state.safetensors", other)
    np.testing.assert_array_equal(other.eval()(x).data, expected)
    name = KINDS[kind][1].get("name", "weight")
    assert not parametrize.is_parametrized(plain) and parametrize.is_parametrized(mine, name)
    parametrize.remove_parametrizations(mine, name)
    assert type(mine) is nn.Linear and mine.state_dict().keys() == plain.state_dict().keys()
    np.testing.assert_allclose(mine(x).data, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_and_compiled_steps(kind):
    mine, x = made(kind, "Linear")
    mine.eval()
    names = [name for name, p in mine.named_parameters() if p.ndim > 1 or "bias" in name]
    values = [dict(mine.named_parameters())[name].data for name in names]

    def f(*parameters):
        if kind.startswith("orthogonal"):  # a diagonal of signs is not learned
            parameters = [w if w.ndim < 2 else np.where(np.eye(*w.shape, dtype=bool), -1.0, w) for w in parameters]
        return np.sum(nn.functional_call(mine, dict(zip(names, parameters, strict=True)), (x,)) ** 2)

    assert gradcheck(f, values, order=2, directions=1)
    losses = []
    for compiled in (False, True):
        layer, _ = made(kind, "Linear")
        optimizer = nn.SGD(layer.parameters(), lr=0.01)

        def step(x, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            loss = np.sum(layer(x) ** 2)
            loss.backward()
            optimizer.step()
            return loss

        run = autograd.compile(step) if compiled else step
        losses.append([run(x).item() for _ in range(6)])
    np.testing.assert_allclose(*losses, rtol=1e-12)
    assert losses[0][-1] < losses[0][0]


def test_what_they_promise():
    rows = moved(made("weight_norm", "Linear")[0])
    g = rows.parametrizations.weight.original0.data
    np.testing.assert_allclose(np.linalg.norm(rows.weight.data, axis=1, keepdims=True), np.abs(g))
    stretch = made("spectral_norm, 3 times", "Linear")[0]
    for _ in range(50):
        found = stretch.weight.data
    np.testing.assert_allclose(np.linalg.norm(found, 2), 1)
    before = stretch.eval().weight.data
    np.testing.assert_array_equal(stretch.weight.data, before)
    for kind in KINDS:
        if kind.startswith("orthogonal"):
            q = made(kind, "Linear")[0].weight.data
            np.testing.assert_allclose(q @ q.T, np.eye(3), atol=1e-12)
    layer = nn.Linear(4, 3, dtype=float)
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 3)))[0].T
    for options in ({}, {"orthogonal_map": "cayley"}, {"orthogonal_map": "householder", "use_trivialization": False}):
        layer = orthogonal(nn.Linear(4, 3, dtype=float), **options)
        layer.weight = q
        np.testing.assert_allclose(layer.weight.data, q, atol=1e-12)


LINEAR = nn.Linear(2, 3)
WRONG = {
    "no such axis": (lambda: weight_norm(nn.Linear(2, 3), dim=3), ValueError, "no axis 3"),
    "no weight": (lambda: weight_norm(nn.ReLU()), ValueError, "ReLU has no parameter or buffer 'weight'"),
    "no such spectral axis": (lambda: spectral_norm(nn.Linear(2, 3), dim=2), ValueError, "no axis 2"),
    "no iterations": (lambda: spectral_norm(nn.Linear(2, 3), n_power_iterations=0), ValueError, "at least 1; got 0"),
    "nothing to divide": (lambda: spectral_norm(nn.ReLU()), ValueError, "no parameter 'weight'"),
    "a vector": (lambda: orthogonal(nn.Linear(2, 3), "bias"), ValueError, "at least two axes"),
    "map": (lambda: orthogonal(nn.Linear(2, 3), orthogonal_map="qr"), ValueError, "'householder'; got 'qr'"),
    "complex reflections": (
        lambda: orthogonal(nn.Linear(2, 3, dtype=complex), orthogonal_map="householder"), ValueError, "real weights",
    ),
    "no inverse": (
        lambda: setattr(orthogonal(nn.Linear(3, 3), use_trivialization=False), "weight", np.eye(3)),
        NotImplementedError,
        "'matrix_exp' has no inverse",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name):
    call, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        call()
    assert isinstance(LINEAR.weight, Tensor)
