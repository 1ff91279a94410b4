"""Several looks at each sample that are given in the data, such as two frames of a film."""

import copy
from collections.abc import Generator as Reading
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import Dataset

from skdim.inputs.layout import MOST_COLOURS
from skdim.inputs.samples import Samples
from skdim.inputs.streams import Stream, check_data
from skdim.inputs.tensors import as_plain

__all__ = ["PairedDataset", "PairedSamples", "separate_looks"]


class PairedDataset(Dataset[tuple[Any, ...]]):
    """Looks that belong together: item ``i`` is a tuple of one sample of each data set.

    ``fit``, ``partial_fit`` and ``score`` of the transformer accept it as ``X``. The code of a look
    is then compared with the local features of the other looks at the same sample: neighbouring
    frames of a film, two cameras or sensors, an anchor and a positive sample. One encoder encodes
    all looks, which must have one shape.

    Parameters
    ----------
    *data : array, list or map-style Dataset
        Two or more of equal length. ``data[k][i]`` is look ``k`` at sample ``i``: a tensor, an
        array, a PIL image, or a tuple that begins with one.

    Raises
    ------
    TypeError
        If something cannot be indexed by number.
    ValueError
        If there are fewer than two, or their lengths differ.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.inputs import PairedDataset
    >>> frames = np.random.default_rng(0).normal(size=(41, 8, 8))
    >>> pairs = PairedDataset(frames[:-1], frames[1:])
    >>> dim = DeepInfoMaxTransformer(4, random_state=0).fit(pairs)
    >>> dim.transform(frames).shape
    (41, 4)
    """

    def __init__(self, *data: Any) -> None:
        if len(data) < 2:
            raise ValueError(f"PairedDataset needs at least two data sets. Got {len(data)}.")
        for part in data:
            check_data(part)
        lengths = [len(part) for part in data]
        if len(set(lengths)) > 1:
            raise ValueError(
                "The data sets of PairedDataset must have one length: item i of each is a look at "
                f"the same sample. Got {', '.join(map(str, lengths))}."
            )
        self.data = tuple(as_plain(part, "X") for part in data)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data[0])

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        """Return the looks at a sample."""
        return tuple(part[number] for part in self.data)


class EachLook(Dataset[Any]):
    """All looks of a :class:`PairedDataset` as items: those of a sample one after the other."""

    def __init__(self, paired: PairedDataset) -> None:
        self.data = paired.data

    def __len__(self) -> int:
        """Count the looks."""
        return len(self.data) * len(self.data[0])

    def __getitem__(self, number: int) -> Any:
        """Return a look."""
        sample, look = divmod(number, len(self.data))
        return self.data[look][sample]


class PairedSamples(Samples):
    """Samples of which several looks are given; a batch has the shape (b, n_looks, *shape).

    Parameters
    ----------
    each : Samples
        All looks, those of a sample one after the other.
    n_looks : int
    labels : Tensor of shape (n,), default=None
        See :class:`Samples`.
    """

    def __init__(self, each: Samples, n_looks: int, labels: Tensor | None = None) -> None:
        super().__init__(len(each) // n_looks, each.layout, each.device, labels, each.convert)
        self.each = each
        self.n_looks = n_looks

    def looks_at(self, numbers: Tensor) -> Tensor:
        """Return the numbers of the looks at some samples, (b * n_looks,)."""
        looks = torch.arange(self.n_looks, device=numbers.device)
        return (numbers[:, None] * self.n_looks + looks).flatten()

    def grouped(self, looks: Tensor) -> Tensor:
        """Reshape looks (b * n_looks, *shape) to (b, n_looks, *shape)."""
        return looks.reshape(-1, self.n_looks, *self.layout.shape)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Return all looks at some samples; see :class:`Samples`."""
        return self.grouped(self.each[self.looks_at(numbers)])

    def read(self, batches: Sequence[Tensor], generator: Generator) -> Reading[Tensor, None, None]:
        """Read all looks of each batch; see :class:`Samples`."""
        for x in self.each.read([self.looks_at(numbers) for numbers in batches], generator):
            yield self.grouped(x)

    def single(self) -> Samples:
        """Return all looks as samples of their own."""
        shared = copy.copy(self.each)
        shared.numbers = self.looks_at(self.numbers)
        return shared

    def on_cpu(self) -> Self:
        """Return the same samples with batches on the CPU; see :class:`Samples`."""
        shared = super().on_cpu()
        shared.each = self.each.on_cpu()
        return shared

    def __enter__(self) -> Self:
        """Keep workers, if any."""
        self.each.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """End workers."""
        self.each.__exit__(*error)


def separate_looks(X: Any, channel_axis: int | None = None) -> tuple[Any, int]:
    """Return all looks as samples, those of a sample one after the other.

    Parameters
    ----------
    X : object
        Anything that ``fit`` accepts. Several looks are in a :class:`PairedDataset`, a
        :class:`Stream` of one, or an array of images of shape (n, n_looks, C, H, W) or
        (n, n_looks, H, W, C).
    channel_axis : {None, 1, -1}, default=None
        None raises an error for arrays whose images would have more than four channels, since they
        may be volumes.

    Returns
    -------
    X : object
        What was given, if there is one look at each sample.
    n_looks : int

    Raises
    ------
    ValueError
        If an array of five axes cannot be looks at images.
    """
    if isinstance(X, PairedDataset):
        return Stream(EachLook(X)), len(X.data)
    if isinstance(X, Stream):
        if not isinstance(X.data, PairedDataset):
            return X, 1
        each = EachLook(X.data)
        stream = Stream(each, X.n_workers, ahead=X.ahead, start_method=X.start_method)
        return stream, len(X.data.data)
    X = as_plain(X, "X")
    shape = getattr(X, "shape", ())
    if not isinstance(shape, tuple) or len(shape) != 5:
        return X, 1
    array: NDArray[Any] = np.asarray(X)
    n, n_looks, *sample = array.shape
    if n_looks < 2 or (channel_axis is None and min(sample[0], sample[-1]) > MOST_COLOURS):
        raise ValueError(
            f"X has shape {array.shape}. Five axes are read as (n, n_looks, C, H, W) or "
            "(n, n_looks, H, W, C): two or more looks at each image, with at most "
            f"{MOST_COLOURS} channels unless channel_axis is given. Volumes are not supported."
        )
    return array.reshape(n * n_looks, *sample), n_looks
