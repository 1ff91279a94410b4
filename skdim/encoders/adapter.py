"""User modules as encoders, and the checks of an encoder's output."""

from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from skdim.encoders.layers import Features


@runtime_checkable
class Adaptable(Protocol):
    """An encoder that sets some of its layers from the data before training, on the CPU.

    It may have a method ``reduce(x, n) -> Tensor``, which is called with some standardised samples
    at a time, of ``n`` in total, and returns the parts that are needed, such as patches or smaller
    images. ``adapt`` then receives the results of all calls, concatenated, and not whole samples.
    """

    def adapt(self, x: Tensor) -> None:
        """Adapt to standardised training samples (n, *input_shape)."""


class UserEncoder(nn.Module):
    """Wrap a user's module as an encoder.

    Parameters
    ----------
    module : Module
        Maps samples (n, *input_shape) to :class:`Features`, or to a pair ``(local, code)`` of
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
            If the module returns neither Features nor a pair of tensors.
        ValueError
            If the pair is in the other order.
        """
        given = self.module(x)
        if isinstance(given, Features):
            return given
        if isinstance(given, tuple | list) and [isinstance(g, Tensor) for g in given] == [True] * 2:
            local, code = given
            if code.ndim > local.ndim > 1:
                raise ValueError(
                    f"it returned tensors of shape {tuple(local.shape)} and {tuple(code.shape)}. "
                    "The pair must be (local, code): the map first."
                )
            return Features(local, local, code, code)
        raise TypeError(
            f"The encoder {type(self.module).__name__} returned {describe_output(given)}. It must "
            "return skdim.encoders.Features, or a pair (local, code) of tensors of shape "
            "(n, channels, *grid) and (n, n_components). skdim.encoders.HookedEncoder makes an "
            "encoder of any network."
        )


def takes_signals(encoder: object) -> bool:
    """Return whether an encoder takes signals (C, L), and not images.

    It is declared by an attribute ``takes_signals`` of a module, a class or a callable, or of what
    a ``functools.partial`` calls.
    """
    while not hasattr(encoder, "takes_signals") and isinstance(encoder, partial):
        encoder = encoder.func
    return bool(getattr(encoder, "takes_signals", False))


def describe_output(given: object) -> str:
    """Describe the output of a module, for error messages."""
    if isinstance(given, Tensor):
        return f"a tensor of shape {tuple(given.shape)}"
    if isinstance(given, tuple | list):
        parts = ", ".join(map(describe_output, given))
        return f"a {type(given).__name__} of {len(given)}: {parts}"
    return f"an object of type {type(given).__name__}"


def check_features(features: Features, n: int, name: str) -> None:
    """Raise a ValueError if the features of ``n`` samples cannot be trained on.

    They must be non-empty, finite and of one precision, with at least two axes and ``n`` rows.
    ``name`` is that of the encoder in messages.
    """
    # First the layers of a pair (local, code).
    for layer in ("local", "code", "conv", "hidden"):
        values = getattr(features, layer)
        if values.ndim < 2 or len(values) != n or values.numel() == 0:
            raise ValueError(
                f"The encoder {name} returned '{layer}' of shape {tuple(values.shape)} for {n} "
                f"samples. It must have shape ({n}, channels, *grid), and not be empty."
            )
        if not values.is_floating_point() or not bool(torch.isfinite(values).all()):
            raise ValueError(
                f"The encoder {name} returned '{layer}' with numbers that are not finite floats "
                "on standardised samples, before any training."
            )
        if values.dtype != features.local.dtype:
            raise ValueError(
                f"The encoder {name} returned '{layer}' as {values.dtype} and 'local' as "
                f"{features.local.dtype}. Both must be of one type, torch.float32."
            )
