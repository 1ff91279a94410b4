"""Codes in the plane, coloured by label."""

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skdim.displays.canvas import (
    AbstractDisplay,
    Axes,
    as_labels,
    as_pictures,
    as_transformer,
    import_pyplot,
    open_encoder,
    read_samples,
)
from skdim.estimators.labels import is_missing
from skdim.parameters import is_integer, shown

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.image import AxesImage

MARKERS = "os^vD*PX<>phd8H"
MAX_CLASSES = 30
# Side of a thumbnail, as a share of the range of the points.
THUMBNAIL = 0.07
NAME_BOX = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
NAME_STYLE: dict[str, Any] = {"ha": "center", "va": "center", "weight": "bold", "zorder": 3}


@dataclass(eq=False, repr=False)
class EmbeddingDisplay(AbstractDisplay):
    """Codes as points in the plane, coloured by label.

    Each class has a colour, a marker, and its name at its median. Rows of label -1 are light grey,
    behind the others. Floats of more than 30 different values are numbers, with a colour bar.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
    labels : array-like of shape (n,), default=None
        Class of each sample, at most 30 classes; or a number, NaN where it is unknown.
    axis_names : (str, str), default=("", "")
        Names of both axes.

    Attributes
    ----------
    points_ : list of matplotlib PathCollection
        The points of each class, in sorted order of classes. Rows without a label come first, if
        there are any.
    texts_ : list of matplotlib Text
        The names of the classes.
    legend_ : matplotlib Legend or None
        None without classes.
    colorbar_ : matplotlib Colorbar or None
        None without numbers.
    thumbnails_ : list of matplotlib AxesImage
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If the points are not in the plane, there are too many classes, or labels do not match.

    Examples
    --------
    >>> from skdim.displays import EmbeddingDisplay
    >>> codes = [[0.0, 0.0], [1.0, 0.0], [5.0, 1.0]]
    >>> display = EmbeddingDisplay.from_codes(codes, ["cat", "cat", "dog"])
    >>> [text.get_text() for text in display.texts_]
    ['cat', 'dog']
    """

    points: NDArray[np.float64]
    labels: NDArray[Any] | None = None
    _: KW_ONLY
    axis_names: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        """Convert and check points and labels."""
        self.points = np.asarray(self.points)
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise ValueError(f"points have shape {self.points.shape}; (n, 2) is needed.")
        if self.labels is not None:
            self.labels = read_classes(self.labels, len(self.points))

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        reducer: Any = None,
        n_thumbnails: int = 0,
        ax: "Axes | None" = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Encode samples, project their codes to the plane, and draw.

        Parameters
        ----------
        transformer : transformer, DeepInfoMaxClassifier or Pipeline
            Fitted. A DeepInfoMaxClassifier is replaced by its transformer; another classifier at
            the end of a pipeline is left out.
        X : array-like, Dataset or Stream
            Samples for its ``transform``.
        y : array-like of shape (n,), default=None
            Label of each sample.
        n_thumbnails : int, default=0
            Maximal number of images to draw at their points, where they do not overlap. The
            transformer must be fitted on images.
        reducer, ax, **scatter_kwargs
            As in :meth:`from_codes` and :meth:`plot`.
        """
        transformer = as_transformer(transformer, cls)
        codes = np.asarray(transformer.transform(X))
        display = cls.from_codes(codes, y, reducer=reducer, ax=ax, **scatter_kwargs)
        if n_thumbnails:
            rows = choose_thumbnails(display.points, n_thumbnails)
            images = read_samples(*open_encoder(transformer, X, cls), rows, cls, kinds=[4])
            display.draw_thumbnails(as_pictures(images), rows)
        return display

    @classmethod
    def from_codes(
        cls,
        codes: ArrayLike,
        y: ArrayLike | None = None,
        *,
        reducer: Any = None,
        ax: "Axes | None" = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Project codes to the plane, and draw.

        Parameters
        ----------
        codes : array-like of shape (n, d)
        y : array-like of shape (n,), default=None
            Label of each code.
        reducer : {"pca", "tsne", "umap"}, (int, int) or object with ``fit_transform``, default=None
            A method with its defaults and a fixed seed ("umap" needs the package umap-learn), two
            components, or a transformer to two components such as ``TSNE(2)``, of which a copy is
            fitted. None is "pca", or the codes themselves if they have two components.
        ax, **scatter_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If the reducer is not valid, or does not return two components for each code.
        """
        import_pyplot(cls.__name__)
        codes = np.asarray(codes)
        labels = None if y is None else read_classes(y, len(codes))
        points, axis_names = project_codes(codes, reducer)
        return cls(points, labels, axis_names=axis_names).plot(ax=ax, **scatter_kwargs)

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        cmap: "str | Colormap" = "tab10",
        legend: bool = True,
        names: bool = True,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw the points, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        cmap : str or matplotlib Colormap, default="tab10"
            Colours of the classes.
        legend : bool, default=True
            Whether to draw a legend beside the axes.
        names : bool, default=True
            Whether to draw the name of each class at its median.
        **scatter_kwargs
            Of :meth:`matplotlib.axes.Axes.scatter`, such as ``s`` and ``alpha``.
        """
        plt = import_pyplot(type(self).__name__)
        ax = self.set_axes(ax, (6.4, 5.2))
        self.points_ = []
        self.texts_ = []
        self.legend_ = None
        self.colorbar_ = None
        self.thumbnails_: list[AxesImage] = []
        style: dict[str, Any] = {"s": 14, "alpha": 0.75, "linewidths": 0} | scatter_kwargs
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        if self.labels is None:
            self.points_.append(ax.scatter(*self.points.T, **style))
            return self
        known = find_known(self.labels)
        if not known.all():
            grey: dict[str, Any] = {"color": "lightgrey", "zorder": 0, "label": "no label"}
            self.points_.append(ax.scatter(*self.points[~known].T, **(grey | style)))
        if are_numbers(self.labels):
            values: dict[str, Any] = {"c": self.labels[known].astype(float), "cmap": "viridis"}
            self.points_.append(ax.scatter(*self.points[known].T, **(values | style)))
            self.colorbar_ = self.figure_.colorbar(self.points_[-1], ax=ax)
            return self
        classes = np.unique(self.labels[known])
        colours = class_colours(plt.get_cmap(cmap), len(classes))
        for number, label in enumerate(classes):
            points = self.points[known][self.labels[known] == label]
            marker = {"marker": MARKERS[number % len(MARKERS)], "color": [colours[number]]}
            self.points_.append(ax.scatter(*points.T, label=str(label), **(marker | style)))
            if names:
                x, y = np.median(points, axis=0).tolist()
                self.texts_.append(ax.text(x, y, str(label), bbox=NAME_BOX, **NAME_STYLE))
        if legend:
            self.legend_ = ax.legend(
                loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", markerscale=1.4
            )
        return self

    def draw_thumbnails(self, pictures: NDArray[np.float64], rows: NDArray[np.intp]) -> None:
        """Draw pictures (m, H, W[, 3 or 4]) at the points of some rows."""
        limits = self.ax_.get_xlim(), self.ax_.get_ylim()
        spans = np.ptp(self.points, axis=0)
        for picture, (x, y) in zip(pictures, self.points[rows], strict=True):
            half = spans / 2 * THUMBNAIL
            extent = (x - half[0], x + half[0], y - half[1], y + half[1])
            style: dict[str, Any] = {"cmap": "gray", "aspect": "auto", "zorder": 2}
            drawn = self.ax_.imshow(picture, extent=extent, vmin=0, vmax=1, **style)
            self.thumbnails_.append(drawn)
        # imshow changes the limits.
        self.ax_.set(xlim=limits[0], ylim=limits[1])


def find_known(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which labels are neither -1 nor missing; of numbers, which are not NaN."""
    if are_numbers(labels):
        return np.asarray(~np.isnan(labels))
    return np.array([not is_missing(label) and label != -1 for label in labels.tolist()], bool)


