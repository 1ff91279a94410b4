"""Validation of parameters and of X, as scikit-learn does it."""

import math
import os
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
from skdim.objectives import AbstractObjective
from skdim.parameters import (
    Rule,
    any_of,
    boolean,
    choice,
    instance,
    integer,
    is_callable,
    is_integer,
    none,
    real,
    shown,
    warn_user,
)
from skdim.training import PRECISIONS, SCHEDULES
from skdim.views import VIEWS

# Images whose root mean square is larger or smaller by this factor than that of the fitted ones are
# in other units: bytes and floats from 0 to 1 differ by 255.
OTHER_UNITS = 100
# Maximum number of samples to compute it from.
COMPARED = 64

# Callbacks of skorch that would have no effect or fail, and the parameters that replace them.
WITHOUT_EFFECT = {
    "EarlyStopping": "early_stopping",
    "LRScheduler": "schedule",
    "ScoringBase": "validation_fraction",
    "PassthroughScoring": "validation_fraction",
    "InputShapeSetter": "encoder",
    "ProgressBar": "verbose",
}


def has_effect(callback: object) -> bool:
    """Whether a value is a callback, or a class of one, or (name, callback), and has an effect."""
    if isinstance(callback, tuple):
        return len(callback) == 2 and isinstance(callback[0], str) and has_effect(callback[1])
    kind = callback if isinstance(callback, type) else type(callback)
    replaced = any(base.__name__ in WITHOUT_EFFECT for base in kind.__mro__)
    return hasattr(kind, "on_train_begin") and not replaced


def is_path(value: object) -> bool:
    """Whether a value is a path that the operating system can have."""
    try:
        return isinstance(value, str | os.PathLike) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def are_sides(value: object) -> bool:
    """Whether a value is the shape of an image or a signal."""
    return (
        isinstance(value, tuple | list)
        and len(value) in (2, 3)
        and all(is_integer(side, 1) for side in value)
    )


COMMON_RULES = {
    "n_components": integer(1),
    "image_shape": any_of(Rule("a tuple of two or three positive ints < 2**31", are_sides), none()),
    "objective": any_of(
        instance("a skdim.objectives.AbstractObjective", AbstractObjective), none()
    ),
    "channel_axis": any_of(Rule("1 or -1", lambda v: is_integer(v, -1, 1) and v != 0), none()),
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
    "callbacks": any_of(
        Rule(
            "a list of skorch callbacks, without those that have no effect here: "
            + ", ".join(f"{name} (see {other})" for name, other in WITHOUT_EFFECT.items()),
            lambda v: isinstance(v, list | tuple) and all(map(has_effect, v)),
        ),
        none(),
    ),
    "verbose": any_of(integer(0), boolean()),
    "checkpoint_dir": any_of(Rule("a path without the null character", is_path), none()),
    "checkpoint_every": integer(1),
}

# What None stands for, in parameters that have parameters.
STANDS_FOR = {
    "objective": "InfoMax()",
    "transformer": 'DeepInfoMaxTransformer(output="hidden")',
}


class NestedParametersMixin(BaseEstimator):
    """Explain in the error how to set nested parameters of a parameter that is None."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also nested ones as ``NAME__PARAMETER``.

        Raises
        ------
        ValueError
            If there is no such parameter, or it is a nested one of None.
        """
        values = self.get_params(deep=False) | params
        for name in params:
            owner, nested, _ = name.partition("__")
            if nested and owner in STANDS_FOR and values.get(owner, self) is None:
                raise ValueError(
                    f"{name} cannot be set: {owner}=None of {type(self).__name__} has no "
                    f"parameters. Set what it stands for first, {owner}={STANDS_FOR[owner]}."
                )
        result: Self = super().set_params(**params)
        return result


