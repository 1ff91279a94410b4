"""Memory stays bounded, and processes keep out of each other's way (rows 13, 42, 64, 65)."""

import ctypes
import gc
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.devices import find_accelerator
from tests.reliability import kills

resource = pytest.importorskip("resource")  # of the systems that fork
pytestmark = pytest.mark.faults

MB = 2**20

STATUS = Path("/proc/self/status")


def private_memory(name):
    """Give what this process has for itself, without files that are mapped, in bytes."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def with_at_most(more, action):
    """Do something in a process that may ask for so many more bytes; say whether that was enough.

    Files that are mapped for reading do not count.
    """

    def limited():
        # What earlier tests have freed, but malloc has kept, would else be room beyond the limit.
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
        action_limit = private_memory("VmData") + more
        resource.setrlimit(resource.RLIMIT_DATA, (action_limit, action_limit))
        action()

    _, status = os.waitpid(kills.fork(limited), 0)
    return status == 0


@pytest.fixture(scope="module", autouse=True)
def linux_only():
    if not STATUS.exists():
        pytest.skip("private memory is read from /proc")


class Pooled(nn.Module):
    """Averages of an image: an encoder that is fast on many large ones."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.code = nn.Linear(16, 4)

    def forward(self, x):
        local = self.pool(x)
        return local, self.code(local.flatten(1))


def make(**params):
    given = {"n_components": 4, "max_epochs": 1, "batch_size": 64, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


def test_a_memory_map_larger_than_the_memory_is_transformed(tmp_path):
    path = tmp_path / "images.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float32, (2**12, 128, 128))
    X[:: 2**10] = 1.0
    X.flush()
    mapped = np.load(path, mmap_mode="r")
    few = np.random.default_rng(0).normal(size=(32, 128, 128))
    model = make(encoder=Pooled(), view=None).fit(few)
    model.transform(mapped[:100])

    def transform():
        codes = model.transform(mapped)
        assert codes.shape == (2**12, 4)
        assert np.array_equal(codes[2**10], codes[0])

    def copy():
        np.array(mapped)

    assert mapped.nbytes == 256 * MB
    assert with_at_most(64 * MB, transform)
    assert not with_at_most(64 * MB, copy)  # The limit is one.


def test_a_memory_map_of_doubles_is_not_copied_to_be_checked(tmp_path):
    path = tmp_path / "images.npy"
    X = np.lib.format.open_memmap(path, "w+", np.float64, (2**11, 64, 64))
    X[:] = np.arange(2**11)[:, None, None] % 7
    X.flush()
    mapped = np.load(path, mmap_mode="r")
    model = make(encoder=Pooled(), view=None, negatives="shift").fit(mapped[:100])
    model.transform(mapped[:100])

    def fit():
        model.fit(mapped).transform(mapped)

    assert mapped.nbytes == 64 * MB
    assert with_at_most(24 * MB, fit)
    # Eight copies: some may find room that earlier tests have left.
    assert not with_at_most(24 * MB, lambda: [mapped.astype(np.float32) for _ in range(8)])


def test_a_fit_of_bytes_makes_no_floats_of_all_of_them():
    images = np.random.default_rng(0).integers(256, size=(4096, 128, 128), dtype=np.uint8)
    params = {"encoder": Pooled(), "view": None, "batch_size": 32, "negatives": "shift"}
    make(**params).fit(images[:64])

    assert images.nbytes == 64 * MB
    assert with_at_most(56 * MB, lambda: make(**params).fit(images))
    assert not with_at_most(56 * MB, lambda: images.copy())
    assert not with_at_most(200 * MB, lambda: images.astype(np.float32))


def test_memory_is_flat_over_hundreds_of_transforms():
    X = np.random.default_rng(0).normal(size=(8, 6))
    model = make().fit(X)
    for _ in range(50):
        model.transform(X)
    gc.collect()
    before = private_memory("RssAnon")
    tracemalloc.start()
    for _ in range(300):
        model.transform(X)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < MB / 12
    assert private_memory("RssAnon") - before < 5 * MB


def count_threads(model, X):
    model.fit(X)
    return torch.get_num_threads()


@pytest.mark.slow
def test_workers_share_the_processors_out(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    X = np.random.default_rng(0).normal(size=(16, 6))
    model = make()
    threads = Parallel(n_jobs=2)(delayed(count_threads)(model, X) for _ in range(2))
    assert max(threads) <= max(1, os.cpu_count() // 2)


def test_a_fit_in_a_forked_worker_says_what_to_do(monkeypatch):
    zeros, cuda = torch.zeros, torch.device("cuda")

    def refuse(*args, device=None, **kwargs):
        if device is not None and torch.device(device).type == "cuda":
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
                "you must use the 'spawn' start method"
            )
        return zeros(*args, device=device, **kwargs)

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *args, **kwargs: cuda)
    monkeypatch.setattr(torch, "zeros", refuse)
    model = make(device="cuda")
    reason = r"cannot be used.*: Cannot re-initialize CUDA .* 'spawn' start method"
    with pytest.raises(ValueError, match=f"device='cuda' {reason}"):
        model.fit(np.eye(8))
    with pytest.warns(UserWarning, match=f"device='auto' uses the CPU: .*'cuda'.* {reason}"):
        assert find_accelerator().type == "cpu"
    assert not hasattr(model, "net_")
