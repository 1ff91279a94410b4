"""The encoders of two widely read tutorials on Deep InfoMax."""

from torch import nn

from skdim.encoders.layers import Shape, Stages, check_images, convolution

# Size and stride of the first convolution of Stride5CNNEncoder.
SIDE, STRIDE = 6, 5


class Stride5CNNEncoder(Stages):
    """Encode images by a 6x6 convolution of stride 5 and three 1x1 convolutions.

    The encoder of a Keras tutorial on Deep InfoMax for MNIST, with 32, 64, 128 and 256 channels
    without normalisation. For 28x28 images, local features and last map are 256x5x5: patches of 6x6
    pixels that overlap by one. Then follow a hidden layer of 256 and a linear code, of 32 in the
    tutorial: 1,691,520 parameters. Pixels at the right and lower border that fill no patch are
    ignored: two rows and columns of 28x28.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 11: 2x2 patches.
    n_components : int
        Size of the code.
    hidden_units : int, default=256
        Size of the hidden layer.
    """

    def __init__(self, input_shape: Shape, n_components: int, *, hidden_units: int = 256) -> None:
        super().__init__()
        check_images("stride5_cnn", input_shape, SIDE + STRIDE)
        channels, *sides = input_shape
        height, width = ((side - SIDE) // STRIDE + 1 for side in sides)
        layers: list[nn.Module] = [nn.Conv2d(channels, 32, SIDE, stride=STRIDE)]
        for units in (32, 64, 128):
            layers += [nn.ReLU(inplace=True), nn.Conv2d(units, 2 * units, 1)]
        self.to_local = nn.Sequential(*layers, nn.ReLU(inplace=True))
        self.to_conv = nn.Identity()
        self.to_hidden = nn.Sequential(
            nn.Flatten(), nn.Linear(256 * height * width, hidden_units), nn.ReLU()
        )
        self.to_code = nn.Linear(hidden_units, n_components)


class ValidCNNEncoder(Stages):
    """Encode images by four 4x4 convolutions without padding or strides.

    The encoder of a PyTorch tutorial on Deep InfoMax, with 64, 128, 256 and 512 channels. For 32x32
    images, local features are 128x26x26 after the second convolution (each sees 7x7 pixels), the
    last map is 512x20x20, and the code is linear in its 204,800 values. An image costs 1.22 billion
    multiplications, 56 times those of ``"dcgan"``; use it for comparison only.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 13.
    n_components : int
        Size of the code.
    """

    def __init__(self, input_shape: Shape, n_components: int) -> None:
        super().__init__()
        check_images("valid_cnn", input_shape, 13)
        channels, height, width = input_shape
        self.to_local = nn.Sequential(
            nn.Conv2d(channels, 64, 4), nn.ReLU(inplace=True), convolution(64, 128, 4)
        )
        self.to_conv = nn.Sequential(convolution(128, 256, 4), convolution(256, 512, 4))
        self.to_hidden = nn.Flatten()
        self.to_code = nn.Linear(512 * (height - 12) * (width - 12), n_components)
