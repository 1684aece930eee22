"""A module called with other parameters: values, gradients, shared tensors, and the module as it was."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, gradcheck
from layer_kinds import KINDS, total

X = np.random.default_rng(0).normal(size=(5, 3))


class Nested(nn.Module):
    """Parameters in a tuple, a list and a dict, a shared one, and a buffer."""

    def __init__(self):
        rng = np.random.default_rng(0)
        shared = nn.Parameter(rng.normal(size=3))
        self.pair = (nn.Parameter(rng.normal(size=3)), shared)
        self.table = {"a": [shared, nn.Linear(3, 2, dtype=float)]}
        self.register_buffer("count", np.zeros(()))

    def forward(self, x, scale=1.0):
        self.count.assign(self.count.data + 1)
        return self.table["a"][1](x * self.pair[0] * self.pair[1] + self.table["a"][0]) * scale


def state(module):
    return {name: (id(t), t.data.copy()) for name, t in module._state().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_reaches_what_was_given_and_the_module_stays(kind):
    layer, inputs = KINDS[kind].layer().eval(), KINDS[kind].inputs()
    before, values = state(layer), {name: t.data + 0.01 for name, t in layer.named_parameters()}
    expected = KINDS[kind].layer().eval()
    expected.load_state_dict(values, strict=False)
    total(kind, expected, inputs).backward() if values else None

    def call(*args):
        return nn.functional_call(layer, given, args)

    given = {name: Tensor(value, requires_grad=True) for name, value in values.items()}
    loss = total(kind, call, inputs)
    if given:
        loss.backward()
    for name, p in expected.named_parameters():
        np.testing.assert_array_equal(given[name].grad.data, p.grad.data, err_msg=name)
    assert all(p.grad is None for p in layer.parameters())
    after = state(layer)
    assert [*after] == [*before] and all(after[k][0] == before[k][0] for k in after)
    for name in after:
        np.testing.assert_array_equal(after[name][1], before[name][1])


def test_shared_tensors_containers_and_buffers():
    model = Nested()
    before = state(model)
    names = ["pair.0", "pair.1", "table.a.1.weight", "table.a.1.bias"]

    def f(*values):
        return np.sum(nn.functional_call(model, dict(zip(names, values, strict=True)), X) ** 2)

    assert gradcheck(f, [before[name][1] + 0.1 for name in names], order=2, directions=1)
    tied = nn.functional_call(model, {"table.a.0": np.ones(3)}, X)
    both = nn.functional_call(model, {"table.a.0": (one := np.ones(3)), "pair.1": one}, X)
    np.testing.assert_array_equal(tied.data, both.data)
    apart = nn.functional_call(model, {"table.a.0": np.ones(3)}, X, tie_weights=False)
    assert not np.allclose(apart.data, tied.data)
    count = nn.Buffer(np.array(7.0))
    doubled = nn.functional_call(model, [{"pair.0": np.ones(3)}, {"count": count}], (X,), {"scale": 2.0})
    single = nn.functional_call(model, {"pair.0": np.ones(3)}, (X, 1.0))
    np.testing.assert_array_equal(doubled.data, 2 * single.data)
    assert count.item() == 8.0


def test_an_error_leaves_the_module_as_it_was():
    model = Nested()
    before = state(model)
    with pytest.raises(ValueError, match="shape"):
        nn.functional_call(model, {"pair.0": np.ones(3)}, np.zeros((2, 4)))
    assert {k: v[0] for k, v in state(model).items()} == {k: v[0] for k, v in before.items()}


def test_compiled_and_by_grad():
    layer, w = nn.Linear(3, 2, dtype=float), np.random.default_rng(1).normal(size=(2, 3))

    def loss(weight, x):
        return np.sum(nn.functional_call(layer, {"weight": weight}, x) ** 2)

    gradient, compiled = autograd.grad(loss), autograd.compile(autograd.grad(loss))
    for k in range(5):
        np.testing.assert_allclose(compiled(w + k, X), gradient(w + k, X), rtol=1e-12)


WRONG = {
    "unknown": ({"weigth": np.ones((2, 3))}, {}, "Linear has no parameter or buffer weigth"),
    "shape": ({"weight": np.ones((3, 2))}, {}, r"weight has shape \(2, 3\); got \(3, 2\)"),
    "strict": ({"weight": np.ones((2, 3))}, {"strict": True}, "needs a value for bias"),
    "twice": ([{"bias": np.ones(2)}, {"bias": np.ones(2)}], {}, "several of the dicts have bias"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(name):
    given, options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        nn.functional_call(nn.Linear(3, 2), given, X, **options)
    with pytest.raises(ValueError, match=r"table.a.0 is the same tensor as pair.1, and two values"):
        nn.functional_call(Nested(), {"pair.1": np.ones(3), "table.a.0": np.zeros(3)}, X)


@pytest.mark.parametrize("tie", [True, False])
def test_it_is_that_of_pytorch(tie):
    torch = pytest.importorskip("torch")

    def build(kinds, **options):
        first, second = kinds.Linear(3, 3, **options), kinds.Linear(3, 3, **options)
        second.weight = first.weight
        return kinds.Sequential(first, kinds.Tanh(), second)

    mine, theirs = build(nn, dtype=float), build(torch.nn, dtype=torch.float64)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in mine.state_dict().items()})
    w = np.random.default_rng(2).normal(size=(3, 3))
    found = nn.functional_call(mine, {"0.weight": w}, (X,), tie_weights=tie)
    expected = torch.func.functional_call(theirs, {"0.weight": torch.tensor(w)}, (torch.tensor(X),), tie_weights=tie)
    np.testing.assert_allclose(found.data, expected.detach().numpy(), rtol=1e-12)
