"""Batches: every row once, none alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skdim.training import Batches
from tests.training.helpers import make_rows, patient, seeded


def batches_of(n, batch_size, *, shuffle=True, seed=0):
    return Batches(make_rows(n, 2), batch_size, seeded(seed), shuffle=shuffle)


@patient
@given(n=st.integers(1, 130), batch_size=st.integers(2, 40), shuffle=st.booleans())
def test_every_row_comes_once_and_none_alone(n, batch_size, shuffle):
    batches = batches_of(n, batch_size, shuffle=shuffle)
    given_out = list(batches)
    index = torch.cat([batch.index for batch in given_out])
    sizes = [len(batch.x) for batch in given_out]

    assert sorted(index.tolist()) == list(range(n))
    assert len(given_out) == len(batches)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(n, 2)
    # An odd number of samples cannot come in twos.
    assert max(sizes) <= batch_size + (batch_size == 2 and n % 2)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (64, 64, [64]),
        (65, 64, [33, 32]),
        (129, 64, [43, 43, 43]),
        (16, 5, [4, 4, 4, 4]),
        (11, 5, [4, 4, 3]),
        (3, 2, [3]),
        (2, 64, [2]),
        (1, 64, [1]),
    ],
)
def test_sizes_of_batches(n, batch_size, sizes):
    assert [len(batch.x) for batch in batches_of(n, batch_size)] == sizes


@patient
@given(n=st.integers(1, 130), batch_size=st.integers(2, 40))
def test_batches_that_overlap_have_one_size_and_hold_every_row(n, batch_size):
    batches = Batches(make_rows(n, 2), batch_size, seeded(), shuffle=False, overlap=True)
    indices = [batch.index for batch in batches]
    counts = torch.cat(indices).bincount(minlength=n)

    assert {len(index) for index in indices} == {min(n, batch_size)}
    assert len(indices) == len(batches) == -(-n // batch_size)
    assert 1 <= counts.min() <= counts.max() <= 2
    assert n % batch_size or counts.max() == 1


def test_batches_hold_the_samples_of_their_index():
    rows = make_rows().part(np.array([4, 9, 2, 17, 11]))
    rows.labels[9] = 3
    for batch in Batches(rows, 2, seeded(), shuffle=True):
        assert np.array_equal(batch.x, rows.array[batch.index.numpy()])
        assert batch.y.tolist() == [3 if i == 9 else -1 for i in batch.index]


def order_of(batches):
    return torch.cat([batch.index for batch in batches]).tolist()


@pytest.mark.usefixtures("global_random_state_untouched")
def test_order_is_drawn_anew_each_time_from_the_generator():
    batches, again = batches_of(50, 8), batches_of(50, 8)
    first, second = order_of(batches), order_of(batches)

    assert first != second
    assert (first, second) == (order_of(again), order_of(again))
    assert first != order_of(batches_of(50, 8, seed=1))


def test_order_stays_without_shuffling():
    assert order_of(batches_of(50, 8, shuffle=False)) == list(range(50))