def are_numbers(labels: NDArray[Any]) -> bool:
    """Return whether labels are values of a scale, and not classes."""
    return labels.dtype.kind == "f" and len(np.unique(labels)) > MAX_CLASSES


def choose_thumbnails(points: NDArray[np.float64], n_thumbnails: int) -> NDArray[np.intp]:
    """Return rows whose thumbnails do not overlap, in their order, at most ``n_thumbnails``."""
    if not is_integer(n_thumbnails, 1):
        raise ValueError(f"n_thumbnails={shown(n_thumbnails)} must be an integer of at least 0.")
    scaled = points / np.ptp(points, axis=0).clip(min=1e-12)
    chosen: list[int] = []
    for row, point in enumerate(scaled):
        distances = abs(scaled[chosen] - point).max(axis=1, initial=0)
        if len(chosen) < n_thumbnails and np.all(distances > THUMBNAIL):
            chosen.append(row)
    return np.array(chosen, dtype=np.intp)


def project_codes(codes: NDArray[Any], reducer: Any) -> tuple[NDArray[np.float64], tuple[str, str]]:
    """Project codes to the plane; also return the names of the axes."""
    if codes.ndim != 2 or codes.shape[1] < 2:
        raise ValueError(
            f"codes have shape {codes.shape}; (n, d) with at least two components is needed."
        )
    n_components = codes.shape[1]
    if reducer is None:
        reducer = (0, 1) if n_components == 2 else "pca"
    if isinstance(reducer, tuple | list):
        valid = [i for i in reducer if isinstance(i, int | np.integer) and 0 <= i < n_components]
        if len(reducer) != 2 or len(valid) != 2:
            raise ValueError(
                f"reducer={reducer!r} must be two component numbers from 0 to {n_components - 1}."
            )
        return codes[:, np.array(valid)], (f"component {valid[0]}", f"component {valid[1]}")
    if isinstance(reducer, str):
        reducer = named_reducer(reducer)
    if not hasattr(reducer, "fit_transform"):
        raise ValueError(
            f"reducer={reducer!r} must be 'pca', 'tsne', 'umap', two component numbers such as "
            "(0, 1), or have fit_transform, such as sklearn.decomposition.PCA(2)."
        )
    points = np.asarray(clone(reducer, safe=False).fit_transform(codes))
    name = type(reducer).__name__
    if points.shape != (len(codes), 2):
        raise ValueError(
            f"reducer={reducer!r} returned points of shape {points.shape} for {len(codes)} codes. "
            "Two components are needed: n_components=2."
        )
    return points, (f"{name} 1", f"{name} 2")


