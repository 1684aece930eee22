"""Whose memory it is: weights, gradients, states and results of a compiled function beside those of the function."""

from __future__ import annotations

import collections
import copy
import pickle
import signal
import warnings

import numpy as np
import pytest
from test_compile import close, same
from test_compiled_steps import X, Y, network, pair
from test_interrupts import Interrupt

import autograd
import nn
from autograd import CompileError, GraphError, Tensor, compile, no_grad

ONE = np.ones(2)


def weight(value=(0.0, 0.0), **options):
    """A weight, its optimiser, and a step by which every element moves by -lr, compiled."""
    w = Tensor(np.array(value), requires_grad=True)
    optimizer = nn.SGD([w], **{"lr": 1.0, **options})

    @compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()

    return w, optimizer, step


# ---- weights


@pytest.mark.parametrize("make", [lambda a: a[:2], lambda a: np.frombuffer(a.tobytes())[:2], lambda a: a[::-1][:2]])
def test_a_weight_that_lies_in_memory_of_others_is_not_written_over(make):
    w, _, step = weight()
    for _ in range(3):
        step(ONE)
    whole = np.arange(4.0)
    data = make(whole)
    before, first = whole.copy(), data.copy()
    w.data = data
    del data
    for i in range(1, 4):
        step(ONE)
        same(w, first - i)
    same(whole, before)


def test_a_buffer_that_lies_in_memory_of_others_is_not_written_over_later():
    layer = nn.BatchNorm1d(4)
    step = compile(lambda x: layer(x).sum().detach())
    for _ in range(3):
        step(X)
    whole = np.zeros(8, np.float32)
    layer.running_mean.data = whole[:4]
    for _ in range(4):
        step(X)
    same(whole, np.zeros(8, np.float32))


def test_overlapping_views_as_two_weights():
    def run(wrap):
        flat = np.zeros(3)
        a, b = Tensor(np.zeros(2), requires_grad=True), Tensor(np.zeros(2), requires_grad=True)
        optimizer = nn.SGD([a, b], lr=1.0)

        @wrap
        def step(x):
            optimizer.zero_grad()
            (a * x + b * x).sum().backward()
            optimizer.step()

        step(ONE), step(ONE)
        a.data, b.data = flat[:2], flat[1:]
        step(ONE), step(ONE)
        return flat, a.data, b.data

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        same(mine, theirs)


def test_weights_that_change_places():
    def run(wrap):
        a, b = Tensor(np.zeros(2)), Tensor(np.ones(2))

        @wrap
        def swap(x):
            a.data, b.data = b.data, a.data
            return x * a

        found = [swap(ONE).data for _ in range(5)]
        return [*found, a.data, b.data]

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        same(mine, theirs)


# ---- gradients


def test_a_gradient_that_is_changed_by_hand_is_another_one_after_the_next_run():
    w = Tensor(np.zeros(1), requires_grad=True)

    @compile
    def backward(x):
        w.grad = None
        (w * x).sum().backward()

    held = []
    for k in range(1, 9):
        backward(np.array([float(k)]))
        same(w.grad, np.array([float(k)]))
        if k in (3, 5):
            w.grad.data *= 10
        if k == 4:
            w.grad.data = np.array([7.0])
        if k in (4, 5):
            held.append((w.grad, w.grad.data.copy()))
    for gradient, value in held:
        same(gradient, value)
    assert backward.stats.compiles <= 2


def test_a_constant_gradient_is_not_the_programs_own():
    b = Tensor(np.zeros(2), requires_grad=True)

    @compile
    def f(x):
        b.grad = None
        (x + b).sum().backward()

    for _ in range(5):
        f(ONE)
        same(b.grad, ONE)
        b.grad.data *= 0.5


def test_gradients_that_appear_and_go_are_noticed():
    w = Tensor(np.ones(2), requires_grad=True)
    optimizer = nn.SGD([w], lr=0.1)
    update = compile(lambda: optimizer.step())
    with pytest.warns(UserWarning, match="found no gradient"):
        update()
    for i, gradient in enumerate([ONE, None, ONE, ONE, None]):
        w.grad = None if gradient is None else Tensor(gradient)
        before = w.data.copy()
        update()
        same(w, before if gradient is None else before + ONE * -0.1)
        assert i < 2 or update.stats.compiles == 2


