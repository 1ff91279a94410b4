"""Estimates from distances to nearest neighbours, for few columns."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import digamma, ndtr
from scipy.stats import t

from skdim.information.columns import Columns
from skdim.information.estimate import standard_error

# Number of neighbours. Fewer have a smaller bias where variables depend strongly.
N_NEIGHBOURS = 3
# Number of neighbours for estimates from norms.
MORE_NEIGHBOURS = 12
# Largest number of neighbours of an estimate corrected for their distance: more have less variance.
# The estimate is compared with that of FACTOR times as many.
EXTRAPOLATED_NEIGHBOURS, FACTOR = 6, 4
# Fewest rows per neighbour where there are more than N_NEIGHBOURS.
ROWS_PER_NEIGHBOUR = 50
# Largest number of columns for which neighbours are near.
MAX_COLUMNS = 4
# Degrees of freedom of the distribution that norms are computed in.
DEGREES = 2


def extrapolated_information(blocks: list[Columns]) -> tuple[Columns, float, Columns]:
    """Compute the pointwise total correlation (n,) of blocks of columns, corrected for its bias.

    If the estimate is lower with more neighbours, which are farther away, distances bias it, about
    in proportion to the root of the number of neighbours. The line is extended to zero neighbours,
    as far as the difference exceeds its standard error.

    Also return half of the difference between both numbers of neighbours, which is the error of the
    correction, and the lower of both estimates (n,). The latter has less variance than the
    corrected one, and should exceed another estimate before the corrected one replaces it.
    """
    k = min(EXTRAPOLATED_NEIGHBOURS, max(N_NEIGHBOURS, len(blocks[0]) // ROWS_PER_NEIGHBOUR))
    few, more = (neighbour_information(blocks, n) for n in (k, FACTOR * k))
    fall = float(few.mean() - more.mean())
    uncorrected = more if fall > 0 else few
    return few + max(fall - standard_error(few - more), 0.0), abs(fall) / 2, uncorrected


def neighbour_information(blocks: list[Columns], n_neighbours: int = N_NEIGHBOURS) -> Columns:
    """Compute the pointwise total correlation (n,) of blocks of columns, by nearest neighbours.

    That of two blocks is their mutual information. The columns (n, d_i) have no ties, and no row is
    its own neighbour.

    References
    ----------
    Kraskov, Stögbauer and Grassberger (2004), Estimating mutual information, equations 8 and 23,
    arXiv:cond-mat/0305641.
    """
    joint = np.hstack(blocks)
    # The distance to the k-th neighbour is excluded from the counts.
    radii = np.nextafter(distances_to_neighbour(joint, n_neighbours), 0)
    counts = [count_within(block, block, radii) for block in blocks]
    constant = digamma(n_neighbours) + (len(blocks) - 1) * digamma(len(joint))
    return np.asarray(constant - sum(digamma(count) for count in counts))


def class_information(x: Columns, labels: NDArray[np.intp]) -> Columns:
    """Compute the pointwise mutual information (n,) of columns and labels, by nearest neighbours.

    Labels are integers from 0. The values of labels of three rows or less are 0.

    References
    ----------
    Ross (2014), Mutual information between discrete and continuous data sets, PLoS ONE 9(2).
    """
    sizes = np.bincount(labels)
    result = np.zeros(len(x))
    for label in np.flatnonzero(sizes > N_NEIGHBOURS):
        own = x[labels == label]
        counts = count_within(x, own, distances_to_neighbour(own, N_NEIGHBOURS))
        ratio = digamma(len(x)) - digamma(sizes[label])
        # The row itself is counted.
        result[labels == label] = ratio + digamma(N_NEIGHBOURS) - digamma(counts - 1)
    return result


def distances_to_neighbour(points: Columns, n_neighbours: int) -> Columns:
    """Return the largest coordinate difference to the k-th neighbour, shape (n,)."""
    distances, _ = cKDTree(points).query(points, k=[n_neighbours + 1], p=np.inf)
    return np.asarray(distances[:, 0])


def count_within(points: Columns, centres: Columns, radii: Columns) -> NDArray[np.intp]:
    """Count the points (n, d) within a distance of each centre (m, d), the centre included."""
    if points.shape[1] == 1:
        ordered = np.sort(points[:, 0])
        last = np.searchsorted(ordered, centres[:, 0] + radii, side="right")
        return np.asarray(last - np.searchsorted(ordered, centres[:, 0] - radii))
    counts = cKDTree(points).query_ball_point(centres, radii, p=np.inf, return_length=True)
    return np.asarray(counts)


def radii(scores: Columns) -> Columns:
    """Return the norms (n, 1) of normal scores, mapped to a heavy-tailed distribution."""
    return np.asarray(np.linalg.norm(heavy_tailed(scores), axis=1, keepdims=True))


def heavy_tailed(scores: Columns, degrees: int = DEGREES) -> Columns:
    """Map normal scores to Student's t of some degrees of freedom."""
    return np.asarray(t(degrees).ppf(ndtr(scores)))
