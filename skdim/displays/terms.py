"""The terms of a training by epoch."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdim.displays.canvas import AbstractDisplay, import_pyplot, open_encoder

# Entries of the history that are not drawn by default.
LEFT_OUT = ("learning_rate", "seconds")

# After the terms and metrics of the objective.
LAST = ("loss", "validation_score", "spread")

MEANINGS = {
    "loss": "sum of the terms",
    "validation_score": "held out, to grow",
    "spread": "std of the codes",
}

MAX_COLUMNS = 4
MAX_MARKED_EPOCHS = 30

# Factor that a positive curve must span to be drawn on a logarithmic axis.
WIDE_RANGE = 100


class TermsDisplay(AbstractDisplay):
    """The terms of a training by epoch, each on its own axes.

    A positive curve that spans more than a factor of 100 has a logarithmic axis; that of the spread
    otherwise starts at 0.

    Parameters
    ----------
    curves : mapping of str to array-like of shape (n_epochs,)
        One value per epoch, by name.
    best_epoch : int, default=None
        Epoch, counted from 1, whose weights early stopping has restored, marked by a dotted line;
        None if it is the last one.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        One per curve.
    axes_ : ndarray of matplotlib Axes, of shape (n_curves,)
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is no curve, or their lengths differ.

    Examples
    --------
    >>> from skdim.displays import TermsDisplay
    >>> display = TermsDisplay({"local": [-0.2, -0.5], "spread": [0.9, 0.8]}).plot()
    >>> [ax.get_title() for ax in display.axes_]
    ['local', 'spread']
    """

    def __init__(self, curves: Mapping[str, ArrayLike], *, best_epoch: int | None = None) -> None:
        self.curves = {name: np.asarray(curve, np.float64) for name, curve in curves.items()}
        self.best_epoch = best_epoch
        shapes = {curve.shape for curve in self.curves.values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(
                f"curves have the shapes {sorted(shapes)}. At least one is needed, and all must "
                "have one number for each of the same epochs."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        names: Sequence[str] | None = None,
        ax: Any = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw the history of a fitted transformer.

        Parameters
        ----------
        estimator : transformer, DeepInfoMaxClassifier or Pipeline
            Fitted; the history is that of the transformer.
        names : sequence of str, default=None
            Keys of ``history_``, drawn as they are. None is all terms and metrics of the objective,
            the loss if there are several terms, the validation score and the spread of the codes;
            terms that are minus a weighted bound are drawn as the bound.
        ax, **line_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If the history lacks a name.
        """
        estimator, _ = open_encoder(estimator, None, cls)
        history = estimator.history_
        bounds: Mapping[str, float] = {}
        if names is None:
            bounds = estimator.net_.criterion_.weights_of_bounds
            first = [name for name in history if name not in (*LEFT_OUT, *LAST)]
            last = [name for name in LAST if name in history]
            # The loss is left out if it equals the only term.
            single = any(history[name] == history["loss"] for name in first)
            names = [*first, *(name for name in last if name != "loss" or not single)]
        if missing := [name for name in names if name not in history]:
            raise ValueError(
                f"names={list(names)!r}: the history has no {', '.join(map(repr, missing))}. "
                f"It has {', '.join(map(repr, history))}."
            )
        n_epochs = len(next(iter(history.values())))
        best = estimator.n_iter_ if estimator.n_iter_ < n_epochs else None
        curves: dict[str, ArrayLike] = {}
        for name in names:
            if name in bounds:
                curves[f"{name} bound"] = -np.array(history[name]) / bounds[name]
            else:
                curves[name] = history[name]
        return cls(curves, best_epoch=best).plot(ax=ax, **line_kwargs)

    def plot(self, *, ax: Any = None, **line_kwargs: Any) -> Self:
        """Draw the curves, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One axes per curve, such as the ``axes_`` of another display, or a single one to be
            divided. None makes a figure.
        **line_kwargs
            Of :meth:`matplotlib.axes.Axes.plot`, such as ``linestyle`` and ``label``.

        Raises
        ------
        ValueError
            If the number of axes is not that of the curves.
        """
        plt = import_pyplot(type(self).__name__)
        self.axes_ = find_axes(plt, ax, len(self.curves))
        self.figure_ = self.axes_[0].figure
        self.lines_ = {}
        for panel, (name, curve) in zip(self.axes_, self.curves.items(), strict=True):
            style = {"marker": "o" if len(curve) <= MAX_MARKED_EPOCHS else "", "markersize": 3.5}
            epochs = np.arange(1, len(curve) + 1)
            (self.lines_[name],) = panel.plot(epochs, curve, **(style | line_kwargs))
            panel.set_title(name, fontsize="medium")
            meaning = "to grow" if name.endswith(" bound") else MEANINGS.get(name, "")
            panel.set_ylabel(meaning, fontsize="small")
            panel.set_xlabel("epoch", fontsize="small")
            panel.tick_params(labelsize="small")
            panel.xaxis.set_major_locator(plt.MaxNLocator(5, integer=True, min_n_ticks=1))
            panel.grid(alpha=0.3)
            if self.best_epoch is not None:
                panel.axvline(self.best_epoch, color="0.3", linestyle=":", zorder=0)
            finite = curve[np.isfinite(curve)]
            if finite.size and finite.min() > 0 and finite.max() > WIDE_RANGE * finite.min():
                panel.set_yscale("log")
            elif name == "spread":
                panel.set_ylim(bottom=0)
        return self


def find_axes(plt: ModuleType, ax: Any, n_panels: int) -> NDArray[Any]:
    """Return one axes per panel: those of the user, parts of a single one, or of a new figure."""
    n_rows = -(-n_panels // MAX_COLUMNS)
    n_columns = -(-n_panels // n_rows)
    if ax is None:
        figure = plt.figure(figsize=(2.6 * n_columns, 2.1 * n_rows), layout="constrained")
        grid = figure.add_gridspec(n_rows, n_columns)
    elif isinstance(ax, np.ndarray | list | tuple):
        given = np.asarray(ax, dtype=object).ravel()
        if len(given) != n_panels:
            raise ValueError(
                f"ax holds {len(given)} axes, but there are {n_panels} curves. Give one axes for "
                "each, or a single one, which is divided, or None."
            )
        return given
    elif n_panels == 1:
        return np.array([ax], dtype=object)
    else:
        figure = ax.figure
        ax.set_axis_off()
        grid = ax.get_subplotspec().subgridspec(n_rows, n_columns)
    return np.array([figure.add_subplot(grid[i]) for i in range(n_panels)], dtype=object)
