"""Ops: operators, plain results, arguments that are copied, and ops of any number of inputs."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

import autograd
from autograd import Tensor
from leaves import leaf


def test_reflected_operators_and_numpy_scalars_record():
    t = leaf(1.0, 2.0)
    for y in (
        np.ones(2) * t,
        np.float64(2) * t,
        2 * t,
        2.0 - t,
        np.ones((2, 2)) @ t,
        2**t,
        np.exp(t),
        np.concatenate([t, t]),
    ):
        assert type(y) is Tensor and y.requires_grad
    t32 = Tensor(np.float32([1, 2]))
    assert (t32 * 2.0).dtype == np.float32 and (np.float64(2) * t32).dtype == np.float64


def test_index_arrays_are_copied():
    x, index = leaf(1.0, 2.0, 3.0), np.array([0, 0])
    y = x[index]
    index[:] = 2
    y.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad.data, [2, 0, 0])


def test_plain_results():
    x = leaf(1.0, 3.0)
    assert type(x > 2) is np.ndarray and np.argmax(x) == 1 and x.argmax() == 1
    assert type(np.zeros_like(x)) is np.ndarray
    assert [t.item() for t in x] == [1, 3] and len(x) == 2 and x.tolist() == [1, 3]


def test_masks_and_lists_may_change_after_the_forward_pass():
    x, mask, axes = leaf(1.0, 2.0), np.array([True, False]), [1, 0]
    y, z = np.where(mask, x, 0.0).sum(), np.transpose(x * np.ones((3, 2)), axes).sum()
    mask[:], axes[:] = False, [0, 1]
    (y + z).backward()
    assert x.grad.data.tolist() == [4, 3]


def test_keywords_that_say_nothing_are_taken():
    x = leaf(1.0, 2.0)
    assert np.exp(x, out=None, casting="same_kind", dtype=None).shape == np.outer(x, x, out=None).shape[:1]
    assert np.einsum("i,i", x, x, out=None).data == 5
    assert (x * np.ones((3, 2))).mT.shape == (2, 3)
    np.testing.assert_array_equal(np.einsum(x * np.ones((3, 2)), [26, 0]).data.shape, (2, 3))


@pytest.mark.slow
@pytest.mark.parametrize("join", [np.stack, np.hstack, lambda xs: np.concatenate([x[None] for x in xs])])
def test_an_op_of_a_hundred_thousand_inputs_is_as_good_as_one_of_two(join):
    leaves = [Tensor(float(i), requires_grad=True) for i in range(100_000)]  # anything quadratic would never end
    (join([*leaves, 1.0] if join is np.stack else leaves)[:100_000] * np.arange(100_000.0)).sum().backward()
    assert [leaf.grad.item() for leaf in leaves[:3]] == [0, 1, 2] and leaves[-1].grad.item() == 99_999


def test_the_rule_of_an_op_of_any_number_of_inputs_is_called_once():
    calls = []

    def every(g, _y, *_arrays):
        calls.append(len(_arrays))
        return lambda i: g[i]

    joined = autograd.differentiable(
        lambda *arrays: np.stack(arrays), every=every, call=lambda *arrays: (arrays, {}), name="joined_once"
    )
    x, y = leaf(1.0), leaf(2.0)
    (joined(x, 5.0, y) * np.array([1.0, 2.0, 3.0])).sum().backward()
    assert calls == [3] and (x.grad.item(), y.grad.item()) == (1, 3)
    del autograd.OPS["joined_once"]


def test_a_program_without_a_name_may_define_an_op():
    program = "differentiable(lambda x: x * 2, lambda g, _y, _x: g * 2, name='doubled_somewhere')"
    for text in (f"op = {program}", f"def made(): return {program}\nop = made()"):
        names = {"differentiable": autograd.differentiable}
        exec(text, names)
        x = leaf(1.0)
        names["op"](x).backward()
        assert x.grad.item() == 2
        del autograd.OPS["doubled_somewhere"]


STATEMENT = "autograd.differentiable(lambda x: x * 2, lambda g, _y, _x: g * 2, name='doubled_again')"


@pytest.mark.parametrize("text", [f"op = {STATEMENT}", f"def made():\n    return {STATEMENT}\nop = made()"])
def test_a_module_that_was_edited_is_loaded_again(text, tmp_path, monkeypatch):
    path = tmp_path / "edited_ops.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path.write_text(f"import autograd\n{text}")
    module = importlib.import_module("edited_ops")
    first = module.op
    path.write_text(f"import autograd\n# a line above the statement\n{text}")
    importlib.reload(module)
    assert module.op is autograd.OPS["doubled_again"].function is not first
    path.write_text(f"import autograd\n{text}\nother = {STATEMENT}")
    with pytest.raises(ValueError, match="'doubled_again' is already the name of the op"):
        importlib.reload(module)
    del autograd.OPS["doubled_again"], sys.modules["edited_ops"]


def test_rules_may_take_all_their_arguments_at_once():
    whole = autograd.differentiable(
        lambda x, y: x * y, lambda *all: all[0] * all[3], lambda g, *rest: g * rest[1], name="taken_at_once"
    )
    x, y = leaf(2.0), leaf(3.0)
    whole(x, y).backward()
    assert (x.grad.item(), y.grad.item()) == (3.0, 2.0)
