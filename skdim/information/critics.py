"""Critics fitted to some rows and evaluated on held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from skdim.bounds import BOUNDS, Bound
from skdim.information.columns import Columns
from skdim.information.copulas import NormalCritic, denoise_correlations, whitening_matrix
from skdim.information.fitting import Curve, Fold, Training, build_network, fit_network
from skdim.information.networks import CRITICS, CopulaCritic, MakeCritic, critic_inputs
from skdim.pairs import bound_of_pairs, pair_blocks

__all__ = ["FittedCritic", "evaluate_critic", "find_critic", "fit_critic"]

# For each bound that critics are trained with, the bound that is evaluated on held-out rows. The
# Jensen-Shannon bound is not in nats, but its optimal critic is a log density ratio, too.
EVALUATED_BOUNDS = {"dv": "dv", "infonce": "infonce", "kl": "kl", "jsd": "dv"}
# Difference between the optimal critic of a bound and the log density ratio.
SHIFTS = {"kl": 1.0}
# Number of floats in a block of held-out scores.
MAX_FLOATS = 2**24
# Largest number of held-out rows that are compared with each other, and fewest for an evaluation of
# more than so many pairs.
MAX_NEGATIVES, MIN_NEGATIVES, MAX_PAIRS = 2000, 250, 2_000_000
# Whitened scores are clipped to this many standard deviations. Normal variables hardly reach it;
# rare values do, and would dominate the normal copula.
CLIP = 5.0


@dataclass(frozen=True)
class FittedCritic:
    """Learning curve of a critic, and its pointwise values on the held-out rows of a fold.

    Parameters
    ----------
    curve : Curve
    copula : ndarray of shape (n_held_out,)
        Values before training, of the normal copula alone.
    trained : ndarray of shape (n_held_out,)
        Values of the selected epochs.
    """

    curve: Curve
    copula: Columns
    trained: Columns


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
) -> FittedCritic:
    """Train a critic on a fold, and evaluate it on the held-out rows."""
    whitened = [(side @ whitening_matrix(side[fold.training])).clip(-CLIP, CLIP) for side in scores]
    inputs = [critic_inputs(*side).to(device) for side in zip(scores, whitened, strict=True)]
    generator = Generator().manual_seed(seed)
    normal = NormalCritic(fit_correlations(*(side[fold.training] for side in whitened)))
    network = None
    if make is not None:
        x_features, z_features = (side.shape[1] for side in inputs)
        network = build_network(lambda: make(x_features, z_features), generator)
    critic = CopulaCritic(normal, network, SHIFTS.get(bound, 0.0)).to(device)
    train, held_out = ([side[rows] for side in inputs] for rows in (fold.training, fold.held_out))
    n_negatives = min(MAX_NEGATIVES, max(MIN_NEGATIVES, MAX_PAIRS // len(fold.held_out)))
    epochs: list[Columns] = []

    def evaluate(critic: CopulaCritic) -> tuple[float, float]:
        each, halves = evaluate_critic(
            critic, held_out, BOUNDS[EVALUATED_BOUNDS[bound]], n_negatives
        )
        epochs.append(each)
        return halves

    curve = fit_network(
        critic,
        lambda rows: bound_of_pairs(
            BOUNDS[bound],
            *critic.projected(*(side[rows] for side in train)),
            pair_floats=critic.pair_floats,
        ),
        evaluate,
        len(fold.training),
        training,
        generator,
    )
    half = len(fold.held_out) // 2
    first, second = curve.kept
    # As in Curve.held_out, a half counts as 0 where the other half finds nothing.
    by_first, by_second = curve.halves[second][0] > 0, curve.halves[first][1] > 0
    chosen = np.concatenate([epochs[first][:half] * by_second, epochs[second][half:] * by_first])
    return FittedCritic(curve, epochs[0], chosen)


def fit_correlations(x: Columns, z: Columns) -> Columns:
    """Estimate the correlations (dx, dz) of whitened rows, regularised as the data require.

    The last fifth of the rows selects among estimates from the others; the selected one is then
    computed from all rows.
    """
    cut = len(x) * 4 // 5
    tried = denoise_correlations(x[:cut].T @ z[:cut] / cut, cut)
    last = [torch.from_numpy(side[cut:]).float() for side in (x, z)]
    best = max(tried, key=lambda name: NormalCritic(tried[name]).log_likelihood(*last))
    # The likelihood of true pairs is not enough where variables are far from normal, as with rare
    # values: there the log ratio is far too high in the tails, and false pairs show it.
    critic = CopulaCritic(NormalCritic(tried[best]), None)
    if bound_of_pairs(BOUNDS["dv"], *critic.projected(*last)) <= 0:
        best = "none"
    return denoise_correlations(x.T @ z / len(x), len(x))[best]


def evaluate_critic(
    critic: CopulaCritic,
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
            projected = critic.projected(*(side[rows] for side in held_out))
            blocks += (
                bound.anchors(*block)
                for block in pair_blocks(*projected, block_samples=block_samples)
            )
        gains, costs = (torch.cat(parts) for parts in zip(*blocks, strict=True))
    halves = (slice(None, n // 2), slice(n // 2, None))
    each = gains - costs if bound.additive else gains
    # Pointwise values are determined up to a constant of each half.
    values = [bound.total(gains[half], costs[half]).item() for half in halves]
    centred = [
        each[half] - each[half].mean() + value for half, value in zip(halves, values, strict=True)
    ]
    return torch.cat(centred).cpu().double().numpy(), (values[0], values[1])
