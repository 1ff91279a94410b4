"""Critics score pairs of a code and a local feature; a discriminator scores one code.

A critic is two projections and a join. Each sample is projected once; only the join is done a
pair, so that :mod:`skdim.pairs` can score all pairs of a batch block by block.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["CRITICS", "AbstractCritic", "ConcatCritic", "Discriminator", "DotCritic"]


def as_sequence(features: Tensor) -> Tensor:
    """Lay the positions of a map out in a row.

    Parameters
    ----------
    features : Tensor of shape (n, channels, *grid)
        Without a grid, there is one position.

    Returns
    -------
    Tensor of shape (n, positions, channels)
    """
    return features.reshape(*features.shape[:2], -1).mT


class AbstractCritic(nn.Module, ABC):
    """Score pairs of codes and local features.

    ``pair_floats`` says how many numbers the join holds for one pair at its widest, from which
    the size of a block follows.
    """

    pair_floats: int = 1

    @abstractmethod
    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, u), one for each of g globals."""

    @abstractmethod
    def project_local(self, local: Tensor) -> Tensor:
        """Project local features (n, c, *grid) to (n, l, u), one for each of l locations."""

    @abstractmethod
    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score each code with each local feature.

        Parameters
        ----------
        code : Tensor of shape (*batch, g, u)
        local : Tensor of shape (*batch, l, u)
            Leading axes broadcast.

        Returns
        -------
        Tensor of shape (*batch, g, l)
        """

    def forward(self, code: Tensor, local: Tensor) -> Tensor:
        """Score every code against every location of every sample.

        Parameters
        ----------
        code : Tensor of shape (n, d, *grid)
        local : Tensor of shape (n, c, *grid)

        Returns
        -------
        Tensor of shape (n, g, n, l)
            Entry ``[i, a, j, k]`` scores global a of code i against location k of sample j.
        """
        codes, locations = self.project_code(code), self.project_local(local)
        scores = self.join(codes.flatten(0, 1), locations.flatten(0, 1))
        return scores.reshape(*codes.shape[:2], *locations.shape[:2])


class Projection(nn.Module):
    """Project features linearly, or by a small network beside a linear shortcut, and normalise.

    Parameters
    ----------
    features : int
    units : int
    network : bool
        Whether there is a network beside the shortcut.
    """

    def __init__(self, features: int, units: int, *, network: bool) -> None:
        super().__init__()
        self.shortcut = nn.Linear(features, units)
        self.network: nn.Module | None = None
        self.norm = nn.LayerNorm(units)
        if network:
            self.network = nn.Sequential(
                nn.Linear(features, units, bias=False),
                nn.BatchNorm1d(units),
                nn.ReLU(),
                nn.Linear(units, units),
            )
            if units >= features:
                # Start as a copy with a little noise, as the reference code does.
                nn.init.uniform_(self.shortcut.weight, -0.01, 0.01)
                with torch.no_grad():
                    self.shortcut.weight.fill_diagonal_(1.0)

    def forward(self, features: Tensor) -> Tensor:
        """Project features (n, positions, channels) to (n, positions, units)."""
        flat = features.flatten(0, 1)
        projected = self.shortcut(flat)
        if self.network is not None:
            projected = projected + self.network(flat)
        normal: Tensor = self.norm(projected)
        return normal.reshape(*features.shape[:2], -1)


class DotCritic(AbstractCritic):
    """Score pairs by the inner product of two learned projections: "encode and dot".

    Projecting before pairing costs one pass a sample for the scores of all pairs. Both projections
    end in a layer normalisation, and the product is divided by the root of the number of units, as
    attention scores are: scores start with a spread of about one whatever their number. The
    reference code leaves the product undivided.

    Parameters
    ----------
    code_features : int
        Size of a code.
    local_features : int
        Channels of the local features.
    units : int, default=256
        Size of the space in which the two are compared. The paper uses 2048, at 14 times the
        cost of its encoder.
    network : bool, default=False
        Whether a small network stands beside each linear projection, as in the paper. Without it
        codes must hold linearly what they tell, which suits the linear models that follow, and a
        training step is a third cheaper.

    References
    ----------
    Hjelm et al. (2019), "encode-and-dot-product architecture". arXiv:1808.06670.
    """

    def __init__(
        self, code_features: int, local_features: int, units: int = 256, *, network: bool = False
    ) -> None:
        super().__init__()
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
        """Multiply (*batch, g, u) with (*batch, l, u) to scores (*batch, g, l)."""
        return code @ local.mT


class ConcatCritic(AbstractCritic):
    """Score pairs by a network on the code and the local feature put side by side.

    Two hidden layers of ReLUs: 512-512-1 in the paper, for the global term ("Table 6") and, as
    1x1 convolutions, for the local one ("concat-and-convolve", "Table 7"). The first layer of a
    concatenation is the sum of two projections, so nothing is ever tiled over a map. Every pair
    passes through the second layer: with ``negatives="all"`` this is slow on large maps.

    Parameters
    ----------
    code_features : int
        Size of a code.
    local_features : int
        Channels of the local features.
    units : int, default=512
        Size of the hidden layers.

    References
    ----------
    Hjelm et al. (2019), appendix. arXiv:1808.06670.
    """

    def __init__(self, code_features: int, local_features: int, units: int = 512) -> None:
        super().__init__()
        self.pair_floats = 2 * units
        first = nn.Linear(code_features + local_features, units)
        self.from_code = nn.Linear(code_features, units)
        self.from_local = nn.Linear(local_features, units, bias=False)
        # Start as the one layer of which the two are halves.
        with torch.no_grad():
            self.from_code.weight.copy_(first.weight[:, :code_features])
            self.from_code.bias.copy_(first.bias)
            self.from_local.weight.copy_(first.weight[:, code_features:])
        self.rest = nn.Sequential(
            nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, 1)
        )

    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, units)."""
        projected: Tensor = self.from_code(as_sequence(code))
        return projected

    def project_local(self, local: Tensor) -> Tensor:
        """Project local features (n, c, *grid) to (n, l, units)."""
        projected: Tensor = self.from_local(as_sequence(local))
        return projected

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*batch, g, u) with (*batch, l, u): (*batch, g, l)."""
        scores: Tensor = self.rest(code.unsqueeze(-2) + local.unsqueeze(-3))
        return scores.squeeze(-1)


class Discriminator(nn.Module):
    """Tell codes from draws of the prior: 1000-200-1 with ReLUs, as in the paper.

    Parameters
    ----------
    code_features : int
        Size of a code.
    """

    def __init__(self, code_features: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(code_features, 1000),
            nn.ReLU(),
            nn.Linear(1000, 200),
            nn.ReLU(),
            nn.Linear(200, 1),
        )

    def forward(self, code: Tensor) -> Tensor:
        """Score codes (n, d) by logits (n, 1); high means drawn from the prior."""
        logits: Tensor = self.network(code)
        return logits


CRITICS: dict[str, Callable[..., AbstractCritic]] = {"dot": DotCritic, "concat": ConcatCritic}
