"""Sequences of different lengths: padded, packed and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
from autograd import Tensor

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def sequences(lengths, width=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, width)) for n in lengths]


@given(LENGTHS, st.booleans())
def test_padding_puts_every_sequence_in_its_row(lengths, batch_first):
    given_sequences = sequences(lengths)
    x = nn.pad_sequence(given_sequences, batch_first, padding_value=-1.0)
    x = x if batch_first else x.swapaxes(0, 1)
    assert x.shape == (len(lengths), max(lengths), 2)
    for row, sequence in zip(x, given_sequences, strict=True):
        np.testing.assert_array_equal(row[: len(sequence)], sequence)
        assert (row[len(sequence) :] == -1).all()


@given(LENGTHS, st.booleans(), st.integers(0, 2))
def test_packing_and_back(lengths, batch_first, more):
    x = nn.pad_sequence(sequences(lengths), batch_first)
    packed = nn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    assert len(packed.data) == sum(lengths) and sum(packed.batch_sizes) == sum(lengths)
    assert packed.batch_sizes == tuple(sum(n > t for n in lengths) for t in range(max(lengths)))
    order = packed.sorted_indices
    np.testing.assert_array_equal(packed.data[: len(lengths)], [sequences(lengths)[i][0] for i in order])
    y, found = nn.pad_packed_sequence(packed, batch_first, total_length=max(lengths) + more)
    assert found.tolist() == lengths
    kept = y[:, : max(lengths)] if batch_first else y[: max(lengths)]
    np.testing.assert_array_equal(kept, x)
    assert y.size == x.size + 2 * more * len(lengths)


@given(LENGTHS)
def test_gradients_go_to_what_was_packed(lengths):
    x = Tensor(nn.pad_sequence(sequences(lengths), True), requires_grad=True)
    packed = nn.pack_padded_sequence(x, lengths, True, enforce_sorted=False)
    y, _ = nn.pad_packed_sequence(packed, True)
    np.sum(y * 2).backward()
    there = np.arange(max(lengths)) < np.array(lengths)[:, None]
    np.testing.assert_array_equal(x.grad.data, 2.0 * np.repeat(there[..., None], 2, -1))


def test_pack_sequence_and_whole_numbers():
    packed = nn.pack_sequence([np.array([1, 2, 3]), np.array([4])])
    np.testing.assert_array_equal(packed.data, [1, 4, 2, 3])
    y, lengths = nn.pad_packed_sequence(packed, batch_first=True, padding_value=9)
    np.testing.assert_array_equal(y, [[1, 2, 3], [4, 9, 9]])
    assert lengths.tolist() == [3, 1]


X = np.zeros((3, 2, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.pack_padded_sequence(X, [3]), r"a length for each of 2 sequences; got \[3\]"),
        (lambda: nn.pack_padded_sequence(X, [3, 4]), r"lengths are from 1 to 3; got \[3, 4\]"),
        (lambda: nn.pack_padded_sequence(X, [3, 0]), "lengths are from 1 to 3"),
        (lambda: nn.pack_padded_sequence(X, [3.0, 2.0]), "a length for each"),
        (lambda: nn.pack_padded_sequence(X, [2, 3]), "the longest sequence comes first"),
        (lambda: nn.pack_padded_sequence(np.zeros(3), [3]), r"\(T, n, ...\).*got \(3,\)"),
        (lambda: nn.pad_packed_sequence(nn.pack_padded_sequence(X, [3, 2]), total_length=2), "total_length 2 is less"),
        (lambda: nn.pad_sequence([]), "at least one sequence"),
        (lambda: nn.pad_sequence([np.zeros((2, 3)), np.zeros((2, 4))]), r"\(3,\).*\(4,\)"),
    ],
)
def test_lengths_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
