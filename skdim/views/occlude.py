"""A look with a part hidden beside a whole one."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Generator, Tensor

from skdim.views.base import Pairs, View, check_image_batch, check_share
from skdim.views.pixels import segments

__all__ = ["Occlude"]


@dataclass(frozen=True)
class Occlude:
    """Return two views of each image: partly hidden, for the code; whole, for local features.

    The code must then tell of places that it has not seen, from those that it has. A rectangle
    with the sides' own ratio is hidden in each image, at a place and of a size of its own.

    Parameters
    ----------
    smallest, largest : float, default=0.25, 0.5
        The sides of the rectangle are one share of the image's, drawn evenly between these; then
        rounded to whole pixels, at least one unless ``largest`` is 0. All of it is inside the
        image.
    fill : float or None, default=None
        Pixel value that the rectangle is filled with. None takes the image's own mean in each
        channel.
    before : View or None, default=None
        What is done to the images before. With :class:`Augment`, one of its looks has a part
        hidden and gives the code, and the other one the local features.

    Raises
    ------
    ValueError
        If a share is outside [0, 1], or ``smallest`` above ``largest``, or ``fill`` is no finite
        number.
    TypeError
        If ``before`` is no callable.

    Notes
    -----
    The paper says that part of the input is hidden at random for the code, and that local features
    come from the full input. What it hides, how much and with what filling were not to be had
    when this was written, and its public code has no occlusion. What is chosen here hides 8 to 16
    of 32 pixels on either side: about what one local feature of the paper's encoder sees (10), so
    that some places are hidden altogether, while three quarters of the image or more stay. The
    image's own mean, unlike black, is among its values whatever the range of the pixels.

    References
    ----------
    Hjelm et al. (2019). arXiv:1808.06670, "occlude" in the table on coordinates and occlusion.

    Examples
    --------
    >>> from skdim.views import Augment, Occlude
    >>> both = Occlude(largest=0.6, before=Augment(flip=True))
    >>> both.pairs
    ((0, 1),)
    """

    smallest: float = 0.25
    largest: float = 0.5
    fill: float | None = None
    before: View | None = None
    pairs: Pairs = ((0, 1),)

    def __post_init__(self) -> None:
        """Raise an error for sizes out of their range."""
        check_share(self, "smallest")
        check_share(self, "largest")
        if self.smallest > self.largest:
            raise ValueError(
                f"Occlude(smallest={self.smallest!r}, largest={self.largest!r}): smallest must not "
                "be above largest."
            )
        if self.fill is not None and not is_finite(self.fill):
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
        """Draw two views.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Floating-point pixel values.
        generator : Generator
            On the device of ``x``.

        Returns
        -------
        tuple of two Tensors of shape (n, C, H, W)
            With a part hidden, and whole.

        Raises
        ------
        ValueError
            If samples are no images.
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


def is_finite(value: Any) -> bool:
    """Return whether something is a finite number."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)
