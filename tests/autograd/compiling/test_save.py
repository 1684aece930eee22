"""Programs saved as files: they need only NumPy and go on where the function is; errors name what cannot be saved."""

from __future__ import annotations

import collections
import enum

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, Tensor, compile, no_grad
from autograd.compiling.emit import identifier
from compiled_steps import close, deep_network, in_file, same


def test_a_saved_program_needs_numpy_alone(tmp_path):
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3), nn.Tanh()).eval()

    @compile
    def predict(x):
        return nn.functional.softmax(model(x))

    with no_grad():
        x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
        expected = predict(x).data
        predict(x)
        now = predict(x).data
    file = predict.save(tmp_path / "saved.py")
    assert file.read_text().startswith('"""A program')
    same(in_file(file, "out = [saved.predict(x)]", x=x)[0], now)
    close(expected, now)
    refused = "try: saved.predict(x[:2])\nexcept ValueError as error: out = [str(error)]"
    assert in_file(file, refused, x=x)[0] == "predict is for x of shape (5, 4) and float32; got (2, 4) and float32"


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_saved_training_step_goes_on_training(tmp_path, name):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer, loss_of = getattr(nn, name)(model.parameters(), lr=0.1), nn.CrossEntropyLoss()

    @compile
    def step(X, y):
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(6, 4)).astype(np.float32), rng.integers(0, 3, 6)
    for _ in range(4):
        step(X, y)
    file = step.save(tmp_path / "saved.py")
    *losses, weight = in_file(file, "out = [saved.step(X, y) for _ in range(3)] + [saved.state['_0_weight']]", X=X, y=y)
    assert losses == [step(X, y).item() for _ in range(3)]
    same(weight, model[0].weight)


def test_a_file_draws_the_numbers_that_would_be_drawn_here(tmp_path):
    model = deep_network(0.5)
    f = compile(lambda x: model(x), exact=True)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    with no_grad(), nn.functional.formulas():
        f(x), f(x)
        file = f.save(tmp_path / "saved.py")
        found = in_file(file, "out = [saved._lambda_(x) for _ in range(2)]", x=x)
        for a in found:
            close(a, f(x))


def test_what_a_file_cannot_hold_is_named(tmp_path):
    from scipy.special import gammaln

    f = compile(lambda x: gammaln(x) + 1.0)
    f(np.ones(2)), f(np.ones(2))
    with pytest.raises(CompileError, match=r"what is not NumPy's \(.*gammaln"):
        f.save(tmp_path / "f.py")


def test_layers_that_share_a_generator_share_it_in_the_file(tmp_path):
    generator = np.random.default_rng(3)

    @compile
    def f(x):
        a = autograd.outside(generator.random, 3)
        b = autograd.outside(generator.standard_normal, 3)
        return x + a, b, autograd.outside(generator.random, 3)

    x = np.zeros(3)
    f(x), f(x)
    file = f.save(tmp_path / "saved.py")
    found = in_file(file, "out = [*saved.f(x), *saved.f(x)]", x=x)
    for a, b in zip(found, [*f(x), *f(x)], strict=True):
        same(a, b)


@pytest.mark.parametrize("options", [{"name": "Adam"}, {"name": "SGD", "momentum": 0.9}])
def test_a_step_that_has_just_made_a_state_is_a_file(tmp_path, options):
    w = Tensor(np.ones(2), requires_grad=True)
    optimizer = getattr(nn, options.pop("name"))([w], lr=0.1, **options)

    @compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    x = np.ones(2)
    step(x)
    with pytest.raises(CompileError, match="there is no program before the second call"):
        step.save(tmp_path / "step.py")
    step(x)
    file = step.save(tmp_path / "saved.py")
    state = in_file(file, "saved.step(x); saved.step(x); out = list(saved.state.values())", x=x)
    step(x), step(x)
    assert any(found.shape == (2,) and np.allclose(w.data, found) for found in state)


def test_what_a_file_cannot_do_is_named(tmp_path):
    w, marker = Tensor(np.ones(2), requires_grad=True), object()
    optimizer = nn.SGD([w], lr=0.1)

    def adds(x):
        (w * x).sum().backward()

    def returns(x):
        return x * 2.0, marker

    def moves(v):
        v.assign(v.data * 2.0)

    x = np.ones(2)
    for f, given, text in (
        (adds, x, "adds to gradients that were there"),
        (returns, x, "returns <object object at .* which a file cannot hold"),
        (moves, Tensor(x, requires_grad=True), "moves a Tensor that is an argument"),
    ):
        compiled = compile(f)
        compiled(given), compiled(given), compiled(given)
        with pytest.raises(CompileError, match=text):
            compiled.save(tmp_path / "f.py")
    optimizer.zero_grad()


def test_infinity_and_nan_are_written_as_python_reads_them(tmp_path):
    power, holes = -np.inf, {"nan": float("nan"), "list": [1, "two", None, True, float("inf")]}

    @compile
    def f(x):
        return np.maximum(x, power), np.where(x > 0, x, float("nan")), holes

    x = np.array([1.0, -2.0], np.float32)
    f(x), f(x)
    file = f.save(tmp_path / "saved.py")
    text = "a, b, c = saved.f(x); assert c['list'] == [1, 'two', None, True, float('inf')]; out = [a, b, c['nan']]"
    found = in_file(file, text, x=x)
    for a, b in zip(found, f(x), strict=False):
        if not isinstance(b, dict):
            same(a, b)
    assert np.isnan(found[2])


