"""Mutual information of numeric variables: the choice among a copula, networks and neighbours."""

import math
from collections.abc import Callable

import numpy as np

from skdim.information.columns import Columns, normal_scores
from skdim.information.copula_information import (
    fit_normal_copula,
    nonlinear_information,
    principal_scores,
)
from skdim.information.estimate import (
    SIGNIFICANT,
    Found,
    InformationEstimate,
    exceeds,
    standard_error,
)
from skdim.information.fitting import Curve, Fitted, Fold
from skdim.information.neighbours import (
    MAX_COLUMNS,
    MORE_NEIGHBOURS,
    levelled_information,
    neighbour_information,
    radii,
)

__all__ = ["numeric_information"]

# Gap between training and held-out value that is warned of: share of the training value, and nats.
GAP_SHARE, GAP_NATS = 0.5, 0.2
# Largest correction for overfitting, relative to the value on held-out rows.
MAX_CORRECTION = 0.1
# Fewest rows per column without a warning.
ROWS_PER_COLUMN = 10


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
    found = combine(directions, folds, fits)
    curves = [curve for curve, _, _ in fits]
    seen, unseen = training_gap(curves)
    if found.method == "critic":
        correct_overfitting(found, max(seen - unseen, 0.0))
    for candidate in neighbour_candidates(columns, draws) if with_neighbours else []:
        # Critics tend to be too low, and less is needed against them.
        needed = 1.0 if found.method == "critic" else SIGNIFICANT
        found = found.or_larger(*candidate, needed)
    ceiling = math.log(min(len(fold.held_out) for fold in folds))
    n_columns = sum(side.shape[1] for side in scores)
    return InformationEstimate(
        min(max(found.value, 0.0), ceiling),
        pointwise=found.pointwise,
        method=found.method,
        ceiling=ceiling,
        spread=found.spread,
        shortfall=found.shortfall + found.missed,
        curve=curves,
        warnings=describe_limits(found, n_columns, ceiling, seen, unseen),
    )


def combine(scores: list[Columns], folds: list[Fold], fits: list[Fitted]) -> Found:
    """Add what networks find on held-out rows to the information of a normal copula."""
    base, trained = each = np.empty((2, len(scores[0])))
    for fold, (_, *values) in zip(folds, fits, strict=True):
        each[:, fold.held_out] = values
    found, gain = Found("copula", 0.0, np.zeros(len(base))), 0.0
    if base.mean() > standard_error(base):
        found = Found("copula", *fit_normal_copula(*scores))
    else:
        base[:] = 0
    if exceeds(trained, base.mean(), base):
        gain = float((trained - base).mean())
        found = Found("critic", found.value + gain, trained, found.spread)
    # Where variables are nearly functions of each other, the copula's own bound is too low.
    if trained.mean() > found.value:
        if found.method == "critic" or found.value <= 0:
            return Found("critic", trained.mean(), trained)
        found = Found("copula", trained.mean(), trained)
    if fits[0][0].training:
        found.missed = max(nonlinear_information(scores) - gain, 0.0)
    return found


def correct_overfitting(found: Found, gap: float) -> None:
    """Add half of the difference between training and held-out rows to an estimate.

    Where networks are close to their optimum, training rows err as much to one side as held-out
    rows to the other. The correction is limited, because far from there this does not hold. The
    rest of the difference is a shortfall.
    """
    correction = min(gap / 2, MAX_CORRECTION * abs(found.value))
    found.value += correction
    found.spread = math.hypot(found.spread, correction / 2)
    found.shortfall = gap - correction


def neighbour_candidates(
    sides: list[Columns], draws: np.random.Generator
) -> list[tuple[str, Columns, float, Columns]]:
    """Compute estimates by nearest neighbours in few dimensions.

    Each has a name, pointwise values, their spread, and pointwise values without a correction.
    """
    scores = [normal_scores(side, draws) for side in sides]
    found = []
    if sum(side.shape[1] for side in scores) <= MAX_COLUMNS:
        found.append(("neighbours", *levelled_information(scores)))
    if max(side.shape[1] for side in scores) > 1:
        norms = [normal_scores(radii(side), draws) for side in scores]
        # The dependence of norms is smooth.
        near = neighbour_information(norms, MORE_NEIGHBOURS)
        found.append(("radii", near, 0.0, near))
    return found


def training_gap(curves: list[Curve]) -> tuple[float, float]:
    """Return the mean values on training and on held-out rows of the trained critics."""
    trained = [(c.training[max(c.kept) - 1], c.held_out) for c in curves if max(c.kept)]
    seen, unseen = np.mean(trained, axis=0) if trained else (0.0, 0.0)
    return float(seen), float(unseen)


def describe_limits(
    found: Found, n_columns: int, ceiling: float, seen: float, unseen: float
) -> list[str]:
    """Return the warning of an estimate, if there is one."""
    if found.value > ceiling:
        return [
            f"The estimate is {found.value:.2f} nats, more than {ceiling:.2f}, the log of the "
            f"{math.exp(ceiling):.0f} rows held out at a time. No sample of that size supports a "
            "larger estimate, so this log is returned. The true value may be far larger; it is "
            "infinite for codes without noise. Pass more rows, or report the value as 'large'."
        ]
    if seen - unseen > max(GAP_NATS, GAP_SHARE * abs(seen)):
        return [
            f"The bound is {seen:.2f} nats on the training rows and {unseen:.2f} on held-out rows: "
            "the critics overfit, and the estimate may be too low. Pass more rows or fewer columns."
        ]
    if found.missed > 0:
        return [
            f"Products of columns explain {found.missed:.2f} nats that neither the normal copula "
            f"nor the critics find: the estimate of {found.value:.2f} nats is too low. Pass more "
            "rows."
        ]
    if len(found.pointwise) < ROWS_PER_COLUMN * n_columns:
        return [
            f"There are {len(found.pointwise)} rows and {n_columns} columns: with fewer than "
            f"{ROWS_PER_COLUMN} rows per column the estimate may be far off. Pass more rows."
        ]
    return []
