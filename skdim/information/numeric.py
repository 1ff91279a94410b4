"""Mutual information of numeric variables, by a copula, networks and nearest neighbours."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.linalg import svd
from sklearn.decomposition import PCA

from skdim.bounds import BOUNDS
from skdim.information.columns import Columns, normal_scores
from skdim.information.copulas import MIN_VARIANCE, CopulaCritic, copula_bias, normal_information
from skdim.information.critics import critic_inputs, evaluate_critic
from skdim.information.estimate import (
    SIGNIFICANT,
    BestEstimate,
    InformationEstimate,
    exceeds,
    standard_error,
)
from skdim.information.fitting import Fitted, Fold
from skdim.information.neighbours import (
    MAX_COLUMNS,
    MORE_NEIGHBOURS,
    extrapolated_information,
    neighbour_information,
    radii,
)

# Gap between training and held-out value that is warned of: share of the training value, and nats.
GAP_SHARE, GAP_NATS = 0.5, 0.2
# Largest correction for overfitting, relative to the value on held-out rows.
MAX_CORRECTION = 0.1
# Fewest rows per column without a warning.
ROWS_PER_COLUMN = 10
# Largest number of principal directions, and fewest rows for each.
MAX_DIRECTIONS, ROWS_PER_DIRECTION = 256, 5
# Ratio of the numbers of directions that are compared.
STEP = 1.5
# Standard deviations above zero, and nats, from which nonlinear dependence is certain.
CERTAIN, NOTICEABLE = 5.0, 0.01


def numeric_information(
    columns: list[Columns],
    folds: list[Fold],
    fit: Callable[[list[Columns]], list[Fitted]],
    draws: np.random.Generator,
    with_neighbours: bool,
) -> InformationEstimate:
    """Estimate the mutual information of numeric columns (n, d) of two variables.

    ``fit`` maps the scores of both to a fitted critic for each fold. ``draws`` break ties.
    Estimates by nearest neighbours are compared only ``with_neighbours``.
    """
    scores = [normal_scores(side) for side in columns]
    if min(side.shape[1] for side in scores) == 0:
        # A constant has no information about anything.
        return InformationEstimate(
            pointwise=np.zeros(len(columns[0])), method="constant", ceiling=0.0
        )
    directions = principal_scores(scores)
    fits = fit(directions)
    best = combine(directions, folds, fits)
    curves = [curve for curve, _, _ in fits]
    trained = [(c.training[max(c.selected) - 1], c.held_out) for c in curves if max(c.selected)]
    training_value, held_out_value = np.mean(trained, axis=0).tolist() if trained else (0.0, 0.0)
    if best.method == "critic":
        # Where networks are close to their optimum, training rows err as much to one side as
        # held-out rows to the other: half of the difference is added. The correction is limited,
        # because far from there this does not hold; the rest is a shortfall.
        gap = max(training_value - held_out_value, 0.0)
        correction = min(gap / 2, MAX_CORRECTION * abs(best.value))
        best.value += correction
        best.spread = math.hypot(best.spread, correction / 2)
        best.shortfall = gap - correction
    for candidate in neighbour_candidates(columns, draws) if with_neighbours else []:
        # Estimates of critics tend to be too low: a smaller difference is sufficient.
        needed = 1.0 if best.method == "critic" else SIGNIFICANT
        best = best.or_larger(*candidate, needed)
    ceiling = math.log(min(len(fold.held_out) for fold in folds))
    n_columns = sum(side.shape[1] for side in scores)
    messages = describe_limits(best, n_columns, ceiling, training_value, held_out_value)
    best.value = min(best.value, ceiling)
    return best.estimate(ceiling, curves, messages)


def combine(scores: list[Columns], folds: list[Fold], fits: list[Fitted]) -> BestEstimate:
    """Add what networks find on held-out rows to the information of a normal copula."""
    base, trained = pointwise = np.empty((2, len(scores[0])))
    for fold, (_, *values) in zip(folds, fits, strict=True):
        pointwise[:, fold.held_out] = values
    best, gain = BestEstimate("copula", 0.0, np.zeros(len(base))), 0.0
    if base.mean() > standard_error(base):
        best = BestEstimate("copula", *fit_normal_copula(*scores))
    else:
        base[:] = 0
    if exceeds(trained, base.mean(), base):
        gain = float((trained - base).mean())
        best = BestEstimate("critic", best.value + gain, trained, best.spread)
    # Where variables are nearly functions of each other, the copula's own bound is too low.
    if trained.mean() > best.value:
        if best.method == "critic" or best.value <= 0:
            return BestEstimate("critic", trained.mean(), trained)
        best = BestEstimate("copula", trained.mean(), trained)
    if fits[0][0].training:
        best.missed = max(nonlinear_information(scores) - gain, 0.0)
    return best


def neighbour_candidates(
    sides: list[Columns], draws: np.random.Generator
) -> list[tuple[str, Columns, float, Columns]]:
    """Compute estimates by nearest neighbours in few dimensions.

    Each has a name, pointwise values, their spread, and pointwise values without a correction.
    """
    scores = [normal_scores(side, draws) for side in sides]
    candidates = []
    if sum(side.shape[1] for side in scores) <= MAX_COLUMNS:
        candidates.append(("neighbours", *extrapolated_information(scores)))
    if max(side.shape[1] for side in scores) > 1:
        norms = [normal_scores(radii(side), draws) for side in scores]
        # The dependence of norms is smooth.
        near = neighbour_information(norms, MORE_NEIGHBOURS)
        candidates.append(("radii", near, 0.0, near))
    return candidates


def describe_limits(
    best: BestEstimate,
    n_columns: int,
    ceiling: float,
    training_value: float,
    held_out_value: float,
) -> list[str]:
    """Return the warning of an estimate, if there is one."""
    if best.value > ceiling:
        return [
            f"The estimate is {best.value:.2f} nats, more than {ceiling:.2f}, the log of the "
            f"{math.exp(ceiling):.0f} rows held out at a time. No sample of that size supports a "
            "larger estimate, so this log is returned. The true value may be far larger; it is "
            "infinite for codes without noise. Pass more rows, or report the value as 'large'."
        ]
    if training_value - held_out_value > max(GAP_NATS, GAP_SHARE * abs(training_value)):
        return [
            f"The bound is {training_value:.2f} nats on the training rows and "
            f"{held_out_value:.2f} on held-out rows: the critics overfit, and the estimate may be "
            "too low. Pass more rows or fewer columns."
        ]
    if best.missed > 0:
        return [
            f"Products of columns explain {best.missed:.2f} nats that neither the normal copula "
            f"nor the critics find: the estimate of {best.value:.2f} nats is too low. Pass more "
            "rows."
        ]
    if len(best.pointwise) < ROWS_PER_COLUMN * n_columns:
        return [
            f"There are {len(best.pointwise)} rows and {n_columns} columns: with fewer than "
            f"{ROWS_PER_COLUMN} rows per column the estimate may be far off. Pass more rows."
        ]
    return []


def principal_scores(scores: list[Columns]) -> list[Columns]:
    """Project variables (n, d) of many columns to at most n / 5 principal directions.

    Of several numbers of directions, that with the largest information of the normal copula less
    its standard error is chosen. A variable of few columns is returned as it is.
    """
    largest = max(1, min(MAX_DIRECTIONS, len(scores[0]) // ROWS_PER_DIRECTION))
    wide = [i for i, side in enumerate(scores) if side.shape[1] > largest]
    if not wide:
        return scores
    sides = list(scores)
    for i in wide:
        sides[i] = PCA(largest, whiten=True, random_state=0).fit_transform(scores[i])
    whitened = [side if i in wide else whiten(side) for i, side in enumerate(sides)]

    def first(columns: list[Columns], size: int) -> list[Columns]:
        return [side[:, :size] if i in wide else side for i, side in enumerate(columns)]

    bounds = {}
    for size in np.unique(np.geomspace(1, largest, 2 + round(math.log(largest, STEP))).astype(int)):
        information, error = corrected_information(*first(whitened, size))
        bounds[size] = information - error
    return first(sides, max(bounds, key=bounds.__getitem__))


def corrected_information(x: Columns, z: Columns) -> tuple[float, float]:
    """Return the information of jointly normal whitened columns, less its bias, and its spread.

    The spread is the standard deviation due to sample correlations of zero.
    """
    n, dims = len(x), (x.shape[1], z.shape[1])
    information = normal_information(np.asarray(svd(x.T @ z / n, compute_uv=False)))
    return information - copula_bias(dims, n), math.sqrt(math.prod(dims) / 2) / n


def fit_normal_copula(x: Columns, z: Columns) -> tuple[float, Columns, float]:
    """Estimate the mutual information of scores (n, d) by a normal copula, corrected for bias.

    Where variables are not jointly normal, the Donsker-Varadhan bound of the copula may be lower
    than its information; the lower one is returned. Also return pointwise values (n,), and the
    standard deviation of the information due to correlations of zero.
    """
    n, x, z = len(x), whiten(x), whiten(z)
    dims = (x.shape[1], z.shape[1])
    critic = CopulaCritic(x.T @ z / n)
    pairs = [torch.from_numpy(side).float() for side in (x, z)]
    pointwise, bounds = evaluate_critic(critic, pairs, BOUNDS["dv"])
    value = min(critic.information, float(np.mean(bounds))) - copula_bias(dims, n)
    return value, pointwise, math.sqrt(math.prod(dims) / 2) / n


def nonlinear_information(scores: list[Columns]) -> float:
    """Return the information of nonlinear terms about the residuals of linear regressions, in nats.

    Residuals of a linear regression of jointly normal variables are independent of the regressors,
    and so of their squares and products. The larger value of both directions is returned, or 0 if
    it is not certain. ``scores`` are those of both variables, (n, d).
    """
    n = len(scores[0])
    sides = [whiten(side) for side in scores]
    largest = 0.0
    for x, z, scores_x in ((*sides, scores[0]), (*sides[::-1], scores[1])):
        terms = critic_inputs(scores_x, x).numpy().astype(np.float64)[:, x.shape[1] :]
        if x.shape[1] + terms.shape[1] + z.shape[1] > n // ROWS_PER_DIRECTION:
            continue
        rest, residuals = (
            whiten(part - x @ (x.T @ part) / n, n) for part in (terms - terms.mean(axis=0), z)
        )
        if not rest.size or not residuals.size:
            continue
        excess, error = corrected_information(rest, residuals)
        if excess > max(CERTAIN * error, NOTICEABLE):
            largest = max(largest, excess)
    return largest


def whiten(columns: Columns, square: float = 0.0) -> Columns:
    """Return uncorrelated columns of unit variance that span the same directions.

    Directions far below the largest sum of squares, or ``square``, are left out.
    """
    left, sizes, _ = svd(columns - columns.mean(axis=0), full_matrices=False)
    return np.asarray(
        left[:, sizes**2 > MIN_VARIANCE * max(sizes[0] ** 2, square)] * np.sqrt(len(columns))
    )
