"""Layout of samples: the shape of images, signals and vectors, and their flat rows."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

# Floating-point types that NumPy has, too.
FLOATS = (torch.float16, torch.float32, torch.float64)

# Maximum number of channels of an image: RGBA.
MAX_CHANNELS = 4
# Ratio of the sides above which samples may be signals.
MAX_ASPECT_RATIO = 4

NOT_SAMPLES = (str, bytes, Mapping, Set, Iterator, PathLike, DataLoader)
HINTS: tuple[tuple[tuple[type, ...], str], ...] = (
    (
        (str, PathLike),
        " For a folder of images, pass skdim.inputs.ImageFolder(path, size=(32, 32)).",
    ),
    (
        (DataLoader,),
        " Pass its data set: X.dataset, or skdim.inputs.Stream(X.dataset, n_workers=...) to read "
        "by worker processes.",
    ),
)


@dataclass(frozen=True)
class Layout:
    """Conversion of flat rows to the input of an encoder.

    Parameters
    ----------
    shape : tuple of int
        Input shape of the encoder: ``(C, H, W)`` of an image, ``(C, L)`` of a signal, ``(d,)`` of
        a vector.
    channels_last : bool, default=False
        Whether rows are images ``(H, W, C)`` or signals ``(L, C)``.
    """

    shape: tuple[int, ...]
    channels_last: bool = False

    @property
    def is_image(self) -> bool:
        """Whether a sample is an image."""
        return len(self.shape) == 3

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return math.prod(self.shape)

    @property
    def given_shape(self) -> tuple[int, ...]:
        """Shape of one sample in the order of the user's axes."""
        return (*self.shape[1:], self.shape[0]) if self.channels_last else self.shape

    @property
    def shapes(self) -> set[tuple[int, ...]]:
        """Shapes of a sample as given: an axis of a single channel may be missing, or elsewhere."""
        given, side = self.given_shape, self.shape[1:]
        return {given, side, (1, *side), (*side, 1)} if self.shape[0] == 1 else {given}

    def check_same(self, sample: tuple[int, ...]) -> None:
        """Raise a ValueError for another shape, except for an axis of a single channel."""
        if sample not in self.shapes:
            given = self.given_shape
            hint = "Scale or crop samples to that shape, or fit on such samples."
            if sorted(sample) == sorted(given):
                hint = "Transpose X."
            raise ValueError(
                f"X has samples of shape {sample}, but the transformer was fitted on samples of "
                f"shape {given}. {hint}"
            )

    def check_several(self, shape: tuple[int, ...]) -> None:
        """Raise a ValueError if X has the shape of a single image or signal."""
        if len(shape) > 1 and shape in self.shapes and math.prod(shape[1:]) != self.n_features:
            raise ValueError(
                f"X has shape {shape}, but the transformer was fitted on samples of shape "
                f"{self.given_shape}. For a single sample, pass X[None] or [X]."
            )

    def per_feature(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Repeat one value per channel to one per feature of a row."""
        size = math.prod(self.shape[1:])
        return np.tile(values, size) if self.channels_last else np.repeat(values, size)

    def arrange(self, rows: Tensor) -> Tensor:
        """Reshape rows (n, n_features) to samples (n, *shape)."""
        samples = rows.reshape(-1, *self.given_shape)
        if not self.channels_last:
            return samples
        # Rounding depends on the memory layout; contiguous() keeps the strides of a single channel.
        return samples.movedim(-1, 1).clone(memory_format=torch.contiguous_format)

    def restore(self, samples: Tensor) -> Tensor:
        """Return samples (n, *shape) in the user's order of axes."""
        return samples.movedim(1, -1).contiguous() if self.channels_last else samples


def convert_tensor(value: Any, name: str) -> Any:
    """Convert a tensor of any device to an array; return other values unchanged.

    Raise a TypeError with the value's ``name`` for masked arrays, and for tensors that are not
    dense or have no memory.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, but masks are not supported. Remove the masked rows, or "
            "fill the masked entries: array.filled(value)."
        )
    if not isinstance(value, Tensor):
        return value
    kinds = {
        "nested": value.is_nested,
        "on the meta device": value.is_meta,
        "quantized": value.is_quantized,
        # Nested tensors have no layout.
        "sparse": not value.is_nested and value.layout is not torch.strided,
    }
    wrong = [kind for kind, holds in kinds.items() if holds]
    if wrong:
        raise TypeError(
            f"{name} is a tensor that is {wrong[0]}. It must be dense, with its numbers in memory."
        )
    value = value.detach().cpu().resolve_conj().resolve_neg()
    if value.is_floating_point() and value.dtype not in FLOATS:
        value = value.float()
    return value.numpy()


def channels_come_last(shape: Sequence[int], channel_axis: int | None) -> bool:
    """Return whether a shape is ``(H, W, C)``; raise a ValueError if it is ambiguous.

    The axis of the channels is the only one of the first and the last with at most four entries,
    or else the one that differs from two equal sides.
    """
    if channel_axis is not None:
        return channel_axis == -1
    first, middle, last = shape
    small_first, small_last = first <= MAX_CHANNELS, last <= MAX_CHANNELS
    if small_first != small_last:
        return small_last
    square_first, square_last = middle == last, first == middle
    if square_first != square_last:
        return square_last
    raise ValueError(
        f"Images of shape {tuple(shape)} can be (C, H, W) or (H, W, C). "
        "Set channel_axis=1 (channels first) or channel_axis=-1 (channels last)."
    )


def find_layout(
    shape: Sequence[int],
    image_shape: Sequence[int] | None = None,
    channel_axis: int | None = None,
    *,
    signals: bool = False,
) -> Layout:
    """Infer the layout of the samples of an array.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array: ``(n, d)``, ``(n, H, W)``, ``(n, C, H, W)`` or ``(n, H, W, C)``.
    image_shape : sequence of int, default=None
        ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)`` of flat rows.
    channel_axis : {None, 1, -1}, default=None
        Axis of the channels; None infers it for images, and is 1 for signals.
    signals : bool, default=False
        Whether samples are signals: ``(n, C, L)``, or flat rows of one channel, or of the
        ``image_shape`` ``(C, L)``. With ``channel_axis=-1``, they are ``(n, L, C)``.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        If ``image_shape`` contradicts the array, if the axis of the channels is ambiguous, or if
        samples may be signals or images.
    """
    sample = tuple(shape[1:])
    if not signals and len(sample) not in (1, 2, 3):
        raise ValueError(
            f"X has shape {tuple(shape)}. Expected (n, features), (n, H, W), (n, C, H, W) or "
            "(n, H, W, C)."
        )
    if image_shape is not None:
        given = tuple(int(side) for side in image_shape)
        check_agreement(sample, given)
        sample = given
    if signals:
        return signal_layout(sample, channel_axis, inferred=image_shape is None)
    if len(sample) == 1:
        return Layout(sample)
    if len(sample) == 2:
        if image_shape is None and max(sample) > MAX_ASPECT_RATIO * min(sample):
            raise ValueError(
                f"X has shape {tuple(shape)}: its samples can be signals or narrow images. For "
                "signals, give encoder='kernels' or 'conv1d', and channel_axis=1 or -1; for images "
                f"of {sample[0]}x{sample[1]} pixels, give image_shape={sample}."
            )
        return Layout((1, *sample))
    if channels_come_last(sample, channel_axis):
        return Layout((sample[2], *sample[:2]), channels_last=True)
    return Layout(sample)


def signal_layout(sample: tuple[int, ...], channel_axis: int | None, *, inferred: bool) -> Layout:
    """Return the layout of signals; an ``inferred`` shape must have an unambiguous channel axis."""
    if len(sample) == 1:
        return Layout((1, *sample))
    if len(sample) != 2:
        raise ValueError(
            f"the samples have shape {sample}, but this encoder takes signals: X of shape "
            "(n, C, L), or (n, L, C) with channel_axis=-1, or (n, L). Reshape X, or use an "
            "encoder of images."
        )
    if channel_axis == -1:
        return Layout((sample[1], sample[0]), channels_last=True)
    if channel_axis is None and inferred and sample[0] > sample[1]:
        raise ValueError(
            f"the samples have shape {sample}: {sample[0]} channels of {sample[1]} values, or "
            f"{sample[1]} of {sample[0]}. Give channel_axis=1 for the first, -1 for the second."
        )
    return Layout(sample)


def check_agreement(sample: tuple[int, ...], image_shape: tuple[int, ...]) -> None:
    """Raise a ValueError for an ``image_shape`` that contradicts the samples."""
    if len(sample) == 1:
        if math.prod(image_shape) != sample[0]:
            raise ValueError(
                f"image_shape={image_shape} has {math.prod(image_shape)} pixels, but the rows of "
                f"X have {sample[0]} features. Give the shape of one image."
            )
        return
    grey = {sample, (1, *sample), (*sample, 1)} if len(sample) == 2 else {sample}
    if image_shape not in grey:
        hint = ""
        if sorted(sample) == sorted(image_shape):
            hint = " The order of the axes differs: transpose X, or remove image_shape."
        raise ValueError(
            f"image_shape={image_shape} contradicts the samples of X, which have shape "
            f"{sample}.{hint}"
        )


def flatten_rows(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Reshape images to rows; return all other data as it is.

    Parameters
    ----------
    X : array-like
        Images of any layout, as one array, a torch tensor, a list of arrays, or a list of tuples
        that begin with one, such as (image, label); or a table.

    Returns
    -------
    rows : array-like
        Of shape ``(n, features)`` if ``X`` has images, else ``X`` itself.
    shape : tuple of int or None
        Shape of ``X``, if it has images.

    Raises
    ------
    TypeError
        If ``X`` is not a sequence of samples, is masked, holds dates or times, or is a tensor
        without dense numbers.
    ValueError
        If a list has arrays of different shapes.
    """
    X = convert_tensor(X, "X")
    check_kind(X)
    if not len(getattr(X, "columns", "X")):
        X = np.empty(X.shape)  # scikit-learn finds no type of the columns.
    # A column of a table may hold arrays.
    is_list = isinstance(X, list | tuple)
    if is_list or (count_axes(X) == 1 and np.dtype(object) == getattr(X, "dtype", None)):
        X = stack_samples(X, 1)
    # NumPy would convert NaT to a number.
    known = count_axes(X) and (isinstance(X, np.ndarray) or hasattr(X, "dtypes"))
    if known and np.asarray(X[:1]).dtype.kind in "mM":
        raise TypeError("X holds dates or times. Convert them to numbers: seconds, for instance.")
    if count_axes(X) not in (0, 2) and hasattr(X, "__array__"):
        array = np.asarray(X)
        X = array if array.ndim > 1 else X
    if not isinstance(X, np.ndarray) or X.ndim <= 2:
        return X, None
    return X.reshape(X.shape[0], math.prod(X.shape[1:])), X.shape


