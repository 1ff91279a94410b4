"""Critics fitted to some rows and evaluated on held-out rows."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Generator, Tensor, nn

from skdim.bounds import BOUNDS, Bound
from skdim.critics import AbstractCritic, ConcatCritic
from skdim.information.columns import Columns, normal_scores, rank_cosines
from skdim.information.copulas import CopulaCritic, denoise_correlations, whitening_matrix
from skdim.information.fitting import Fitted, Fold, Training, fit_network
from skdim.pairs import Join, bound_of_pairs, pair_blocks
from skdim.random import seeded

# From the numbers of input features of x and of z.
MakeCritic = Callable[[int, int], AbstractCritic]

# Hidden units and embedding size of the separable critic, hidden units of the concatenating one.
SEPARABLE_UNITS, EMBEDDING_SIZE, CONCAT_UNITS = 64, 32, 32
# For each bound that critics are trained with, the bound that is evaluated on held-out rows. The
# Jensen-Shannon bound is not in nats, but its optimal critic is a log density ratio, too.
EVALUATED_BOUNDS = {"dv": "dv", "infonce": "infonce", "kl": "kl", "jsd": "dv"}
# Difference between the optimal critic of a bound and the log density ratio.
SHIFTS = {"kl": 1.0}
# Number of floats in a block of held-out scores.
MAX_FLOATS = 2**24
# Largest number of held-out rows that are compared with each other. It is reduced, at most to
# MIN_NEGATIVES, for an evaluation of more than MAX_PAIRS pairs.
MAX_NEGATIVES, MIN_NEGATIVES, MAX_PAIRS = 2000, 250, 2_000_000
# Whitened scores are clipped to this many standard deviations. Normal variables hardly reach it;
# rare values do, and would dominate the normal copula.
CLIP = 5.0


def critic_inputs(scores: Columns, whitened: Columns) -> Tensor:
    """Compute input features for a critic, which learns slowly from normal scores alone.

    They are the whitened scores (n, d), their squares, centred and scaled, and cosines of the ranks
    where there are few columns; of several columns also the normal scores of the norms, and
    products. Squares and norms describe the scale that heavy tails share; products with norms
    describe turns by an angle that depends on the norm; cosines of the ranks separate nearby
    values.
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


def projected(critic: AbstractCritic, x: Tensor, z: Tensor) -> tuple[Join, Tensor, Tensor]:
    """Return the join of a critic and both projections, the arguments of ``skdim.pairs``."""
    return critic.join, critic.project_code(x), critic.project_local(z)


def find_critic(bound: str, critic: str | MakeCritic | None) -> MakeCritic | None:
    """Return the function that builds the network of a critic; raise for unknown names."""
    if bound not in EVALUATED_BOUNDS:
        raise ValueError(
            f"bound={bound!r} is not a valid bound; choose one of "
            f"{', '.join(map(repr, EVALUATED_BOUNDS))}."
        )
    if not isinstance(critic, str):
        return critic
    if critic not in CRITICS:
        raise ValueError(
            f"critic={critic!r} is not a valid critic; choose one of "
            f"{', '.join(map(repr, CRITICS))}, None, or a callable that builds a critic."
        )
    return CRITICS[critic]


def fit_critic(
    scores: list[Columns],
    fold: Fold,
    bound: str,
    make: MakeCritic | None,
    training: Training,
    seed: int,
    device: str | torch.device,
) -> Fitted:
    """Train a critic on a fold, and evaluate it on the held-out rows."""
    whitened = [(side @ whitening_matrix(side[fold.training])).clip(-CLIP, CLIP) for side in scores]
    inputs = [critic_inputs(*side).to(device) for side in zip(scores, whitened, strict=True)]
    generator = Generator().manual_seed(seed)
    correlations = fit_correlations(*(side[fold.training] for side in whitened))
    network, own_seed = None, 0
    if make is not None:
        own_seed = int(torch.randint(2**62, (), generator=generator))
        with seeded(own_seed):
            network = make(inputs[0].shape[1], inputs[1].shape[1])
    critic = CopulaCritic(correlations, SHIFTS.get(bound, 0.0), network).to(device)
    train, held_out = ([side[rows] for side in inputs] for rows in (fold.training, fold.held_out))
    n_negatives = min(MAX_NEGATIVES, max(MIN_NEGATIVES, MAX_PAIRS // len(fold.held_out)))
    pointwise: list[Columns] = []

    def evaluate(critic: AbstractCritic) -> tuple[float, float]:
        evaluated = BOUNDS[EVALUATED_BOUNDS[bound]]
        values, halves = evaluate_critic(critic, held_out, evaluated, n_negatives)
        pointwise.append(values)
        return halves

    # Networks of skdim draw from the generator alone, others may draw from the global ones.
    draws = make is not None and make not in CRITICS.values()
    with seeded(own_seed, torch.device(device)) if draws else nullcontext():
        curve = fit_network(
            critic,
            lambda rows: bound_of_pairs(
                BOUNDS[bound],
                *projected(critic, *(side[rows] for side in train)),
                pair_floats=critic.pair_floats,
            ),
            evaluate,
            len(fold.training),
            training,
            generator,
        )
    half = len(fold.held_out) // 2
    first, second = (
        pointwise[epoch] * positive
        for epoch, positive in zip(curve.selected, curve.is_positive, strict=True)
    )
    return curve, pointwise[0], np.concatenate([first[:half], second[half:]])


def fit_correlations(x: Columns, z: Columns) -> Columns:
    """Estimate the correlations (dx, dz) of whitened rows, regularised as the data require.

    The last fifth of the rows selects among estimates from the others; the selected one is then
    computed from all rows.
    """
    cut = len(x) * 4 // 5
    tried = denoise_correlations(x[:cut].T @ z[:cut] / cut, cut)
    last = [torch.from_numpy(side[cut:]).float() for side in (x, z)]
    best = max(tried, key=lambda name: CopulaCritic(tried[name]).log_likelihood(*last))
    # The likelihood of true pairs is not enough where variables are far from normal, as with rare
    # values: there the log ratio is far too high in the tails, and false pairs show it.
    if bound_of_pairs(BOUNDS["dv"], *projected(CopulaCritic(tried[best]), *last)) <= 0:
        best = "none"
    return denoise_correlations(x.T @ z / len(x), len(x))[best]


def evaluate_critic(
    critic: AbstractCritic,
    held_out: Sequence[Tensor],
    bound: Bound,
    n_negatives: int = MAX_NEGATIVES,
) -> tuple[Columns, tuple[float, float]]:
    """Compute a bound on each half of the held-out rows, and its pointwise values (n,).

    The negatives of a row are the other rows of its group, so that the time is linear in n.
    """
    n = len(held_out[0])
    blocks: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad():
        for rows in torch.arange(n).tensor_split(-(-n // n_negatives)):
            block_samples = max(1, MAX_FLOATS // (len(rows) * critic.pair_floats))
            pairs = projected(critic, *(side[rows] for side in held_out))
            blocks += (
                bound.anchors(*block) for block in pair_blocks(*pairs, block_samples=block_samples)
            )
        gains, costs = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    ratios = gains - costs if bound.additive else gains
    pointwise, values = [], []
    for half in (slice(None, n // 2), slice(n // 2, None)):
        values.append(bound.total(gains[half], costs[half]).item())
        # Pointwise values are determined up to a constant of each half.
        pointwise.append(ratios[half] - ratios[half].mean() + values[-1])
    return torch.cat(pointwise).cpu().double().numpy(), (values[0], values[1])