def test_gradients_add_up_after_they_were_none():
    w = Tensor(np.zeros(2), requires_grad=True)
    backward = compile(lambda x: (w * x).sum().backward())
    for i in range(9):
        if i % 3 == 0:
            w.grad = None
        backward(ONE)
        same(w.grad, ONE * (i % 3 + 1))


def test_the_gradient_of_a_frozen_weight_is_used_as_long_as_it_is_there():
    def run(wrap):
        w, v = (Tensor(np.ones(2), requires_grad=True) for _ in range(2))
        optimizer = nn.SGD([w, v], lr=0.1)

        @wrap
        def step(x):
            (w * x).sum().backward()
            optimizer.step()
            w.grad = None

        v.requires_grad, v.grad = False, Tensor(ONE)
        step(ONE), step(ONE)
        v.grad = None
        step(ONE), step(ONE)
        return w.data, v.data

    for mine, theirs in zip(run(compile), run(lambda f: f), strict=True):
        close(mine, theirs)


@pytest.mark.parametrize("inside", [True, False])
def test_gradients_that_were_not_forgotten_are_warned_of(inside):
    def warned(wrap):
        w = Tensor(ONE, requires_grad=True)
        optimizer = nn.SGD([w], lr=0.1)

        @wrap
        def backward(x):
            (w * x).sum().backward()
            if inside:
                optimizer.step()

        said = []
        for i in range(6):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                backward(ONE)
                if not inside:
                    optimizer.step()
                    if i < 3:
                        optimizer.zero_grad()
            said.append(len(caught))
        return said

    assert warned(compile) == warned(lambda f: f)


def test_a_gradient_that_is_returned_is_that_of_the_weight():
    w = Tensor(np.zeros(2), requires_grad=True)

    @compile
    def backward(v, x):
        w.grad = None
        (w * x * v).sum().backward()
        return {"w": w.grad, "v": v.grad}

    held = []
    for k in range(1, 6):
        v = Tensor(ONE, requires_grad=True)
        found = backward(v, ONE * k)
        assert found["w"] is w.grad and found["v"] is v.grad
        held.append(w.grad)
        for i, gradient in enumerate(held, 1):
            same(gradient, ONE * i)


# ---- states


@pytest.mark.parametrize("make", [lambda p: nn.SGD(p, lr=0.1, momentum=0.9), lambda p: nn.Adam(p, lr=0.01)])
def test_states_that_others_hold_stay_as_they_are(make):
    (step, _, optimizer), (eager, _, other) = pair(make)
    kept = []
    for i in range(9):
        step(X, Y), eager(X, Y)
        kept.append((optimizer.state, copy.deepcopy(optimizer.state)) if i % 2 else (list(optimizer.state), None))
        if i % 3 == 2:
            kept.append((optimizer.state[0], copy.deepcopy(optimizer.state[0])))
            kept.append((optimizer.state_dict()["state"], copy.deepcopy(optimizer.state)))
        kept = [(a, copy.deepcopy(a) if b is None else b) for a, b in kept]
        for own, theirs in zip(optimizer.state, other.state, strict=True):
            assert list(own) == list(theirs)
            for key in own:
                close(own[key], theirs[key])
    for held, before in kept:
        for a, b in zip(*([x] if isinstance(x, dict) else x for x in (held, before)), strict=True):
            assert a.keys() == b.keys()
            for key in a:
                same(a[key], b[key])


# ---- results


