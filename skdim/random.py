"""Seeds; the global generators of Python, NumPy and torch, seeded for a while and restored."""

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

__all__ = [
    "SEEDING",
    "draw_seed",
    "drawing",
    "pack_states",
    "seeded",
    "unlocked",
    "unpack_states",
]

# For others, while the lock is released for them.
SECONDS_FOR_OTHERS = 5e-4

CPU = torch.device("cpu")


class Lock:
    """A lock that a thread may take again; it is released for a moment to those that wait."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.waiting: list[None] = []  # One entry for each thread: lists are changed atomically.

    def __enter__(self) -> None:
        """Wait for the lock."""
        self.waiting.append(None)
        try:
            self.lock.acquire()
        finally:
            self.waiting.pop()

    def __exit__(self, *error: object) -> None:
        """Release the lock."""
        self.lock.release()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let other threads have the lock."""
        self.lock.release()
        try:
            if self.waiting:
                time.sleep(SECONDS_FOR_OTHERS)
            yield
        finally:
            self.__enter__()


class Draws:
    """A sequence of draws from the global generators; it keeps their states while others draw."""

    states: Mapping[Any, Any]


# Python, NumPy and torch have one global generator each: one thread at a time seeds them.
SEEDING = Lock()
# The sequence of whoever has not seeded anything: the user's.
OUTSIDE = Draws()
# The one that the global generators are at, and the accelerators whose generators belong to it.
LIVE = [OUTSIDE]
DEVICES: set[torch.device] = set()


class Own(threading.local):
    """The sequence that a thread draws from."""

    def __init__(self) -> None:
        self.draws = OUTSIDE


OWN = Own()


def after_fork() -> None:
    """Free a new process of the accelerators, and of a lock that no thread of it holds."""
    DEVICES.clear()
    SEEDING.waiting.clear()
    if SEEDING.lock.acquire(blocking=False):
        SEEDING.lock.release()
    else:
        SEEDING.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)


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
def seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and torch for a while, then restore them.

    Whatever draws from them meanwhile, it repeats, and the user's states are as they were. One
    thread at a time is inside; others get their turn by ``unlocked``.

    Parameters
    ----------
    seed : int
        Non-negative, below 2**63.
    device : torch.device, default=cpu
        Its generator is seeded beside that of the CPU.
    """
    with SEEDING:
        if device.type == "cuda":
            DEVICES.add(device)
        LIVE[0].states = take_states(*DEVICES)
        outer, LIVE[0] = OWN.draws, Draws()
        OWN.draws = LIVE[0]
        try:
            set_seed(seed)
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            yield
        finally:
            OWN.draws = LIVE[0] = outer
            put_states(outer.states)


@contextmanager
def unlocked() -> Iterator[None]:
    """Let other threads seed the global generators, such as while callbacks wait for each other.

    Without effect where this thread has not seeded them.
    """
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
    """Seed the global generators of Python, NumPy and torch (CPU) for a while; restore them.

    For processes without other threads, and for those that hold ``SEEDING``.

    Parameters
    ----------
    seed : int
        Non-negative, below 2**63.
    """
    states = take_states()
    set_seed(seed)
    try:
        yield
    finally:
        put_states(states)


def pack_states(device: torch.device) -> dict[str, Any]:
    """Return the states of the global generators as tensors and primitives.

    Parameters
    ----------
    device : torch.device
        Where it is an accelerator, the state of its generator is among them.
    """
    with SEEDING:
        resume(OWN.draws)
        states = take_states()
        if device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
    kind, key, *others = states["numpy"]
    return states | {"numpy": [kind, torch.from_numpy(key.astype(np.int64)), *others]}


def unpack_states(states: Mapping[str, Any], device: torch.device) -> None:
    """Set the global generators to what ``pack_states`` returned; what is missing stays.

    Raises
    ------
    IndexError, RuntimeError, TypeError, ValueError
        If a state is not one.
    """
    found = {name: states[name] for name in ("python", "torch") if name in states}
    if "numpy" in states:
        kind, key, *others = states["numpy"]
        found["numpy"] = (kind, key.numpy().astype(np.uint32), *others)
    with SEEDING:
        resume(OWN.draws)
        put_states(found)
        if "cuda" in states and device.type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], device)


def resume(draws: Draws) -> None:
    """Set the global generators to where a sequence was left, and keep where the last one is."""
    if LIVE[0] is not draws:
        LIVE[0].states = take_states(*DEVICES)
        put_states(draws.states)
        LIVE[0] = draws


def set_seed(seed: int) -> None:
    """Seed the global generators, those of accelerators left out."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (the global one is what a user's code draws from)
    # torch.manual_seed would move the generators of accelerators, too.
    torch.default_generator.manual_seed(seed)


def take_states(*devices: torch.device) -> dict[Any, Any]:
    """Return the states of the global generators, and of those of accelerators."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "torch": torch.get_rng_state(),
        **{device: torch.cuda.get_rng_state(device) for device in devices},
    }


def put_states(states: Mapping[Any, Any]) -> None:
    """Set the global generators to what ``take_states`` returned."""
    setters: dict[Any, Callable[[Any], None]] = {
        "python": random.setstate,
        "numpy": np.random.set_state,
        "torch": torch.set_rng_state,
    }
    for name, state in states.items():
        if name in setters:
            setters[name](state)
        else:
            torch.cuda.set_rng_state(state, name)
