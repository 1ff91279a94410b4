"""Layers that are applied at every position of a map."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

__all__ = ["as_sequence", "at_positions"]

HAS_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def as_sequence(features: Tensor) -> Tensor:
    """Lay the positions of a map out in a row.

    Parameters
    ----------
    features : Tensor of shape (n, channels, *grid)
        Without a grid, there is one position.

    Returns
    -------
    Tensor of shape (n, positions, channels)
    """
    return features.reshape(*features.shape[:2], -1).mT


def at_positions(layer: nn.Linear, features: Tensor, *, relu: bool = False) -> Tensor:
    """Apply a linear layer, and a ReLU where asked for, at every position.

    On a CPU as a 1x1 convolution of a channels-last image. The sums are the same, but convolutions
    run in oneDNN, which uses AVX-512 wherever there is some. MKL, behind linear layers, does not on
    processors of AMD, and is half as fast there.

    Parameters
    ----------
    layer : Linear
    features : Tensor of shape (*batch, positions, channels)
    relu : bool, default=False

    Returns
    -------
    Tensor of shape (*batch, positions, units)
    """
    of_onednn = HAS_ONEDNN and features.device.type == "cpu" and features.dtype != torch.float64
    if not of_onednn or features.ndim < 3 or features.shape[-2] == 1:
        applied: Tensor = layer(features)
        return applied.relu() if relu else applied
    image = features.contiguous().flatten(0, -3)[:, None].movedim(-1, 1)  # (batch, c, 1, positions)
    convolved = conv2d(image, layer.weight[:, :, None, None], layer.bias)
    if relu:
        # In place before anything is a view of it: else backward would copy.
        convolved.relu_()
    return convolved.movedim(1, -1).reshape(*features.shape[:-1], -1)