def count_axes(X: Any) -> int:
    """Return the number of axes of an array, a table or a sparse matrix; 0 of anything else."""
    shape = getattr(X, "shape", None)
    return len(shape) if isinstance(shape, tuple) else 0


def check_kind(X: Any) -> None:
    """Raise a TypeError if X is not a sequence of samples."""
    countable = any(hasattr(X, name) for name in ("__len__", "__array__", "__float__"))
    # Sparse matrices, some of which are mappings, are left to the checks of scikit-learn.
    if not count_axes(X) and (isinstance(X, NOT_SAMPLES) or not countable):
        hint = next((text for kinds, text in HINTS if isinstance(X, kinds)), "")
        raise TypeError(
            f"X is of type {type(X).__name__}. It must be an array, a table, a torch tensor or a "
            f"list of samples.{hint}"
        )


def stack_samples(X: Any, n_axes: int) -> Any:
    """Stack items whose samples have ``n_axes`` or more; return other sequences as they are.

    Raise a ValueError if the shapes of samples differ.
    """
    arrays = (convert_tensor(sample_of(x), f"Sample {number} of X") for number, x in enumerate(X))
    first: Any = next(arrays, None)
    if np.ndim(first) < n_axes:
        if np.ndim(first) == 0:
            list(arrays)  # Raises a TypeError for those that cannot be converted.
        return X
    samples = [first, *arrays]
    for number, sample in enumerate(samples):
        if np.shape(sample) != np.shape(first):
            raise ValueError(
                f"X is a list of samples of different shapes: {np.shape(first)} and "
                f"{np.shape(sample) or 'a single number'}, of sample {number}. All samples must "
                "have one shape: scale, crop or pad them."
            )
    return np.stack([np.asarray(sample) for sample in samples])


def sample_of(item: Any) -> Any:
    """Return the sample of an item of a data set, such as (image, label): its first entry."""
    if not isinstance(item, tuple) or len(item) < 2:
        return item
    first, *others = (getattr(part, "shape", ()) for part in item)
    # Of Pillow, whose images have no shape.
    is_picture = hasattr(type(item[0]), "__array_interface__") and not hasattr(item[0], "shape")
    # A tuple of arrays of one axis may be the rows of one sample.
    alone = isinstance(item[0], Tensor) or len(first) > 1 or any(shape != first for shape in others)
    return item[0] if is_picture or (len(first) and alone) else item
