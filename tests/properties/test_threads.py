"""Many threads at once, and errors in the middle: gradients add up, and no mode, lock or flag is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading

import numpy as np
import pytest

import autograd
import nn
from autograd import OPS, GraphError, Tensor, detect_anomaly, watch
from autograd.updating import accumulating
from samples import CALLS, closed

COUNT = 8


@pytest.fixture(autouse=True)
def _switch_often():
    """Let threads take turns every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work):
    """Run work(0), ..., work(7) in threads that start together, and raise what any of them raised."""
    gate, errors = threading.Barrier(COUNT), []

    def run(i):
        gate.wait()
        try:
            work(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def whole(shape, seed):
    """Small whole numbers, whose sums and products are exact in any order."""
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(float)


def forward(w, v, x):
    return ((np.maximum(x @ w, 0.0) @ v) * x[:, :1]).sum()


AROUND = {
    "plain": contextlib.nullcontext,
    "detect_anomaly": detect_anomaly,
    "watch": watch,
    "both": lambda: both(),
}


@contextlib.contextmanager
def both():
    with watch(), detect_anomaly():
        yield


@pytest.mark.parametrize("around", AROUND)
def test_graphs_of_their_own(around):
    def gradients(i):
        w, v = Tensor(whole((3, 4), i), requires_grad=True), Tensor(whole((4, 2), i), requires_grad=True)
        for k in range(10):
            forward(w, v, whole((5, 3), 100 * i + k)).backward()
        return w.grad.data, v.grad.data

    expected, found = [gradients(i) for i in range(COUNT)], {}

    def work(i):
        with AROUND[around]():
            found[i] = gradients(i)

    at_once(work)
    for i in range(COUNT):
        for a, b in zip(found[i], expected[i], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_of_shared_parameters_add_up_exactly(around, create_graph):
    w, v = Tensor(whole((3, 4), 0), requires_grad=True), Tensor(whole((4, 2), 1), requires_grad=True)
    steps = 4

    def work(i):
        with AROUND[around]():
            for k in range(steps):
                forward(w, v, whole((5, 3), 100 * i + k)).backward(create_graph=create_graph)

    for i in range(COUNT):
        work(i)
    alone = w.grad.data, v.grad.data
    w.grad = v.grad = None
    at_once(work)
    np.testing.assert_array_equal(w.grad.data, alone[0])
    np.testing.assert_array_equal(v.grad.data, alone[1])
    assert w.data.flags.writeable and v.data.flags.writeable and not accumulating.locked()


def test_each_thread_trains_its_own_model_to_the_same_bits():
    x, y = np.float32(whole((6, 3), 0)), np.array([0, 1, 1, 0, 1, 0])

    def train():
        rng = np.random.default_rng(5)
        model = nn.Sequential(nn.Linear(3, 4, generator=rng), nn.Tanh(), nn.Linear(4, 2, generator=rng))
        optimizer = nn.Adam(model.parameters(), lr=0.05)
        for _ in range(10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return [p.data for p in model.parameters()]

    expected, found = train(), {}
    at_once(lambda i: found.__setitem__(i, train()))
    for weights in found.values():
        for a, b in zip(weights, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_new_thread_records_and_is_not_watched_whatever_its_maker_does():
    x, seen = Tensor([1.0, -1.0], requires_grad=True), []

    def work(i):
        with np.errstate(all="ignore"):
            seen.append((autograd.is_grad_enabled(), np.log(x).requires_grad))

    with autograd.no_grad(), detect_anomaly():
        at_once(work)
    assert seen == [(True, True)] * COUNT


def test_tasks_take_the_mode_that_they_were_made_in_and_keep_their_own():
    x = Tensor(2.0, requires_grad=True)

    async def product():
        await asyncio.sleep(0)
        return (x * x).requires_grad

    async def main():
        with autograd.no_grad():
            inside = asyncio.create_task(product())  # begins with a copy of this context
            threaded = asyncio.to_thread(lambda: (x * x).requires_grad)  # and so does this
            first = await threaded
        return await inside, first, await product()

    assert asyncio.run(main()) == (False, False, True)


# ---- errors in the middle


def fails(*_, **__):
    raise ArithmeticError("planted")


def broken_rule(x):
    op = autograd.differentiable(lambda x: x * 1.0, fails, name="broken_rule")
    return op(x).sum()


def broken_forward(x):
    return autograd.differentiable(fails, lambda g, *_: g, name="broken_forward")(x).sum()


def broken_hook(x):
    y = x * 2
    y.register_hook(fails)
    return y.sum()


def broken_leaf_hook(x):
    x.register_hook(fails)
    return (x * 2).sum()


def broken_module_hook(x):
    model = nn.Sequential(nn.Tanh())
    model[0].register_full_backward_hook(fails)
    return model(x).sum()


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    "program",
    [broken_rule, broken_forward, broken_hook, broken_leaf_hook, broken_module_hook],
    ids=lambda f: f.__name__,
)
def test_an_error_leaves_everything_as_it_was(program, around, create_graph):
    x, other = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    errors = np.geterr()
    try:
        with pytest.raises(ArithmeticError, match="planted"), AROUND[around]():
            (other.sum() + program(x)).backward(create_graph=create_graph)
    finally:
        for name in ("broken_rule", "broken_forward"):
            autograd.OPS.pop(name, None)
    assert x.grad is None and other.grad is None
    assert autograd.is_grad_enabled() and not accumulating.locked() and np.geterr() == errors
    assert x.data.flags.writeable and other.data.flags.writeable
    y = np.log(Tensor([0.5], requires_grad=True) * 2.0)  # no observer is active any more
    y.data[0] = 7.0


def test_two_threads_lock_one_array_until_the_last_is_done():
    w = Tensor([1.0, 2.0], requires_grad=True)
    inside, leave = threading.Event(), threading.Event()

    def other():
        with detect_anomaly():
            (w * w).sum()
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with detect_anomaly():
        (w * w).sum()
        thread.start()
        inside.wait(10)
    with pytest.raises(ValueError, match="read-only"):
        w.data[0] = 5.0
    leave.set()
    thread.join()
    w.data[0] = 5.0


# ---- views of what is recorded


def locked(write):
    with pytest.raises(ValueError, match="read-only"):
        write()


def test_views_made_inside_are_read_only_and_those_made_before_are_noticed():
    p = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    before = p.data[0]
    with detect_anomaly():
        z = (p * p).sum()
        locked(lambda: p.data[:, 1].__setitem__(0, 9.0))
        locked(lambda: p.data.T[::-1].__setitem__((0, 0), 9.0))
        before[0] = 9.0  # NumPy keeps no list of an array's views
        with pytest.raises(GraphError, match=r"multiply read .in test_threads.py.* was written to since"):
            z.backward()
    assert p.grad is None
    p.data[:, 1] = 1.0
    before[1] = 5.0
    assert p.data[0].tolist() == [9, 5, 2]


def test_the_owner_of_a_recorded_view_is_locked_and_unlocked():
    owner = np.arange(6.0)
    middle = owner[1:5]
    t = autograd.as_tensor(middle[::2])
    t.requires_grad = True
    try:
        with detect_anomaly():
            z = (t * t).sum()
            locked(lambda: owner.__setitem__(1, 9.0))
            z.backward()
            raise KeyError
    except KeyError:
        pass
    assert t.grad.data.tolist() == [2, 6]
    owner[0], middle[0], t.data[0] = 9.0, 9.0, 9.0


def test_what_was_locked_by_the_user_stays_locked():
    owner = np.arange(3.0)
    owner.flags.writeable = False
    with detect_anomaly():
        (Tensor([1.0, 2.0, 3.0], requires_grad=True) * owner).sum().backward()
    locked(lambda: owner.__setitem__(0, 9.0))


VIEWS = {
    "slice": lambda p: p[0:2],
    "transposed": lambda p: p.T,
    "flat": lambda p: p.reshape(-1),
    "longer": lambda p: np.broadcast_to(p, (4, 3, 2)),
    "of a view": lambda p: p[None].squeeze(0)[1:].swapaxes(0, 1),
    "diagonal": lambda p: np.diagonal(p),
    "sum of products": lambda p: np.einsum("ij->ji", p),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_parameter_that_changes_behind_a_recorded_view_is_noticed(view):
    p = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    for change in (lambda: p.assign(p.data + 1), lambda: nn.SGD([p], lr=0.1).step()):
        p.grad = None
        view(p).sum().backward()
        loss = (view(p) * view(p)).sum()
        change()
        with pytest.raises(GraphError, match="run the forward pass again"):
            loss.backward()
        (view(p) * view(p)).sum().backward()


def test_every_op_whose_result_may_share_memory_says_so():
    for name, i in CALLS:
        if OPS[name].rules or OPS[name].every:
            call, arrays = closed(name, i)
            result = call(*map(autograd.as_tensor, arrays))
            if any(np.shares_memory(result.data, a) for a in arrays):
                assert OPS[name].view, f"{name} returns a view, and does not say so"