def test_results_share_memory_where_those_of_the_function_do():
    w = Tensor(np.array([[1.0, 2.0, 3.0]]), requires_grad=True)

    def f(x):
        y = x * 2
        (w * x).sum().backward()
        return y, x * 2, y.T, np.zeros_like(x), np.ones(3), w.grad.data, x * 1.0, x, x[0]

    compiled = compile(f)
    for _ in range(4):
        outputs = []
        for function in (compiled, f):
            w.grad = None
            x = np.array([[1.0, 2.0, 3.0]])
            found = function(x)
            outputs.append([*found, w.grad.data, x])
        mine, theirs = outputs
        for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            same(a, b)
            for c, d in zip(mine[:i], theirs[:i], strict=True):
                assert np.shares_memory(a, c) == np.shares_memory(b, d)
        for a in mine:
            a += 1.0


def test_results_with_a_graph_keep_what_they_are():
    layer, count = nn.Linear(4, 2), np.array([2**60 + 1])

    def f(x, n):
        y = layer(x)
        return y, n + 0, y.detach(), None, "text", y.data, y * np.float64(2.0), {"sum": y.sum()}

    compiled = compile(f)
    for _ in range(3):
        mine, theirs = compiled(X, count), f(X, count)
        assert [type(a) for a in mine] == [type(a) for a in theirs] and mine[3:5] == (None, "text")
        for a, b in zip(
            [*mine[:3], *mine[5:7], mine[7]["sum"]], [*theirs[:3], *theirs[5:7], theirs[7]["sum"]], strict=True
        ):
            close(a, b)
            if isinstance(b, Tensor):
                assert a.requires_grad == b.requires_grad
        gradients = []
        for found in (mine, theirs):
            layer.zero_grad()
            (found[0].sum() + (found[6] * found[6]).sum() + found[7]["sum"]).backward()
            gradients.append(layer.weight.grad)
        close(*gradients)
    assert compiled.stats.compiles == 1


def test_a_walk_through_a_result_runs_the_function_as_it_was():
    ours, theirs = nn.BatchNorm1d(4), nn.BatchNorm1d(4)
    compiled = compile(ours)
    for i in range(4):
        a, b = compiled(X * (i + 1)), theirs(X * (i + 1))
        later = compiled(X), theirs(X)
        for layer, out in ((ours, a), (theirs, b)):
            layer.zero_grad()
            (out * out).sum().backward()
        del later
        close(ours.weight.grad, theirs.weight.grad)
        for p, q in zip(ours.buffers(), theirs.buffers(), strict=True):
            close(p, q)
    compiled.stats.eager = 0


def test_a_walk_through_a_result_refuses_what_has_changed():
    scale, table, layer = 2.0, np.ones(4, np.float32), nn.Linear(4, 2)
    f = compile(lambda x: (layer(x * table) * scale).sum())

    def replace():
        nonlocal table
        table = np.zeros(4, np.float32)

    def rescale():
        nonlocal scale
        scale += 1.0

    changes = [rescale, replace, lambda: layer.weight.assign(layer.weight.data * 2), lambda: layer.__dict__.update(y=1)]
    for change, text in zip(
        changes, ["scale has changed", "table has changed", "was replaced|weight has", ""], strict=True
    ):
        for _ in range(2):
            y = f(X)
            change()
            if text:
                with pytest.raises(GraphError, match=text):
                    y.backward()
            else:
                y.backward()


def test_a_walk_through_a_result_makes_no_other_step():
    w = Tensor(np.ones(2), requires_grad=True)
    optimizer = nn.SGD([w], lr=0.1)

    @compile
    def step(x):
        optimizer.zero_grad()
        (w * x).sum().backward()
        optimizer.step()
        return (w * w).sum()

    step(ONE)
    penalty, before = step(ONE), w.data.copy()
    close(penalty, np.array((before**2).sum()))
    with pytest.raises(GraphError, match=r"would have to run again.*\.detach\(\)"):
        penalty.backward()
    same(w, before)


# ---- arguments and names


def test_named_tuples_of_other_fields_are_other_arguments():
    P, Q = collections.namedtuple("P", "x y"), collections.namedtuple("Q", "y x")
    f = compile(lambda p: p.x - p.y)
    for _ in range(2):
        same(f(P(ONE * 2, ONE)), ONE)
        same(f(Q(ONE * 2, ONE)), -ONE)
        same(f({"a": 1} and P(x=ONE, y=ONE)), ONE * 0)


NAMES = (
    "update moves scratch0 p0 np Changed run_blocks returned b0 c0 n0 t0 slice float found slots state held program g0"
)


@pytest.mark.parametrize("name", [*NAMES.split(), "scale", "plan", "new", "last", "changes"])
def test_arguments_and_functions_may_have_any_name(name):
    w = Tensor(ONE, requires_grad=True, name=name)
    optimizer = nn.SGD([w], lr=0.1)
    space = {"w": w, "optimizer": optimizer, "power": np.inf}
    body = f"optimizer.zero_grad(); (w * {name}).sum().backward(); optimizer.step(); return {name}[0:1] * 2.0, [power]"
    exec(f"def {name}({name}): {body}", space)
    step = compile(space[name])
    for i in range(1, 4):
        found, [power] = step(ONE)
        same(found, ONE[:1] * 2)
        assert power == np.inf
        close(w, ONE - 0.1 * i)


# ---- generators


def test_a_run_that_comes_to_nothing_draws_nothing():
    positions = np.array([0, 2])

    def sums(wrap, dropout):
        nn.manual_seed(0)
        f = wrap(lambda x: sum(dropout(x)[int(i)] for i in positions))
        with no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [f(np.ones(4)).item() for _ in range(4)]

    assert sums(compile, nn.Dropout(0.5)) == sums(lambda f: f, nn.Dropout(0.5))

    def drawn(wrap):
        generator = np.random.default_rng(0)

        @wrap
        def f(x):
            y = x + autograd.outside(generator.normal, 2)
            return y * float(y.sum())

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [f(ONE).tolist() for _ in range(3)]

    assert drawn(compile(fallback=True)) == drawn(lambda f: f)


# ---- interrupts, errors, threads, signals


class InterruptInside(Interrupt):
    """Raise KeyboardInterrupt at the n-th line of what runs a program and makes its changes."""

    def trace(self, frame, event, arg):
        name = frame.f_code.co_filename
        inside = name == "<look>" or name.endswith(("outcome.py", "program.py", "plan.py")) or name[:9] == "<compiled"
        if not inside or frame.f_code.co_name in ("apart", "__init__"):
            return self.trace if event == "call" and "autograd" in name else None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


def numbers(model, optimizer):
    states = [{key: np.asarray(x).tolist() for key, x in own.items()} for own in optimizer.state]
    return [p.data.tolist() for p in model.parameters()], states


@pytest.mark.parametrize("make", [lambda p: nn.SGD(p, lr=0.1, momentum=0.9), lambda p: nn.Adam(p, lr=0.01)])
@pytest.mark.parametrize(("calls", "held"), [(0, False), (4, False), (4, True)])
def test_an_interrupt_of_a_compiled_step_leaves_all_or_nothing(make, calls, held):
    def begun():
        (step, model, optimizer), _ = pair(make)
        for _ in range(calls):
            step(X, Y)
        return step, model, optimizer

    step, model, optimizer = begun()
    allowed = [numbers(model, optimizer)]
    with InterruptInside(10**9) as clock:
        step(X, Y)
    allowed.append(numbers(model, optimizer))
    lines, found = 10**9 - clock.left, set()
    some = np.random.default_rng(0).integers(1, lines, 20 if calls else 3)  # compiling takes long while it is watched
    for n in sorted({*some.tolist(), *range(lines - (20 if calls else 10), lines + 1)}):
        step, model, optimizer = begun()
        kept = [p.data for p in model.parameters()][::2] if held else []
        with pytest.raises(KeyboardInterrupt), InterruptInside(n):
            step(X, Y)
        found.add(allowed.index(numbers(model, optimizer)))
        del kept
        step(X, Y)
        assert np.isfinite(model[0].weight.grad.data).all()
    assert found == {0, 1}


