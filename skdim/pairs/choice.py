"""The negatives of each sample, and access to them by blocks of samples."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Generator, Tensor

__all__ = [
    "AbstractChoice",
    "Every",
    "check_samples",
    "choose_negatives",
    "consecutive",
    "draw_negatives",
]


class AbstractChoice(ABC):
    """The negative locations of each sample; ``copies`` is whether taking copies them."""

    copies: bool = False

    @abstractmethod
    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Return the locations that the codes of a block of the n samples are joined with.

        These are all locations (n, l, u); or own ones (b, l, u) and negative ones (b, m, u).
        """

    @abstractmethod
    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add the gradient of what ``take`` returned to that of all locations (n, l, u)."""

    @abstractmethod
    def count(self, local: Tensor) -> int:
        """Return the number of negative locations of a sample."""


class Every(AbstractChoice):
    """All locations of all other samples."""

    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Return all locations, including the sample's own."""
        return (local,)

    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add the gradient of all locations."""
        gradient += added[0]

    def count(self, local: Tensor) -> int:
        """Return the number of locations of all other samples."""
        return (len(local) - 1) * local.shape[1]


class Next(AbstractChoice):
    """The locations of the next sample, and of the first for the last."""

    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Return two slices, which are copied for the last block only."""
        false = local[block.start + 1 : block.stop + 1]
        if block.stop == len(local):
            false = torch.cat([false, local[:1]])
        return local[block], false

    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add to the same slices."""
        own, false = added
        gradient[block] += own
        following = gradient[block.start + 1 : block.stop + 1]
        following += false[: len(following)]
        if block.stop == len(gradient):
            gradient[0] += false[-1]

    def count(self, local: Tensor) -> int:
        """Return the number of locations of one sample."""
        return local.shape[1]


@dataclass(frozen=True)
class Drawn(AbstractChoice):
    """Drawn locations: ``rows``, (n, m), are indices of all locations (n * l, u)."""

    rows: Tensor
    copies = True

    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Copy the drawn locations."""
        rows = self.rows[block]
        # Not by indexing, whose backward is slow.
        false = local.flatten(0, 1).index_select(0, rows.flatten())
        return local[block], false.reshape(*rows.shape, -1)

    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add up, since a location may be drawn repeatedly."""
        own, false = added
        gradient[block] += own
        false = false.flatten(0, 1).to(gradient.dtype)
        gradient.view(-1, gradient.shape[2]).index_add_(0, self.rows[block].flatten(), false)

    def count(self, local: Tensor) -> int:
        """Return the number of draws for one sample."""
        return self.rows.shape[1]


def choose_negatives(
    code: Tensor, local: Tensor, negatives: str | int | Tensor, generator: Generator | None
) -> AbstractChoice:
    """Choose negatives; raise a ValueError if the batch or ``negatives`` is not valid."""
    if code.ndim != 3 or local.ndim != 3 or len(code) != len(local):
        raise ValueError(
            f"code has shape {tuple(code.shape)} and local {tuple(local.shape)}; projections "
            "(n, g, u) and (n, l, u) of the same n samples are needed."
        )
    n, n_locations = local.shape[:2]
    check_samples(n)
    if isinstance(negatives, Tensor):
        return Drawn(negatives)
    if negatives == "all":
        return Every()
    if negatives == "shift":
        return Next()
    if isinstance(negatives, Integral) and not isinstance(negatives, bool) and negatives >= 1:
        return Drawn(draw_negatives((n, n_locations), int(negatives), local.device, generator))
    raise ValueError(
        f"negatives={negatives!r} is not known. Allowed are 'all' (every location of every "
        "other sample), 'shift' (the locations of the next sample) and an int of at least 1 "
        "(that many draws a location)."
    )


def draw_negatives(
    shape: Sequence[int], count: int, device: torch.device, generator: Generator | None
) -> Tensor:
    """Draw a location of another sample ``count`` times for each location.

    Parameters
    ----------
    shape : (int, int)
        Numbers of samples n, at least 2, and of locations l of each.
    count : int
    device : torch.device
    generator : Generator or None

    Returns
    -------
    Tensor of shape (n, l * count)
        Rows of all locations (n * l, u).
    """
    n, n_locations = shape
    check_samples(n)
    # Steps of 1 to n - 1 around the batch exclude the sample itself.
    drawn_on = device if generator is None else generator.device
    step = torch.randint(1, n, (n, n_locations, count), generator=generator, device=drawn_on)
    sample = torch.arange(n, device=device)[:, None, None]
    other = (sample + step.to(device, non_blocking=True)) % n
    location = torch.arange(n_locations, device=device)[:, None]
    return (other * n_locations + location).flatten(1)


def check_samples(n: int) -> None:
    """Raise a ValueError if there are fewer than two samples."""
    if n < 2:
        raise ValueError(
            f"the batch has {n} sample(s); negatives need another sample, so at least 2. "
            "Use larger batches, or drop the last one if it is too small."
        )


def consecutive(n: int, size: int) -> Iterator[slice]:
    """Return slices of ``size`` of n samples; the last may be smaller."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
