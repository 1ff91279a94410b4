"""Estimates of information with their intervals: against rows or epochs, and in the plane."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skdim.displays.canvas import AbstractDisplay, Axes, import_pyplot
from skdim.information import InformationEstimate, mutual_information

N_SIZES, FEWEST_ROWS = 4, 100


class InformationCurveDisplay(AbstractDisplay):
    """Estimates of information with their intervals, against the number of rows or epochs.

    An estimate is trusted only where the curve has levelled off.

    Parameters
    ----------
    steps : array-like of shape (n_estimates,)
        Number of rows or epochs of each estimate.
    estimates : sequence of InformationEstimate
    xlabel : str, default="rows"
        "rows" has a logarithmic axis.

    Attributes
    ----------
    bars_ : matplotlib ErrorbarContainer
        The intervals; one without an upper end is drawn as an arrow.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is not one step per estimate.

    Examples
    --------
    >>> from skdim.displays import InformationCurveDisplay
    >>> from skdim.information import TASKS
    >>> x, z = TASKS["1v1-normal-0.75"].draw(400, random_state=0)
    >>> display = InformationCurveDisplay.from_samples(x, z, critic=None, random_state=0)
    >>> display.steps.tolist()
    [100, 159, 252, 400]
    """

    def __init__(
        self, steps: ArrayLike, estimates: Sequence[InformationEstimate], *, xlabel: str = "rows"
    ) -> None:
        self.steps: NDArray[Any] = np.asarray(steps)
        self.estimates = list(estimates)
        self.xlabel = xlabel
        if self.steps.shape != (len(self.estimates),) or not self.estimates:
            raise ValueError(
                f"steps has shape {self.steps.shape}, but there are {len(self.estimates)} "
                "estimates. One number for each is needed, and at least one estimate."
            )

    @classmethod
    def from_samples(
        cls,
        x: Any,
        z: Any,
        *,
        sizes: Sequence[int] | None = None,
        ax: "Axes | None" = None,
        level: float = 0.9,
        **settings: Any,
    ) -> Self:
        """Estimate the information of the first rows, for several numbers of rows, and draw.

        Parameters
        ----------
        x, z : array-like of shape (n,) or (n, *axes)
            Samples, in random order.
        sizes : sequence of int, default=None
            Numbers of rows. None: four from 100 to n.
        ax, level
            As in :meth:`plot`.
        **settings
            Of :func:`skdim.information.mutual_information`.
        """
        import_pyplot(cls.__name__)
        if sizes is None:
            spaced = np.geomspace(min(FEWEST_ROWS, len(x)), len(x), N_SIZES)
            sizes = spaced.round().astype(int).tolist()
        estimates = [mutual_information(x[:n], z[:n], **settings) for n in sizes]
        return cls(sizes, estimates).plot(ax=ax, level=level)

    @classmethod
    def from_codes(
        cls,
        codes: Mapping[int, Any],
        z: Any,
        *,
        ax: "Axes | None" = None,
        level: float = 0.9,
        **settings: Any,
    ) -> Self:
        """Estimate the information of codes of several epochs about one variable, and draw.

        Parameters
        ----------
        codes : mapping of int to array-like of shape (n, d)
            Codes of the same samples, by epoch.
        z : array-like of shape (n,) or (n, *axes)
            Labels or other values of the samples.
        ax, level, **settings
            As in :meth:`from_samples`.
        """
        import_pyplot(cls.__name__)
        estimates = [mutual_information(code, z, **settings) for code in codes.values()]
        return cls(list(codes), estimates, xlabel="epochs").plot(ax=ax, level=level)

    def plot(self, *, ax: "Axes | None" = None, level: float = 0.9, **kwargs: Any) -> Self:
        """Draw the estimates with their intervals, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        level : float, default=0.9
            Nominal coverage of the intervals.
        **kwargs
            Of :meth:`matplotlib.axes.Axes.errorbar`, such as ``color`` and ``label``.
        """
        ax = self.set_axes(ax)
        values = np.array(self.estimates, dtype=float)
        ends = np.array([estimate.interval(level) for estimate in self.estimates])
        is_open = np.isinf(ends[:, 1])
        # An arrow has the length of the lower half.
        above = np.where(is_open, values - ends[:, 0], ends[:, 1] - values)
        # As lists: of one point, matplotlib 3.9 and 3.10 would convert arrays to numbers.
        lengths = [side.clip(min=0).tolist() for side in (values - ends[:, 0], above)]
        style: dict[str, Any] = {"marker": "o", "capsize": 3} | kwargs
        self.bars_ = ax.errorbar(self.steps, values, lengths, lolims=is_open, **style)
        ax.set(xlabel=self.xlabel, ylabel="information (nats)")
        ax.set_ylim(bottom=0)
        if self.xlabel == "rows":
            ax.set_xscale("log")
        ax.grid(alpha=0.3)
        return self


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

    def __init__(
        self, estimates: Mapping[str, tuple[InformationEstimate, InformationEstimate]]
    ) -> None:
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
        import_pyplot(cls.__name__)
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
        ax = self.set_axes(ax)
        places = np.array(list(self.estimates.values()), dtype=float)
        ax.plot(*places.T, color="0.7", zorder=1)
        for x, y in self.estimates.values():
            for estimate, draw, other in ((x, ax.hlines, y), (y, ax.vlines, x)):
                low, high = estimate.interval(level)
                # An open interval ends at the estimate.
                end = high if np.isfinite(high) else float(estimate)
                draw(float(other), low, end, color="0.5", zorder=1)
        style: dict[str, Any] = {"c": np.arange(len(places)), "zorder": 2} | kwargs
        self.points_ = ax.scatter(*places.T, **style)
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
