"""Loops of one's own on several ranks: averaged gradients, the divided step, and refusals."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor
from nn.parallel.sharded import is_elementwise
from optimisers import every, made, moves
from ranks import Full, Threads, on_ranks

SHAPES = [(3, 4), (5,), (), (1, 2), (0, 3), (4, 2)]


def params_of(dtype, seed=0):
    """Parameters of many shapes; the last one lies column by column."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    arrays[-1] = np.asfortranarray(arrays[-1])
    return [nn.Parameter(array) for array in arrays]


class Held(nn.Module):
    def __init__(self, params):
        self.params = params


def gradients(params, step, rank):
    """Gradients that depend on the step and the rank; one parameter has none, another one has one on rank 1 alone."""
    rng = np.random.default_rng([step, rank])
    found = []
    for i, p in enumerate(params):
        g = (rng.integers(-20, 20, p.shape) / 8).astype(p.dtype)  # so that means are exact
        g = np.asfortranarray(g) if i == len(params) - 1 else g
        found.append(None if i == 1 or (i == 3 and rank != 1) else Tensor(g))
    return found


def give(params, found):
    for p, g in zip(params, found, strict=True):
        p.grad = g


def mean(each, shares):
    """The gradients of the whole batch, from those of the ranks."""
    out = []
    for parts in zip(*each, strict=True):
        held = [g.data * share for g, share in zip(parts, shares, strict=True) if g is not None]
        out.append(Tensor(sum(held[1:], start=held[0])) if held else None)
    return out


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
@pytest.mark.parametrize(("size", "kind"), [(1, Full), (2, Threads), (3, Full)])
@every
def test_a_divided_step_is_the_whole_one(name, options, size, kind, dtype):
    if not moves(name, (2, 2), dtype):
        return
    shares = [[1.0], [0.25, 0.75], [0.25, 0.25, 0.5]][size - 1]

    def work(comm):
        params = [p for p in params_of(dtype) if moves(name, p.shape, dtype)]
        optimizer = made(name, options, params)
        sharded = nn.parallel.Sharded(optimizer, comm)
        for step in range(4):
            give(params, kept(gradients(params_of(dtype), step, comm.rank), name, dtype))
            optimizer.lr = 0.01 / (1 + step)
            sharded.step(8 * shares[comm.rank])
        sharded.collect()
        return [p.data for p in params], optimizer.state, sharded.divided

    found, errors, _ = on_ranks(size, work, kind)
    assert errors == [None] * size
    params = [p for p in params_of(dtype) if moves(name, p.shape, dtype)]
    optimizer = made(name, options, params)
    for step in range(4):
        each = [gradients(params_of(dtype), step, rank) for rank in range(size)]
        give(params, kept(mean(each, shares), name, dtype))
        optimizer.lr = 0.01 / (1 + step)
        optimizer.step()
    for arrays, state, divided in found:
        assert divided == (size > 1 and is_elementwise(optimizer))
        for p, array, first in zip(params, arrays, found[0][0], strict=True):
            assert array.dtype == p.dtype and array.tobytes() == first.tobytes()
            np.testing.assert_array_equal(array, p.data)
        for own, theirs in zip(optimizer.state, state, strict=True):
            assert own.keys() == theirs.keys()
            for key, value in own.items():
                assert np.shape(theirs[key]) == np.shape(value)
                np.testing.assert_array_equal(theirs[key], value)


def kept(found, name, dtype):
    return [g for g, shape in zip(found, SHAPES, strict=True) if moves(name, shape, dtype)]


@every
def test_what_is_called_elementwise_is(name, options):
    """The update of a part is the part of the update, for every optimiser that may be divided, and for no other."""
    rng = np.random.default_rng(0)
    whole, first = nn.Parameter(rng.normal(size=(6, 4))), nn.Parameter(np.zeros((2, 4)))
    first.assign(whole.data[:2])
    optimizers = [made(name, options, [p]) for p in (whole, first)]
    for _ in range(4):
        g = rng.normal(size=(6, 4))
        give([whole, first], [Tensor(g), Tensor(g[:2])])
        for optimizer in optimizers:
            optimizer.step()
    assert (whole.data[:2].tobytes() == first.data.tobytes()) == is_elementwise(optimizers[0])


def test_an_update_of_ones_own_is_divided_only_if_it_says_so():
    class Own(nn.Adam):
        def update(self, w, g, state, group):
            return super().update(w, g / (np.abs(g).max() + 1), state, group)

    class Said(Own):
        elementwise = True

        def update(self, w, g, state, group):
            return w - g, state

    class Steps(nn.SGD):
        def step(self, closure=None):
            return super().step(closure)

    weight = [nn.Parameter(np.ones(3))]
    found = [is_elementwise(kind(weight)) for kind in (nn.Adam, nn.AdamW, Own, Said, Steps, nn.LBFGS)]
    assert found == [True, True, False, True, False, False]


def model_and_data(seed=0):
    generator = np.random.default_rng(seed)
    model = nn.Sequential(nn.Linear(4, 9, generator=generator), nn.Tanh(), nn.Linear(9, 3, generator=generator))
    return model.double(), generator.normal(size=(24, 4)), generator.integers(0, 3, 24)


