"""What a user gives: parameters, X and y, checked as scikit-learn does."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from torch import nn
from torch.utils.data import Dataset

from skdim.encoders import ENCODERS, LAYERS
from skdim.estimators.build import OPTIMIZERS
from skdim.inputs import (
    NUMBERS_AT_ONCE,
    ArraySamples,
    Conversion,
    Layout,
    Samples,
    Standardise,
    Stream,
    as_given,
    find_conversion,
    find_equal_values,
    find_map,
    flatten_rows,
    rounded,
    separate_looks,
)
from skdim.parameters import (
    any_of,
    boolean,
    choice,
    instance,
    integer,
    is_callable,
    list_of_callbacks,
    none,
    one_of_numbers,
    path,
    real,
    sequence_of_sides,
    shown,
    stacklevel_of_user,
)
from skdim.training import PRECISIONS, SCHEDULES
from skdim.views import VIEWS

__all__ = [
    "COMMON_RULES",
    "NestedParametersMixin",
    "choose_conversion",
    "open_looks",
    "open_samples",
    "sample_numbers",
    "warn_of_units",
]

# Quotient of root mean squares beyond which units differ: between bytes and shares, it is 255. Most
# samples to compute it of.
OTHER_UNITS = 100
COMPARED = 64

COMMON_RULES = {
    "n_components": integer(1),
    "image_shape": any_of(sequence_of_sides(), none()),
    "channel_axis": any_of(one_of_numbers(1, -1), none()),
    "encoder": any_of(
        choice(["auto", *ENCODERS]),
        instance("a torch.nn.Module", nn.Module),
        is_callable("a callable (input_shape, n_components) -> torch.nn.Module"),
    ),
    "output": choice(LAYERS),
    "view": any_of(
        choice(["auto", *VIEWS]), none(), is_callable("a callable (x, generator) -> looks")
    ),
    "max_epochs": any_of(integer(0), choice(["auto"])),
    "batch_size": integer(2),
    "learning_rate": real(0, low_open=True),
    "optimizer": any_of(
        choice(["auto", *OPTIMIZERS]), is_callable("a torch.optim.Optimizer class")
    ),
    "schedule": any_of(choice(SCHEDULES), is_callable("a callable (share of the steps) -> factor")),
    "validation_fraction": any_of(real(0, 1, low_open=True), none()),
    "early_stopping": boolean(),
    "n_iter_no_change": integer(1),
    "tol": real(0),
    "warm_start": boolean(),
    "random_state": any_of(
        integer(0, 2**32 - 1),
        instance("a numpy.random.RandomState", np.random.RandomState),
        none(),
    ),
    "device": any_of(instance("a device name", str), instance("a torch.device", torch.device)),
    "precision": choice(PRECISIONS),
    "compile": any_of(boolean(), choice(["default", "reduce-overhead", "max-autotune"])),
    "callbacks": any_of(list_of_callbacks(), none()),
    "verbose": any_of(integer(0), boolean()),
    "checkpoint_dir": any_of(path(), none()),
    "checkpoint_every": integer(1),
}


# What None stands for in parameters whose own parameters can be set.
STANDS_FOR = {
    "objective": "InfoMax()",
    "transformer": 'DeepInfoMaxTransformer(output="hidden")',
}


class NestedParametersMixin(BaseEstimator):
    """Raise an error that names the way where parameters of None are set."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and those of parameters as ``NAME__OF_IT``.

        Raises
        ------
        ValueError
            If there is no such parameter, or it is one of None.
        """
        for name in params:
            owner, nested, _ = name.partition("__")
            value = params.get(owner, getattr(self, owner, self))
            if nested and owner in STANDS_FOR and value is None:
                raise ValueError(
                    f"{name} cannot be set: {owner}=None of {type(self).__name__} has no "
                    f"parameters. Set what it stands for first, {owner}={STANDS_FOR[owner]}."
                )
        result: Self = super().set_params(**params)
        return result


def open_looks(estimator: BaseEstimator, X: Any, expected: int | None) -> tuple[Any, int]:
    """Return all looks in X as samples, and how many there are at each sample.

    ``expected`` is how many there must be, else a ValueError is raised; None allows any number.
    """
    X, n_looks = separate_looks(X, estimator.channel_axis)
    name = type(estimator).__name__
    if expected == 1 < n_looks:
        raise ValueError(
            f"X holds {n_looks} looks at each sample, but {name} takes single samples here. Give "
            "one look at each, such as X[:, 0] of an array or X.data[0] of a PairedDataset."
        )
    if expected not in (None, n_looks):
        raise ValueError(
            f"X holds {n_looks} look(s) at each sample, but {name} was fitted on {expected} looks. "
            f"Give an array of shape (n, {expected}, ...) or a skdim.inputs.PairedDataset."
        )
    return X, n_looks


def open_samples(
    estimator: BaseEstimator,
    X: ArrayLike,
    *,
    at_least: int,
    n_looks: int,
    fitted: Layout | None,
    hold: bool,
) -> tuple[Callable[..., Samples], tuple[int, ...], np.dtype[Any]]:
    """Check X, all looks as samples, and return ``make``, and its shape and dtype as given.

    ``make(layout, device, labels=..., convert=...)`` returns the samples, float32 or uint8. The
    number and the names of features are compared with those of the estimator, and shapes with the
    ``fitted`` layout; if that is None, the estimator gets them. ``hold`` is whether to move an
    array in memory to the device at once.
    """
    if isinstance(X, Dataset):
        X = Stream(X)
    if isinstance(X, Stream):
        check_count_of_samples(estimator, len(X), at_least, n_looks)
        return open_stream(estimator, X, n_looks, fitted=fitted)
    flat, shape = flatten_rows(X)
    if n_looks > 1:
        check_count_of_samples(estimator, len(flat), at_least, n_looks)
    if fitted is not None and len(fitted.shape) > 1:
        fitted.check_several(np.shape(flat) if shape is None else shape)
        if shape is not None:
            fitted.check_same(shape[1:])
    reset = fitted is None
    known = isinstance(flat, np.ndarray) and flat.dtype.kind in "iuf" and is_wide(flat.dtype)
    if known and find_map(flat) is not None:
        check_blocks(estimator, flat, at_least=at_least, reset=reset)
        return partial(ArraySamples, flat, hold=hold), shape or flat.shape, flat.dtype
    try:
        # Numbers too large for float32 become infinite, and are refused as such.
        with np.errstate(over="ignore", invalid="ignore"):
            array = validate_data(
                estimator,
                flat,
                reset=reset,
                dtype=[np.float32, np.uint8],
                ensure_min_samples=at_least,
            )
    except (TypeError, ValueError) as error:
        if "Complex data" in str(error):  # scikit-learn adds the whole array.
            raise ValueError("Complex data not supported: X must contain real numbers.") from error
        if "float" in str(error) and (hint := hint_for_text(flat)):
            raise ValueError(f"{error}. {hint}") from error
        raise
    exact = array.dtype == np.float32 and (reset or hasattr(estimator, "_conversion"))
    given = array_as_given(flat) if exact else array
    return partial(ArraySamples, array, given=given, hold=hold), shape or array.shape, given.dtype


def hint_for_text(flat: Any) -> str:
    """Return what to do with columns of text, or with paths; empty if there are none."""
    columns = [repr(name) for name in getattr(flat, "columns", []) if is_text(flat[name])]
    if columns:
        return (
            f"Columns of X hold text: {', '.join(columns)}. Encode them, for instance by "
            "sklearn.preprocessing.OneHotEncoder, or drop them."
        )
    if hasattr(flat, "columns") or not is_text(flat):
        return ""
    return (
        "X holds text. Numbers are needed. Paths of images are read, in a list or an array with "
        "one axis, by what was fitted on skdim.inputs.ImageFolder(path, size=(32, 32))."
    )


def is_text(values: Any) -> bool:
    """Return whether some values are paths, or strings that are no numbers."""
    objects = np.asarray(values, dtype=object).ravel()
    texts = [value for value in objects if isinstance(value, str | bytes | Path)]
    try:
        np.array(texts, dtype=object).astype(float)
    except (TypeError, ValueError):
        return True
    return False


def is_wide(dtype: np.dtype[Any]) -> bool:
    """Return whether a dtype has numbers that float32 rounds."""
    return not np.can_cast(dtype, np.float32)


def check_blocks(
    estimator: BaseEstimator, table: NDArray[Any], *, at_least: int, reset: bool
) -> None:
    """Check a table as ``validate_data`` does, but without a copy of all of it."""
    checked = partial(check_array, dtype=np.float32, estimator=estimator, input_name="X")
    with np.errstate(over="ignore", invalid="ignore"):
        checked(table[:at_least], ensure_min_samples=at_least)
        step = max(1, NUMBERS_AT_ONCE // table.shape[1])
        for start in range(0, len(table), step):
            checked(table[start : start + step])
    validate_data(estimator, table, reset=reset, skip_check_array=True)


def array_as_given(flat: Any) -> NDArray[Any]:
    """Return a table, which has been validated, as an array before its rounding to float32."""
    if isinstance(flat, np.ndarray) and flat.dtype.kind in "biuf":
        return flat
    with np.errstate(over="ignore", invalid="ignore"):
        return check_array(flat, dtype=[np.float64, np.float32])


def check_count_of_samples(
    estimator: BaseEstimator, n_items: int, at_least: int, n_looks: int
) -> None:
    """Raise a ValueError if items, of which some are looks at one sample, are too few."""
    if n_items < at_least * n_looks:
        raise ValueError(
            f"X has {n_items // n_looks} sample(s){f' of {n_looks} looks each' * (n_looks > 1)} "
            f"while a minimum of {at_least} is required by {type(estimator).__name__}."
        )


def open_stream(
    estimator: BaseEstimator, stream: Stream, n_looks: int, *, fitted: Layout | None
) -> tuple[Callable[..., Samples], tuple[int, ...], np.dtype[Any]]:
    """Check a stream by its first sample; the others are checked when read."""
    name = type(estimator).__name__
    make, shape, dtype = stream.open(n_looks)
    n_features = math.prod(shape[1:])
    if n_features == 0:
        raise ValueError(f"X has 0 feature(s) while a minimum of 1 is required by {name}.")
    if fitted is not None and min(len(shape) - 1, len(fitted.shape)) > 1:
        fitted.check_same(shape[1:])
    # One number, seen as a table: scikit-learn checks the number and the names of columns.
    table = np.broadcast_to(np.float32(0), (shape[0], n_features))
    validate_data(estimator, table, reset=fitted is None, skip_check_array=True)
    return make, shape, dtype


def sample_numbers(rows: ArrayLike, n: int) -> NDArray[np.intp]:
    """Return numbers of samples, of which there are n, as an array."""
    try:
        given = np.asarray(rows)
    except Exception as error:  # of classes of the user
        raise TypeError(f"rows must be a list of integers. Got {shown(rows)}.") from error
    if given.ndim != 1 or (given.dtype.kind not in "iu" and given.size):
        raise TypeError(f"rows must be a list of integers. Got {shown(rows)}.")
    if given.size and not -n <= given.min() <= given.max() < n:
        raise IndexError(
            f"rows has numbers from {given.min()} to {given.max()}, but X has {n} samples."
        )
    return given.astype(np.intp)


def choose_conversion(
    make: Callable[..., Samples], layout: Layout, dtype: np.dtype[Any]
) -> NDArray[np.float64] | None:
    """Find the channels that need more than a rounding to float32; see ``find_conversion``.

    ``make`` and ``dtype`` are as ``open_samples`` returns them. A warning names columns most of
    whose different values become equal all the same.
    """
    if not is_wide(dtype):
        return None
    with make(layout, convert=as_given) as samples:
        found = find_conversion(samples)
        convert = rounded if found is None else Conversion.of(found, layout)
        equal = find_equal_values(samples, convert)
    if equal:
        listed = ", ".join(
            f"column {i} ({before} become {after})" for i, before, after in equal[:5]
        )
        warnings.warn(
            f"Different values of X become equal when they are read as float32: {listed}"
            f"{f' and {len(equal) - 5} more columns' * (len(equal) > 5)}. Subtract an offset from "
            "such columns first, or transform them, for instance by their ranks.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
    return found


def warn_of_units(standardise: Standardise, samples: Samples, name: str) -> None:
    """Warn of images in memory in other units than those that an encoder was fitted on."""
    if not isinstance(samples, ArraySamples) or samples.convert or not samples.layout.is_image:
        return
    some = samples.array[:: -(-len(samples) // COMPARED)].astype(np.float64)
    given = math.sqrt(np.square(some).mean())
    mean, scale = standardise.mean.cpu().double(), standardise.scale.cpu().double()
    fitted = math.sqrt((mean.square() + scale.square()).mean())
    if given and not 1 / OTHER_UNITS < given / fitted < OTHER_UNITS:
        warnings.warn(
            f"The values of X are on average {given / fitted:.3g} times those that {name} was "
            "fitted on. Give images in the same units, such as bytes from 0 to 255, or floats from "
            "0 to 1.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
