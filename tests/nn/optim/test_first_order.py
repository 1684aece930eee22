"""What holds for every optimiser: dtypes, complex weights, closures, groups that are added, and states."""

from __future__ import annotations

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, no_grad
from optimisers import NAMES, check_refusals, check_states, every, made, moves, must_move

DTYPES = [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128]


def weight(shape=(3, 2), dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else 0)
    return Tensor(np.asarray(x, dtype), requires_grad=True)


def loss_of(w):
    return (w.real**2).sum() + (w.imag**2).sum() * 0.5 if w.dtype.kind == "c" else (w * w).sum()


def stepped(optimizer, params, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        for p in params:
            loss_of(p).backward()
        optimizer.step()
    return [p.data for p in params]


def same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_every_optimiser_is_tested_here():
    kinds = [value for name in nn.optim.__all__ if isinstance(value := getattr(nn, name), type)]
    assert {kind.__name__ for kind in kinds if issubclass(kind, nn.Optimizer)} == {*NAMES, "LBFGS", "Optimizer"}


# ---- dtypes


@every
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-3, 1.0])
def test_weights_stay_finite_and_of_their_dtype(name, options, dtype, size):
    for shape in ((), (3,), (2, 2), (0,), (0, 3), (2, 0), (3, 1, 2)):
        if not moves(name, shape, dtype):
            continue
        w = weight(shape, dtype)
        optimizer = made(name, options, [w])
        for _ in range(3):
            w.grad = Tensor(np.full(shape, size).astype(dtype))
            with np.errstate(all="raise", under="ignore"):
                optimizer.step()
            assert w.dtype == dtype and w.shape == shape and np.isfinite(w.data).all()
        for key, value in optimizer.state[0].items():
            expected = {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, *shape[-1:])}.get(key, shape)
            assert np.ndim(value) == 0 or value.shape == expected
        optimizer.load_state_dict(optimizer.state_dict())


@every
@pytest.mark.parametrize("size", [0.0, 1e-7, 1e-5, 1e-3, 1.0, 200.0])
def test_float16_weights_move_as_float32_ones_do(name, options, size):
    found = []
    for dtype in (np.float16, np.float32):
        w = Tensor(np.float16([[1.0, -2.0, 0.5], [0.5, 1.0, -2.0]]).astype(dtype), requires_grad=True)
        w.grad = Tensor(np.full((2, 3), np.float16(size)).astype(dtype))
        made(name, options, [w], lr=0.125).step()
        found.append(w.data)
    np.testing.assert_allclose(found[0].astype(np.float32), found[1], rtol=2e-3)


@every
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_real_and_imaginary_parts_move_as_weights_of_their_own(name, options, compiled, shape):
    must_move(name, shape, np.complex128)
    w = weight(shape, np.complex128)
    parts = [Tensor(w.data.real.copy(), requires_grad=True), Tensor(w.data.imag.copy(), requires_grad=True)]
    whole, apart = made(name, options, [w]), made(name, options, parts)

    def step():
        whole.zero_grad()
        apart.zero_grad()
        loss_of(w).backward()
        ((parts[0] ** 2).sum() + (parts[1] ** 2).sum() * 0.5).backward()
        whole.step()
        apart.step()

    step = autograd.compile(step) if compiled else step
    for _ in range(5):
        step()
        np.testing.assert_allclose(w.data, parts[0].data + 1j * parts[1].data, rtol=1e-12)


@every
@pytest.mark.parametrize("before", DTYPES[:4])
@pytest.mark.parametrize("after", DTYPES[:4])
def test_a_state_has_the_dtype_of_weights_that_were_converted_or_loaded_into(name, options, before, after):
    narrow = {np.float16: np.float32} if name != "SGD" else {}
    model = nn.Module()
    model.w = nn.Parameter(weight(dtype=before).data)
    optimizer = made(name, options, [model.w])
    stepped(optimizer, [model.w], 2)
    kept = optimizer.state_dict()
    model.to(after)
    stepped(optimizer, [model.w], 1)
    other = made(name, options, [weight(dtype=after)])
    other.load_state_dict(kept)
    for state in (optimizer.state[0], other.state[0]):
        assert all(value.dtype == narrow.get(after, after) for value in state.values() if np.ndim(value))
        assert state.keys() == kept["state"][0].keys()
    stepped(other, other.params, 1)
    assert other.params[0].dtype == after


def test_a_complex_state_is_refused_for_a_real_weight():
    optimizer = made("Adam", {}, [weight(dtype=np.complex128)])
    stepped(optimizer, optimizer.params, 1)
    with pytest.raises(ValueError, match="mean of parameter 0 is complex"):
        made("Adam", {}, [weight()]).load_state_dict(optimizer.state_dict())


