"""Whose turn it is to draw from the global generators, and from what they then draw."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import Generator

__all__ = ["SEEDING", "draw_seed", "drawing", "seeded", "seeds_of"]

# Python, NumPy and torch have one global generator each: threads take turns at seeding them.
# Reentrant, since what is built or read meanwhile may itself ask for a turn.
SEEDING = RLock()


def draw_seed(random_state: Any) -> int:
    """Draw the one number that all others follow from.

    Parameters
    ----------
    random_state : int, RandomState or None
        scikit-learn reads None as NumPy's global state, which would be moved: here it is fresh.

    Returns
    -------
    int
        Non-negative, below 2**31.
    """
    source = np.random.RandomState() if random_state is None else check_random_state(random_state)
    return int(source.randint(np.iinfo(np.int32).max))


@contextmanager
def seeded(entropy: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a while, one thread at a time, and put them back.

    Parameters
    ----------
    entropy : int
        Non-negative, below 2**63.
    device : torch.device
        Its generator is seeded beside that of the CPU.
    """
    devices = [device] if device.type == "cuda" else []
    with SEEDING, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(entropy)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(entropy)
        yield


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch (CPU) for a while; put them back.

    Parameters
    ----------
    seed : int
        Non-negative, below 2**63.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (the global one is what a user's code draws from)
    # torch.manual_seed would move the generators of accelerators, too.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def seeds_of(generator: Generator, batches: Sequence[NDArray[np.intp]]) -> list[int]:
    """Derive a seed for each batch from where a generator stands, without moving it.

    So the training draws the same whether its samples are read from memory or by workers. The
    numbers of the samples count too: processes that share an epoch, and its generator, each draw
    their own.

    Parameters
    ----------
    generator : Generator
    batches : sequence of ndarray of shape (b,)
        Numbers of the samples of each batch.

    Returns
    -------
    list of int
        Below 2**63.
    """
    state = hashlib.blake2b(generator.get_state().numpy().tobytes())
    return [seed_of_batch(state.digest() + numbers.tobytes()) for numbers in batches]


def seed_of_batch(circumstances: bytes) -> int:
    """Make a number of anything."""
    digest = hashlib.blake2b(circumstances, digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
