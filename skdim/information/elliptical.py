"""Total correlation of coordinates that share a scale, as those of Student's t do."""

import math

import numpy as np
from scipy.special import gammaln
from scipy.stats import gaussian_kde, t

from skdim.information.columns import Columns
from skdim.information.copulas import fit_copula
from skdim.information.fitting import Fold
from skdim.information.neighbours import heavy_tailed

__all__ = ["elliptical_information"]

# Degrees of freedom of Student's t that are compared.
DEGREES = (1, 2, 3, 5, 10)
# Smallest standard deviation of a score, given those before it, that ranks resolve safely.
MIN_DEVIATION = 0.01
# Largest number of norms that a density is estimated from.
MAX_NORMS = 4000


def elliptical_information(scores: Columns, folds: list[Fold]) -> Columns:
    """Compute the pointwise total correlation of an elliptical density on held-out rows.

    The density of the scores, mapped to Student's t, depends on a norm alone, whose density is
    estimated from the other rows. Its expected log-likelihood is at most that of the true density.

    Parameters
    ----------
    scores : ndarray of shape (n, d)
        Normal scores.
    folds : list of Fold

    Returns
    -------
    ndarray of shape (n,)
        Its mean is the estimate, too low where the density is not elliptical. Zeros where a
        coordinate is nearly a linear function of those before it.
    """
    roots = [np.asarray(np.linalg.cholesky(fit_copula(scores[fold.training]))) for fold in folds]
    if min(np.diag(root).min() for root in roots) < MIN_DEVIATION:
        return np.zeros(len(scores))
    return max((elliptical_ratios(scores, folds, roots, each) for each in DEGREES), key=np.mean)


def elliptical_ratios(
    scores: Columns, folds: list[Fold], roots: list[Columns], degrees: int
) -> Columns:
    """Compute log ratios (n,) of the elliptical density to the product of its margins."""
    d = scores.shape[1]
    heavy = heavy_tailed(scores, degrees)
    # Log area of the unit sphere.
    area = math.log(2) + d / 2 * math.log(math.pi) - gammaln(d / 2)
    result = -t(degrees).logpdf(heavy).sum(axis=1) - area
    for fold, root in zip(folds, roots, strict=True):
        logs = np.log(np.linalg.norm(np.linalg.solve(root, heavy.T), axis=0))
        density = gaussian_kde(logs[fold.training[:MAX_NORMS]])
        rows = fold.held_out
        result[rows] += density.logpdf(logs[rows]) - d * logs[rows] - np.log(np.diag(root)).sum()
    return np.asarray(result)
