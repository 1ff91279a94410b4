"""Decoders of images and signals: the convolutional encoders, mirrored."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

MIN_SIDE = 8
MAX_CHANNELS = 512
# Of the largest map of long signals.
MIN_CHANNELS = 16

# Transposed convolution and normalisation, by number of sides.
LAYERS: dict[int, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    1: (nn.ConvTranspose1d, nn.BatchNorm1d),
    2: (nn.ConvTranspose2d, nn.BatchNorm2d),
}


class Conv1dDecoder(nn.Module):
    """Decode codes to signals by transposed convolutions of size 4 and stride 2.

    The mirror image of :class:`~skdim.encoders.Conv1dEncoder` without its hidden layer: a linear
    layer and three transposed convolutions, and one more for each doubling of the length beyond
    128, with batch normalisation and ReLUs before the last one. Odd lengths are possible.

    Parameters
    ----------
    output_shape : tuple of two int
        ``(C, L)``, with a length of at least 8.
    n_components : int
        Size of a code.

    Raises
    ------
    ValueError
        If the shape is not that of signals, or of shorter ones.

    References
    ----------
    Donahue, McAuley and Puckette (2019). Adversarial audio synthesis. ICLR. arXiv:1802.04208.
    """

    def __init__(self, output_shape: tuple[int, ...], n_components: int) -> None:
        super().__init__()
        if len(output_shape) != 2 or output_shape[1] < MIN_SIDE:
            raise ValueError(
                f"Conv1dDecoder decodes to signals (C, L) of at least {MIN_SIDE} values a "
                f"channel, not to samples of shape {output_shape}. Use make_decoder, or MLPDecoder "
                "for any shape."
            )
        first, growing = mirrored_layers(output_shape, n_components, smallest=16)
        self.network = nn.Sequential(*first, *growing)

    def forward(self, code: Tensor) -> Tensor:
        """Decode codes (n, n_components) to signals (n, C, L)."""
        signal: Tensor = self.network(code)
        return signal


class DCGANDecoder(nn.Module):
    """Decode codes to images by transposed 4x4 convolutions, after DCGAN's generator.

    The mirror image of :class:`~skdim.encoders.DCGANEncoder` without its hidden layer. For 32x32
    images, a linear layer yields a map of 256x4x4, and transposed convolutions of stride 2 maps of
    128x8x8 and 64x16x16 and the image, with batch normalisation and ReLUs before the last one. Each
    doubling of the shorter side beyond 32 adds a convolution. Odd sides are possible.

    Parameters
    ----------
    output_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of a code.

    Raises
    ------
    ValueError
        If the shape is not that of images, or of smaller ones.

    References
    ----------
    Radford, Metz and Chintala (2016). Unsupervised representation learning with deep
    convolutional generative adversarial networks. ICLR. arXiv:1511.06434.
    """

    def __init__(self, output_shape: tuple[int, ...], n_components: int) -> None:
        super().__init__()
        if len(output_shape) != 3 or min(output_shape[1:]) < MIN_SIDE:
            raise ValueError(
                f"DCGANDecoder decodes to images (C, H, W) of at least {MIN_SIDE}x{MIN_SIDE} "
                f"pixels, not to samples of shape {output_shape}. Use make_decoder, or MLPDecoder "
                "for any shape."
            )
        first, growing = mirrored_layers(output_shape, n_components, smallest=4)
        self.to_map, self.to_image = nn.Sequential(*first), nn.Sequential(*growing)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs

    def forward(self, code: Tensor) -> Tensor:
        """Decode codes (n, n_components) to images (n, C, H, W)."""
        first = self.to_map(code).contiguous(memory_format=torch.channels_last)
        image: Tensor = self.to_image(first)
        return image


class Reshape(nn.Module):
    """Reshape rows (n, d) to (n, *shape).

    torch.compile cannot trace :class:`torch.nn.Unflatten` where draws are replayed (torch 2.13).
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Reshape rows."""
        return x.reshape(len(x), *self.shape)


def mirrored_layers(
    output_shape: tuple[int, ...], n_components: int, *, smallest: int
) -> tuple[list[nn.Module], list[nn.Module]]:
    """Build the layers up to the first map, with sides of about ``smallest``, and from there."""
    channels, *sides = output_shape
    n_stages = max(3, round(math.log2(min(sides) / smallest)))
    widths = [channels, *(min(64 * 2**i, MAX_CHANNELS) for i in range(n_stages))]
    if len(sides) == 1:
        widths[1:] = [max(widths[-1] // 2**i, MIN_CHANNELS) for i in reversed(range(n_stages))]
    # Of all maps, that of the sample first.
    grids = [[side // 2**i for side in sides] for i in range(n_stages + 1)]
    convolution, normalisation = LAYERS[len(sides)]
    first = [
        nn.Linear(n_components, widths[-1] * math.prod(grids[-1]), bias=False),
        Reshape(widths[-1], *grids[-1]),
        normalisation(widths[-1]),
        nn.ReLU(),
    ]
    growing: list[nn.Module] = []
    for i in reversed(range(n_stages)):
        odd = [side % 2 for side in grids[i]]
        sizes = {"stride": 2, "padding": 1, "output_padding": odd}
        growing.append(convolution(widths[i + 1], widths[i], 4, **sizes, bias=i == 0))
        if i > 0:
            growing += [normalisation(widths[i]), nn.ReLU(inplace=True)]
    return first, growing
