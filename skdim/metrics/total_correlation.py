"""How much the coordinates of a code depend on each other: the paper's NDM."""

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from skdim.bounds import BOUNDS
from skdim.inputs.draws import SEEDING, draw_seed, drawing
from skdim.metrics.columns import Columns, normal_scores, read_columns
from skdim.metrics.fitting import Fold, Training, fit_critic, make_folds
from skdim.metrics.mutual_information import UntrustedEstimateWarning
from skdim.metrics.networks import features, mlp

__all__ = ["total_correlation"]

LEAST_ROWS = 20
UNITS = 64
# Draws of the normal copula for each row.
DRAWS = 8
# Of any direction, under a copula.
LEAST_VARIANCE = 1e-6
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def total_correlation(
    z: Any,
    *,
    test_size: float = 0.2,
    max_epochs: int = 30,
    batch_size: int = 250,
    learning_rate: float = 5e-3,
    random_state: Any = None,
) -> float:
    r"""Estimate the total correlation of the coordinates of z.

    .. math:: TC = \mathrm{KL} \left( p(z) \, \Big\| \, \prod_i p(z_i) \right)
        = \sum_i h(z_i) - h(z)

    It is zero if and only if the coordinates are independent. This is the neural dependency
    measure (NDM) of the paper: codes against the same codes with each coordinate shuffled on its
    own. Here it is taken in two steps, of which the first has a formula. Every column is replaced
    by its normal scores, so that shuffled codes are standard normal. Between these and the codes
    stands a normal copula, fitted to the codes: from shuffled codes to the copula the divergence
    is a log ratio of normal densities, and from the copula to the codes it is bounded by a critic
    (Donsker-Varadhan) trained to tell codes from draws of the copula. Both are read off rows held
    out. For jointly normal codes, whatever the margins, the second is about zero.

    Nothing but the order within each column counts. So no increasing map of a coordinate changes
    the figure, to the last digit; the true total correlation has the same property. The paper's
    own columns break it: for one and the same encoder they give 0.18 with a sigmoid on the code
    and 9.18 without (Hjelm et al., table 3). That is a difference of their estimates, not of the
    codes. A map that saturates in floating point makes ties, and does lose order.

    Parameters
    ----------
    z : array-like or Tensor of shape (n,) or (n, *axes)
        Codes, one a row; at least 20. Coordinates that are constant depend on nothing.
    test_size : float, default=0.2
        Share of the rows held out at a time, at most 1/2.
    max_epochs : int, default=30
        Training stops before, after 10 epochs that brought nothing; 0 leaves the normal copula.
    batch_size : int, default=250
    learning_rate : float, default=5e-3
        Of AdamW; falls to zero by a cosine.
    random_state : int, RandomState or None, default=None
        Of the parts, the first weights, the batches and the draws of the copula.

    Returns
    -------
    float
        In nats. About zero, at times a little below, for independent coordinates.

    Raises
    ------
    ValueError
        If z holds what is no finite number or has too few rows; or if a parameter is out of range.

    Warns
    -----
    UntrustedEstimateWarning
        If what the critic finds beside the copula is above the log of the rows held out at a time.

    References
    ----------
    Hjelm et al. (2019), Learning deep representations by mutual information estimation and
    maximization, section 4, arXiv:1808.06670. Watanabe (1960), Information theoretical analysis of
    multivariate correlation. The two steps: Rhodes, Xu and Gutmann (2020), Telescoping
    density-ratio estimation, arXiv:2006.12204.

    Examples
    --------
    >>> codes = np.random.default_rng(0).standard_normal((1000, 4))
    >>> bool(abs(total_correlation(codes, random_state=0)) < 0.05)
    True
    >>> codes[:, 1] = codes[:, 0] + codes[:, 1]
    >>> bool(abs(total_correlation(codes, random_state=0) - np.log(2) / 2) < 0.1)
    True
    """
    columns = read_columns(z, "z", least=LEAST_ROWS)
    training = Training(max_epochs, 10, batch_size, learning_rate)
    draws = np.random.default_rng(draw_seed(random_state))
    folds = list(make_folds(len(columns), test_size, draws))
    scores = normal_scores(columns)
    if scores.shape[1] < 2:
        # One coordinate depends on nothing.
        return 0.0
    values = [
        judge_fold(scores, fold, training, Generator().manual_seed(int(draws.integers(2**63))))
        for fold in folds
    ]
    by_copula, by_critic = np.mean(values, axis=0)
    warn_of(float(by_critic), min(len(fold.held_out) for fold in folds))
    return float(by_copula + by_critic)


