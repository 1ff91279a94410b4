"""Normal copulas fitted to normal scores, with regularised correlations.

The correlations of normal scores determine the optimal critic and the density of jointly normal
variables, so a network only has to learn deviations from them. Several regularised estimates of
the correlations are compared, because the errors of hundreds of small correlations add up.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.linalg import svd
from scipy.special import digamma
from torch import Tensor, nn

from skdim.critics import AbstractCritic
from skdim.information.columns import Columns

# Variances below this share of the largest one, or of 1 (about the variance of a column without
# ties), are treated as rounding errors.
MIN_VARIANCE = 1e-9
# Canonical correlations are clipped to this value.
MAX_CORRELATION = 1 - 1e-6
# Fewest rows per direction that whitening keeps, so that a covariance is not overfitted.
ROWS_PER_DIRECTION = 10
# Largest absolute value, in nats, that a network adds to the score of the normal copula. Without a
# bound, the score of a pair of rare values that no false pair of a batch repeats grows forever.
MAX_ADDED = 10.0
# Shares by which correlations are shrunk to a target.
SHRINKAGE = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def whitening_matrix(columns: Columns) -> Columns:
    """Compute the symmetric matrix (d, d) that whitens columns (n, d).

    Of all whitening matrices it changes each column least. Directions without variance, and the
    directions of lowest variance where there are few rows, are mapped to zero.
    """
    variances, directions = np.linalg.eigh(
        np.cov(columns, rowvar=False).reshape(2 * columns.shape[1:])
    )
    wide = variances > MIN_VARIANCE * max(variances[-1], 1.0)
    wide[: -max(1, len(columns) // ROWS_PER_DIRECTION)] = False
    directions = directions[:, wide]
    return np.asarray(directions / np.sqrt(variances[wide]) @ directions.T)


def denoise_correlations(correlations: Columns, n: int) -> dict[str, Columns]:
    """Return regularised estimates (dx, dz) of the correlations of whitened variables of n rows.

    ``none``: zeros. ``all``: the sample correlations. ``few``: only those above the universal
    threshold. ``low_rank``: singular values shrunk optimally for a matrix plus noise.

    References
    ----------
    Donoho and Johnstone (1994), Ideal spatial adaptation by wavelet shrinkage. Gavish and Donoho
    (2017), Optimal shrinkage of singular values, arXiv:1405.7511.
    """
    threshold = math.sqrt(2 * math.log(max(correlations.size, 1)) / n)
    n_rows, n_columns = correlations.shape
    left, values, right = svd(correlations, full_matrices=False)
    # The noise has variance 1; singular values within it are shrunk to zero.
    values = values * math.sqrt(n)
    above_noise = values > math.sqrt(n_rows) + math.sqrt(n_columns)
    squares = np.square(values[above_noise]) - n_rows - n_columns
    shrunk = np.zeros_like(values)
    shrunk[above_noise] = np.sqrt(np.square(squares) - 4 * n_rows * n_columns) / values[above_noise]
    return {
        "none": np.zeros_like(correlations),
        "all": correlations,
        "few": np.where(np.abs(correlations) > threshold, correlations, 0),
        "low_rank": (left * (shrunk / math.sqrt(n))) @ right,
    }


def normal_information(correlations: Columns) -> float:
    """Return the mutual information of jointly normal variables of canonical correlations (d,)."""
    return float(-np.log1p(-np.square(correlations.clip(max=MAX_CORRELATION))).sum() / 2)


def copula_bias(dims: Sequence[int], n: int) -> float:
    """Return the bias of the information of sample correlations, of jointly normal variables.

    The expected log determinant of a Wishart matrix is known.

    References
    ----------
    Misra, Singh and Demchuk (2005), Estimation of the entropy of a multivariate normal
    distribution, Journal of Multivariate Analysis 92.
    """
    halves = digamma((n - np.arange(1, sum(dims) + 1)) / 2)
    return float((sum(halves[:d].sum() for d in dims) - halves.sum()) / 2)


class CopulaCritic(AbstractCritic):
    r"""Score pairs by the log density ratio of jointly normal x and z, plus a bounded network.

    With C the correlations of whitened x and z and :math:`M = (1 - C C^T)^{-1}`, the ratio is

    .. math:: T(x, z) = -\tfrac{1}{2} \ln \det (1 - C C^T) - \tfrac{1}{2} x^T (M - 1) x
        + x^T M C z - \tfrac{1}{2} z^T C^T M C z

    x and z are the first columns of the code and of the local feature. ``shift`` is added to all
    scores: the difference between the optimal critic of a bound and the log density ratio. Only
    the network is trained.
    """

    def __init__(
        self, correlations: Columns, shift: float = 0.0, network: AbstractCritic | None = None
    ) -> None:
        super().__init__()
        left, values, right = svd(correlations, full_matrices=False)
        values = values.clip(max=MAX_CORRELATION)
        between = (left * values) @ right
        identity = np.eye(len(between))
        precision = np.linalg.inv(identity - between @ between.T)
        self.information = normal_information(values)
        self.shift = shift
        self.network = network
        if network is not None:
            self.pair_floats = 1 + network.pair_floats
        self.of_x = nn.Buffer(torch.from_numpy(precision - identity).float())
        self.of_both = nn.Buffer(torch.from_numpy(precision @ between).float())
        self.of_z = nn.Buffer(torch.from_numpy(between.T @ precision @ between).float())

    def project_code(self, code: Tensor) -> Tensor:
        """Project x, and the code by the network, to (n, 1, u)."""
        x = code[:, : len(self.of_x)]
        alone = self.information - ((x @ self.of_x) * x).sum(1, keepdim=True) / 2
        parts = [torch.cat([x @ self.of_both, alone, torch.ones_like(alone)], dim=1)[:, None]]
        if self.network is not None:
            parts.append(self.network.project_code(code))
        return torch.cat(parts, dim=2)

    def project_local(self, local: Tensor) -> Tensor:
        """Project z, and the local feature by the network, to (n, 1, u)."""
        z = local[:, : len(self.of_z)]
        alone = -((z @ self.of_z) * z).sum(1, keepdim=True) / 2
        parts = [torch.cat([z, torch.ones_like(alone), alone], dim=1)[:, None]]
        if self.network is not None:
            parts.append(self.network.project_local(local))
        return torch.cat(parts, dim=2)

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*b, g, u) with (*b, l, u); the result has shape (*b, g, l)."""
        size = len(self.of_z) + 2
        scores = code[..., :size] @ local[..., :size].mT + self.shift
        if self.network is None:
            return scores
        added = self.network.join(code[..., size:], local[..., size:])
        return scores + MAX_ADDED * torch.tanh(added / MAX_ADDED)

    def log_likelihood(self, x: Tensor, z: Tensor) -> float:
        """Compute the mean score of the pairs (x[i], z[i]), of shapes (n, dx) and (n, dz)."""
        return (self.project_code(x) * self.project_local(z)).sum(2).mean().item()


