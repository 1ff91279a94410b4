"""Samples beside their nearest and farthest neighbours in code space."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import pairwise_distances
from torch import Tensor

from skdim.displays.canvas import (
    AbstractDisplay,
    Axes,
    as_labels,
    as_transformer,
    check_rows,
    import_pyplot,
    open_encoder,
    read_samples,
)
from skdim.inputs import find_layout

METRICS = ("cosine", "euclidean")
N_QUERIES = 5
TEXT_HEIGHT = 0.26


@dataclass(eq=False, repr=False)
class NeighborsDisplay(AbstractDisplay):
    """Images, signals or rows beside their nearest and farthest neighbours in code space.

    A row is a sample, its nearest neighbours and its farthest ones, in order of distance, which is
    written below each. Signals are drawn as curves, one per channel, rows of a table as bars, one
    per column; each channel or column is scaled from its minimum to its maximum over all that are
    shown.

    Parameters
    ----------
    images : ndarray of shape (n_queries, 1 + 2 * n_neighbors, C, H, W), or C, L for signals, \
            or d for rows of a table
        In each row, the query, the nearest and the farthest samples. Images are bytes, floats from
        0 to 1, or other values, which are scaled together.
    indices : ndarray of shape (n_queries, 1 + 2 * n_neighbors)
        Row of X of each image.
    distances : ndarray of shape (n_queries, 1 + 2 * n_neighbors)
        Distance of its code from that of the query.
    labels : ndarray of shape (n_queries, 1 + 2 * n_neighbors), default=None
        Written below the images.
    metric : str, default="cosine"
        Name of the distance.

    Attributes
    ----------
    images_ : ndarray of matplotlib AxesImage, of shape (n_queries, 1 + 2 * n_neighbors)
        In the order of ``indices``; for signals, lists of Line2D, one per channel; for rows of a
        table, BarContainers.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.displays import NeighborsDisplay
    >>> images = np.zeros((4, 8, 8), np.uint8)
    >>> codes = [[0.0], [0.1], [0.5], [2.0]]
    >>> display = NeighborsDisplay.from_codes(
    ...     codes, images, queries=[0], n_neighbors=1, metric="euclidean"
    ... )
    >>> display.indices.tolist()
    [[0, 1, 3]]
    """

    images: NDArray[Any]
    indices: NDArray[np.intp]
    distances: NDArray[np.float64]
    _: KW_ONLY
    labels: NDArray[Any] | None = None
    metric: str = "cosine"

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        queries: ArrayLike | None = None,
        n_neighbors: int = 5,
        metric: str = "cosine",
        ax: "Axes | None" = None,
        **image_kwargs: Any,
    ) -> Self:
        """Encode samples, find their neighbours, and draw.

        Parameters
        ----------
        transformer : transformer, DeepInfoMaxClassifier or Pipeline
            Fitted; a classifier or a pipeline with one has a transformer of skdim. Distances are
            between the codes that ``transform`` returns.
        X : array-like, Dataset or Stream
            Samples in any layout that the transformer takes.
        y : array-like of shape (n,), default=None
            Labels to write below the images.
        queries, n_neighbors, metric, ax, **image_kwargs
            As in :meth:`from_codes` and :meth:`plot`.

        Raises
        ------
        ValueError
            If there is no transformer of skdim, or a parameter is not valid.
        """
        encoder, samples = open_encoder(transformer, X, cls)
        codes = np.asarray(as_transformer(transformer, cls).transform(X))
        rows, distances = find_neighbors(codes, queries, n_neighbors, metric)
        images = read_samples(encoder, samples, rows.ravel(), cls)
        images = images.reshape(*rows.shape, *images.shape[1:])
        labels = None if y is None else as_labels(y, len(codes))[rows]
        return cls(images, rows, distances, labels=labels, metric=metric).plot(
            ax=ax, **image_kwargs
        )

    @classmethod
    def from_codes(
        cls,
        codes: ArrayLike,
        images: ArrayLike,
        y: ArrayLike | None = None,
        *,
        queries: ArrayLike | None = None,
        n_neighbors: int = 5,
        metric: str = "cosine",
        channel_axis: int | None = None,
        signals: bool = False,
        ax: "Axes | None" = None,
        **image_kwargs: Any,
    ) -> Self:
        """Find the neighbours of codes, and draw their images, signals or rows.

        Parameters
        ----------
        codes : array-like of shape (n, d)
        images : array-like of shape (n, H, W), (n, C, H, W) or (n, H, W, C), or of signals, or \
                (n, d)
        y : array-like of shape (n,), default=None
            Labels to write below the images.
        queries : array-like of int, default=None
            Row numbers of the query images; None is the first five.
        n_neighbors : int, default=5
            Number of nearest, and of farthest images.
        metric : {"cosine", "euclidean"}, default="cosine"
            Distance between codes.
        channel_axis : {None, 1, -1}, default=None
            Axis of the channels, if ambiguous.
        signals : bool, default=False
            Whether ``images`` are signals, of shape (n, C, L), (n, L, C) or (n, L).
        ax, **image_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If codes and images do not match, or a parameter is not valid.
        """
        import_pyplot(cls.__name__)
        codes, pictures = (
            array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
            for array in (codes, images)
        )
        layout = find_layout(pictures.shape, channel_axis=channel_axis, signals=signals)
        if len(codes) != len(pictures):
            raise ValueError(
                f"images have shape {pictures.shape} and codes {codes.shape}. One image is needed "
                "for each code: (n, H, W), (n, C, H, W) or (n, H, W, C); or a row: (n, d); or "
                "signals=True."
            )
        rows, distances = find_neighbors(codes, queries, n_neighbors, metric)
        taken = pictures[rows.ravel()].reshape(-1, *layout.given_shape)
        taken = np.moveaxis(taken, -1, 1) if layout.channels_last else taken
        taken = taken.reshape(*rows.shape, *layout.shape)
        labels = None if y is None else as_labels(y, len(codes))[rows]
        return cls(taken, rows, distances, labels=labels, metric=metric).plot(ax=ax, **image_kwargs)

    def plot(self, *, ax: "Axes | None" = None, **image_kwargs: Any) -> Self:
        """Draw the images, signals or rows, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        **image_kwargs
            Of :meth:`matplotlib.axes.Axes.imshow`, such as ``cmap`` for grey images; for signals,
            of :meth:`matplotlib.axes.Axes.plot`; for rows, of :meth:`matplotlib.axes.Axes.bar`.
        """
        n_rows, n_columns = self.indices.shape
        k = n_columns // 2
        samples = self.images.reshape(-1, *self.images.shape[2:])
        spaces: dict[str, Any] = {"below": TEXT_HEIGHT, "above": 0.35, "gaps": (1, 1 + k)}
        tiles = self.set_tiles(ax, samples, n_rows, n_columns, 0.8, **spaces)
        self.images_ = np.empty(self.indices.shape, dtype=object)
        drawn = tiles.draw(samples, **image_kwargs)
        for place, artist in zip(np.ndindex(self.indices.shape), drawn, strict=True):
            self.images_[place] = artist
            texts = [] if self.labels is None else [str(self.labels[place])]
            if place[1] > 0:
                texts.append(f"{self.distances[place]:.2g}")
            tiles.write_below(place, " at ".join(texts))
        kind = {4: "image", 3: "signal", 2: "row"}[samples.ndim]
        tiles.write_above({0: kind, 1: f"nearest ({self.metric})", 1 + k: "farthest"})
        return self


def find_neighbors(
    codes: NDArray[Any], queries: ArrayLike | None, n_neighbors: int, metric: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return rows and distances, (n_queries, 1 + 2 * n_neighbors), of some codes' neighbours.

    In each row are the query, the nearest and the farthest, by increasing distance.
    """
    n = len(codes)
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r} is not valid. Allowed are {' and '.join(METRICS)}.")
    if not 1 <= n_neighbors <= (n - 1) // 2:
        raise ValueError(
            f"n_neighbors={n_neighbors} of {n} samples: it must be at least 1, and at most "
            f"{(n - 1) // 2}, so that no sample is both near and far."
        )
    query_rows = check_rows(queries, n, N_QUERIES)
    distances = pairwise_distances(codes[query_rows], codes, metric=metric)
    # The query comes first, even if its distance from itself is rounded to more than 0.
    distances[np.arange(len(query_rows)), query_rows] = -1
    order = np.argsort(distances, axis=1, kind="stable")
    rows = np.concatenate([order[:, : 1 + n_neighbors], order[:, -n_neighbors:]], axis=1)
    return rows, np.take_along_axis(distances, rows, axis=1).clip(min=0)
