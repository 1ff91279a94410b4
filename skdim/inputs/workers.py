"""Processes that read samples ahead of the training."""

import pickle
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from skdim.inputs.draws import SEEDING, drawing
from skdim.inputs.readers import AbstractReader

__all__ = ["Task", "Workers"]

# Numbers of the samples of a batch, and the seed of what reading them may draw.
Task = tuple[NDArray[np.intp], int]


class Workers:
    """Processes that read samples ahead of the training, by a data loader of torch.

    They live until ``stop`` is called, and read as many times as is wished.

    Parameters
    ----------
    reader : AbstractReader
        Sent to each process.
    n_workers : int
    ahead : int
        Batches that each worker has ready at most.
    start_method : str or None
        How processes are started; None is the way of Python's ``multiprocessing``.
    pin : bool
        Whether batches are wanted in pinned memory, from which an accelerator copies by itself.
    """

    def __init__(
        self,
        reader: AbstractReader,
        n_workers: int,
        *,
        ahead: int = 2,
        start_method: str | None = None,
        pin: bool = False,
    ) -> None:
        self.tasks = Tasks()
        self.loader = DataLoader(
            TaskReader(reader),
            # No sampler and no collating of torch's: one task is one batch.
            sampler=self.tasks,
            batch_size=None,
            num_workers=n_workers,
            prefetch_factor=ahead,
            multiprocessing_context=start_method,
            pin_memory=pin,
            persistent_workers=True,
            # Without one of its own, the loader would draw from torch's global generator. What it
            # draws seeds nothing: each task brings its seed.
            generator=Generator().manual_seed(0),
        )
        self.loading: Any = None

    def read(self, tasks: Sequence[Task]) -> Iterator[Tensor]:
        """Read batch after batch, in the order of the tasks.

        Raises
        ------
        Exception
            What the reader raised in the worker, with its own type and text; a note says where.
        RuntimeError
            If a worker has died.
        """
        self.tasks.tasks = tasks
        try:
            # A process forked while another thread draws would inherit NumPy's lock as it is: held.
            with SEEDING:
                self.loading = iter(self.loader)
        except Exception as error:
            error.add_note(
                f"This happened while {self.loader.num_workers} worker processes were started and "
                "X was sent to them. With n_workers=0, X is read in this process."
            )
            raise
        while (batch := self.next_batch()) is not None:
            if isinstance(batch, Failure):
                raise batch.error
            yield batch

    def next_batch(self) -> Any:
        """Wait for the next batch; None after the last one."""
        try:
            return next(self.loading, None)
        except Exception as error:  # what a dead worker leads to is a matter of the moment
            raise RuntimeError(
                f"Reading X by {self.loader.num_workers} worker processes failed: "
                f"{str(error) or type(error).__name__}. If one of them was killed for lack of "
                "memory, a smaller n_workers helps; n_workers=0 reads in this process."
            ) from error

    def stop(self) -> None:
        """End the processes, whatever they are at, and wait for that."""
        if self.loading is not None:
            # Garbage collection would do so too, but the traceback of an error keeps the loader
            # alive. torch has no public name for it.
            self.loading._shutdown_workers()  # noqa: SLF001
            self.loading = None


class Tasks:
    """What the loader takes for its sampler: the tasks of one reading."""

    def __init__(self) -> None:
        self.tasks: Sequence[Task] = ()

    def __iter__(self) -> Iterator[Task]:
        """Yield the tasks."""
        return iter(self.tasks)


class TaskReader(Dataset["Tensor | Failure"]):
    """What the loader takes for its data set: one item is the batch of one task."""

    def __init__(self, reader: AbstractReader) -> None:
        self.reader = reader

    def __getitem__(self, task: Task) -> "Tensor | Failure":
        """Read a batch in a worker; errors are given back."""
        numbers, seed = task
        try:
            with drawing(seed):
                return self.reader.take(numbers)
        except Exception as error:  # all of them: raised again where the user can see them
            return Failure(error)


class Failure:
    """An error on its way from a worker to the user.

    torch itself would send a text that holds the traceback, and lose the type of many.

    Parameters
    ----------
    error : Exception
    """

    def __init__(self, error: Exception) -> None:
        story = "".join(traceback.format_exception(error)).rstrip()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # a class of the user's may fail in any way
            error = RuntimeError(f"{type(error).__name__}: {error}")
        error.add_note(f"It was raised in worker process {worker_number()}:\n\n{story}")
        self.error = error


def worker_number() -> int:
    """Return the number of this worker process; 0 in the main process."""
    info = torch.utils.data.get_worker_info()
    return info.id if info else 0
