"""An encoder of images by convolutions without padding or strides."""

from torch import nn

from skdim.encoders.layers import Stages

__all__ = ["ValidCNNEncoder"]

LEAST_SIDE = 13


class ValidCNNEncoder(Stages):
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
            nn.Conv2d(channels, 64, 4), nn.ReLU(inplace=True), normalised_convolution(64, 128)
        )
        self.to_conv = nn.Sequential(
            normalised_convolution(128, 256), normalised_convolution(256, 512)
        )
        self.to_hidden = nn.Flatten()
        self.to_code = nn.Linear(512 * (height - 12) * (width - 12), n_components)


def normalised_convolution(channels: int, wider: int) -> nn.Sequential:
    """Convolve, normalise over the batch, cut off below zero."""
    # In place: what comes before is not needed again, and these maps are large.
    return nn.Sequential(
        nn.Conv2d(channels, wider, 4, bias=False), nn.BatchNorm2d(wider), nn.ReLU(inplace=True)
    )
