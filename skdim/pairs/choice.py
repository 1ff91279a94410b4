"""Which locations are false, and how a block of samples takes them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Generator, Tensor

__all__ = ["AbstractChoice", "Every", "check_samples", "choose_negatives", "consecutive"]


class AbstractChoice(ABC):
    """Which locations are false for which sample; ``copies`` says if taking them copies them."""

    copies: bool = False

    @abstractmethod
    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Return what the codes of a block of samples are joined with.

        Parameters
        ----------
        local : Tensor of shape (n, l, u)
        block : slice
            Of the n samples.

        Returns
        -------
        tuple of Tensor
            All locations (n, l, u); or the own locations (b, l, u) and the false ones (b, m, u).
        """

    @abstractmethod
    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add the gradient in what a block took to the gradient (n, l, u) in all locations."""

    @abstractmethod
    def count(self, local: Tensor) -> int:
        """Count the false locations of a sample."""


class Every(AbstractChoice):
    """Every location of every other sample."""

    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Return all locations, the own among them."""
        return (local,)

    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add what concerns all."""
        gradient += added[0]

    def count(self, local: Tensor) -> int:
        """Count the locations of all other samples."""
        return (len(local) - 1) * local.shape[1]


class Next(AbstractChoice):
    """The locations of the next sample, and of the first for the last."""

    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Return two slices; nothing is copied but for the last block."""
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
        """Count the locations of one sample."""
        return local.shape[1]


@dataclass(frozen=True)
class Drawn(AbstractChoice):
    """Locations that were drawn.

    Parameters
    ----------
    rows : Tensor of shape (n, m)
        Among the locations of all samples, flattened to (n * l, u).
    """

    rows: Tensor
    copies = True

    def take(self, local: Tensor, block: slice) -> tuple[Tensor, ...]:
        """Copy what was drawn."""
        rows = self.rows[block]
        # Not by rows[numbers]: its gradient is added up one number at a time.
        false = local.flatten(0, 1).index_select(0, rows.flatten())
        return local[block], false.reshape(*rows.shape, -1)

    def give_back(self, gradient: Tensor, added: Sequence[Tensor], block: slice) -> None:
        """Add up; a location may have been drawn many times."""
        own, false = added
        gradient[block] += own
        false = false.flatten(0, 1).to(gradient.dtype)
        gradient.view(-1, gradient.shape[2]).index_add_(0, self.rows[block].flatten(), false)

    def count(self, local: Tensor) -> int:
        """Count the draws for one sample."""
        return self.rows.shape[1]


def choose_negatives(
    code: Tensor, local: Tensor, negatives: str | int, generator: Generator | None
) -> AbstractChoice:
    """Check the batch, and choose false locations for each sample.

    Raises
    ------
    ValueError
        If the projections do not fit each other, there are fewer than two samples, or the
        negatives are unknown.
    """
    if code.ndim != 3 or local.ndim != 3 or len(code) != len(local):
        raise ValueError(
            f"code has shape {tuple(code.shape)} and local {tuple(local.shape)}; projections "
            "(n, g, u) and (n, l, u) of the same n samples are needed."
        )
    n, n_locations = local.shape[:2]
    check_samples(n)
    if negatives == "all":
        return Every()
    if negatives == "shift":
        return Next()
    if isinstance(negatives, Integral) and not isinstance(negatives, bool) and negatives >= 1:
        return draw(n, n_locations, int(negatives), generator, local.device)
    raise ValueError(
        f"negatives={negatives!r} is not known. Allowed are 'all' (every location of every "
        "other sample), 'shift' (the locations of the next sample) and an int of at least 1 "
        "(that many draws a location)."
    )


def draw(
    n: int, n_locations: int, k: int, generator: Generator | None, device: torch.device
) -> Drawn:
    """Draw k other samples for each sample and location."""
    # Steps of 1 to n - 1 around the batch never lead back.
    drawn_on = device if generator is None else generator.device
    step = torch.randint(1, n, (n, n_locations, k), generator=generator, device=drawn_on)
    sample = torch.arange(n, device=device)[:, None, None]
    other = (sample + step.to(device, non_blocking=True)) % n
    location = torch.arange(n_locations, device=device)[:, None]
    return Drawn((other * n_locations + location).flatten(1))


def check_samples(n: int) -> None:
    """Raise a ValueError if there is no other sample to take negatives from."""
    if n < 2:
        raise ValueError(
            f"the batch has {n} sample(s); negatives need another sample, so at least 2. "
            "Use larger batches, or drop the last one if it is too small."
        )


def consecutive(n: int, size: int) -> Iterator[slice]:
    """Cut n samples into slices of a given size; the last may be smaller."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
