"""Where a critic starts: the log ratio of a fitted normal copula.

Whoever has normal scores knows the best critic of jointly normal variables from their correlations
alone. A network then only learns what is not normal. The correlations are also tried without their
noise, since hundreds of small wrong ones cost more than they bring.
"""

import math

import numpy as np
import torch
from numpy.linalg import svd
from torch import Tensor, nn

from skdim.information.columns import Columns

__all__ = ["NormalCritic", "denoised", "whitening"]

# Directions this much narrower than the widest, or than a column without ties, whose variance is
# about 1, are rounding errors.
NARROW = 1e-9
# No correlation is taken to be nearer to 1.
LARGEST = 1 - 1e-6
# Rows behind every direction, so that a covariance is estimated and not memorised.
ROWS_PER_DIRECTION = 10


def whitening(columns: Columns) -> Columns:
    """Find the symmetric map (d, d) after which columns are uncorrelated and of variance 1.

    It moves each column as little as can be. Directions of no variance, and the narrowest ones
    where rows are few, are mapped to zero.

    Parameters
    ----------
    columns : ndarray of shape (n, d)
    """
    variances, directions = np.linalg.eigh(
        np.cov(columns, rowvar=False).reshape(2 * columns.shape[1:])
    )
    wide = variances > NARROW * max(variances[-1], 1.0)
    wide[: -max(1, len(columns) // ROWS_PER_DIRECTION)] = False
    directions = directions[:, wide]
    return np.asarray(directions / np.sqrt(variances[wide]) @ directions.T)


def denoised(correlations: Columns, n: int) -> dict[str, Columns]:
    """Return the correlations of whitened variables as they are, and what may be behind them.

    Parameters
    ----------
    correlations : ndarray of shape (dx, dz)
        Of n rows.
    n : int

    Returns
    -------
    dict of str to ndarray of shape (dx, dz)
        ``none``; ``all``, as given; ``few``, those above what the largest of as many would be by
        chance; ``low_rank``, with singular values shrunk as is best for a matrix plus noise.

    References
    ----------
    Donoho and Johnstone (1994), Ideal spatial adaptation by wavelet shrinkage. Gavish and Donoho
    (2017), Optimal shrinkage of singular values, arXiv:1405.7511.
    """
    by_chance = math.sqrt(2 * math.log(max(correlations.size, 1)) / n)
    left, values, right = svd(correlations, full_matrices=False)
    shrunk = shrink(values * math.sqrt(n), *correlations.shape) / math.sqrt(n)
    return {
        "none": np.zeros_like(correlations),
        "all": correlations,
        "few": np.where(np.abs(correlations) > by_chance, correlations, 0),
        "low_rank": (left * shrunk) @ right,
    }


def shrink(values: Columns, n_rows: int, n_columns: int) -> Columns:
    """Shrink singular values of a matrix plus noise of variance 1; to zero what noise can reach."""
    seen = values > math.sqrt(n_rows) + math.sqrt(n_columns)
    squares = np.square(values[seen]) - n_rows - n_columns
    shrunk = np.zeros_like(values)
    shrunk[seen] = np.sqrt(np.square(squares) - 4 * n_rows * n_columns) / values[seen]
    return shrunk


class NormalCritic(nn.Module):
    r"""Score pairs by the log ratio of jointly normal x and z, whose scores are a dot product.

    With C the correlations of whitened x and z and :math:`M = (1 - C C^T)^{-1}`,

    .. math:: T(x, z) = -\tfrac{1}{2} \ln \det (1 - C C^T) - \tfrac{1}{2} x^T (M - 1) x
        + x^T M C z - \tfrac{1}{2} z^T C^T M C z

    Parameters
    ----------
    correlations : ndarray of shape (dx, dz)
    """

    of_x: Tensor
    of_both: Tensor
    of_z: Tensor

    def __init__(self, correlations: Columns) -> None:
        super().__init__()
        left, values, right = svd(correlations, full_matrices=False)
        values = values.clip(max=LARGEST)
        between = (left * values) @ right
        precision = np.linalg.inv(np.eye(len(between)) - between @ between.T)
        self.x_dims, self.z_dims = between.shape
        self.information = float(-np.log1p(-np.square(values)).sum() / 2)
        matrices = {
            "of_x": precision - np.eye(len(between)),
            "of_both": precision @ between,
            "of_z": between.T @ precision @ between,
        }
        for name, matrix in matrices.items():
            self.register_buffer(name, torch.from_numpy(matrix).float())

    @property
    def size(self) -> int:
        """Length of the projections."""
        return self.of_both.shape[1] + 2

    def project_x(self, x: Tensor) -> Tensor:
        """Project x (n, dx): (n, size)."""
        alone = self.information - ((x @ self.of_x) * x).sum(1, keepdim=True) / 2
        return torch.cat([x @ self.of_both, alone, torch.ones_like(alone)], dim=1)

    def project_z(self, z: Tensor) -> Tensor:
        """Project z (n, dz): (n, size)."""
        alone = -((z @ self.of_z) * z).sum(1, keepdim=True) / 2
        return torch.cat([z, torch.ones_like(alone), alone], dim=1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Score x (n, dx) with z (m, dz): (n, m)."""
        return self.project_x(x) @ self.project_z(z).mT

    def log_likelihood(self, x: Tensor, z: Tensor) -> float:
        """Mean score of pairs (n, dx), (n, dz) drawn together."""
        return (self.project_x(x) * self.project_z(z)).sum(1).mean().item()
