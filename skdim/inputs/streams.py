"""Samples that are read during training, by worker processes."""

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Generator as Reading
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from skdim.inputs.items import SEED, BatchReader, Convert, Failure, ReadTask
from skdim.inputs.layout import Layout, convert_tensor
from skdim.inputs.samples import Samples, numbers_on_cpu
from skdim.parameters import is_integer, is_number, shown
from skdim.random import SEEDING, drawing

# Maximum number of looks that are read at once in this process, or by a worker.
ROWS_AT_ONCE = 64


class Stream:
    """Data set to be read batch by batch, optionally by worker processes.

    All methods of the transformer accept it as ``X``. Only a few batches are in memory at a time.

    Parameters
    ----------
    data : Dataset or array of shape (n, features), (n, H, W), (n, C, H, W) or (n, H, W, C)
        A map-style data set of torch, a NumPy array or memory map, or another object with
        ``__len__`` and ``__getitem__``. An item is a tensor, an array, a PIL image, or a tuple that
        begins with one; the rest of the tuple is ignored. All items must have the same shape.
    n_workers : int, default=0
        Processes that read ahead; 0 reads in this process.
    ahead : int, default=2
        Maximum number of batches that each worker reads ahead.
    start_method : {None, "fork", "forkserver", "spawn"}, default=None
        How workers are started; None is the default of Python. All but "fork" pickle ``data``.

    Raises
    ------
    TypeError
        If ``data`` cannot be indexed by number, or the type of a parameter is not valid.
    ValueError
        If a parameter is not valid.

    Notes
    -----
    The global generators of Python, NumPy and torch are seeded by the transformer's
    ``random_state`` while ``data`` is read, for any number of workers, and restored. Generators
    that ``data`` holds are not seeded.

    Examples
    --------
    >>> import numpy as np
    >>> from torch.utils.data import TensorDataset
    >>> import torch
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.inputs import Stream
    >>> images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> dim = DeepInfoMaxTransformer(n_components=4, max_epochs=1, random_state=0)
    >>> dim.fit_transform(Stream(TensorDataset(images), n_workers=1)).shape
    (40, 4)
    """

    def __init__(
        self,
        data: Any,
        n_workers: int = 0,
        *,
        ahead: int = 2,
        start_method: str | None = None,
    ) -> None:
        check_data(data)
        check_number("n_workers", n_workers, 0)
        check_number("ahead", ahead, 1)
        known = multiprocessing.get_all_start_methods()
        is_known = isinstance(start_method, str) and start_method in known
        if start_method is not None and not is_known:
            raise ValueError(
                f"start_method={shown(start_method)} is not valid here. Allowed are None, "
                f"{', '.join(map(repr, known))}."
            )
        self.data = data
        self.n_workers = int(n_workers)
        self.ahead = int(ahead)
        self.start_method = start_method

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data)

    def open(
        self, n_looks: int = 1
    ) -> tuple[Callable[..., "StreamSamples"], tuple[int, ...], np.dtype[Any]]:
        """Read the first sample; raise a ValueError or TypeError if it is not valid.

        Return ``make``, the shape of all samples together, and the dtype of the first one.
        ``make(layout, device, labels=..., ...)`` returns a :class:`StreamSamples`.
        ``n_looks`` items are looks at one sample.
        """
        with SEEDING, drawing(SEED):
            reader = BatchReader(convert_tensor(self.data, "X"), n_looks)
        shape = (len(reader), *reader.shape)
        return partial(StreamSamples, reader, self), shape, reader.given_dtype


class StreamSamples(Samples):
    """Samples that are read batch by batch, by workers or in this process.

    The global generators are seeded for each batch, so that draws do not depend on the number of
    workers.

    Parameters
    ----------
    data : BatchReader
    stream : Stream
        Parameters of the workers.
    layout, device, labels, convert, n_looks
        See :class:`Samples`.
    """

    def __init__(
        self,
        data: BatchReader,
        stream: Stream,
        layout: Layout,
        device: torch.device | None = None,
        *,
        labels: Tensor | None = None,
        convert: Convert | None = None,
        n_looks: int = 1,
    ) -> None:
        super().__init__(len(data), layout, device, labels, convert, n_looks)
        self.data = data if convert is None else data.converting(convert)
        if stream.n_workers:
            pin = self.device.type == "cuda"
            self.workers = Workers(partial(BatchLoader, self.data, stream, pin=pin))

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Read few samples in this process, many as ``read``; see :class:`Samples`."""
        n_rows = len(numbers) * self.n_looks
        if n_rows <= ROWS_AT_ONCE:
            return self.place(self.data.read(self.rows_of(numbers).cpu().numpy()))
        parts = numbers.tensor_split(min(len(numbers), -(-n_rows // ROWS_AT_ONCE)))
        return torch.cat(list(self.read(parts, Generator().manual_seed(SEED))))

    def read(self, batches: Sequence[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Read batches; see :class:`Samples`."""
        rows = numbers_on_cpu([self.rows_of(numbers) for numbers in batches])
        tasks = list(zip(rows, seeds_of(generator, rows), strict=True))
        if isinstance(self.workers, Workers):
            yield from map(self.place, self.workers.read(tasks))
        else:
            yield from (self.place(self.data.read(*task)) for task in tasks)


