"""What is drawn for each image of a batch and done to its pixels, by a few tensor operations."""

import math

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

__all__ = ["cropped", "factors", "grey_of", "segments", "shifted", "sometimes", "turned"]

# How bright red, green and blue look (ITU-R BT.601, as in Pillow and torchvision).
BRIGHTNESS_OF_COLOURS = (0.299, 0.587, 0.114)


def factors(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Draw one factor an image from ``[1 - strength, 1 + strength]``; shape (n, 1, 1, 1)."""
    uniform = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
    return (1 + strength * (2 * uniform - 1)).to(x.dtype)


def sometimes(chance: float, changed: Tensor, x: Tensor, generator: Generator) -> Tensor:
    """Take the changed image with some probability, drawn an image, else the one before."""
    if chance == 1:
        return changed
    uniform = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
    return torch.where(uniform < chance, changed, x)


def segments(share: Tensor, side: int, generator: Generator) -> Tensor:
    """Draw a segment of each side, of given shares (n, 1); True inside, shape (n, side)."""
    length = (share * side).round().clamp(min=1)
    uniform = torch.rand(share.shape, generator=generator, device=share.device)
    start = (uniform * (side - length + 1)).floor()
    position = torch.arange(side, device=share.device)
    return (position >= start) & (position < start + length)


def shifted(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Move each image by its own whole pixels, reflecting borders."""
    n, channels, height, width = x.shape
    rows = shifted_indices(n, height, share, x.device, generator)
    columns = shifted_indices(n, width, share, x.device, generator)
    image = torch.arange(n, device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    return x[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def cropped(x: Tensor, least: float, generator: Generator) -> Tensor:
    """Cut a rectangle of its own out of each image, and enlarge it to the image's size.

    Parameters
    ----------
    x : Tensor of shape (n, C, H, W)
    least : float
        Smallest share of the area; shares are uniform from there to 1. The proportions change by
        up to 16 % either way, as far as the image reaches.
    generator : Generator

    Returns
    -------
    Tensor of shape (n, C, H, W)
        Interpolated linearly.
    """
    share, stretch, across, down = torch.rand(
        (4, len(x)), generator=generator, device=x.device, dtype=torch.float32
    )
    side = (least + (1 - least) * share).sqrt()
    stretch = torch.exp(0.15 * (2 * stretch - 1))
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    zero = torch.zeros_like(width)
    rows = [
        width,
        zero,
        (1 - width) * (2 * across - 1),
        zero,
        height,
        (1 - height) * (2 * down - 1),
    ]
    corners = affine_grid(
        torch.stack(rows, dim=1).reshape(-1, 2, 3), list(x.shape), align_corners=False
    )
    return grid_sample(x, corners.to(x.dtype), padding_mode="reflection", align_corners=False)


def shifted_indices(
    n: int, side: int, share: float, device: torch.device, generator: Generator
) -> Tensor:
    """Positions that each of n shifted images reads along one side; shape (n, side)."""
    most = min(side - 1, max(1, round(side * share)))
    offset = torch.randint(-most, most + 1, (n, 1), generator=generator, device=device)
    position = (torch.arange(side, device=device) + offset).abs()  # reflects at the near border
    return torch.where(position >= side, 2 * (side - 1) - position, position)


def grey_of(x: Tensor) -> Tensor:
    """Return the luminance of colours (n, 3, H, W); shape (n, 1, H, W)."""
    # Numbers, not a tensor of them: that would be copied to the device, which waits for it.
    red, green, blue = BRIGHTNESS_OF_COLOURS
    return red * x[:, :1] + green * x[:, 1:2] + blue * x[:, 2:]


def turned(x: Tensor, turn: Tensor) -> Tensor:
    """Turn colours (n, 3, H, W) about the axis of greys.

    A turn about that axis treats all three colours alike, so that each new colour is the same
    mixture of itself, the one before it and the one after it.

    Parameters
    ----------
    x : Tensor of shape (n, 3, H, W)
    turn : Tensor of shape (n, 1, 1, 1)
        Share of a full turn.

    Returns
    -------
    Tensor of shape (n, 3, H, W)
        With the sum of the colours of each pixel as it was.
    """
    angle = 2 * math.pi * turn
    apart = (1 - angle.cos()) / 3
    across = angle.sin() / math.sqrt(3)
    itself = 1 - 2 * apart
    return itself * x + (apart + across) * x.roll(1, dims=1) + (apart - across) * x.roll(-1, dims=1)
