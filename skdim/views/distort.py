"""Two looks at each signal: stretched, partly masked, and with noise."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from skdim.views.base import check_shares, segments
from skdim.views.stretch import Stretch


@dataclass(frozen=True, kw_only=True)
class Distort(Stretch):
    """Draw two looks at each signal: cropped, shifted, scaled, masked and with noise.

    The code of either look is compared with the local features of the other. Changes are applied in
    the order: crop and shift, scale, mask, jitter.

    Parameters
    ----------
    crop, shift, scale : float, default=0.1, 0.05, 0.1
        As in :class:`Stretch`.
    mask : float, default=0.1
        Maximal share of the time that is masked: one interval of random place and length, in which
        each channel has its mean over time. At least one value is masked, unless 0.
    jitter : float, default=0.03
        Standard deviation of normal noise, independent at each time, as a share of the channel's
        standard deviation over time.

    Raises
    ------
    ValueError
        If a parameter is outside [0, 1].

    References
    ----------
    Um, Pfister, Pichler, Endo, Lang, Hirche, Fietzek and Kulic (2017). Data augmentation of
    wearable sensor data for Parkinson's disease monitoring using convolutional neural networks.
    ICMI. arXiv:1706.00527.
    """

    mask: float = 0.1
    jitter: float = 0.03

    def __post_init__(self) -> None:
        """Validate the parameters."""
        super().__post_init__()
        check_shares(self, "mask", "jitter")

    def look(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw one look."""
        spread = x.std(dim=2, keepdim=True, correction=0)
        x = super().look(x, generator)
        if self.mask:
            share = self.mask * torch.rand((len(x), 1), generator=generator, device=x.device)
            masked = segments(share, x.shape[2], generator)[:, None]
            x = torch.where(masked, x.mean(dim=2, keepdim=True), x)
        if self.jitter:
            noise = torch.randn(x.shape, generator=generator, device=x.device).to(x.dtype)
            x = x + self.jitter * spread * noise
        return x
