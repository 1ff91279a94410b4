"""Blocks that several encoders are made of."""

import torch
from torch import Tensor, nn

from skdim.encoders.features import Features

__all__ = ["Stages", "check_images", "convolution", "hidden_layer"]

VECTORS = "encode their pixels as vectors: flat rows without image_shape, and encoder='mlp'"


class Stages(nn.Module):
    """An encoder whose layers follow one another: what most encoders are.

    A subclass sets the four stages, each a module from one layer to the next. Where two layers are
    the same, the stage between them is an ``Identity``, or a ``Flatten``.
    """

    to_local: nn.Module
    to_conv: nn.Module
    to_hidden: nn.Module
    to_code: nn.Module

    def prepare(self, x: Tensor) -> Tensor:
        """Give what the first stage takes: images with their channels last in memory.

        Such maps convolve faster, most of all in bfloat16, and their locations are rows for the
        critics.
        """
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

    def forward(self, x: Tensor) -> Features:
        """Encode.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W) or (n, C, L)

        Returns
        -------
        Features
        """
        local = self.to_local(self.prepare(x))
        conv = self.to_conv(local)
        hidden = self.to_hidden(conv)
        return Features(local, conv, hidden, self.to_code(hidden))


def convolution(
    channels: int,
    wider: int,
    size: int,
    *,
    stride: int = 1,
    padding: int = 0,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Convolve, normalise over the batch, cut off below zero.

    Parameters
    ----------
    channels, wider : int
        Channels of the given map and of the new one.
    size : int
        Side of the filters.
    stride, padding : int, default=1, 0
    dropout : float, default=0.0
        Share of the channels that are left out before normalisation, in training.

    Returns
    -------
    Sequential
        From (n, channels, h, w) to (n, wider, h', w').
    """
    # What normalisation subtracts needs no bias. ReLU works in place: nothing before it is needed
    # again, and maps are large.
    return nn.Sequential(
        nn.Conv2d(channels, wider, size, stride=stride, padding=padding, bias=False),
        *([nn.Dropout2d(dropout)] if dropout else []),
        nn.BatchNorm2d(wider),
        nn.ReLU(inplace=True),
    )


def hidden_layer(n_inputs: int, units: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Flatten, apply a linear layer, normalise over the batch, cut off below zero.

    Parameters
    ----------
    n_inputs : int
        Numbers in a sample.
    units : int
        Size of the layer.
    dropout : float, default=0.0
        Share of the units that are left out before normalisation, in training.

    Returns
    -------
    Sequential
        From (n, *shape) to (n, units).
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(n_inputs, units, bias=False),
        *([nn.Dropout(dropout)] if dropout else []),
        nn.BatchNorm1d(units),
        nn.ReLU(),
    )


def check_images(name: str, input_shape: tuple[int, ...], least: int, instead: str = "") -> None:
    """Refuse samples that are no images, or too small.

    Parameters
    ----------
    name : str
        The encoder's name in ``ENCODERS``.
    input_shape : tuple of int
        Shape of a sample.
    least : int
        Pixels that the shorter side must have.
    instead : str, default=""
        What to do other than enlarge the images; by default, to encode vectors.

    Raises
    ------
    ValueError
        Saying what was given, what is allowed and what to do.
    """
    if len(input_shape) != 3 or min(input_shape[1:]) < least:
        raise ValueError(
            f"encoder={name!r} encodes images (C, H, W) of at least {least}x{least} pixels, but "
            f"the samples have shape {input_shape}. Enlarge the images, or {instead or VECTORS}."
        )
