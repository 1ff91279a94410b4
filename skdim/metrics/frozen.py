"""Features of a fitted transformer as plain arrays: what is measured afterwards."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skdim.encoders import LAYERS

__all__ = ["check_layers", "check_lengths", "find_device", "frozen_features"]


def frozen_features(transformer: Any, X: Any, layer: str) -> NDArray[np.float32]:
    """Read one layer of a fitted transformer; it is neither trained nor changed.

    Parameters
    ----------
    transformer : object
        With ``encode(X, layer)``; failing that, its ``transform(X)`` is the layer ``"code"``.
    X : array-like
        What the transformer takes.
    layer : str
        As :func:`check_layers` allows it.

    Returns
    -------
    ndarray of shape (n, d), float32
        Maps flattened.
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


def check_layers(transformer: Any, layers: Sequence[str]) -> tuple[str, ...]:
    """Raise an error for layers that a transformer does not give.

    Returns
    -------
    tuple of str

    Raises
    ------
    TypeError
        If there is nothing that gives features.
    ValueError
        If there is no such layer.
    """
    name = type(transformer).__name__
    if not any(hasattr(transformer, method) for method in ("encode", "transform")):
        raise TypeError(
            f"transformer is of type {name}. It must be a fitted transformer, of skdim or of "
            "scikit-learn."
        )
    given = (layers,) if isinstance(layers, str) else tuple(layers)
    unknown = [layer for layer in given if layer not in LAYERS]
    if unknown or not given:
        fault = f"{unknown[0]!r} is no layer" if unknown else "there is none"
        raise ValueError(f"layers={layers!r}: {fault}. Allowed are {', '.join(LAYERS)}.")
    if not hasattr(transformer, "encode") and given != ("code",):
        raise ValueError(
            f"layers={layers!r}, but {name} gives one layer only, by transform. Take "
            'layers=("code",), or a transformer of skdim.'
        )
    return given


def check_lengths(**arrays: Any) -> None:
    """Raise an error for arrays that do not belong together.

    Raises
    ------
    ValueError
        If their lengths differ.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        given = " and ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"{given} samples. They must be of one length.")


def find_device(transformer: Any, device: Any) -> torch.device:
    """Return the device to compute on.

    Parameters
    ----------
    transformer : object
    device : str or torch.device
        "auto" is where the transformer is; that of one without a ``device_`` is the CPU.
    """
    if device == "auto":
        device = getattr(transformer, "device_", "cpu")
    return torch.device(device)
