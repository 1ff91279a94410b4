"""Samples that are read by whole batches of numbers, wherever they are."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Generator as Reading
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from skdim.inputs.items import find_map
from skdim.inputs.layout import Layout

__all__ = ["ArraySamples", "Samples", "numbers_on_cpu"]


class Samples(ABC):
    """Samples that are read by whole batches of numbers, in memory or not.

    Entered as a context, they keep worker processes from one reading to the next; left, they end
    all of them.

    Parameters
    ----------
    n : int
        Number of samples.
    layout : Layout
        Shape of a sample.
    device : torch.device, default=cpu
        Where batches are wanted.
    labels : Tensor of shape (n,), default=None
        Positions of classes, on the device; -1 where there is no label. None is -1 for all.

    Attributes
    ----------
    numbers : Tensor of shape (m,)
        Numbers of the samples that count: all, or those of a part.
    labels : Tensor of shape (n,)
        By the numbers of the samples.
    """

    def __init__(
        self,
        n: int,
        layout: Layout,
        device: torch.device | None = None,
        labels: Tensor | None = None,
    ) -> None:
        self.layout = layout
        self.device = device or torch.device("cpu")
        self.numbers = torch.arange(n, device=self.device)
        self.labels = torch.full((n,), -1, device=self.device) if labels is None else labels

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.numbers)

    @abstractmethod
    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Read the samples of the given numbers.

        Parameters
        ----------
        numbers : Tensor of shape (b,)

        Returns
        -------
        Tensor of shape (b, *layout.shape)
            A copy, on the device.
        """

    @abstractmethod
    def read(self, batches: Sequence[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Read the samples of one batch after the other.

        Parameters
        ----------
        batches : sequence of Tensor of shape (b,)
            Numbers of the samples of each batch.
        generator : Generator
            What reading draws is seeded by its state, which stays as it is.

        Yields
        ------
        Tensor of shape (b, *layout.shape)
        """

    def place(self, batch: Tensor) -> Tensor:
        """Bring a batch of flat or unarranged samples to the device and into shape."""
        if self.device.type == "cuda":
            # Copied from pinned memory, or the copy would wait for all that the device has to do.
            batch = batch if batch.is_pinned() else batch.pin_memory()
            return self.layout.arrange(batch.to(self.device, non_blocking=True))
        return self.layout.arrange(batch.to(self.device))

    def chunks(self, size: int) -> list[Tensor]:
        """Cut the numbers, in their order, into parts of a size; the last may be smaller."""
        return [part for part in torch.split(self.numbers, size) if len(part)]

    def evenly_spaced(self, most: int) -> Tensor:
        """Return the numbers of at most so many samples, spread over all of them."""
        n = min(len(self), most)
        return self.numbers[torch.arange(n, device=self.device) * len(self) // n]

    def part(self, positions: NDArray[np.intp]) -> Self:
        """Share the data, but count only some of the samples.

        Parameters
        ----------
        positions : ndarray of shape (m,)
            Positions in ``numbers``.
        """
        shared = copy.copy(self)
        shared.numbers = self.numbers[torch.as_tensor(positions, device=self.device)]
        return shared

    def on_cpu(self) -> Self:
        """Share the data, but return batches on the CPU."""
        shared = copy.copy(self)
        shared.device = torch.device("cpu")
        shared.numbers, shared.labels = self.numbers.cpu(), self.labels.cpu()
        return shared

    def __enter__(self) -> Self:
        """Begin to keep workers, where there are any."""
        return self

    def __exit__(self, *error: object) -> None:  # noqa: B027 (not all have workers)
        """End workers."""


class ArraySamples(Samples):
    """Samples in an array, indexed by whole batches.

    Parameters
    ----------
    array : ndarray of shape (n, n_features)
        The user's own array, which may be a read-only memory map and is never written to. uint8
        stays uint8.
    layout, device, labels
        See :class:`Samples`.
    hold : bool, default=False
        Whether to move all samples to the device at once and index them there, where the array is
        in memory.
    """

    def __init__(
        self,
        array: NDArray[Any],
        layout: Layout,
        device: torch.device | None = None,
        *,
        labels: Tensor | None = None,
        hold: bool = False,
    ) -> None:
        super().__init__(len(array), layout, device, labels)
        self.array = array
        self.held: Tensor | None = None
        # A memory map may be larger than the memory.
        if hold and self.device.type != "cpu" and find_map(array) is None:
            self.held = self.take(np.arange(len(array))).to(self.device)

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Return rows of the array."""
        # Indexing by numbers copies, so that read-only and memory-mapped arrays work alike.
        return torch.from_numpy(self.array[numbers])

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Read samples; see :class:`Samples`."""
        if self.held is not None:
            return self.layout.arrange(self.held.index_select(0, numbers))
        return self.place(self.take(numbers.cpu().numpy()))

    def read(self, batches: Sequence[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Read batches; see :class:`Samples`."""
        if self.held is not None:
            yield from map(self.__getitem__, batches)
        else:
            for numbers in numbers_on_cpu(batches):
                yield self.place(self.take(numbers))

    def on_cpu(self) -> Self:
        """Share the data, but return batches on the CPU."""
        shared = super().on_cpu()
        shared.held = None
        return shared


def numbers_on_cpu(batches: Sequence[Tensor]) -> list[NDArray[np.intp]]:
    """Bring the numbers of all batches to the CPU at once: that waits for the device once."""
    if not batches:
        return []
    numbers = torch.cat(list(batches)).cpu()
    return [part.numpy() for part in torch.split(numbers, [len(part) for part in batches])]
