"""Draws of normals whose information and log density ratio, the optimal critic, are known."""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class CorrelatedNormals:
    """Standard normal x and y of d dimensions, correlated coordinate by coordinate."""

    correlation: float
    dims: int = 1

    @classmethod
    def from_information(cls, information, dims=1):
        """Create a sampler of non-negative correlation with an information in nats."""
        return cls(math.sqrt(-math.expm1(-2 * information / dims)), dims)

    @property
    def information(self):
        """Mutual information of x and y, in nats."""
        return -self.dims / 2 * math.log1p(-(self.correlation**2))

    def draw(self, n, generator, dtype=None):
        """Draw n pairs (n, dims), (n, dims)."""
        x, noise = torch.randn((2, n, self.dims), generator=generator, dtype=dtype).unbind()
        return x, self.correlation * x + math.sqrt(1 - self.correlation**2) * noise

    def log_ratio(self, x, y):
        """Compute the log ratio (*b) of the joint density to the product of the marginal ones."""
        rho = self.correlation
        penalty = rho**2 * (x.square() + y.square()) - 2 * rho * x * y
        return self.information - penalty.sum(-1) / (2 * (1 - rho**2))
