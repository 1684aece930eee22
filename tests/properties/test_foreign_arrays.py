"""Arrays of other libraries: what a strict stand-in for CuPy computes, lazy Dask arrays, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import autograd
import foreign
import foreign_nn
import foreign_ops
import foreign_wheel
import nn
from autograd import Tensor, as_tensor, to

ROOT = Path(__file__).parents[2]
# Ops of functions that CuPy lacks, and ops with a value whose derivatives are such functions.
ABSENT = set("ive jv stdtr solve_banded solve_sylvester".split())
ABSENT |= {"row_norm", "channel_norm"}  # passes over arrays in memory; norms are composed of other ops elsewhere
ABSENT |= {f"{name}_of_order" for name in ("ive", "iv", "jv", "kv", "yv")}
EXCEPTIONS = [ABSENT, *[ABSENT | set("bessel_i0 i0e i1 i1e j0 j1 y0 y1 yn_of_order".split())] * 2]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("order", range(3), ids=foreign_ops.LEVELS)
def test_every_op_gives_numpys_numbers_on_the_device(order):
    failed = foreign_ops.failures(order)
    assert {name: why for name, why in failed.items() if name not in EXCEPTIONS[order]} == {}
    assert failed.keys() == EXCEPTIONS[order]
    said = f"| {foreign_ops.LEVELS[order]} | {len(foreign_ops.COUNTED) - len(failed)} of {len(foreign_ops.COUNTED)} |"
    assert said in (ROOT / "docs" / "arrays.md").read_text()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", foreign_nn.TASKS)
def test_every_task_of_a_network_gives_numpys_numbers_on_the_device(name):
    foreign_nn.check(name)


def test_the_count_of_tasks_is_that_of_the_documents():
    assert f"all {len(foreign_nn.TASKS)} tasks" in (ROOT / "docs" / "arrays.md").read_text()


def test_the_stand_in_is_what_cupys_wheel_says():
    pytest.importorskip("cupy")
    assert foreign_wheel.written() == foreign.WHEEL


def test_the_stand_in_is_strict():
    x = foreign.asarray([1.0, 2.0])
    for call in (
        lambda: np.asarray(x),
        lambda: x + np.ones(2),
        lambda: np.eye(2, like=x),
        lambda: np.max(x, initial=0),
    ):
        with pytest.raises(TypeError):
            call()


# ---- moves


def test_a_move_is_one_recorded_op_with_a_gradient_that_goes_back():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x.to(foreign)
    assert y.node.op.name == "to" and isinstance(y.data, foreign.ndarray)
    assert (str(x.device), str(y.device)) == ("cpu", "<CUDA Device 0>")
    (y * y).sum().backward(create_graph=True)
    assert type(x.grad.data) is np.ndarray
    np.testing.assert_array_equal(x.grad.data, [2.0, 4.0])
    assert x.to(np).data is x.data and to(x, y).data._a.tolist() == [1.0, 2.0]


def test_models_move_there_and_back_with_all_their_buffers():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = {name: a.copy() for name, a in model.state_dict().items()}
    assert all(isinstance(a, foreign.ndarray) for a in model.to(foreign).state_dict().values())
    for name, a in model.to(np).state_dict().items():
        np.testing.assert_array_equal(a, before[name], strict=True)


@pytest.mark.parametrize("target", ["cuda", "cuda:0", "cpu"])
def test_names_of_devices_are_answered_with_what_to_write(target):
    with pytest.raises(TypeError, match=r"to\(cupy\)"):
        nn.Linear(1, 1).to(target)
    with pytest.raises(TypeError, match=r"t\.to\(cupy\)"):
        Tensor(1.0).to(target)
    for thing in (nn.Linear(1, 1), Tensor(1.0)):
        with pytest.raises(AttributeError, match=r"\.to\((cupy|np)\)"):
            getattr(thing, target.partition(":")[0])()


@pytest.mark.parametrize(("batches", "waits"), [(1, 1), (16, 1), (33, 3)])
def test_a_run_waits_for_the_device_once_in_sixteen_steps(batches, waits):
    model = nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)).to(foreign)
    X, y = np.ones((2 * batches, 4), np.float32), np.zeros(2 * batches, int)
    with foreign.waits() as seen:
        nn.fit(model, X, y, epochs=1, batch_size=2, progress=False)
    assert seen == ["float"] * waits


def test_wrong_labels_on_a_device_make_the_loss_nan():
    logits = Tensor(foreign.asarray(np.zeros((2, 3))), requires_grad=True)
    labels, shares = foreign.asarray([0, 3]), foreign.asarray([[0.5, 2.0, 0.0]] * 2)
    with foreign.waits() as seen:
        losses = [
            nn.functional.cross_entropy(logits, labels),
            nn.functional.nll_loss(logits, labels),
            nn.functional.binary_cross_entropy_with_logits(logits, shares),
            nn.functional.embedding(labels, Tensor(foreign.asarray(np.zeros((3, 2))))).sum(),
        ]
    assert seen == [] and all(np.isnan(loss.item()) for loss in losses)
    with pytest.raises(nn.TrainingError, match="no longer finite"):
        nn.fit(nn.Linear(4, 2).to(foreign), np.ones((4, 4), np.float32), np.array([0, 1, 5, 0]), progress=False)


# ---- mixtures, and arrays that are neither


MIXED = {
    "operator": lambda t, a: t + a,
    "from the left": lambda t, a: a * t,
    "function": lambda t, a: np.concatenate([t, a]),
    "fused op": lambda t, a: nn.functional.linear(t, a),
    "three inputs": lambda t, a: np.where(a > 0, t, 0.0),
}


@pytest.mark.parametrize("how", MIXED)
def test_mixtures_are_refused_with_both_names_and_the_cure(how):
    t = Tensor(foreign.asarray([1.0, 2.0]), requires_grad=True)
    with pytest.raises(TypeError, match=r"foreign and numpy.*t\.to\(foreign\) or t\.to\(np\).*model\.to\(foreign\)"):
        MIXED[how](t, np.ones(2))


class OfAnotherEngine:
    """An array as PyTorch's, JAX's and array-api-strict's: NumPy can read it, and it computes by itself."""

    shape, dtype = (2,), np.dtype(float)

    def __array__(self, dtype=None, copy=None):
        return np.ones(2)

    def __dlpack__(self):
        raise AssertionError


