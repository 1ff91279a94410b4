"""Information of normal copulas, corrected for bias, on the principal directions of variables."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.linalg import svd
from scipy.special import digamma
from sklearn.decomposition import PCA

from skdim.bounds import BOUNDS
from skdim.information.columns import Columns
from skdim.information.copulas import MIN_VARIANCE, NormalCritic, normal_information
from skdim.information.critics import critic_inputs, evaluate_critic

__all__ = ["bias", "fit_normal_copula", "nonlinear_information", "principal_scores"]

# Largest number of principal directions, and fewest rows for each.
MAX_DIRECTIONS, ROWS_PER_DIRECTION = 256, 5
# Ratio of the numbers of directions that are compared.
STEP = 1.5
# Standard deviations above zero, and nats, at which nonlinear dependence is certain.
CERTAIN, NOTICEABLE = 5.0, 0.01


def principal_scores(scores: list[Columns]) -> list[Columns]:
    """Project variables (n, d) of many columns to at most n / 5 principal directions.

    Of several numbers of directions, that with the largest information of the normal copula less
    its standard error is chosen. A variable of few columns is returned as it is.
    """
    n = len(scores[0])
    most = max(1, min(MAX_DIRECTIONS, n // ROWS_PER_DIRECTION))
    if max(side.shape[1] for side in scores) <= most:
        return scores
    many = [side.shape[1] > most for side in scores]
    sides = [
        PCA(most, whiten=True, random_state=0).fit_transform(side) if wide else side
        for side, wide in zip(scores, many, strict=True)
    ]
    whitened = [side if wide else whiten(side) for side, wide in zip(sides, many, strict=True)]
    bounds = {}
    for size in np.unique(np.geomspace(1, most, 2 + round(math.log(most, STEP))).astype(int)):
        x, z = (side[:, :size] if wide else side for side, wide in zip(whitened, many, strict=True))
        information, error = corrected_information(x, z)
        bounds[size] = information - error
    best = max(bounds, key=bounds.__getitem__)
    return [side[:, :best] if wide else side for side, wide in zip(sides, many, strict=True)]


def bias(dims: Sequence[int], n: int) -> float:
    """Return the bias of the information of sample correlations, of jointly normal variables.

    The expected log determinant of a Wishart matrix is known.

    References
    ----------
    Misra, Singh and Demchuk (2005), Estimation of the entropy of a multivariate normal
    distribution, Journal of Multivariate Analysis 92.
    """
    halves = digamma((n - np.arange(1, sum(dims) + 1)) / 2)
    return float((sum(halves[:d].sum() for d in dims) - halves.sum()) / 2)


def spread(dims: Sequence[int], n: int) -> float:
    """Return the standard deviation of the information of sample correlations of zero."""
    return math.sqrt(dims[0] * dims[1] / 2) / n


def corrected_information(x: Columns, z: Columns) -> tuple[float, float]:
    """Return the information of jointly normal whitened columns, less its bias, and its spread."""
    n, dims = len(x), (x.shape[1], z.shape[1])
    raw = normal_information(np.asarray(svd(x.T @ z / n, compute_uv=False)))
    return raw - bias(dims, n), spread(dims, n)


def fit_normal_copula(x: Columns, z: Columns) -> tuple[float, Columns, float]:
    """Estimate the mutual information of scores (n, d) by a normal copula, corrected for bias.

    Where variables are not jointly normal, the Donsker-Varadhan bound of the copula may be lower
    than its information; the lower one is returned. Also return pointwise values (n,), and the
    standard deviation of the information due to correlations of zero.
    """
    n, x, z = len(x), whiten(x), whiten(z)
    dims = (x.shape[1], z.shape[1])
    critic = NormalCritic(x.T @ z / n)
    pairs = [torch.from_numpy(side).float() for side in (x, z)]
    pointwise, bounds = evaluate_critic(critic, pairs, BOUNDS["dv"])
    value = min(critic.information, float(np.mean(bounds))) - bias(dims, n)
    return value, pointwise, spread(dims, n)


def nonlinear_information(scores: list[Columns]) -> float:
    """Return how much nonlinear regressions explain of what linear ones leave, in nats.

    Residuals of a linear regression of jointly normal variables are independent of the regressors,
    and so of their squares and products. The larger value of both directions is returned, or 0 if
    it is not certain. ``scores`` are those of both variables, (n, d).
    """
    n = len(scores[0])
    sides = [whiten(side) for side in scores]
    found = 0.0
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
            found = max(found, excess)
    return found


def whiten(columns: Columns, square: float = 0.0) -> Columns:
    """Return uncorrelated columns of unit variance that span the same directions.

    Directions far below the largest sum of squares, or ``square``, are left out.
    """
    left, sizes, _ = svd(columns - columns.mean(axis=0), full_matrices=False)
    return np.asarray(
        left[:, sizes**2 > MIN_VARIANCE * max(sizes[0] ** 2, square)] * np.sqrt(len(columns))
    )
