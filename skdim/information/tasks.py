"""Named distributions of known mutual information, to evaluate estimates on.

References
----------
Czyż, Grabowski, Vogt, Beerenwinkel and Marx (2023), Beyond normal: on the evaluation of mutual
information estimators, arXiv:2306.11078. For ``normal-20-20``: Belghazi et al. (2018),
arXiv:1801.04062; Song and Ermon (2020), arXiv:1910.06222.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from skdim.information.maps import MAPS, Map, identity
from skdim.information.samplers import CorrelatedNormals

__all__ = [
    "BMI_TASKS",
    "FURTHER_TASKS",
    "TASKS",
    "AdditiveUniform",
    "BenchmarkTask",
    "NormalPairs",
    "StudentPairs",
    "dense_normal",
]

Array: TypeAlias = NDArray[np.float64]
Pairs: TypeAlias = tuple[Array, Array]


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
    r"""Student-t x and y of equal dimension: uncorrelated normals divided by a common root.

    They depend on each other by the divisor alone. With h(d) the entropy of a Student-t vector of d
    dimensions and :math:`\nu` degrees of freedom,

    .. math:: I = 2 h(d) - h(2 d), \quad h(d) =
        \ln \frac{\Gamma(\nu / 2) (\nu \pi)^{d / 2}}{\Gamma((\nu + d) / 2)}
        + \frac{\nu + d}{2} \left[
        \psi \left( \frac{\nu + d}{2} \right) - \psi \left( \frac{\nu}{2} \right) \right]
    """

    dims: int
    freedom: int

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        return 2 * self.entropy(self.dims) - self.entropy(2 * self.dims)

    def entropy(self, d: int) -> float:
        """Compute the entropy of d of the coordinates, in nats."""
        half, whole = self.freedom / 2, (self.freedom + d) / 2
        volume = gammaln(half) - gammaln(whole) + d / 2 * math.log(self.freedom * math.pi)
        return float(volume + whole * (digamma(whole) - digamma(half)))

    def draw(self, n: int, generator: np.random.Generator) -> Pairs:
        """Draw n pairs (n, dx), (n, dy)."""
        both = generator.standard_normal((n, 2 * self.dims))
        both /= np.sqrt(generator.chisquare(self.freedom, (n, 1)) / self.freedom)
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

    def draw(
        self, n: int, random_state: int | np.random.Generator | None = None
    ) -> tuple[Array, Array]:
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
    f"student-identity-{d}-{d}-{freedom}": StudentPairs(d, freedom)
    for d, freedom in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3))
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

TASKS: dict[str, BenchmarkTask] = {
    name: BMI_TASKS[name]
    for name in (
        "1v1-normal-0.75",
        "normal_cdf-1v1-normal-0.75",
        "wiggly-1v1-normal-0.75",
        "half_cube-1v1-normal-0.75",
        "1v1-bimodal-0.75",
        "swissroll_x-normal_cdf-1v1-normal-0.75",
        "1v1-additive-0.1",
        "1v1-additive-0.75",
        *(f"multinormal-dense-{d}-{d}-0.5" for d in (2, 5, 25)),
        *(f"multinormal-sparse-{d}-{d}-2-2.0" for d in (3, 5)),
        *(f"{name}-multinormal-sparse-5-5-2-2.0" for name in SPARSE_MAPS),
        *(f"student-identity-{sizes}" for sizes in ("1-1-1", "2-2-2", "3-3-3", "5-5-3")),
    )
} | {
    f"normal-20-20-{nats}": BenchmarkTask(
        sparse_normal(20, 20, CorrelatedNormals.from_information(nats, 20).correlation)
    )
    for nats in (1, 2, 4, 6)
}
"""24 tasks, under their names in ``bmi`` where they have one."""

FURTHER_TASKS: dict[str, BenchmarkTask] = {
    name: BMI_TASKS[name]
    for name in (f"{each}-multinormal-sparse-3-3-2-2.0" for each in SPARSE_MAPS)
}
"""Maps of two correlated pairs among 3 by 3 coordinates, as in ``TASKS`` among 5 by 5."""