@pytest.mark.parametrize("way", ["average", "sharded", "compiled"])
def test_a_loop_of_ones_own_follows_one_process(way):
    loss = nn.CrossEntropyLoss()

    def train(comm):
        model, X, y = model_and_data(seed=0 if comm is None else comm.rank)
        _, X, y = model_and_data()
        if comm is not None:
            nn.parallel.begin(model, comm)
        optimizer = nn.Adam(model.parameters(), lr=0.01)

        def gradients(x, y):
            value = loss(model(x), y)
            optimizer.zero_grad()
            value.backward()
            return value

        if way == "compiled" and comm is not None:
            gradients = autograd.compile(gradients)
        if comm is not None and way != "average":
            sharded = nn.parallel.Sharded(optimizer, comm, compiled=way == "compiled")
        for step in range(6):
            rows = slice(0, 24 - step // 5)  # the last batch is uneven
            own = np.arange(24)[rows] if comm is None else np.array_split(np.arange(24)[rows], comm.size)[comm.rank]
            gradients(X[own], y[own])
            if comm is None:
                optimizer.step()
            elif way == "average":
                nn.parallel.average(model, comm, share=len(own))
                optimizer.step()
            else:
                sharded.step(share=len(own))
        return model.state_dict()

    one = train(None)
    for size in (2, 3) if way != "compiled" else (1, 2):
        found, errors, _ = on_ranks(size, train)
        assert errors == [None] * size
        for state in found:
            for name, array in state.items():
                np.testing.assert_allclose(array, one[name], rtol=0, atol=1e-12)
                assert array.tobytes() == found[0][name].tobytes()


def test_a_rank_without_samples_takes_part():
    def train(comm):
        model, X, y = model_and_data()
        if comm.rank == 0:
            nn.CrossEntropyLoss()(model(X), y).backward()
        nn.parallel.average(model, comm, share=24 if comm.rank == 0 else 0)
        return [p.grad.data for p in model.parameters()]

    model, X, y = model_and_data()
    nn.CrossEntropyLoss()(model(X), y).backward()
    found, _, _ = on_ranks(3, train)
    for grads in found:
        for g, p in zip(grads, model.parameters(), strict=True):
            np.testing.assert_array_equal(g, p.grad.data)


def test_a_step_without_any_gradient_moves_nothing_and_the_next_one_does():
    def train(comm):
        params = params_of(np.float64)
        sharded = nn.parallel.Sharded(nn.SGD(params, lr=1.0), comm)
        sharded.optimizer.warned = True  # warnings are the process's, which two threads share
        sharded.step()
        unmoved = all(np.array_equal(p.data, q.data) for p, q in zip(params, params_of(np.float64), strict=True))
        give(params, [Tensor(np.ones(p.shape)) for p in params])
        sharded.step()
        return unmoved, [p.data for p in params]

    found, errors, _ = on_ranks(2, train)
    assert errors == [None, None]
    for unmoved, arrays in found:
        assert unmoved and all(
            np.array_equal(a, p.data - 1) for a, p in zip(arrays, params_of(np.float64), strict=True)
        )


def test_models_that_differ_are_refused_on_every_rank():
    def begin(comm):
        nn.parallel.begin(nn.Linear(3, 2 + (comm.rank == 1)), comm)

    _, errors, aborted = on_ranks(3, begin)
    assert not aborted and [type(e) for e in errors] == [RuntimeError, ValueError, RuntimeError]
    assert "the model of rank 1 is not that of rank 0" in str(errors[1]) and "rank 1" in str(errors[0])


def test_begin_gives_rank_0s_weights_and_buffers_to_all():
    def begin(comm):
        model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
        for tensor in (*model.parameters(), model[1].running_mean):
            tensor.assign(np.full_like(tensor.data, comm.rank + 1))
        nn.parallel.begin(model, comm)
        return model.state_dict()

    for state in on_ranks(2, begin)[0]:
        for name in ("0.weight", "0.bias", "1.weight", "1.running_mean"):
            assert (state[name] == 1).all()


def test_a_rank_that_leaves_is_noticed_at_the_next_step():
    from nn.parallel.ending import _leave

    def train(comm):
        model, X, y = model_and_data()
        for step in range(5):
            if comm.rank == 1 and step == 2:
                return _leave(comm)
            model.zero_grad()
            nn.CrossEntropyLoss()(model(X), y).backward()
            nn.parallel.average(model, comm)
        return None

    _, errors, _ = on_ranks(2, train)
    assert errors[1] is None and "1 of 2 ranks left the program" in str(errors[0])


def test_what_is_no_communicator_is_refused():
    model = nn.Linear(2, 2)
    for call in (
        lambda: nn.parallel.begin(model, 3),
        lambda: nn.parallel.average(model, object()),
        lambda: nn.parallel.Sharded(nn.SGD(model.parameters()), None),
        lambda: nn.fit(model, np.zeros((4, 2), np.float32), np.zeros(4, int), comm="world", progress=False),
    ):
        with pytest.raises(TypeError, match=r"comm is a communicator such as MPI.COMM_WORLD"):
            call()
    with pytest.raises(TypeError, match="Sharded takes an optimiser"):
        nn.parallel.Sharded(model, on_ranks(1, copy.copy)[0][0])
