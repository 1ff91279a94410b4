"""The patterns that the first layer of an encoder responds to."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from skdim.displays.canvas import AbstractDisplay, Axes, open_encoder
from skdim.encoders import PatchNetworkEncoder
from skdim.encoders.patches import PatchLayer
from skdim.parameters import check_positive


class PatternsDisplay(AbstractDisplay):
    """The filters of the first layer of an encoder of images.

    Edges, bars and colours are what patches of natural images consist of. Noise means that the
    filters have not learnt from the images: too few of them, or too few epochs.

    Parameters
    ----------
    filters : ndarray of shape (n, C, height, width)

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The filters, each scaled such that 0 is grey and its largest absolute value black or white.
        Three channels are drawn as colours; otherwise the first channel is drawn.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.displays import PatternsDisplay
    >>> dim = DeepInfoMaxTransformer(4, random_state=0).fit(load_digits().images[:100])
    >>> display = PatternsDisplay.from_estimator(dim, n_filters=30)
    >>> display.filters.shape
    (30, 1, 3, 3)
    """

    def __init__(self, filters: NDArray[np.float32]) -> None:
        self.filters = np.asarray(filters)
        if self.filters.ndim != 4 or not len(self.filters):
            raise ValueError(
                f"filters have shape {self.filters.shape}. Expected (n, C, height, width)."
            )

    @classmethod
    def from_estimator(
        cls,
        transformer: Any,
        *,
        n_filters: int = 64,
        ax: "Axes | None" = None,
        **image_kwargs: Any,
    ) -> Self:
        """Draw the first filters of a fitted transformer.

        Parameters
        ----------
        transformer : transformer, DeepInfoMaxClassifier or Pipeline
            Fitted on images; or a classifier or a pipeline with such a transformer. The filters are
            those of the first layer of patches or, in other networks, of the first convolution.
        n_filters : int, default=64
            Maximal number of filters to draw.
        ax, **image_kwargs
            As in :meth:`plot`.

        Raises
        ------
        ValueError
            If the encoder has no such layer, or ``n_filters`` is not valid.
        """
        transformer, _ = open_encoder(transformer, None, cls)
        check_positive(n_filters=n_filters)
        filters = find_filters(transformer.encoder_)
        if filters is None:
            raise ValueError(
                f"{cls.__name__} draws filters of images, but the encoder of this "
                f"{type(transformer).__name__} has no layer of patches and no Conv2d."
            )
        return cls(filters[:n_filters].detach().cpu().numpy()).plot(ax=ax, **image_kwargs)

    def plot(self, *, ax: "Axes | None" = None, **image_kwargs: Any) -> Self:
        """Draw the filters, and return the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a figure.
        **image_kwargs
            Of :meth:`matplotlib.axes.Axes.imshow`, such as ``cmap`` for one channel.
        """
        n, channels = self.filters.shape[:2]
        n_columns = math.ceil(math.sqrt(2 * n))
        tiles = self.set_tiles(ax, self.filters, math.ceil(n / n_columns), n_columns, 0.45)
        largest = np.abs(self.filters).max(axis=(1, 2, 3), keepdims=True)
        scaled = 0.5 + 0.5 * self.filters / np.where(largest > 0, largest, 1)
        pictures = scaled if channels == 3 else scaled[:, :1]
        self.images_ = tiles.draw(pictures, **image_kwargs)
        return self


def find_filters(encoder: nn.Module) -> Tensor | None:
    """Return the filters (n, C, height, width) of the first layer that has filters of images."""
    for part in encoder.modules():
        if isinstance(part, PatchLayer):
            # The second half of a mirrored layer are mirror images.
            flat = part.filters[: part.n_filters] @ part.whiten.flatten(1)
            return flat.reshape(-1, *part.whiten.shape[1:])
        if isinstance(part, PatchNetworkEncoder):
            return part.filters
        if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1):
            return part.weight
    return None
