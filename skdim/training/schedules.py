"""The learning rate over the steps of a training."""

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "Schedule", "find_schedule"]

# From the share of the steps taken, in [0, 1), to a factor of the learning rate.
Schedule = Callable[[float], float]

# Share of the steps in which "one_cycle" increases the learning rate.
WARMUP = 0.1


def cosine(progress: float) -> float:
    """Decrease from 1 to 0 along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Increase linearly to 1 over a tenth of the steps, then decrease along half a cosine."""
    if progress < WARMUP:
        return 0.04 + 0.96 * progress / WARMUP
    return cosine((progress - WARMUP) / (1 - WARMUP))


SCHEDULES: dict[str, Schedule] = {
    "constant": lambda progress: 1.0,
    "cosine": cosine,
    "one_cycle": one_cycle,
}


def find_schedule(schedule: str | Schedule) -> Schedule:
    """Return a schedule by its key, or as it is."""
    return SCHEDULES[schedule] if isinstance(schedule, str) else schedule
