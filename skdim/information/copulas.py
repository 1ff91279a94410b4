"""The normal copula behind normal scores."""

import math

import numpy as np

from skdim.information.columns import Columns

__all__ = ["fit_copula", "log_ratios"]

SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def log_ratios(copula: Columns, scores: Columns) -> Columns:
    """Log density of a normal copula (d, d) at normal scores (n, d), over that of shuffled ones."""
    root = np.linalg.cholesky(copula)
    lengths = np.square(np.linalg.solve(root, scores.T)).sum(axis=0)
    return np.asarray((np.square(scores).sum(axis=1) - lengths) / 2 - np.log(np.diag(root)).sum())


def fit_copula(scores: Columns) -> Columns:
    """Fit a correlation matrix: as seen, without what may be chance, or drawn to a plain one.

    Hundreds of small correlations that are wrong cost more than they bring. The last fifth of the
    rows judges what the others give; then all give it.

    Parameters
    ----------
    scores : ndarray of shape (n, d)

    Returns
    -------
    ndarray of shape (d, d)
        Has an inverse.

    References
    ----------
    Ledoit and Wolf (2004), Honey, I shrunk the sample covariance matrix.
    """
    cut = len(scores) * 4 // 5
    tried = [with_inverse(copula, cut) for copula in candidates(scores[:cut])]
    best = int(np.argmax([log_ratios(copula, scores[cut:]).mean() for copula in tried]))
    return with_inverse(candidates(scores)[best], len(scores))


def candidates(scores: Columns) -> list[Columns]:
    """Return the correlation matrices (d, d) that may be behind some rows."""
    d = scores.shape[1]
    seen: Columns = np.corrcoef(scores, rowvar=False).reshape(d, d).astype(np.float64)
    off = np.eye(d) == 0
    by_chance = math.sqrt(2 * math.log(off.sum()) / len(scores))
    targets = [np.eye(d), np.where(off, seen[off].mean(), 1.0)]
    return [
        np.where(off & (np.abs(seen) < by_chance), 0, seen),
        *(seen + share * (target - seen) for target in targets for share in SHARES),
    ]


def with_inverse(copula: Columns, n: int) -> Columns:
    """Shrink a correlation matrix until no direction is narrower than the step between n ranks."""
    least, wanted = np.linalg.eigvalsh(copula)[0], n**-2
    if least >= wanted:
        return copula
    share = (wanted - least) / (1 - least)
    return np.asarray((1 - share) * copula + share * np.eye(len(copula)))
