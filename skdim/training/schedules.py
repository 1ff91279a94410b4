"""How the learning rate goes over the steps of a training."""

import math
from collections.abc import Callable

__all__ = ["SCHEDULES"]


def constant(progress: float) -> float:
    """Keep the learning rate."""
    return 1.0


def cosine(progress: float) -> float:
    """Fall to zero along half a cosine."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Rise over the first tenth of the steps, then fall to zero along half a cosine."""
    warmup = 0.1
    if progress < warmup:
        return 0.04 + 0.96 * progress / warmup
    return cosine((progress - warmup) / (1 - warmup))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
}
