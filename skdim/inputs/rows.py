"""Samples that are read by whole batches of row numbers."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from skdim.inputs.layout import Layout

__all__ = ["Rows"]


class Rows(torch.utils.data.Dataset[Tensor]):
    """Samples that are read by whole batches of row numbers.

    Parameters
    ----------
    array : ndarray of shape (n, n_features)
        The user's own array, which may be a read-only memory map and is never written to;
        uint8 stays uint8 until a batch is taken.
    layout : Layout
        Shape of a sample.
    device : torch.device, default=cpu
        Where batches are wanted.
    hold : bool, default=False
        Whether to move all rows to the device at once and index them there.
    """

    def __init__(
        self,
        array: NDArray[Any],
        layout: Layout,
        device: torch.device | None = None,
        *,
        hold: bool = False,
    ) -> None:
        self.array = array
        self.layout = layout
        self.device = device or torch.device("cpu")
        self.numbers = torch.arange(len(array), device=self.device)
        self.labels = torch.full((len(array),), -1, device=self.device)
        self.held: Tensor | None = None
        if hold and self.device.type != "cpu":
            self.held = torch.from_numpy(np.array(array)).to(self.device)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.numbers)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Take the samples of the given row numbers.

        Parameters
        ----------
        numbers : Tensor of shape (b,)
            Rows of the array.

        Returns
        -------
        Tensor of shape (b, *layout.shape)
        """
        if self.held is not None:
            return self.layout.arrange(self.held.index_select(0, numbers))
        # Indexing by numbers copies, so that read-only and memory-mapped arrays work alike.
        taken = torch.from_numpy(self.array[numbers.cpu().numpy()])
        return self.layout.arrange(taken.to(self.device))

    def read(self, indices: Iterable[Tensor], generator: Generator) -> Iterator[Tensor]:
        """Take the samples of one batch after the other.

        Parameters
        ----------
        indices : iterable of Tensor of shape (b,)
            Row numbers of each batch.
        generator : Generator
            Of what reading draws; rows in memory draw nothing.

        Yields
        ------
        Tensor of shape (b, *layout.shape)
        """
        return map(self.__getitem__, indices)

    def part(self, positions: NDArray[np.intp]) -> "Rows":
        """Share the array, but count only the given rows.

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
