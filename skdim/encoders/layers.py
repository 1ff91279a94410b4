"""Blocks that several encoders are made of."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu, softshrink

from skdim.encoders.features import Features

__all__ = [
    "Stages",
    "check_images",
    "check_signals",
    "convolution",
    "cut_patches",
    "hidden_layer",
    "in_parts",
    "pool_both_signs",
]

# torch 2.6 has no word for exporting alone.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

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
        """Return the input of the first stage: images with their channels last in memory.

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
    """Raise an error for samples that are no images, or too small.

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


def check_signals(
    name: str, input_shape: tuple[int, ...], least: int, instead: str
) -> tuple[int, int]:
    """Raise if samples are not signals, or too short; else return their channels and length.

    Parameters
    ----------
    name : str
        The encoder's name in ``ENCODERS``.
    input_shape : tuple of int
        Shape of a sample.
    least : int
        Values that a channel must have.
    instead : str
        What to do other than to give signals.

    Returns
    -------
    channels, length : int

    Raises
    ------
    ValueError
        With what was given, what is allowed and what to do.
    """
    if len(input_shape) != 2 or input_shape[1] < least:
        raise ValueError(
            f"encoder={name!r} encodes signals (C, L) of at least {least} values a channel, but "
            f"the samples have shape {input_shape}. Give X as (n, C, L), or {instead}."
        )
    channels, length = input_shape
    return channels, length


def cut_patches(x: Tensor, side: int, n_patches: int) -> Tensor:
    """Cut patches at random places out of images, by torch's global generator.

    Parameters
    ----------
    x : Tensor of shape (n, C, H, W)
    side : int
    n_patches : int

    Returns
    -------
    Tensor of shape (n_patches, C * side * side)
    """
    n, _, height, width = x.shape
    image, top, left = (
        torch.randint(most, (n_patches, 1, 1)).to(x.device)
        for most in (n, height - side + 1, width - side + 1)
    )
    span = torch.arange(side, device=x.device)
    return x[image, :, top + span[:, None], left + span].movedim(-1, 1).flatten(1)


def pool_both_signs(response: Tensor, threshold: float, grid: int | tuple[int, int]) -> Tensor:
    """Average over cells what of responses, and of their negatives, is above a threshold.

    Parameters
    ----------
    response : Tensor of shape (n, c, H, W)
    threshold : float
    grid : int or (int, int)
        Number of cells each way.

    Returns
    -------
    Tensor of shape (n, 2 * c, *grid)
    """
    # One tensor holds what passes of both signs. The negative ones are what the mean of the
    # positive ones has beyond the mean of both: a subtraction after pooling, when all is small.
    passed = softshrink(response, threshold)
    positive, signed = (adaptive_avg_pool2d(part, grid) for part in (relu(passed), passed))
    return torch.cat([positive, positive - signed], dim=1)


def in_parts(run: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Apply a function to a few samples at a time, so that what it computes stays in the cache.

    That is for CPUs; on other devices the function is applied to all samples at once. So it is
    where a model is exported, which has no fixed number of samples, nor of parts.
    """
    if x.device.type != "cpu" or is_exporting():
        return run(x)
    return torch.cat([run(part) for part in torch.split(x, size)])
