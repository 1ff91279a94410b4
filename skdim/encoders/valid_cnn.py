"""An encoder of images by convolutions without padding or strides."""

import torch
from torch import Tensor, nn

from skdim.encoders.features import Features

__all__ = ["ValidCNNEncoder"]

LEAST_SIDE = 13


class ValidCNNEncoder(nn.Module):
    """Encode images by four 4x4 convolutions that neither pad nor stride.

    The encoder of a widely read PyTorch tutorial on Deep InfoMax, with 64, 128, 256 and 512
    channels. Maps hardly shrink: of 32x32 images, the local features are 128x26x26 after the
    second convolution (each sees 7x7 pixels), the last map is 512x20x20, and the code is one
    linear layer on all of its 204,800 numbers. An image costs 1.22 billion multiplications, 56
    times those of ``"dcgan"``; the encoder is here to be compared with.

    The biases that batch normalisation cancels are left out.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 13.
    n_components : int
        Size of the code.

    Raises
    ------
    ValueError
        If the samples are no images, or smaller.
    """

    def __init__(self, input_shape: tuple[int, ...], n_components: int) -> None:
        super().__init__()
        if len(input_shape) != 3 or min(input_shape[1:]) < LEAST_SIDE:
            raise ValueError(
                f"encoder='valid_cnn' encodes images (C, H, W) of at least {LEAST_SIDE}x"
                f"{LEAST_SIDE} pixels, since its four convolutions take 12 off each side, but the "
                f"samples have shape {input_shape}. Enlarge the images, or take another encoder: "
                "'dcgan' or 'patches' from 8x8 on, 'mlp' for vectors."
            )
        channels, height, width = input_shape
        self.to_local = nn.Sequential(
            nn.Conv2d(channels, 64, 4), nn.ReLU(inplace=True), convolution(64, 128)
        )
        self.to_conv = nn.Sequential(convolution(128, 256), convolution(256, 512))
        self.to_code = nn.Linear(512 * (height - 12) * (width - 12), n_components)

    def forward(self, x: Tensor) -> Features:
        """Encode.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)

        Returns
        -------
        Features
            With ``hidden`` the flattened ``conv``.
        """
        # Channels-last maps convolve faster, and their locations are rows for the critics.
        local = self.to_local(x.contiguous(memory_format=torch.channels_last))
        conv = self.to_conv(local)
        hidden = conv.flatten(1)
        return Features(local, conv, hidden, self.to_code(hidden))


def convolution(channels: int, wider: int) -> nn.Sequential:
    """Convolve, normalise over the batch, cut off below zero."""
    # In place: what comes before is not needed again, and these maps are large.
    return nn.Sequential(
        nn.Conv2d(channels, wider, 4, bias=False), nn.BatchNorm2d(wider), nn.ReLU(inplace=True)
    )
