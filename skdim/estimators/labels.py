"""Classes of samples: what a user gives as y, read as scikit-learn reads it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from skdim.inputs import Rows

__all__ = ["read_labels"]

UNLABELLED = -1


def read_labels(
    y: Any, rows: Rows, name: str, classes: NDArray[Any] | None = None
) -> tuple[Tensor, NDArray[Any]]:
    """Convert labels to positions in their classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of any type; -1 where there is none. Strings beside -1 need dtype object.
    rows : Rows
        The n samples.
    name : str
        What messages call the estimator.
    classes : ndarray or None, default=None
        Known classes; None takes those of ``y``.

    Returns
    -------
    labels : Tensor of shape (n,)
        Positions in the classes, -1 where there is no label; on the device of the rows.
    classes : ndarray of shape (n_classes,)
        In order.

    Raises
    ------
    ValueError
        If ``y`` is missing, of another length, or holds no classes; if no classes were known and
        it holds fewer than two; or if they were, and it holds another one.
    """
    if y is None:
        raise ValueError(
            f"{name} requires y to be passed, but the target y is None. With classifier_weight > 0 "
            "it learns from labels too: one for each row of X, -1 where there is none."
        )
    given = column_or_1d(y)
    if len(given) != len(rows):
        raise ValueError(
            f"y has {len(given)} labels, but X has {len(rows)} samples. Each row needs one, "
            "-1 where there is none."
        )
    known = find_labelled(given)
    values = read_values(given[known])
    if classes is None:
        classes = np.unique(values)
        if len(classes) < 2:
            raise ValueError(
                f"y has {len(classes)} class(es) in {known.sum()} labelled rows of {len(given)}; "
                "-1 marks a row without a label. classifier_weight > 0 needs at least two classes. "
                "Without labels, set it to 0."
            )
    strange = [value for value in np.unique(values).tolist() if value not in classes.tolist()]
    if strange:
        raise ValueError(
            f"y has classes that the first fit did not see: {strange[:5]}. It saw "
            f"{classes.tolist()[:20]}; the classifier has one output for each of these."
        )
    numbers = np.full(len(given), UNLABELLED)
    if known.any():
        numbers[known] = np.searchsorted(classes, values)
    return torch.as_tensor(numbers, device=rows.device), classes


def find_labelled(given: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have a label.

    Raises
    ------
    ValueError
        If all are strings, with "-1" among them: it cannot be told what was meant.
    """
    if given.dtype.kind not in "US":
        return np.fromiter((value != UNLABELLED for value in given.tolist()), bool, len(given))
    if "-1" in given.astype(str):
        raise ValueError(
            "y has strings, '-1' among them. To mark rows without a label beside labels that are "
            "strings, give y dtype object, and -1 as a number in it."
        )
    return np.ones(len(given), bool)


def read_values(labels: NDArray[Any]) -> NDArray[Any]:
    """Convert labels to one type, and raise an error for what are no classes.

    Raises
    ------
    ValueError
        If they are numbers that are not whole, not finite, or of several kinds.
    """
    if labels.dtype == object and len(labels):
        kinds = {isinstance(label, str) for label in labels}
        if len(kinds) > 1:
            raise ValueError(
                "y has labels that are strings and labels that are none. Give them one type; -1, "
                "as a number, marks rows without a label."
            )
        labels = np.array(labels.tolist())
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(
            "y holds NaN or infinity. -1 marks rows without a label, and classes are whole numbers "
            "or names."
        )
    if len(labels):
        check_classification_targets(labels)
    return labels
