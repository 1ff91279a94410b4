"""How well images can be rebuilt from frozen codes."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import update_bn

from skdim.decoders import make_decoder
from skdim.inputs import Rows, find_layout, flatten_rows
from skdim.inputs.draws import draw_seed, seeded
from skdim.metrics.frozen import check_layers, find_device, frozen_features
from skdim.metrics.similarity import find_scales, multi_scale_similarity
from skdim.training import SCHEDULES

__all__ = ["reconstruction_quality"]

BATCH_SIZE = 64

LEARNING_RATE = 2e-3

CHUNK = 256


def reconstruction_quality(
    transformer: Any,
    X: ArrayLike,
    X_test: ArrayLike,
    *,
    layer: str = "code",
    data_range: tuple[float, float] | None = None,
    image_shape: tuple[int, ...] | None = None,
    channel_axis: int | None = None,
    max_epochs: int = 30,
    random_state: Any = None,
    device: Any = "auto",
) -> float:
    """Train a decoder on frozen features, and compare test images with what it makes of theirs.

    The decoder is trained on X with the squared error of pixels. Its test images, cut off at the
    ends of the range of pixels, are scored by multi-scale structural similarity, with the scales
    that :func:`~skdim.metrics.similarity.find_scales` finds for their size. (The paper's code
    took a single scale, and constants for a range that its pixels did not have.)

    Parameters
    ----------
    transformer : object
        Fitted, of skdim; or any other of scikit-learn, whose ``transform`` gives the code.
    X, X_test : array-like of shape (n, H, W), (n, C, H, W), (n, H, W, C) or (n, features)
        Images to train and to test the decoder on, as the transformer takes them.
    layer : {"code", "hidden", "conv", "local"}, default="code"
        What the decoder is given, maps flattened.
    data_range : tuple of two float, default=None
        The lowest and the highest value that a pixel can have. None is (0, 255) for uint8, else the
        lowest and the highest of X: say it where X need not hold both.
    image_shape, channel_axis : default=None
        As in a transformer, whose own are taken where they are None.
    max_epochs : int, default=30
        Passes over X.
    random_state : int, RandomState or None, default=None
    device : str or torch.device, default="auto"
        Of the decoder; "auto" is where the transformer is.

    Returns
    -------
    float
        Mean over test images: 1 where all are rebuilt exactly. A code that tells nothing gives
        what the mean image gives.

    Raises
    ------
    ValueError, TypeError
        If an argument is not allowed; the text says what is.
    ImportError
        If torchmetrics is not installed.
    """
    check_layers(transformer, (layer,))
    if not isinstance(max_epochs, Integral) or max_epochs < 1:
        raise ValueError(f"max_epochs={max_epochs!r}. It must be a whole number of at least 1.")
    device = find_device(transformer, device)
    shape = image_shape or getattr(transformer, "image_shape", None)
    axis = channel_axis or getattr(transformer, "channel_axis", None)
    rows = read_images(X, "X", shape, axis, device)
    truth = read_images(X_test, "X_test", shape, axis, device)
    if truth.layout != rows.layout:
        raise ValueError(
            f"X holds images of shape {rows.layout.given_shape}, X_test of shape "
            f"{truth.layout.given_shape}. They must be of one shape."
        )
    low, high = find_range(data_range, rows)
    scaler = StandardScaler()
    codes = torch.from_numpy(scaler.fit_transform(frozen_features(transformer, X, layer)))
    codes_test = torch.from_numpy(scaler.transform(frozen_features(transformer, X_test, layer)))
    residuals = Residuals.of(rows)
    seed = draw_seed(random_state)
    with seeded(seed, device):
        decoder = make_decoder(rows.layout.shape, codes.shape[1]).to(device)
        train(decoder, codes.to(device), rows, residuals, max_epochs, seed)
    rebuilt = rebuild(decoder, codes_test.to(device), residuals)
    scaled = [(images.float() - low) / (high - low) for images in (rebuilt, truth[truth.numbers])]
    return multi_scale_similarity(scaled[0].clamp(0, 1), scaled[1])


def read_images(
    X: ArrayLike,
    name: str,
    image_shape: tuple[int, ...] | None,
    channel_axis: int | None,
    device: torch.device,
) -> Rows:
    """Read images as transformers do.

    Raises
    ------
    ValueError
        If they are no images, or too small.
    """
    flat, shape = flatten_rows(X)
    array = check_array(flat, dtype=[np.float32, np.uint8], ensure_min_samples=2)
    layout = find_layout(shape or array.shape, image_shape, channel_axis)
    if not layout.is_image:
        raise ValueError(
            f"{name} has shape {shape or array.shape}, and no image_shape says which images these "
            "rows are. Structural similarity compares images: give (n, H, W), (n, C, H, W) or "
            "(n, H, W, C), or image_shape."
        )
    find_scales(*layout.shape[1:])
    return Rows(array, layout, device)


def find_range(given: tuple[float, float] | None, rows: Rows) -> tuple[float, float]:
    """Return the lowest and the highest value of a pixel.

    Raises
    ------
    ValueError
        If they are no range, or if samples lie outside.
    """
    blocks = [rows[numbers] for numbers in rows.chunks(CHUNK)]
    lowest = min(float(block.min()) for block in blocks)
    highest = max(float(block.max()) for block in blocks)
    if given is None:
        is_bytes = blocks[0].dtype == torch.uint8
        given = (0.0, 255.0) if is_bytes else (lowest, highest)
    if np.shape(given) != (2,):
        raise ValueError(
            f"data_range={given!r}; a pair is needed: the lowest and the highest value that a "
            "pixel can have."
        )
    low, high = given
    if not low < high or lowest < low or highest > high:
        raise ValueError(
            f"data_range={given}, and the pixels of X lie between {lowest:g} and {highest:g}. "
            "data_range is the lowest and the highest value that a pixel can have, which differ."
        )
    return float(low), float(high)


@dataclass(frozen=True)
class Residuals:
    """What images have beyond their mean, in units of its spread.

    A decoder of a code that tells nothing so gives the mean image, whatever its layers can learn.

    Parameters
    ----------
    mean : Tensor of shape (C, H, W)
    scale : float
        One for all pixels: squared errors are those of pixels.
    """

    mean: Tensor
    scale: float

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """Measure images; on the CPU, as not every device knows float64."""
        on_cpu = rows.on_cpu()
        parts, n = on_cpu.chunks(CHUNK), len(rows)
        mean = torch.stack([on_cpu[part].double().sum(dim=0) for part in parts]).sum(dim=0) / n
        squares = sum(float((on_cpu[part] - mean).square().sum()) for part in parts)
        spread = (squares / (n * mean.numel())) ** 0.5
        return cls(mean.float().to(rows.device), spread or 1.0)

    def take(self, images: Tensor) -> Tensor:
        """Take the mean from images."""
        return (images.float() - self.mean) / self.scale

    def put_back(self, residuals: Tensor) -> Tensor:
        """Undo ``take``."""
        return residuals * self.scale + self.mean


def train(
    decoder: nn.Module,
    codes: Tensor,
    rows: Rows,
    residuals: Residuals,
    max_epochs: int,
    seed: int,
) -> None:
    """Train a decoder with the squared error; leave it in evaluation mode."""
    n = len(codes)
    generator = Generator().manual_seed(seed)
    n_batches = max(1, min(-(-n // BATCH_SIZE), n // 2))  # None is of a single image.
    n_steps, step = max_epochs * n_batches, 0
    optimizer = torch.optim.Adam(decoder.parameters(), lr=LEARNING_RATE)
    decoder.train()
    for _ in range(max_epochs):
        order = torch.randperm(n, generator=generator).to(codes.device)
        for index in order.tensor_split(n_batches):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * SCHEDULES["one_cycle"](step / n_steps)
            step += 1
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(decoder(codes[index]), residuals.take(rows[index])).backward()
            optimizer.step()
    # Running statistics lag behind the weights. Of codes that hardly differ, batch normalisation
    # would blow that up to anything; so they are measured anew, with the weights as they are now.
    update_bn((some for some in codes.tensor_split(n_batches)), decoder)
    decoder.eval()


@torch.no_grad()
def rebuild(decoder: nn.Module, codes: Tensor, residuals: Residuals) -> Tensor:
    """Decode to pixels as the images have them."""
    return torch.cat([residuals.put_back(decoder(some)) for some in codes.split(CHUNK)])
