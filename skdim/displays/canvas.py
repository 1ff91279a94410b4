"""Functions that displays share: optional matplotlib, samples as pictures, tiles in an axes."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdim.estimators import DeepInfoMaxClassifier
from skdim.inputs import as_images
from skdim.parameters import shown

if TYPE_CHECKING:
    import matplotlib.axes

# A string, because matplotlib is optional.
Axes: TypeAlias = "matplotlib.axes.Axes"

# Height of the tile of a signal or a row, in widths.
SIGNAL_ASPECT = 0.6
# Distances between tiles, in widths.
GAP, WIDE_GAP = 0.06, 0.3

# Samples by their number of axes.
KINDS = {4: "images", 3: "signals", 2: "vectors"}


class AbstractDisplay:
    """The axes of a display, and a ``repr`` with the sizes of its data."""

    def set_axes(self, ax: "Axes | None", figsize: tuple[float, float] | None = None) -> "Axes":
        """Set the axes to draw in, and return them; None creates a figure of ``figsize`` inches."""
        pyplot = import_pyplot(type(self).__name__)
        if ax is None:
            _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def set_tiles(
        self,
        ax: "Axes | None",
        samples: NDArray[Any],
        n_rows: int,
        n_columns: int,
        width: float,
        *,
        below: float = 0.0,
        **spaces: Any,
    ) -> "Tiles":
        """Divide axes into tiles for samples, which are ``width`` inches wide in a new figure."""
        aspect = samples.shape[-2] / samples.shape[-1] if samples.ndim == 4 else SIGNAL_ASPECT
        size = width * n_columns * 1.1 + 1.0, width * n_rows * (aspect + below) * 1.1 + 0.6
        return Tiles(self.set_axes(ax, size), n_rows, n_columns, aspect, below, **spaces)

    def __repr__(self) -> str:
        """Return the name of the class and its parameters."""
        names = inspect.signature(type(self)).parameters
        parts = [f"{name}={size_of(getattr(self, name))}" for name in names]
        return f"{type(self).__name__}({', '.join(parts)})"


def size_of(value: object) -> str:
    """Describe an array by its shape, a mapping by its keys, a list by its length."""
    if isinstance(value, np.ndarray):
        return f"<array of shape {value.shape}>"
    if isinstance(value, Mapping):
        return f"<{', '.join(map(str, value))}>"
    if isinstance(value, list):
        return f"<{len(value)} entries>"
    return shown(value)


def import_pyplot(caller: str) -> ModuleType:
    """Import ``matplotlib.pyplot``; raise an ImportError that names the caller if it is missing."""
    try:
        from matplotlib import pyplot  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed. Install it with: "
            "pip install 'scikit-deepinfomax[plot]'"
        ) from error
    return pyplot


def are_integers(values: NDArray[Any], low: int, high: int) -> bool:
    """Return whether an array is a list of integers in ``[low, high]``, at least one."""
    listed = values.ndim == 1 and values.size > 0 and np.issubdtype(values.dtype, np.integer)
    return listed and bool(low <= values.min() and values.max() <= high)


def check_rows(queries: ArrayLike | None, n: int, default: int) -> NDArray[np.intp]:
    """Return row numbers, by default the first ones; raise a ValueError if they are not valid."""
    if queries is None:
        return np.arange(min(default, n))
    rows = np.asarray(queries)
    if not are_integers(rows, 0, n - 1):
        raise ValueError(
            f"queries={queries!r} must be a list of row numbers of X, from 0 to {n - 1}, at least "
            "one. Convert a mask by numpy.flatnonzero."
        )
    return rows.astype(np.intp)


def as_labels(y: ArrayLike, n: int) -> NDArray[Any]:
    """Convert labels to an array (n,); raise a ValueError if it has another shape."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(
            f"y has shape {labels.shape}, but there are {n} samples. Give one label each."
        )
    return labels


