"""Quality of images reconstructed from frozen codes."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from skdim.decoders import make_decoder
from skdim.inputs import ArraySamples, Samples, find_layout, flatten_rows
from skdim.metrics.arrays import check_layers, count_batches, frozen_features, resolve_device
from skdim.parameters import check_positive
from skdim.random import draw_seed, seeded
from skdim.training import SCHEDULES

LEARNING_RATE = 2e-3
CHUNK = 256

# Exponents of the five scales, from the finest to the coarsest (Wang et al., 2003).
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# The published window: Gaussian, 11 pixels wide.
KERNEL, SIGMA = 11, 1.5

# Number of windows that must fit into a side for one, two, ... five scales. Each scale halves the
# images; torchmetrics requires more than that from three scales.
WINDOWS = (1, 2, 4, 9, 16)
MIN_SIDE = 6


def reconstruction_quality(
    transformer: BaseEstimator,
    X: ArrayLike,
    X_test: ArrayLike,
    *,
    layer: str = "code",
    data_range: tuple[float, float] | None = None,
    image_shape: tuple[int, ...] | None = None,
    channel_axis: int | None = None,
    max_epochs: int = 30,
    random_state: int | np.random.RandomState | None = None,
    device: str | torch.device = "auto",
) -> float:
    """Train a decoder on frozen features, and compare its reconstructions with test images.

    The decoder is trained on X with the squared error of pixels. Reconstructions of X_test are
    clipped to the range of pixels and scored by multi-scale structural similarity, with the scales
    that :func:`~skdim.metrics.reconstruction.find_scales` returns for their size. (The code of the
    paper uses a single scale, and constants for a range that its pixels do not have.)

    Parameters
    ----------
    transformer : object
        Fitted transformer of skdim, or of scikit-learn, where ``transform`` returns the code.
    X, X_test : array-like of shape (n, H, W), (n, C, H, W), (n, H, W, C) or (n, features)
        Images to train and to test the decoder on, in the format of the transformer.
    layer : {"code", "hidden", "conv", "local"}, default="code"
        Input of the decoder; feature maps are flattened.
    data_range : tuple of two float, default=None
        Lowest and highest possible value of a pixel. None uses (0, 255) for uint8, and otherwise
        the minimum and the maximum of X.
    image_shape, channel_axis : default=None
        As in :class:`skdim.DeepInfoMaxTransformer`. None uses those of the transformer.
    max_epochs : int, default=30
        Number of passes over X.
    random_state : int, RandomState or None, default=None
    device : str or torch.device, default="auto"
        Device of the decoder; "auto" is the device of the transformer.

    Returns
    -------
    float
        Mean over test images; 1 for exact reconstruction. A code without information scores as the
        mean image does.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not valid.
    ImportError
        If torchmetrics is not installed.
    """
    check_layers(transformer, (layer,))
    check_positive(max_epochs=max_epochs)
    device = resolve_device(transformer, device)
    shape = image_shape or getattr(transformer, "image_shape", None)
    axis = channel_axis or getattr(transformer, "channel_axis", None)
    rows = read_image_rows(X, "X", shape, axis, device)
    truth = read_image_rows(X_test, "X_test", shape, axis, device)
    if truth.layout != rows.layout:
        raise ValueError(
            f"X contains images of shape {rows.layout.given_shape}, X_test of shape "
            f"{truth.layout.given_shape}. They must have the same shape."
        )
    low, high = find_range(data_range, rows.array)
    scaler = StandardScaler()
    codes = torch.from_numpy(scaler.fit_transform(frozen_features(transformer, X, layer)))
    codes_test = torch.from_numpy(scaler.transform(frozen_features(transformer, X_test, layer)))
    mean, scale = find_mean_and_scale(rows)
    seed = draw_seed(random_state)
    with seeded(seed, device):
        decoder = make_decoder(rows.layout.shape, codes.shape[1]).to(device)
        train_decoder(decoder, codes.to(device), rows, mean, scale, max_epochs, seed)
    with torch.no_grad():
        parts = codes_test.to(device).split(CHUNK)
        decoded = torch.cat([decoder(part) * scale + mean for part in parts])
    scaled = [(images.float() - low) / (high - low) for images in (decoded, truth[truth.numbers])]
    return multi_scale_similarity(scaled[0].clamp(0, 1), scaled[1])


def read_image_rows(
    X: ArrayLike,
    name: str,
    image_shape: tuple[int, ...] | None,
    channel_axis: int | None,
    device: torch.device,
) -> ArraySamples:
    """Convert images to rows, as transformers do.

    Raise a ValueError if they are not images, or too small.
    """
    flat, shape = flatten_rows(X)
    array = check_array(flat, dtype=[np.float32, np.uint8], ensure_min_samples=2)
    layout = find_layout(shape or array.shape, image_shape, channel_axis)
    if not layout.is_image:
        raise ValueError(
            f"{name} has shape {shape or array.shape}. Structural similarity needs images: pass an "
            "array of shape (n, H, W), (n, C, H, W) or (n, H, W, C), or image_shape."
        )
    find_scales(*layout.shape[1:])
    return ArraySamples(array, layout, device)


def find_range(data_range: tuple[float, float] | None, pixels: NDArray[Any]) -> tuple[float, float]:
    """Return the lowest and the highest possible value of a pixel.

    Raise a ValueError if the given range is not valid, or does not contain all pixels.
    """
    lowest, highest = float(pixels.min()), float(pixels.max())
    if data_range is None:
        data_range = (0.0, 255.0) if pixels.dtype == np.uint8 else (lowest, highest)
    if np.shape(data_range) != (2,):
        raise ValueError(
            f"data_range={data_range!r}. It must be a pair: the lowest and the highest possible "
            "value of a pixel."
        )
    low, high = data_range
    if not low < high or lowest < low or highest > high:
        raise ValueError(
            f"data_range={data_range}, but the pixels of X are between {lowest:g} and "
            f"{highest:g}. It must be the lowest and the highest possible value of a pixel, which "
            "must differ."
        )
    return float(low), float(high)


def find_mean_and_scale(rows: Samples) -> tuple[Tensor, float]:
    """Return the mean image, and the standard deviation of all pixels from it, 1 instead of 0.

    They are computed on the CPU: some devices lack float64.
    """
    on_cpu = rows.on_cpu()
    parts, n = on_cpu.chunks(CHUNK), len(rows)
    mean = torch.stack([on_cpu[part].double().sum(dim=0) for part in parts]).sum(dim=0) / n
    squares = sum(float((on_cpu[part] - mean).square().sum()) for part in parts)
    scale = (squares / (n * mean.numel())) ** 0.5
    return mean.float().to(rows.device), scale or 1.0


def train_decoder(
    decoder: nn.Module,
    codes: Tensor,
    rows: Samples,
    mean: Tensor,
    scale: float,
    max_epochs: int,
    seed: int,
) -> None:
    """Train a decoder with the squared error, and switch it to evaluation mode.

    It learns the differences from the mean image: a decoder of a code without information then
    returns the mean image, for any layers. They are divided by the scale of all pixels, so
    that the loss is proportional to their squared error.
    """
    n = len(codes)
    generator = Generator().manual_seed(seed)
    n_batches = count_batches(n)
    n_steps, step = max_epochs * n_batches, 0
    optimizer = torch.optim.Adam(decoder.parameters(), lr=LEARNING_RATE)
    decoder.train()
    for _ in range(max_epochs):
        order = torch.randperm(n, generator=generator).to(codes.device)
        for index in order.tensor_split(n_batches):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * SCHEDULES["one_cycle"](step / n_steps)
            step += 1
            optimizer.zero_grad(set_to_none=True)
            targets = (rows[index].float() - mean) / scale
            F.mse_loss(decoder(codes[index]), targets).backward()
            optimizer.step()
    # Running statistics lag behind the weights, and batch normalisation amplifies the difference
    # for nearly constant codes. They are recomputed with the final weights.
    update_bn(codes.tensor_split(n_batches), decoder)
    decoder.eval()


def find_scales(height: int, width: int) -> tuple[int, float, tuple[float, ...]]:
    """Return width and standard deviation of the window, in pixels, and the weight of each scale.

    The window is the published one, 11 pixels wide, or the widest odd one that fits twice, so that
    there are at least two scales. Of the five published scales, 2 are used from a side of 22, 3
    from 44, 4 from 99 and 5 from 176; their published weights, the finest first, are rescaled to
    the sum 1. Raise a ValueError if a side is less than 6 pixels.

    Examples
    --------
    >>> find_scales(32, 32)
    (11, 1.5, (0.135..., 0.864...))
    """
    side = min(height, width)
    if side < MIN_SIDE:
        raise ValueError(
            f"Images of {height} x {width} pixels are too small for multi-scale structural "
            f"similarity. Each side must be at least {MIN_SIDE} pixels."
        )
    widest = min(KERNEL, side // 2)
    kernel_size = widest if widest % 2 else widest - 1
    n_scales = sum(side >= windows * kernel_size for windows in WINDOWS)
    total = sum(WEIGHTS[:n_scales])
    weights = tuple(weight / total for weight in WEIGHTS[:n_scales])
    return kernel_size, SIGMA * kernel_size / KERNEL, weights


def multi_scale_similarity(images: Tensor, truth: Tensor) -> float:
    """Compute the mean multi-scale structural similarity of pairs of images (n, C, H, W).

    Pixels are between 0 and 1; the similarity is at most 1, the value of identical images.

    References
    ----------
    Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality assessment",
    2003.
    """
    try:
        from torchmetrics.functional.image import (  # noqa: PLC0415 - an optional package
            multiscale_structural_similarity_index_measure as measure,
        )
    except ImportError as error:
        raise ImportError(
            "Structural similarity requires torchmetrics. Install it with "
            "pip install 'scikit-deepinfomax[metrics]'."
        ) from error
    kernel_size, sigma, weights = find_scales(*truth.shape[2:])
    chunks = zip(images.split(CHUNK), truth.split(CHUNK), strict=True)
    window: dict[str, Any] = {"kernel_size": kernel_size, "sigma": sigma, "betas": weights}
    values = [measure(*pair, data_range=1.0, reduction="none", **window) for pair in chunks]
    return float(torch.cat(values).cpu().double().mean())
