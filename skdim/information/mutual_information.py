"""Mutual information of two arrays, by critics evaluated on held-out rows."""

import math
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Literal, TypeAlias, TypedDict, Unpack, overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from skdim.bounds import BOUNDS, Bound
from skdim.information.columns import Columns, normal_scores, read_columns
from skdim.information.copulas import NormalCritic, denoise_correlations, whitening_matrix
from skdim.information.fitting import (
    Curve,
    Fold,
    Training,
    UntrustedEstimateWarning,
    build_network,
    fit_network,
    make_folds,
)
from skdim.information.networks import CRITICS, CopulaCritic, MakeCritic, critic_inputs
from skdim.pairs import bound_of_pairs, pair_blocks
from skdim.random import draw_seed, seeded

__all__ = ["mutual_information"]

Values: TypeAlias = ArrayLike | Tensor

# For each bound that critics are trained with, the bound that is evaluated on held-out rows. The
# Jensen-Shannon bound is not in nats, but its optimal critic is a log density ratio, too.
EVALUATED_BOUNDS = {"dv": "dv", "infonce": "infonce", "kl": "kl", "jsd": "dv"}
# Difference between the optimal critic of a bound and the log density ratio.
SHIFTS = {"kl": 1.0}
# Number of floats in a block of held-out scores.
MAX_FLOATS = 2**24
# Whitened scores are clipped to this many standard deviations. Normal variables hardly reach it;
# rare values do, and would dominate the normal copula.
CLIP = 5.0
# Gap between training and held-out value that is warned of: share of the training value, and nats.
GAP_SHARE, GAP_NATS = 0.5, 0.2


class Settings(TypedDict, total=False):
    """Keyword parameters of :func:`mutual_information` but ``return_curve``."""

    bound: str
    critic: str | MakeCritic | None
    test_size: float
    max_epochs: int
    batch_size: int
    learning_rate: float
    random_state: int | np.random.RandomState | None


@overload
def mutual_information(
    x: Values, z: Values, *, return_curve: Literal[False] = ..., **settings: Unpack[Settings]
) -> float: ...


@overload
def mutual_information(
    x: Values, z: Values, *, return_curve: Literal[True], **settings: Unpack[Settings]
) -> tuple[float, list[Curve]]: ...


