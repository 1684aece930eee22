"""Calls of compiled functions: any names, interrupts, errors, signals, generators, copies and methods."""

from __future__ import annotations

import collections
import copy
import inspect
import pickle
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, Tensor, compile, no_grad
from autograd.compiling import Compiled
from compiled_steps import X, Y, close, network, pair, same
from interrupting import Interrupt

ONE = np.ones(2)


# ---- arguments and names


def test_named_tuples_of_other_fields_are_other_arguments():
    P, Q = collections.namedtuple("P", "x y"), collections.namedtuple("Q", "y x")
    f = compile(lambda p: p.x - p.y)
    for _ in range(4):
        same(f(P(ONE * 2, ONE)), ONE)
        same(f(Q(ONE * 2, ONE)), -ONE)
        same(f({"a": 1} and P(x=ONE, y=ONE)), ONE * 0)


def test_results_are_nested_as_the_function_nests_them():
    P, key = collections.namedtuple("P", "x y"), (1, "k")

    class Checked(P):
        def __new__(cls, x, y):
            return super().__new__(cls, float(x) if isinstance(x, str) else x, y)

    def deep(x):
        for _ in range(250):  # more brackets than Python can parse
            x = [x]
        return x

    results = (
        lambda x: (),
        lambda x: [x * 2, (x,), (), [], {}],
        lambda x: {"a": x * 2, 3: (x * 3, {"b": None}), "it's": "found[0]"},
        lambda x: P(x * 2, [P(x, 1.5)]),
        lambda x: {key: x * 2, None: x},
        lambda x: Checked(x * 2, x),
        deep,
        lambda x: (Tensor(x) * 2, {"picks": Tensor(x).sum() * 1.0}),
    )
    for f in results:
        compiled = compile(f)
        for x in (ONE, ONE * 2, ONE * 3):
            mine, theirs = (autograd.tree.flatten(g(x)) for g in (compiled, f))
            assert mine[1](0 for _ in mine[0]) == theirs[1](0 for _ in theirs[0])
            assert type(compiled(x)) is type(f(x))
            for a, b in zip(mine[0], theirs[0], strict=True):
                assert type(a) is type(b)
                if isinstance(b, np.ndarray | Tensor):
                    same(a, b.data if isinstance(b, Tensor) else b)
                else:
                    assert a == b


NAMES = (
    "update moves scratch0 p0 np Changed run_blocks aligned returned b0 c0 n0 t0 slice float found slots state held "
    "program g0"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES.split(), "scale", "plan", "new", "last", "changes"])
def test_arguments_and_functions_may_have_any_name(name):
    w = Tensor(ONE, requires_grad=True, name=name)
    optimizer = nn.SGD([w], lr=0.1)
    space = {"w": w, "optimizer": optimizer, "power": np.inf}
    body = f"optimizer.zero_grad(); (w * {name}).sum().backward(); optimizer.step(); return {name}[0:1] * 2.0, [power]"
    exec(f"def {name}({name}): {body}", space)
    step = compile(space[name])
    for i in range(1, 6):
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
            return [f(np.ones(4)).item() for _ in range(6)]

    assert sums(compile(fallback=True), nn.Dropout(0.5)) == sums(lambda f: f, nn.Dropout(0.5))

    def drawn(wrap):
        generator = np.random.default_rng(0)

        @wrap
        def f(x):
            y = x + autograd.outside(generator.standard_normal, 2)
            return y * float(y.sum())

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [f(ONE).tolist() for _ in range(5)]

    assert drawn(compile(fallback=True)) == drawn(lambda f: f)


# ---- interrupts, errors, threads, signals


class InterruptInside(Interrupt):
    """Raise KeyboardInterrupt at the n-th line of the code that runs a program, makes its changes and audits it."""

    def trace(self, frame, event, arg):
        name = frame.f_code.co_filename
        inside = name[:9] in ("<call>", "<compiled") or name.endswith(("plan.py", "schedule.py"))
        inside = inside or frame.f_code.co_name in ("put_back", "_audited", "_run", "_look_up")
        if not inside or frame.f_code.co_name == "__init__":
            return self.trace if event == "call" and "autograd" in name else None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self.trace


def numbers(model, optimizer):
    states = [{key: np.asarray(x).tolist() for key, x in own.items()} for own in optimizer.state]
    return [p.data.tolist() for p in model.parameters()], states


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda p: nn.SGD(p, lr=0.1, momentum=0.9), lambda p: nn.Adam(p, lr=0.01)])
@pytest.mark.parametrize("calls", [1, 2, 4])  # the next one compiles, is an audit, or neither
@pytest.mark.parametrize("held", [False, True])
def test_an_interrupt_of_a_compiled_step_leaves_all_or_nothing(make, calls, held):
    def begun():
        (step, model, optimizer), _ = pair(make, exact=True)
        for _ in range(calls):
            step(X, Y)
        return step, model, optimizer

    step, model, optimizer = begun()
    allowed = [numbers(model, optimizer)]
    with InterruptInside(10**9) as clock:
        step(X, Y)
    allowed.append(numbers(model, optimizer))
    lines, found = 10**9 - clock.left, set()
    some = np.random.default_rng(0).integers(1, lines, 20 if calls > 1 else 3)  # compiling is slow while it is traced
    for n in sorted({*some.tolist(), *range(max(1, lines - (40 if calls > 1 else 12)), lines + 1)}):
        step, model, optimizer = begun()
        kept = [p.data for p in model.parameters()][::2] if held else []
        with pytest.raises(KeyboardInterrupt), InterruptInside(n):
            step(X, Y)
        found.add(allowed.index(numbers(model, optimizer)))
        del kept
        step(X, Y)
        assert np.isfinite(model[0].weight.grad.data).all()
    assert found == {0, 1}


