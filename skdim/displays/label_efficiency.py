"""Accuracy against the number of labels."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim.displays.canvas import AbstractDisplay, Axes, are_integers, import_pyplot
from skdim.parameters import check_positive

COUNTS = (20, 50, 100, 200, 500, 1000)


class LabelEfficiencyDisplay(AbstractDisplay):
    """Accuracy of a classifier on frozen features, against the number of labels.

    Parameters
    ----------
    counts : array-like of int of shape (n_counts,)
        Numbers of labels.
    accuracies : mapping of str to array-like of shape (n_draws, n_counts)
        Accuracy on test rows for each draw of labelled rows, by name of the features.

    Attributes
    ----------
    bars_ : dict of str to matplotlib ErrorbarContainer
        Mean and standard error over draws.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is not one accuracy for each count.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.displays import LabelEfficiencyDisplay
    >>> digits = load_digits()
    >>> codes = DeepInfoMaxTransformer(16, random_state=0).fit_transform(digits.images[:600])
    >>> display = LabelEfficiencyDisplay.from_features(
    ...     {"pixels": digits.data[:600], "codes": codes},
    ...     digits.target[:600],
    ...     counts=[30, 100],
    ...     random_state=0,
    ... )
    >>> {name: values.shape for name, values in display.accuracies.items()}
    {'pixels': (5, 2), 'codes': (5, 2)}
    """

    def __init__(self, counts: ArrayLike, accuracies: Mapping[str, ArrayLike]) -> None:
        self.counts: NDArray[np.intp] = np.asarray(counts)
        self.accuracies = {name: np.atleast_2d(values) for name, values in accuracies.items()}
        shapes = {values.shape[1:] for values in self.accuracies.values()}
        if self.counts.ndim != 1 or shapes != {self.counts.shape}:
            raise ValueError(
                f"accuracies have shapes {[v.shape for v in self.accuracies.values()]}, but there "
                f"are {self.counts.size} counts. Each must be (n_draws, n_counts)."
            )

    @classmethod
    def from_features(
        cls,
        features: Mapping[str, ArrayLike],
        y: ArrayLike,
        *,
        counts: Sequence[int] | None = None,
        n_draws: int = 5,
        test_size: float = 0.5,
        classifier: Any = None,
        random_state: int | None = None,
        ax: "Axes | None" = None,
        **line_kwargs: Any,
    ) -> Self:
        """Fit a classifier to few labels of each kind of features, and draw its accuracy.

        The same rows are labelled for all features. Each draw holds out other test rows.

        Parameters
        ----------
        features : mapping of str to array-like of shape (n, d)
            Features of all rows, by name. Fit the transformer that made them without labels.
        y : array-like of shape (n,)
            Labels of all rows, at least two of each class.
        counts : sequence of int, default=None
            Numbers of labels. None uses those of 20, 50, 100, 200, 500 and 1,000 that are valid.
        n_draws : int, default=5
            Number of draws of labelled and test rows.
        test_size : float, default=0.5
            Share of the rows that the accuracy is computed on.
        classifier : classifier, default=None
            Copies of it are fitted. None is logistic regression with C=0.1 on standardised
            features.
        random_state : int or None, default=None
            Seed of the draws.
        ax, **line_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If features and labels do not match, or there are fewer rows than labels wanted.
        """
        import_pyplot(cls.__name__)
        check_positive(n_draws=n_draws)
        labels, arrays = np.asarray(y), {name: np.asarray(x) for name, x in features.items()}
        wrong = [f"{name} {x.shape}" for name, x in arrays.items() if len(x) != len(labels)]
        if wrong or not arrays:
            raise ValueError(
                f"features must have {len(labels)} rows each, as many as y. Got "
                f"{', '.join(wrong) or 'none'}."
            )
        if classifier is None:
            classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        seeds = np.random.SeedSequence(random_state).generate_state(n_draws)
        splits = [split_rows(labels, test_size, int(seed)) for seed in seeds]
        n_rows, n_classes = len(splits[0][0]), len(np.unique(labels))
        if counts is None:
            counts = [count for count in COUNTS if n_classes <= count <= n_rows] or [n_rows]
        if not are_integers(np.asarray(counts), n_classes, n_rows):
            raise ValueError(
                f"counts={counts!r} must be integers from {n_classes}, one label of each class, to "
                f"{n_rows}, the number of rows to train on."
            )
        accuracies = {name: np.empty((n_draws, len(counts))) for name in arrays}
        for name, x in arrays.items():
            for draw, (train, test) in enumerate(splits):
                for column, count in enumerate(counts):
                    rows = train[:count]
                    fitted = clone(classifier).fit(x[rows], labels[rows])
                    accuracies[name][draw, column] = fitted.score(x[test], labels[test])
        return cls(np.array(counts, dtype=np.intp), accuracies).plot(ax=ax, **line_kwargs)

    def plot(self, *, ax: "Axes | None" = None, **line_kwargs: Any) -> Self:
        """Draw the curves, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        **line_kwargs
            Of :meth:`matplotlib.axes.Axes.errorbar`, such as ``marker``.
        """
        ax = self.set_axes(ax, (5.6, 3.8))
        style: dict[str, Any] = {"marker": "o", "capsize": 3} | line_kwargs
        self.bars_ = {}
        for name, values in self.accuracies.items():
            n_draws = len(values)
            error = values.std(axis=0, ddof=1) / np.sqrt(n_draws) if n_draws > 1 else None
            self.bars_[name] = ax.errorbar(
                self.counts, values.mean(axis=0), error, label=name, **style
            )
        ax.set(xlabel="labels", ylabel="accuracy", xscale="log")
        ax.set_xticks(self.counts, [f"{count:,}" for count in self.counts])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
        ax.legend()
        return self


def split_rows(
    labels: NDArray[Any], test_size: float, seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return training rows, which begin with one row of each class, and test rows."""
    train, test = train_test_split(
        np.arange(len(labels)), test_size=test_size, stratify=labels, random_state=seed
    )
    _, first = np.unique(labels[train], return_index=True)
    return np.concatenate([train[first], np.delete(train, first)]), test
