"""Arrays written to between forward and backward: under detect_anomaly no op gives the gradient at the new numbers."""

from __future__ import annotations

import numpy as np
import pytest

from autograd import OPS, GraphError, Tensor, detect_anomaly
from samples import CALLS, closed, sample, varied

SEVERAL = [(name, i) for name, i in CALLS if len(varied(sample(name, i)[0])) > 1]


def gradients(name, i, k, write):
    """The gradients of a case whose array k is constant and written to by `write(array, an older view)`."""
    call, arrays = closed(name, i)
    constant = arrays[k] = arrays[k].copy()
    view = constant[...]
    leaves = [None if j == k else Tensor(a, requires_grad=True) for j, a in enumerate(arrays)]
    with detect_anomaly():
        result = call(*(constant if leaf is None else leaf for leaf in leaves))
        write(constant, view)
        result.backward(np.ones_like(result.data))
    return [leaf.grad for leaf in leaves if leaf is not None]


def through_view(_array, view):
    view[...] = 0.123


def directly(array, _view):
    if not array.flags.writeable:
        raise GraphError("it is locked")
    array[...] = 0.123


@pytest.mark.parametrize("write", [through_view, directly])
@pytest.mark.parametrize(("name", "i"), SEVERAL, ids=[f"{name}-{i}" for name, i in SEVERAL])
def test_the_gradient_is_that_of_the_numbers_of_the_forward_pass_or_an_error(name, i, write):
    for k in range(len(closed(name, i)[1])):
        expected = gradients(name, i, k, lambda *_: None)
        try:
            found, said = gradients(name, i, k, write), ""
        except GraphError as error:
            found, said = expected, str(error)
        assert said in ("", "it is locked") or "was written to since" in said
        for a, b in zip(found, expected, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a.data, b.data)


def test_a_batch_filled_again_is_noticed_and_the_op_is_named():
    w, batch = Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    view = batch[:]
    with detect_anomaly():
        loss = (w * batch).sum()
        with pytest.raises(ValueError, match="read-only"):
            batch[:] = 0.0
        view[:] = 0.0
        with pytest.raises(GraphError, match=r"an array that multiply read \(in .*w \* batch"):
            loss.backward()
    batch[:] = 1.0  # unlocked


def test_the_documented_choice_outside_detect_anomaly():
    """The array is kept by reference, so the gradient is that of the new numbers, as reliability.md says."""
    w, batch = Tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0])
    loss = (w * batch).sum()
    batch[:] = 0.0
    loss.backward()
    assert w.grad.tolist() == [0, 0]


def test_every_op_with_several_inputs_is_tried():
    assert {name for name, op in OPS.items() if len(op.rules) == 2 and op.elementwise} - {"ldexp"} <= {
        n for n, _ in SEVERAL
    }