def log_copula_density(correlations: Columns, scores: Columns) -> Columns:
    """Compute the log density of a normal copula (d, d) at normal scores (n, d)."""
    root = np.linalg.cholesky(correlations)
    lengths = np.square(np.linalg.solve(root, scores.T)).sum(axis=0)
    return np.asarray((np.square(scores).sum(axis=1) - lengths) / 2 - np.log(np.diag(root)).sum())


def fit_copula(scores: Columns) -> Columns:
    """Fit an invertible correlation matrix (d, d) to normal scores (n, d).

    The candidates are the sample correlations thresholded, and shrunk to the identity or to equal
    correlations by several shares. The last fifth of the rows selects among candidates computed
    from the others; the selected one is then computed from all rows.

    References
    ----------
    Ledoit and Wolf (2004), Honey, I shrunk the sample covariance matrix.
    """
    cut = len(scores) * 4 // 5
    tried = [make_invertible(candidate, cut) for candidate in copula_candidates(scores[:cut])]
    best = int(np.argmax([log_copula_density(matrix, scores[cut:]).mean() for matrix in tried]))
    return make_invertible(copula_candidates(scores)[best], len(scores))


def copula_candidates(scores: Columns) -> list[Columns]:
    """Return regularised sample correlations, each (d, d)."""
    d = scores.shape[1]
    sample: Columns = np.corrcoef(scores, rowvar=False).reshape(d, d).astype(np.float64)
    off_diagonal = np.eye(d) == 0
    threshold = math.sqrt(2 * math.log(off_diagonal.sum()) / len(scores))
    targets = [np.eye(d), np.where(off_diagonal, sample[off_diagonal].mean(), 1.0)]
    return [
        np.where(off_diagonal & (np.abs(sample) < threshold), 0, sample),
        *(sample + share * (target - sample) for target in targets for share in SHRINKAGE),
    ]


def make_invertible(correlations: Columns, n: int) -> Columns:
    """Shrink a correlation matrix until no eigenvalue is below 1 / n**2, the step between ranks."""
    smallest, wanted = np.linalg.eigvalsh(correlations)[0], n**-2
    if smallest >= wanted:
        return correlations
    share = (wanted - smallest) / (1 - smallest)
    return np.asarray((1 - share) * correlations + share * np.eye(len(correlations)))
