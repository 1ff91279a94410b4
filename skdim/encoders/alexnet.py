"""The paper's encoder of larger images, after AlexNet."""

from torch import nn

from skdim.encoders.layers import Shape, Stages, check_images, convolution, hidden_layer

MAP_UNITS = 192


class AlexNetEncoder(Stages):
    """Encode images by five convolutions and two hidden layers, after AlexNet.

    The paper's encoder of Tiny ImageNet and STL-10 at 64x64: 3x3 convolutions of 96, 192, 384, 384
    and 192 channels, the first two and the last followed by 3x3 max pooling of stride 2. Local
    features, 384x15x15, are the output of the third; the last map is 192x7x7; ``hidden`` is the
    second of two layers of 4,096. For 32x32 images, maps are 384x7x7 and 192x3x3.

    There are 58,416,160 parameters (three channels, 64x64, 64 components), nearly all in the two
    hidden layers, and 823 million multiplications per image.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 15.
    n_components : int
        Size of the code.
    hidden_units : int, default=4096
        Size of each hidden layer.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configuration ``alex64x64``.

    Krizhevsky, Sutskever and Hinton (2012). ImageNet classification with deep convolutional
    neural networks. NeurIPS.
    """

    def __init__(self, input_shape: Shape, n_components: int, *, hidden_units: int = 4096) -> None:
        super().__init__()
        check_images("alexnet", input_shape, 15)
        channels, height, width = input_shape
        layers = alexnet_layers(channels)
        self.to_local, self.to_conv = nn.Sequential(*layers[:3]), nn.Sequential(*layers[3:])
        n_inputs = MAP_UNITS * pooled(height) * pooled(width)
        self.to_hidden = nn.Sequential(
            hidden_layer(n_inputs, hidden_units), hidden_layer(hidden_units, hidden_units)
        )
        self.to_code = nn.Linear(hidden_units, n_components)


def alexnet_layers(channels: int) -> list[nn.Module]:
    """Build five layers, from images (n, channels, h, w) to maps of 192 channels."""
    layers: list[nn.Module] = []
    for wider, pool in ((96, True), (192, True), (384, False), (384, False), (MAP_UNITS, True)):
        layer = convolution(channels, wider, 3, padding=1)
        layers.append(layer.append(nn.MaxPool2d(3, stride=2)) if pool else layer)
        channels = wider
    return layers


def pooled(side: int) -> int:
    """Return the side of a map after three 3x3 poolings of stride 2."""
    for _ in range(3):
        side = (side - 1) // 2
    return side
