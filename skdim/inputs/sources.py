"""Where rows come from: an array at hand, or a stream that is read while it is needed."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from skdim.inputs.draws import SEEDING, drawing, seeds_of
from skdim.inputs.readers import AbstractReader, find_map
from skdim.inputs.workers import Workers

__all__ = ["SEED", "AbstractSource", "ArraySource", "StreamSource"]

# What is taken at once in this process; of more than that, workers read such parts.
FEW = 64

# Of what reading draws where the samples are only looked at.
SEED = 0


class AbstractSource(ABC):
    """Gives samples by number, a batch at a time or batch after batch.

    Entered as a context, it keeps between two readings what is dear to start.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Count the samples."""

    @abstractmethod
    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Take some samples at once.

        Parameters
        ----------
        numbers : ndarray of shape (b,)

        Returns
        -------
        Tensor of shape (b, ...)
            On the CPU, a copy.
        """

    @abstractmethod
    def read(self, batches: Sequence[NDArray[np.intp]], generator: Generator) -> Iterator[Tensor]:
        """Take the samples of one batch after the other.

        Parameters
        ----------
        batches : sequence of ndarray of shape (b,)
            Numbers of the samples of each batch.
        generator : Generator
            What reading draws follows from where it stands; it is not moved.

        Yields
        ------
        Tensor of shape (b, ...)
        """

    @property
    def can_be_held(self) -> bool:
        """Whether all samples may be moved to an accelerator at once."""
        return False

    @abstractmethod
    def __enter__(self) -> Self:
        """Begin to keep."""

    @abstractmethod
    def __exit__(self, *error: object) -> None:
        """Let go what was kept."""


class ArraySource(AbstractSource):
    """An array at hand: numbers that were checked, indexed by whole batches.

    Parameters
    ----------
    array : ndarray of shape (n, n_features)
        The user's own array, which may be a read-only memory map and is never written to.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.array)

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Take rows; see :class:`AbstractSource`."""
        # Indexing by numbers copies, so that read-only and memory-mapped arrays work alike.
        return torch.from_numpy(self.array[numbers])

    def read(self, batches: Sequence[NDArray[np.intp]], generator: Generator) -> Iterator[Tensor]:
        """Take rows; see :class:`AbstractSource`."""
        return map(self.take, batches)

    @property
    def can_be_held(self) -> bool:
        """Whether the array is in memory: a memory map may be larger than that."""
        return find_map(self.array) is None

    def __enter__(self) -> Self:
        """Keep nothing."""
        return self

    def __exit__(self, *error: object) -> None:
        """Keep nothing."""


class StreamSource(AbstractSource):
    """Samples read while they are needed, by workers or in this process.

    What a user's data set draws from the global generators is the same for any number of workers:
    they are seeded for each batch, and in this process put back after it.

    Parameters
    ----------
    reader : AbstractReader
    n_workers : int, default=0
        0 reads in this process.
    **settings : Any
        Of :class:`~skdim.inputs.workers.Workers`.
    """

    def __init__(self, reader: AbstractReader, n_workers: int = 0, **settings: Any) -> None:
        self.reader = reader
        self.n_workers = n_workers
        self.settings = settings
        self.entered = 0
        self.hired: list[Workers] = []
        self.idle: list[Workers] = []

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.reader)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all samples together."""
        return (len(self.reader), *self.reader.shape)

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Take a few samples here, many as ``read`` does; see :class:`AbstractSource`."""
        if len(numbers) <= FEW:
            return self.take_here(numbers, SEED)
        batches = np.array_split(numbers, -(-len(numbers) // FEW))
        return torch.cat(list(self.read(batches, Generator().manual_seed(SEED))))

    def take_here(self, numbers: NDArray[np.intp], seed: int) -> Tensor:
        """Take samples in this process."""
        if not self.reader.draws:
            return self.reader.take(numbers)
        with SEEDING, drawing(seed):
            return self.reader.take(numbers)

    def read(self, batches: Sequence[NDArray[np.intp]], generator: Generator) -> Iterator[Tensor]:
        """Take samples batch after batch; see :class:`AbstractSource`."""
        tasks = list(zip(batches, seeds_of(generator, batches), strict=True))
        if self.n_workers == 0:
            for task in tasks:
                yield self.take_here(*task)
            return
        # A reading in the middle of another one has workers of its own.
        workers = self.idle.pop() if self.idle else self.hire()
        done = False
        try:
            yield from workers.read(tasks)
            done = True
        finally:
            if done and self.entered:
                self.idle.append(workers)
            else:
                self.dismiss(workers)

    def hire(self) -> Workers:
        """Start workers."""
        workers = Workers(self.reader, self.n_workers, **self.settings)
        self.hired.append(workers)
        return workers

    def dismiss(self, workers: Workers) -> None:
        """End workers."""
        workers.stop()
        if workers in self.hired:
            self.hired.remove(workers)

    def __enter__(self) -> Self:
        """Keep workers from now on."""
        self.entered += 1
        return self

    def __exit__(self, *error: object) -> None:
        """End all workers, also those of readings that an error has left unfinished."""
        self.entered -= 1
        if not self.entered:
            self.idle.clear()
            for workers in list(self.hired):
                self.dismiss(workers)
