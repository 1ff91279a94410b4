"""Standardisation of channels to mean 0 and standard deviation 1."""

from contextlib import closing
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from skdim.inputs.samples import Samples

# Maximum number of values in a block, whose float64 copy fits the processor's cache.
NUMBERS_AT_ONCE = 2**18
# Maximum number of samples in a block, so that workers share a stream of small samples.
SAMPLES_AT_ONCE = 512

# Per channel: count, mean, and sum of squared deviations.
Moments = tuple[int, NDArray[np.float64], NDArray[np.float64]]


class Standardise(nn.Module):
    """Subtract a mean and divide by a scale, channel by channel.

    Parameters
    ----------
    mean, scale : ndarray of shape (channels,)
    n_axes : int
        Axes after the channels: 2 for images, 0 for vectors.
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

    @classmethod
    def identity(cls, shape: tuple[int, ...]) -> Self:
        """Return the identity for samples of a shape."""
        return cls(np.zeros(shape[0]), np.ones(shape[0]), n_axes=len(shape) - 1)

    def set_statistics(self, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> None:
        """Set the mean and the scale of each channel."""
        for buffer, values in ((self.mean, mean), (self.scale, scale)):
            buffer.copy_(torch.as_tensor(values, dtype=torch.float32).reshape(buffer.shape))

    def forward(self, x: Tensor) -> Tensor:
        """Standardise samples of any dtype to float32, shape unchanged."""
        return (x.to(self.mean.dtype) - self.mean) / self.scale


def channel_statistics(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute the mean and standard deviation of each channel, or column of a table.

    One pass over blocks of samples in float64 on the CPU, whose moments are merged (Chan, Golub and
    LeVeque 1983). Each channel is first shifted by one of its values, for numerical accuracy.

    Parameters
    ----------
    samples : Samples

    Returns
    -------
    mean, scale : ndarray of shape (channels,)
        The scale of a constant channel is 0.
    """
    size = max(1, min(NUMBERS_AT_ONCE // samples.layout.n_features, SAMPLES_AT_ONCE))
    on_cpu = samples.on_cpu()
    moments, shift = None, np.zeros(())
    with closing(on_cpu.read(on_cpu.chunks(size), Generator().manual_seed(0))) as batches:
        for batch in batches:
            # (samples, channels, pixels)
            block = batch.flatten(2).numpy() if batch.ndim > 2 else batch.numpy()[:, :, None]
            if moments is None:
                shift = block[0, :, 0].astype(np.float64)
            block_moments = moments_of(block - shift[:, None])
            moments = block_moments if moments is None else merged(moments, block_moments)
    if moments is None:
        raise ValueError("X has no samples.")
    count, mean, squares = moments
    return shift + mean, np.sqrt(squares / count)


def moments_of(block: NDArray[np.float64]) -> Moments:
    """Compute the moments of a block (samples, channels, pixels), in place."""
    mean = block.mean(axis=(0, 2))
    block -= mean[:, None]
    return block.size // len(mean), mean, np.einsum("ncp,ncp->c", block, block)


def merged(one: Moments, other: Moments) -> Moments:
    """Merge the moments of two blocks."""
    count = one[0] + other[0]
    delta = other[1] - one[1]
    mean = one[1] + delta * (other[0] / count)
    return count, mean, one[2] + other[2] + delta**2 * (one[0] * other[0] / count)
