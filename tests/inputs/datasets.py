"""Data sets that tests of streams share; at the top level, so that spawned workers find them."""

import multiprocessing
import os
import random
import signal
import threading

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from skdim.inputs import Layout


def images(n=24, shape=(8, 8), seed=0, dtype=np.float32):
    """Draw distinct samples; of uint8 if asked for."""
    draw = np.random.default_rng(seed)
    if dtype == np.uint8:
        return draw.integers(0, 256, (n, *shape)).astype(np.uint8)
    return draw.normal(3, 2, (n, *shape)).astype(dtype)


def open_stream(stream, layout=None, *args, **how):
    """Open a stream; without a layout, its samples are vectors."""
    make, shape, _ = stream.open()
    return make(layout or Layout(shape[1:]), *args, **how)


class Items(Dataset):
    """Samples of an array, each handed out as ``give`` wishes."""

    def __init__(self, array, give=None):
        self.array = array
        self.give = give

    def __len__(self):
        return len(self.array)

    def __getitem__(self, number):
        sample = self.array[number]
        return sample if self.give is None else self.give(sample, number)


class Batched(Items):
    """Samples of which all of a batch are asked for at once."""

    def __getitem__(self, number):
        raise AssertionError("asked for one item")

    def __getitems__(self, numbers):
        return [self.array[number] for number in numbers]


class Drawing(Items):
    """Samples with noise from each of the three global generators."""

    def __getitem__(self, number):
        noise = torch.rand(self.array.shape[1:]).numpy() + random.random()
        return self.array[number] + noise + np.random.rand(*self.array.shape[1:])  # noqa: NPY002


class OwnError(Exception):
    """Nothing that anybody else raises, and not made of a single text."""

    def __init__(self, what, number):
        super().__init__(what, number)
        self.number = number


class Unpicklable(Exception):  # noqa: N818
    """An error that cannot be pickled, also where tblib makes others picklable."""

    def __init__(self, what, number):
        super().__init__(f"{what} {number}")
        self.lock = threading.Lock()


class Failing(Items):
    """Samples of which one cannot be read."""

    def __init__(self, array, bad, error):
        super().__init__(array)
        self.bad = bad
        self.error = error

    def __getitem__(self, number):
        if number == self.bad:
            raise self.error
        return self.array[number]


class Killing(Items):
    """Samples of which one ends the worker that reads it, as the system does to free memory."""

    def __init__(self, array, bad):
        super().__init__(array)
        self.bad = bad

    def __getitem__(self, number):
        if number == self.bad and get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.array[number]


class Whereabouts(Items):
    """Samples that hold the number of the process that read them."""

    def __getitem__(self, number):
        return np.full(self.array.shape[1:], os.getpid() % 2**20, np.float32)


class Unsized(Dataset):
    def __getitem__(self, number):
        return np.zeros(3)


class Endless(IterableDataset):
    def __iter__(self):
        yield np.zeros(3)


def workers():
    """Return the running workers; joblib keeps the processes of earlier tests."""
    children = multiprocessing.active_children()
    return [child for child in children if type(child).__name__ != "LokyProcess"]


def assert_no_workers():
    assert workers() == []
