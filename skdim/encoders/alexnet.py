"""The paper's encoder of larger images, after AlexNet."""

from torch import nn

from skdim.encoders.layers import Stages, check_images, convolution, hidden_layer

__all__ = ["AlexNetEncoder", "alexnet_layers", "pooled"]

MAP_UNITS = 192
LEAST_SIDE = 15


class AlexNetEncoder(Stages):
    """Encode images by five convolutions and two wide layers, after AlexNet.

    The paper's encoder of Tiny ImageNet and STL-10 at 64x64: 3x3 convolutions of 96, 192, 384, 384
    and 192 channels, the first two and the last followed by a maximum over 3x3 at stride 2. Local
    features are 384x15x15, after the third convolution; the last map is 192x7x7; of the two hidden
    layers of 4,096, ``hidden`` is the second. Other sizes halve likewise: 32x32 images give 384x7x7
    and 192x3x3.

    Nearly all of its 58,416,160 parameters (three channels, 64x64, 64 components) are in the two
    wide layers. An image costs 823 million multiplications, 38 times a 32x32 image of ``"dcgan"``.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 15.
    n_components : int
        Size of the code.
    hidden_units : int, default=4096
        Size of each hidden layer.

    Raises
    ------
    ValueError
        If the samples are no images, or smaller.

    References
    ----------
    Hjelm et al. (2019). Learning deep representations by mutual information estimation and
    maximization. ICLR. arXiv:1808.06670. Layers as in its public code, configuration
    ``alex64x64``.

    Krizhevsky, Sutskever and Hinton (2012). ImageNet classification with deep convolutional
    neural networks. NeurIPS.
    """

    def __init__(
        self, input_shape: tuple[int, ...], n_components: int, *, hidden_units: int = 4096
    ) -> None:
        super().__init__()
        check_images("alexnet", input_shape, LEAST_SIDE, "take 'dcgan' or 'patches', from 8x8 on")
        channels, height, width = input_shape
        layers = alexnet_layers(channels)
        self.to_local, self.to_conv = nn.Sequential(*layers[:3]), nn.Sequential(*layers[3:])
        n_inputs = MAP_UNITS * pooled(height) * pooled(width)
        self.to_hidden = nn.Sequential(
            hidden_layer(n_inputs, hidden_units), hidden_layer(hidden_units, hidden_units)
        )
        self.to_code = nn.Linear(hidden_units, n_components)


def alexnet_layers(channels: int) -> list[nn.Module]:
    """Build the five convolutions, each with what follows it.

    Returns
    -------
    list of Module
        Together from images (n, channels, h, w) to maps (n, 192, pooled(h), pooled(w)).
    """

    def layer(channels: int, wider: int, *, pool: bool = False) -> nn.Sequential:
        made = convolution(channels, wider, 3, padding=1)
        return made.append(nn.MaxPool2d(3, stride=2)) if pool else made

    return [
        layer(channels, 96, pool=True),
        layer(96, 192, pool=True),
        layer(192, 384),
        layer(384, 384),
        layer(384, MAP_UNITS, pool=True),
    ]


def pooled(side: int) -> int:
    """Return the side of a map after three maxima over 3x3 at stride 2."""
    for _ in range(3):
        side = (side - 1) // 2
    return side