def mutual_information(
    x: Values,
    z: Values,
    *,
    bound: str = "dv",
    critic: str | MakeCritic | None = "dot",
    test_size: float = 0.2,
    max_epochs: int = 40,
    batch_size: int = 250,
    learning_rate: float = 5e-3,
    random_state: int | np.random.RandomState | None = None,
    return_curve: bool = False,
) -> float | tuple[float, list[Curve]]:
    """Estimate the mutual information of x and z by critics evaluated on held-out rows.

    Each column is first replaced by its normal scores, which preserves mutual information. The
    estimate is cross-fitted: the rows are divided into parts, and a critic trained on all other
    parts is evaluated on each part. The part is divided into two halves, each of which selects the
    epoch whose weights are evaluated on the other. The estimate is the mean over parts. A critic
    is the log density ratio of a fitted normal copula plus a network that is initially zero, so
    jointly normal variables, whatever their margins, need no training.

    The estimate is a lower bound up to sampling error. Independent variables give about zero,
    sometimes slightly less. The standard error is that of the mean of the log density ratio over
    all rows.

    The estimate is at most the log of the number of rows of a part. Above it, critics may separate
    all true held-out pairs from all false ones, and the bound grows with every step: to 48,000 nats
    for 3,000 copies of 64 normal numbers. Whitened scores are clipped to 5 standard deviations, and
    the normal copula is left out where it does not help on validation rows, as for rare values. A
    network adds at most 10 nats to the score of a pair.

    Parameters
    ----------
    x, z : array-like or Tensor of shape (n,) or (n, *axes)
        Samples of both variables, at least 20; row i of x belongs to row i of z. Two significant
        digits need thousands of rows.
    bound : {"dv", "infonce", "kl", "jsd"}, default="dv"
        Bound that critics are trained and evaluated with. ``"jsd"`` trains with Jensen-Shannon and
        evaluates with Donsker-Varadhan.
    critic : {"dot", "concat"}, callable or None, default="dot"
        Network added to the normal copula: a dot product of two embeddings, or a network of both
        variables concatenated, which is slower. A callable is passed the numbers of input features
        of x and of z (the normal scores and their squares) and returns a
        :class:`skdim.critics.AbstractCritic`. None uses the normal copula alone.
    test_size : float, default=0.2
        Share of the rows held out at a time, at most 1/2.
    max_epochs : int, default=40
        Training stops early after 15 epochs without improvement.
    batch_size : int, default=250
        All pairs of a batch are compared.
    learning_rate : float, default=5e-3
        Initial learning rate of AdamW with a cosine schedule.
    random_state : int, RandomState or None, default=None
        Determines the parts, the initial weights and the batches.
    return_curve : bool, default=False
        Whether to also return the learning curves of all critics.

    Returns
    -------
    information : float
        In nats.
    curves : list of Curve
        One per part, with ``training``, ``halves``, ``kept`` and ``held_out``. Only if
        ``return_curve``.

    Raises
    ------
    ValueError
        If the arrays differ in length, contain values that are not finite or have too few rows; or
        if a parameter is out of range.
    FloatingPointError
        If the training of a critic diverges.

    Warns
    -----
    UntrustedEstimateWarning
        If the bound exceeds the log of the number of rows of a part, which is returned instead; or
        if the critics score much higher on the rows that they were trained on.

    References
    ----------
    Belghazi et al. (2018), Mutual information neural estimation, arXiv:1801.04062. Poole et al.
    (2019), On variational bounds of mutual information, arXiv:1905.06922. McAllester and Stratos
    (2020), Formal limitations on the measurement of mutual information, arXiv:1811.04251.
    Chernozhukov et al. (2018), Double/debiased machine learning, on cross-fitting,
    arXiv:1608.00060.

    Examples
    --------
    >>> from skdim.information import TASKS
    >>> x, z = TASKS["1v1-bimodal-0.75"].draw(1000, random_state=0)
    >>> bool(abs(mutual_information(x, z, random_state=0) - 0.413) < 0.1)
    True
    """
    columns = [read_columns(x, "x"), read_columns(z, "z")]
    n, n_z = map(len, columns)
    if n != n_z:
        raise ValueError(
            f"x has {n} rows and z has {n_z}. Both must have the same number of rows, and row i of "
            "x must belong to row i of z."
        )
    make = find_critic(bound, critic)
    training = Training(max_epochs, 15, batch_size, learning_rate)
    draws = np.random.default_rng(draw_seed(random_state))
    folds = make_folds(n, test_size, draws)
    scores = [normal_scores(side) for side in columns]
    if min(side.shape[1] for side in scores) == 0:
        # A constant has no information about anything.
        return (0.0, []) if return_curve else 0.0
    curves = []
    for fold in folds:
        seed = int(draws.integers(2**63))
        # The user's network may draw from the global generators while it trains.
        with seeded(seed) if callable(critic) else nullcontext():
            generator = Generator().manual_seed(seed)
            curves.append(fit_critic(scores, fold, bound, make, training, generator))
    value = float(np.mean([curve.held_out for curve in curves]))
    ceiling = math.log(min(len(fold.held_out) for fold in folds))
    warn_of_limits(value, ceiling, curves)
    estimate = min(value, ceiling)
    return (estimate, curves) if return_curve else estimate


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
    generator: Generator,
) -> Curve:
    """Train a critic on a fold, and return its learning curve."""
    whitened = [(side @ whitening_matrix(side[fold.training])).clip(-CLIP, CLIP) for side in scores]
    inputs = [critic_inputs(*side) for side in zip(scores, whitened, strict=True)]
    normal = NormalCritic(fit_correlations(*(side[fold.training] for side in whitened)))
    network = None
    if make is not None:
        x_features, z_features = (side.shape[1] for side in inputs)
        network = build_network(lambda: make(x_features, z_features), generator)
    critic = CopulaCritic(normal, network, SHIFTS.get(bound, 0.0))
    train = [side[fold.training] for side in inputs]
    held_out = [side[fold.held_out] for side in inputs]
    return fit_network(
        critic,
        lambda rows: bound_of_pairs(
            BOUNDS[bound],
            *critic.projected(*(side[rows] for side in train)),
            pair_floats=critic.pair_floats,
        ),
        lambda critic: evaluate_critic(critic, held_out, BOUNDS[EVALUATED_BOUNDS[bound]]),
        len(fold.training),
        training,
        generator,
    )


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
    critic: CopulaCritic, held_out: Sequence[Tensor], bound: Bound
) -> tuple[float, float]:
    """Compute a bound on each half of the held-out rows, with all of them as negatives."""
    n = len(held_out[0])
    with torch.no_grad():
        block_samples = max(1, MAX_FLOATS // (n * critic.pair_floats))
        blocks = pair_blocks(*critic.projected(*held_out), block_samples=block_samples)
        gains, costs = (
            torch.cat(parts)
            for parts in zip(*(bound.anchors(*block) for block in blocks), strict=True)
        )
    halves = (slice(None, n // 2), slice(n // 2, None))
    first, second = (bound.total(gains[half], costs[half]).item() for half in halves)
    return first, second


def warn_of_limits(value: float, ceiling: float, curves: list[Curve]) -> None:
    """Warn if the bound exceeds its ceiling, or if the critics overfit."""
    if value > ceiling:
        warnings.warn(
            f"The bound is {value:.2f} nats, more than {ceiling:.2f}, the log of the "
            f"{math.exp(ceiling):.0f} rows held out at a time. No sample of that size supports a "
            "larger estimate, so this log is returned. The true value may be far larger; it is "
            "infinite for codes without noise. Pass more rows, or report the value as 'large'.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )
    trained = [(c.training[max(c.kept) - 1], c.held_out) for c in curves if max(c.kept)]
    seen, unseen = np.mean(trained, axis=0) if trained else (0.0, 0.0)
    if seen - unseen > max(GAP_NATS, GAP_SHARE * abs(seen)):
        warnings.warn(
            f"The bound is {seen:.2f} nats on the training rows and {unseen:.2f} on held-out rows: "
            "the critics overfit, and the estimate is too low. Pass more rows or fewer columns.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )
