"""The residual encoders of the reference code."""

from collections.abc import Sequence

from torch import Tensor, nn

from skdim.encoders.layers import Shape, Stages, check_images, convolution, hidden_layer

# Number of blocks of each of three widths: 19 and 37 convolutions with the first.
RESNET19 = (2, 2, 2)
RESNET34 = (3, 6, 3)

FIRST_WIDTH = 64
# Channels of the output of a block over those of its 3x3 convolution.
EXPANSION = 4
MAP_UNITS = 4 * FIRST_WIDTH * EXPANSION


class ResNetEncoder(Stages):
    """Encode images by residual blocks of three convolutions ("bottlenecks").

    For 32x32 images: a 3x3 convolution of 64 channels at stride 2 (64x16x16); blocks of width 64
    (256x16x16); blocks of width 128, of which the first has stride 2 and outputs the local features
    (512x8x8); blocks of width 256, of which the first has stride 2, up to the last map (1024x4x4);
    a hidden layer of 1,024 and a linear code. For larger images the weights of the hidden layer
    grow with the number of pixels: 67 million for 64x64.

    ``"resnet19"`` has 2, 2 and 2 blocks, 19 convolutions and 20,281,216 parameters for three
    channels and 64 components; ``"resnet34"``, named as in the reference, has 3, 6 and 3 blocks, 37
    convolutions and 22,589,056 parameters.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of the code.
    blocks : sequence of three int, default=(2, 2, 2)
        Number of blocks of width 64, 128 and 256, at least one each.
    hidden_units : int, default=1024
        Size of the hidden layer.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configurations ``resnet19_32x32`` and
    ``resnet34_32x32``.

    He, Zhang, Ren and Sun (2016). Deep residual learning for image recognition. CVPR.
    arXiv:1512.03385.
    """

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        blocks: Sequence[int] = RESNET19,
        hidden_units: int = 1024,
    ) -> None:
        super().__init__()
        check_images("resnet34" if tuple(blocks) == RESNET34 else "resnet19", input_shape)
        channels, *sides = input_shape
        layers = residual_layers(channels, blocks)
        # The first convolution, the blocks of the first width, and the first strided block.
        n_local = 1 + blocks[0] + 1
        self.to_local = nn.Sequential(*layers[:n_local])
        self.to_conv = nn.Sequential(*layers[n_local:])
        height, width = (-(-side // 8) for side in sides)  # each of three strides rounds up
        self.to_hidden = hidden_layer(MAP_UNITS * height * width, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)


class Bottleneck(nn.Module):
    """A residual block of 1x1, 3x3 and 1x1 convolutions, of ``width`` channels between them.

    The output has four times as many channels; ``stride`` is that of the 3x3 convolution.
    """

    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        wider = EXPANSION * width
        self.change = nn.Sequential(
            convolution(channels, width, 1),
            convolution(width, width, 3, stride=stride, padding=1),
            projection(width, wider),
        )
        same = channels == wider and stride == 1
        self.shortcut = nn.Identity() if same else projection(channels, wider, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to maps (n, channels, h, w)."""
        changed: Tensor = self.relu(self.change(x) + self.shortcut(x))
        return changed


def projection(channels: int, wider: int, stride: int = 1) -> nn.Sequential:
    """Build a 1x1 convolution with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(channels, wider, 1, stride=stride, bias=False), nn.BatchNorm2d(wider)
    )


def residual_layers(channels: int, blocks: Sequence[int]) -> list[nn.Module]:
    """Build a convolution and the blocks: (n, channels, h, w) to (n, 1024, h / 8, w / 8)."""
    layers: list[nn.Module] = [convolution(channels, FIRST_WIDTH, 3, stride=2, padding=1)]
    channels = FIRST_WIDTH
    for i, count in enumerate(blocks):
        width = FIRST_WIDTH * 2**i
        for j in range(count):
            layers.append(Bottleneck(channels, width, stride=2 if i > 0 and j == 0 else 1))
            channels = EXPANSION * width
    return layers
