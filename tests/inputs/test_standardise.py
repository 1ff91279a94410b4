"""Channels are measured exactly, and brought to mean 0 and spread 1."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skdim.inputs import ArraySamples, Layout, Standardise, Stream, channel_statistics
from tests.inputs.datasets import Items, open_stream

patient = settings(deadline=None)  # The machine may be busy.


def rng(seed=0):
    return np.random.default_rng(seed)


@patient
@given(
    n=st.integers(1, 40),
    sample=st.sampled_from([(7,), (1, 3, 4), (3, 2, 5)]),
    channels_last=st.booleans(),
    centre=st.floats(-1e6, 1e6),
    scale=st.floats(1e-2, 1e3),
    block=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_statistics_equal_those_of_numpy_far_from_zero(
    n, sample, channels_last, centre, scale, block, seed
):
    layout = Layout(sample, channels_last and len(sample) > 1)
    table = rng(seed).normal(centre, scale, (n, layout.n_features)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdim.inputs.standardise.SAMPLES_AT_ONCE", block)
        mean, deviation = channel_statistics(ArraySamples(table, layout))
    exact = layout.arrange(torch.from_numpy(table)).numpy().astype(np.float64)
    others = (0, *range(2, exact.ndim))

    np.testing.assert_allclose(mean, exact.mean(others), rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(deviation, exact.std(others), rtol=1e-9, atol=1e-9 * scale)
    assert mean.shape == deviation.shape == sample[:1]


@pytest.mark.parametrize("value", [1e6, 0.1, -1e-30])
def test_scale_of_a_constant_channel_is_zero(value):
    table = np.concatenate([np.full((9, 12), value), rng().normal(size=(9, 12))], axis=1)
    _, deviation = channel_statistics(ArraySamples(table.astype(np.float32), Layout((2, 3, 4))))

    assert deviation[0] == 0
    assert deviation[1] > 0


def test_statistics_make_no_float_copy_of_the_whole_set(monkeypatch):
    n, features, block = 4000, 300, 50
    table = np.ones((n, features), np.uint8)
    monkeypatch.setattr("skdim.inputs.standardise.NUMBERS_AT_ONCE", block * features)
    rows = ArraySamples(table, Layout((3, 10, 10), channels_last=True))
    tracemalloc.start()
    channel_statistics(rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # A few float64 blocks at once, against 9.6 MB for the set.
    assert most < 6 * block * features * 8


@pytest.mark.parametrize("start", [0.0, 1e6, -1e6])
def test_statistics_are_exact_where_the_first_samples_are_unlike_the_others(start, monkeypatch):
    monkeypatch.setattr("skdim.inputs.standardise.SAMPLES_AT_ONCE", 7)
    table = rng().normal(1000, 0.5, (500, 3)).astype(np.float32)
    table[:5] = start
    mean, deviation = channel_statistics(ArraySamples(table, Layout((3,))))
    exact = table.astype(np.float64)

    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(deviation, exact.std(0), rtol=1e-10)


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("n_workers", [0, 1])
def test_statistics_of_a_stream_are_those_of_its_array(n_workers, monkeypatch):
    monkeypatch.setattr("skdim.inputs.standardise.SAMPLES_AT_ONCE", 16)
    layout = Layout((3, 4, 5), channels_last=True)
    table = rng().integers(0, 256, (100, 60)).astype(np.uint8)
    images = Items(table.reshape(100, 4, 5, 3))
    streamed = channel_statistics(open_stream(Stream(images, n_workers), layout))

    for one, other in zip(streamed, channel_statistics(ArraySamples(table, layout)), strict=True):
        assert np.array_equal(one, other)


def test_statistics_are_those_of_a_part_where_only_a_part_is_given():
    table, picked = rng().normal(size=(50, 4)).astype(np.float32), np.array([3, 30, 4])
    mean, _ = channel_statistics(ArraySamples(table, Layout((4,))).part(picked))

    np.testing.assert_allclose(mean, table[picked].astype(np.float64).mean(0), rtol=1e-12)


def test_every_sample_is_read_once():
    read = []
    items = Items(rng().normal(size=(700, 4)), lambda x, i: read.append(i) or x)
    rows = open_stream(Stream(items), Layout((4,)))
    read.clear()
    channel_statistics(rows)

    assert read == list(range(700))


def test_nothing_cannot_be_measured():
    with pytest.raises(ValueError, match="no samples"):
        channel_statistics(ArraySamples(np.zeros((0, 3), np.float32), Layout((3,))))


@pytest.mark.parametrize(("sample", "n_axes"), [((7,), 0), ((3, 4, 5), 2)])
def test_standardised_samples_have_no_mean_and_spread_one(sample, n_axes):
    layout = Layout(sample)
    table = rng().normal(100, 5, (50, layout.n_features)).astype(np.float32)
    standardise = Standardise(*channel_statistics(ArraySamples(table, layout)), n_axes=n_axes)
    x = standardise(layout.arrange(torch.from_numpy(table)))
    others = (0, *range(2, x.ndim))

    assert x.shape == (50, *sample)
    torch.testing.assert_close(x.mean(others), torch.zeros(sample[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(others, correction=0), torch.ones(sample[0]))


def test_standardise_reads_whole_numbers_as_float32():
    x = Standardise(np.array([1.0]), np.array([2.0]), 2)(torch.tensor([[[[3]]]], dtype=torch.uint8))

    assert x.dtype == torch.float32
    assert x.item() == 1
