"""Samplers of pairs (x, y) with known mutual information and log density ratio.

A sampler has ``information``, in nats; ``draw``, which returns n pairs; and ``log_ratio``, the
logarithm of the joint density over the product of the marginal densities: the optimal critic.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class CorrelatedNormals:
    r"""Standard normal x and y of d dimensions, correlated coordinate by coordinate.

    .. math:: I = -\frac{d}{2} \ln (1 - \rho^2)

    Parameters
    ----------
    correlation : float
        Correlation :math:`\rho` between coordinate i of x and coordinate i of y, inside (-1, 1).
        All other pairs of coordinates are independent.
    dims : int, default=1
        Number of dimensions d of x, and of y.

    Raises
    ------
    ValueError
        If the correlation is not inside (-1, 1), or ``dims`` is less than 1.

    Examples
    --------
    >>> sampler = CorrelatedNormals.from_information(2.0, dims=20)
    >>> round(sampler.correlation, 6), round(sampler.information, 6)
    (0.425757, 2.0)
    >>> x, y = sampler.draw(100, torch.Generator().manual_seed(0))
    >>> x.shape, y.shape, sampler.log_ratio(x, y).shape
    (torch.Size([100, 20]), torch.Size([100, 20]), torch.Size([100]))
    """

    correlation: float
    dims: int = 1

    def __post_init__(self) -> None:
        """Raise an error for an invalid correlation or dimension."""
        if not -1 < self.correlation < 1:
            raise ValueError(
                f"correlation={self.correlation} is not inside (-1, 1). At -1 and 1 the "
                "mutual information is infinite."
            )
        if self.dims < 1:
            raise ValueError(f"dims={self.dims}; it must be at least 1.")

    @classmethod
    def from_information(cls, information: float, dims: int = 1) -> Self:
        """Create a sampler of non-negative correlation with a given mutual information.

        Parameters
        ----------
        information : float
            Mutual information of x and y, in nats.
        dims : int, default=1
            Number of dimensions of x, and of y.

        Returns
        -------
        CorrelatedNormals

        Raises
        ------
        ValueError
            If ``information`` is negative or not finite, or ``dims`` is less than 1.
        """
        if not 0 <= information < math.inf:
            raise ValueError(f"information={information}; a non-negative finite number is needed.")
        # Invalid dims are raised for by the constructor; here they must not be divided by.
        return cls(math.sqrt(-math.expm1(-2 * information / max(dims, 1))), dims)

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        return -self.dims / 2 * math.log1p(-(self.correlation**2))

    def draw(
        self, n: int, generator: Generator | None = None, dtype: torch.dtype | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw n pairs.

        Parameters
        ----------
        n : int
            Number of pairs.
        generator : Generator or None, default=None
            Its device is that of the pairs. None uses torch's global generator.
        dtype : dtype or None, default=None
            None uses torch's default.

        Returns
        -------
        x, y : Tensor of shape (n, dims)
        """
        device = None if generator is None else generator.device
        size = (2, n, self.dims)
        x, noise = torch.randn(size, generator=generator, device=device, dtype=dtype).unbind()
        return x, self.correlation * x + math.sqrt(1 - self.correlation**2) * noise

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        r"""Compute the log ratio of the joint density to the product of the marginal densities.

        .. math:: \ln \frac{p(x, y)}{p(x) \, p(y)} = I - \sum_i
            \frac{\rho^2 (x_i^2 + y_i^2) - 2 \rho x_i y_i}{2 (1 - \rho^2)}

        Parameters
        ----------
        x : Tensor of shape (*b, dims)
        y : Tensor of shape (*b, dims)
            Leading axes are broadcast.

        Returns
        -------
        Tensor of shape (*b)
            In nats.
        """
        rho = self.correlation
        penalty = rho**2 * (x.square() + y.square()) - 2 * rho * x * y
        return self.information - penalty.sum(-1) / (2 * (1 - rho**2))


@dataclass(frozen=True, eq=False)
class JointTable:
    """Discrete x and y with a table of their joint probabilities.

    Parameters
    ----------
    probabilities : Tensor of shape (n_x, n_y)
        Entry ``[i, j]`` is the probability of x = i and y = j.

    Raises
    ------
    ValueError
        If that is not a two-dimensional table of non-negative numbers that sum to 1.

    Examples
    --------
    >>> sampler = JointTable(torch.tensor([[0.5, 0.0], [0.0, 0.5]]))
    >>> sampler.information
    0.693147...
    >>> x, y = sampler.draw(100, torch.Generator().manual_seed(0))
    >>> bool((x == y).all()), sampler.log_ratio(x, y).unique()
    (True, tensor([0.6931]))
    """

    probabilities: Tensor

    def __post_init__(self) -> None:
        """Raise an error for an invalid distribution."""
        table = self.probabilities
        if (
            table.ndim != 2
            or bool((table < 0).any())
            or not math.isclose(table.sum().item(), 1, abs_tol=1e-5)
        ):
            raise ValueError(
                f"probabilities of shape {tuple(table.shape)} with sum {table.sum().item():.6g} "
                "are not a joint distribution; a table (n_x, n_y) of non-negative numbers that sum "
                "to 1 is needed."
            )

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        table = self.probabilities
        product = table.sum(1, keepdim=True) * table.sum(0)
        return (torch.xlogy(table, table) - torch.xlogy(table, product)).sum().item()

    def draw(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n pairs.

        Parameters
        ----------
        n : int
            Number of pairs.
        generator : Generator or None, default=None
            None uses torch's global generator.

        Returns
        -------
        x, y : Tensor of shape (n,)
            Indices of rows and of columns.
        """
        cell = self.probabilities.flatten().multinomial(n, replacement=True, generator=generator)
        n_y = self.probabilities.shape[1]
        return cell // n_y, cell % n_y

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute the log ratio of the joint probability to the product of the marginal ones.

        Parameters
        ----------
        x : Tensor of shape (*b)
            Indices of rows.
        y : Tensor of shape (*b)
            Indices of columns. Axes are broadcast.

        Returns
        -------
        Tensor of shape (*b)
            In nats; minus infinity where values of positive probability do not occur together.
        """
        table = self.probabilities
        log_product = table.sum(1).log()[x] + table.sum(0).log()[y]
        return table.log()[x, y] - log_product
