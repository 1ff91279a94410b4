"""Arrays and tensors to columns of normal scores."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import Tensor

__all__ = ["Columns", "normal_scores", "read_columns", "those_that_vary"]

Columns: TypeAlias = NDArray[np.float64]


def read_columns(values: Any, name: str, *, least: int) -> Columns:
    """Read what a metric was given, one sample a row.

    Parameters
    ----------
    values : array-like or Tensor of shape (n,) or (n, *axes)
        Axes beyond the first are flattened.
    name : str
        What messages call it.
    least : int
        Fewest rows.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If there are too few rows, no columns, or values that are not finite numbers.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"{name} holds {array.dtype}; real numbers are needed. Encode categories as numbers, "
            "such as one column a category."
        )
    if array.ndim == 0 or len(array) < least:
        raise ValueError(
            f"{name} has shape {array.shape}; (n, d) with at least {least} rows is needed, so that "
            "some can be held out."
        )
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: no columns.")
    columns = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(columns).all():
        rows = np.flatnonzero(~np.isfinite(columns).all(axis=1))
        raise ValueError(
            f"{name} has NaN or infinity in {len(rows)} of {len(columns)} rows, the first of them "
            f"row {rows[0]}. Remove these rows, or fill them in."
        )
    return columns


def normal_scores(columns: Columns, draws: np.random.Generator | None = None) -> Columns:
    """Replace each number by the standard normal quantile of its rank in its column.

    Order within a column is all that remains of it. No strictly increasing map of a column changes
    the result. Columns that are constant say nothing and are left out.

    Parameters
    ----------
    columns : ndarray of shape (n, d)
    draws : Generator or None, default=None
        Draws an order for ties; without it, they share their mean rank.

    Returns
    -------
    ndarray of shape (n, at most d)
    """
    varying = those_that_vary(columns)
    ranks = rankdata(varying, axis=0) if draws is None else drawn_ranks(varying, draws)
    return np.asarray(ndtri((ranks - 0.5) / len(columns)), dtype=np.float64)


def those_that_vary(columns: Columns) -> Columns:
    """Leave out constant columns; by comparison, since their spread may be a rounding error."""
    return columns[:, columns.max(axis=0) > columns.min(axis=0)]


def drawn_ranks(columns: Columns, draws: np.random.Generator) -> Columns:
    """Rank each column, ties in an order drawn for that column alone."""
    orders = np.lexsort((draws.random(columns.shape), columns), axis=0)
    ranks = np.empty(columns.shape)
    np.put_along_axis(ranks, orders, np.arange(1.0, len(columns) + 1)[:, None], axis=0)
    return ranks
