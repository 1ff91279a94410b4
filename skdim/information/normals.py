"""Normal pairs, correlated coordinate by coordinate."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

__all__ = ["CorrelatedNormals"]


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
        If the correlation is not inside (-1, 1), or there is no dimension.

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
                f"correlation={self.correlation} is not inside (-1, 1); at either end x gives y "
                "away and the information is infinite."
            )
        if self.dims < 1:
            raise ValueError(f"dims={self.dims}; at least one dimension is needed.")

    @classmethod
    def from_information(cls, information: float, dims: int = 1) -> Self:
        """Choose the correlation, from 0 up, that gives the information wanted.

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
            If the information is negative or not finite, or there is no dimension.
        """
        if not 0 <= information < math.inf:
            raise ValueError(f"information={information}; a finite number from 0 up is needed.")
        # A sampler checks dims itself, but not before it is divided by.
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
            What to draw from; the pairs lie on its device. None is torch's global generator.
        dtype : dtype or None, default=None
            None is torch's default.

        Returns
        -------
        x, y : Tensor of shape (n, dims)
        """
        device = None if generator is None else generator.device
        size = (2, n, self.dims)
        x, noise = torch.randn(size, generator=generator, device=device, dtype=dtype).unbind()
        return x, self.correlation * x + math.sqrt(1 - self.correlation**2) * noise

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        r"""Compare the joint density with the product of the marginal ones.

        .. math:: \ln \frac{p(x, y)}{p(x) \, p(y)} = I - \sum_i
            \frac{\rho^2 (x_i^2 + y_i^2) - 2 \rho x_i y_i}{2 (1 - \rho^2)}

        Parameters
        ----------
        x : Tensor of shape (*b, dims)
        y : Tensor of shape (*b, dims)
            Leading axes broadcast.

        Returns
        -------
        Tensor of shape (*b)
            In nats.
        """
        rho = self.correlation
        penalty = rho**2 * (x.square() + y.square()) - 2 * rho * x * y
        return self.information - penalty.sum(-1) / (2 * (1 - rho**2))
