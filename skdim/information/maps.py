"""Invertible maps, which change the look of a variable and no mutual information.

Each takes an array (n, d) and gives one (n, d'). It is one-to-one and continuous, so that what it
gives says as much about any other variable as what it took.

References
----------
Czyż, Grabowski, Vogt, Beerenwinkel and Marx (2023), Beyond normal: on the evaluation of mutual
information estimators, arXiv:2306.11078, and its code, ``bmi``.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

__all__ = [
    "MAPS",
    "Map",
    "bimodal_x",
    "bimodal_y",
    "half_cube",
    "identity",
    "normal_cdf",
    "spiral",
    "swiss_roll",
    "wiggly_x",
    "wiggly_y",
]

Array = NDArray[np.float64]
Map = Callable[[Array], Array]

# An interval halved so often is as short as float64 can tell.
HALVINGS = 64


def identity(x: Array) -> Array:
    """Return the input."""
    return x


def normal_cdf(x: Array) -> Array:
    """Map standard normal coordinates to uniform ones on (0, 1)."""
    return np.asarray(ndtr(x))


def half_cube(x: Array) -> Array:
    """Take the power 3/2, signs kept: longer tails."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: Array) -> Array:
    """Add sines, too slow for the sum ever to fall; its slope is between 0.16 and 1.84."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(x: Array) -> Array:
    """Add other sines, likewise; its slope is between 0.53 and 1.47."""
    return x - 0.4 * np.sin(0.4 * x) + 0.17 * np.sin(1.3 * x + 3.5) + 0.02 * np.sin(4.3 * x - 2.5)


def mixture_cdf(t: Array, means: tuple[float, float], share: float) -> Array:
    """Distribution function of two unit normals, the first of which has the share."""
    return np.asarray(share * ndtr(t - means[0]) + (1 - share) * ndtr(t - means[1]))


def to_mixture(x: Array, means: tuple[float, float], share: float) -> Array:
    """Map standard normal coordinates to a mixture of two unit normals, order kept.

    The quantile of a mixture has no formula: it is found by halving an interval that holds it.
    """
    # A quantile of a mixture lies between those of its parts. Upper tails are looked up from
    # above, since a distribution function near 1 has lost its digits.
    sign = np.where(x > 0, -1.0, 1.0)
    target = ndtr(sign * x)
    low, high = x + min(means), x + max(means)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = np.where(
            x > 0,
            mixture_cdf(-middle, (-means[0], -means[1]), share) > target,
            mixture_cdf(middle, means, share) < target,
        )
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.asarray((low + high) / 2)


bimodal_x: Map = partial(to_mixture, means=(0.0, 5.0), share=0.3)
bimodal_y: Map = partial(to_mixture, means=(-1.0, 3.0), share=0.5)


def swiss_roll(x: Array) -> Array:
    """Roll up a number: (n, 1) standard normal to (n, 2), on a spiral of one turn and a half."""
    turn = 1.5 * math.pi * (1 + 2 * ndtr(x[:, 0]))
    return np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / 21


def spiral(x: Array, plane: tuple[int, int]) -> Array:
    """Turn a plane of two coordinates by an angle of the squared length over the dimensions.

    The length stays, so that turning back by the same angle undoes it.
    """
    i, j = plane
    angle = np.square(x).sum(axis=1) / x.shape[1]
    turned = x.copy()
    turned[:, i] = np.cos(angle) * x[:, i] + np.sin(angle) * x[:, j]
    turned[:, j] = np.cos(angle) * x[:, j] - np.sin(angle) * x[:, i]
    return turned


MAPS: dict[str, tuple[Map, Map]] = {
    "normal_cdf": (normal_cdf, normal_cdf),
    "wiggly": (wiggly_x, wiggly_y),
    "half_cube": (half_cube, half_cube),
    "bimodal": (bimodal_x, bimodal_y),
    "swissroll_x-normal_cdf": (swiss_roll, normal_cdf),
    "spiral": (partial(spiral, plane=(0, 1)), partial(spiral, plane=(1, 2))),
}
"""Name of a pair of maps, the first for x and the second for y."""