def named_reducer(name: str) -> Any:
    """Return a transformer to two components by its name."""
    reducers = {"pca": PCA, "tsne": TSNE}
    if name in reducers:
        return reducers[name](2, random_state=0)
    if name != "umap":
        raise ValueError(f"reducer={name!r} is not valid. Allowed names are pca, tsne and umap.")
    try:
        from umap import UMAP  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ImportError(
            "reducer='umap' needs the package umap-learn: pip install umap-learn"
        ) from error
    return UMAP(n_components=2, random_state=0)


def read_classes(y: ArrayLike, n: int) -> NDArray[Any]:
    """Convert labels to an array (n,); raise a ValueError if there are too many classes."""
    labels = as_labels(y, n)
    n_classes = len(np.unique(labels[find_known(labels)]))
    if n_classes > MAX_CLASSES and not are_numbers(labels):
        raise ValueError(
            f"y has {n_classes} different labels, and at most {MAX_CLASSES} are allowed. Group "
            "them, for example by numpy.digitize; or give numbers as floats, for a colour bar."
        )
    return labels


def class_colours(cmap: "Colormap", n: int) -> NDArray[np.float64]:
    """Return one colour per class: listed colours in turn, or evenly spaced ones of a scale."""
    listed = cmap.N <= 20
    return np.asarray(cmap(np.arange(n) % cmap.N if listed else np.linspace(0, 1, n)))
