"""What is refused: what a function changes in every call, and a program would not; what is refused is put back."""

from __future__ import annotations

import warnings
import weakref

import numpy as np
import pytest

import autograd
import nn
from autograd import CompileError, Tensor, compile, detect_anomaly, no_grad
from compiled_steps import X, close, network, same

FACTOR = 2.0


# ---- what cannot be compiled


class Counter(nn.Module):
    def __init__(self):
        self.linear, self.count, self.last, self.average = nn.Linear(4, 3), 0, None, np.zeros(3)

    def forward(self, x, kind="count"):
        y = self.linear(x)
        if kind == "count":
            self.count += 1
        if kind == "last":
            self.last = y
        if kind == "average":
            self.average = self.average * 0.5 + y.data.mean(0)
        return y


def effects(kind):
    module, total, table = Counter(), 0.0, np.zeros(3)
    optimizer = nn.SGD(module.parameters(), lr=0.1)

    def f(x):
        nonlocal total, table
        global FACTOR
        y = module(x, kind)
        if kind == "nonlocal":
            total = total + 1.0
        if kind == "global":
            FACTOR = FACTOR + 1.0
        if kind == "array":
            table = table + y.data.sum(0)
        if kind == "written array":
            table[0] += 1.0
        if kind == "positions":
            y = y * float(table[0])
        if kind == "input":
            x += 1.0
        if kind == "view":
            z = x * 2.0
            row = z[0]
            row += 1.0
            return z
        if kind == "rate":
            optimizer.zero_grad()
            y.sum().backward()
            optimizer.step()
            optimizer.groups[0]["lr"] *= 0.5
            return None
        if kind == "frozen":
            module.linear.weight.requires_grad = not module.linear.weight.requires_grad
        if kind == "branch":
            return y if y.data.sum() > 1e9 else y * 2
        if kind == "number":
            return y * float(y.data.sum())
        return y

    return f, module, {"total": lambda: total, "table": lambda: table, "factor": lambda: FACTOR}


REFUSED = {
    "count": r"Counter.count is changed in the function, at test_state.py:\d+: self.count \+= 1; a program",
    "last": r"Counter.last is changed in the function, at test_state.py:\d+: self.last = y; a program",
    "average": r"Counter.average is changed in the function, at test_state.py:\d+: self.average = self",
    "nonlocal": r"total is changed in the function, at test_state.py:\d+: def f\(x\):; a program",
    "global": r"FACTOR is changed in the function, at test_state.py:\d+: def f\(x\):",
    "array": r"table is changed in the function, at test_state.py:\d+: def f\(x\):",
    "written array": r"an array that was given is written into, at test_state.py:\d+: table",
    "positions": r"a traced array cannot become a plain number or array, at test_state.py:\d+: y = y",
    "rate": r"the learning rate is changed in the function, at test_state.py:\d+: optimizer.groups.*; step a schedule",
    "frozen": r"requires_grad of a parameter is changed in the function, at test_state.py:\d+: def f.*; do so outside",
    "input": r"an array that was given is written into, at test_state.py:\d+: x \+= 1.0",
    "view": r"an array that has views is written into, at test_state.py:\d+: row \+= 1.0",
    "branch": r"Python code depends on the numbers in an array, at test_state.py:\d+: return y if",
    "number": r"a traced array cannot become a plain number or array, at test_state.py:\d+",
}


