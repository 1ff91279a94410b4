"""Networks that learn the dependence that a fitted normal copula does not describe."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu, softplus

from skdim.critics import AbstractCritic, ConcatCritic
from skdim.information.columns import Columns, normal_scores, rank_cosines
from skdim.information.copulas import NormalCritic
from skdim.information.neighbours import heavy_tailed
from skdim.pairs.scoring import Join

__all__ = [
    "CRITICS",
    "AutoregressiveMixture",
    "CopulaCritic",
    "MakeCritic",
    "MaskedLinear",
    "critic_inputs",
    "density_inputs",
    "two_layer_network",
]

# From the numbers of input features of x and of z.
MakeCritic = Callable[[int, int], AbstractCritic]

# Hidden units and embedding size of the separable critic, hidden units of the concatenating one.
SEPARABLE_UNITS, EMBEDDING_SIZE, CONCAT_UNITS = 64, 32, 32
# Largest absolute value, in nats, that a network adds to the score of the normal copula. Without a
# bound, the score of a pair of rare values that no false pair of a batch repeats grows forever.
MAX_ADDED = 10.0

# Hidden units and mixture components of the density.
DENSITY_UNITS, COMPONENTS = 256, 4
# Weight, mean and scale of a component.
COMPONENT_PARAMETERS = 3
# Standard deviation of the initial weights of the last layer: identical components would stay so.
INITIAL_SPREAD = 0.01
SOFTPLUS_OF_ONE = math.log(math.e - 1)


def critic_inputs(scores: Columns, whitened: Columns) -> Tensor:
    """Compute input features for a critic, which learns slowly from normal scores alone.

    Squares and norms describe the scale that heavy tails share; products with norms describe
    turns by an angle that depends on the norm; cosines of the ranks separate nearby values.

    Parameters
    ----------
    scores, whitened : ndarray of shape (n, d)
        Normal scores before and after whitening.

    Returns
    -------
    Tensor of shape (n, at least 2 d)
        Whitened scores, their squares (centred and scaled), and cosines of the ranks where there
        are few columns; of several columns also the normal scores of the norms, and products.
    """
    squares = (np.square(whitened) - 1) / math.sqrt(2)
    parts = [whitened, squares, *rank_cosines(scores)]
    if scores.shape[1] > 1:
        norms = normal_scores(np.square(scores).sum(axis=1, keepdims=True))
        parts += [norms, norms * whitened, (np.square(norms) - 1) * whitened / math.sqrt(2)]
    return torch.from_numpy(np.hstack(parts)).float()


def two_layer_network(n_in: int, units: int, n_out: int, zeros: slice) -> nn.Sequential:
    """Build a network with two hidden layers; the outputs ``zeros`` are initially zero."""
    first, second, last = nn.Linear(n_in, units), nn.Linear(units, units), nn.Linear(units, n_out)
    with torch.no_grad():
        last.weight[zeros].zero_()
        last.bias[zeros].zero_()
    return nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)


class SeparableCritic(AbstractCritic):
    """Score pairs by a dot product of two embeddings plus a function of each variable alone.

    All scores are initially zero.

    Parameters
    ----------
    x_features, z_features : int
    """

    def __init__(self, x_features: int, z_features: int) -> None:
        super().__init__()
        units, size = SEPARABLE_UNITS, EMBEDDING_SIZE
        # The embedding of z is not zero: with both zero, neither would have a gradient.
        self.of_x = two_layer_network(x_features, units, size + 1, zeros=slice(None))
        self.of_z = two_layer_network(z_features, units, size + 1, zeros=slice(size, None))

    def project_code(self, code: Tensor) -> Tensor:
        """Embed x (n, x_features) as (n, 1, size + 2)."""
        embedded = self.of_x(code)
        return torch.cat([embedded, torch.ones_like(embedded[:, :1])], dim=1)[:, None]

    def project_local(self, local: Tensor) -> Tensor:
        """Embed z (n, z_features) as (n, 1, size + 2)."""
        embedded, alone = self.of_z(local).tensor_split([-1], dim=1)
        scaled = embedded / math.sqrt(embedded.shape[1])
        return torch.cat([scaled, torch.ones_like(alone), alone], dim=1)[:, None]

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*b, g, u) with (*b, l, u); the result has shape (*b, g, l)."""
        return code @ local.mT


def concat_critic(x_features: int, z_features: int) -> AbstractCritic:
    """Build a network of both variables concatenated; all scores are initially zero."""
    critic = ConcatCritic(x_features, z_features, CONCAT_UNITS)
    with torch.no_grad():
        critic.last.weight.zero_()
        critic.last.bias.zero_()
    return critic


CRITICS: dict[str, MakeCritic] = {"dot": SeparableCritic, "concat": concat_critic}


