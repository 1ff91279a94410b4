"""Maps of the information of codes about the locations of their images or signals."""

from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from skdim.displays.canvas import (
    AbstractDisplay,
    Axes,
    as_pictures,
    check_rows,
    count_samples,
    open_encoder,
    read_samples,
)
from skdim.objectives import find_local_term, pointwise_information

N_QUERIES = 6
CHUNK = 64


class InformationMapDisplay(AbstractDisplay):
    """Maps of the information of codes about the locations of their images or signals.

    The upper row shows samples, the lower row the map over each image, or below each signal: the
    pointwise information, in nats, of the code about each location, or each part of the time. It is
    computed from the critic of the local term, for any bound; see
    :func:`~skdim.objectives.pointwise_information`. A cell covers its share of the sample; the
    receptive field of a local feature is larger.

    Parameters
    ----------
    images : ndarray of shape (n, C, H, W), or (n, C, L) for signals
        Bytes, floats from 0 to 1, or other values, which are scaled together.
    maps : ndarray of shape (n, h, w), or (n, l) for signals
        Pointwise information in nats, one value per location.
    indices : ndarray of shape (n,), default=None
        Row of X of each image.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The images in the upper row; for signals, lists of Line2D, one per channel.
    maps_ : list of matplotlib AxesImage
        The maps in the lower row.
    colorbar_ : matplotlib Colorbar or None
        The common scale of the maps.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is not one map per image.
    """

    def __init__(
        self, images: NDArray[Any], maps: NDArray[Any], *, indices: NDArray[np.intp] | None = None
    ) -> None:
        self.images = np.asarray(images)
        self.maps = np.asarray(maps)
        self.indices = indices
        dimensions = (self.images.ndim, self.maps.ndim)
        if dimensions not in ((4, 3), (3, 2)) or len(images) != len(maps):
            raise ValueError(
                f"images have shape {self.images.shape} and maps {self.maps.shape}; (n, C, H, W) "
                "and (n, h, w) are needed, or for signals (n, C, L) and (n, l)."
            )

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        X: Any,
        *,
        queries: ArrayLike | None = None,
        n_others: int = 500,
        ax: "Axes | None" = None,
        **map_kwargs: Any,
    ) -> Self:
        """Evaluate the critic of the local term on images or signals, and draw.

        Parameters
        ----------
        transformer : transformer, DeepInfoMaxClassifier or Pipeline
            Fitted on images or signals with the local term; or a classifier or a pipeline with it.
        X : array-like, Dataset or Stream
            At least two samples, in any layout that the transformer takes.
        queries : array-like of int, default=None
            Row numbers of the samples to show; None is the first six.
        n_others : int, default=500
            Number of other samples to compare with, the first of X.
        ax, **map_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If the samples are vectors, there is only one, or the local term was not trained.
        """
        transformer, X = open_encoder(transformer, X, cls)
        n = count_samples(X)
        if n < 2 or n_others < 1:
            raise ValueError(
                f"{cls.__name__} got {n} sample(s) and n_others={n_others}. The information about "
                "a sample is relative to others: at least one more is needed."
            )
        read_samples(transformer, X, np.arange(1), cls, kinds=[4, 3])
        term = find_local_term(transformer.net_.criterion_)
        rows = check_rows(queries, n, N_QUERIES)
        shown = list(dict.fromkeys(rows.tolist()))
        others = np.setdiff1d(np.arange(min(n, n_others + len(shown))), shown)[:n_others]
        samples = transformer.read_samples(X, np.concatenate([shown, others]).astype(np.intp))
        code, local = encode_both(transformer.encoder_, samples)
        places = [shown.index(row) for row in rows.tolist()]
        maps = pointwise_information(term, code, local, places).cpu().numpy()
        images = samples[torch.as_tensor(places, device=samples.device)].cpu().numpy()
        return cls(images, maps, indices=rows).plot(ax=ax, **map_kwargs)

    def plot(self, *, ax: "Axes | None" = None, colorbar: bool = True, **map_kwargs: Any) -> Self:
        """Draw samples and maps, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        colorbar : bool, default=True
            Whether to draw the scale.
        **map_kwargs
            Of :meth:`matplotlib.axes.Axes.imshow`, for the maps, such as ``cmap`` and ``vmax``.
        """
        n = len(self.images)
        tiles = self.set_tiles(ax, self.images, 2, n, 1.1)
        # 0 is on the scale, and marked.
        limits = {"vmin": min(self.maps.min(), 0), "vmax": max(self.maps.max(), 0)}
        style = {"cmap": "viridis", "alpha": 0.6} | limits | map_kwargs
        self.images_ = tiles.draw(self.images)
        if self.images.ndim == 4:
            tiles.draw(background_of(self.images), first_row=1)
        maps = self.maps if self.maps.ndim == 3 else self.maps[:, None]
        self.maps_ = [tiles.show(maps[i], 1, i, **style) for i in range(n)]
        self.colorbar_ = None
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(
                self.maps_[0], ax=self.ax_, label="information (nats)", fraction=0.05, pad=0.02
            )
            self.colorbar_.ax.axhline(0, color="white", linewidth=1.5)
            if self.images.ndim == 4:
                # The colours of the maps lie over grey, too.
                self.colorbar_.ax.set_facecolor("0.5")
        return self


def background_of(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return the background of maps, (n, 1, H, W): grey images at half the contrast."""
    pictures = as_pictures(images)
    grey = pictures if pictures.ndim == 3 else pictures[..., :3].mean(axis=-1)
    return (0.25 + 0.5 * grey)[:, None]


@torch.no_grad()
def encode_both(encoder: nn.Module, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes and local maps, computed in chunks."""
    parts = [encoder(chunk) for chunk in torch.split(samples, CHUNK)]
    return torch.cat([part.code for part in parts]), torch.cat([part.local for part in parts])
