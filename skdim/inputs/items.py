"""Data sets of torch whose items are batches of samples."""

import pickle
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from skdim.inputs.layout import convert_tensor
from skdim.random import SEEDING, drawing

# Kinds of dtypes that are real numbers: bool, integers, floats.
NUMBERS = "buif"

# Seed of draws while reading outside of training.
SEED = 0

# Numbers of the samples of a batch, and the seed of reading them.
ReadTask = tuple[NDArray[np.intp], int]

# Maps rows as given (n, n_features) to float32, or to float64.
Convert = Callable[[NDArray[Any]], NDArray[Any]]


class BatchReader(Dataset["Tensor | Failure"]):
    """Read and check batches of samples by their numbers.

    As a data set of torch, an item is the batch of a task. It is pickled for worker processes.

    Parameters
    ----------
    data : ndarray of shape (n, ...) or map-style Dataset
        An array, a memory map, or a data set of at least one item, all of the shape of the first.
        An item is a tensor, an array, a PIL image, or a tuple that begins with one;
        ``__getitems__``, if defined, reads batches.
    n_looks : int, default=1
        How many items are looks at one sample.

    Attributes
    ----------
    shape : tuple of int
        Shape of a sample.
    given_dtype, dtype : dtype
        Of the first sample as given, and of batches.

    Raises
    ------
    TypeError, ValueError
        If the dtype is not real, or the first item is not a sample.
    """

    def __init__(self, data: Any, n_looks: int = 1) -> None:
        self.data = data
        self.n_looks = n_looks
        self.is_array = isinstance(data, np.ndarray)
        self.shape: tuple[int, ...]
        if self.is_array:
            self.shape, self.given_dtype, name = data.shape[1:], data.dtype, "The array"
        else:
            first = self.as_array(next(iter(self.fetch([0]))), 0)
            self.shape, self.given_dtype, name = first.shape, first.dtype, self.title_of(0)
        self.dtype = number_type(self.given_dtype, name)
        self.convert: Convert | None = None

    def converting(self, convert: Convert) -> Self:
        """Return a reader of the same data that converts samples, as float64, by a function."""
        shared = object.__new__(type(self))
        # copy.copy would open a memory map again.
        shared.__dict__ |= self.__dict__ | {"convert": convert, "dtype": np.dtype(np.float64)}
        return shared

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickling: a memory map is opened again, and not copied."""
        state = self.__dict__.copy()
        data, origin = self.data, find_map(self.data)
        if origin is not None and data.flags.c_contiguous:
            offset = origin.offset + data.ctypes.data - origin.ctypes.data
            state["data"] = partial(np.memmap, origin.filename, data.dtype, "r", offset, data.shape)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state, and open a memory map."""
        self.__dict__ |= state
        if isinstance(self.data, partial):
            self.data = self.data()

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data)

    def __getitem__(self, task: ReadTask) -> "Tensor | Failure":
        """Read a batch in a worker process; errors are returned."""
        numbers, seed = task
        try:
            with drawing(seed):
                return self.take(numbers)
        except Exception as error:  # raised again in the main process
            return Failure(error)

    def read(self, numbers: NDArray[np.intp], seed: int = SEED) -> Tensor:
        """Read samples in this process; draws of a data set are seeded."""
        if self.is_array:
            return self.take(numbers)
        with SEEDING, drawing(seed):
            return self.take(numbers)

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Return a copy of the samples, uint8 or float32 (b, *shape), on the CPU.

        Raises
        ------
        TypeError, ValueError
            If a sample differs from the first in shape or type, or is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.is_array:
                # Indexing by numbers copies.
                batch = np.asarray(self.data[numbers]).astype(self.dtype, copy=False)
            else:
                batch = self.stack_items(numbers.tolist())
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

    def stack_items(self, numbers: list[int]) -> NDArray[Any]:
        """Read items one after the other into an array; raise an error if one is not valid."""
        batch = np.empty((len(numbers), *self.shape), self.dtype)
        for place, (number, item) in enumerate(zip(numbers, self.fetch(numbers), strict=True)):
            sample = self.as_array(item, number)
            if sample.shape != self.shape:
                raise ValueError(
                    f"{self.title_of(number)} has shape {sample.shape}, but {self.name_of(0)} has "
                    f"shape {self.shape}. All samples must have one shape."
                )
            dtype = number_type(sample.dtype, self.title_of(number))
            if self.dtype == np.uint8 and dtype != np.uint8:
                raise ValueError(
                    f"{self.title_of(number)} is of dtype {sample.dtype}, but {self.name_of(0)} is "
                    "of dtype uint8. All samples must be uint8, or none."
                )
            batch[place] = sample
        return batch

    def fetch(self, numbers: list[int]) -> Iterable[Any]:
        """Read items, as a batch if the data set can."""
        read_batch = getattr(self.data, "__getitems__", None)
        if not callable(read_batch):
            return (self.fetch_one(number) for number in numbers)
        items: Sequence[Any] = read_batch(numbers)
        if len(items) != len(numbers):
            raise ValueError(
                f"X.__getitems__ returned {len(items)} items for {len(numbers)} numbers."
            )
        return items

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

    def as_array(self, item: Any, number: int) -> NDArray[Any]:
        """Convert an item to an array; raise a TypeError if it has no numbers."""
        first = item[0] if isinstance(item, tuple) and item else item
        sample = convert_tensor(first, self.title_of(number))
        if getattr(sample, "mode", None) == "P" and hasattr(sample, "convert"):
            sample = sample.convert("RGB")  # Pixels are indices of a palette.
        # NumPy would convert other types to arrays of objects. The type is tested, since these
        # attributes of an image of Pillow copy its pixels.
        known = any(hasattr(type(sample), name) for name in ("__array__", "__array_interface__"))
        array = np.asarray(sample) if known else None
        if array is None or array.dtype.kind not in NUMBERS + "c":
            hint = " Let the data set return the sample alone."
            raise TypeError(
                f"{self.title_of(number)} is of type {type(sample).__name__}. It must be a tensor, "
                "an array of numbers, a PIL image, or a tuple that begins with one."
                f"{hint * isinstance(sample, dict)}"
            )
        return array

    def name_of(self, number: int) -> str:
        """Return the name of an item in messages."""
        if self.n_looks == 1:
            return f"sample {number}"
        sample, look = divmod(number, self.n_looks)
        return f"look {look} at sample {sample}"

    def title_of(self, number: int) -> str:
        """Return the name of an item at the beginning of a message."""
        return f"{self.name_of(number).capitalize()} of X"


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


def find_map(array: object) -> "np.memmap[Any, Any] | None":
    """Return the memory map that was opened from a file and that an array is a view of."""
    found = None
    while isinstance(array, np.ndarray):
        # Copies of memory maps have their type, but no file.
        if isinstance(array, np.memmap) and array.filename is not None:
            found = array
        array = array.base
    return found


def number_type(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """Return uint8 or float32; raise a TypeError if a dtype is not real."""
    if dtype.kind not in NUMBERS:
        raise TypeError(f"{name} is of dtype {dtype}. Real numbers are needed.")
    return np.dtype(np.uint8 if dtype == np.uint8 else np.float32)
