"""Named distributions of known mutual information, to evaluate estimates on.

Invertible continuous maps of x and of y preserve it.

References
----------
Czyż, Grabowski, Vogt, Beerenwinkel and Marx (2023), Beyond normal: on the evaluation of mutual
information estimators, arXiv:2306.11078, and its code, ``bmi``. For ``normal-20-20``: Belghazi et
al. (2018), arXiv:1801.04062; Song and Ermon (2020), arXiv:1910.06222.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import multivariate_t

from skdim.information.samplers import CorrelatedNormals

Array: TypeAlias = NDArray[np.float64]
Pairs: TypeAlias = tuple[Array, Array]
Map: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class NormalPairs:
    r"""Jointly normal x and y of mean zero, with the covariance of both concatenated.

    .. math:: I = \frac{1}{2} \ln \frac{\det \Sigma_x \det \Sigma_y}{\det \Sigma}
    """

    covariance: Array
    x_dims: int

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        d = self.x_dims
        of_x, of_y = self.covariance[:d, :d], self.covariance[d:, d:]
        logs = [np.linalg.slogdet(part)[1] for part in (of_x, of_y, self.covariance)]
        return float(logs[0] + logs[1] - logs[2]) / 2

    def draw(self, n: int, generator: np.random.Generator) -> Pairs:
        """Draw n pairs (n, dx), (n, dy)."""
        noise = generator.standard_normal((n, len(self.covariance)))
        both = noise @ np.linalg.cholesky(self.covariance).T
        return both[:, : self.x_dims], both[:, self.x_dims :]


@dataclass(frozen=True)
class StudentPairs:
    """Student-t x and y of equal dimension: uncorrelated normals divided by a common root.

    They depend on each other by the divisor alone. With h(d) the entropy of a Student-t vector of d
    dimensions, :math:`I = 2 h(d) - h(2 d)`.
    """

    dims: int
    df: int

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        of_one, of_both = (
            float(multivariate_t(shape=np.eye(d), df=self.df).entropy())
            for d in (self.dims, 2 * self.dims)
        )
        return 2 * of_one - of_both

    def draw(self, n: int, generator: np.random.Generator) -> Pairs:
        """Draw n pairs (n, dx), (n, dy)."""
        both = generator.standard_normal((n, 2 * self.dims))
        both /= np.sqrt(generator.chisquare(self.df, (n, 1)) / self.df)
        return both[:, : self.dims], both[:, self.dims :]


@dataclass(frozen=True)
class AdditiveUniform:
    r"""Uniform x on (0, 1), and y = x plus uniform noise on (-width, width).

    .. math:: I = w - \ln 2 w \text{ for } w \leq 1/2, \quad 1 / (4 w) \text{ beyond}
    """

    width: float

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        w = self.width
        return w - math.log(2 * w) if w <= 0.5 else 1 / (4 * w)

    def draw(self, n: int, generator: np.random.Generator) -> Pairs:
        """Draw n pairs (n, 1), (n, 1)."""
        x = generator.random((n, 1))
        return x, x + generator.uniform(-self.width, self.width, (n, 1))


# Halvings of an interval until its length is the resolution of float64.
HALVINGS = 64


def identity(x: Array) -> Array:
    """Return x."""
    return x


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


normal_cdf: Map = ndtr
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

Distribution: TypeAlias = NormalPairs | StudentPairs | AdditiveUniform


@dataclass(frozen=True)
class BenchmarkTask:
    """A distribution of (x, y) with known mutual information.

    Parameters
    ----------
    pairs : NormalPairs, StudentPairs or AdditiveUniform
        Distribution before the maps.
    map_x, map_y : callable
        Invertible maps from (n, d) to (n, d'), which preserve mutual information.

    Examples
    --------
    >>> task = TASKS["1v1-normal-0.75"]
    >>> round(task.information, 5)
    0.41334
    >>> x, y = task.draw(100, random_state=0)
    >>> x.shape, y.shape
    ((100, 1), (100, 1))
    """

    pairs: Distribution
    map_x: Map = identity
    map_y: Map = identity

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        return self.pairs.information

    def draw(self, n: int, random_state: int | np.random.Generator | None = None) -> Pairs:
        """Draw n pairs.

        Parameters
        ----------
        n : int
            Number of pairs.
        random_state : int, numpy Generator or None, default=None
            None draws different pairs in each call. Global generators are not used.

        Returns
        -------
        x : ndarray of shape (n, dx)
        y : ndarray of shape (n, dy)
        """
        x, y = self.pairs.draw(n, np.random.default_rng(random_state))
        return self.map_x(x), self.map_y(y)


def dense_normal(d: int, correlation: float) -> NormalPairs:
    """Return normals with one correlation between all 2 d coordinates."""
    return NormalPairs(correlation + (1 - correlation) * np.eye(2 * d), d)


def sparse_normal(d: int, n_pairs: int, correlation: float) -> NormalPairs:
    """Return normals with x[i] and y[i] correlated for each i below ``n_pairs``."""
    covariance = np.eye(2 * d)
    first = np.arange(n_pairs)
    covariance[first, d + first] = covariance[d + first, first] = correlation
    return NormalPairs(covariance, d)


def map_pairs(pairs: Distribution, name: str) -> BenchmarkTask:
    """Apply a pair of maps to x and y."""
    return BenchmarkTask(pairs, *MAPS[name])


NORMAL = sparse_normal(1, 1, 0.75)
# The name states a signal strength of 2 with noise of variance 1: a correlation of 4 / 5.
SPARSE = {d: sparse_normal(d, 2, 0.8) for d in (2, 3, 5, 25)}
STUDENT = {
    f"student-identity-{d}-{d}-{df}": StudentPairs(d, df)
    for d, df in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
}
NORMAL_MAPS = ("normal_cdf", "wiggly", "half_cube", "swissroll_x-normal_cdf")
SPARSE_MAPS = ("normal_cdf", "half_cube", "spiral")

BMI_TASKS: dict[str, BenchmarkTask] = {
    "1v1-normal-0.75": BenchmarkTask(NORMAL),
    **{f"{name}-1v1-normal-0.75": map_pairs(NORMAL, name) for name in NORMAL_MAPS},
    "1v1-bimodal-0.75": map_pairs(NORMAL, "bimodal"),
    **{f"1v1-additive-{w}": BenchmarkTask(AdditiveUniform(w)) for w in (0.1, 0.75)},
    **{
        f"multinormal-dense-{d}-{d}-0.5": BenchmarkTask(dense_normal(d, 0.5))
        for d in (2, 3, 5, 25, 50)
    },
    **{f"multinormal-sparse-{d}-{d}-2-2.0": BenchmarkTask(pairs) for d, pairs in SPARSE.items()},
    **{name: BenchmarkTask(pairs) for name, pairs in STUDENT.items()},
    **{
        f"{name}-multinormal-sparse-{d}-{d}-2-2.0": map_pairs(SPARSE[d], name)
        for name in (*SPARSE_MAPS, "spiral-normal_cdf")
        for d in (3, 5, 25)
    },
    **{
        f"asinh-student-identity-{sizes}": map_pairs(STUDENT[f"student-identity-{sizes}"], "asinh")
        for sizes in ("1-1-1", "2-2-1", "3-3-2", "5-5-2")
    },
}
"""The 40 tasks of ``bmi``, under their names there."""

TASKS: dict[str, BenchmarkTask] = BMI_TASKS | {
    # The correlation of each of 20 pairs of coordinates.
    f"normal-20-20-{nats}": BenchmarkTask(
        sparse_normal(20, 20, CorrelatedNormals.from_information(nats, 20).correlation)
    )
    for nats in (1, 2, 4, 6)
}
"""The tasks of ``bmi``, and 20 by 20 jointly normal coordinates with 1, 2, 4 and 6 nats."""