def no(word):
    """Text that prints the word, if any of it is executed as a line of its own."""
    return f"print({word!r})"


HOSTILE = [
    f"a\n{no('newline')}\nb",
    f"a\r{no('return')}",
    f"a\x0b{no('tab')}\x0c{no('feed')}",
    f"a\x85{no('next')}\u2028{no('line')}\u2029{no('paragraph')}",
    f"'; {no('quote')} #",
    f'"""; {no("docstring")}; """',
    f"{{{no('braces')}}}",
    f"a\\\n    {no('backslash')}",
    "x²",
    "ﬁ",  # equal to the next one after NFKC
    "fi",
    "\x00b\x1b[2Jc\u202ed",
    "",
    " ",
    "lambda",
    "np",
    "print",
    "Σ\ud800",  # half of a pair, which no encoding has
]


@pytest.mark.parametrize("shift", range(4))
def test_nothing_of_a_name_is_executed(tmp_path, capsys, shift):
    names = HOSTILE[shift:] + HOSTILE[:shift]
    classes = [type(name.strip("\0\ud800"), (nn.Linear,), {}) for name in reversed(names)]
    layers = {name: one(2, 2) for name, one in zip(names, classes, strict=True)}

    class Model(nn.Module):
        def __init__(self):
            self.layers = layers
            for name in HOSTILE:
                setattr(self, f"own{name}", Tensor(np.ones(2), requires_grad=True, name=name))

        def forward(self, x, hostile):
            for name, layer in self.layers.items():
                x = np.tanh(layer(x)) * getattr(self, f"own{name}") + hostile[name]
            return x.sum()

    nn.manual_seed(0)
    model = Model()
    optimizer = nn.SGD(model.parameters(), lr=0.1, momentum=0.5)

    def step(hostile, **named):
        optimizer.zero_grad()
        loss = model(named[names[0]], hostile)
        loss.backward()
        optimizer.step()
        return {name: loss.data * i for i, name in enumerate(names)}

    step.__name__ = step.__qualname__ = names[0]
    compiled = compile(step)
    hostile, x = {name: np.full(2, 0.1) for name in names}, np.ones((3, 2))
    for _ in range(3):
        found = compiled(hostile, **{names[0]: x})
    assert found.keys() == set(names) and compiled.stats.audits == 1
    file = compiled.save(tmp_path / "saved.py")
    call = f"saved.{identifier(names[0])}(*[np.full(2, 0.1)] * {len(names)}, np.ones((3, 2)))"
    mine = compiled(hostile, **{names[0]: x})
    for a, b in zip(in_file(file, f"out = {call}.values()"), mine.values(), strict=True):
        close(a, b)
    assert not capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state", "slots", "found", "operator", "update", "moves", "np", "held", "program"])
def test_arguments_parameters_and_functions_of_any_name_are_saved(tmp_path, name):
    w = Tensor(np.ones(2), requires_grad=True)
    optimizer = nn.SGD([w], lr=0.1, momentum=0.5)
    model = type("M", (nn.Module,), {})()
    setattr(model, name, w)
    space = {"model": model, "optimizer": optimizer}
    exec(
        f"def {name}({name}): optimizer.zero_grad(); (model.{name} * {name}).sum().backward(); optimizer.step(); "
        f"return model.{name}.data * 1.0", space
    )  # fmt: skip
    step, x = compile(space[name]), np.array([1.0, 2.0])
    step(x), step(x)
    file = step.save(tmp_path / "saved.py")
    call = f"saved.{identifier(name)}"
    found = in_file(file, f"out = [{call}(x), {call}(x)]", x=x)
    for a in found:
        close(a, step(x))


def test_results_in_a_file(tmp_path):
    """Results are nested as in the function, but in plain tuples, lists and dicts: a file has no other types."""
    P, E = collections.namedtuple("P", "x y"), enum.IntEnum("E", "A B")
    f = compile(lambda x: ({(1, "k"): x * 2, None: [x * 3, 1.5, "s"]}, P(x * 4, x), collections.OrderedDict(a=x * 5)))
    f(np.ones(2)), f(np.ones(2))
    file = f.save(tmp_path / "saved.py")
    text = "d, t, o = saved.{}(x); out = [d[1, 'k'], d[None][0], t[0], o['a']]; assert d[None][1:] == [1.5, 's']"
    text += "; assert type(t) is tuple and type(o) is dict"
    for mine, factor in zip(in_file(file, text.format("_lambda_"), x=np.ones(2)), (2, 3, 4, 5), strict=True):
        same(mine, np.full(2, float(factor)))
    for other in (lambda x: (x * 2, E.A), lambda x: {E.B: x * 2}):
        refused = compile(other)
        refused(np.ones(2)), refused(np.ones(2))
        with pytest.raises(CompileError, match=r"returns <E\.[AB]: \d>, which a file cannot hold"):
            refused.save(tmp_path / "refused.py")
