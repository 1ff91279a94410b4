"""Samples taken by number, in whichever process that happens."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["AbstractReader", "ArrayReader", "ItemReader", "find_map"]

# Kinds of dtypes that are numbers: truth values, whole numbers, floats.
NUMBERS = "buif"


class AbstractReader(ABC):
    """Takes samples by number, and refuses those that cannot be trained on.

    Readers go to worker processes, so they can be pickled where the user's data can.

    Attributes
    ----------
    draws : bool
        Whether reading may draw from the global random generators.
    """

    draws = True

    @abstractmethod
    def __len__(self) -> int:
        """Count the samples."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample as given."""

    @abstractmethod
    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Take the samples of the given numbers.

        Parameters
        ----------
        numbers : ndarray of shape (b,)

        Returns
        -------
        Tensor of shape (b, *shape)
            On the CPU: uint8 stays uint8, all else becomes float32.

        Raises
        ------
        ValueError, TypeError
            If a sample is not what the first one promised, or not finite; names its number.
        """


class ArrayReader(AbstractReader):
    """Reads an array or a memory map, without ever holding all of it.

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
        self.array = array
        self.dtype = number_type(array.dtype, "The array")

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.array)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle a memory map as its path: pickled as it stands, it would be read whole."""
        state = self.__dict__.copy()
        origin = find_map(self.array)
        if origin is not None and self.array.flags.c_contiguous:
            ahead = self.array.ctypes.data - origin.ctypes.data
            state["array"] = {
                "filename": origin.filename,
                "dtype": self.array.dtype,
                "offset": origin.offset + ahead,
                "shape": self.array.shape,
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Open the memory map again."""
        self.__dict__.update(state)
        if isinstance(state["array"], dict):
            self.array = np.memmap(mode="r", **state["array"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.array.shape[1:]

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Take rows of the array; see :class:`AbstractReader`."""
        # Indexing by numbers copies, so that the user's array is never written to.
        with np.errstate(over="ignore", invalid="ignore"):
            batch = np.asarray(self.array[numbers]).astype(self.dtype, copy=False)
        return checked(batch, numbers)


class ItemReader(AbstractReader):
    """Reads what gives one item a number, as torch's map-style data sets do.

    The first item says what the others must be.

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
        self.items = items
        first = as_array(next(iter(self.fetch([0]))), 0)
        self.first_shape = first.shape
        self.dtype = number_type(first.dtype, "Sample 0 of X")

    def __len__(self) -> int:
        """Count the items."""
        return len(self.items)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the first item."""
        return self.first_shape

    def fetch(self, numbers: Sequence[int]) -> Iterable[Any]:
        """Read items, one at a time where the source does not read batches."""
        if callable(getattr(self.items, "__getitems__", None)):
            items: Sequence[Any] = self.items.__getitems__(numbers)
            if len(items) != len(numbers):
                raise ValueError(
                    f"X.__getitems__ gave {len(items)} items for {len(numbers)} numbers."
                )
            return items
        return (self.fetch_one(number) for number in numbers)

    def fetch_one(self, number: int) -> Any:
        """Read an item, and name it in the error if that fails."""
        try:
            return self.items[number]
        except Exception as error:
            error.add_note(f"This happened while sample {number} of {len(self.items)} was read.")
            raise

    def take(self, numbers: NDArray[np.intp]) -> Tensor:
        """Take and stack items; see :class:`AbstractReader`."""
        batch = np.empty((len(numbers), *self.first_shape), self.dtype)
        items = self.fetch(numbers.tolist())
        with np.errstate(over="ignore", invalid="ignore"):
            for place, (number, item) in enumerate(zip(numbers.tolist(), items, strict=True)):
                batch[place] = self.same_kind(as_array(item, number), number)
        return checked(batch, numbers)

    def same_kind(self, sample: NDArray[Any], number: int) -> NDArray[Any]:
        """Raise an error for a sample of another shape or type than the first one."""
        if sample.shape != self.first_shape:
            raise ValueError(
                f"Sample {number} of X has shape {sample.shape}, but sample 0 has shape "
                f"{self.first_shape}. All samples must have one shape."
            )
        dtype = number_type(sample.dtype, f"Sample {number} of X")
        if self.dtype == np.uint8 and dtype != np.uint8:
            raise ValueError(
                f"Sample {number} of X is of dtype {sample.dtype}, but sample 0 is of dtype uint8. "
                "All samples must be uint8, or none."
            )
        return sample


def find_map(array: Any) -> Any:
    """Find the memory map that an array looks into.

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
        If it is nothing that holds numbers.
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
    """Choose what numbers are read as.

    Raises
    ------
    TypeError
        If they are no real numbers.
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
