"""A decoder of images: the paper's encoder, mirrored."""

import torch
from torch import Tensor, nn

from skdim.decoders.layers import LEAST_SIDE, halvings, n_stages, widths

__all__ = ["DCGANDecoder"]


class DCGANDecoder(nn.Module):
    """Decode codes to images by transposed 4x4 convolutions, after DCGAN's generator.

    The mirror of :class:`~skdim.encoders.DCGANEncoder` without its hidden layer. For 32x32 images
    a linear layer gives a map 256x4x4; transposed convolutions of stride 2 make 128x8x8, 64x16x16
    and the image of it. Maps are normalised over the batch and cut off below zero; the image is
    linear, for standardised pixels. Each doubling of the shorter side beyond 32 has another
    convolution; odd sides come out exactly.

    Parameters
    ----------
    output_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of a code.

    Raises
    ------
    ValueError
        If that is no shape of images, or of smaller ones.

    References
    ----------
    Radford, Metz and Chintala (2016). Unsupervised representation learning with deep
    convolutional generative adversarial networks. ICLR. arXiv:1511.06434.
    """

    def __init__(self, output_shape: tuple[int, ...], n_components: int) -> None:
        super().__init__()
        if len(output_shape) != 3 or min(output_shape[1:]) < LEAST_SIDE:
            raise ValueError(
                f"DCGANDecoder decodes to images (C, H, W) of at least {LEAST_SIDE}x{LEAST_SIDE} "
                f"pixels, not to samples of shape {output_shape}. Take make_decoder, which finds "
                "what fits, or MLPDecoder, which gives any shape."
            )
        channels, *sides = output_shape
        stages = n_stages(min(sides), smallest=4)
        outer = [channels, *widths(stages)]
        heights, columns = (halvings(side, stages) for side in sides)
        self.to_map = nn.Sequential(
            nn.Linear(n_components, outer[-1] * heights[-1] * columns[-1], bias=False),
            nn.Unflatten(1, (outer[-1], heights[-1], columns[-1])),
            nn.BatchNorm2d(outer[-1]),
            nn.ReLU(),
        )
        layers: list[nn.Module] = []
        for i in reversed(range(stages)):
            # What halving an odd side has cut off is put back.
            odd = (heights[i] % 2, columns[i] % 2)
            layers.append(
                nn.ConvTranspose2d(
                    outer[i + 1], outer[i], 4, stride=2, padding=1, output_padding=odd, bias=i == 0
                )
            )
            if i > 0:
                layers += [nn.BatchNorm2d(outer[i]), nn.ReLU(inplace=True)]
        self.to_image = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stubs

    def forward(self, code: Tensor) -> Tensor:
        """Decode.

        Parameters
        ----------
        code : Tensor of shape (n, n_components)

        Returns
        -------
        Tensor of shape (n, C, H, W)
        """
        # As in the encoder: channels-last maps convolve faster.
        first = self.to_map(code).contiguous(memory_format=torch.channels_last)
        image: Tensor = self.to_image(first)
        return image
