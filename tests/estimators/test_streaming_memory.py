"""Streams and memory maps larger than memory are never read whole."""

import tracemalloc

import numpy as np
import pytest
from torch.utils.data import Dataset

from skdim import DeepInfoMaxTransformer
from skdim.inputs import Stream
from tests.inputs.datasets import images

pytestmark = pytest.mark.usefixtures("forked_workers")


def make(**params):
    given = {"n_components": 4, "max_epochs": 2, "batch_size": 16, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


@pytest.fixture(autouse=True, scope="module")
def everything_imported():
    """Fit once: torch imports many a module when it first is used, and these count as memory."""
    make().fit_transform(Stream(images(20, (6,)), 1))


class Sample(np.ndarray):
    """A sample that counts how many of its kind are alive."""

    alive = most = 0

    def __array_finalize__(self, origin):
        Sample.alive += 1
        Sample.most = max(Sample.most, Sample.alive)

    def __del__(self):
        Sample.alive -= 1


class Made(Dataset):
    """Two thousand samples, each made when it is asked for."""

    def __len__(self):
        return 2_000

    def __getitem__(self, number):
        sample = np.ndarray.__new__(Sample, 1024, np.float32)
        sample[...] = np.cos(number + np.arange(1024))
        return sample


def test_samples_are_never_all_there():
    Sample.alive = Sample.most = 0
    model = make(max_epochs=1, batch_size=100, negatives="shift")
    tracemalloc.start()
    codes = model.fit_transform(Made())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(codes) == 2_000
    assert Sample.alive == 0
    assert Sample.most <= 3
    # The codes, the order of an epoch, and much less than the 8 MB of all samples.
    assert most < codes.nbytes + 4e6


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """Store 16 MB in a file, some at a time."""
    path = tmp_path_factory.mktemp("data") / "vectors.npy"
    stored = np.lib.format.open_memmap(path, "w+", np.float32, (1024, 4096))
    draw = np.random.default_rng(0)
    for start in range(0, 1024, 256):
        stored[start : start + 256] = draw.normal(size=(256, 4096)).astype(np.float32)
    stored.flush()
    return path


@pytest.mark.parametrize("streamed", [False, True])
def test_a_memory_map_is_never_read_whole(on_disk, streamed):
    mapped = np.load(on_disk, mmap_mode="r")
    X = Stream(mapped) if streamed else mapped
    tracemalloc.start()
    codes = make(max_epochs=1, batch_size=64).fit_transform(X)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert codes.shape == (1024, 4)
    assert most < 8e6


def test_workers_read_a_memory_map_too(on_disk):
    mapped = np.load(on_disk, mmap_mode="r")[:500]
    model = make(max_epochs=1, batch_size=64)
    tracemalloc.start()
    codes = model.fit_transform(Stream(mapped, 2))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 4e6  # Of 8 MB.
    np.testing.assert_array_equal(codes, model.fit_transform(mapped))


def test_numbers_of_a_stream_are_converted_batch_by_batch():
    X = images(90, (6,), dtype=np.float64)

    np.testing.assert_array_equal(
        make().fit_transform(Stream(X)), make().fit_transform(X.astype(np.float32))
    )
