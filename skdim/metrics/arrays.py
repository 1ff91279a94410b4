"""Features and labels as plain arrays: the input of all metrics."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d
from torch import Tensor

from skdim.encoders import LAYERS

__all__ = [
    "check_layers",
    "check_lengths",
    "encode_labels",
    "frozen_features",
    "hold_out",
    "resolve_device",
]


def frozen_features(transformer: BaseEstimator, X: ArrayLike, layer: str) -> NDArray[np.float32]:
    """Compute one layer of a fitted transformer, which is not modified.

    Parameters
    ----------
    transformer : object
        With a method ``encode(X, layer)``, or else ``transform(X)`` for the layer ``"code"``.
    X : array-like
        Input of the transformer.
    layer : str
        Valid according to :func:`check_layers`.

    Returns
    -------
    ndarray of shape (n, d), float32
        Feature maps are flattened.
    """
    if hasattr(transformer, "encode"):
        features = transformer.encode(X, layer)
    else:
        features = transformer.transform(X)
    if hasattr(features, "toarray"):
        features = features.toarray()
    if isinstance(features, Tensor):
        features = features.detach().cpu().numpy()
    array = np.asarray(features)
    return np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32)


def check_layers(transformer: BaseEstimator, layers: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of layers; raise if the transformer does not have them.

    Raises
    ------
    TypeError
        If the transformer has neither ``encode`` nor ``transform``.
    ValueError
        If a name is not valid, or there are no names.
    """
    name = type(transformer).__name__
    if not any(hasattr(transformer, method) for method in ("encode", "transform")):
        raise TypeError(
            f"transformer is of type {name}. It must be a fitted transformer of skdim or "
            "scikit-learn."
        )
    given = (layers,) if isinstance(layers, str) else tuple(layers)
    unknown = [layer for layer in given if layer not in LAYERS]
    if unknown or not given:
        fault = f"{unknown[0]!r} is not a valid layer" if unknown else "at least one is needed"
        raise ValueError(f"layers={layers!r}: {fault}. Allowed are {', '.join(LAYERS)}.")
    if not hasattr(transformer, "encode") and given != ("code",):
        raise ValueError(
            f"layers={layers!r}, but {name} has only the layer that transform returns. Pass "
            'layers=("code",), or a transformer of skdim.'
        )
    return given


def check_lengths(**arrays: Any) -> None:
    """Raise a ValueError if arrays, given by the names of their parameters, differ in length."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        given = " and ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"{given} samples. They must have the same length.")


def resolve_device(transformer: BaseEstimator, device: str | torch.device) -> torch.device:
    """Return a device; "auto" is the ``device_`` of the transformer, or the CPU without one."""
    return torch.device(getattr(transformer, "device_", "cpu") if device == "auto" else device)


def encode_labels(
    y: ArrayLike | None, name: str, classes: NDArray[np.generic]
) -> NDArray[np.int64]:
    """Replace each label by the index of its class.

    Parameters
    ----------
    y : array-like of shape (n,)
    name : str
        Name of the parameter in error messages.
    classes : ndarray of shape (c,)
        Sorted classes of the training data.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If there is a single class, or a label is not among the classes.
    """
    if len(classes) < 2:
        raise ValueError(
            f"y contains a single class, {classes.tolist()}. At least two classes are needed."
        )
    labels = column_or_1d(y)
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError(f"{name} contains NaN. Remove the rows whose class is not known.")
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"{name} contains {unknown.tolist()}, which y does not. Allowed are the classes of y: "
            f"{classes.tolist()}."
        )
    indices: NDArray[np.int64] = np.searchsorted(classes, labels).astype(np.int64)
    return indices


def hold_out(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw a stratified split.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Indices of classes.
    fraction : float
        Share of the samples to hold out; at least one sample per class is held out.
    seed : int
        Below 2**32.

    Returns
    -------
    kept, held_out : ndarray of int
        Indices of the samples.

    Raises
    ------
    ValueError
        If a class has a single sample, or there are too few samples for both parts.
    """
    counts = np.unique(labels, return_counts=True)[1]
    n, n_classes = len(labels), len(counts)
    n_held = max(round(fraction * n), n_classes)
    if counts.min() < 2 or n - n_held < n_classes:
        raise ValueError(
            f"y has {n} samples of {n_classes} classes, {counts.min()} of the rarest, and {n_held} "
            "samples are to be held out. Each class needs a sample in both parts: pass more "
            "samples, or remove rare classes."
        )
    kept, held_out = train_test_split(
        np.arange(n), test_size=n_held, stratify=labels, random_state=seed
    )
    return kept, held_out
