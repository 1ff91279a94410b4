"""Channels measured, then brought to mean 0 and spread 1."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdim.inputs.layout import Layout

__all__ = ["Standardise", "channel_statistics"]

ROWS_AT_ONCE = 4096


class Standardise(nn.Module):
    """Subtract a mean and divide by a scale, channel by channel.

    Parameters
    ----------
    mean, scale : ndarray of shape (channels,)
    n_axes : int
        Axes that follow the channels: 2 for images, 0 for vectors.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, mean: NDArray[np.float64], scale: NDArray[np.float64], n_axes: int = 0
    ) -> None:
        super().__init__()
        shape = (1, -1, *[1] * n_axes)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).reshape(shape))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32).reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise samples of any number type to float32, shape unchanged."""
        return (x.to(self.mean.dtype) - self.mean) / self.scale


def channel_statistics(
    array: NDArray[Any], layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel of images, or column of a table.

    Two passes over blocks of rows in float64: exact also for data far from zero, and no float
    copy of the whole set.

    Parameters
    ----------
    array : ndarray of shape (n, n_features)
    layout : Layout

    Returns
    -------
    mean, scale : ndarray of shape (channels,)
        The scale of a constant channel is 0.
    """
    mean = sum(block.sum(axis=(0, 2)) for block in channel_blocks(array, layout))
    per_channel = len(array) * layout.n_features // layout.shape[0]
    mean = np.asarray(mean) / per_channel
    squares = sum(
        np.square(block - mean[:, None]).sum(axis=(0, 2)) for block in channel_blocks(array, layout)
    )
    return mean, np.sqrt(np.asarray(squares) / per_channel)


def channel_blocks(array: NDArray[Any], layout: Layout) -> Iterator[NDArray[np.float64]]:
    """Yield blocks of rows as float64 of shape (rows, channels, pixels)."""
    for start in range(0, len(array), ROWS_AT_ONCE):
        block = np.asarray(array[start : start + ROWS_AT_ONCE], dtype=np.float64)
        samples = block.reshape(len(block), *layout.given_shape)
        if layout.channels_last:
            samples = np.moveaxis(samples, -1, 1)
        yield samples.reshape(len(block), layout.shape[0], -1)
