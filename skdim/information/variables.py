"""Conversion of arrays to numeric and discrete columns."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from skdim.information.columns import Columns, check_row_count, read_columns, to_array

__all__ = ["ROWS_PER_VALUE", "Discrete", "Labels", "Variable", "labels_of", "read_pair"]

Labels: TypeAlias = NDArray[np.intp]
Discrete: TypeAlias = str | bool | ArrayLike

# Fewest rows per distinct value for a column of integers to be discrete.
ROWS_PER_VALUE = 10


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
        return labels_of(self.codes)

    @property
    def encoded(self) -> Columns:
        """Numeric columns, and an indicator of each discrete value but the first of a column."""
        indicators = [np.eye(codes.max() + 1)[codes][:, 1:] for codes in self.codes.T]
        return np.hstack([self.numbers, *indicators])


def labels_of(codes: Labels) -> Labels:
    """Map the distinct rows of codes (n, d) to integers (n,) from 0."""
    return np.asarray(np.unique(codes, axis=0, return_inverse=True)[1]).reshape(len(codes))


def read_pair(
    x: ArrayLike | Tensor, z: ArrayLike | Tensor, discrete: Discrete
) -> tuple[Variable, Variable]:
    """Convert samples (n,) or (n, *axes) of two variables.

    ``discrete`` is for both; or a mask or indices for x; or a tuple for x and for z. Raise a
    ValueError if the numbers of rows differ, or if the values or ``discrete`` are not valid.
    """
    of_x: Discrete = discrete
    of_z: Discrete = discrete if isinstance(discrete, str | bool) else "auto"
    if isinstance(discrete, tuple):
        of_x, of_z = discrete
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
    array = to_array(values)
    if array.dtype.kind not in "buifOUS":
        return Variable(read_columns(array, name), np.empty((len(array), 0), np.intp))
    check_row_count(array, name)
    array = array.reshape(len(array), -1)
    mask = find_discrete(array, name, discrete)
    codes = [category_codes(column, name) for column in array[:, mask].T]
    numbers = array[:, ~mask].astype(np.float64)
    return Variable(
        read_columns(numbers, name) if numbers.size else numbers,
        np.stack(codes, axis=1) if codes else np.empty((len(array), 0), np.intp),
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