def test_lbfgs_moves_complex_and_float16_weights():
    for dtype, near in ((np.complex128, 1e-6), (np.complex64, 1e-4), (np.float16, 1e-2)):
        params = [weight((2, 2), dtype), weight((), dtype)]
        optimizer = nn.LBFGS(params, line_search_fn="strong_wolfe")

        def closure(optimizer=optimizer, params=params):
            optimizer.zero_grad()
            total = loss_of(params[0] - 1) + loss_of(params[1] - 1) * 2
            total.backward()
            return total

        for _ in range(3):
            optimizer.step(closure)
        for p in params:
            assert p.dtype == dtype and np.abs(p.data - 1).max() < near


@every
@pytest.mark.parametrize("shape", [(3, 2), (2, 3), (4, 1), (3, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_weights_and_states_keep_the_layout_of_the_weight(name, options, shape, order):
    """Sums and products over another layout have other bits, so a resumed run would end elsewhere."""
    w = Tensor(np.asarray(weight(shape).data, order=order), requires_grad=True)
    optimizer = made(name, options, [w])
    before = w.data.strides
    for _ in range(3):
        w.grad = Tensor(w.data * 0.5)
        assert w.grad.data.strides == before
        optimizer.step()
        assert w.data.strides == before
        for value in optimizer.state[0].values():
            assert np.shape(value) != shape or shape == (4, 1) or value.strides == before
    states = [{key: value.copy("C") if np.ndim(value) else value for key, value in optimizer.state[0].items()}]
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})  # as a file gives it back
    for key, value in optimizer.state[0].items():
        assert np.shape(value) != shape or value.strides == before, key
        np.testing.assert_array_equal(value, states[0][key])


# ---- PyTorch's calls


@every
def test_a_closure_is_called_first_and_its_loss_returned(name, options):
    plain, called = weight(), weight()
    stepped(made(name, options, [plain]), [plain], 3)
    optimizer = made(name, options, [called])

    def closure():
        optimizer.zero_grad()
        loss = loss_of(called)
        loss.backward()
        return loss

    for _ in range(3):
        before = loss_of(called).item()
        with no_grad():
            loss = optimizer.step(closure)
        assert loss.item() == before
    np.testing.assert_array_equal(called.data, plain.data)
    assert optimizer.step() is None
    with pytest.raises(TypeError, match="takes a function that computes the loss; got Tensor"):
        optimizer.step(loss)


@every
def test_a_group_can_be_added(name, options):
    first, second = weight(seed=1), weight(seed=2)
    optimizer = made(name, options, [first])
    optimizer.add_param_group({"params": second, "lr": 0.5})
    others = [weight(seed=1), weight(seed=2)]
    other = made(name, options, [{"params": others[:1]}, {"params": others[1:], "lr": 0.5}])
    same(stepped(optimizer, [first, second], 3), stepped(other, others, 3))
    again = made(name, options, [weight(seed=1)])
    stepped(again, again.params, 2)
    again.add_param_group({"params": [weight(seed=2)]})  # later, with a state already
    stepped(again, again.params, 2)
    assert len(again.state) == len(again.params) == 2
    again.load_state_dict(again.state_dict())


@every
def test_a_frozen_parameter_is_skipped_with_its_state(name, options):
    """Also if it holds a gradient, in a model that was frozen before the optimiser was made, or after."""
    params, alone = [nn.Parameter(weight(seed=i).data, requires_grad=i != 1) for i in range(2)], weight(seed=0)
    optimizer, other = made(name, options, params), made(name, options, [alone])
    first = stepped(optimizer, params[:1], 2)
    same(first, stepped(other, [alone], 2))
    assert params[1].grad is None and optimizer.state[1] == {}
    np.testing.assert_array_equal(params[1].data, weight(seed=1).data)
    params[1].requires_grad = True
    stepped(optimizer, params, 2)
    loss_of(params[1]).backward()
    params[1].requires_grad = False
    kept, state = params[1].data, optimizer.state[1]
    assert params[1].grad is not None
    optimizer.step()
    assert params[1].data is kept and optimizer.state[1] is state and not np.array_equal(kept, weight(seed=1).data)
    again = made(name, options, [nn.Parameter(p.data, requires_grad=p.requires_grad) for p in params])
    again.load_state_dict(optimizer.state_dict())


@every
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_compiled_steps_are_eager_ones_bit_for_bit(name, options, dtype):
    """With a rate that falls, and a parameter that is frozen and freed again."""
    must_move(name, dtype=dtype)
    found = []
    for wrap in (lambda step: step, autograd.compile(exact=True)):
        params = [nn.Parameter(weight((3, 2), dtype, seed=i).data) for i in range(2)]
        optimizer = made(name, options, params)

        def step(optimizer=optimizer, params=params):
            optimizer.zero_grad()
            (loss_of(params[0]) + loss_of(params[1])).backward()
            optimizer.step()

        step, numbers = wrap(step), []
        for i in range(12):
            params[1].requires_grad = i not in (5, 6, 7)
            step()
            numbers += [p.data for p in params]
            optimizer.lr *= 0.9
        found.append(numbers)
    same(*found)
    assert step.stats.eager == 0 and step.stats.compiles <= 3


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_options_that_an_optimiser_cannot_use_are_refused(name):
    check_refusals(nn, name)
    check_states(nn, name)


@pytest.mark.parametrize(
    ("group", "kind", "words"),
    [
        ([], TypeError, r"or groups {.params.: \[...\], ...}; got \[\]"),
        ({"lr": 0.1}, TypeError, "or groups"),
        ({"params": [3.0]}, TypeError, "parameter 1 is not a leaf Tensor"),
        ({"params": [weight()], "speed": 1}, ValueError, "no option speed"),
        ({"params": [weight()], "lr": -1}, ValueError, "learning rate"),
        (None, ValueError, "the same parameter twice"),
    ],
)
def test_a_group_that_does_not_fit_changes_nothing(group, kind, words):
    optimizer = nn.Adam([weight()])
    group = {"params": optimizer.params} if group is None else group
    with pytest.raises(kind, match=words):
        optimizer.add_param_group(group)
    assert len(optimizer.groups) == len(optimizer.params) == len(optimizer.state) == 1
    with pytest.raises(ValueError, match="only one group"):
        nn.LBFGS([weight()]).add_param_group({"params": [weight()]})


@pytest.mark.parametrize("holder", [nn.Adam, lambda params: model_of(params)])
def test_gradients_are_cleared_or_set_to_zeros(holder):
    params = [nn.Parameter([1.0, 2.0]), nn.Parameter(3.0), nn.Parameter(1.0)]
    held = holder(params)
    for set_to_none in (False, True):
        for p in params[:2]:
            loss_of(p).backward()
        held.zero_grad(set_to_none=set_to_none)
        found = [None if p.grad is None else p.grad.tolist() for p in params]
        assert found == ([None] * 3 if set_to_none else [[0.0, 0.0], 0.0, None])


def model_of(params):
    model = nn.Module()
    model.params = params
    return model


def test_next_takes_the_parameters_one_after_the_other():
    model = nn.Linear(2, 3)
    found = model.parameters()
    assert next(model.parameters()) is model.weight and next(model.parameters()) is model.weight
    assert next(found) is model.weight and next(found) is model.bias and len(found) == 2
    with pytest.raises(StopIteration):
        next(found)
    assert [*found] == [model.weight, model.bias]


def test_clipping_says_what_it_takes():
    w = weight(dtype=np.complex128)
    loss_of(w).backward()
    for clip, name in ((nn.clip_grad_norm_, "max_norm"), (nn.clip_grad_value_, "clip_value")):
        for wrong in ([], "1", float("nan"), -1):
            with pytest.raises(ValueError, match=f"{name} must be a number, at least 0"):
                clip([w], wrong)
    before = w.grad.data
    assert nn.clip_grad_norm_([w], None) == pytest.approx(np.linalg.norm(before)) and w.grad.data is before
    with pytest.raises(ValueError, match="clip_value must be a number"):
        nn.clip_grad_value_([w], None)
    with pytest.raises(TypeError, match="use clip_grad_norm_"):
        nn.clip_grad_value_([w], 1.0)
    assert nn.clip_grad_norm_([w], 1.0) > 1 >= np.linalg.norm(w.grad.data)


SIZES = {np.float16: [1e-5, 1, 1e4], np.float32: [1e-30, 1e-20, 1, 1e20, 1e37], np.float64: [1e-200, 1, 1e200]}
SIZES |= {np.complex64: SIZES[np.float32], np.complex128: SIZES[np.float64]}


@pytest.mark.parametrize("norm_type", [1, 2, 3.5, np.inf])
@pytest.mark.parametrize("dtype", SIZES)
def test_clipping_of_every_size(dtype, norm_type):
    eps, wide = np.finfo(dtype), np.result_type(dtype, np.longdouble)
    for size in SIZES[dtype]:
        parts = [np.array(part, dtype) * dtype(size) for part in ([1, 2, 4], [[3.0]], 0.0, [])]
        weights = [Tensor(part, requires_grad=True) for part in parts]
        for w, part in zip(weights, parts, strict=True):
            w.grad = Tensor(part)
        joined = np.concatenate([np.ravel(part) for part in parts]).astype(wide)
        total = np.linalg.norm(joined / size, norm_type) * np.longdouble(size)
        for limit in (None, 2.0, float(total) / 2):
            assert nn.clip_grad_norm_(weights, limit, norm_type) == pytest.approx(float(total), rel=1e-3)
            factor = min(1.0, limit / (float(total) + 1e-6)) if limit else 1.0
            for w, part in zip(weights, parts, strict=True):
                want = (part.astype(wide) * factor).astype(dtype)
                np.testing.assert_allclose(w.grad.data, want, rtol=8 * eps.eps, atol=2 * eps.smallest_subnormal)
                assert w.grad.dtype == dtype
                w.grad = Tensor(part)
