"""Mutual information of numeric variables: the choice among a copula, networks and neighbours."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skdim.information.columns import Columns, drop_constant, normal_scores
from skdim.information.copula_information import fit_normal_copula, principal_scores
from skdim.information.critics import FittedCritic
from skdim.information.estimate import InformationEstimate, exceeds, standard_error
from skdim.information.fitting import Fold
from skdim.information.neighbours import MAX_COLUMNS, neighbour_information, radii

__all__ = ["numeric_information"]

# Gap between training and held-out value that is warned of: share of the training value, and nats.
GAP_SHARE, GAP_NATS = 0.5, 0.2
# Fewest rows per column without a warning.
ROWS_PER_COLUMN = 10


@dataclass
class Found:
    """An estimate so far.

    Parameters
    ----------
    method : str
    value : float
    pointwise : ndarray of shape (n,)
    spread : float
        Standard error in addition to that of the mean of the pointwise values.
    """

    method: str
    value: float
    pointwise: Columns
    spread: float = 0.0


def numeric_information(
    columns: list[Columns],
    folds: list[Fold],
    fit: Callable[[list[Columns]], list[FittedCritic]],
    draws: np.random.Generator,
    with_neighbours: bool,
) -> InformationEstimate:
    """Estimate the mutual information of numeric columns.

    Parameters
    ----------
    columns : list of two ndarrays of shape (n, d)
    folds : list of Fold
    fit : callable
        Maps the scores of both variables to a fitted critic for each fold.
    draws : Generator
        Breaks ties.
    with_neighbours : bool
        Whether to compare estimates by nearest neighbours.
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
    for method, near in neighbour_candidates(columns, draws) if with_neighbours else ():
        if exceeds(near, found.value, found.pointwise):
            found = Found(method, float(near.mean()), near)
    ceiling = math.log(min(len(fold.held_out) for fold in folds))
    seen, unseen = training_gap(fits)
    n_columns = sum(side.shape[1] for side in scores)
    return InformationEstimate(
        min(max(found.value, 0.0), ceiling),
        pointwise=found.pointwise,
        method=found.method,
        ceiling=ceiling,
        spread=found.spread,
        shortfall=max(seen - unseen, 0.0) if found.method == "critic" else 0.0,
        curve=[each.curve for each in fits],
        warnings=describe_limits(found, n_columns, ceiling, seen, unseen),
    )


def combine(scores: list[Columns], folds: list[Fold], fits: list[FittedCritic]) -> Found:
    """Add what networks find on held-out rows to the information of a normal copula."""
    base, trained = np.empty((2, len(scores[0])))
    for fold, each in zip(folds, fits, strict=True):
        base[fold.held_out], trained[fold.held_out] = each.copula, each.trained
    method, value, pointwise, spread = "copula", 0.0, np.zeros(len(base)), 0.0
    if base.mean() > standard_error(base):
        value, pointwise, spread = fit_normal_copula(*scores)
    else:
        base[:] = 0
    if exceeds(trained, base.mean(), base):
        value, pointwise, method = value + (trained - base).mean(), trained, "critic"
    # Where variables are nearly functions of each other, the copula's own bound is too low.
    if trained.mean() > value:
        return Found("critic", trained.mean(), trained)
    return Found(method, value, pointwise, spread)


def neighbour_candidates(
    sides: list[Columns], draws: np.random.Generator
) -> list[tuple[str, Columns]]:
    """Compute pointwise values by nearest neighbours in few dimensions."""
    scores = [normal_scores(drop_constant(side), draws) for side in sides]
    found = []
    if sum(side.shape[1] for side in scores) <= MAX_COLUMNS:
        found.append(("neighbours", neighbour_information(scores)))
    if max(side.shape[1] for side in scores) > 1:
        norms = [normal_scores(radii(side), draws) for side in scores]
        found.append(("radii", neighbour_information(norms)))
    return found


def training_gap(fits: list[FittedCritic]) -> tuple[float, float]:
    """Return the mean values on training and on held-out rows of the trained critics."""
    curves = [each.curve for each in fits]
    trained = [(c.training[max(c.kept) - 1], c.held_out) for c in curves if max(c.kept)]
    seen, unseen = np.mean(trained, axis=0) if trained else (0.0, 0.0)
    return float(seen), float(unseen)


def describe_limits(
    found: Found, n_columns: int, ceiling: float, seen: float, unseen: float
) -> list[str]:
    """Return the warnings of an estimate."""
    messages = []
    if found.value > ceiling:
        messages.append(
            f"The estimate is {found.value:.2f} nats, more than {ceiling:.2f}, the log of the "
            f"{math.exp(ceiling):.0f} rows held out at a time. No sample of that size supports a "
            "larger estimate, so this log is returned. The true value may be far larger; it is "
            "infinite for codes without noise. Pass more rows, or report the value as 'large'."
        )
    if not messages and seen - unseen > max(GAP_NATS, GAP_SHARE * abs(seen)):
        messages.append(
            f"The bound is {seen:.2f} nats on the training rows and {unseen:.2f} on held-out rows: "
            "the critics overfit, and the estimate may be too low. Pass more rows or fewer columns."
        )
    if not messages and len(found.pointwise) < ROWS_PER_COLUMN * n_columns:
        messages.append(
            f"There are {len(found.pointwise)} rows and {n_columns} columns: with fewer than "
            f"{ROWS_PER_COLUMN} rows per column the estimate may be far off. Pass more rows."
        )
    return messages
