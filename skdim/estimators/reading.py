"""What a user gives as X: checked as scikit-learn does, and opened for reading."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data
from torch.utils.data import Dataset

from skdim.inputs import Stream, flatten_rows
from skdim.inputs.sources import StreamSource

__all__ = ["open_source"]


def open_source(
    estimator: Any, X: Any, *, at_least: int, reset: bool, pin: bool
) -> tuple[NDArray[Any] | StreamSource, tuple[int, ...]]:
    """Check X, and keep or compare the number and the names of its features.

    Parameters
    ----------
    estimator : object
        Gets ``n_features_in_`` and ``feature_names_in_``, or has them.
    X : array-like, Dataset or Stream
    at_least : int
        Samples that are needed.
    reset : bool
        Whether features are kept or compared.
    pin : bool
        Whether batches of a stream go to an accelerator of CUDA.

    Returns
    -------
    source : ndarray of shape (n, n_features), or StreamSource
        float32 or uint8.
    shape : tuple of int
        Shape of X as given.

    Raises
    ------
    ValueError, TypeError
        If X is not allowed.
    """
    if isinstance(X, Dataset):
        X = Stream(X)
    if isinstance(X, Stream):
        return open_stream(estimator, X, at_least=at_least, reset=reset, pin=pin)
    flat, shape = flatten_rows(X)
    # Numbers too large for float32 become infinite, and are refused as such.
    with np.errstate(over="ignore", invalid="ignore"):
        array = validate_data(
            estimator, flat, reset=reset, dtype=[np.float32, np.uint8], ensure_min_samples=at_least
        )
    return array, shape or array.shape


def open_stream(
    estimator: Any, stream: Stream, *, at_least: int, reset: bool, pin: bool
) -> tuple[StreamSource, tuple[int, ...]]:
    """Check a stream by its length and its first sample; the others are checked when read."""
    name = type(estimator).__name__
    if len(stream) < at_least:
        raise ValueError(
            f"X has {len(stream)} sample(s) while a minimum of {at_least} is required by {name}."
        )
    source = stream.source(pin=pin)
    n_features = math.prod(source.shape[1:])
    if n_features == 0:
        raise ValueError(f"X has 0 feature(s) while a minimum of 1 is required by {name}.")
    # One number, seen as a table: scikit-learn keeps its books and says what is wrong.
    table = np.broadcast_to(np.float32(0), (len(source), n_features))
    validate_data(estimator, table, reset=reset, skip_check_array=True)
    return source, source.shape
