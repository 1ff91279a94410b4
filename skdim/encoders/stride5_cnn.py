"""An encoder of small images by one strided convolution and networks on each location."""

from torch import nn

from skdim.encoders.layers import Stages, check_images

__all__ = ["Stride5CNNEncoder"]

SIDE, STRIDE = 6, 5
LEAST_SIDE = SIDE + STRIDE


class Stride5CNNEncoder(Stages):
    """Encode images by a 6x6 convolution of stride 5, and by 1x1 convolutions behind it.

    The encoder of a widely read Keras tutorial on Deep InfoMax for MNIST: 32 channels, then 64, 128
    and 256 by 1x1 convolutions. Of 28x28 images, the local features are 256x5x5: 25 patches of 6x6
    pixels that overlap by one. They are the last map too; behind it are a hidden layer of 256 and a
    linear code, of 32 in the tutorial: 1,691,520 parameters. Nothing is normalised over the batch.

    Pixels at the right and lower border that no patch reaches are not seen: two rows and two
    columns of 28x28.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 11, which give 2x2 patches.
    n_components : int
        Size of the code.
    hidden_units : int, default=256
        Size of the hidden layer.

    Raises
    ------
    ValueError
        If the samples are no images, or smaller.

    References
    ----------
    The method is that of Hjelm et al. (2019), arXiv:1808.06670; this network is the tutorial's own.
    """

    def __init__(
        self, input_shape: tuple[int, ...], n_components: int, *, hidden_units: int = 256
    ) -> None:
        super().__init__()
        check_images("stride5_cnn", input_shape, LEAST_SIDE)
        channels, *sides = input_shape
        height, width = ((side - SIDE) // STRIDE + 1 for side in sides)
        self.to_local = nn.Sequential(
            nn.Conv2d(channels, 32, SIDE, stride=STRIDE),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 256, 1),
            nn.ReLU(inplace=True),
        )
        self.to_conv = nn.Identity()
        self.to_hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(256 * height * width, hidden_units), nn.ReLU()
        )
        self.to_code = nn.Linear(hidden_units, n_components)
