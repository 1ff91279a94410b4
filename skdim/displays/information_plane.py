"""The information plane: information of codes about inputs and about labels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skdim.displays.canvas import AbstractDisplay, find_pyplot, take_axes
from skdim.information import InformationEstimate, mutual_information

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

__all__ = ["InformationPlaneDisplay"]

# Pairs of estimates: about the input, about the label.
Pairs = Mapping[str, tuple[InformationEstimate, InformationEstimate]]


class InformationPlaneDisplay(AbstractDisplay):
    """Information of codes about inputs, horizontally, and about labels, vertically.

    Each code is a point with its intervals: the layers of a network, or the epochs of a training.
    A line connects them in their order. Codes without noise have infinite information about a
    continuous input; estimates then reach their ceiling, which is drawn as an open interval.

    Parameters
    ----------
    estimates : mapping of str to (InformationEstimate, InformationEstimate)
        Information of each code about the input and about the label, by name.

    Attributes
    ----------
    points_ : matplotlib PathCollection
    texts_ : list of matplotlib Annotation
        Names of the codes.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is no code.

    References
    ----------
    Shwartz-Ziv and Tishby (2017), Opening the black box of deep neural networks via information,
    arXiv:1703.00810.

    Examples
    --------
    >>> from skdim.displays import InformationPlaneDisplay
    >>> from skdim.information import InformationEstimate as E
    >>> display = InformationPlaneDisplay({"first": (E(2.0), E(0.5)), "second": (E(1.0), E(0.4))})
    >>> display.plot().points_.get_offsets().tolist()
    [[2.0, 0.5], [1.0, 0.4]]
    """

    def __init__(self, estimates: Pairs) -> None:
        self.estimates = dict(estimates)
        if not self.estimates:
            raise ValueError("estimates is empty; at least one code is needed.")

    @classmethod
    def from_codes(
        cls,
        codes: Mapping[Any, Any],
        X: ArrayLike,
        y: ArrayLike,
        *,
        ax: "Axes | None" = None,
        level: float = 0.9,
        **settings: Any,
    ) -> Self:
        """Estimate the information of codes about inputs and labels, and draw.

        Parameters
        ----------
        codes : mapping of str or int to array-like of shape (n, *axes)
            Codes of the rows of X, by the name of their layer or by epoch.
        X : array-like of shape (n, *axes)
        y : array-like of shape (n,)
            Labels, or other values of interest.
        ax, level
            As in :meth:`plot`.
        **settings
            Of :func:`skdim.information.mutual_information`.
        """
        find_pyplot(cls.__name__)
        estimates = {
            str(name): (
                mutual_information(X, code, **settings),
                mutual_information(code, y, **settings),
            )
            for name, code in codes.items()
        }
        return cls(estimates).plot(ax=ax, level=level)

    def plot(self, *, ax: "Axes | None" = None, level: float = 0.9, **kwargs: Any) -> Self:
        """Draw the points with their intervals, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        level : float, default=0.9
            Nominal coverage of the intervals.
        **kwargs
            Of :meth:`matplotlib.axes.Axes.scatter`, such as ``cmap``.
        """
        ax = take_axes(type(self).__name__, ax)
        self.ax_, self.figure_ = ax, ax.figure
        places = np.array([[float(each) for each in pair] for pair in self.estimates.values()])
        ax.plot(*places.T, color="0.7", zorder=1)
        for (about_input, about_label), (x, y) in zip(self.estimates.values(), places, strict=True):
            for each, draw in ((about_input, ax.hlines), (about_label, ax.vlines)):
                low, high = each.interval(level)
                # An open interval ends at the estimate.
                end = high if np.isfinite(high) else float(each)
                draw(y if draw == ax.hlines else x, low, end, color="0.5", zorder=1)
        style: dict[str, Any] = {"c": np.arange(len(places)), "zorder": 2} | kwargs
        self.points_: PathCollection = ax.scatter(*places.T, **style)
        self.texts_ = [
            ax.annotate(name, place, xytext=(4, 4), textcoords="offset points", fontsize="small")
            for name, place in zip(self.estimates, places, strict=True)
        ]
        ax.set(
            xlabel="information about the input (nats)",
            ylabel="information about the label (nats)",
        )
        ax.grid(alpha=0.3)
        return self
