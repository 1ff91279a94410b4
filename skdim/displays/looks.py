"""Images, and looks at them by a view."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Generator, Tensor

from skdim.displays.canvas import (
    AbstractDisplay,
    Axes,
    check_rows,
    count_samples,
    open_encoder,
    read_samples,
)
from skdim.parameters import check_positive
from skdim.views import view_of_one

N_QUERIES = 4


@dataclass(eq=False, repr=False)
class LooksDisplay(AbstractDisplay):
    """Images, and random looks at them by the view that an encoder was trained with.

    What differs between the looks at an image is what codes become invariant to. An image that
    cannot be recognised in its looks, or whose class changes, means that the view is too strong.

    Parameters
    ----------
    images : ndarray of shape (n, C, H, W)
    looks : ndarray of shape (n, n_looks, C, H, W)

    Attributes
    ----------
    images_ : ndarray of shape (n, 1 + n_looks), of matplotlib AxesImage
        In each row an image and its looks.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.displays import LooksDisplay
    >>> images = load_digits().images[:100]
    >>> dim = DeepInfoMaxTransformer(4, random_state=0).fit(images)
    >>> display = LooksDisplay.from_estimator(dim, images, queries=[0, 1], random_state=0)
    >>> display.looks.shape
    (2, 6, 1, 8, 8)
    """

    images: NDArray[Any]
    looks: NDArray[Any]

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        X: Any,
        *,
        queries: ArrayLike | None = None,
        n_looks: int = 6,
        random_state: int | None = None,
        ax: "Axes | None" = None,
        **image_kwargs: Any,
    ) -> Self:
        """Draw looks at images, and show them.

        Parameters
        ----------
        transformer : transformer, DeepInfoMaxClassifier or Pipeline
            Fitted on images; or a classifier or a pipeline with such a transformer.
        X : array-like, Dataset or Stream
            Images in any layout that the transformer takes.
        queries : array-like of int, default=None
            Row numbers of the images; None is the first four.
        n_looks : int, default=6
            Number of looks at each image.
        random_state : int or None, default=None
            Seed of the view.
        ax, **image_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If the samples are not images, or a parameter is not valid.
        """
        transformer, X = open_encoder(transformer, X, cls)
        check_positive(n_looks=n_looks)
        rows = check_rows(queries, count_samples(X), N_QUERIES)
        images = read_samples(transformer, X, rows, cls, kinds=[4])
        view = view_of_one(transformer.net_.view)
        generator = Generator()
        generator.manual_seed(generator.seed() if random_state is None else int(random_state))
        drawn: list[Tensor] = []
        x = torch.from_numpy(images).float()
        while len(drawn) < n_looks:
            drawn += view(x, generator)
        looks = torch.stack(drawn[:n_looks], dim=1).numpy()
        if images.dtype == np.uint8:
            looks = looks.round().clip(0, 255).astype(np.uint8)
        return cls(images, looks).plot(ax=ax, **image_kwargs)

    def plot(self, *, ax: "Axes | None" = None, **image_kwargs: Any) -> Self:
        """Draw the images and their looks, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        **image_kwargs
            Of :meth:`matplotlib.axes.Axes.imshow`, such as ``cmap`` for grey images.
        """
        together = np.concatenate([self.images[:, None], self.looks], axis=1)
        n_rows, n_columns = together.shape[:2]
        samples = together.reshape(-1, *together.shape[2:])
        tiles = self.set_tiles(ax, samples, n_rows, n_columns, 0.8, above=0.35, gaps=(1,))
        drawn = tiles.draw(samples, **image_kwargs)
        self.images_ = np.array(drawn, dtype=object).reshape(n_rows, n_columns)
        tiles.write_above({0: "image", 1: "looks"})
        return self
