"""The layers of encoders, checks of their input, and blocks that several encoders share."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, relu, softshrink

# torch 2.6 has no is_exporting.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)

Shape = tuple[int, ...]

# Smallest side of images, and length of signals, for which most encoders are defined.
MIN_SIDE = 8

# Hints for smaller images.
VECTORS = "encode their pixels as vectors: flat rows without image_shape, and encoder='mlp'"
SMALLER = "use 'dcgan' or 'patches', which encode images from 8x8 pixels on"


@dataclass(frozen=True)
class Features:
    """The layers of an encoder that are trained, returned or evaluated.

    Parameters
    ----------
    local : Tensor of shape (n, c, *grid)
        Local features: each depends on a part of the sample only.
    conv : Tensor of shape (n, c', *grid')
        The last map, which the global term compares with the code.
    hidden : Tensor of shape (n, h)
        The last layer before the code.
    code : Tensor of shape (n, d) or (n, d, *grid)
        The code; with a grid, several globals.
    """

    local: Tensor
    conv: Tensor
    hidden: Tensor
    code: Tensor

    def split(self, n_looks: int) -> list["Features"]:
        """Split stacked samples into those of each of ``n_looks`` looks."""
        parts = [getattr(self, layer).chunk(n_looks) for layer in LAYERS]
        return [Features(*look) for look in zip(*parts, strict=True)]


LAYERS = tuple(field.name for field in fields(Features))


def layer_of(features: Features, layer: str) -> Tensor:
    """Return one layer (n, d) or (n, c, *grid); several globals are averaged to one code."""
    values: Tensor = getattr(features, layer)
    return values.flatten(2).mean(dim=2) if layer == "code" and values.ndim > 2 else values


class Stages(nn.Module):
    """An encoder of four successive stages, one for each layer of :class:`Features`.

    Where two layers are the same, the stage between them is an ``Identity`` or a ``Flatten``.
    """

    to_local: nn.Module
    to_conv: nn.Module
    to_hidden: nn.Module
    to_code: nn.Module

    def prepare(self, x: Tensor) -> Tensor:
        """Return the input of the first stage: images in channels-last memory, which is faster."""
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

    def forward(self, x: Tensor) -> Features:
        """Encode samples (n, C, H, W) or (n, C, L)."""
        local = self.to_local(self.prepare(x))
        conv = self.to_conv(local)
        hidden = self.to_hidden(conv)
        return Features(local, conv, hidden, self.to_code(hidden))


def convolution(
    channels: int, wider: int, size: int, *, stride: int = 1, padding: int = 0, dropout: float = 0.0
) -> nn.Sequential:
    """Build a 2-D convolution, optional dropout, batch normalisation and a ReLU."""
    # Normalisation cancels a bias. In-place ReLU saves memory.
    return nn.Sequential(
        nn.Conv2d(channels, wider, size, stride=stride, padding=padding, bias=False),
        *([nn.Dropout2d(dropout)] if dropout else []),
        nn.BatchNorm2d(wider),
        nn.ReLU(inplace=True),
    )


def hidden_layer(n_inputs: int, units: int, *, dropout: float = 0.0) -> nn.Sequential:
    """Build a linear layer of flattened samples, batch normalisation and a ReLU."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(n_inputs, units, bias=False),
        *([nn.Dropout(dropout)] if dropout else []),
        nn.BatchNorm1d(units),
        nn.ReLU(),
    )


def check_images(name: str, input_shape: Shape, least: int = MIN_SIDE) -> None:
    """Raise a ValueError if samples are not images with sides of at least ``least``."""
    is_image = len(input_shape) == 3
    if not is_image or min(input_shape[1:]) < least:
        raise ValueError(
            f"encoder={name!r} encodes images (C, H, W) of at least {least}x{least} pixels, but "
            f"the samples have shape {input_shape}. Enlarge the images, or "
            f"{SMALLER if is_image and min(input_shape[1:]) >= MIN_SIDE else VECTORS}."
        )


def check_signals(name: str, input_shape: Shape) -> tuple[int, int]:
    """Return channels and length; raise a ValueError if samples are not long enough signals."""
    if len(input_shape) != 2 or input_shape[1] < MIN_SIDE:
        raise ValueError(
            f"encoder={name!r} encodes signals (C, L) of at least {MIN_SIDE} values a channel, "
            f"but the samples have shape {input_shape}. Give X as (n, C, L), or use "
            "encoder='columns' or 'mlp' for vectors and 'dcgan' or 'patches' for images."
        )
    channels, length = input_shape
    return channels, length


def check_vectors(name: str, input_shape: Shape) -> None:
    """Raise a ValueError if samples are not vectors."""
    if len(input_shape) != 1:
        raise ValueError(
            f"encoder={name!r} encodes vectors, but the samples have shape {input_shape}. "
            "Use encoder='auto', or an encoder of images or signals."
        )


def cut_patches(x: Tensor, side: int, n_patches: int) -> Tensor:
    """Cut patches (n_patches, C * side * side) at random places out of images (n, C, H, W)."""
    n, _, height, width = x.shape
    image, top, left = (
        torch.randint(count, (n_patches, 1, 1)).to(x.device)
        for count in (n, height - side + 1, width - side + 1)
    )
    span = torch.arange(side, device=x.device)
    return x[image, :, top + span[:, None], left + span].movedim(-1, 1).flatten(1)


def pool(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average maps (n, c, H, W) over the cells of a grid: (n, c, *grid).

    On accelerators by matrix products, unless the sides are multiples of the grid's: MPS has no
    other adaptive pooling before torch 2.11.
    """
    sides = x.shape[2:]
    if not any(side % n for side, n in zip(sides, grid, strict=True)):
        # With an equal result, this takes half the time of adaptive pooling.
        return avg_pool2d(x, (sides[0] // grid[0], sides[1] // grid[1]))
    if x.device.type in ("cpu", "meta"):
        return adaptive_avg_pool2d(x, grid)
    rows, columns = (
        means_of_cells(side, n, x.device).to(x.dtype) for side, n in zip(sides, grid, strict=True)
    )
    return rows @ x @ columns.T


def means_of_cells(side: int, n: int, device: torch.device) -> Tensor:
    """Return the matrix (n, side) that averages a side over cells, as adaptive pooling does."""
    cells, places = (torch.arange(k, device=device) for k in (n, side))
    first, last = cells * side // n, ((cells + 1) * side - 1) // n
    inside = (places >= first[:, None]) & (places <= last[:, None])
    return inside / (last - first + 1)[:, None]


def pool_both_signs(
    response: Tensor, threshold: float, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Average responses (n, c, H, W) of either sign beyond a threshold.

    Averages are over the cells of a grid; both have shape (n, c, *grid).
    """
    # The mean of the negative part is the mean of the positive part minus that of both.
    shrunk = softshrink(response, threshold)
    positive, signed = (pool(part, grid) for part in (relu(shrunk), shrunk))
    return positive, positive - signed


def in_parts(run: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Tensor:
    """Apply a function to ``size`` samples at a time, which fit the cache of a CPU.

    On other devices, and in an export, apply it to all samples at once.
    """
    if x.device.type != "cpu" or is_exporting():
        return run(x)
    return torch.cat([run(part) for part in torch.split(x, size)])
