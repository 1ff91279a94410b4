"""What the samples of an array are, and how a flat row becomes one."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Layout", "find_layout", "flatten_rows"]

# A third axis of at most four entries is read as colour: grey, grey and alpha, RGB, RGBA.
MOST_COLOURS = 4


@dataclass(frozen=True)
class Layout:
    """How a flat row of numbers becomes the input of an encoder.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample as the encoder sees it: ``(C, H, W)`` for an image, ``(C, L)`` for a
        signal, ``(d,)`` for a vector.
    channels_last : bool, default=False
        Whether the row holds an image as ``(H, W, C)``, or a signal as ``(L, C)``.
    """

    shape: tuple[int, ...]
    channels_last: bool = False

    @property
    def is_image(self) -> bool:
        """Whether a sample is an image."""
        return len(self.shape) == 3

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape)

    @property
    def given_shape(self) -> tuple[int, ...]:
        """Shape of one sample in the order that the user gave."""
        return (*self.shape[1:], self.shape[0]) if self.channels_last else self.shape

    def check_same(self, sample: tuple[int, ...]) -> None:
        """Raise an error for images or signals of another shape than those fitted.

        Raises
        ------
        ValueError
            If ``sample`` is another shape; axes of a single grey channel may come and go.
        """
        given, side = self.given_shape, self.shape[1:]
        same = {given, side, (1, *side), (*side, 1)} if self.shape[0] == 1 else {given}
        if sample not in same:
            hint = " Transpose X." if sorted(sample) == sorted(given) else ""
            raise ValueError(
                f"X holds samples of shape {sample}, but the transformer was fitted on samples of "
                f"shape {given}.{hint}"
            )

    def arrange(self, rows: Tensor) -> Tensor:
        """Reshape each row to a sample.

        Parameters
        ----------
        rows : Tensor of shape (n, n_features)

        Returns
        -------
        Tensor of shape (n, *shape)
        """
        samples = rows.reshape(-1, *self.given_shape)
        if not self.channels_last:
            return samples
        # Convolutions round differently in another memory layout: the same image, the same code.
        # contiguous() would pass over the strides of a single channel.
        return samples.movedim(-1, 1).clone(memory_format=torch.contiguous_format)


def channels_come_last(shape: Sequence[int], channel_axis: int | None) -> bool:
    """Distinguish ``(H, W, C)`` from ``(C, H, W)``.

    One axis of at most four entries at an end is the channels; failing that, the odd one out
    beside two equal sides is.

    Raises
    ------
    ValueError
        If ``channel_axis`` is None and both readings are as good.
    """
    if channel_axis is not None:
        return channel_axis == -1
    first, middle, last = shape
    small_first, small_last = first <= MOST_COLOURS, last <= MOST_COLOURS
    if small_first != small_last:
        return small_last
    square_first, square_last = middle == last, first == middle
    if square_first != square_last:
        return square_last
    raise ValueError(
        f"Images of shape {tuple(shape)} can be read as (C, H, W) and as (H, W, C). "
        "Say which with channel_axis=1 (channels first) or channel_axis=-1 (channels last)."
    )


def find_layout(
    shape: Sequence[int],
    image_shape: Sequence[int] | None = None,
    channel_axis: int | None = None,
    *,
    signals: bool = False,
) -> Layout:
    """Read off what the samples of an array are.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array: ``(n, d)``, ``(n, H, W)``, ``(n, C, H, W)`` or ``(n, H, W, C)``.
    image_shape : sequence of int, default=None
        ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)`` of flat rows.
    channel_axis : {None, 1, -1}, default=None
        Where a sample has its channels; None infers it of images, and takes 1 of signals.
    signals : bool, default=False
        Whether samples are signals: ``(n, C, L)``, or flat rows of one channel, or of the
        ``image_shape`` ``(C, L)``. With ``channel_axis=-1``, they are ``(n, L, C)``.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        If ``image_shape`` contradicts the array, or if the channels cannot be told.
    """
    sample = tuple(shape[1:])
    if signals:
        return signal_layout(sample, image_shape, channel_axis)
    if len(sample) not in (1, 2, 3):
        raise ValueError(
            f"X has shape {tuple(shape)}. Expected (n, features), (n, H, W), (n, C, H, W) or "
            "(n, H, W, C)."
        )
    if image_shape is None:
        if len(sample) == 1:
            return Layout(sample)
        image_shape = sample
    else:
        image_shape = tuple(int(side) for side in image_shape)
        check_agreement(sample, image_shape)
    if len(image_shape) == 2:
        return Layout((1, *image_shape))
    if channels_come_last(image_shape, channel_axis):
        return Layout((image_shape[2], *image_shape[:2]), channels_last=True)
    return Layout(tuple(image_shape))


def signal_layout(
    sample: tuple[int, ...], given: Sequence[int] | None, channel_axis: int | None
) -> Layout:
    """Read off what the samples of an array of signals are; see ``find_layout``."""
    if given is not None:
        given = tuple(int(side) for side in given)
        check_agreement(sample, given)
        sample = given
    if len(sample) == 1:
        return Layout((1, *sample))
    if len(sample) != 2:
        raise ValueError(
            f"the samples have shape {sample}, but this encoder takes signals: X of shape "
            "(n, C, L), or (n, L, C) with channel_axis=-1, or (n, L). Reshape X, or take an "
            "encoder of images."
        )
    if channel_axis == -1:
        return Layout((sample[1], sample[0]), channels_last=True)
    return Layout(sample)


def check_agreement(sample: tuple[int, ...], image_shape: tuple[int, ...]) -> None:
    """Raise an error for an ``image_shape`` that contradicts the samples."""
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
            hint = " The axes stand in another order: transpose X, or leave image_shape out."
        raise ValueError(
            f"image_shape={image_shape} contradicts the samples of X, which have shape "
            f"{sample}.{hint}"
        )


def flatten_rows(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Lay images out as rows, and leave everything else to scikit-learn's own checks.

    Parameters
    ----------
    X : array-like
        Images of any layout, as one array, a torch tensor or a list of arrays; or a table.

    Returns
    -------
    rows : array-like
        Of shape ``(n, features)`` if ``X`` holds images, else ``X`` itself.
    shape : tuple of int or None
        Shape that ``X`` had, if it holds images.

    Raises
    ------
    TypeError
        If ``X`` is nothing that holds samples in an order.
    ValueError
        If a list holds arrays of different shapes.
    """
    # Some sparse matrices are mappings too; scikit-learn says better what is wrong with them.
    shapeless = not hasattr(X, "shape")
    if X is None or (shapeless and isinstance(X, str | bytes | Mapping | Set | Iterator)):
        raise TypeError(
            f"X is of type {type(X).__name__}. It must be an array, a table, a torch tensor or a "
            "list of samples."
        )
    if isinstance(X, Tensor):
        # NumPy has no bfloat16.
        X = X.detach().cpu().to(torch.float32 if X.dtype == torch.bfloat16 else X.dtype).numpy()
    if isinstance(X, list | tuple) and len(X) > 0 and np.ndim(first_of(X)) >= 1:
        X = stack_samples(X)
    if not isinstance(X, np.ndarray) or X.ndim <= 2:
        return X, None
    return X.reshape(X.shape[0], math.prod(X.shape[1:])), X.shape


def first_of(X: Sequence[Any]) -> Any:
    """Return the first sample as an array where it is one, else as it stands."""
    try:
        return np.asarray(X[0])
    except ValueError:
        return X[0]


def stack_samples(X: Sequence[Any]) -> NDArray[Any]:
    """Stack a list of samples, and say which one differs if they do not stack."""
    shapes = [np.shape(sample) for sample in X if not np.isscalar(sample)]
    odd = next((shape for shape in shapes if shape != shapes[0]), None)
    if odd is not None or len(shapes) != len(X):
        raise ValueError(
            "X is a list of samples of different shapes: "
            f"{shapes[0]} and {odd if odd is not None else 'a single number'}. "
            "All samples must have one shape."
        )
    return np.stack([np.asarray(sample) for sample in X])