def test_an_error_inside_a_program_changes_nothing_and_does_not_stay():
    w = Tensor(np.eye(2), requires_grad=True)
    names = {"scale": 1.0}

    @compile
    def f(x):
        w.grad = None
        y = (np.linalg.inv(x) * w * names["scale"]).sum()
        y.backward()
        return y

    for _ in range(5):
        f(np.eye(2))
    for _ in range(2):
        gradient = w.grad
        with pytest.raises(np.linalg.LinAlgError):
            f(np.zeros((2, 2)))
        assert w.grad is gradient
        same(gradient, np.eye(2))
        f(np.eye(2))
    close(f(np.eye(2)), np.array(2.0))
    close(w.grad, np.eye(2))
    with pytest.raises(np.linalg.LinAlgError):
        f(np.zeros((2, 2)))
    f.audit = "always"
    scale = names.pop("scale")
    with pytest.raises(KeyError):
        f(np.eye(2))
    names["scale"] = scale
    close(f(np.eye(2)), np.array(2.0))


def test_a_compiled_function_may_be_called_while_it_runs():
    model, calls = network(), []
    with no_grad():
        f = compile(lambda x: model(x))
        for _ in range(4):
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
    expected = [[f(x) for x in inputs] for _ in range(3)][-1]

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
    monkeypatch.setattr("autograd.compiling.compiled.REMEMBERED", 5)
    f = compile(lambda x, k: float(x.sum()) + k, fallback=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(20):
            for _ in range(3):
                assert f(ONE, k) == 2.0 + k
        assert len(f.refused) == 5
        for k in range(20):
            f(ONE, float(k))  # first calls
    assert len(f.seen) == 5


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
            for _ in range(3):
                same(other.fast(X), other(X))
            assert other.fast.stats.compiles == 1 and other.fast.exact and other.fast.function.__self__ is other
        same(model.fast(X), model(X))


def test_a_compiled_method_has_all_that_a_function_has(tmp_path):
    a, b = Scaler(), Scaler()
    with no_grad():
        for scaler in (a, b) * 3:
            close(scaler.fast(X), scaler.linear(X).data * 2)
        assert a.fast.stats.compiles == 2 and "def fast(" in a.fast.source
        assert a.fast.save(tmp_path / "fast.py").exists()
        outer = compile(lambda x, method=b.fast: method(x) + 1.0)
        for _ in range(3):
            close(outer(X), b.fast(X).data + 1)
        b.linear.weight.assign(b.linear.weight.data * 2)
        close(outer(X), b.fast(X).data + 1)
        assert outer.stats.compiles == 1
    with pytest.raises(AttributeError):
        a.fast.nothing  # noqa: B018
    with pytest.raises(CompileError, match="before the second call"):
        compile(a.linear.forward).source  # noqa: B018


# ---- the way to a program

ROOMS = 8  # functions of the compiler that an argument may pass; never raised


def rooms(call):
    """The names of the compiler's functions, comprehensions aside, that are entered in a call before its program."""
    entered, folder = [], str(Path(inspect.getfile(Compiled)).parent)

    def look(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith((folder, "<call>", "<compiled")):
            entered.append((frame.f_code.co_filename, frame.f_code.co_name))

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    program = next(i for i, (file, _) in enumerate(entered) if file.startswith("<compiled"))
    return [name for _, name in entered[:program] if name[0] != "<"]


@pytest.mark.parametrize("make", [None, nn.SGD, nn.Adam])
@pytest.mark.parametrize("named", [False, True], ids=["by place", "by name"])
def test_an_argument_passes_few_functions_on_its_way_to_a_program(make, named):
    model, loss_of = network(), nn.CrossEntropyLoss()
    optimizer = make and make(model.parameters(), lr=0.01)

    @compile
    def step(x, y):
        if make is None:
            with no_grad():
                return loss_of(model(x), y)
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    call = (lambda: step(x=X, y=Y)) if named else (lambda: step(X, Y))
    for _ in range(5):
        call()
    passed = rooms(call)
    assert step.stats.audits == 2 and step.stats.eager == 0  # the next one was no audit
    assert passed[0] == "__call__" and "call" in passed
    assert len({*passed} if named else passed) <= ROOMS, passed  # nested arguments pass one function again and again


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize(
    "name", ["eigh", "eigvalsh", "eig", "eigvals", "svd", "svdvals", "qr", "cholesky", "inv", "slogdet", "pinv", "cond"]
)
def test_every_result_of_a_decomposition(name, dtype):
    """Values, and vectors in a form that their phase does not change; their rules are traced too."""
    a = np.array([[2.0, 0.3], [0.1, 1.0]]).astype(dtype)
    a = a + 0.2j * np.array([[0, 1], [-1, 0]]) if a.dtype.kind == "c" else a
    a = a if name in ("eig", "eigvals", "qr", "inv", "slogdet", "pinv", "cond") else 0.5 * (a + a.conj().T)
    results = getattr(np.linalg, name)(a)
    for i in range(len(results)) if isinstance(results, tuple) else [None]:

        def loss(x, i=i):
            result = getattr(np.linalg, name)(x)
            return np.sum(np.abs(result if i is None else result[i]) ** 3) + 0.0 * np.abs(
                np.sum(x)
            )  # a sign has no slope

        plain = autograd.value_and_grad(loss)
        compiled = autograd.compile(plain)
        for step in range(4):
            x = (a * (1 + 0.1 * step)).astype(a.dtype)
            for got, want in zip(compiled(x), plain(x), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-4 if dtype is np.float32 else 1e-9, atol=1e-6)
        assert compiled.stats.compiles == 1