class BatchLoader(DataLoader["Tensor | Failure"]):
    """Worker processes that read batches ahead, into pinned memory if ``pin``, until ``stop``."""

    def __init__(self, data: BatchReader, stream: Stream, *, pin: bool) -> None:
        # The sampler: an item is a batch.
        self.tasks: list[ReadTask] = []
        super().__init__(
            data,
            sampler=self.tasks,
            batch_size=None,
            num_workers=stream.n_workers,
            prefetch_factor=stream.ahead,
            multiprocessing_context=stream.start_method,
            pin_memory=pin,
            persistent_workers=True,
            # By default, the loader would draw from torch's global generator.
            generator=Generator().manual_seed(0),
        )
        self.loading: Any = None

    def read(self, tasks: Sequence[ReadTask]) -> Iterator[Tensor]:
        """Yield the batches of the tasks, or raise the error of a worker."""
        self.tasks[:] = tasks
        try:
            # A process forked while another thread draws would inherit its lock.
            with SEEDING:
                self.loading = iter(self)
        except Exception as error:
            error.add_note(
                f"This happened while {self.num_workers} worker processes were started and X was "
                "sent to them. With n_workers=0, X is read in this process."
            )
            raise
        while (batch := self.next_batch()) is not None:
            if isinstance(batch, Failure):
                raise batch.error
            yield batch

    def next_batch(self) -> Any:
        """Return the next batch; None after the last one."""
        try:
            return next(self.loading, None)
        except Exception as error:  # of a worker that has ended, any
            raise RuntimeError(
                f"Reading X by {self.num_workers} worker processes failed: "
                f"{str(error) or type(error).__name__}. If one of them was killed for lack of "
                "memory, a smaller n_workers helps; n_workers=0 reads in this process."
            ) from error

    def stop(self) -> None:
        """End the processes, and wait for them."""
        if self.loading is not None:
            # Tracebacks of errors keep the loader alive. torch has no public name for this.
            self.loading._shutdown_workers()  # noqa: SLF001
            self.loading = None


class Workers:
    """The loaders of a stream and of its parts, reused by later readings while entered."""

    def __init__(self, make: Callable[[], BatchLoader]) -> None:
        self.make = make
        self.entered = 0
        self.busy: list[BatchLoader] = []
        self.idle: list[BatchLoader] = []

    def __enter__(self) -> None:
        """Keep the loaders."""
        self.entered += 1

    def __exit__(self, *error: object) -> None:
        """Stop all loaders at the outermost exit."""
        self.entered -= 1
        if not self.entered:
            for loaders in (self.busy, self.idle):
                while loaders:
                    loaders.pop().stop()

    def read(self, tasks: Sequence[ReadTask]) -> Iterator[Tensor]:
        """Yield the batches of the tasks, by a loader that no other reading uses."""
        loader = self.idle.pop() if self.idle else self.make()
        self.busy.append(loader)
        done = False
        try:
            yield from loader.read(tasks)
            done = True
        finally:
            if loader in self.busy:
                self.busy.remove(loader)
            if done and self.entered:
                self.idle.append(loader)
            else:
                loader.stop()


def seeds_of(generator: Generator, batches: Sequence[NDArray[np.intp]]) -> list[int]:
    """Derive a seed below 2**63 for each batch from its numbers and the state of a generator.

    The state is not changed: the training draws the same as from samples in memory.
    """
    state = hashlib.blake2b(generator.get_state().numpy().tobytes()).digest()
    digests = (hashlib.blake2b(state + part.tobytes(), digest_size=8).digest() for part in batches)
    return [int.from_bytes(digest, "little") >> 1 for digest in digests]


def check_data(data: object) -> None:
    """Raise a TypeError for an object that cannot be indexed by number."""
    missing = [name for name in ("__getitem__", "__len__") if not hasattr(type(data), name)]
    is_table = hasattr(data, "columns") and not isinstance(data, Dataset)
    if isinstance(data, IterableDataset):
        reason = ", an IterableDataset, which cannot be shuffled"
    elif is_table or isinstance(data, str | bytes | Mapping):
        reason = ", which cannot be indexed by number"
    elif missing:
        reason = f" without {' and '.join(missing)}"
    else:
        return
    raise TypeError(
        f"X is a {type(data).__name__}{reason}. Use an array, a memory map or a map-style torch "
        "Dataset that has __getitem__ and __len__."
    )


def check_number(name: str, value: object, least: int) -> None:
    """Raise an error unless a value is an integer of at least ``least`` and below 2**31."""
    if not is_number(value, int, np.integer):
        raise TypeError(f"{name}={shown(value)} must be an integer.")
    if not is_integer(value, least):
        raise ValueError(f"{name}={shown(value)} must be at least {least} and below 2**31.")
