"""Data that are read while they are needed, and the settings of reading them."""

import multiprocessing
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from skdim.inputs.draws import SEEDING, drawing
from skdim.inputs.readers import ArrayReader, ItemReader
from skdim.inputs.sources import SEED, StreamSource

__all__ = ["Stream"]


class Stream:
    """Samples that are read while they are needed, by worker processes if so wished.

    It is taken as ``X`` by all methods of the transformer. Not more than some batches of it are
    in memory at any time.

    Parameters
    ----------
    data : Dataset or array of shape (n, features), (n, H, W), (n, C, H, W) or (n, H, W, C)
        A map-style data set of torch, a NumPy array or memory map, or anything else with
        ``__len__`` and ``__getitem__`` of a number. An item is a tensor, an array, a PIL image,
        or a tuple that begins with one; what follows, such as a label, is ignored. All have one
        shape.
    n_workers : int, default=0
        Processes that read ahead; 0 reads in this process when a batch is wanted.
    ahead : int, default=2
        Batches that each worker has ready at most.
    start_method : {None, "fork", "forkserver", "spawn"}, default=None
        How workers are started; None is Python's own choice. All but "fork" pickle ``data``.

    Raises
    ------
    TypeError
        If samples of ``data`` cannot be had by number, or a setting is of another type.
    ValueError
        If a setting is not allowed.

    Notes
    -----
    What ``data`` draws from the global generators of Python, NumPy and torch follows from the
    transformer's ``random_state``, is the same for any number of workers, and leaves these
    generators as they were. A generator that ``data`` holds of its own is its own affair.

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
        if start_method is not None and start_method not in known:
            raise ValueError(
                f"start_method={start_method!r} is not known here. Allowed are None, "
                f"{', '.join(map(repr, known))}."
            )
        self.data = data
        self.n_workers = int(n_workers)
        self.ahead = int(ahead)
        self.start_method = start_method

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data)

    def source(self, *, pin: bool = False) -> StreamSource:
        """Open the data for reading: this looks at the first sample.

        Parameters
        ----------
        pin : bool, default=False
            Whether batches go to an accelerator of CUDA.

        Raises
        ------
        ValueError, TypeError
            If the first item is no sample.
        """
        data = self.data.detach().cpu().numpy() if isinstance(self.data, Tensor) else self.data
        with SEEDING, drawing(SEED):
            reader = ArrayReader(data) if isinstance(data, np.ndarray) else ItemReader(data)
        return StreamSource(
            reader, self.n_workers, ahead=self.ahead, start_method=self.start_method, pin=pin
        )


def check_data(data: Any) -> None:
    """Raise an error for an object that does not return samples by number."""
    kind = type(data).__name__
    if isinstance(data, IterableDataset):
        raise TypeError(
            f"X is a {kind}, an IterableDataset: it has no order that a seed could draw. Give a "
            "map-style Dataset, with __getitem__ and __len__."
        )
    table = hasattr(data, "columns") and not isinstance(data, Dataset)
    if table or isinstance(data, str | bytes | Mapping):
        raise TypeError(
            f"X is a {kind}, which gives no samples by number. Give an array, a memory map or a "
            "torch Dataset."
        )
    missing = [name for name in ("__getitem__", "__len__") if not hasattr(type(data), name)]
    if missing:
        raise TypeError(
            f"X is a {kind} without {' and '.join(missing)}. Samples are taken by number, and "
            "counted: give an array, a memory map or a map-style torch Dataset."
        )


def check_number(name: str, value: Any, least: int) -> None:
    """Raise an error unless a value is an integer of at least a minimum."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r} must be a whole number.")
    if value < least:
        raise ValueError(f"{name}={value!r} must be at least {least}.")
