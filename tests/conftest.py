"""What all tests share: one thread, no window, and a watch over the global random states."""

import multiprocessing
import os
import random
import signal

import numpy as np
import pytest
import torch

# Before matplotlib is first imported, by whichever test.
os.environ["MPLBACKEND"] = "Agg"


def pytest_configure(config):
    """Use one thread a worker: there is one worker a core already."""
    torch.set_num_threads(1)


@pytest.fixture
def pyplot():
    """Give ``matplotlib.pyplot``, and close what the test opened."""
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")
    yield plt
    plt.close("all")


@pytest.fixture
def forked_workers():
    """Let workers inherit data sets that tests make on the spot and that no pickle would hold."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system forks no processes")
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("fork", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def ctrl_c_raises():
    """Let SIGINT raise KeyboardInterrupt here and in child processes.

    A shell without job control starts what runs in the background with the signal ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def global_random_state_untouched():
    """Fail the test if it moves the global random state of Python, NumPy or torch."""
    before = global_random_states()
    yield
    after = global_random_states()
    moved = [name for name, state in before.items() if state != after[name]]
    assert not moved, f"the global random state was moved: {', '.join(moved)}"


def global_random_states():
    """Take the states as values that compare with ``==``."""
    kind, keys, *position = np.random.get_state()  # noqa: NPY002 (the global one is watched)
    states = {
        "python": random.getstate(),
        "numpy": (kind, keys.tobytes(), *position),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
    if torch.cuda.is_available():
        for device, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"cuda:{device}"] = state.numpy().tobytes()
    return states
