"""Samples that are read in batches by their numbers."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Generator as Reading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from skdim.devices import free_memory
from skdim.inputs.items import Convert, find_map
from skdim.inputs.layout import Layout


class Samples(ABC):
    """Samples that are read in batches by their numbers, in memory or not.

    As a context, they keep worker processes between readings, and end them on exit.

    Parameters
    ----------
    n_rows : int
        Number of looks at all samples.
    layout : Layout
        Shape of a look.
    device : torch.device, default=cpu
        Device of batches.
    labels : Tensor of shape (n,), default=None
        Numbers of classes, on the device; -1 where there is no label. None is -1 for all.
    convert : callable, default=None
        Converts rows as given; see :class:`~skdim.inputs.Conversion`. None rounds them to float32,
        except uint8.
    n_looks : int, default=1
        Number of looks at each sample, which are consecutive rows. If there are several, a batch
        has the shape (b, n_looks, *layout.shape).

    Attributes
    ----------
    numbers : Tensor of shape (m,)
        Numbers of all samples, or of those of a part.
    labels : Tensor of shape (n,)
        Indexed by the numbers of the samples.
    """

    # A context that keeps worker processes, if any; shared by copies and parts.
    workers: AbstractContextManager[object] = nullcontext()

    def __init__(
        self,
        n_rows: int,
        layout: Layout,
        device: torch.device | None = None,
        labels: Tensor | None = None,
        convert: Convert | None = None,
        n_looks: int = 1,
    ) -> None:
        n = n_rows // n_looks
        self.n_looks = n_looks
        self.layout = layout
        self.convert = convert
        self.device = device or torch.device("cpu")
        self.numbers = torch.arange(n, device=self.device)
        self.labels = torch.full((n,), -1, device=self.device) if labels is None else labels

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.numbers)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Return a copy of the samples of some numbers, as a batch on the device."""
        return next(self.read([numbers], Generator()))

    @abstractmethod
    def read(self, batches: Sequence[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Read the samples of one batch after the other.

        Parameters
        ----------
        batches : sequence of Tensor of shape (b,)
            Numbers of the samples of each batch.
        generator : Generator
            Its state, which is not changed, seeds draws while reading.

        Yields
        ------
        Tensor of shape (b, *layout.shape) or (b, n_looks, *layout.shape)
        """

    def rows_of(self, numbers: Tensor) -> Tensor:
        """Return the numbers of the looks at some samples, (b * n_looks,)."""
        if self.n_looks == 1:
            return numbers
        look = torch.arange(self.n_looks, device=numbers.device)
        return (numbers[:, None] * self.n_looks + look).flatten()

    def arrange(self, rows: Tensor) -> Tensor:
        """Arrange flat looks in the layout, those at a sample together."""
        looks = self.layout.arrange(rows)
        if self.n_looks == 1:
            return looks
        return looks.reshape(-1, self.n_looks, *self.layout.shape)

    def place(self, rows: Tensor) -> Tensor:
        """Copy flat looks to the device, and arrange them."""
        is_cuda = self.device.type == "cuda"
        if is_cuda and not rows.is_pinned():
            rows = rows.pin_memory()  # A copy from unpinned memory would wait for the device.
        return self.arrange(rows.to(self.device, non_blocking=is_cuda))

    def chunks(self, size: int) -> list[Tensor]:
        """Split the numbers, in order, into parts of ``size``; the last one may be smaller."""
        return [part for part in torch.split(self.numbers, size) if len(part)]

    def thinned(self, n_max: int) -> Self:
        """Return at most ``n_max`` samples, evenly spaced; the data is shared."""
        n = min(len(self), n_max)
        return self.part(np.arange(n) * len(self) // n)

    def evenly_spaced(self, n_max: int) -> Tensor:
        """Return the numbers of at most ``n_max`` samples, evenly spaced."""
        return self.thinned(n_max).numbers

    def part(self, positions: NDArray[np.intp]) -> Self:
        """Return the samples at some positions in ``numbers``; the data is shared."""
        shared = copy.copy(self)
        shared.numbers = self.numbers[torch.as_tensor(positions, device=self.device)]
        return shared

    def single(self) -> Self:
        """Return all looks as separate samples; the data is shared."""
        shared = copy.copy(self)
        shared.numbers, shared.n_looks = self.rows_of(self.numbers), 1
        shared.labels = self.labels.repeat_interleave(self.n_looks)
        return shared

    def on_cpu(self) -> Self:
        """Return the same samples with batches on the CPU; the data is shared."""
        shared = copy.copy(self)
        shared.device = torch.device("cpu")
        shared.numbers, shared.labels = self.numbers.cpu(), self.labels.cpu()
        return shared

    def __enter__(self) -> Self:
        """Keep workers, if any, between readings."""
        self.workers.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """End all workers, also those of unfinished readings."""
        self.workers.__exit__(*error)


class ArraySamples(Samples):
    """Samples in an array.

    Parameters
    ----------
    array : ndarray of shape (n, n_features)
        It may be a read-only memory map, and is never written to.
    layout, device, labels, convert, n_looks
        See :class:`Samples`.
    given : ndarray of shape (n, n_features), default=None
        The same numbers before they were rounded to float32, which ``convert`` needs.
    preload : bool, default=False
        Whether to copy all samples to the device, unless the array is a memory map, or would take
        more than half of the device's free memory.
    """

    def __init__(
        self,
        array: NDArray[Any],
        layout: Layout,
        device: torch.device | None = None,
        *,
        labels: Tensor | None = None,
        convert: Convert | None = None,
        n_looks: int = 1,
        given: NDArray[Any] | None = None,
        preload: bool = False,
    ) -> None:
        super().__init__(len(array), layout, device, labels, convert, n_looks)
        self.array = array if given is None or convert is None else given
        self.preloaded: Tensor | None = None
        # A memory map may exceed the memory.
        if preload and self.device.type != "cpu" and find_map(self.array) is None:
            free = free_memory(self.device)
            # Rows are read as float32, or as uint8.
            if free is None or array.size * min(array.itemsize, 4) <= free / 2:
                self.preloaded = self.take(np.arange(len(array))).to(self.device)

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Return a copy of rows of the array."""
        rows = self.array[numbers]
        if self.convert is not None:
            return torch.from_numpy(self.convert(rows))
        return torch.from_numpy(rows.astype(self.dtype, copy=False))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers that are read without ``convert``."""
        return self.array.dtype if self.array.dtype == np.uint8 else np.dtype(np.float32)

    def read(self, batches: Sequence[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Read batches; see :class:`Samples`."""
        looks = [self.rows_of(batch) for batch in batches]
        if self.preloaded is not None:
            for rows in looks:
                yield self.arrange(self.preloaded.index_select(0, rows))
        else:
            for numbers in numbers_on_cpu(looks):
                yield self.place(self.take(numbers))

    def on_cpu(self) -> Self:
        """Return the same samples with batches on the CPU; see :class:`Samples`."""
        shared = super().on_cpu()
        shared.preloaded = None
        return shared


def numbers_on_cpu(batches: Sequence[Tensor]) -> list[NDArray[np.intp]]:
    """Copy the numbers of all batches to the CPU, waiting for the device once."""
    if not batches:
        return []
    numbers = torch.cat(list(batches)).cpu()
    return [part.numpy() for part in torch.split(numbers, [len(part) for part in batches])]