def warn_of(by_critic: float, n_held: int) -> None:
    """Warn where the critic's part cannot be trusted."""
    if by_critic > math.log(n_held):
        warnings.warn(
            f"Beyond correlations, the coordinates depend on each other by {by_critic:.2f} nats, "
            f"above {math.log(n_held):.2f}, the log of the {n_held} rows held out at a time: no "
            "sample of that size can vouch for it. Where coordinates are functions of each other, "
            "it is infinite. Read the estimate as 'large'.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )


def judge_fold(
    scores: Columns, fold: Fold, training: Training, generator: Generator
) -> tuple[float, float]:
    """Fit a copula and a critic on a fold; give what each comes to on the rows held out."""
    copula = fit_copula(scores[fold.training])
    root: Columns = np.linalg.cholesky(copula).astype(np.float64)
    n_held, d = len(fold.held_out), scores.shape[1]
    with SEEDING, drawing(int(torch.randint(2**62, (), generator=generator))):
        critic = mlp(look(scores[:1], root).shape[1], UNITS, 1, zeros=slice(None))

    def draw(n: int) -> Tensor:
        noise = torch.randn(n * DRAWS, d, generator=generator, dtype=torch.float64).numpy()
        return look(noise @ root.T, root).reshape(n, DRAWS, -1)

    def value(critic: nn.Module, codes: Tensor, drawn: Tensor) -> Tensor:
        return BOUNDS["dv"](critic(codes), critic(drawn.flatten(0, 1)).reshape(len(codes), -1))

    def judge(critic: nn.Module) -> tuple[float, float]:
        halves = (slice(None, n_held // 2), slice(n_held // 2, None))
        with torch.no_grad():
            first, second = (value(critic, held_out[half], others[half]).item() for half in halves)
        return first, second

    codes = look(scores, root)
    train, held_out, others = codes[fold.training], codes[fold.held_out], draw(n_held)
    curve = fit_critic(
        critic,
        lambda rows: value(critic, train[rows], draw(len(rows))),
        judge,
        len(train),
        training,
        generator,
    )
    return float(log_ratios(copula, scores[fold.held_out]).mean()), curve.held_out


def look(scores: Columns, root: Columns) -> Tensor:
    """Give features of normal scores (n, d), in coordinates where the copula is standard normal."""
    whitened: Columns = np.linalg.solve(root, scores.T).T.astype(np.float64)
    return features(scores, whitened)


def log_ratios(correlations: Columns, scores: Columns) -> Columns:
    """Log density of a normal copula (d, d) at normal scores (n, d), over that of shuffled ones."""
    root = np.linalg.cholesky(correlations)
    lengths = np.square(np.linalg.solve(root, scores.T)).sum(axis=0)
    return np.asarray((np.square(scores).sum(axis=1) - lengths) / 2 - np.log(np.diag(root)).sum())


def fit_copula(scores: Columns) -> Columns:
    """Fit a correlation matrix: as seen, without what may be chance, or drawn to a plain one.

    Hundreds of small correlations that are wrong cost more than they bring. The last fifth of the
    rows judges what the others give; then all give it.

    References
    ----------
    Ledoit and Wolf (2004), Honey, I shrunk the sample covariance matrix.
    """
    cut = len(scores) * 4 // 5
    tried = copulas(scores[:cut])
    fits = [
        log_ratios(copula, scores[cut:]).mean() if is_proper(copula) else -math.inf
        for copula in tried
    ]
    best = copulas(scores)[int(np.argmax(fits))]
    return best if is_proper(best) else plain(best)


def copulas(scores: Columns) -> list[Columns]:
    """Give the correlation matrices (d, d) that may be behind some rows."""
    d = scores.shape[1]
    seen: Columns = np.corrcoef(scores, rowvar=False).reshape(d, d).astype(np.float64)
    off = np.eye(d) == 0
    by_chance = math.sqrt(2 * math.log(off.sum()) / len(scores))
    targets = [np.eye(d), np.where(off, seen[off].mean(), 1.0)]
    return [
        np.where(off & (np.abs(seen) < by_chance), 0, seen),
        *(seen + share * (target - seen) for target in targets for share in SHARES),
    ]


def is_proper(copula: Columns) -> bool:
    """Say whether a correlation matrix has an inverse worth the name."""
    return bool(np.linalg.eigvalsh(copula)[0] > LEAST_VARIANCE)


def plain(copula: Columns) -> Columns:
    """Shrink a correlation matrix until it has an inverse."""
    least = np.linalg.eigvalsh(copula)[0]
    share = (LEAST_VARIANCE - least) / (1 - least)
    return np.asarray((1 - share) * copula + share * np.eye(len(copula)))
