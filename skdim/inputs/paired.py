"""Several looks at each sample that are given in the data, such as two frames of a film."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import ConcatDataset, Dataset, Subset

from skdim.inputs.layout import MAX_CHANNELS, convert_tensor, count_axes, stack_samples
from skdim.inputs.streams import Stream, check_data


class PairedDataset(Dataset[tuple[Any, ...]]):
    """Several looks at each sample: item ``i`` is a tuple of one item of each data set.

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
        self.data = tuple(convert_tensor(part, "X") for part in data)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.data[0])

    def __getitem__(self, number: int) -> "Looks":
        """Return the looks at a sample."""
        return Looks(part[number] for part in self.data)


class Looks(tuple[Any, ...]):
    """Looks at one sample; the type distinguishes them from an item (sample, label)."""

    __slots__ = ()


class SingleLooks(Dataset[Any]):
    """All looks at paired samples as items, those at a sample one after the other."""

    def __init__(self, data: Any, n_looks: int) -> None:
        self.data = data
        self.n_looks = n_looks

    def __len__(self) -> int:
        """Count the looks."""
        return self.n_looks * len(self.data)

    def __getitem__(self, number: int) -> Any:
        """Return a look."""
        return read_look(self.data, *divmod(number, self.n_looks))


def count_looks(data: Any) -> int:
    """Return the number of looks at each sample; 1 if data is not paired.

    Paired data is a :class:`PairedDataset`, a subset or concatenation of such data sets, or a list
    of their items. Raise a ValueError if numbers of looks differ.
    """
    if isinstance(data, PairedDataset):
        return len(data.data)
    if isinstance(data, Subset):
        return count_looks(data.dataset)
    counts = {1}
    if isinstance(data, ConcatDataset):
        counts = {count_looks(part) for part in data.datasets}
    elif isinstance(data, list | tuple) and data and isinstance(data[0], Looks):
        counts = {len(item) if isinstance(item, Looks) else 1 for item in data}
    if len(counts) > 1:
        raise ValueError(f"X has samples of {sorted(counts)} looks. All must have equally many.")
    return counts.pop()


def read_look(data: Any, sample: int, look: int) -> Any:
    """Return one look at a sample, without reading the others if possible."""
    if isinstance(data, PairedDataset):
        return data.data[look][sample]
    if isinstance(data, Subset):
        return read_look(data.dataset, data.indices[sample], look)
    return data[sample][look]


def separate_looks(X: Any, channel_axis: int | None = None) -> tuple[Any, int]:
    """Return all looks as samples, those at a sample one after the other.

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
        The given ``X`` if there is one look at each sample.
    n_looks : int

    Raises
    ------
    ValueError
        If an array of five axes cannot be looks at images.
    """
    if isinstance(X, Stream):
        separated, n_looks = separate_looks(X.data, channel_axis)
        if n_looks == 1:
            return X, 1
        data = separated.data if isinstance(separated, Stream) else separated
        return Stream(data, X.n_workers, ahead=X.ahead, start_method=X.start_method), n_looks
    n_looks = count_looks(X)
    if n_looks > 1:
        return Stream(SingleLooks(X, n_looks)), n_looks
    X = convert_tensor(X, "X")
    if isinstance(X, list | tuple):
        X = stack_samples(X, 4)
    if count_axes(X) != 5:
        return X, 1
    array: NDArray[Any] = np.asarray(X)
    n, n_looks, *sample = array.shape
    if n_looks < 2 or (channel_axis is None and min(sample[0], sample[-1]) > MAX_CHANNELS):
        raise ValueError(
            f"X has shape {array.shape}. Five axes are read as (n, n_looks, C, H, W) or "
            "(n, n_looks, H, W, C): two or more looks at each image, with at most "
            f"{MAX_CHANNELS} channels unless channel_axis is given. Volumes are not supported."
        )
    return array.reshape(n * n_looks, *sample), n_looks
