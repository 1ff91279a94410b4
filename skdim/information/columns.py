"""Conversion of arrays and tensors to numeric and discrete columns, and to normal scores."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from torch import Tensor

Columns: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.intp]
Discrete: TypeAlias = str | bool | ArrayLike

# Fewest rows that an estimate is computed from.
MIN_ROWS = 20
# Fewest rows per distinct value for a column of integers to be discrete.
ROWS_PER_VALUE = 10
# Frequencies of the cosines of one column, shared among several columns. The first two are left
# out: a score and its square take their place.
MAX_FREQUENCY = 8


@dataclass(frozen=True)
class Variable:
    """Samples of a variable: numeric columns (n, d), and discrete ones, as integers from 0."""

    numbers: Columns
    codes: Labels

    @property
    def is_discrete(self) -> bool:
        """Whether there are no numeric columns."""
        return self.numbers.size == 0

    @property
    def labels(self) -> Labels:
        """Integers (n,) from 0, one for each combination of discrete values."""
        return combine_codes(self.codes)

    @property
    def encoded(self) -> Columns:
        """Numeric columns, and an indicator of each discrete value but the first of a column."""
        indicators = [np.eye(codes.max() + 1)[codes][:, 1:] for codes in self.codes.T]
        return np.hstack([self.numbers, *indicators])


def combine_codes(codes: Labels) -> Labels:
    """Map the distinct rows of codes (n, d) to integers (n,) from 0."""
    return np.asarray(np.unique(codes, axis=0, return_inverse=True)[1]).reshape(len(codes))


def to_array(values: ArrayLike | Tensor, name: str, kinds: str) -> NDArray[Any]:
    """Convert values to an array (n, *axes), those of a tensor with short floats to float64.

    Raise a ValueError, with the ``name`` of the parameter, if the kind of the dtype is not one of
    ``kinds``, or if there are fewer than 20 rows, or no columns.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.double() if values.is_floating_point() else values).numpy()
    array = np.asarray(values)
    if array.dtype.kind not in kinds:
        raise ValueError(
            f"{name} has dtype {array.dtype}; real numbers are needed. Encode categories as "
            "numbers, for example one column per category."
        )
    if array.ndim == 0 or len(array) < MIN_ROWS:
        raise ValueError(
            f"{name} has shape {array.shape}; shape (n, d) with at least {MIN_ROWS} rows is "
            "needed, because some rows are held out."
        )
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; at least one column is needed.")
    return array


def read_columns(values: ArrayLike | Tensor, name: str) -> Columns:
    """Convert values (n,) or (n, *axes) to finite columns (n, d), later axes flattened.

    Raise a ValueError, with the ``name`` of the parameter, if there are fewer than 20 rows, no
    columns, or values that are not finite real numbers.
    """
    array = to_array(values, name, "buif")
    columns = array.reshape(len(array), -1).astype(np.float64)
    rows = np.flatnonzero(~np.isfinite(columns).all(axis=1))
    if rows.size:
        raise ValueError(
            f"{name} contains NaN or infinity in {len(rows)} of {len(columns)} rows, first in row "
            f"{rows[0]}. Remove or impute these rows."
        )
    return columns


def read_pair(
    x: ArrayLike | Tensor, z: ArrayLike | Tensor, discrete: Discrete
) -> tuple[Variable, Variable]:
    """Convert samples (n,) or (n, *axes) of two variables.

    ``discrete`` is for both; or a mask or indices for x; or a tuple for x and for z. Raise a
    ValueError if the numbers of rows differ, or if the values or ``discrete`` are not valid.
    """
    alone = (discrete, discrete if isinstance(discrete, str | bool) else "auto")
    of_x, of_z = discrete if isinstance(discrete, tuple) else alone
    pair = read_variable(x, "x", of_x), read_variable(z, "z", of_z)
    n, n_z = (len(side.numbers) for side in pair)
    if n != n_z:
        raise ValueError(
            f"x has {n} rows and z has {n_z}. Both must have the same number of rows, and row i of "
            "x must belong to row i of z."
        )
    return pair


def read_variable(values: ArrayLike | Tensor, name: str, discrete: Discrete) -> Variable:
    """Convert the samples of one variable."""
    array = to_array(values, name, "buifOUS")
    array = array.reshape(len(array), -1)
    mask = find_discrete(array, name, discrete)
    codes = [category_codes(column, name) for column in array[:, mask].T]
    numbers = array[:, ~mask].astype(np.float64)
    return Variable(
        read_columns(numbers, name) if numbers.size else numbers,
        np.array(codes, np.intp).reshape(len(codes), len(array)).T,
    )


def find_discrete(array: NDArray[Any], name: str, discrete: Discrete) -> NDArray[np.bool_]:
    """Return the mask of the discrete columns of an array (n, d)."""
    mask = np.zeros(array.shape[1], dtype=bool)
    if isinstance(discrete, bool):
        return mask | discrete
    if not isinstance(discrete, str):
        try:
            mask[np.asarray(discrete)] = True
        except IndexError as error:
            raise ValueError(
                f"discrete={discrete!r} does not match the {len(mask)} columns of {name}: {error}. "
                "Pass 'auto', a bool, or a mask or indices of the columns."
            ) from error
        return mask
    if discrete != "auto":
        raise ValueError(
            f"discrete={discrete!r} is not valid. Pass 'auto', a bool, or a mask or indices of the "
            "columns; or a tuple of two of these, for x and for z."
        )
    if array.dtype.kind in "OUS":
        return np.array([is_category(column) for column in array.T])
    if len(mask) == 1:
        return mask | (array.dtype.kind in "bui" and few_values(array))
    # Indicators of the values of one category.
    return mask | bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def is_category(column: NDArray[Any]) -> bool:
    """Whether a column of objects or strings does not consist of numbers."""
    if all(isinstance(value, bool | int | np.integer) for value in column):
        return few_values(column)
    return not all(isinstance(value, Real) for value in column)


def few_values(values: NDArray[Any]) -> bool:
    """Whether there are ten rows for each distinct value."""
    return len(np.unique(values)) * ROWS_PER_VALUE <= len(values)


def category_codes(column: NDArray[Any], name: str) -> Labels:
    """Map the distinct values of a column to integers from 0."""
    missing = [row for row, value in enumerate(column) if value is None or value != value]
    if missing:
        raise ValueError(
            f"{name} has no value in {len(missing)} of {len(column)} rows of a discrete column, "
            f"first in row {missing[0]}. Remove these rows or make them a category of their own."
        )
    if column.dtype == object:
        column = column.astype(str)
    return np.asarray(np.unique(column, return_inverse=True)[1])


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
        ranks = np.argsort(orders, axis=0) + 1.0
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