def as_transformer(estimator: Any, display: type) -> Any:
    """Return the fitted transformer of a classifier, of a search, or of a pipeline with one.

    Anything with ``transform`` is returned as it is. The last step of a pipeline is left out if it
    classifies. Raise an ImportError if matplotlib is missing, a NotFittedError, or a ValueError if
    there is no transformer.
    """
    import_pyplot(display.__name__)
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return as_transformer(estimator.best_estimator_, display)
    if isinstance(estimator, DeepInfoMaxClassifier):
        return estimator.transformer_
    if hasattr(estimator, "transform"):
        return estimator
    *steps, (name, last) = getattr(estimator, "steps", [("", estimator)])
    if isinstance(last, DeepInfoMaxClassifier):
        steps.append((name, last.transformer_))
    if not steps:
        raise no_encoder_error(estimator, display)
    return Pipeline(steps)


def open_encoder(estimator: Any, X: Any, display: type) -> tuple[Any, Any]:
    """Return the transformer with an encoder, and X as earlier steps of a pipeline transform it.

    X is None if no samples are needed. For errors, see ``as_transformer``.
    """
    transformer = as_transformer(estimator, display)
    steps = getattr(transformer, "steps", [("", transformer)])
    for number, (_, step) in enumerate(steps):
        if hasattr(step, "read_samples"):
            return step, transformer[:number].transform(X) if number and X is not None else X
    raise no_encoder_error(estimator, display)


def no_encoder_error(estimator: object, display: type) -> ValueError:
    """Return the error for an estimator without an encoder."""
    instead = " Or use from_codes." * hasattr(display, "from_codes")
    return ValueError(
        f"{display.__name__} takes a fitted DeepInfoMaxTransformer, EncoderTransformer or "
        f"DeepInfoMaxClassifier, or a pipeline with one. Got {type(estimator).__name__}.{instead}"
    )


def count_samples(X: Any) -> int:
    """Return the number of samples, which may be paths or images of Pillow."""
    X = as_images(X, (1, 1))
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def read_samples(
    transformer: Any,
    X: Any,
    rows: NDArray[np.intp],
    display: type,
    kinds: Sequence[int] = tuple(KINDS),
) -> NDArray[Any]:
    """Return images (m, C, H, W), signals (m, C, L) or rows (m, d) of X, in an encoder's layout.

    ``transformer`` and X are those of ``open_encoder``. Raise a ValueError if samples are not of
    the ``kinds``, numbers of axes, that the display can draw.
    """
    samples: NDArray[Any] = transformer.read_samples(X, rows).cpu().numpy()
    if samples.ndim not in kinds:
        allowed = " and ".join(KINDS[kind] for kind in kinds)
        hint = " For images in flat rows, fit it with image_shape=(H, W), (C, H, W) or (H, W, C)."
        raise ValueError(
            f"{display.__name__} shows {allowed}, but this {type(transformer).__name__} was fitted "
            f"on {KINDS[samples.ndim]}.{hint * (samples.ndim == 2)}"
        )
    return samples


def as_pictures(images: NDArray[Any]) -> NDArray[np.float64]:
    """Return images (n, C, H, W) as pictures (n, H, W[, 3 or 4]) with values from 0 to 1.

    Bytes are divided by 255, and floats from 0 to 1 unchanged. Other values are scaled from the
    minimum to the maximum of all images. Two channels are reduced to the first, more than four to
    their mean.
    """
    values = np.asarray(images, dtype=np.float64)
    low, high = (0.0, 255.0) if images.dtype == np.uint8 else (values.min(), values.max())
    if images.dtype == np.uint8 or low < 0 or high > 1:
        values = (values - low) / (high - low or 1.0)
    n_channels = values.shape[1]
    if n_channels in (3, 4):
        return np.moveaxis(values, 1, -1)
    return values[:, 0] if n_channels < 3 else values.mean(axis=1)


