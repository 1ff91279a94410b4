"""Data sets of torch whose items are whole batches of samples, read in any process."""

import pickle
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from skdim.random import SEEDING, drawing

__all__ = [
    "SEED",
    "AbstractBatches",
    "ArrayBatches",
    "Failure",
    "ItemBatches",
    "ReadTask",
    "find_map",
]

# Kinds of dtypes that are numbers: truth values, integers, floats.
NUMBERS = "buif"

# Of what reading draws where samples are inspected and not trained on.
SEED = 0

# Numbers of the samples of a batch, and the seed of what reading them may draw.
ReadTask = tuple[NDArray[np.intp], int]


class AbstractBatches(Dataset["Tensor | Failure"], ABC):
    """Read batches of samples by their numbers, and check them.

    As a data set of torch, an item is the batch of one task. It is sent to worker processes, so it
    can be pickled where the user's data can.

    Parameters
    ----------
    data : object
        Of the user.
    shape : tuple of int
        Shape of one sample as given.
    dtype : dtype
        What samples are read as.

    Attributes
    ----------
    draws : bool
        Whether reading may draw from the global random generators.
    """

    draws = True

    def __init__(self, data: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.data = data
        self.shape = shape
        self.dtype = dtype

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data)

    @abstractmethod
    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Read the samples of the given numbers.

        Parameters
        ----------
        numbers : ndarray of shape (b,)

        Returns
        -------
        Tensor of shape (b, *shape)
            A copy on the CPU: uint8 stays uint8, all else becomes float32.

        Raises
        ------
        ValueError, TypeError
            If a sample differs from the first one in shape or type, or is not finite; names its
            number.
        """

    def read(self, numbers: NDArray[np.intp], seed: int = SEED) -> Tensor:
        """Read samples in this process; what that draws follows from the seed."""
        if not self.draws:
            return self.take(numbers)
        with SEEDING, drawing(seed):
            return self.take(numbers)

    def __getitem__(self, task: ReadTask) -> "Tensor | Failure":
        """Read a batch in a worker; errors are returned."""
        numbers, seed = task
        try:
            with drawing(seed):
                return self.take(numbers)
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
        worker = get_worker_info()
        error.add_note(f"It was raised in worker process {worker.id if worker else 0}:\n\n{story}")
        self.error = error


class ArrayBatches(AbstractBatches):
    """Read an array or a memory map, without ever holding all of it.

    Parameters
    ----------
    array : ndarray of shape (n, ...)

    Raises
    ------
    TypeError
        If the array holds no real numbers.
    """

    draws = False

    def __init__(self, array: NDArray[Any]) -> None:
        super().__init__(array, array.shape[1:], number_type(array.dtype, "The array"))

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a memory map as its path: pickled as it stands, it would be read whole."""
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
        """Open the memory map again."""
        self.__dict__.update(state)
        if isinstance(state["data"], dict):
            self.data = np.memmap(mode="r", **state["data"])

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Read rows of the array; see :class:`AbstractBatches`."""
        # Indexing by numbers copies, so that the user's array is never written to.
        with np.errstate(over="ignore", invalid="ignore"):
            batch = np.asarray(self.data[numbers]).astype(self.dtype, copy=False)
        return checked(batch, numbers)


class ItemBatches(AbstractBatches):
    """Read what returns one item for a number, as torch's map-style data sets do.

    All items must have the shape of the first one.

    Parameters
    ----------
    items : object
        With ``__getitem__`` and ``__len__``, which is not 0. An item is a tensor, an array, a PIL
        image, or a tuple that begins with one. ``__getitems__``, where there is one, is given all
        numbers of a batch.

    Raises
    ------
    ValueError, TypeError
        If the first item is none of these.
    """

    def __init__(self, items: Any) -> None:
        self.data = items
        first = as_array(next(iter(self.fetch([0]))), 0)
        super().__init__(items, first.shape, number_type(first.dtype, "Sample 0 of X"))

    def fetch(self, numbers: Sequence[int]) -> Iterable[Any]:
        """Read items, one at a time where the source does not read batches."""
        if callable(getattr(self.data, "__getitems__", None)):
            items: Sequence[Any] = self.data.__getitems__(numbers)
            if len(items) != len(numbers):
                raise ValueError(
                    f"X.__getitems__ gave {len(items)} items for {len(numbers)} numbers."
                )
            return items
        return (self.fetch_one(number) for number in numbers)

    def fetch_one(self, number: int) -> Any:
        """Read an item, and name it in the error if that fails."""
        try:
            return self.data[number]
        except Exception as error:
            error.add_note(f"This happened while sample {number} of {len(self.data)} was read.")
            raise

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Read and stack items; see :class:`AbstractBatches`."""
        batch = np.empty((len(numbers), *self.shape), self.dtype)
        items = self.fetch(numbers.tolist())
        with np.errstate(over="ignore", invalid="ignore"):
            for place, (number, item) in enumerate(zip(numbers.tolist(), items, strict=True)):
                batch[place] = self.same_kind(as_array(item, number), number)
        return checked(batch, numbers)

    def same_kind(self, sample: NDArray[Any], number: int) -> NDArray[Any]:
        """Raise an error for a sample of another shape or type than the first one."""
        if sample.shape != self.shape:
            raise ValueError(
                f"Sample {number} of X has shape {sample.shape}, but sample 0 has shape "
                f"{self.shape}. All samples must have one shape."
            )
        dtype = number_type(sample.dtype, f"Sample {number} of X")
        if self.dtype == np.uint8 and dtype != np.uint8:
            raise ValueError(
                f"Sample {number} of X is of dtype {sample.dtype}, but sample 0 is of dtype uint8. "
                "All samples must be uint8, or none."
            )
        return sample


