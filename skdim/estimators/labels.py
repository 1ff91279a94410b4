"""Validation of labels, some of which are missing."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing, column_or_1d, indexable
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor
from torch.utils.data import Dataset, Subset

from skdim.inputs import Stream, check_kind, convert_tensor, separate_looks
from skdim.parameters import shown

UNLABELLED = -1
MISSING = (
    "-1 marks rows without a label, and classes are integers or strings. Replace missing labels by "
    "-1."
)


def read_labels(
    y: ArrayLike | None,
    n: int,
    device: torch.device,
    name: str,
    hint: str,
    classes: NDArray[Any] | None = None,
) -> tuple[Tensor, NDArray[Any]]:
    """Convert labels to positions in their classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of any type; -1 where there is none. Strings beside -1 need dtype object.
    n : int
        Number of samples.
    device : torch.device
    name, hint : str
        For messages: the class of the estimator, and what to do without labels.
    classes : ndarray or None, default=None
        Known classes; None takes those of ``y``, which must be at least two.

    Returns
    -------
    labels : Tensor of shape (n,)
        Positions in the classes, -1 where there is no label; on the device.
    classes : ndarray of shape (n_classes,)
        Sorted.
    """
    if y is None:
        raise ValueError(
            f"{name} requires y to be passed, but the target y is None. Give one label for each "
            f"row of X, -1 where there is none. {hint}."
        )
    y = convert_tensor(y, "y")
    if isinstance(y, list | tuple):
        y = [convert_tensor(label, f"Label {number} of y") for number, label in enumerate(y)]
        if len({isinstance(label, str) for label in y}) > 1:
            y = np.array(y, dtype=object)  # NumPy would convert numbers to strings.
    labels = column_or_1d(y, warn=True)
    if len(labels) != n:
        raise ValueError(
            f"y has {len(labels)} labels, but X has {n} samples. Each row needs one, "
            "-1 where there is none."
        )
    known = find_labelled(labels)
    values = read_values(labels[known])
    if classes is None:
        classes = np.unique(values)
        if len(classes) < 2:
            raise ValueError(
                f"y has {len(classes)} class(es) in {known.sum()} labelled rows of {len(labels)}; "
                f"-1 marks a row without a label. At least two classes are needed. {hint}."
            )
    unseen = sorted(set(values.tolist()) - set(classes.tolist()))
    if unseen:
        raise ValueError(
            f"y has classes that were not in the first fit: {shown(unseen[:5])}. Its classes were "
            f"{shown(classes.tolist()[:20])}; the classifier has one output for each of these."
        )
    numbers = np.full(len(labels), UNLABELLED)
    if known.any():
        numbers[known] = np.searchsorted(classes, values)
    return torch.as_tensor(numbers, device=device), classes


def find_labelled(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have a label; raise a ValueError for missing and ambiguous labels.

    Ambiguous are "-1" in an array of strings, and -1 converted to an unsigned integer.
    """
    if labels.dtype == object and any(missing := list(map(is_missing, labels))):
        raise ValueError(f"y holds {shown(labels[missing][0])}. {MISSING}")
    if labels.dtype.kind == "u" and np.iinfo(labels.dtype).max in labels:
        raise ValueError(
            f"y is of dtype {labels.dtype} and holds {np.iinfo(labels.dtype).max}, which is -1 "
            "converted to that type. Convert y to dtype int64, with -1 where there is no label."
        )
    if labels.dtype.kind in "US" and "-1" in labels.astype(str):
        raise ValueError(
            "y has strings, '-1' among them. To mark rows without a label beside labels that are "
            "strings, give y dtype object, and -1 as a number in it."
        )
    return np.fromiter((value != UNLABELLED for value in labels.tolist()), bool, len(labels))


def is_missing(label: object) -> bool:
    """Whether a label is None, NaN or NA of pandas."""
    try:
        return label is None or bool(label != label)
    except TypeError:  # NA has no truth value.
        return True


def read_values(labels: NDArray[Any]) -> NDArray[Any]:
    """Convert labels to one type; raise a ValueError for mixed types and for continuous values."""
    if labels.dtype == object and len(labels):
        kinds = {isinstance(label, str): label for label in labels}
        if len(kinds) > 1:
            raise ValueError(
                f"y has labels that are strings, such as {shown(kinds[True])}, and others, such as "
                f"{shown(kinds[False])}. Give them one type; -1, as a number, marks rows without a "
                "label."
            )
        labels = np.array(labels.tolist())
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"y holds NaN or infinity. {MISSING}")
    if len(labels):
        check_classification_targets(labels)
    return labels


def count_rows(X: Any) -> int:
    """Return the number of samples; raise a ValueError if there are several looks at each."""
    if separate_looks(X, channel_axis=1)[1] > 1:
        raise ValueError(
            "X holds several looks at each sample. A classifier takes single samples: fit a "
            "transformer on the looks, and use DeepInfoMaxClassifier.from_transformer."
        )
    check_kind(X)
    if len(getattr(X, "shape", ())):
        return int(X.shape[0])
    return len(X if isinstance(X, Dataset | Stream) else indexable(X)[0])  # type: ignore[arg-type]


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return some samples, as an object of the type of ``X``."""
    if isinstance(X, Stream):
        part = copy.copy(X)
        part.data = Subset(X.data, rows.tolist())
        return part
    if isinstance(X, Dataset):
        return Subset(X, rows.tolist())
    return _safe_indexing(indexable(X)[0], rows)