class CopulaCritic(AbstractCritic):
    """Add the bounded score of a network to the score of a normal copula.

    Parameters
    ----------
    normal : NormalCritic
        Not trained.
    network : AbstractCritic or None
        Receives the input features of both variables.
    shift : float, default=0.0
        Constant added to all scores: the difference between the optimal critic of a bound and the
        log density ratio.
    """

    def __init__(
        self, normal: NormalCritic, network: AbstractCritic | None, shift: float = 0.0
    ) -> None:
        super().__init__()
        self.normal, self.network, self.shift = normal, network, shift
        self.pair_floats = 1 if network is None else 1 + network.pair_floats

    def project_code(self, code: Tensor) -> Tensor:
        """Project features of x for both parts to (n, 1, u)."""
        parts = [self.normal.project_x(code[:, : self.normal.x_dims])]
        if self.network is not None:
            parts.append(self.network.project_code(code)[:, 0])
        return torch.cat(parts, dim=1)[:, None]

    def project_local(self, local: Tensor) -> Tensor:
        """Project features of z for both parts to (n, 1, u)."""
        parts = [self.normal.project_z(local[:, : self.normal.z_dims])]
        if self.network is not None:
            parts.append(self.network.project_local(local)[:, 0])
        return torch.cat(parts, dim=1)[:, None]

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*b, g, u) with (*b, l, u); the result has shape (*b, g, l)."""
        size = self.normal.size
        scores = code[..., :size] @ local[..., :size].mT + self.shift
        if self.network is None:
            return scores
        added = self.network.join(code[..., size:], local[..., size:])
        return scores + MAX_ADDED * torch.tanh(added / MAX_ADDED)

    def projected(self, code: Tensor, local: Tensor) -> tuple[Join, Tensor, Tensor]:
        """Return the join and both projections, the arguments of ``skdim.pairs``."""
        return self.join, self.project_code(code), self.project_local(local)


class MaskedLinear(nn.Linear):
    """A linear layer with a mask of its weights.

    Parameters
    ----------
    mask : Tensor of shape (n_out, n_in)
        Boolean: whether an output depends on an input.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())
        with torch.no_grad():
            # Initialise as a layer with as many inputs as the mask lets through.
            connected = self.mask.sum(1, keepdim=True).clamp(min=1)
            self.weight.mul_(torch.sqrt(self.in_features / connected))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (n, n_in) to (n, n_out)."""
        return linear(x, self.weight * self.mask, self.bias)


class AutoregressiveMixture(nn.Module):
    """A mixture of normals for each coordinate, conditional on the coordinates before it.

    One masked network computes the parameters of all mixtures. The densities integrate to one
    whatever the weights, so their expected log-likelihood is at most that of the true density.
    They are initially standard normal, up to about 1e-4 nats per coordinate.

    Parameters
    ----------
    n_coordinates, n_inputs : int
        Number of coordinates, and of inputs per coordinate.
    min_scales : ndarray of shape (n_coordinates,)
        Lower bounds of the scales of the components.

    References
    ----------
    Germain et al. (2015), MADE: masked autoencoder for distribution estimation, arXiv:1502.03509.
    """

    min_scales: Tensor

    def __init__(self, n_coordinates: int, n_inputs: int, min_scales: Columns) -> None:
        super().__init__()
        last_input = max(n_coordinates - 1, 1)
        coordinates = torch.arange(1, n_coordinates + 1)
        # A unit of degree k depends on the first k coordinates.
        degrees = torch.linspace(1, last_input, max(DENSITY_UNITS, last_input)).round()
        of_inputs = coordinates.repeat_interleave(n_inputs)
        of_outputs = coordinates.repeat_interleave(COMPONENT_PARAMETERS * COMPONENTS)
        self.first = MaskedLinear(degrees[:, None] >= of_inputs)
        self.second = MaskedLinear(degrees[:, None] >= degrees)
        self.last = MaskedLinear(of_outputs[:, None] > degrees)
        nn.init.normal_(self.last.weight, std=INITIAL_SPREAD)
        nn.init.normal_(self.last.bias, std=INITIAL_SPREAD)
        self.register_buffer("min_scales", torch.from_numpy(min_scales).float())

    def forward(self, inputs: Tensor, values: Tensor) -> Tensor:
        """Compute conditional log densities, without the constant -ln(2 pi) / 2.

        Parameters
        ----------
        inputs : Tensor of shape (n, d * n_inputs)
            Inputs of the first coordinate, of the second, and so on.
        values : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n, d)
            Of each value, conditional on the inputs of the coordinates before it.
        """
        parameters = self.last(silu(self.second(silu(self.first(inputs)))))
        weights, means, widths = parameters.reshape(
            *values.shape, COMPONENT_PARAMETERS, COMPONENTS
        ).unbind(2)
        scales = softplus(widths + SOFTPLUS_OF_ONE) + self.min_scales[:, None]
        distances = (values[..., None] - means) / scales
        each = torch.log_softmax(weights, -1) - distances.square() / 2 - scales.log()
        return torch.logsumexp(each, -1)


def density_inputs(scores: Columns, whitened: Columns) -> Tensor:
    """Compute input features for a density.

    The norms of a coordinate and those before it describe a scale that heavy tails share. The
    inverse hyperbolic sine reduces whitened scores, which reach hundreds of standard deviations
    for codes close to a curved surface.

    Parameters
    ----------
    scores, whitened : ndarray of shape (n, d)
        Normal scores before and after whitening each coordinate by those before it.

    Returns
    -------
    Tensor of shape (n, d * number of inputs)
    """
    squares = (np.square(scores) - 1) / math.sqrt(2)
    norms = normal_scores(np.square(heavy_tailed(scores)).cumsum(axis=1))
    each = [scores, squares, np.arcsinh(whitened), norms, *rank_cosines(scores)]
    return torch.from_numpy(np.stack(each, axis=2).reshape(len(scores), -1)).float()
