"""Streams: what they take, by whom it is read, and how far ahead."""

import gc
import multiprocessing
import os
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from torch.utils.data import Subset

from skdim.inputs import Stream
from skdim.inputs.streams import ROWS_AT_ONCE
from tests.inputs.datasets import (
    Endless,
    Items,
    Unsized,
    Whereabouts,
    assert_no_workers,
    images,
    open_stream,
    workers,
)

pytestmark = pytest.mark.usefixtures("forked_workers")

N = 24
FLOATS = images(N, (3,))
any_number_of_workers = pytest.mark.parametrize("n_workers", [0, 1, 2])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batches(n=N, size=5):
    return torch.from_numpy(np.random.default_rng(0).permutation(n)).tensor_split(-(-n // size))


def read(samples, given=None, seed=0):
    return torch.cat(list(samples.read(batches() if given is None else given, seeded(seed))))


# ---------------------------------------------------------------------------------------------
# What is a stream


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (Endless(), "X is a Endless, an IterableDataset, which cannot be shuffled"),
        (Unsized(), "X is a Unsized without __len__"),
        (iter([1]), "X is a list_iterator without __getitem__ and __len__"),
        ({1.0, 2.0}, "X is a set without __getitem__"),
        (None, "X is a NoneType without"),
        ("text", "X is a str, which cannot be indexed by number"),
        ({0: 1.0}, "X is a dict, which cannot be indexed by number"),
        (pd.DataFrame({"a": [1.0, 2.0]}), "X is a DataFrame, which cannot be indexed by number"),
        (pl.DataFrame({"a": [1.0, 2.0]}), "X is a DataFrame, which cannot be indexed by number"),
        (Stream(FLOATS), "X is a Stream without __getitem__"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_gives_no_samples_by_number_is_refused(data, said):
    with pytest.raises(TypeError, match=said):
        Stream(data)


@pytest.mark.parametrize(
    ("setting", "error", "said"),
    [
        ({"n_workers": -1}, ValueError, "n_workers=-1 must be at least 0"),
        ({"n_workers": 1.0}, TypeError, "n_workers=1.0 must be an integer"),
        ({"n_workers": True}, TypeError, "n_workers=True must be an integer"),
        ({"ahead": 0}, ValueError, "ahead=0 must be at least 1"),
        ({"ahead": None}, TypeError, "ahead=None must be an integer"),
        ({"start_method": "clone"}, ValueError, "start_method='clone' is not valid.*'spawn'"),
        # As NumPy's arrays, which compare entry by entry.
        ({"start_method": np.zeros(2)}, ValueError, "start_method=array.* is not valid.*'spawn'"),
    ],
)
def test_settings_are_checked(setting, error, said):
    with pytest.raises(error, match=said):
        Stream(FLOATS, **setting)


def test_numbers_of_numpy_are_settings():
    stream = Stream(FLOATS, np.int64(2), ahead=np.int32(3))

    assert (len(stream), stream.n_workers, stream.ahead) == (N, 2, 3)


@pytest.mark.parametrize(
    "data", [FLOATS, torch.from_numpy(FLOATS), Items(FLOATS), list(FLOATS)], ids=type
)
@pytest.mark.parametrize("n_workers", [0, 2])
def test_arrays_and_data_sets_are_read_alike(data, n_workers):
    samples = open_stream(Stream(data, n_workers))

    assert (len(samples), samples.layout.shape) == (N, (3,))
    assert np.array_equal(read(samples), FLOATS[torch.cat(batches())])
    assert_no_workers()


# ---------------------------------------------------------------------------------------------
# Who reads, and when


@pytest.mark.parametrize("n_workers", [1, 2])
def test_workers_read_by_turns(n_workers):
    samples = open_stream(Stream(Whereabouts(FLOATS), n_workers))
    places = [int(batch[0, 0]) for batch in samples.read(batches(), seeded())]

    assert len(set(places)) == n_workers
    assert os.getpid() % 2**20 not in places
    assert all(place == places[i % n_workers] for i, place in enumerate(places))


def test_without_workers_this_process_reads_when_a_batch_is_wanted():
    asked = []
    samples = open_stream(Stream(Items(FLOATS, lambda x, i: asked.append(i) or x)))
    asked.clear()
    reading = samples.read(batches(), seeded())
    for batch in batches():
        next(reading)
        assert asked[-len(batch) :] == batch.tolist()
    assert len(asked) == N


@pytest.mark.parametrize(("n_workers", "ahead"), [(1, 1), (1, 3), (2, 2)])
def test_no_more_is_read_ahead_than_was_said(n_workers, ahead, tmp_path):
    def note(sample, number):
        (tmp_path / str(number)).touch()
        return sample

    samples = open_stream(Stream(Items(FLOATS, note), n_workers, ahead=ahead))
    reading = samples.read(torch.arange(N).split(1), seeded())
    for taken in range(1, N + 1):
        next(reading)
        # Sample 0 was looked at before; the batch just taken has made room for one more.
        assert len(list(tmp_path.iterdir())) <= taken + n_workers * ahead
    reading.close()
    assert len(list(tmp_path.iterdir())) == N


def test_workers_last_for_a_reading_or_for_as_long_as_the_samples_is_entered():
    samples = open_stream(Stream(Whereabouts(FLOATS), 1))
    first, second = read(samples), read(samples)
    with samples:
        third, fourth = read(samples), read(samples)
        assert len(workers()) == 1
        with samples:
            fifth = read(samples)
        sixth = read(samples)
    assert_no_workers()

    assert len({one[0, 0].item() for one in (first, second, third)}) == 3
    assert torch.equal(third, fourth)
    assert torch.equal(third, fifth)
    assert torch.equal(third, sixth)


def test_readings_inside_one_another_do_not_meet():
    samples = open_stream(Stream(Items(FLOATS), 1))
    with samples:
        for outer, numbers in zip(samples.read(batches(), seeded()), batches(), strict=True):
            assert np.array_equal(read(samples), FLOATS[torch.cat(batches())])
            assert np.array_equal(outer, FLOATS[numbers])
    assert_no_workers()


def test_a_reading_that_is_left_ends_its_workers():
    samples = open_stream(Stream(Items(FLOATS), 2))
    with samples:
        reading = samples.read(batches(), seeded())
        next(reading)
        reading.close()
        assert_no_workers()
        assert np.array_equal(read(samples), FLOATS[torch.cat(batches())])


def test_leaving_the_samples_ends_the_workers_of_readings_that_still_wait():
    samples = open_stream(Stream(Items(FLOATS), 2))
    with samples:
        reading = samples.read(batches(), seeded())
        next(reading)
    assert_no_workers()
    del reading


def test_a_samples_that_is_dropped_leaves_no_workers():
    reading = open_stream(Stream(Items(FLOATS), 2)).read(batches(), seeded())
    next(reading)
    del reading
    gc.collect()
    assert_no_workers()


@pytest.mark.parametrize("n", [3, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE])
@any_number_of_workers
def test_samples_are_taken_at_once_however_many(n, n_workers):
    array = images(4 * ROWS_AT_ONCE, (3,))
    numbers = torch.from_numpy(np.random.default_rng(1).permutation(4 * ROWS_AT_ONCE)[:n])
    taken = open_stream(Stream(Items(array), n_workers))[numbers]

    assert np.array_equal(taken, array[numbers])
    assert_no_workers()


def test_a_few_are_taken_here_and_many_by_workers():
    samples = open_stream(Stream(Whereabouts(images(2 * ROWS_AT_ONCE, (3,))), 1))

    assert (samples[torch.arange(3)] == os.getpid() % 2**20).all()
    assert (samples[torch.arange(2 * ROWS_AT_ONCE)] != os.getpid() % 2**20).all()


STARTED = multiprocessing.get_all_start_methods()


@pytest.mark.parametrize(
    ("start_method", "on_disk"),
    [
        pytest.param(*pair, marks=[pytest.mark.slow] * (pair[0] == "forkserver"))
        for pair in (("spawn", True), ("forkserver", False))
        if pair[0] in STARTED
    ],
)
def test_workers_that_inherit_nothing_read_the_same(start_method, on_disk, tmp_path):
    np.save(tmp_path / "floats.npy", FLOATS)
    mapped = np.load(tmp_path / "floats.npy", mmap_mode="r")
    data = mapped if on_disk else Subset(Items(FLOATS), range(N))
    samples = open_stream(Stream(data, 1, start_method=start_method))

    assert np.array_equal(read(samples), FLOATS[torch.cat(batches())])
    assert_no_workers()


@pytest.mark.filterwarnings("ignore:Got pickle error:UserWarning")
def test_what_cannot_be_sent_to_a_worker_says_so():
    stream = Stream(Items(FLOATS, lambda x, i: x), 1, start_method="spawn")
    with pytest.raises((AttributeError, pickle.PicklingError)) as raised:
        read(open_stream(stream))

    assert "With n_workers=0, X is read in this process." in "".join(raised.value.__notes__)
    assert_no_workers()
