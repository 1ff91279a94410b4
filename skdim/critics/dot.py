"""A critic that is an inner product of projections: "encode and dot"."""

import math

import torch
from torch import Tensor, nn

from skdim.critics.abstract import AbstractCritic, as_sequence, at_positions


class Network(nn.Module):
    """A network of one hidden layer with batch normalisation, at each position."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, units, bias=False)
        self.norm = nn.BatchNorm1d(units)
        self.last = nn.Linear(units, units)

    def forward(self, features: Tensor) -> Tensor:
        """Project features (n, positions, channels) to (n, positions, units)."""
        hidden = at_positions(self.first, features)
        hidden = self.norm(hidden.flatten(0, 1)).relu_().reshape(hidden.shape)
        return at_positions(self.last, hidden)


class Projection(nn.Module):
    """A linear projection, optionally plus a network, followed by layer normalisation."""

    def __init__(self, features: int, units: int, *, network: bool) -> None:
        super().__init__()
        self.shortcut = nn.Linear(features, units)
        self.network = Network(features, units) if network else None
        self.norm = nn.LayerNorm(units)
        if network and units >= features:
            # Nearly the identity, as in the reference code.
            nn.init.uniform_(self.shortcut.weight, -0.01, 0.01)
            with torch.no_grad():
                self.shortcut.weight.fill_diagonal_(1.0)

    def forward(self, features: Tensor) -> Tensor:
        """Project features (n, positions, channels) to (n, positions, units)."""
        projected = at_positions(self.shortcut, features)
        if self.network is not None:
            projected = projected + self.network(features)
        normal: Tensor = self.norm(projected)
        return normal


class DotCritic(AbstractCritic):
    """Score pairs by the inner product of two learned projections: "encode and dot".

    Both projections end in a layer normalisation, and the product is divided by the square root of
    the number of units, so that initial scores have a standard deviation of about one. The
    reference code does not divide.

    Parameters
    ----------
    code_features, local_features : int
        Size of a code, and channels of the local features.
    units : int, default=256
        Size of the projections. The paper uses 2048, at 14 times the cost of its encoder.
    network : bool, default=False
        Whether a small network is added to each linear projection, as in the paper. Without it,
        codes must represent information linearly, and a training step costs a third less.
    samples : int, default=None
        See :class:`AbstractCritic`.
    activation_penalty : float, default=0.0
        See :class:`AbstractCritic`. The reference penalises undivided projections: its weight is
        this one divided by ``units``.

    References
    ----------
    Hjelm et al. (2019), "encode-and-dot-product architecture". arXiv:1808.06670.
    """

    def __init__(
        self,
        code_features: int,
        local_features: int,
        units: int = 256,
        *,
        network: bool = False,
        samples: int | None = None,
        activation_penalty: float = 0.0,
    ) -> None:
        super().__init__(samples=samples, activation_penalty=activation_penalty)
        self.units = units
        self.code_projection = Projection(code_features, units, network=network)
        self.local_projection = Projection(local_features, units, network=network)

    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, units)."""
        projected: Tensor = self.code_projection(as_sequence(code))
        return projected / math.sqrt(self.units)

    def project_local(self, local: Tensor) -> Tensor:
        """Project local features (n, c, *grid) to (n, l, units)."""
        projected: Tensor = self.local_projection(as_sequence(local))
        return projected

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*batch, g, u) with (*batch, l, u), to (*batch, g, l)."""
        return code @ local.mT