@pytest.mark.parametrize("call", [as_tensor, autograd.exp, lambda x: Tensor([1.0, 2.0]) * x])
def test_arrays_of_other_engines_do_not_silently_become_numpys(call):
    with pytest.raises(TypeError, match=r"OfAnotherEngine would become a copy.*np\.asarray\(x\)"):
        call(OfAnotherEngine())


class Metres(np.ndarray):
    units = "m"


@pytest.mark.parametrize("call", [Tensor, as_tensor, autograd.exp, lambda x: Tensor([1.0, 2.0]) * x])
def test_units_are_not_dropped_silently(call):
    with pytest.raises(TypeError, match="has units"):
        call(np.ones(2).view(Metres))


def test_compile_refuses_them_at_the_first_call():
    model, x = nn.Linear(2, 1).to(foreign), foreign.asarray(np.ones((1, 2), np.float32))
    for function in (lambda x: x * 2, lambda x: model(x)):
        with pytest.raises(autograd.CompileError, match=r"NumPy's arrays; got one of foreign.*\.to\(np\)"):
            autograd.compile(autograd.no_grad(function))(x)
    with pytest.raises(autograd.CompileError, match="foreign"):
        autograd.compile(autograd.no_grad(lambda: model.weight * 2))()


# ---- Dask


def test_dask_gradients_of_the_commonest_ops_are_lazy_and_right():
    da, dask = pytest.importorskip("dask.array"), pytest.importorskip("dask")

    def loss(x, w):
        y = np.tanh(x @ w).reshape(-1)
        return (np.exp(y) * y[1:].sum()).mean()

    x, w = np.arange(6.0).reshape(3, 2) / 6, np.ones((2, 2))
    leaves = [Tensor(da.from_array(a), requires_grad=True) for a in (x, w)]
    with dask.config.set(scheduler=lambda *args, **options: pytest.fail("something was computed")):
        loss(*leaves).backward()
        assert "dask" in repr(leaves[0])
    for leaf, expected in zip(leaves, autograd.grad(loss, (0, 1))(x, w), strict=True):
        np.testing.assert_allclose(leaf.grad.data.compute(), expected)


def test_steps_with_lazy_gradients_are_refused_with_advice():
    da = pytest.importorskip("dask.array")
    w = Tensor(da.ones(3), requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(TypeError, match=r"Dask.*model\.to\(np\).*nn\.fit"):
        nn.SGD([w], lr=0.1).step()


@pytest.mark.parametrize("n", [1, 7, 40])
def test_chunks_are_shuffled_with_few_in_memory(n):
    da = pytest.importorskip("dask.array")
    read = []

    def block(part, block_info=None):
        read.append(block_info[0]["chunk-location"][0])
        return part

    X = da.from_array(np.arange(n), chunks=3).map_blocks(block, dtype=int, meta=np.zeros(0, int))
    loader = nn.DataLoader(nn.TensorDataset(X), 4, shuffle=True, chunks=True, generator=np.random.default_rng(0))
    read.clear()
    batches = [x for (x,) in loader]
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))
    assert [len(x) for x in batches] == [len(x) for (x,) in nn.DataLoader(nn.TensorDataset(np.arange(n)), 4)]
    assert sorted(read) == list(range(-(-n // 3))), "a chunk was read more than once"
    if n == 40:
        again = [x for (x,) in loader]
        assert np.concatenate(again).tolist() != np.concatenate(batches).tolist()
        assert all(len({*(x // 3)}) <= 8 for x in batches)


def test_chunks_need_chunks_and_shuffling():
    data = nn.TensorDataset(np.arange(3))
    with pytest.raises(ValueError, match="shuffle=True"):
        nn.DataLoader(data, chunks=True)
    with pytest.raises(ValueError, match="Dask"):
        list(nn.DataLoader(data, shuffle=True, chunks=True))
