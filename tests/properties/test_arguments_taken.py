"""Every derivative takes nested arguments and gives the numbers that it gives for one flat array."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd import (
    GradcheckError,
    Tensor,
    elementwise_grad,
    grad,
    gradcheck,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from autograd.tree import flatten, leaves_like, paths

Pair = namedtuple("Pair", "a b")

# Two arrays, of shapes (2,) and (), in every container: how to nest them, and how to take them out.
CONTAINERS = {
    "a list": (lambda a, b: [a, b], lambda p: (p[0], p[1])),
    "a tuple": (lambda a, b: (a, b), lambda p: (p[0], p[1])),
    "a dict": (lambda a, b: {"a": a, "b": b}, lambda p: (p["a"], p["b"])),
    "an OrderedDict": (lambda a, b: OrderedDict(a=a, b=b), lambda p: (p["a"], p["b"])),
    "a dict with numbers": (lambda a, b: {0: a, 1: b}, lambda p: (p[0], p[1])),
    "a namedtuple": (lambda a, b: Pair(a, b), lambda p: (p.a, p.b)),
    "a nested dict": (lambda a, b: {"x": {"a": [a]}, "b": b}, lambda p: (p["x"]["a"][0], p["b"])),
    "a list of dicts": (lambda a, b: [{"a": a}, ({"b": b},)], lambda p: (p[0]["a"], p[1][0]["b"])),
}
A, B = np.array([0.5, -1.5]), np.array(2.0)
V, W = np.array([1.0, -2.0]), np.array(0.5)
FLAT, MOVE = np.append(A, B), np.append(V, W)


def scalar(a, b):
    return (a**3).sum() * b + np.exp(a[0] * b)


def vector(a, b):
    return np.stack([a[0] * b, a[1] ** 2, a.sum() * b**2])


def of_flat(f):
    return lambda x: f(x[:2], x[2])


def of_nested(f, take):
    return lambda p: f(*take(p))


def joined(tree):
    return np.concatenate([np.ravel(leaf) for leaf in flatten(tree)[0]])


def blocks(tree, take):
    """The matrix of a tree of trees, as `hessian` returns it."""
    rows = [take(part) for part in take(tree)]
    return np.block([[np.reshape(rows[i][j], (-1, n)) for j, n in enumerate((2, 1))] for i in range(2)])


FIRST = {
    "grad": lambda f, g, p, v: grad(f)(p),
    "elementwise_grad": lambda f, g, p, v: elementwise_grad(f)(p),
    "value_and_grad": lambda f, g, p, v: value_and_grad(f)(p)[1],
    "vjp": lambda f, g, p, v: vjp(g, p)[1](np.array([1.0, 2.0, 3.0]))[0],
    "hvp": lambda f, g, p, v: hvp(f)(p, v),
    "jvp of grad": lambda f, g, p, v: jvp(grad(f), [p], [v])[1],
    "grad of a sum": lambda f, g, p, v: grad(lambda q: sum(leaf.sum() for leaf in flatten(grad(f)(q))[0]))(p),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_gradient_has_the_structure_of_its_argument(kind, name, dtype):
    make, take = CONTAINERS[kind]
    p, v = make(A.astype(dtype), B.astype(dtype)), make(V.astype(dtype), W.astype(dtype))
    flat = FIRST[name](of_flat(scalar), of_flat(vector), FLAT, MOVE)
    found = FIRST[name](of_nested(scalar, take), of_nested(vector, take), p, v)
    assert type(found) is type(p) and paths(found) == paths(p)
    assert [np.asarray(leaf).dtype for leaf in flatten(found)[0]] == [dtype, dtype]
    np.testing.assert_allclose(joined(found), flat, rtol=1e-12 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_jacobians_and_hessians_are_trees_of_trees(kind, tensors):
    make, take = CONTAINERS[kind]
    p = make(Tensor(A), Tensor(B)) if tensors else make(A, B)

    def plain(tree):
        leaves, build = flatten(tree)
        assert all(isinstance(leaf, Tensor) == tensors for leaf in leaves)
        return build(getattr(leaf, "data", leaf) if tensors else leaf for leaf in leaves)

    one = plain(jacobian(of_nested(vector, take))(p))
    np.testing.assert_allclose(np.column_stack(take(one)), jacobian(of_flat(vector))(FLAT), rtol=1e-12)
    second = plain(hessian(of_nested(scalar, take))(p))
    np.testing.assert_allclose(blocks(second, take), hessian(of_flat(scalar))(FLAT), rtol=1e-12)
    both = plain(jacobian(lambda p: make(take(p)[0] * take(p)[1], take(p)[1] ** 2))(p))
    expected = np.block([[np.diag([2.0, 2.0]), A[:, None]], [np.zeros((1, 2)), 2 * B]])
    np.testing.assert_allclose(blocks(both, take), expected, rtol=1e-12)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_vectorised_jacobian_of_trees_is_the_same(kind):
    make, take = CONTAINERS[kind]

    def batch(p):
        a, b = take(p)
        return make(a * b[..., None], b**2 * a[..., 0])

    p = make(A, B)
    expected, found = (flatten(jacobian(batch, vectorize=v)(p))[0] for v in (False, True))
    for one, other in zip(expected, found, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-12)


@pytest.mark.parametrize("mode", ["directions", "jacobian"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_gradcheck_varies_what_is_nested(kind, order, mode):
    make, take = CONTAINERS[kind]
    p = make(A, B)
    inputs = p if isinstance(p, dict) else [p]
    assert gradcheck(of_nested(scalar, take), inputs, order=order, mode=mode)
    for part in range(2):

        def bent(p, part=part):
            x = take(p)[part]
            return (x.detach() * x).sum() + scalar(*take(p))

        with pytest.raises(GradcheckError) as caught:
            gradcheck(bent, inputs, order=order, mode=mode)
        assert caught.value.path == f"0{paths(p)[part]}" and caught.value.input == part


def test_the_path_of_a_wrong_gradient_is_written_as_python_does():
    def bent(p):
        return (p["w"][1].detach() * p["w"][1]).sum() + p["b"].sum()

    with pytest.raises(GradcheckError, match=r"the gradient of input 0\['w'\]\[1\] is wrong") as caught:
        gradcheck(bent, {"b": A, "w": [A, A + 1]})
    assert caught.value.path == "0['w'][1]" and caught.value.input == 2


def test_a_list_of_numbers_is_an_array_for_gradcheck():
    assert gradcheck(lambda x, rows: (x * 2.0)[rows], [[1.0, 2.0, 3.0], [0, 2]])


def test_several_arguments():
    def f(x, y):
        return (x**2 * y["b"]).sum()

    x, y = A, {"b": B}
    second = hessian(f, (0, 1))(x, y)
    np.testing.assert_allclose(second[0][0], np.diag([4.0, 4.0]))
    np.testing.assert_allclose(second[0][1]["b"], 2 * A)
    np.testing.assert_allclose(second[1]["b"][0], 2 * A)
    assert second[1]["b"][1]["b"] == 0
    product = hvp(f, (0, 1))(x, y, (V, {"b": W}))
    np.testing.assert_allclose(product[0], 4 * V + 2 * A * W)
    np.testing.assert_allclose(product[1]["b"], (2 * A * V).sum())


def test_the_order_of_a_dict_does_not_matter_and_its_keys_do():
    p, turned = {"a": A, "b": A * 2}, {"b": V * 10, "a": V}
    expected = jvp(lambda p: p["a"] + p["b"] * 3, [p], [{"a": V, "b": V * 10}])[1]
    np.testing.assert_array_equal(jvp(lambda p: p["a"] + p["b"] * 3, [p], [turned])[1], expected)
    np.testing.assert_array_equal(hvp(lambda p: (p["a"] ** 2).sum())(p, turned)["a"], 2 * V)
    _, pull = vjp(lambda p: {"x": p["a"], "y": p["b"] * 3}, p)
    (back,) = pull({"y": V, "x": W * A})
    np.testing.assert_array_equal(back["a"], W * A)
    np.testing.assert_array_equal(back["b"], 3 * V)
    for wrong in ({"a": V, "c": V}, [V, V], {"a": V, "b": [V]}):
        for call in (
            lambda wrong=wrong: hvp(lambda p: (p["a"] ** 2).sum())(p, wrong),
            lambda wrong=wrong: jvp(lambda p: p["a"], [p], [wrong]),
        ):
            with pytest.raises(ValueError, match=r"another structure|has shapes|have shapes"):
                call()


TREES = st.recursive(
    st.floats(-5, 5),
    lambda part: st.one_of(
        st.lists(part, max_size=3), st.tuples(part, part), st.dictionaries(st.text(max_size=2), part, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES)
def test_random_trees(tree):
    leaves, build = flatten(tree)
    assert build(leaves) == tree and len(paths(tree)) == len(leaves)
    assert [eval(f"tree{path}", {"tree": tree}) for path in paths(tree)] == leaves
    assert leaves_like(tree, tree, "x") == leaves
    found = grad(lambda t: sum((leaf * leaf for leaf in flatten(t)[0]), 0.0))(tree)
    assert found == build(2 * leaf for leaf in leaves)


@pytest.mark.parametrize("order", [1, 2])
def test_gradcheck_of_complex_empty_and_other_parts(order):
    p = {
        "a": A.astype(complex) * (1 + 2j),
        "empty": np.ones((0, 2)),
        "none": None,
        "name": "x",
        "count": 3,
        "b": (2.0,),
    }
    assert gradcheck(lambda p: p["a"] ** p["count"] * p["b"][0] + p["empty"].sum(), p, order=order)
    with pytest.raises(TypeError, match="float16 is too coarse"):
        gradcheck(lambda p: p["a"] * 2, {"a": A.astype(np.float16)})
    with pytest.raises(TypeError, match="dicts; got int, object"):
        gradcheck(lambda p: p["a"], {"a": 1, "b": object()})


def test_jacobians_of_empty_and_0d_parts():
    found = jacobian(lambda p: {"x": p["a"] * 2.0, "y": [p["b"] ** 2]})({"a": np.ones((0, 2)), "b": 3.0})
    shapes = [leaf.shape for leaf in flatten(found)[0]]
    assert shapes == [(0, 2, 0, 2), (0, 2), (0, 2), ()] and found["y"][0]["b"] == 6


NOT_TAKEN = {"a set": {1.0}, "a string": "abc", "None": None, "an object": object()}


@pytest.mark.parametrize("derivative", [grad, jacobian, hessian, lambda f: lambda p: vjp(f, p)])
@pytest.mark.parametrize("kind", NOT_TAKEN)
def test_what_is_no_array_is_refused_by_name(kind, derivative):
    with pytest.raises(TypeError, match=r"set|string|str|NoneType|object"):
        derivative(lambda p: 1.0)({"a": A, "b": NOT_TAKEN[kind]})
