"""Conversion to float32 of values that would lose their differences by mere rounding."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skdim.inputs.items import Convert
from skdim.inputs.layout import Layout
from skdim.inputs.samples import ArraySamples, Samples
from skdim.inputs.standardise import NUMBERS_AT_ONCE, channel_statistics

# Rounding to float32 loses digits if the mean exceeds this number of standard deviations: at this
# limit, the error is 6e-5 standard deviations.
FAR = 1000.0
# Smaller standard deviations are near the subnormal numbers, of which float32 has fewer digits.
TINY = 1e-30
# Standard deviations below this share of the mean are rounding errors of float64.
NOISE = 1e-14

# Maximum number of samples whose values are compared.
COMPARED_ROWS = 2000


@dataclass(frozen=True)
class Conversion:
    """Subtract a centre and divide by a scale in float64, and round to float32.

    Parameters
    ----------
    centre, scale : ndarray of shape (n_features,)
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, statistics: NDArray[np.float64], layout: Layout) -> "Conversion":
        """Return the conversion of rows, from centres and scales (2, channels)."""
        return cls(*map(layout.per_feature, statistics))

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Convert rows (n, n_features)."""
        return ((as_given(rows) - self.centre) / self.scale).astype(np.float32)

    def undo(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return rows (n, n_features) in their own units."""
        return as_given(rows) * self.scale + self.centre


def as_given(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Return rows without rounding to float32."""
    return rows.astype(np.float64, copy=False)


def rounded(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Return rows rounded to float32."""
    return rows.astype(np.float32)


def find_conversion(samples: Samples) -> NDArray[np.float64] | None:
    """Find the channels, or columns of a table, that rounding to float32 would change too much.

    Return the centre and the scale of each channel, (2, channels), 0 and 1 for channels that are
    only rounded; or None if all are. Samples are read ``as_given``.
    """
    mean, scale = channel_statistics(samples)
    size = abs(mean)
    converted = (scale > NOISE * size) & ((size > FAR * scale) | (scale < TINY))
    if not converted.any():
        return None
    return np.stack([np.where(converted, mean, 0.0), np.where(converted, scale, 1.0)])


def find_equal_values(samples: Samples, convert: Convert) -> list[tuple[int, int, int]]:
    """Find the columns of a table in which most distinct values become equal.

    Return for each of them the column, and its numbers of distinct values, in at most 2,000 rows,
    before and after ``convert``. Samples are read ``as_given``.
    """
    if len(samples.layout.shape) > 1:
        return []
    n_max = min(COMPARED_ROWS, max(2, NUMBERS_AT_ONCE // samples.layout.n_features))
    numbers = samples.evenly_spaced(n_max)
    # Integers may have more digits than float64.
    if isinstance(samples, ArraySamples):
        given = samples.array[numbers.numpy()]
    else:
        given = samples[numbers].numpy()
    read = convert(given)
    # Standardisation subtracts the mean, too. Values are halved, since differences may overflow.
    mean = (read.mean(axis=0, dtype=np.float64) / 2).astype(np.float32)
    before, after = count_values(given), count_values(read / 2 - mean)
    lost = 2 * after < before
    if given.dtype.kind == "f":
        lost &= given.std(axis=0) > NOISE * abs(given.mean(axis=0))
    return [(int(i), int(before[i]), int(after[i])) for i in np.flatnonzero(lost)]


def count_values(rows: NDArray[Any]) -> NDArray[np.intp]:
    """Count the distinct values of each column."""
    ordered = np.sort(rows, axis=0)
    changes: NDArray[np.intp] = (ordered[1:] != ordered[:-1]).sum(axis=0)
    return changes + 1
