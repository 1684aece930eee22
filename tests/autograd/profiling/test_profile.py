"""`autograd.profile`: every call is a row, times nest and add up, and nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import threading

import numpy as np
import pytest

import autograd
import nn
from autograd import OPS, AnomalyError, Tensor, detect_anomaly, no_grad, profile, watch
from graphs import leaf
from layer_kinds import KINDS, total
from profiled import network, train
from samples import CALLS, closed, gradients


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    yield
    assert autograd.mode.MODE.get().observer is None


def counts(p, by="op"):
    return {row.name: row.calls for row in p.key_averages(by)}


@pytest.mark.parametrize("name", [name for name in dict(CALLS) if OPS[name].rules or OPS[name].every])
def test_every_op_is_a_row_and_computes_the_same(name):
    i = next(i for called, i in CALLS if called == name)
    call, arrays = closed(name, i)
    value, found = gradients(call, arrays)
    with profile() as p:
        again, same = gradients(call, arrays)
    np.testing.assert_array_equal(again, value, strict=True)
    for a, b in zip(same, found, strict=True):
        np.testing.assert_array_equal(a, b)
    row = next(row for row in p.key_averages() if row.name == name)
    assert row.calls >= 1 and row.backward_calls >= 1 and row.forward > 0 and row.backward > 0


# ---- the numbers


def test_calls_and_bytes_of_a_small_program():
    with profile() as p:
        for _ in range(3):
            x = leaf(1.0, 2.0, 3.0, 4.0)
            y = np.reshape(x * x, (2, 2))
            (np.exp(y).T * 2.0).sum().backward()
    rows = {row.name: row for row in p.key_averages()}
    assert {name: (r.calls, r.backward_calls, r.forward_bytes, r.backward_bytes) for name, r in rows.items()} == {
        "multiply": (6, 6, 6 * 32, 3 * 64 + 3 * 32),  # x * x sends two gradients
        "reshape": (3, 3, 0, 3 * 32),  # a view
        "exp": (3, 3, 3 * 32, 3 * 32),
        "transpose": (3, 3, 0, 3 * 32),
        "sum": (3, 3, 3 * 8, 3 * 32),
    }


def test_times_nest_and_add_up():
    model, X, y = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)
    with profile() as p:
        train(model, X, y, optimizer, 5)
    spans = p.events()
    for span in spans:
        assert 0 <= span.inside <= span.end - span.start
    for a, b in itertools.combinations(spans, 2):  # apart, or one within the other
        first, second = sorted((a, b), key=lambda s: (s.start, -s.end))
        assert second.start >= first.end or second.end <= first.end
    top = [s for s in spans if not any(o is not s and o.start <= s.start and s.end <= o.end for o in spans)]
    assert sum(s.end - s.start - s.inside for s in spans) == sum(s.end - s.start for s in top)
    assert 0 < sum(row.time for row in p.key_averages()) < p.time
    assert counts(p)["SGD.step"] == 5


def test_modules_are_rows_with_what_is_inside_them():
    model, X, y = network()
    with profile() as p:
        nn.functional.cross_entropy(model(X), y).backward()
    rows = {row.name: row for row in p.key_averages("module")}
    assert set(rows) == {
        "Sequential", "Sequential.0 (Linear)", "Sequential.1 (Tanh)", "Sequential.2 (Sequential)",
        "Sequential.2.0 (Linear)", "Sequential.2.1 (ReLU)", "Sequential.3 (Linear)",
    }  # fmt: skip
    outer, inner = rows["Sequential.2 (Sequential)"], [rows["Sequential.2.0 (Linear)"], rows["Sequential.2.1 (ReLU)"]]
    assert outer.self_time == pytest.approx(outer.time - sum(row.time for row in inner))
    assert outer.forward > sum(row.forward for row in inner) and outer.backward > sum(row.backward for row in inner)
    assert outer.forward_bytes == sum(row.forward_bytes for row in inner) == 2 * 5 * 4 * 4
    assert all(row.calls == row.backward_calls == 1 for row in rows.values())
    assert all(row.kind == "module" and row.backward > 0 for row in rows.values())


def test_two_networks_are_two_rows_and_passing_losses_are_one():
    (a, X, y), (b, _, _) = network(), network()
    with profile() as p:
        for model in (a, b, a):
            nn.CrossEntropyLoss()(model(X), y)
    rows = counts(p, "module")
    assert rows["Sequential"] == 2 and rows["Sequential#2"] == 1 and rows["CrossEntropyLoss"] == 3
    assert rows["Sequential#2.0 (Linear)"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_is_a_row_with_its_time_in_both_passes(kind):
    layer, inputs = KINDS[kind].layer(), [Tensor(x, requires_grad=True) for x in KINDS[kind].inputs()]
    with profile() as p:
        total(kind, layer, inputs).backward()
    rows = {row.name: row for row in p.key_averages("module")}
    calls = [path for path, module in layer.named_modules() if type(module).forward is not nn.Module.forward]
    ran = {name.partition(" (")[0].partition(".")[2]: row for name, row in rows.items()}
    assert {*ran} <= {*calls} and "" in ran
    assert all(row.calls >= 1 and row.forward > 0 and row.backward > 0 for row in rows.values() if row.bytes)
    assert rows[type(layer).__name__].bytes > 0
    inner = sum(row.time for path, row in ran.items() if path and path.count(".") == 0)
    assert inner <= rows[type(layer).__name__].time * 1.001


def test_a_module_called_by_another_is_named_after_its_attribute():
    class Net(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
            self.activation = nn.Tanh()

        def forward(self, x):
            for layer in self.layers:
                x = self.activation(layer(x))
            return x + nn.Tanh()(x)

    with profile() as p:
        Net()(np.ones((1, 3), np.float32))
    assert counts(p, "module") == {
        "Net": 1, "Net.layers.0 (Linear)": 1, "Net.layers.1 (Linear)": 1, "Net.activation (Tanh)": 2,
        "Net.Tanh (Tanh)": 1,
    }  # fmt: skip


def test_second_derivatives_and_checkpoints_are_time_of_the_backward_pass():
    x = leaf(1.0, 2.0)
    with profile() as p:
        y = (x**3).sum()
        y.backward(create_graph=True)
        x.grad.sum().backward()
    rows = {row.name: row for row in p.key_averages()}
    assert rows["multiply"].forward == 0 < rows["multiply"].backward and rows["multiply"].calls == 2
    assert rows["power"].calls == 2 and rows["power"].backward_calls == 2
    layer = nn.Linear(2, 2)
    with profile() as p:
        autograd.checkpoint(layer)(Tensor(np.ones((1, 2), np.float32), requires_grad=True)).sum().backward()
    row = next(row for row in p.key_averages("module") if row.name == "Linear")
    assert row.calls == 2 and row.forward > 0 and row.backward > 0  # once each way, and its rules


def test_a_graph_made_before_the_block_is_walked_in_it():
    model, X, _ = network()
    loss = model(X).sum()
    with profile() as p:
        loss.backward()
    assert set(counts(p).values()) <= {0, 1} and p.key_averages("module") == []
    assert {row.backward_calls for row in p.key_averages() if row.name == "linear"} == {3}


def test_without_gradients_and_on_plain_arrays():
    x = leaf(1.0, 2.0)
    with profile() as p:
        with no_grad():
            np.exp(x)
        autograd.exp(np.ones(2))
        np.exp(np.ones(2))  # NumPy's own call is not seen
    assert counts(p) == {"exp": 2}


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam, nn.LBFGS])
def test_steps_of_optimisers_are_rows(kind):
    model, X, y = network()
    optimizer = kind(model.parameters(), lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), y)
        loss.backward()
        return loss

    with profile() as p:
        closure()
        optimizer.step(*[closure] if kind is nn.LBFGS else [])
    row = next(row for row in p.key_averages() if row.kind == "step")
    assert row.name == f"{kind.__name__}.step" and row.calls == 1 and row.other > 0 and not row.forward
    assert sum(row.time for row in p.key_averages()) < p.time


def test_every_call_of_a_compiled_function_is_counted():
    model, X, y = network()
    optimizer = nn.SGD(model.parameters(), lr=0.1)

    @autograd.compile
    def step(X, y):
        loss = nn.functional.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    with profile() as p:
        for _ in range(4):
            step(X, y)
    row = next(row for row in p.key_averages() if row.kind == "compiled")
    assert row.name == "step (compiled)" and row.calls == 4 and row.other > 0 and row.forward_bytes == 4 * 4
    assert step.stats.calls == 4


# ---- nested, in threads and tasks, after errors


def test_profiles_nest_beside_other_watchers():
    x = leaf(1.0, 2.0)
    with watch(), profile() as outer:
        y = np.exp(x)
        with detect_anomaly(), profile() as inner:
            (y * y).sum().backward()
            with outer:  # again: counted once
                np.sin(x)
    assert counts(outer) == {"exp": 1, "multiply": 1, "sum": 1, "sin": 1}
    assert counts(inner) == {"exp": 0, "multiply": 1, "sum": 1, "sin": 1}
    assert all(row.backward_calls == 1 for row in inner.key_averages() if row.name != "sin")
    assert y.node.note.gradient is not None
    with outer:
        np.exp(x)
    assert counts(outer)["exp"] == 2


def test_errors_pass_and_leave_nothing_open():
    x = leaf(0.0, 1.0)
    with profile() as p:
        with pytest.raises(ValueError, match="add of shapes"):
            x + np.ones(3)
        with pytest.raises(AnomalyError), detect_anomaly():
            np.sqrt(x).sum().backward()
        y = x * 2

        def fails(g):
            raise KeyError("planted")

        y.register_hook(fails)
        with pytest.raises(KeyError):
            np.sin(y).sum().backward()
        with pytest.raises(TypeError):
            nn.Module()(x)
        np.exp(x)
    assert p.observer._here.open == []
    assert {"add": 1, "sqrt": 1, "exp": 1}.items() <= counts(p).items()
    with pytest.raises(ZeroDivisionError), profile():
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), profile():
        autograd.custom_gradient(interrupted)(leaf(1.0)).backward()


def interrupted(x):
    def back(g):
        raise KeyboardInterrupt

    return x, back


def test_other_threads_are_measured_where_they_enter():
    def work(p, name):
        np.exp(leaf(1.0)).backward()
        with p:
            np.sin(leaf(1.0)).backward()

    with profile() as p:
        threads = [threading.Thread(target=work, args=(p, i), name=f"worker {i}") for i in range(3)]
        gate = threading.Thread(target=lambda: np.cos(leaf(1.0)))
        for thread in (*threads, gate):
            thread.start()
        for thread in (*threads, gate):
            thread.join()
        np.tan(leaf(1.0))
    assert counts(p) == {"sin": 3, "tan": 1}
    for span in p.events():  # as if all had run at once
        span.end += 10**9
    assert "in which several threads ran" in str(p)
    assert {"MainThread"} < set(p.observer.threads.values()) <= {"MainThread", "worker 0", "worker 1", "worker 2"}


def test_tasks_created_in_the_block_are_measured():
    async def work():
        await asyncio.sleep(0)
        np.exp(leaf(1.0))
        await asyncio.to_thread(np.sin, leaf(1.0))

    async def main():
        before = asyncio.create_task(work())
        with profile() as p:
            late = asyncio.create_task(endless())
            await asyncio.gather(work(), work(), before)
        late.cancel()
        return p

    async def endless():
        while True:
            np.cos(leaf(1.0))
            await asyncio.sleep(0)

    p = asyncio.run(main())
    assert counts(p)["exp"] == 2 and counts(p)["sin"] == 2 and counts(p)["cos"] >= 1


def test_a_task_that_outlives_the_block_is_no_longer_measured():
    async def main():
        with profile() as p:
            task = asyncio.create_task(late())
        with profile():  # installs the timed stand-ins, which a task of the first block then calls
            await task
        return p

    async def late():
        np.exp(leaf(1.0)).backward()

    assert asyncio.run(main()).events() == []


def test_as_a_decorator():
    p = profile()

    @p
    def work():
        return np.exp(leaf(1.0))

    work(), work()
    assert counts(p) == {"exp": 2}


# ---- what is shown


def test_the_table():
    model, X, y = network()
    with profile() as p:
        train(model, X, y, nn.SGD(model.parameters(), lr=0.1), 3)
    ops, modules, summary = str(p).split("\n\n")
    head, *rows = ops.splitlines()
    assert head.split() == "op calls forward backward time share bytes forward bytes backward".split()
    assert len(rows) == len(p.key_averages()) and max(map(len, rows)) == len(head)
    assert "self" in modules.splitlines()[0] and "Sequential.2.0 (Linear)" in modules
    for word in ("in all: forward", "backward", "optimisers", "recording and the profile itself"):
        assert word in summary
    times = [row.time for row in p.key_averages()]
    assert times == sorted(times, reverse=True)
    for key in ("forward", "backward", "self_time", "calls", "bytes"):
        found = [getattr(row, key) for row in p.key_averages("module", sort_by=key)]
        assert found == sorted(found, reverse=True)
    names = [row.name for row in p.key_averages(sort_by="name")]
    assert names == sorted(names)
    assert p.table(row_limit=2).splitlines()[-1] == f"... and {len(names) - 2} more"
    assert repr(p) == str(p)
    with pytest.raises(ValueError, match="sort_by is one of time, forward"):
        p.table(sort_by="cost")
    with pytest.raises(ValueError, match='by is "op" or "module"'):
        p.table(by="line")
    assert "nothing was recorded" in str(profile())


def test_a_table_is_available_inside_the_block():
    with profile() as p:
        np.exp(leaf(1.0))
        assert "exp" in p.table() and "%" in p.table() and p.time > 0


@pytest.mark.parametrize(
    ("number", "said"),
    [(1.5e-6, "1.5 us"), (0.0123, "12.30 ms"), (3.0, "3.00 s")],
)
def test_times_have_a_fitting_unit(number, said):
    assert autograd.profiling.averages.seconds(number) == said


@pytest.mark.parametrize(
    ("count", "said"), [(12, "12 B"), (2048, "2.0 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")]
)
def test_sizes_have_a_fitting_unit(count, said):
    assert autograd.profiling.averages.size(count) == said


def test_calls_that_are_repeated_as_they_are_have_the_name_of_their_function():
    layer = nn.Conv2d(1, 2, 3)
    with autograd.profile() as found:
        layer(np.zeros((1, 1, 4, 4), np.float32)).sum().backward()
    names = str(found)
    assert "convolution" in names and "to_weight" in names and "(compiled)" not in names
