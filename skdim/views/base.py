"""Types, pairs of looks and transformations that views share, and two simple views."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Generator, Tensor
from torch.nn.functional import affine_grid, grid_sample

from skdim.parameters import is_number

View = Callable[[Tensor, Generator], "tuple[Tensor, ...]"]
Pairs = tuple[tuple[int, int], ...]

# Luminance of red, green and blue (ITU-R BT.601, as in Pillow and torchvision).
BRIGHTNESS_OF_COLOURS = (0.299, 0.587, 0.114)


def factors(x: Tensor, strength: float, generator: Generator) -> Tensor:
    """Draw a factor per image in ``[1 - strength, 1 + strength]``; shape (n, 1, 1, 1)."""
    uniform = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
    return (1 + strength * (2 * uniform - 1)).to(x.dtype)


def sometimes(chance: float, changed: Tensor, x: Tensor, generator: Generator) -> Tensor:
    """Return changed images with probability ``chance``, else the unchanged ones."""
    if chance == 1:
        return changed
    uniform = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
    return torch.where(uniform < chance, changed, x)


def segments(share: Tensor, side: int, generator: Generator) -> Tensor:
    """Draw random segments of shares (n, 1) of a side, as a mask (n, side)."""
    length = (share * side).round().clamp(min=1)
    uniform = torch.rand(share.shape, generator=generator, device=share.device)
    start = (uniform * (side - length + 1)).floor()
    position = torch.arange(side, device=share.device)
    return (position >= start) & (position < start + length)


def shifted(x: Tensor, share: float, generator: Generator) -> Tensor:
    """Shift each image by a random number of pixels, reflecting borders."""
    n, channels, height, width = x.shape
    rows = shifted_indices(n, height, share, x.device, generator)
    columns = shifted_indices(n, width, share, x.device, generator)
    image = torch.arange(n, device=x.device)[:, None, None, None]
    channel = torch.arange(channels, device=x.device)[:, None, None]
    return x[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def cropped(x: Tensor, least: float, generator: Generator) -> Tensor:
    """Crop a random rectangle of each image, and resize it linearly to the image's size.

    Shares of the area are uniform from ``least`` to 1; proportions change by up to 16 %.
    """
    share, stretch, across, down = torch.rand(
        (4, len(x)), generator=generator, device=x.device, dtype=torch.float32
    )
    side = (least + (1 - least) * share).sqrt()
    stretch = torch.exp(0.15 * (2 * stretch - 1))
    width, height = (side * stretch).clamp(max=1), (side / stretch).clamp(max=1)
    zero = torch.zeros_like(width)
    offset_x, offset_y = (1 - width) * (2 * across - 1), (1 - height) * (2 * down - 1)
    theta = torch.stack([width, zero, offset_x, zero, height, offset_y], dim=1).reshape(-1, 2, 3)
    corners = affine_grid(theta, list(x.shape), align_corners=False)
    return grid_sample(x, corners.to(x.dtype), padding_mode="reflection", align_corners=False)


def shifted_indices(
    n: int, side: int, share: float, device: torch.device, generator: Generator
) -> Tensor:
    """Return the positions (n, side) that n shifted images read along one side."""
    limit = min(side - 1, max(1, round(side * share)))
    offset = torch.randint(-limit, limit + 1, (n, 1), generator=generator, device=device)
    position = (torch.arange(side, device=device) + offset).abs()  # reflects at the near border
    return torch.where(position >= side, 2 * (side - 1) - position, position)


def grey_of(x: Tensor) -> Tensor:
    """Return the luminance (n, 1, H, W) of colours (n, 3, H, W)."""
    # Numbers, since copying a tensor to the device would wait for it.
    red, green, blue = BRIGHTNESS_OF_COLOURS
    return red * x[:, :1] + green * x[:, 1:2] + blue * x[:, 2:]


def turned(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate colours (n, 3, H, W) about the grey axis by shares (n, 1, 1, 1) of a full turn.

    The sum of the colours of each pixel does not change.
    """
    angle = 2 * math.pi * turn
    even = (1 - angle.cos()) / 3
    odd = angle.sin() / math.sqrt(3)
    diagonal = 1 - 2 * even
    return diagonal * x + (even + odd) * x.roll(1, dims=1) + (even - odd) * x.roll(-1, dims=1)


def find_pairs(view: object, n_looks: int) -> Pairs:
    """Return the pairs ``(look of the code, look of the local features)`` that are compared.

    ``n_looks`` is the number of looks that the view returns.
    """
    if isinstance(view, GivenLooks):
        return all_pairs(n_looks, n_looks // view.n_given)
    declared: Pairs | None = getattr(view, "pairs", None)
    if declared is not None:
        return declared
    return ((0, 0),) if n_looks == 1 else all_pairs(n_looks)


def all_pairs(n_looks: int, size: int = 1) -> Pairs:
    """Return all pairs of looks of different groups, each of ``size`` consecutive looks."""
    looks = range(n_looks)
    return tuple((i, j) for i in looks for j in looks if i // size != j // size)


@dataclass(frozen=True)
class Identity:
    """Return each sample unchanged as its only look, as in the paper."""

    pairs: Pairs = ((0, 0),)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Return the samples as the only look."""
        return (x,)


@dataclass(frozen=True)
class GivenLooks:
    """Return looks that are given in the data, each changed by a view.

    All pairs of looks that come from different given looks are compared.

    Parameters
    ----------
    view : View
        Applied to each given look; ``Identity()`` leaves them as they are.
    n_given : int
        Number of given looks at each sample.
    """

    view: View
    n_given: int

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Return the looks at samples (n, n_given, ...), one given look after the other."""
        return tuple(look for given in x.unbind(1) for look in self.view(given, generator))


def view_of_one(view: View) -> View:
    """Return the view of single samples: the one applied to each look if looks are given."""
    return view.view if isinstance(view, GivenLooks) else view


@dataclass(frozen=True)
class Mirror:
    """Return one look at each image, half of them mirrored left to right."""

    pairs: Pairs = ((0, 0),)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Mirror a random half of the images."""
        check_image_batch(self, x)
        return (sometimes(0.5, x.flip(3), x, generator),)


def check_shares(view: object, *names: str, limit: float = 1.0) -> None:
    """Raise a ValueError if a parameter is not a number from 0 to ``limit``."""
    for name in names:
        value = getattr(view, name)
        if not is_number(value, Real) or not 0 <= float(value) <= limit:
            raise ValueError(
                f"{type(view).__name__}({name}={value!r}): {name} must be a number from 0 to "
                f"{limit:g}."
            )


def check_image_batch(view: object, x: Tensor) -> None:
    """Raise a ValueError if samples are not images."""
    if x.ndim != 4:
        raise ValueError(
            f"{type(view).__name__} is a view of images, but each sample has the shape "
            f"{tuple(x.shape[1:])}. Give image_shape, or use view=None."
        )