@dataclass
class Tiles:
    """Pictures side by side in one axes, in tiles of width 1 and height ``aspect``.

    ``below`` and ``above`` are spaces for text, below each row and above the first; ``gaps`` are
    the columns after a wider gap.
    """

    ax: "Axes"
    n_rows: int
    n_columns: int
    aspect: float
    below: float = 0.0
    above: float = 0.0
    gaps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Set the limits of the axes, which drawing then leaves unchanged."""
        right = self.left(self.n_columns - 1) + 1
        bottom = self.top(self.n_rows - 1) + self.aspect + self.below
        self.ax.set(xlim=(0, right), ylim=(bottom, -self.above), aspect="equal")
        self.ax.set_axis_off()

    def left(self, column: int) -> float:
        """Return the left position of a column."""
        wide = sum(column >= gap for gap in self.gaps)
        return column * (1 + GAP) + wide * (WIDE_GAP - GAP)

    def top(self, row: int) -> float:
        """Return the top position of a row."""
        return row * (self.aspect + self.below + GAP)

    def write_below(self, place: tuple[int, ...], text: str) -> None:
        """Write a text below a tile ``(row, column)``."""
        row, column = place
        x, y = self.left(column) + 0.5, self.top(row) + self.aspect + 0.03
        self.ax.text(x, y, text, ha="center", va="top", fontsize="x-small")

    def write_above(self, texts: Mapping[int, str]) -> None:
        """Write texts above columns."""
        for column, text in texts.items():
            self.ax.text(self.left(column), -0.1, text, fontsize="medium", va="bottom")

    def draw(self, samples: NDArray[Any], first_row: int = 0, **kwargs: Any) -> list[Any]:
        """Draw images (n, C, H, W), signals (n, C, L) or rows (n, d) in successive tiles.

        Each channel of signals, and each column of rows, is scaled from its minimum to its maximum
        over all of them. Returned are AxesImages; for signals lists of Line2D, one per channel; for
        rows BarContainers.
        """
        first = first_row * self.n_columns
        places = [divmod(first + i, self.n_columns) for i in range(len(samples))]
        if samples.ndim == 4:
            style: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1} | kwargs
            drawn = zip(as_pictures(samples), places, strict=True)
            return [self.show(picture, *place, **style) for picture, place in drawn]
        values = np.asarray(samples, dtype=np.float64)
        common = (0, 2) if samples.ndim == 3 else 0
        low = values.min(axis=common, keepdims=True)
        spread = values.max(axis=common, keepdims=True) - low
        shares = (values - low) / np.where(spread > 0, spread, 1.0)
        draw_one = self.bars if samples.ndim == 2 else self.curves
        return [draw_one(*one, **kwargs) for one in zip(shares, places, strict=True)]

    def show(self, values: NDArray[Any], row: int, column: int, **kwargs: Any) -> Any:
        """Draw a picture (H, W) or (H, W, colours), of any resolution, that fills a tile."""
        left, top = self.left(column), self.top(row)
        extent = (left, left + 1, top + self.aspect, top)
        return self.ax.imshow(values, extent=extent, interpolation="nearest", **kwargs)

    def curves(self, shares: NDArray[Any], place: tuple[int, int], **kwargs: Any) -> list[Any]:
        """Draw each channel of a signal (C, L), of values from 0 to 1, as a curve in a tile."""
        row, column = place
        length = shares.shape[1]
        time = self.left(column) + (np.arange(length) + 0.5) / length
        heights = self.top(row) + self.aspect * (1 - shares)
        lines: list[Any] = []
        for channel, height in enumerate(heights):
            style: dict[str, Any] = {"linewidth": 0.9, "color": f"C{channel}"} | kwargs
            lines += self.ax.plot(time, height, **style)
        return lines

    def bars(self, shares: NDArray[Any], place: tuple[int, int], **kwargs: Any) -> Any:
        """Draw the numbers of a row (d,), of values from 0 to 1, as bars in a tile."""
        row, column = place
        n = len(shares)
        x, bottom = self.left(column) + (np.arange(n) + 0.5) / n, self.top(row) + self.aspect
        style: dict[str, Any] = {"color": "C0"} | kwargs
        return self.ax.bar(x, -self.aspect * shares, 0.9 / n, bottom, **style)
