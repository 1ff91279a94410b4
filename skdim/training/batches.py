"""An epoch as a sequence of batches."""

import math
from collections.abc import Generator as Reading
from collections.abc import Iterator, Sequence
from contextlib import closing

import torch
from torch import Generator, Tensor

from skdim.inputs import Samples
from skdim.objectives import Batch

__all__ = ["Batches", "mean_of"]


class Batches:
    """All samples once, in batches of about equal size.

    No batch has a single sample unless there is only one, since a single sample has no negatives
    and no variance. No batch is larger than ``batch_size``, except one of three samples if
    ``batch_size`` is 2 and the number of samples is odd.

    With ``overlap``, all batches are of ``batch_size``, or of all samples if there are fewer: then
    some samples are in two batches, and all have the same number of others beside them.

    Parameters
    ----------
    rows : Samples
    batch_size : int
    generator : Generator
        Source of all random draws.
    shuffle : bool
        Whether the order is drawn in each epoch.
    overlap : bool, default=False
    """

    def __init__(
        self,
        rows: Samples,
        batch_size: int,
        generator: Generator,
        *,
        shuffle: bool,
        overlap: bool = False,
    ) -> None:
        self.rows = rows
        self.generator = generator
        self.shuffle = shuffle
        n_batches = math.ceil(len(rows) / batch_size)
        self.n_batches = max(1, n_batches if overlap else min(n_batches, len(rows) // 2))
        self.size = min(batch_size, len(rows)) if overlap else None

    def __len__(self) -> int:
        """Count the batches."""
        return self.n_batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch."""
        indices = self.indices()
        with closing(self.read(indices)) as samples:
            for index, x in zip(indices, samples, strict=True):
                looks = x if self.rows.n_looks > 1 else None
                x = x if looks is None else x[:, 0]
                yield Batch(x, index, self.rows.labels[index], self.generator, looks=looks)

    def read(self, indices: Sequence[Tensor]) -> Reading[Tensor, None, None]:
        """Read the samples of each batch, one batch after the other."""
        return self.rows.read(indices, self.generator)

    def indices(self) -> Sequence[Tensor]:
        """Return the numbers of the samples of each batch of one epoch."""
        numbers = self.rows.numbers
        if self.shuffle:
            device = self.rows.device
            numbers = numbers[torch.randperm(len(numbers), generator=self.generator, device=device)]
        if self.size is None:
            return numbers.tensor_split(self.n_batches)
        last = len(numbers) - self.size
        starts = [last * i // max(self.n_batches - 1, 1) for i in range(self.n_batches)]
        return [numbers[start : start + self.size] for start in starts]


def mean_of(steps: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, float]:
    """Average the values of batches, weighted by their sizes; the device is read once."""
    columns = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    first = next(iter(columns.values()))
    weights = torch.tensor(sizes, dtype=first.dtype, device=first.device)
    ratios = [
        # Pairs are a sum and a count.
        column.sum(dim=0) if column.ndim == 2 else torch.stack([weights @ column, weights.sum()])
        for column in columns.values()
    ]
    sums, counts = torch.stack(ratios).unbind(dim=1)
    return dict(zip(columns, (sums / counts).tolist(), strict=True))
