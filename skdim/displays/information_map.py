"""Where in an image the information of its code sits."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skdim.displays.canvas import Tiles, as_pictures, check_rows, find_pyplot, read_pictures
from skdim.objectives import find_local_term, pointwise_information

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure, SubFigure

__all__ = ["InformationMapDisplay"]

N_QUERIES = 6
CHUNK = 64


class InformationMapDisplay:
    """Where in an image the information of its code sits.

    Above each image, and below it once more, faint, under a map: at each location of the local map,
    how much more likely the code makes what is seen there than it is in any image, in nats. It is
    what the critic of the local term says after training: its score of the code with the location,
    less the logarithm of the mean exponential of its scores of the same code with all locations of
    the other images; see :func:`~skdim.objectives.pointwise_information`. The unit is the same for
    every bound.

    A cell of the map covers its even share of the image. What a local feature has seen is larger
    than that, and reaches into its neighbours' cells.

    Make one with :meth:`from_estimator`; :meth:`plot` draws it again.

    Parameters
    ----------
    images : ndarray of shape (n, C, H, W)
        Bytes, floats from 0 to 1, or any other numbers, which are stretched together.
    maps : ndarray of shape (n, h, w)
        Pointwise information in nats, one number a location.
    indices : ndarray of shape (n,), default=None
        Row of X that each image is.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The images in the upper row.
    maps_ : list of matplotlib AxesImage
        The maps in the lower row.
    colorbar_ : matplotlib Colorbar or None
        The scale of the maps, one for all.
    ax_ : matplotlib Axes
        Axes that hold all images.
    figure_ : matplotlib Figure
        Figure that holds the axes.

    Raises
    ------
    ValueError
        If there is not one map for each image.

    Examples
    --------
    >>> import numpy as np
    >>> from skdim.displays import InformationMapDisplay
    >>> images, maps = np.zeros((2, 1, 8, 8)), np.zeros((2, 4, 4))
    >>> display = InformationMapDisplay(images, maps).plot()
    >>> len(display.maps_)
    2
    """

    images_: list[Any]
    maps_: list[Any]
    colorbar_: "Colorbar | None"
    ax_: "Axes"
    figure_: "Figure | SubFigure"

    def __init__(
        self,
        images: NDArray[Any],
        maps: NDArray[Any],
        *,
        indices: NDArray[np.intp] | None = None,
    ) -> None:
        self.images = np.asarray(images)
        self.maps = np.asarray(maps)
        self.indices = indices
        if self.images.ndim != 4 or self.maps.ndim != 3 or len(images) != len(maps):
            raise ValueError(
                f"images have shape {self.images.shape} and maps {self.maps.shape}; (n, C, H, W) "
                "and (n, h, w) are needed."
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
        """Evaluate the critic of the local term on images, and draw.

        Parameters
        ----------
        transformer : transformer
            Fitted on images with the local term.
        X : array-like, Dataset or Stream
            At least two images, in any layout that the transformer takes.
        queries : array-like of int, default=None
            Row numbers of the images to show; None takes the first six.
        n_others : int, default=500
            How many images beside those shown are compared with: the first of X. Few of them make
            a rough scale.
        ax, **map_kwargs : Any
            As in :meth:`plot`.

        Returns
        -------
        InformationMapDisplay

        Raises
        ------
        ValueError
            If the samples are no images, there is only one, or the local term was not trained.
        """
        find_pyplot(cls.__name__)
        check_is_fitted(transformer)
        n = count(X)
        if n < 2 or n_others < 1:
            raise ValueError(
                f"{cls.__name__} was given {n} image(s) and n_others={n_others}. The information "
                "of an image is what tells it from others: at least one more is needed."
            )
        term = find_local_term(transformer.net_.criterion_)
        rows = check_rows(queries, n, N_QUERIES)
        asked = list(dict.fromkeys(rows.tolist()))
        others = np.setdiff1d(np.arange(min(n, n_others + len(asked))), asked)[:n_others]
        read_pictures(transformer, X, rows[:1], cls.__name__)
        samples = transformer.read_samples(X, np.concatenate([asked, others]).astype(np.intp))
        code, local = encode_both(transformer.encoder_, samples)
        places = [asked.index(row) for row in rows.tolist()]
        maps = pointwise_information(term, code, local, places).cpu().numpy()
        images = samples[torch.as_tensor(places, device=samples.device)].cpu().numpy()
        return cls(images, maps, indices=rows).plot(ax=ax, **map_kwargs)

    def plot(
        self,
        *,
        ax: "Axes | None" = None,
        colorbar: bool = True,
        **map_kwargs: Any,
    ) -> Self:
        """Draw images and maps; nothing is computed.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        colorbar : bool, default=True
            Whether the scale is drawn.
        **map_kwargs : Any
            Of :meth:`matplotlib.axes.Axes.imshow`, for the maps: such as ``cmap``, ``alpha``,
            ``vmin`` and ``vmax``.

        Returns
        -------
        self : InformationMapDisplay
        """
        plt = find_pyplot(type(self).__name__)
        n, aspect = len(self.images), self.images.shape[2] / self.images.shape[3]
        if ax is None:
            _, ax = plt.subplots(figsize=Tiles.size(2, n, aspect, 1.1, 0.0), layout="constrained")
        self.ax_, self.figure_, self.colorbar_ = ax, ax.figure, None
        tiles = Tiles(ax, 2, n, aspect)
        pictures = as_pictures(self.images)
        ground = faint(pictures)
        plain = {"cmap": "gray", "vmin": 0, "vmax": 1}
        style = {
            "cmap": "viridis",
            "alpha": 0.75,
            "vmin": self.maps.min(),
            "vmax": self.maps.max(),
        } | map_kwargs
        self.images_ = [tiles.show(pictures[i], 0, i, **plain) for i in range(n)]
        for i in range(n):
            tiles.show(ground[i], 1, i, **plain)
        self.maps_ = [tiles.show(self.maps[i], 1, i, **style) for i in range(n)]
        if colorbar:
            self.colorbar_ = self.figure_.colorbar(
                self.maps_[0], ax=ax, label="information (nats)", fraction=0.05, pad=0.02
            )
            # Colours lie over a middle grey there, too.
            self.colorbar_.ax.set_facecolor("0.5")
        return self


def count(X: Any) -> int:
    """Count the samples of what a user gives."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


@torch.no_grad()
def encode_both(encoder: Any, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes, with their grid where they have one, and local maps, chunk by chunk."""
    parts = [encoder(chunk) for chunk in torch.split(samples, CHUNK)]
    return torch.cat([part.code for part in parts]), torch.cat([part.local for part in parts])


def faint(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the colours and half the contrast out of pictures: (n, H, W).

    So bright and dark below a map are not taken for its values.
    """
    grey = pictures if pictures.ndim == 3 else pictures[..., :3].mean(axis=-1)
    return 0.25 + 0.5 * grey
