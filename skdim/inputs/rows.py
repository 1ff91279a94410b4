"""Samples that are read by whole batches of row numbers."""

import copy
from collections.abc import Generator as Reading
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from skdim.inputs.layout import Layout
from skdim.inputs.sources import AbstractSource, ArraySource

__all__ = ["Rows"]


class Rows(torch.utils.data.Dataset[Tensor]):
    """Samples that are read by whole batches of row numbers.

    Entered as a context, they keep worker processes from one reading to the next; left, they end
    all of them.

    Parameters
    ----------
    source : ndarray of shape (n, n_features) or AbstractSource
        Where samples come from. The user's own array may be a read-only memory map and is never
        written to; uint8 stays uint8 until a batch is taken.
    layout : Layout
        Shape of a sample.
    device : torch.device, default=cpu
        Where batches are wanted.
    hold : bool, default=False
        Whether to move all rows to the device at once and index them there, where they are in
        memory.
    """

    def __init__(
        self,
        source: NDArray[Any] | AbstractSource,
        layout: Layout,
        device: torch.device | None = None,
        *,
        hold: bool = False,
    ) -> None:
        self.source = ArraySource(source) if isinstance(source, np.ndarray) else source
        self.layout = layout
        self.device = device or torch.device("cpu")
        self.numbers = torch.arange(len(self.source), device=self.device)
        self.labels = torch.full((len(self.source),), -1, device=self.device)
        self.held: Tensor | None = None
        if hold and self.device.type != "cpu" and self.source.can_be_held:
            self.held = self.source.take(np.arange(len(self.source))).to(self.device)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.numbers)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Take the samples of the given row numbers.

        Parameters
        ----------
        numbers : Tensor of shape (b,)
            Rows of the source.

        Returns
        -------
        Tensor of shape (b, *layout.shape)
        """
        if self.held is not None:
            return self.layout.arrange(self.held.index_select(0, numbers))
        return self.place(self.source.take(numbers.cpu().numpy()))

    def read(self, indices: Iterable[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Take the samples of one batch after the other.

        Parameters
        ----------
        indices : iterable of Tensor of shape (b,)
            Row numbers of each batch.
        generator : Generator
            What reading draws follows from where it stands; it is not moved.

        Yields
        ------
        Tensor of shape (b, *layout.shape)
        """
        if self.held is not None:
            yield from map(self.__getitem__, indices)
        else:
            for batch in self.source.read(on_cpu(list(indices)), generator):
                yield self.place(batch)

    def place(self, batch: Tensor) -> Tensor:
        """Bring what the source gave to the device and into shape."""
        if self.device.type == "cuda":
            # Copied from pinned memory, or the copy would wait for all that the device has to do.
            batch = batch if batch.is_pinned() else batch.pin_memory()
            return self.layout.arrange(batch.to(self.device, non_blocking=True))
        return self.layout.arrange(batch.to(self.device))

    def chunks(self, size: int) -> list[Tensor]:
        """Cut the row numbers, in their order, into parts of a size; the last may be smaller."""
        return [part for part in torch.split(self.numbers, size) if len(part)]

    def evenly_spaced(self, most: int) -> Tensor:
        """Return the row numbers of at most so many samples, spread over all of them."""
        n = min(len(self), most)
        return self.numbers[torch.arange(n, device=self.device) * len(self) // n]

    def part(self, positions: NDArray[np.intp]) -> "Rows":
        """Share the source, but count only the given rows.

        Parameters
        ----------
        positions : ndarray of shape (m,)

        Returns
        -------
        Rows
        """
        shared = copy.copy(self)
        shared.numbers = self.numbers[torch.as_tensor(positions, device=self.device)]
        return shared

    def on_cpu(self) -> "Rows":
        """Share the source, but give batches on the CPU."""
        shared = copy.copy(self)
        shared.device, shared.held = torch.device("cpu"), None
        shared.numbers, shared.labels = self.numbers.cpu(), self.labels.cpu()
        return shared

    def __enter__(self) -> Self:
        """Begin to keep workers."""
        self.source.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End workers."""
        self.source.__exit__(*error)


def on_cpu(indices: Sequence[Tensor]) -> list[NDArray[np.intp]]:
    """Bring the numbers of all batches to the CPU in one go: that waits for the device once."""
    if not indices:
        return []
    numbers = torch.cat(list(indices)).cpu()
    return [part.numpy() for part in torch.split(numbers, [len(part) for part in indices])]
