"""Any module as an encoder, and what an encoder must give."""

from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from skdim.encoders.features import Features

__all__ = ["Adaptable", "UserEncoder", "check_features", "describe_output", "takes_signals"]


@runtime_checkable
class Adaptable(Protocol):
    """An encoder that sets some of its layers from the data before training."""

    def adapt(self, x: Tensor) -> None:
        """Adapt to standardised training samples (n, *input_shape)."""


class UserEncoder(nn.Module):
    """Wrap a user's own module as an encoder.

    Parameters
    ----------
    module : Module
        Samples (n, *input_shape) to :class:`Features`, or to a pair ``(local, code)`` of
        tensors (n, c, *grid) and (n, d).
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Features:
        """Encode.

        Raises
        ------
        TypeError
            If the module gives neither Features nor a pair of tensors.
        """
        given = self.module(x)
        if isinstance(given, Features):
            return given
        if isinstance(given, tuple | list) and [isinstance(g, Tensor) for g in given] == [True] * 2:
            local, code = given
            return Features(local, local, code, code)
        raise TypeError(
            f"The encoder {type(self.module).__name__} gave {describe_output(given)}. It must give "
            "skdim.encoders.Features, or a pair (local, code) of tensors of shape "
            "(n, channels, *grid) and (n, n_components)."
        )


def takes_signals(encoder: Any) -> bool:
    """Return whether an encoder takes signals (C, L), and not images.

    Parameters
    ----------
    encoder : Module, class or callable
        Says so by an attribute ``takes_signals``; a ``functools.partial``, also by that of what it
        calls.

    Returns
    -------
    bool
        False where nothing is said.
    """
    while not hasattr(encoder, "takes_signals") and isinstance(encoder, partial):
        encoder = encoder.func
    return bool(getattr(encoder, "takes_signals", False))


def describe_output(given: Any) -> str:
    """Describe the output of a module, for error messages."""
    if isinstance(given, Tensor):
        return f"a tensor of shape {tuple(given.shape)}"
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {len(given)}: " + ", ".join(
            map(describe_output, given)
        )
    return f"an object of type {type(given).__name__}"


def check_features(features: Features, n: int, name: str) -> None:
    """Raise an error for features that nothing can be trained with.

    Parameters
    ----------
    features : Features
        Of ``n`` samples.
    n : int
    name : str
        What the message calls the encoder.

    Raises
    ------
    ValueError
        If a layer has another number of rows, too few axes, no numbers, or is not finite; or if
        layers are of different precisions.
    """
    # What a pair (local, code) consists of is named first.
    for layer in ("local", "code", "conv", "hidden"):
        values = getattr(features, layer)
        if values.ndim < 2 or len(values) != n or values.numel() == 0:
            raise ValueError(
                f"The encoder {name} gave '{layer}' of shape {tuple(values.shape)} for {n} samples."
                f" It must have shape ({n}, channels, *grid), and not be empty."
            )
        if not values.is_floating_point() or not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"The encoder {name} gave '{layer}' with numbers that are not finite floats "
                "on standardised samples, before any training."
            )
        if values.dtype != features.local.dtype:
            raise ValueError(
                f"The encoder {name} gave '{layer}' as {values.dtype} and 'local' as "
                f"{features.local.dtype}. Both must be of one type, torch.float32."
            )
