"""What displays share: matplotlib on demand, samples as pictures, tiles in one axes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = ["Tiles", "as_pictures", "check_rows", "find_pyplot", "read_pictures"]


def find_pyplot(caller: str) -> Any:
    """Import ``matplotlib.pyplot``, an optional package.

    Parameters
    ----------
    caller : str
        Who needs it.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        from matplotlib import pyplot  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed. Install it with: "
            "pip install 'scikit-deepinfomax[plot]'"
        ) from error
    return pyplot


def check_rows(queries: ArrayLike | None, n: int, default: int) -> NDArray[np.intp]:
    """Read the rows that a user asks for.

    Parameters
    ----------
    queries : array-like of int of shape (m,) or None
        None is the first ``default``, or all where there are fewer.
    n : int
        Rows that there are.
    default : int

    Returns
    -------
    ndarray of shape (m,)

    Raises
    ------
    ValueError
        If these are no numbers of rows.
    """
    if queries is None:
        return np.arange(min(default, n))
    rows = np.asarray(queries)
    whole = rows.ndim == 1 and rows.size > 0 and np.issubdtype(rows.dtype, np.integer)
    if not whole or rows.min() < 0 or rows.max() >= n:
        raise ValueError(
            f"queries={queries!r} must be a list of row numbers of X, from 0 to {n - 1}, at least "
            "one. A mask goes through numpy.flatnonzero first."
        )
    return rows.astype(np.intp)


def read_pictures(transformer: Any, X: Any, rows: NDArray[np.intp], caller: str) -> NDArray[Any]:
    """Take samples of X as images, in the layout that a transformer was fitted on.

    Returns
    -------
    ndarray of shape (m, C, H, W)

    Raises
    ------
    ValueError
        If the samples are no images, or the transformer knows no layout.
    """
    name = type(transformer).__name__
    if not hasattr(transformer, "read_samples"):
        raise ValueError(
            f"{caller} cannot tell what images the rows of X are, since a {name} does not say. "
            "Use from_codes(codes, images)."
        )
    if transformer.image_shape_ is None:
        raise ValueError(
            f"{caller} shows images, but this {name} was fitted on samples that are none. For "
            "images in flat rows, fit it with image_shape=(H, W), (C, H, W) or (H, W, C)."
        )
    images: NDArray[Any] = transformer.read_samples(X, rows).cpu().numpy()
    return images


def as_pictures(images: NDArray[Any]) -> NDArray[np.float64]:
    """Bring images to what matplotlib draws.

    Bytes are divided by 255, and floats from 0 to 1 taken as they are. All other numbers are
    stretched from the least to the greatest of all the images: they keep their relation.

    Parameters
    ----------
    images : ndarray of shape (n, C, H, W)

    Returns
    -------
    ndarray of shape (n, H, W), (n, H, W, 3) or (n, H, W, 4)
        From 0 to 1. Of two channels the first is taken, of more than four the mean.
    """
    values = np.asarray(images, dtype=np.float64)
    low, high = (0.0, 255.0) if images.dtype == np.uint8 else (values.min(), values.max())
    if images.dtype == np.uint8 or low < 0 or high > 1:
        values = (values - low) / (high - low or 1.0)
    n_channels = values.shape[1]
    if n_channels in (3, 4):
        return np.moveaxis(values, 1, -1)
    return values[:, 0] if n_channels < 3 else values.mean(axis=1)


class Tiles:
    """Pictures side by side in one axes; a tile is one wide.

    Parameters
    ----------
    ax : matplotlib Axes
    n_rows, n_columns : int
    aspect : float
        Height of a picture over its width.
    below : float, default=0.0
        Room for text below each row.
    above : float, default=0.0
        Room for text above all rows.
    gaps : sequence of int, default=()
        Columns that a wider gap stands before.
    """

    GAP = 0.06
    WIDE_GAP = 0.3

    def __init__(
        self,
        ax: "Axes",
        n_rows: int,
        n_columns: int,
        aspect: float,
        *,
        below: float = 0.0,
        above: float = 0.0,
        gaps: tuple[int, ...] = (),
    ) -> None:
        self.ax = ax
        self.aspect = aspect
        self.below = below
        self.gaps = gaps
        right = self.left(n_columns - 1) + 1
        bottom = self.top(n_rows - 1) + aspect + below
        ax.set(xlim=(0, right), ylim=(bottom, -above), aspect="equal")
        ax.set_axis_off()

    @staticmethod
    def size(
        n_rows: int, n_columns: int, aspect: float, tile: float, below: float
    ) -> tuple[float, float]:
        """Return width and height in inches of a figure whose tiles are ``tile`` inches wide."""
        return tile * n_columns * 1.1 + 1.0, tile * n_rows * (aspect + below) * 1.1 + 0.6

    def left(self, column: int) -> float:
        """Return where a column begins."""
        wide = sum(column >= gap for gap in self.gaps)
        return column * (1 + self.GAP) + wide * (self.WIDE_GAP - self.GAP)

    def top(self, row: int) -> float:
        """Return where a row begins."""
        return row * (self.aspect + self.below + self.GAP)

    def show(self, values: NDArray[Any], row: int, column: int, **kwargs: Any) -> "AxesImage":
        """Draw a picture (H, W) or (H, W, colours) that fills a tile.

        An array of fewer cells fills the same tile: each cell lies over its share of the image.
        """
        left, top = self.left(column), self.top(row)
        extent = (left, left + 1, top + self.aspect, top)
        # imshow sets the limits of the axes to its own picture.
        limits = self.ax.get_xlim(), self.ax.get_ylim()
        drawn = self.ax.imshow(values, extent=extent, interpolation="nearest", **kwargs)
        self.ax.set(xlim=limits[0], ylim=limits[1])
        return drawn
