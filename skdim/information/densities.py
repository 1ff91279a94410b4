"""Densities of normal scores, fitted to some rows and evaluated on held-out rows."""

import math

import numpy as np
import torch
from scipy.special import gammaln
from scipy.stats import gaussian_kde, t
from torch import Generator, Tensor, nn
from torch.nn.functional import linear, silu, softplus

from skdim.information.columns import Columns, normal_scores, rank_cosines
from skdim.information.fitting import Fitted, Fold, Training, fit_network
from skdim.information.neighbours import heavy_tailed
from skdim.random import seeded

# Hidden units and mixture components of the network.
DENSITY_UNITS, COMPONENTS = 256, 4
# Weight, mean and scale of a component.
COMPONENT_PARAMETERS = 3
# Standard deviation of the initial weights of the last layer: identical components would stay so.
INITIAL_SPREAD = 0.01
SOFTPLUS_OF_ONE = math.log(math.e - 1)
# Degrees of freedom of Student's t that are compared.
DEGREES_OF_FREEDOM = (1, 2, 3, 5, 10)
# Smallest standard deviation of a score, given those before it, that ranks resolve safely.
MIN_DEVIATION = 0.01
# Largest number of norms that a density is estimated from.
MAX_NORMS = 4000


class MaskedLinear(nn.Linear):
    """A linear layer with a mask (n_out, n_in): whether an output depends on an input."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.mask = nn.Buffer(mask.float())
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
    for any weights, so their expected log-likelihood is at most that of the true density.
    They are initially standard normal, up to about 1e-4 nats per coordinate. Each coordinate has
    ``n_inputs`` inputs, and components whose scales are above ``min_scales`` (n_coordinates,).

    References
    ----------
    Germain et al. (2015), MADE: masked autoencoder for distribution estimation, arXiv:1502.03509.
    """

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
        self.min_scales = nn.Buffer(torch.from_numpy(min_scales).float())

    def forward(self, inputs: Tensor, values: Tensor) -> Tensor:
        """Compute conditional log densities (n, d) of values (n, d), plus ln(2 pi) / 2.

        Each is conditional on the inputs of the coordinates before it. The inputs (n, d * n_inputs)
        are those of the first coordinate, of the second, and so on.
        """
        parameters = self.last(silu(self.second(silu(self.first(inputs)))))
        weights, means, widths = parameters.reshape(
            *values.shape, COMPONENT_PARAMETERS, COMPONENTS
        ).unbind(2)
        scales = softplus(widths + SOFTPLUS_OF_ONE) + self.min_scales[:, None]
        distances = (values[..., None] - means) / scales
        logs = torch.log_softmax(weights, -1) - distances.square() / 2 - scales.log()
        return torch.logsumexp(logs, -1)


def density_inputs(scores: Columns, whitened: Columns) -> Tensor:
    """Compute input features (n, d * n_inputs) for a density.

    The norms of a coordinate and those before it describe a scale that heavy tails share. The
    inverse hyperbolic sine reduces scores (n, d) whitened by those before them, which reach
    hundreds of standard deviations for codes close to a curved surface.
    """
    squares = (np.square(scores) - 1) / math.sqrt(2)
    norms = normal_scores(np.square(heavy_tailed(scores)).cumsum(axis=1))
    features = [scores, squares, np.arcsinh(whitened), norms, *rank_cosines(scores)]
    return torch.from_numpy(np.stack(features, axis=2).reshape(len(scores), -1)).float()


def fit_density(
    scores: Columns, root: Columns, fold: Fold, training: Training, generator: Generator
) -> Fitted:
    """Fit a density on a fold; return its curve and the log ratios (n, d) of the held-out rows.

    The ratios are those of the copula alone, and those of the fitted density. The total correlation
    is the mean of their sums over coordinates. ``root`` (d, d) is that of the copula.
    """
    n, d = scores.shape
    whitened: Columns = np.linalg.solve(root, scores.T).T.astype(np.float64)
    inputs, values = density_inputs(scores, whitened), torch.from_numpy(whitened).float()
    # From the log density of a whitened score, given those before it, to that of the score itself
    # relative to its standard normal margin.
    offsets = torch.from_numpy(np.square(scores) / 2 - np.log(np.diag(root))).float()
    train, held_out = torch.from_numpy(fold.training), torch.from_numpy(fold.held_out)
    # No component is narrower than the step between ranks.
    min_scales = 1 / (n * np.diag(root))
    with seeded(int(torch.randint(2**62, (), generator=generator))):
        network = AutoregressiveMixture(d, inputs.shape[1] // d, min_scales)
    epochs: list[tuple[Tensor, ...]] = []

    def log_ratios(network: AutoregressiveMixture, rows: Tensor) -> Tensor:
        ratios: Tensor = network(inputs[rows], values[rows]) + offsets[rows]
        return ratios

    def evaluate(network: AutoregressiveMixture) -> tuple[float, float]:
        with torch.no_grad():
            epochs.append(log_ratios(network, held_out).double().tensor_split(2))
        first, second = (half.sum(1).mean().item() for half in epochs[-1])
        return first, second

    curve = fit_network(
        network,
        lambda rows: log_ratios(network, train[rows]).sum(1).mean(),
        evaluate,
        len(train),
        training,
        generator,
    )
    first, second = curve.selected
    chosen = torch.cat([epochs[first][0], epochs[second][1]])
    return curve, torch.cat(epochs[0]).numpy(), chosen.numpy()


def elliptical_information(scores: Columns, roots: list[Columns], folds: list[Fold]) -> Columns:
    """Compute the pointwise total correlation (n,) of an elliptical density on held-out rows.

    The density of the scores (n, d), mapped to Student's t, depends on a norm alone, whose density
    is estimated from the other rows. Its expected log-likelihood is at most that of the true
    density. ``roots`` are Cholesky factors of the correlations of the training rows of each fold.
    Where a coordinate is nearly a linear function of those before it, zeros are returned.
    """
    if min(np.diag(root).min() for root in roots) < MIN_DEVIATION:
        return np.zeros(len(scores))
    d = scores.shape[1]
    # Log area of the unit sphere.
    area = math.log(2) + d / 2 * math.log(math.pi) - gammaln(d / 2)
    tried = []
    for degrees in DEGREES_OF_FREEDOM:
        heavy = heavy_tailed(scores, degrees)
        ratios: Columns = -t(degrees).logpdf(heavy).sum(axis=1) - area
        for fold, root in zip(folds, roots, strict=True):
            logs = np.log(np.linalg.norm(np.linalg.solve(root, heavy.T), axis=0))
            density = gaussian_kde(logs[fold.training[:MAX_NORMS]])
            rows = fold.held_out
            ratios[rows] += (
                density.logpdf(logs[rows]) - d * logs[rows] - np.log(np.diag(root)).sum()
            )
        tried.append(ratios)
    return max(tried, key=np.mean)