def test_an_error_inside_a_program_does_not_stay():
    w = Tensor(np.eye(2), requires_grad=True)
    names = {"scale": 1.0}

    @compile
    def f(x):
        w.grad = None
        y = (np.linalg.inv(x) * w * names["scale"]).sum()
        y.backward()
        return y

    for _ in range(3):
        f(np.eye(2))
    for held in ([], [w.grad]):
        with pytest.raises(np.linalg.LinAlgError):
            f(np.zeros((2, 2)))
        with pytest.raises(GraphError, match="this gradient was lost"):
            w.grad.data  # noqa: B018
        for gradient in held:
            same(gradient, np.eye(2))
        f(np.eye(2))
    close(f(np.eye(2)), np.array(2.0))
    close(w.grad, np.eye(2))
    with pytest.raises(np.linalg.LinAlgError):
        f(np.zeros((2, 2)))
    scale = names.pop("scale")
    with pytest.raises(KeyError):
        f(np.eye(2))
    names["scale"] = scale
    close(f(np.eye(2)), np.array(2.0))


def test_a_compiled_function_may_be_called_while_it_runs():
    model, calls = network(), []
    with no_grad():
        f = compile(lambda x: model(x))
        f(X)
        plan = f.plans[0]
        program = plan.program.run

        def again(*given):
            if not calls:
                calls.append(None)
                calls[0] = f(X * 2)  # as a signal's handler would
            return program(*given)

        plan.space["program"] = again
        close(f(X), model(X))
        close(calls[0], model(X * 2))
        assert f.stats.eager == 1
        f(X)
        assert f.stats.eager == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that signal")
def test_a_signal_that_calls_the_function_finds_no_lock():
    f, wrong = compile(lambda x: np.exp(np.sin(x) * 2.0) * x), []
    inputs = [np.full(50, 0.5), np.full(50, 0.7)]
    expected = [f(x) for x in inputs]

    def handler(*_):
        if not np.array_equal(f(inputs[1]), expected[1]):
            wrong.append("in the handler")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for _ in range(20_000):
            if not np.array_equal(f(inputs[0]), expected[0]):
                wrong.append("outside")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not wrong and f.stats.compiles == 1 and f.stats.eager > 0


def test_calls_that_are_refused_are_not_remembered_for_ever(monkeypatch):
    monkeypatch.setattr("autograd.compiling.step.REMEMBERED", 5)
    f = compile(lambda x, k: float(x.sum()) + k, fallback=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(20):
            assert f(ONE, k) == 2.0 + k
    assert len(f.refused) == 5


# ---- copies and methods


@compile
def doubled(x):
    return x * 2.0


class Scaler(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(4, 2)

    @compile
    def fast(self, x):
        return self.linear(x) * 2.0


def test_compiled_functions_are_copied_and_pickled():
    assert pickle.loads(pickle.dumps(doubled)) is doubled is copy.deepcopy(doubled)
    model = network()
    model.fast = compile(model.forward, exact=True)
    with no_grad():
        model.fast(X)
        for other in (
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),
            copy.deepcopy(model.fast).function.__self__,
        ):
            other[0].weight.assign(other[0].weight.data * 2)
            same(other.fast(X), other(X))
            assert other.fast.stats.compiles == 1 and other.fast.exact and other.fast.function.__self__ is other
        same(model.fast(X), model(X))


def test_a_compiled_method_has_all_that_a_function_has(tmp_path):
    a, b = Scaler(), Scaler()
    with no_grad():
        for scaler in (a, b, a):
            close(scaler.fast(X), scaler.linear(X).data * 2)
        assert a.fast.stats.compiles == 2 and "def fast(" in a.fast.source
        assert a.fast.save(tmp_path / "fast.py").exists()
        outer = compile(lambda x, method=b.fast: method(x) + 1.0)
        close(outer(X), b.fast(X).data + 1)
        b.linear.weight.assign(b.linear.weight.data * 2)
        close(outer(X), b.fast(X).data + 1)
    with pytest.raises(AttributeError):
        a.fast.nothing  # noqa: B018
    with pytest.raises(CompileError, match="before the first call"):
        compile(a.linear.forward).source  # noqa: B018
