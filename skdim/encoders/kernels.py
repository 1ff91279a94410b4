"""An encoder of signals that is linear in the responses of random convolution kernels."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv1d

from skdim.encoders.layers import Shape, check_signals, in_parts
from skdim.encoders.linear import AbstractStem, LinearEncoder

# Length of a kernel.
SIZE = 9
# Maximum number of channels of a kernel.
MAX_CHANNELS = 9
# Number of samples that thresholds are drawn from.
THRESHOLD_SAMPLES = 32
# Samples per part.
IN_CACHE = 32


class KernelStem(AbstractStem):
    """Fixed features of signals: how often random dilated kernels exceed a threshold, in one cell.

    Kernels have nine weights, three of 2 and the others -1, minus their mean, in dilations 1, 2, 4,
    ... up to the length. Each combines some channels with normal weights; its threshold is a random
    response to a training sample; its feature is the share of time above the threshold.

    References
    ----------
    Dempster, Schmidt and Webb (2021). MiniRocket: a very fast (almost) deterministic transform for
    time series classification. KDD.
    """

    weight: Tensor
    threshold: Tensor

    def __init__(self, input_shape: Shape, n_kernels: int = 2048) -> None:
        super().__init__()
        channels, length = check_signals("kernels", input_shape)
        self.size = SIZE if length >= SIZE else 7
        self.dilations = [2**j for j in range(30) if 2**j * (self.size - 1) < length]
        per_dilation = -(-n_kernels // len(self.dilations))
        n = len(self.dilations)
        self.register_buffer("weight", torch.zeros(n, per_dilation, channels, self.size))
        self.register_buffer("threshold", torch.zeros(n, per_dilation))
        self.out_shape = (n * per_dilation, 1)

    def adapt(self, x: Tensor) -> None:
        """Draw kernels, and thresholds from standardised signals (n, C, L)."""
        n, per_dilation, channels, _ = self.weight.shape
        high = torch.rand(n, per_dilation, self.size).argsort(dim=-1) < self.size // 3
        steps = torch.where(high, 2.0, -1.0)
        steps = steps - steps.mean(dim=-1, keepdim=True)
        count = 1 + (torch.rand(n, per_dilation, 1) * min(channels, MAX_CHANNELS)).long()
        used = torch.rand(n, per_dilation, channels).argsort(dim=-1).argsort(dim=-1) < count
        mixture = (
            used * torch.randn(n, per_dilation, channels)
            if channels > 1
            else torch.ones(n, per_dilation, 1)
        )
        self.weight.copy_(mixture[..., None] * steps[:, :, None])
        some = x[torch.randint(len(x), (min(len(x), THRESHOLD_SAMPLES),)).to(x.device)]
        for k in range(n):
            responses = self.respond(some, k).transpose(0, 1).flatten(1)
            place = torch.randint(responses.shape[1], (per_dilation, 1)).to(x.device)
            self.threshold[k] = above(responses, responses.gather(1, place))

    def respond(self, x: Tensor, k: int) -> Tensor:
        """Return the responses (n, kernels, L) of the kernels of one dilation."""
        dilation = self.dilations[k]
        padding = dilation * (self.size - 1) // 2
        return conv1d(x, self.weight[k], dilation=dilation, padding=padding)

    def shares(self, x: Tensor) -> Tensor:
        """Return the share of time in which each response exceeds its threshold."""
        passed = [
            (self.respond(x, k) > self.threshold[k][:, None]).to(x.dtype).mean(dim=-1)
            for k in range(len(self.dilations))
        ]
        return torch.cat(passed, dim=1)[:, :, None]

    def forward(self, x: Tensor) -> Tensor:
        """Map signals (n, C, L) to (n, n_kernels, 1)."""
        return in_parts(self.shares, x, IN_CACHE)


def above(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the midpoints (m,) of chosen values (m, 1) and the next larger ones in rows (m, n).

    A threshold at a value itself would be exceeded or not by rounding.
    """
    larger = torch.where(values > chosen, values, torch.inf).amin(dim=1, keepdim=True)
    # For the largest value, a step above rounding errors.
    step = torch.where(larger.isinf(), 1e-3 * chosen.abs() + 1e-6, (larger - chosen) / 2)
    return (chosen + step)[:, 0]


class KernelEncoder(LinearEncoder):
    """Encode signals linearly in the responses of random convolution kernels.

    Parameters
    ----------
    input_shape : tuple of two int
        ``(C, L)``, with a length of at least 8.
    n_components : int
        Size of the code.
    n_kernels : int, default=2048
        Number of kernels.
    hidden_units : int, default=256
        Size of the hidden layer, at least that of the code.
    """

    takes_signals: ClassVar[bool] = True

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        n_kernels: int = 2048,
        hidden_units: int = 256,
    ) -> None:
        super().__init__(
            KernelStem(input_shape, n_kernels),
            n_components,
            hidden_units=hidden_units,
            n_coordinates=max(1024, 2 * n_components),
        )
