"""Views: what is done to a sample before it is encoded, so that its code learns what lasts.

A view is a callable ``(x, generator) -> looks``, where ``x`` holds pixel values of shape
(n, C, H, W) before standardisation and ``looks`` is a tuple of tensors of that shape. A view
may say in an attribute ``pairs`` which look gives the code and which the local features; without
it, each look's code meets the local features of every other look (its own, if there is one look).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

__all__ = ["VIEWS", "Augment", "Identity", "View", "find_pairs"]

View = Callable[[Tensor, Generator], "tuple[Tensor, ...]"]
Pairs = tuple[tuple[int, int], ...]


def find_pairs(view: Any, n_looks: int) -> Pairs:
    """Say which looks are compared.

    Parameters
    ----------
    view : View
    n_looks : int
        How many looks the view gives.

    Returns
    -------
    tuple of (int, int)
        ``(look of the code, look of the local features)``.
    """
    declared: Pairs | None = getattr(view, "pairs", None)
    if declared is not None:
        return declared
    if n_looks == 1:
        return ((0, 0),)
    return tuple((i, j) for i in range(n_looks) for j in range(n_looks) if i != j)


@dataclass(frozen=True)
class Identity:
    """Look at each sample as it is: the paper's plain form."""

    pairs: Pairs = ((0, 0),)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Give the samples themselves as the only look."""
        return (x,)


@dataclass(frozen=True)
class Augment:
    """Look twice at each image, shifted and lit differently each time.

    The code of either look is compared with the local features of the other (AMDIM).

    Parameters
    ----------
    shift : float, default=0.0625
        Largest shift, as a share of the side; borders are reflected. At least one pixel unless 0.
    brightness : float, default=0.2
        Pixel values are multiplied by a factor from ``[1 - brightness, 1 + brightness]``.
    contrast : float, default=0.2
        Differences from the image's mean are multiplied by a factor likewise.
    flip : bool, default=False
        Whether half of the looks are mirrored left to right. Off, since digits and letters
        change their meaning.

    References
    ----------
    Bachman, Hjelm and Buchwalter (2019). Learning representations by maximizing mutual
    information across views. NeurIPS. arXiv:1906.00910.
    """

    shift: float = 0.0625
    brightness: float = 0.2
    contrast: float = 0.2
    flip: bool = False
    pairs: Pairs = ((0, 1), (1, 0))

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Look twice.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
        generator : Generator

        Returns
        -------
        tuple of two Tensors of shape (n, C, H, W)
        """
        return self.look(x, generator), self.look(x, generator)

    def look(self, x: Tensor, generator: Generator) -> Tensor:
        """Look once; see ``__call__``."""
        moved = shift_images(x, self.shift, self.flip, generator)
        if self.contrast:
            mean = moved.mean(dim=(1, 2, 3), keepdim=True)
            moved = mean + (moved - mean) * factors(moved, self.contrast, generator)
        if self.brightness:
            moved = moved * factors(moved, self.brightness, generator)
        return moved


def factors(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Draw one factor an image from ``[1 - strength, 1 + strength]``; shape (n, 1, 1, 1)."""
    uniform = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
    return 1 + strength * (2 * uniform - 1)


def shift_images(x: Tensor, share: float, flip: bool, generator: Generator) -> Tensor:
    """Move each image by its own whole pixels, reflecting borders, and mirror half if asked."""
    n, channels, height, width = x.shape
    rows = shifted_indices(n, height, share, x.device, generator)
    columns = shifted_indices(n, width, share, x.device, generator)
    if flip:
        mirrored = torch.rand((n, 1), generator=generator, device=x.device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    image = torch.arange(n, device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    return x[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def shifted_indices(
    n: int, side: int, share: float, device: torch.device, generator: Generator
) -> Tensor:
    """Positions that each of n shifted images reads along one side; shape (n, side)."""
    most = 0 if share == 0 else min(side - 1, max(1, round(side * share)))
    offset = torch.randint(-most, most + 1, (n, 1), generator=generator, device=device)
    position = (torch.arange(side, device=device) + offset).abs()  # reflects at the near border
    return torch.where(position >= side, 2 * (side - 1) - position, position)


VIEWS: dict[str, View] = {"augment": Augment()}
