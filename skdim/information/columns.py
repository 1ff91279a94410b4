"""Conversion of arrays and tensors to columns of normal scores."""

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from torch import Tensor

__all__ = [
    "Columns",
    "check_row_count",
    "drop_constant",
    "normal_scores",
    "rank_cosines",
    "read_columns",
    "to_array",
]

Columns: TypeAlias = NDArray[np.float64]

# Fewest rows that an estimate is computed from.
MIN_ROWS = 20
# Frequencies of the cosines of one column, shared among several columns. The first two are left
# out: a score and its square take their place.
MAX_FREQUENCY = 8


def to_array(values: ArrayLike | Tensor) -> NDArray[Any]:
    """Convert values to an array, those of a tensor with short floats to float64."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    return np.asarray(values)


def check_row_count(array: NDArray[Any], name: str) -> None:
    """Raise a ValueError if there are fewer than 20 rows, or no columns."""
    if array.ndim == 0 or len(array) < MIN_ROWS:
        raise ValueError(
            f"{name} has shape {array.shape}; shape (n, d) with at least {MIN_ROWS} rows is "
            "needed, because some rows are held out."
        )
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; at least one column is needed.")


def read_columns(values: ArrayLike | Tensor, name: str) -> Columns:
    """Convert values (n,) or (n, *axes) to finite columns (n, d), later axes flattened.

    Raise a ValueError, with the ``name`` of the parameter, if there are fewer than 20 rows, no
    columns, or values that are not finite real numbers.
    """
    array = to_array(values)
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"{name} has dtype {array.dtype}; real numbers are needed. Encode categories as "
            "numbers, for example one column per category."
        )
    check_row_count(array, name)
    columns = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(columns).all():
        rows = np.flatnonzero(~np.isfinite(columns).all(axis=1))
        raise ValueError(
            f"{name} contains NaN or infinity in {len(rows)} of {len(columns)} rows, first in row "
            f"{rows[0]}. Remove or impute these rows."
        )
    return columns


def normal_scores(columns: Columns, draws: np.random.Generator | None = None) -> Columns:
    """Replace each number of columns (n, d) by the standard normal quantile of its rank.

    The result does not change under strictly increasing maps of a column. Constant columns carry no
    information and are left out. Tied values share their mean rank, or are ordered at random by
    ``draws``, in each column separately.
    """
    varying = drop_constant(columns)
    if draws is None:
        ranks = rankdata(varying, axis=0)
    else:
        orders = np.lexsort((draws.random(varying.shape), varying), axis=0)
        ranks = np.empty(varying.shape)
        np.put_along_axis(ranks, orders, np.arange(1.0, len(varying) + 1)[:, None], axis=0)
    return np.asarray(ndtri((ranks - 0.5) / len(columns)), dtype=np.float64)


def drop_constant(columns: Columns) -> Columns:
    """Return the columns that are not constant, compared exactly.

    The standard deviation of a constant column may be a rounding error instead of zero.
    """
    return columns[:, columns.max(axis=0) > columns.min(axis=0)]


def rank_cosines(scores: Columns) -> list[Columns]:
    """Compute cosines of the ranks of normal scores (n, d), each (n, d); none for large d."""
    ranks = ndtr(scores)
    return [
        np.asarray(math.sqrt(2) * np.cos(math.pi * frequency * ranks))
        for frequency in range(3, MAX_FREQUENCY // scores.shape[1] + 1)
    ]
