"""Seeding and restoring of the global generators of Python, NumPy and torch."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

from skdim.devices import generator_state, seed_generator, set_generator_state

# How long the lock is released for other threads, and how long a fork waits for it.
SECONDS_FOR_OTHERS = 5e-4
SECONDS_FOR_FORKS = 2.0

CPU = torch.device("cpu")


class Lock:
    """A reentrant lock that can be released for waiting threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.waiting: list[None] = []  # One entry per thread: lists change atomically.

    def __enter__(self) -> None:
        """Acquire the lock."""
        self.acquire()

    def acquire(self, timeout: float = -1) -> bool:
        """Acquire the lock; return whether it was free within some seconds, -1 for any time."""
        self.waiting.append(None)
        try:
            return self.lock.acquire(timeout=timeout)
        finally:
            self.waiting.pop()

    def __exit__(self, *error: object) -> None:
        """Release the lock."""
        self.lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Return a context in which other threads can acquire the lock."""
        self.lock.release()
        try:
            if self.waiting:
                time.sleep(SECONDS_FOR_OTHERS)
            yield
        finally:
            self.acquire()


class Draws:
    """A sequence of draws from the global generators; has their states while it is suspended."""

    states: Mapping[Any, Any]


# One thread at a time seeds the global generators.
SEEDING = Lock()
# The sequence of the user's code, outside of ``seeded``.
OUTSIDE = Draws()
# The current sequence, and the accelerators whose generators belong to it.
LIVE = [OUTSIDE]
DEVICES: set[torch.device] = set()


class ThreadState(threading.local):
    """The sequence that a thread draws from, and whether it forks while holding the lock."""

    def __init__(self) -> None:
        self.draws = OUTSIDE
        self.forks = False


OWN = ThreadState()


def before_fork() -> None:
    """Wait until no other thread draws: it may hold locks of torch and NumPy, too."""
    OWN.forks = False
    OWN.forks = SEEDING.acquire(SECONDS_FOR_FORKS)


def after_fork_in_parent() -> None:
    """Release the lock."""
    if OWN.forks:
        SEEDING.lock.release()


def after_fork_in_child() -> None:
    """Reset accelerators, and release the lock, or replace one held by a thread of the parent."""
    DEVICES.clear()
    SEEDING.waiting.clear()
    if OWN.forks:
        SEEDING.lock.release()
    else:
        SEEDING.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=before_fork,
        after_in_parent=after_fork_in_parent,
        after_in_child=after_fork_in_child,
    )


def draw_seed(random_state: int | np.random.RandomState | None) -> int:
    """Draw a seed in [0, 2**31) for all other draws.

    Parameters
    ----------
    random_state : int, RandomState or None
        None is a fresh state, and not NumPy's global one as in scikit-learn.
    """
    source = np.random.RandomState() if random_state is None else check_random_state(random_state)
    return int(source.randint(np.iinfo(np.int32).max))


@contextmanager
def seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Return a context in which the global generators are seeded; restore them afterwards.

    One thread at a time can be inside; ``unlocked`` lets others enter.

    Parameters
    ----------
    seed : int
        Non-negative, below 2**63.
    device : torch.device, default=cpu
        Its generator is seeded in addition to that of the CPU.
    """
    with SEEDING:
        if device.type != "cpu":
            DEVICES.add(device)
        LIVE[0].states = get_states(*DEVICES)
        outer, LIVE[0] = OWN.draws, Draws()
        OWN.draws = LIVE[0]
        try:
            set_seed(seed)
            if device.type != "cpu":
                seed_generator(device, seed)
            yield
        finally:
            OWN.draws = LIVE[0] = outer
            set_states(outer.states)


@contextmanager
def unlocked() -> Iterator[None]:
    """Return a context in which other threads can seed, inside of ``seeded``."""
    own = OWN.draws
    if own is OUTSIDE:
        yield
        return
    try:
        with SEEDING.released():
            yield
    finally:
        resume(own)


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Return a context as ``seeded``, on the CPU, for a thread that is alone or holds the lock."""
    states = get_states()
    set_seed(seed)
    try:
        yield
    finally:
        set_states(states)


def pack_states(device: torch.device) -> dict[str, Any]:
    """Return the states of the global generators, and of ``device``, as tensors and primitives."""
    with SEEDING:
        resume(OWN.draws)
        states = get_states()
        if device.type != "cpu":
            states[device.type] = generator_state(device)
    kind, key, *others = states["numpy"]
    return states | {"numpy": [kind, torch.from_numpy(key.astype(np.int64)), *others]}


def unpack_states(states: Mapping[str, Any], device: torch.device) -> None:
    """Restore the states that ``pack_states`` returned.

    Raises
    ------
    IndexError, RuntimeError, TypeError, ValueError
        If a state is not valid.
    """
    found = {name: states[name] for name in ("python", "torch") if name in states}
    if "numpy" in states:
        kind, key, *others = states["numpy"]
        found["numpy"] = (kind, key.numpy().astype(np.uint32), *others)
    with SEEDING:
        resume(OWN.draws)
        set_states(found)
        if device.type != "cpu" and device.type in states:
            set_generator_state(device, states[device.type])


def resume(draws: Draws) -> None:
    """Restore the states of a sequence, and keep those of the current one."""
    if LIVE[0] is not draws:
        LIVE[0].states = get_states(*DEVICES)
        set_states(draws.states)
        LIVE[0] = draws


def set_seed(seed: int) -> None:
    """Seed the global generators, without accelerators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (user code draws from it)
    # torch.manual_seed would seed accelerators, too.
    torch.default_generator.manual_seed(seed)


def get_states(*devices: torch.device) -> dict[Any, Any]:
    """Return the states of the global generators and of accelerators."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "torch": torch.get_rng_state(),
        **{device: generator_state(device) for device in devices},
    }


def set_states(states: Mapping[Any, Any]) -> None:
    """Restore the states that ``get_states`` returned."""
    setters: dict[Any, Callable[[Any], None]] = {
        "python": random.setstate,
        "numpy": np.random.set_state,
        "torch": torch.set_rng_state,
    }
    for name, state in states.items():
        if name in setters:
            setters[name](state)
        else:
            set_generator_state(name, state)