def find_map(array: Any) -> Any:
    """Find the memory map that an array is a view of.

    Returns
    -------
    np.memmap or None
        The one that was opened from a file, of which others may be views.
    """
    found = None
    while isinstance(array, np.ndarray):
        # A copy of a memory map is still of its type, but has no file.
        if isinstance(array, np.memmap) and array.filename is not None:
            found = array
        array = array.base
    return found


def as_array(item: Any, number: int) -> NDArray[Any]:
    """Read an item as an array.

    Raises
    ------
    TypeError
        If it holds no numbers.
    """
    sample = item[0] if isinstance(item, tuple) and item else item
    if isinstance(sample, Tensor):
        sample = sample.detach().cpu()
        # NumPy does not know bfloat16.
        return (sample.float() if sample.is_floating_point() else sample).numpy()
    if getattr(sample, "mode", None) == "P" and hasattr(sample, "convert"):
        sample = sample.convert("RGB")  # The numbers of a palette say nothing about colours.
    # Of anything else NumPy would make an array of objects. The type is asked, since an image of
    # Pillow that is asked itself copies all its pixels to answer.
    known = any(hasattr(type(sample), name) for name in ("__array__", "__array_interface__"))
    array = np.asarray(sample) if known else None
    if array is None or array.dtype.kind not in NUMBERS + "c":
        raise TypeError(
            f"Sample {number} of X is of type {type(sample).__name__}. It must be a tensor, an "
            "array of numbers, a PIL image, or a tuple that begins with one."
        )
    return array


def number_type(dtype: np.dtype[Any], what: str) -> np.dtype[Any]:
    """Choose the dtype that numbers are read as.

    Raises
    ------
    TypeError
        If they are not real numbers.
    """
    if dtype.kind not in NUMBERS:
        raise TypeError(f"{what} is of dtype {dtype}. Real numbers are needed.")
    return np.dtype(np.uint8 if dtype == np.uint8 else np.float32)


def checked(batch: NDArray[Any], numbers: NDArray[np.intp]) -> Tensor:
    """Raise an error for NaN and infinity, where the batch still is on the CPU.

    Raises
    ------
    ValueError
        If there are any; names the first sample that has some.
    """
    if batch.dtype != np.uint8 and not np.isfinite(batch).all():
        finite = np.isfinite(batch).reshape(len(batch), -1).all(axis=1)
        raise ValueError(
            f"Input X contains NaN, infinity or a value too large for dtype('float32') in sample "
            f"{numbers[np.argmin(finite)]}. Fill such values or leave the sample out."
        )
    return torch.from_numpy(batch)
