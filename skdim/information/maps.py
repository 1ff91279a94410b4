"""Invertible continuous maps of a variable, which preserve mutual information.

Each maps an array of shape (n, d) to one of shape (n, d').

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

# After so many halvings an interval is as short as the resolution of float64.
HALVINGS = 64


def identity(x: Array) -> Array:
    """Return the input."""
    return x


def normal_cdf(x: Array) -> Array:
    """Map standard normal coordinates to uniform ones on (0, 1)."""
    return np.asarray(ndtr(x))


def half_cube(x: Array) -> Array:
    """Compute the power 3/2 of the absolute value, with the sign; it lengthens the tails."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: Array) -> Array:
    """Add sines; the sum is increasing, with a slope between 0.16 and 1.84."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(x: Array) -> Array:
    """Add other sines; the sum is increasing, with a slope between 0.53 and 1.47."""
    return x - 0.4 * np.sin(0.4 * x) + 0.17 * np.sin(1.3 * x + 3.5) + 0.02 * np.sin(4.3 * x - 2.5)


def mixture_cdf(t: Array, means: tuple[float, float], share: float) -> Array:
    """Compute the distribution function of a mixture of two unit normals."""
    return np.asarray(share * ndtr(t - means[0]) + (1 - share) * ndtr(t - means[1]))


def to_mixture(x: Array, means: tuple[float, float], share: float) -> Array:
    """Map standard normal coordinates to a mixture of two unit normals, by an increasing map.

    The quantile function of a mixture has no closed form and is computed by bisection.
    """
    # A quantile of a mixture lies between those of its components. Positive x are compared by their
    # survival function, because a distribution function near 1 loses precision.
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
    """Map standard normals (n, 1) to a spiral of one and a half turns in the plane, (n, 2)."""
    turn = 1.5 * math.pi * (1 + 2 * ndtr(x[:, 0]))
    return np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / 21


def spiral(x: Array, plane: tuple[int, int]) -> Array:
    """Rotate two coordinates by an angle that is the squared norm divided by the dimension.

    A rotation preserves the norm, so the inverse rotates back by the same angle.
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
    "asinh": (np.arcsinh, np.arcsinh),
    "spiral-normal_cdf": (
        lambda x: spiral(normal_cdf(x), (0, 1)),
        lambda x: spiral(normal_cdf(x), (1, 2)),
    ),
    "spiral": (partial(spiral, plane=(0, 1)), partial(spiral, plane=(1, 2))),
}
"""Pairs of maps by name, the first for x and the second for y."""
