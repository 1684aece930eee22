"""Sums of products of two arrays, for which a matrix product stands in where it can."""

from __future__ import annotations

import numpy as np
import pytest

from autograd import Tensor, compile, gradcheck, jvp
from autograd.ops import products

LENGTHS = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2, "z": 0}


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch):
    monkeypatch.setattr(products, "SMALL", 0)
    products._as_matmul.cache_clear()
    yield
    products._as_matmul.cache_clear()


def specification(rng, empty):
    """Subscripts of two random operands, and their shapes: axes of length 1 and 0, an ellipsis, no arrow."""
    letters = [*"abcde"] + ["z"] * empty
    terms = ["".join(rng.permutation(letters)[: rng.integers(1, 5)]) for _ in range(2)]
    held = list(dict.fromkeys("".join(terms)))
    result = "".join(
        c for c in rng.permutation(held) if rng.random() < (0.5 if c in terms[0] and c in terms[1] else 0.97)
    )
    shapes = [[1 if rng.random() < 0.1 else LENGTHS[c] for c in term] for term in terms]
    hidden = rng.integers(0, 3, size=2) if rng.random() < 0.3 else None
    text = ",".join(terms)
    if hidden is not None:
        shapes = [[5, 3][2 - n :] + shape for n, shape in zip(hidden, shapes, strict=True)]
        text, result = "...{},...{}".format(*terms), "..." + result
    return text if rng.random() < 0.1 else f"{text}->{result}", shapes


def arrays(rng, shapes, dtype):
    found = [
        rng.integers(-3, 4, size=shape) + (1j * rng.integers(-3, 4, size=shape)) * (dtype in "FD") for shape in shapes
    ]
    return [np.asarray(x if dtype in "FD" else x.real, dtype, order=rng.choice(["C", "F"])) for x in found]


@pytest.mark.parametrize("seed", range(8))
def test_a_sum_of_products_is_what_numpy_says(seed):
    """Whole numbers, so that the order of sums does not matter: equal in every dtype, to the bit."""
    rng, stood_in = np.random.default_rng(seed), 0
    for _ in range(80):
        text, shapes = specification(rng, empty=True)
        for dtype in "efdFDil":
            a, b = arrays(rng, shapes, dtype)
            try:
                expected = np.einsum(text, a, b)
            except ValueError:
                with pytest.raises(ValueError, match="einsum of shapes"):
                    products.einsum(text, Tensor(a), b)
                continue
            found = products.einsum(text, Tensor(a), b).data
            assert found.dtype == expected.dtype and found.shape == expected.shape, (text, shapes)
            np.testing.assert_array_equal(found, expected, err_msg=text)
            stood_in += dtype == "d" and products._as_matmul(text, a.shape, b.shape) is not None
    assert stood_in >= 8


@pytest.mark.parametrize("seed", range(4))
def test_gradients_of_every_order_are_those_of_the_sum(seed):
    rng, checked = np.random.default_rng(100 + seed), 0
    while checked < 8:
        text, shapes = specification(rng, empty=False)
        a, b = arrays(rng, shapes, "D" if checked % 4 == 3 else "d")
        try:
            np.einsum(text, a, b)
        except ValueError:
            continue
        if products._as_matmul(text, a.shape, b.shape) is None:
            continue
        assert gradcheck(lambda x, y, text=text: np.einsum(text, x, y), [a, b], order=2, directions=1), text
        tangents = [x + 1 for x in (b, a)][::-1]
        moved = jvp(lambda x, y, text=text: np.einsum(text, x, y), (a, b), (tangents[0], tangents[1]))[1]
        wanted = np.einsum(text, tangents[0], b) + np.einsum(text, a, tangents[1])
        np.testing.assert_allclose(moved.data, wanted, rtol=1e-12, atol=1e-12)
        checked += 1


@pytest.mark.parametrize(
    "text", ["ij,jk->ik", "bij,bkj->bik", "hbi,bhj->bhij", "...ij,...jk->...ki", "bij,bj->bi", "i,ij"]
)
def test_a_program_multiplies_matrices(text):
    rng = np.random.default_rng(0)
    sizes = dict.fromkeys("bhijk.", 3)
    x, y = (rng.normal(size=[sizes[c] for c in term.replace("...", ".")]) for term in text.split("->")[0].split(","))

    def f(x, y):
        x, y = Tensor(x, requires_grad=True), Tensor(y, requires_grad=True)
        (np.einsum(text, x, y) ** 2).sum().backward()
        return x.grad, y.grad

    compiled = compile(f)
    for _ in range(4):
        for a, b in zip(compiled(x, y), f(x, y), strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-12)
    assert compiled.stats.compiles == 1
    assert ("einsum" in compiled.source) == (text in ("hbi,bhj->bhij", "bij,bj->bi", "i,ij"))  # outer products


@pytest.mark.parametrize(
    "text",
    [
        "ij,jk>ik",
        "ij,jk->ikl",
        "ij->ji",
        "ij,jk,kl->il",
        "i.j,jk->ik",
        "ij,jk->ii",
        "ijk,jk->ik",
        "i1,1j->ij",
        "éj,jk->ék",
    ],
)
def test_what_numpy_refuses_is_refused(text):
    a, b = np.ones((3, 3)), np.ones((3, 3))
    with pytest.raises(ValueError, match=r"einst|operand|subscript|broadcast|character"):
        np.einsum(text, a, b)
    with pytest.raises(ValueError, match="einsum of shapes"):
        products.einsum(text, Tensor(a), b)
