"""Multi-scale structural similarity with scales and a window adapted to the image size."""

import torch
from torch import Tensor

__all__ = ["find_scales", "multi_scale_similarity"]

# Exponents of the five scales, from the finest to the coarsest (Wang et al., 2003).
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

# The published window: Gaussian, 11 pixels wide.
KERNEL, SIGMA = 11, 1.5

# Number of windows that must fit into a side for one, two, ... five scales. Each scale halves the
# images; torchmetrics requires more than that from three scales.
WINDOWS = (1, 2, 4, 9, 16)
MIN_SIDE = 6
CHUNK = 256


def find_scales(height: int, width: int) -> tuple[int, float, tuple[float, ...]]:
    """Choose the window, then as many scales as it fits.

    The window is the published one, 11 pixels wide, or the widest odd one that fits twice, so that
    there are at least two scales. Of the five published scales, 2 are used from a side of 22, 3
    from 44, 4 from 99 and 5 from 176. Their published weights are rescaled to the sum 1.

    Returns
    -------
    kernel_size : int
        Width of the Gaussian window, in pixels.
    sigma : float
        Standard deviation of the window, in pixels.
    weights : tuple of float
        Exponent of each scale, beginning with the finest; their sum is 1.

    Raises
    ------
    ValueError
        If a side is less than 6 pixels.

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
    """Compute the mean multi-scale structural similarity of pairs of images.

    Parameters
    ----------
    images, truth : Tensor of shape (n, C, H, W)
        Pixels between 0 and 1.

    Returns
    -------
    float
        At most 1, the value of identical images.

    Raises
    ------
    ImportError
        If torchmetrics is not installed.

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
    sums = [
        measure(
            some,
            true,
            kernel_size=kernel_size,
            sigma=sigma,
            betas=weights,
            data_range=1.0,
            reduction="none",
        )
        .cpu()
        .double()
        .sum()
        for some, true in chunks
    ]
    return float(torch.stack(sums).sum()) / len(truth)
