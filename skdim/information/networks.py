"""Networks that learn what a fitted normal copula leaves."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor, nn

from skdim.critics import AbstractCritic, ConcatCritic
from skdim.information.columns import Columns
from skdim.information.couplings import NormalCritic
from skdim.pairs.scoring import Join

__all__ = ["CRITICS", "MakeCritic", "NormalPlus", "SeparableCritic", "features", "mlp", "waves"]

# From the numbers of features of x and of z.
MakeCritic = Callable[[int, int], AbstractCritic]

CONCAT_UNITS = 32
# Nats beside the normal copula, to either side. A pair of rare values that no false pair of a batch
# repeats would else be given ever higher scores.
MOST_ADDED = 10.0
# Features of a side, at most, before every column has its own and its square.
WAVES = 8


def features(scores: Columns, whitened: Columns) -> Tensor:
    """Add inputs to normal scores, from which alone a network learns slowly.

    Lengths are what heavy tails share, and cosines of the ranks tell nearby values apart. Few
    columns get many of them, many columns few.

    Parameters
    ----------
    scores, whitened : ndarray of shape (n, d)
        Normal scores, and what whitening makes of them.

    Returns
    -------
    Tensor of shape (n, at least 2 d)
        Whitened scores, their squares (centred and scaled), cosines of the ranks.
    """
    squares = (np.square(whitened) - 1) / math.sqrt(2)
    return torch.from_numpy(np.hstack([whitened, squares, *waves(scores)])).float()


def waves(scores: Columns) -> list[Columns]:
    """Return cosines of the ranks behind normal scores (n, d), each (n, d); none if d is large."""
    ranks = ndtr(scores)
    return [
        np.asarray(math.sqrt(2) * np.cos(math.pi * wave * ranks))
        for wave in range(3, WAVES // scores.shape[1] + 1)
    ]


def mlp(n_in: int, units: int, n_out: int, zeros: slice) -> nn.Sequential:
    """Build two hidden layers; the outputs ``zeros`` start at zero."""
    first, second, last = nn.Linear(n_in, units), nn.Linear(units, units), nn.Linear(units, n_out)
    with torch.no_grad():
        last.weight[zeros].zero_()
        last.bias[zeros].zero_()
    return nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)


class SeparableCritic(AbstractCritic):
    """Score pairs by a dot product of two embeddings, plus a function of either side alone.

    It starts at zero.

    Parameters
    ----------
    x_features, z_features : int
    units : int, default=64
        Of the hidden layers.
    size : int, default=32
        Of the embeddings.
    """

    def __init__(self, x_features: int, z_features: int, units: int = 64, size: int = 32) -> None:
        super().__init__()
        # All of x's, and what z has alone: the embedding of z then moves from the second step on.
        self.of_x = mlp(x_features, units, size + 1, zeros=slice(None))
        self.of_z = mlp(z_features, units, size + 1, zeros=slice(size, None))

    def project_code(self, code: Tensor) -> Tensor:
        """Embed x (n, x_features): (n, 1, size + 2)."""
        embedded = self.of_x(code)
        return torch.cat([embedded, torch.ones_like(embedded[:, :1])], dim=1)[:, None]

    def project_local(self, local: Tensor) -> Tensor:
        """Embed z (n, z_features): (n, 1, size + 2)."""
        embedded, alone = self.of_z(local).tensor_split([-1], dim=1)
        scaled = embedded / math.sqrt(embedded.shape[1])
        return torch.cat([scaled, torch.ones_like(alone), alone], dim=1)[:, None]

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*b, g, u) with (*b, l, u): (*b, g, l)."""
        return code @ local.mT


def concat(x_features: int, z_features: int) -> AbstractCritic:
    """Build a network on both sides put side by side; it starts at zero."""
    critic = ConcatCritic(x_features, z_features, CONCAT_UNITS)
    with torch.no_grad():
        critic.last.weight.zero_()
        critic.last.bias.zero_()
    return critic


CRITICS: dict[str, MakeCritic] = {"dot": SeparableCritic, "concat": concat}


class NormalPlus(AbstractCritic):
    """The score of a normal copula, plus what a network adds.

    Parameters
    ----------
    normal : NormalCritic
        Stays as it is.
    network : AbstractCritic or None
        Takes the features of either side.
    shift : float, default=0.0
        Added to all scores: what the best critic of a bound has beyond the log ratio.
    """

    def __init__(
        self, normal: NormalCritic, network: AbstractCritic | None, shift: float = 0.0
    ) -> None:
        super().__init__()
        self.normal, self.network, self.shift = normal, network, shift
        self.pair_floats = 1 if network is None else 1 + network.pair_floats

    def project_code(self, code: Tensor) -> Tensor:
        """Project features of x for both parts: (n, 1, u)."""
        parts = [self.normal.project_x(code[:, : self.normal.x_dims])]
        if self.network is not None:
            parts.append(self.network.project_code(code)[:, 0])
        return torch.cat(parts, dim=1)[:, None]

    def project_local(self, local: Tensor) -> Tensor:
        """Project features of z for both parts: (n, 1, u)."""
        parts = [self.normal.project_z(local[:, : self.normal.z_dims])]
        if self.network is not None:
            parts.append(self.network.project_local(local)[:, 0])
        return torch.cat(parts, dim=1)[:, None]

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*b, g, u) with (*b, l, u): (*b, g, l)."""
        size = self.normal.size
        scores = code[..., :size] @ local[..., :size].mT + self.shift
        if self.network is None:
            return scores
        added = self.network.join(code[..., size:], local[..., size:])
        return scores + MOST_ADDED * torch.tanh(added / MOST_ADDED)

    def projected(self, code: Tensor, local: Tensor) -> tuple[Join, Tensor, Tensor]:
        """Return the join and both projections, as ``skdim.pairs`` takes them."""
        return self.join, self.project_code(code), self.project_local(local)
