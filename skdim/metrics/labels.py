"""Classes as numbers, and samples held out so that every class is on both sides."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import column_or_1d

__all__ = ["hold_out", "number_classes"]


def number_classes(y: Any, name: str, classes: NDArray[Any]) -> NDArray[np.int64]:
    """Return the number of the class of each label.

    Parameters
    ----------
    y : array-like of shape (n,)
    name : str
        What the user calls ``y``.
    classes : ndarray of shape (c,)
        Sorted; those that are trained on.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If there is only one class, or a label of none of them.
    """
    if len(classes) < 2:
        raise ValueError(
            f"y holds a single class, {classes.tolist()}. A probe needs at least two to tell apart."
        )
    labels = column_or_1d(y)
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError(f"{name} has NaN. Leave out the rows whose class is not known.")
    strange = np.setdiff1d(labels, classes)
    if len(strange):
        raise ValueError(
            f"{name} holds {strange.tolist()}, which y does not. A probe knows the classes of y "
            f"only: {classes.tolist()}."
        )
    numbers: NDArray[np.int64] = np.searchsorted(classes, labels).astype(np.int64)
    return numbers


def hold_out(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw what is held out, each class in proportion.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Numbers of classes.
    fraction : float
        Share of the samples to hold out; at least as many as there are classes are.
    seed : int
        Below 2**32.

    Returns
    -------
    kept, held : ndarray of int
        Positions, disjoint, together all.

    Raises
    ------
    ValueError
        If a class has a single sample, or there are not enough samples for both sides.
    """
    counts = np.unique(labels, return_counts=True)[1]
    n, n_classes = len(labels), len(counts)
    n_held = max(round(fraction * n), n_classes)
    if counts.min() < 2 or n - n_held < n_classes:
        raise ValueError(
            f"y has {n} samples of {n_classes} classes, {counts.min()} of the rarest, of which "
            f"{n_held} are to be held out. Each class needs at least two, one a side: give more "
            "samples, or leave rare classes out."
        )
    kept, held = train_test_split(
        np.arange(n), test_size=n_held, stratify=labels, random_state=seed
    )
    return kept, held
