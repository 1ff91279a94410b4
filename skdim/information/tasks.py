"""Named distributions of known mutual information."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from skdim.information.maps import MAPS, Map, identity
from skdim.information.normals import CorrelatedNormals

__all__ = [
    "FURTHER_TASKS",
    "TASKS",
    "AbstractPairs",
    "AdditiveUniform",
    "NormalPairs",
    "StudentPairs",
    "Task",
]

Array: TypeAlias = NDArray[np.float64]
Pairs: TypeAlias = tuple[Array, Array]

SOURCE = "Czyż et al. (2023), arXiv:2306.11078"
STAIRCASE = "Belghazi et al. (2018), arXiv:1801.04062; Song and Ermon (2020), arXiv:1910.06222"


class AbstractPairs(ABC):
    """A joint distribution of x and y with a formula for their information."""

    @property
    @abstractmethod
    def information(self) -> float:
        """Mutual information of x and y, in nats."""

    @abstractmethod
    def draw(self, n: int, generator: np.random.Generator) -> Pairs:
        """Draw n pairs (n, dx), (n, dy)."""


@dataclass(frozen=True, eq=False)
class NormalPairs(AbstractPairs):
    r"""Jointly normal x and y of mean zero.

    .. math:: I = \frac{1}{2} \ln \frac{\det \Sigma_x \det \Sigma_y}{\det \Sigma}

    Parameters
    ----------
    covariance : ndarray of shape (dx + dy, dx + dy)
        Of x and y side by side.
    x_dims : int
        Number of dimensions of x.
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
class StudentPairs(AbstractPairs):
    r"""Student-t x and y of as many dimensions each: uncorrelated normals over one common root.

    All dependence comes from the common divisor. With h(d) the entropy of a Student-t vector of d
    dimensions and :math:`\nu` degrees of freedom,

    .. math:: I = 2 h(d) - h(2 d), \quad h(d) =
        \ln \frac{\Gamma(\nu / 2) (\nu \pi)^{d / 2}}{\Gamma((\nu + d) / 2)}
        + \frac{\nu + d}{2} \left[
        \psi \left( \frac{\nu + d}{2} \right) - \psi \left( \frac{\nu}{2} \right) \right]

    Parameters
    ----------
    dims : int
        Number of dimensions of x, and of y.
    freedom : int
        Degrees of freedom.
    """

    dims: int
    freedom: int

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        return 2 * self.entropy(self.dims) - self.entropy(2 * self.dims)

    def entropy(self, d: int) -> float:
        """Entropy of d of the coordinates, in nats."""
        half, whole = self.freedom / 2, (self.freedom + d) / 2
        volume = gammaln(half) - gammaln(whole) + d / 2 * math.log(self.freedom * math.pi)
        return float(volume + whole * (digamma(whole) - digamma(half)))

    def draw(self, n: int, generator: np.random.Generator) -> Pairs:
        """Draw n pairs (n, dx), (n, dy)."""
        both = generator.standard_normal((n, 2 * self.dims))
        both /= np.sqrt(generator.chisquare(self.freedom, (n, 1)) / self.freedom)
        return both[:, : self.dims], both[:, self.dims :]


@dataclass(frozen=True)
class AdditiveUniform(AbstractPairs):
    r"""Uniform x on (0, 1), and y = x plus uniform noise on (-width, width).

    .. math:: I = w - \ln 2 w \text{ for } w \leq 1/2, \quad 1 / (4 w) \text{ beyond}

    Parameters
    ----------
    width : float
        :math:`w`, above 0.
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


@dataclass(frozen=True)
class Task:
    """A distribution of (x, y) of known information, to judge an estimate by.

    Parameters
    ----------
    pairs : AbstractPairs
        What is drawn, before the maps.
    source : str
        Where the definition comes from.
    map_x, map_y : callable
        Invertible maps (n, d) to (n, d'), so that the information is that of the pairs.

    Examples
    --------
    >>> task = TASKS["1v1-normal-0.75"]
    >>> round(task.information, 5)
    0.41334
    >>> x, y = task.draw(100, random_state=0)
    >>> x.shape, y.shape
    ((100, 1), (100, 1))
    """

    pairs: AbstractPairs
    source: str
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
            What to draw from. None differs from call to call; global states are never moved.

        Returns
        -------
        x : ndarray of shape (n, dx)
        y : ndarray of shape (n, dy)
        """
        x, y = self.pairs.draw(n, np.random.default_rng(random_state))
        return self.map_x(x), self.map_y(y)


def dense(d: int, correlation: float) -> NormalPairs:
    """Correlate any two of 2 d coordinates alike."""
    return NormalPairs(correlation + (1 - correlation) * np.eye(2 * d), d)


def aligned(d: int, n_pairs: int, correlation: float) -> NormalPairs:
    """Correlate the first coordinates of x with those of y, one by one."""
    covariance = np.eye(2 * d)
    first = np.arange(n_pairs)
    covariance[first, d + first] = covariance[d + first, first] = correlation
    return NormalPairs(covariance, d)


def image(pairs: AbstractPairs, name: str) -> Task:
    """Map x and y."""
    return Task(pairs, SOURCE, *MAPS[name])


NORMAL = aligned(1, 1, 0.75)
# Named after a strength of 2: both coordinates share 2 z and add noise of one, so 4 / 5.
TWO_PAIR = {d: aligned(d, 2, 0.8) for d in (3, 5)}
IMAGES = ("normal_cdf", "half_cube", "spiral")

TASKS: dict[str, Task] = {
    "1v1-normal-0.75": Task(NORMAL, SOURCE),
    "normal_cdf-1v1-normal-0.75": image(NORMAL, "normal_cdf"),
    "wiggly-1v1-normal-0.75": image(NORMAL, "wiggly"),
    "half_cube-1v1-normal-0.75": image(NORMAL, "half_cube"),
    "1v1-bimodal-0.75": image(NORMAL, "bimodal"),
    "swissroll_x-normal_cdf-1v1-normal-0.75": image(NORMAL, "swissroll_x-normal_cdf"),
    **{f"1v1-additive-{w}": Task(AdditiveUniform(w), SOURCE) for w in (0.1, 0.75)},
    **{f"multinormal-dense-{d}-{d}-0.5": Task(dense(d, 0.5), SOURCE) for d in (2, 5, 25)},
    **{f"multinormal-sparse-{d}-{d}-2-2.0": Task(TWO_PAIR[d], SOURCE) for d in (3, 5)},
    **{f"{name}-multinormal-sparse-5-5-2-2.0": image(TWO_PAIR[5], name) for name in IMAGES},
    **{
        f"student-identity-{d}-{d}-{freedom}": Task(StudentPairs(d, freedom), SOURCE)
        for d, freedom in ((1, 1), (2, 2), (3, 3), (5, 3))
    },
    **{
        f"normal-20-20-{nats}": Task(
            aligned(20, 20, CorrelatedNormals.from_information(nats, 20).correlation), STAIRCASE
        )
        for nats in (1, 2, 4, 6)
    },
}
"""The 24 tasks, by the names of ``bmi`` where it has them; images of two pairs are of 5 by 5."""

FURTHER_TASKS: dict[str, Task] = {
    f"{name}-multinormal-sparse-3-3-2-2.0": image(TWO_PAIR[3], name) for name in IMAGES
}
"""The same images of two pairs among 3 by 3 coordinates."""
