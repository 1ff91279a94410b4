"""Two looks at each signal, cropped in time, shifted and scaled."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import grid_sample

from skdim.views.base import Pairs, check_shares


@dataclass(frozen=True)
class Stretch:
    """Draw two looks at each signal: cropped and stretched in time, shifted and scaled.

    The code of either look is compared with the local features of the other.

    Parameters
    ----------
    crop : float, default=0.1
        Maximal share of the time that is cropped.
    shift : float, default=0.05
        Maximal shift, as a share of the length; end values are repeated.
    scale : float, default=0.1
        Each channel is multiplied by a factor in ``[1 - scale, 1 + scale]``.
    """

    crop: float = 0.1
    shift: float = 0.05
    scale: float = 0.1
    pairs: Pairs = ((0, 1), (1, 0))

    def __post_init__(self) -> None:
        """Validate the parameters."""
        check_shares(self, "crop", "shift", "scale")

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Draw two looks at signals (n, C, L); raise a ValueError for other samples."""
        if x.ndim != 3:
            raise ValueError(
                f"{type(self).__name__} is a view of signals (C, L), but each sample has the shape "
                f"{tuple(x.shape[1:])}. Use view='auto' or None."
            )
        return self.look(x, generator), self.look(x, generator)

    def look(self, x: Tensor, generator: Generator) -> Tensor:
        """Draw one look."""
        if self.crop or self.shift:
            x = self.moved(x, generator)
        if not self.scale:
            return x
        uniform = torch.rand((*x.shape[:2], 1), generator=generator, device=x.device)
        return x * (1 + self.scale * (2 * uniform - 1)).to(x.dtype)

    def moved(self, x: Tensor, generator: Generator) -> Tensor:
        """Crop, stretch and shift each signal in time."""
        n, _, length = x.shape
        share, place, shift = torch.rand((3, n, 1), generator=generator, device=x.device)
        part = 1 - self.crop * share
        center = (1 - part) * (2 * place - 1) + 2 * self.shift * (2 * shift - 1)
        time = torch.linspace(-1, 1, length, device=x.device) * part + center
        grid = torch.stack([time, torch.zeros_like(time)], dim=2)[:, None].to(x.dtype)
        moved = grid_sample(x[:, :, None], grid, padding_mode="border", align_corners=True)
        return moved[:, :, 0]