@pytest.mark.parametrize(("kind", "text"), REFUSED.items(), ids=REFUSED)
def test_what_a_program_would_not_do_again_is_refused_and_put_back(kind, text):
    f, module, names = effects(kind)
    g, x = compile(f), X.copy()
    g(x)  # as it is written
    held = lambda: (dict(vars(module)), {k: get() for k, get in names.items()}, module.linear.weight.data, x.copy())
    before = held()
    with pytest.raises(CompileError, match=text):
        g(x)
    after = held()
    assert all(after[0][k] is before[0][k] for k in before[0]) and all(after[1][k] is before[1][k] for k in before[1])
    assert after[2] is before[2]
    same(after[3], before[3])
    with pytest.raises(CompileError, match=text):  # not once only
        g(x)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_runs_as_it_is_written_with_fallback(kind):
    found = []
    for options in (None, {"fallback": True}):
        global FACTOR
        FACTOR = 2.0
        nn.manual_seed(0)
        f, module, names = effects(kind)
        g, x = (f if options is None else compile(f, **options)), X.copy()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            results = [g(x) for _ in range(5)]
        assert [str(w.message)[:17] for w in caught] == (["f is not compiled"] if options else [])
        kept = [module.count, module.average, *(get() for get in names.values()), x, module.linear.weight.data]
        found.append([*kept, *(r for r in results if r is not None)])
    FACTOR = 2.0
    for a, b in zip(*found, strict=True):
        same(a, b)


# ---- what can be


def test_a_parameter_that_no_name_leads_to_takes_part():
    model = network()
    hidden = weakref.ref(model)
    inner = compile(lambda x: hidden()(x))
    outer = compile(lambda x: hidden()(x).sum().backward())
    for _ in range(4):
        with no_grad():
            close(inner(X), model(X))
        model.zero_grad()
        outer(X)
        mine = model[0].weight.grad.data
        model.zero_grad()
        model(X).sum().backward()
        close(mine, model[0].weight.grad)
        model[0].weight.assign(model[0].weight.data * 2)


def test_dropout_compiles():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    with no_grad():
        for train in (True, False):
            model.train(train)
            g = compile(model)
            for _ in range(4):
                nn.manual_seed(0)
                found = g(X)
                nn.manual_seed(0)
                close(found, model(X))
            assert g.stats.compiles == 1


def test_hooks_take_part():
    model = network()
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    model[2].weight.register_hook(lambda g: g * 3)

    def f(x):
        h = model(x)
        h.register_hook(lambda g: g + 1)
        h.sum().backward()
        return h.data

    g = compile(f)
    for _ in range(4):
        model.zero_grad()
        expected = f(X), model[2].weight.grad.data, model[0].weight.grad.data
        model.zero_grad()
        for a, b in zip((g(X), model[2].weight.grad, model[0].weight.grad), expected, strict=True):
            close(a, b)
    assert g.stats.compiles == 1


def test_a_hook_that_watches_sees_the_calls_that_run_as_they_are_written():
    model, seen = network(), []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    with no_grad():
        g = compile(lambda x: model(x).sum())
        for _ in range(8):
            g(X)
    assert seen == [(12, 8)] * 5


def test_functions_that_are_watched_run_as_they_are_written():
    f = compile(lambda x: np.log(x))
    f(np.ones(2))
    with detect_anomaly(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(autograd.AnomalyError):
            f(Tensor(-np.ones(2), requires_grad=True))
    assert f.stats.eager == 1


def test_compiled_functions_inside_compiled_functions_are_part_of_them():
    inner = compile(lambda x: x * 2.0)
    outer = compile(lambda x: inner(x) + 1.0)
    x = np.arange(3.0)
    for _ in range(3):
        same(outer(x), x * 2 + 1)
    assert "np.multiply" in outer.source and inner.stats.compiles == 0


@pytest.mark.parametrize("grad", [True, False])
def test_one_array_may_be_a_result_and_the_new_value_of_tensors(grad):
    w, v = (Tensor(np.zeros(3), requires_grad=grad) for _ in range(2))

    @compile
    def step(x):
        new = w.data - x * 2.0
        w.assign(new)
        v.assign(new)
        return {"new": new, "again": w.data}

    for i in range(1, 7):
        found = step(np.ones(3))
        for x in (*found.values(), w.data, v.data):
            assert np.array_equal(x, np.full(3, -2.0 * i))
    assert step.stats.compiles == 1 and step.stats.eager == 0
