"""Features and labels as plain arrays: the input of all metrics."""

import math
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

BATCH_SIZE = 64


def frozen_features(transformer: BaseEstimator, X: ArrayLike, layer: str) -> NDArray[np.float32]:
    """Compute features (n, d) by ``encode(X, layer)``, or else by ``transform(X)``.

    Feature maps are flattened. The transformer is not modified.
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
    """Return the names of layers; raise a ValueError if the transformer does not have them.

    Raise a TypeError if it has neither ``encode`` nor ``transform``.
    """
    name = type(transformer).__name__
    if not any(hasattr(transformer, method) for method in ("encode", "transform")):
        raise TypeError(
            f"transformer is of type {name}. It must be a fitted transformer of skdim or "
            "scikit-learn."
        )
    checked = read_names(layers, "layer", LAYERS)
    if not hasattr(transformer, "encode") and checked != ("code",):
        raise ValueError(
            f"layers={layers!r}, but {name} has only the layer that transform returns. Pass "
            'layers=("code",), or a transformer of skdim.'
        )
    return checked


def read_names(names: str | Sequence[str], kind: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """Return names of a kind; raise a ValueError if one is not allowed, or there are none."""
    checked = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in checked if name not in allowed]
    if unknown or not checked:
        fault = f"{unknown[0]!r} is not a valid {kind}" if unknown else "at least one is needed"
        raise ValueError(f"{kind}s={names!r}: {fault}. Allowed are {', '.join(allowed)}.")
    return checked


def check_lengths(**arrays: Any) -> None:
    """Raise a ValueError if arrays, given by the names of their parameters, differ in length."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = " and ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"{listed} samples. They must have the same length.")


def count_batches(n: int) -> int:
    """Return the number of batches of at most 64 samples, if possible, for n samples.

    No batch consists of a single sample, unless there is only one, because batch normalisation
    needs a variance.
    """
    return max(1, min(math.ceil(n / BATCH_SIZE), n // 2))


def resolve_device(transformer: BaseEstimator, device: str | torch.device) -> torch.device:
    """Return a device; "auto" is the ``device_`` of the transformer, or the CPU without one."""
    return torch.device(getattr(transformer, "device_", "cpu") if device == "auto" else device)


def encode_labels(
    y: ArrayLike | None, name: str, classes: NDArray[np.generic]
) -> NDArray[np.int64]:
    """Replace each label (n,) by the index of its class among the sorted ones of the training data.

    ``name`` is that of the parameter. Raise a ValueError if there is a single class, or if a label
    is not among the classes.
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
    return np.searchsorted(classes, labels).astype(np.int64)


def hold_out(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw a stratified split; return the indices of the training and the held-out samples.

    At least one sample per class is held out. Raise a ValueError if a class has a single sample, or
    if there are too few samples for both parts.
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
    train, held_out = train_test_split(
        np.arange(n), test_size=n_held, stratify=labels, random_state=seed
    )
    return train, held_out
