"""A partly hidden look beside a whole one."""

import math
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Generator, Tensor

from skdim.parameters import is_number
from skdim.views.base import Pairs, View, check_image_batch, check_shares, segments


@dataclass(frozen=True)
class Occlude:
    """Return two looks at each image: partly hidden, for the code; whole, for local features.

    The code must then predict the hidden part. A rectangle of the image's proportions, of random
    size and place, is hidden in each image.

    Parameters
    ----------
    smallest, largest : float, default=0.25, 0.5
        Range of the rectangle's sides as a share of the image's, uniform; rounded to whole pixels,
        at least one unless ``largest`` is 0.
    fill : float or None, default=None
        Pixel value of the rectangle. None is the image's mean in each channel.
    before : View or None, default=None
        Applied first. With :class:`Augment`, its first look is partly hidden, for the code, and its
        last one is for the local features.

    Raises
    ------
    ValueError
        If a share is outside [0, 1], ``smallest`` above ``largest``, or ``fill`` not finite.
    TypeError
        If ``before`` is not callable.

    Notes
    -----
    The paper does not specify size and filling. The default hides 8 to 16 of 32 pixels per side,
    about the receptive field of a local feature of the paper's encoder (10).

    References
    ----------
    Hjelm et al. (2019). arXiv:1808.06670, "occlude" in the table on coordinates and occlusion.
    """

    smallest: float = 0.25
    largest: float = 0.5
    fill: float | None = None
    before: View | None = None
    pairs: Pairs = ((0, 1),)

    def __post_init__(self) -> None:
        """Validate the parameters."""
        check_shares(self, "smallest", "largest")
        if self.smallest > self.largest:
            raise ValueError(
                f"Occlude(smallest={self.smallest!r}, largest={self.largest!r}): smallest must not "
                "be above largest."
            )
        if self.fill is not None and not (is_number(self.fill, Real) and math.isfinite(self.fill)):
            raise ValueError(
                f"Occlude(fill={self.fill!r}): fill must be a finite pixel value, or None for the "
                "image's own mean."
            )
        if self.before is not None and not callable(self.before):
            raise TypeError(
                f"Occlude(before={self.before!r}): before must be a callable (x, generator) -> "
                "looks, such as skdim.views.Augment()."
            )

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Return a partly hidden and a whole look (n, C, H, W) at images ``x``.

        Raises a ValueError if samples are not images.
        """
        check_image_batch(self, x)
        looks = (x,) if self.before is None else self.before(x, generator)
        return self.hide(looks[0], generator), looks[-1]

    def hide(self, x: Tensor, generator: Generator) -> Tensor:
        """Hide a rectangle of each image."""
        if self.largest == 0:
            return x
        uniform = torch.rand((len(x), 1), generator=generator, device=x.device)
        share = self.smallest + (self.largest - self.smallest) * uniform
        rows = segments(share, x.shape[2], generator)
        columns = segments(share, x.shape[3], generator)
        hidden = rows[:, None, :, None] & columns[:, None, None, :]
        if self.fill is None:
            return torch.where(hidden, x.mean(dim=(2, 3), keepdim=True), x)
        return x.masked_fill(hidden, self.fill)
