"""Data sets of torch whose items are batches of samples."""

import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from skdim.inputs.layout import as_plain
from skdim.random import SEEDING, drawing

__all__ = [
    "SEED",
    "AbstractBatches",
    "ArrayBatches",
    "Convert",
    "Failure",
    "ItemBatches",
    "Items",
    "ReadTask",
    "find_map",
]

# Kinds of dtypes that are real numbers: bool, integers, floats.
NUMBERS = "buif"

# Seed of what reading draws outside of training.
SEED = 0

# Numbers of the samples of a batch, and the seed of reading them.
ReadTask = tuple[NDArray[np.intp], int]

# Of rows as given (n, n_features): to float32, or to float64.
Convert = Callable[[NDArray[Any]], NDArray[Any]]


class Items(Protocol):
    """The user's data: a data set of torch, an array or another sequence."""

    def __getitem__(self, number: Any, /) -> Any:
        """Return an item."""

    def __len__(self) -> int:
        """Count the items."""


class AbstractBatches(Dataset["Tensor | Failure"], ABC):
    """Read and check batches of samples by their numbers.

    As a data set of torch, an item is the batch of a task. It is pickled for worker processes.
    ``shape`` and ``given``, a dtype, are those of a sample as given; ``what`` names it in an error
    for a dtype that is not real. ``n_looks`` items are looks at one sample.
    """

    # Whether reading may draw from the global random generators.
    draws = True
    data: Items

    def __init__(
        self, data: Items, shape: tuple[int, ...], given: np.dtype[Any], what: str, n_looks: int
    ) -> None:
        self.data = data
        self.n_looks = n_looks
        self.shape = shape
        self.given = given
        # To which samples are converted: float64 before ``convert``.
        self.dtype = number_type(given, what)
        self.convert: Convert | None = None

    def converting(self, convert: Convert) -> Self:
        """Return the same data, converted by a function."""
        shared = object.__new__(type(self))
        # copy.copy would open a memory map again.
        shared.__dict__ |= self.__dict__ | {"convert": convert, "dtype": np.dtype(np.float64)}
        return shared

    def checked(self, batch: NDArray[Any], numbers: NDArray[np.intp]) -> Tensor:
        """Convert a batch, and raise a ValueError for NaN and infinity."""
        if self.convert is not None:
            batch = self.convert(batch.reshape(len(batch), -1)).reshape(batch.shape)
        if batch.dtype != np.uint8 and not np.isfinite(batch).all():
            finite = np.isfinite(batch).reshape(len(batch), -1).all(axis=1)
            raise ValueError(
                "Input X contains NaN, infinity or a value too large for dtype('float32') in "
                f"{self.name_of(numbers[np.argmin(finite)])}. Replace such values or remove the "
                "sample."
            )
        return torch.from_numpy(batch)

    def name_of(self, number: int) -> str:
        """Return what messages call an item."""
        if self.n_looks == 1:
            return f"sample {number}"
        sample, look = divmod(number, self.n_looks)
        return f"look {look} at sample {sample}"

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data)

    @abstractmethod
    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Return a copy of the samples, uint8 or float32 (b, *shape), on the CPU.

        Raise a ValueError or TypeError if one differs from the first in shape or type, or is not
        finite.
        """

    def read(self, numbers: NDArray[np.intp], seed: int = SEED) -> Tensor:
        """Read samples in this process, with seeded draws."""
        if not self.draws:
            return self.take(numbers)
        with SEEDING, drawing(seed):
            return self.take(numbers)

    def __getitem__(self, task: ReadTask) -> "Tensor | Failure":
        """Read a batch in a worker process; errors are returned."""
        numbers, seed = task
        try:
            with drawing(seed):
                return self.take(numbers)
        except Exception as error:  # raised again in the main process
            return Failure(error)


class Failure:
    """An error of a worker process, with its type, which torch would not preserve."""

    def __init__(self, error: Exception) -> None:
        lines = "".join(traceback.format_exception(error)).rstrip()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # user-defined classes may raise any
            error = RuntimeError(f"{type(error).__name__}: {error}")
        worker = get_worker_info()
        error.add_note(f"It was raised in worker process {worker.id if worker else 0}:\n\n{lines}")
        self.error = error


class ArrayBatches(AbstractBatches):
    """Read an array or a memory map (n, ...); raise a TypeError unless its dtype is real."""

    draws = False
    data: NDArray[Any]

    def __init__(self, array: NDArray[Any], n_looks: int = 1) -> None:
        super().__init__(array, array.shape[1:], array.dtype, "The array", n_looks)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling: of a memory map, its path and not its content."""
        state = self.__dict__.copy()
        origin = find_map(self.data)
        if origin is not None and self.data.flags.c_contiguous:
            ahead = self.data.ctypes.data - origin.ctypes.data
            state["data"] = {
                "filename": origin.filename,
                "dtype": self.data.dtype,
                "offset": origin.offset + ahead,
                "shape": self.data.shape,
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, and open a memory map."""
        self.__dict__.update(state)
        if isinstance(state["data"], dict):
            self.data = np.memmap(mode="r", **state["data"])

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Read rows of the array; see :class:`AbstractBatches`."""
        # Indexing by numbers copies.
        with np.errstate(over="ignore", invalid="ignore"):
            batch = np.asarray(self.data[numbers]).astype(self.dtype, copy=False)
            return self.checked(batch, numbers)


class ItemBatches(AbstractBatches):
    """Read items of a map-style data set of torch, at least one, all of the shape of the first.

    An item is a tensor, an array, a PIL image, or a tuple that begins with one; ``__getitems__``,
    if defined, reads batches. Raise a ValueError or TypeError if the first item is not valid.
    """

    def __init__(self, items: Items, n_looks: int = 1) -> None:
        self.data = items
        self.n_looks = n_looks
        first = self.as_array(next(iter(self.fetch([0]))), 0)
        super().__init__(items, first.shape, first.dtype, self.title_of(0), n_looks)

    def fetch(self, numbers: Sequence[int]) -> Iterable[Any]:
        """Read items, as a batch if the data set can."""
        read_batch = getattr(self.data, "__getitems__", None)
        if callable(read_batch):
            items: Sequence[Any] = read_batch(numbers)
            if len(items) != len(numbers):
                raise ValueError(
                    f"X.__getitems__ returned {len(items)} items for {len(numbers)} numbers."
                )
            return items
        return (self.fetch_one(number) for number in numbers)

    def fetch_one(self, number: int) -> Any:
        """Read an item; errors name its number."""
        try:
            return self.data[number]
        except Exception as error:
            error.add_note(
                f"This happened while {self.name_of(number)} of {len(self.data) // self.n_looks} "
                "was read."
            )
            raise

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Read and stack items; see :class:`AbstractBatches`."""
        batch = np.empty((len(numbers), *self.shape), self.dtype)
        items = self.fetch(numbers.tolist())
        with np.errstate(over="ignore", invalid="ignore"):
            for place, (number, item) in enumerate(zip(numbers.tolist(), items, strict=True)):
                batch[place] = self.same_kind(self.as_array(item, number), number)
            return self.checked(batch, numbers)

    def same_kind(self, sample: NDArray[Any], number: int) -> NDArray[Any]:
        """Return a sample; raise a ValueError if its shape or type differs from the first."""
        if sample.shape != self.shape:
            raise ValueError(
                f"{self.title_of(number)} has shape {sample.shape}, but {self.name_of(0)} has "
                f"shape {self.shape}. All samples must have one shape."
            )
        dtype = number_type(sample.dtype, self.title_of(number))
        if self.dtype == np.uint8 and dtype != np.uint8:
            raise ValueError(
                f"{self.title_of(number)} is of dtype {sample.dtype}, but {self.name_of(0)} is of "
                "dtype uint8. All samples must be uint8, or none."
            )
        return sample

    def title_of(self, number: int) -> str:
        """Return what messages call an item at their beginning."""
        return f"{self.name_of(number).capitalize()} of X"

    def as_array(self, item: Any, number: int) -> NDArray[Any]:
        """Convert an item to an array; raise a TypeError if it has no numbers."""
        first = item[0] if isinstance(item, tuple) and item else item
        sample = as_plain(first, self.title_of(number))
        if getattr(sample, "mode", None) == "P" and hasattr(sample, "convert"):
            sample = sample.convert("RGB")  # Pixels are indices of a palette.
        # NumPy would convert other types to arrays of objects. Of an image of Pillow, these
        # attributes would copy the pixels; of its type, they do not.
        known = any(hasattr(type(sample), name) for name in ("__array__", "__array_interface__"))
        array = np.asarray(sample) if known else None
        if array is None or array.dtype.kind not in NUMBERS + "c":
            hint = " Of a dict, let the data set return the sample alone."
            raise TypeError(
                f"{self.title_of(number)} is of type {type(sample).__name__}. It must be a tensor, "
                "an array of numbers, a PIL image, or a tuple that begins with one."
                f"{hint * isinstance(sample, dict)}"
            )
        return array


def find_map(array: object) -> "np.memmap[Any, Any] | None":
    """Return the memory map that was opened from a file and that an array is a view of."""
    found = None
    while isinstance(array, np.ndarray):
        # Copies of memory maps have their type, but no file.
        if isinstance(array, np.memmap) and array.filename is not None:
            found = array
        array = array.base
    return found


def number_type(dtype: np.dtype[Any], what: str) -> np.dtype[Any]:
    """Return uint8 or float32; raise a TypeError if a dtype is not real."""
    if dtype.kind not in NUMBERS:
        raise TypeError(f"{what} is of dtype {dtype}. Real numbers are needed.")
    return np.dtype(np.uint8 if dtype == np.uint8 else np.float32)