def open_looks(estimator: BaseEstimator, X: Any, expected: int | None) -> tuple[Any, int]:
    """Return all looks in X as samples, and the number of looks at each sample.

    A ValueError is raised if this number is not the expected one; None allows any number.
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
    X: Any,
    *,
    at_least: int,
    n_looks: int,
    fitted: Layout | None,
    preload: bool,
) -> tuple[Callable[..., Samples], tuple[int, ...], np.dtype[Any]]:
    """Validate X, with all looks as samples, and return ``make``, and its shape and dtype.

    ``make(layout, device, labels=..., ...)`` returns the samples, float32 or uint8. The
    number and the names of features are compared with those of the estimator, and shapes with the
    ``fitted`` layout; if that is None, they are stored in the estimator. ``preload`` is whether to
    copy an array in memory to the device.
    """
    if isinstance(X, Dataset):
        X = Stream(X)
    # Only arrays of images have several looks.
    if (n_looks > 1 or isinstance(X, Stream)) and len(X) < at_least * n_looks:
        raise ValueError(
            f"X has {len(X) // n_looks} sample(s){f' of {n_looks} looks each' * (n_looks > 1)} "
            f"while a minimum of {at_least} is required by {type(estimator).__name__}."
        )
    if isinstance(X, Stream):
        return open_stream(estimator, X, n_looks, fitted)
    flat, shape = flatten_rows(X)
    if fitted is not None and len(fitted.shape) > 1:
        fitted.check_several(np.shape(flat) if shape is None else shape)
        if shape is not None:
            fitted.check_same(shape[1:])
    reset = fitted is None
    if find_map(flat) is not None and flat.dtype.kind in "iuf" and is_wide(flat.dtype):
        check_blocks(estimator, flat, at_least=at_least, reset=reset)
        return partial(ArraySamples, flat, preload=preload), shape or flat.shape, flat.dtype
    try:
        # Numbers beyond float32 become infinite, which is an error.
        with np.errstate(over="ignore", invalid="ignore"):
            array = validate_data(
                estimator,
                flat,
                reset=reset,
                dtype=[np.float32, np.uint8],
                ensure_min_samples=at_least,
            )
    except (TypeError, ValueError) as error:
        if "Complex data" in str(error):  # scikit-learn's message has the whole array.
            raise ValueError("Complex data not supported: X must contain real numbers.") from error
        if "float" in str(error) and (hint := hint_for_text(flat)):
            raise ValueError(f"{error}. {hint}") from error
        raise
    exact = array.dtype == np.float32 and (reset or "_conversion" in vars(estimator))
    given = array_as_given(flat) if exact else array
    make = partial(ArraySamples, array, given=given, preload=preload)
    return make, shape or array.shape, given.dtype


def open_stream(
    estimator: BaseEstimator, stream: Stream, n_looks: int, fitted: Layout | None
) -> tuple[Callable[..., Samples], tuple[int, ...], np.dtype[Any]]:
    """Validate a stream by its first sample; the others are checked when they are read."""
    make, shape, dtype = stream.open(n_looks)
    if fitted is not None and min(len(shape) - 1, len(fitted.shape)) > 1:
        fitted.check_same(shape[1:])
    # A table without memory, for the number and the names of features.
    table = np.broadcast_to(np.float32(0), (shape[0], math.prod(shape[1:])))
    validate_data(estimator, table, reset=fitted is None, dtype=None, ensure_all_finite=False)
    return make, shape, dtype


def hint_for_text(flat: Any) -> str:
    """Return what to do with text columns or paths in X, or an empty string if X has none."""
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
    """Whether values include paths or strings that are not numbers."""
    objects = np.asarray(values, dtype=object).ravel()
    texts = [value for value in objects if isinstance(value, str | bytes | Path)]
    try:
        np.array(texts, dtype=object).astype(float)
    except (TypeError, ValueError):
        return True
    return False


def is_wide(dtype: np.dtype[Any]) -> bool:
    """Whether float32 cannot represent all numbers of a dtype."""
    return not np.can_cast(dtype, np.float32)


def check_blocks(
    estimator: BaseEstimator, table: NDArray[Any], *, at_least: int, reset: bool
) -> None:
    """Validate a table as ``validate_data`` does, block by block, without a copy of the whole."""
    check = partial(check_array, dtype=np.float32, estimator=estimator, input_name="X")
    with np.errstate(over="ignore", invalid="ignore"):
        check(table[:at_least], ensure_min_samples=at_least)
        step = max(1, NUMBERS_AT_ONCE // table.shape[1])
        for start in range(0, len(table), step):
            check(table[start : start + step])
    validate_data(estimator, table, reset=reset, skip_check_array=True)


def array_as_given(flat: Any) -> NDArray[Any]:
    """Return a validated table as an array that is not rounded to float32."""
    if isinstance(flat, np.ndarray) and flat.dtype.kind in "biuf":
        return flat
    with np.errstate(over="ignore", invalid="ignore"):
        return check_array(flat, dtype=[np.float64, np.float32])


def sample_numbers(rows: ArrayLike, n: int) -> NDArray[np.intp]:
    """Validate numbers of samples, from -n to n - 1, and return them as an array."""
    try:
        numbers = np.asarray(rows)
    except Exception:  # User classes may raise any error.
        numbers = np.asarray(None)
    if numbers.ndim != 1 or (numbers.dtype.kind not in "iu" and numbers.size):
        raise TypeError(f"rows must be a list of integers. Got {shown(rows)}.")
    if numbers.size and not -n <= numbers.min() <= numbers.max() < n:
        raise IndexError(
            f"rows has numbers from {numbers.min()} to {numbers.max()}, but X has {n} samples."
        )
    return numbers.astype(np.intp)


def choose_conversion(
    make: Callable[..., Samples], layout: Layout, dtype: np.dtype[Any]
) -> NDArray[np.float64] | None:
    """Find the channels that rounding to float32 would blur; see ``find_conversion``.

    ``make`` and ``dtype`` are results of ``open_samples``. A warning names columns most of whose
    distinct values are equal even after conversion.
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
        warn_user(
            f"Different values of X become equal when they are read as float32: {listed}"
            f"{f' and {len(equal) - 5} more columns' * (len(equal) > 5)}. Subtract an offset from "
            "such columns first, or transform them, for instance by their ranks."
        )
    return found


def warn_of_units(standardise: Standardise, samples: Samples, name: str) -> None:
    """Warn if images in memory have other units than those that an encoder was fitted on."""
    if not isinstance(samples, ArraySamples) or samples.convert or not samples.layout.is_image:
        return
    some = samples.array[:: -(-len(samples.array) // COMPARED)].astype(np.float64)
    size = math.sqrt(np.square(some).mean())
    mean, scale = standardise.mean.cpu().double(), standardise.scale.cpu().double()
    fitted = math.sqrt((mean.square() + scale.square()).mean())
    if size and not 1 / OTHER_UNITS < size / fitted < OTHER_UNITS:
        warn_user(
            f"The values of X are on average {size / fitted:.3g} times those that {name} was "
            "fitted on. Give images in the same units, such as bytes from 0 to 255, or floats from "
            "0 to 1."
        )
