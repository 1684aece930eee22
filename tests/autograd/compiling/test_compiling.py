"""Compiled functions: every op of the registry, training steps and random programs, bit for bit equal to eager."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autograd
import nn
from autograd import AuditError, CompileError, Tensor, compile, no_grad
from compiled_steps import MODES, close, deep_network, same
from optimisers import made
from programs import Program
from samples import CALLS, IDS, closed


def leaves_of(arrays):
    return [Tensor(a, requires_grad=True) for a in arrays]


# ---- the registry


@pytest.mark.slow
@MODES
@pytest.mark.parametrize(("name", "i"), CALLS, ids=IDS)
def test_value_and_gradient_of_every_op(name, i, exact, same):
    function, arrays = closed(name, i)
    if not arrays:
        pytest.skip("no input has a gradient")

    def both(*leaves):
        out = function(*leaves)
        if isinstance(out, Tensor) and out.requires_grad:
            out.backward(np.cos(np.arange(out.size)).astype(out.dtype).reshape(out.shape))
        return out

    compiled = compile(both, exact=exact)
    ours, theirs = leaves_of(arrays), leaves_of(arrays)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            same(compiled(*ours), both(*theirs))
            for a, b in zip(ours, theirs, strict=True):
                assert (a.grad is None) == (b.grad is None)
                if a.grad is not None:
                    same(a.grad, b.grad)
                a.grad = b.grad = None
    assert compiled.stats.compiles == 1 and compiled.stats.eager == 0


@pytest.mark.slow
@MODES
@pytest.mark.parametrize("seed", range(150))
def test_random_programs(seed, exact, same):
    program = Program(seed, 30)

    def both(*leaves):
        out = program(*leaves)
        out.backward()
        return out

    compiled = compile(both, exact=exact)
    ours, theirs = leaves_of(program.inputs), leaves_of(program.inputs)
    with np.errstate(all="ignore"):
        for step in range(3):
            same(compiled(*ours), both(*theirs))
            for a, b in zip(ours, theirs, strict=True):
                same(a.grad, b.grad)
                a.grad = b.grad = None
                for leaf in (a, b):
                    leaf.assign(leaf.data * (1.0 + 0.1 * step))


# ---- training steps


OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("AdamW", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1}),
    ("Adadelta", {"lr": 1.0}),
    ("NAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "betas": (0.8, 0.9)}),  # the mean squares count after a few steps
    ("Adamax", {"lr": 0.01}),
    ("Rprop", {"lr": 0.01}),
    ("ASGD", {"lr": 0.01, "t0": 3}),
    ("Adafactor", {"lr": 0.01}),
    ("Muon", {"lr": 0.01}),
]


def trained(name, options, wrap=None, dropout=0.0):
    model = deep_network(dropout)
    optimizer = made(name, options, model.parameters())
    loss_of = nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)

    def step(X, y):
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    step = wrap(step) if wrap else step
    losses = []
    for i in range(9):
        X, y = rng.normal(size=(12, 4)).astype(np.float32), rng.integers(0, 3, 12)
        losses.append(step(X, y).item())
        optimizer.lr *= 0.9  # a schedule makes no new program
        if i == 4:
            model.eval()
    return losses, model.state_dict(), optimizer.state_dict(), step


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), OPTIMISERS, ids=lambda x: x if isinstance(x, str) else "")
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_training_steps(name, options, dropout):
    losses, state, own, _ = trained(name, options, None, dropout)
    found, found_state, found_own, step = trained(name, options, compile(exact=True), dropout)
    assert found == losses
    for key, array in state.items():
        same(found_state[key], array)
    for a, b in zip(own["state"], found_own["state"], strict=True):
        assert a.keys() == b.keys()
        for key in a:
            same(a[key], b[key])
    assert step.stats.compiles == 2 and step.stats.eager == 0  # the steps in train(), and those in eval()


@pytest.mark.parametrize(
    "loss",
    [
        nn.MSELoss(),
        nn.L1Loss(),
        nn.HuberLoss(),
        nn.SmoothL1Loss(),
        nn.BCEWithLogitsLoss(),
        nn.KLDivLoss(reduction="batchmean"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_losses(loss):
    rng = np.random.default_rng(0)
    x, y = -np.abs(rng.normal(size=(5, 3))), rng.uniform(0.1, 0.9, (5, 3))

    def both(leaf):
        value = loss(leaf, y)
        value.backward()
        return value

    ours, theirs, compiled = *leaves_of([x, x]), compile(both)
    for _ in range(3):
        same(compiled(ours), both(theirs))
        same(ours.grad, theirs.grad)
        ours.grad = theirs.grad = None


def test_a_graph_recorded_before_a_compiled_step_knows_that_weights_were_replaced():
    w = Tensor([1.0, 2.0], requires_grad=True)
    optimizer = nn.SGD([w], lr=0.1)

    @compile
    def step():
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()

    step(), step()
    before, kept = (w * w).sum(), w.data
    step()
    assert kept.tolist() == pytest.approx([0.64, 1.28])  # a shared array is not written to
    with pytest.raises(autograd.GraphError, match="was replaced"):
        before.backward()


# ---- what is compiled again, and what is not compiled


WAYS = {
    "none": (),
    "inside": ("inside",),
    "inside, clipped": ("inside", "clip"),
    "clipped": ("clip",),
    "before": ("before",),
    "after": ("after",),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_step_outside_knows_whether_gradients_were_cleared_inside(way, accumulated):
    def warned(wrap):
        does, w = WAYS[way], Tensor(np.ones(3), requires_grad=True)
        optimizer = nn.SGD([w], lr=0.1)

        def gradients(x):
            if "inside" in does:
                optimizer.zero_grad()
            for _ in range(accumulated):
                (w * x).sum().backward()
            if "clip" in does:
                nn.clip_grad_norm_([w], 1.0)

        function, found = wrap(gradients), []
        for step in range(6):
            if "before" in does:
                optimizer.zero_grad()
            with warnings.catch_warnings(record=True) as shown:
                warnings.simplefilter("always")
                function(np.full(3, 2.0))
                optimizer.step()
            found += [step] * len(shown)
            if "after" in does:
                optimizer.zero_grad()
        return found, w.data.tolist()

    assert warned(compile) == warned(lambda f: f)


def test_new_shapes_dtypes_and_arguments_compile_anew_and_the_cache_is_bounded():
    @compile(cache_size=3)
    def f(x, power=2):
        return (x**power).sum()

    for n in (1, 2, 3):
        for _ in range(3):
            f(np.ones(n))
    assert f.stats.compiles == 3
    for _ in range(2):
        f(np.ones(3, np.float32))
        f(np.ones(3), power=3)
    assert f.stats.compiles == 5 and len(f.plans) == 3
    f(np.ones(1)), f(np.ones(1))
    assert f.stats.compiles == 6


def test_modes_and_closures_that_changed_compile_anew():
    model, factor = deep_network(0.5), 2.0

    @compile
    def f(x):
        return model(x) * factor

    x = np.ones((3, 4), np.float32)
    with no_grad():
        model.eval()
        for _ in range(2):
            first = f(x)
        factor = 3.0
        for _ in range(2):
            close(f(x), model(x) * 3.0)
        model.items = [*model.items[:-1], nn.Linear(8, 2)]
        for _ in range(2):
            assert f(x).shape == (3, 2) and first.shape == (3, 3)
    assert f.stats.compiles == 3


def test_a_list_that_is_edited_is_found_by_the_next_audit():
    model, x = deep_network().eval(), np.ones((3, 4), np.float32)
    f = compile(lambda x: model(x))
    with no_grad():
        for _ in range(4):
            f(x)
        model.items[-1] = nn.Linear(8, 2)
        for _ in range(3):
            f(x)
        with pytest.raises(AuditError, match="differ in the result; something that it reads has changed"):
            f(x)
        for _ in range(3):
            close(f(x), model(x))


def test_python_that_depends_on_values_is_named_or_run_as_it_is():
    def f(x):
        if x.sum() > 0:
            return x * 2
        return x

    for function, text in (
        (f, r"test_compiling\.py:\d+: if x\.sum\(\) > 0"),
        (lambda x: float(x.sum()), "plain number or array"),
    ):
        compiled = compile(function)
        assert np.all(compiled(np.ones(3)) == function(np.ones(3)))
        with pytest.raises(CompileError, match=text):
            compiled(np.ones(3))
    g = compile(f, fallback=True)
    g(np.ones(3))
    with pytest.warns(RuntimeWarning, match="f is not compiled"):
        same(g(np.ones(3)), np.full(3, 2.0))
    same(g(-np.ones(3)), -np.ones(3))
    assert g.stats.eager == 2


def test_an_error_leaves_everything_as_it_was():
    model = nn.Linear(2, 1)
    before = model.weight.data

    @compile
    def f(x):
        loss = model(x).sum()
        loss.backward()
        return loss.item()

    f(np.ones((3, 2), np.float32))
    model.weight.grad = model.bias.grad = None
    with pytest.raises(CompileError):
        f(np.ones((3, 2), np.float32))
    assert model.weight.data is before and model.weight.grad is None
    model(np.ones((3, 2), np.float32))


def test_labels_out_of_range_are_refused_in_later_runs_too():
    model, loss_of = nn.Linear(2, 3), nn.CrossEntropyLoss()

    @compile
    def f(x, y):
        return loss_of(model(x), y)

    x = np.ones((2, 2), np.float32)
    with no_grad():
        f(x, np.array([0, 2])), f(x, np.array([0, 2]))
        close(f(x, np.array([1, 1])), loss_of(model(x), np.array([1, 1])))
        with pytest.raises(ValueError, match="is not one of the 3 classes"):
            f(x, np.array([0, 3]))
    assert f.stats.compiles == 1


# ---- the program


def test_the_source_is_readable_numpy():
    model, loss_of = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), nn.MSELoss()
    optimizer = nn.SGD(model.parameters(), lr=0.1)

    @compile
    def step(X, y):
        loss = loss_of(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        with pytest.raises(CompileError, match="before the second call"):
            step.source  # noqa: B018
        step(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))
    for text in (
        "def step(X, y, _0_weight,",
        "# forward: 0\n",
        "# backward",
        "# update",
        "np.tanh(",
        "lr",
        ", b",
    ):
        assert text in step.source


def test_numbers_times_numbers_times_a_sum():
    f = compile(lambda x: (x.sum() * 0.5) * 3.0 + (x.sum(axis=0) * 2.0).sum() * 0.25)
    x = np.arange(12.0).reshape(4, 3)
    for _ in range(3):
        close(f(x), np.float64(66 * 1.5 + 66 * 0.5))


def test_dead_code_goes_and_common_expressions_are_shared():
    @compile
    def f(x):
        np.exp(x)
        return np.sin(x) * 2 + np.sin(x)

    f(np.ones(3)), f(np.ones(3))
    assert "exp" not in f.source and f.source.count("np.sin") == 1


def test_methods_compile_too():
    class Scaler:
        factor = 2.0

        @compile
        def scale(self, x):
            return x * self.factor

    scaler = Scaler()
    for _ in range(3):
        same(scaler.scale(np.ones(2)), np.full(2, 2.0))
    assert scaler.scale.stats.compiles == 1 and "def scale(" in scaler.scale.source
