"""Encoders of images as overlapping crops, each encoded separately."""

from collections.abc import Sequence

from torch import Tensor, nn

from skdim.encoders.alexnet import MAP_UNITS as ALEXNET_UNITS
from skdim.encoders.alexnet import alexnet_layers
from skdim.encoders.layers import Features, Shape, Stages, check_images, convolution, hidden_layer
from skdim.encoders.resnet import MAP_UNITS as RESNET_UNITS
from skdim.encoders.resnet import RESNET19, RESNET34, residual_layers

# Sides of crops that the trunks map to one location.
ALEXNET_CROP = 16
RESNET_CROP = 8


class Crops(nn.Module):
    """Encode overlapping square crops of images separately, and arrange the results as a map.

    Crops overlap by half, as in van den Oord et al. (2018), arXiv:1807.03748: 16x16 crops of 64x64
    pixels, or 8x8 crops of 32x32 pixels, form a grid of 7x7. Pixels at the right and lower border
    that fill no crop are ignored. ``trunk`` maps crops (m, C, side, side) to (m, c, 1, 1).
    """

    def __init__(self, trunk: nn.Module, side: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Encode images (n, C, H, W) to maps (n, c, rows of crops, columns of crops)."""
        cut = x.unfold(2, self.side, self.side // 2).unfold(3, self.side, self.side // 2)
        n, _, rows, columns = cut.shape[:4]
        # (n * rows * columns, C, side, side), in channels-last memory.
        crops = cut.movedim(1, 5).flatten(0, 2).movedim(3, 1)
        encoded: Tensor = self.trunk(crops)
        return encoded.reshape(n, rows, columns, encoded.shape[1]).movedim(3, 1)


def crops_along(side: int, crop: int) -> int:
    """Return the number of crops along one side of an image."""
    return (side - crop) // (crop // 2) + 1


class FoldedAlexNetEncoder(Stages):
    """Encode images by the convolutions of ``"alexnet"`` on 16x16 crops.

    For comparison with contrastive predictive coding. For 64x64 images, 7x7 crops at stride 8 yield
    local features of 192x7x7, and a 3x3 convolution of stride 2 the last map, 384x3x3; then follow
    a hidden layer of 4,096 and a linear code. 17,915,680 parameters for three channels, 64x64 and
    64 components.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 32: 3x3 crops.
    n_components : int
        Size of the code.
    hidden_units : int, default=4096
        Size of the hidden layer.
    dropout : float, default=0.1
        Share of the last map's channels, and of hidden units, that are dropped in training.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configuration ``foldalex64x64``.
    """

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        hidden_units: int = 4096,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_images("folded_alexnet", input_shape, 2 * ALEXNET_CROP)
        channels, *sides = input_shape
        self.to_local = Crops(nn.Sequential(*alexnet_layers(channels)), ALEXNET_CROP)
        wider = 2 * ALEXNET_UNITS
        self.to_conv = convolution(ALEXNET_UNITS, wider, 3, stride=2, dropout=dropout)
        height, width = ((crops_along(side, ALEXNET_CROP) - 3) // 2 + 1 for side in sides)
        self.to_hidden = hidden_layer(wider * height * width, hidden_units, dropout=dropout)
        self.to_code = nn.Linear(hidden_units, n_components)


class FoldedAlexNetMultiEncoder(nn.Module):
    """Encode images by 16x16 crops, with a code for each 3x3 of them: several globals.

    The local features are those of ``"folded_alexnet"``, 192x7x7 for 64x64 images. A 3x3
    convolution without padding yields the last map, 192x5x5, and a 1x1 convolution a code at each
    of its locations: 25 globals, each a function of 32x32 pixels. Each is trained against all local
    features; ``transform`` returns their mean. 3,169,696 parameters for three channels and 64
    components. Unlike those of the reference, the globals are linear, so that they can follow any
    prior.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 32: one global.
    n_components : int
        Size of each global.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configuration ``foldmultialex64x64``.
    """

    def __init__(self, input_shape: Shape, n_components: int) -> None:
        super().__init__()
        check_images("folded_alexnet_multi", input_shape, 2 * ALEXNET_CROP)
        self.to_local = Crops(nn.Sequential(*alexnet_layers(input_shape[0])), ALEXNET_CROP)
        self.to_conv = convolution(ALEXNET_UNITS, ALEXNET_UNITS, 3)
        self.to_code = nn.Conv2d(ALEXNET_UNITS, n_components, 1)

    def forward(self, x: Tensor) -> Features:
        """Encode images (n, C, H, W).

        ``code`` has shape (n, n_components, rows, columns), and ``hidden`` is the flattened
        ``conv``.
        """
        local = self.to_local(x)
        conv = self.to_conv(local)
        return Features(local, conv, conv.flatten(1), self.to_code(conv))


class FoldedResNetEncoder(Stages):
    """Encode images by residual blocks on 8x8 crops.

    For 32x32 images, 7x7 crops at stride 4 are each mapped to one location by the convolutions of
    ``"resnet19"`` or ``"resnet34"``. Local features and last map are 1024x7x7; then follow a hidden
    layer of 1,024 and a linear code. 54,884,224 and 57,192,064 parameters for three channels and 64
    components, of which 51 million in the hidden layer.

    ``"folded_resnet34"`` has 3, 6 and 3 blocks, as an earlier state of the reference code. In its
    last state the blocks of stride 2 are repeated zero times, and shapes do not match.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 12: 2x2 crops.
    n_components : int
        Size of the code.
    blocks : sequence of three int, default=(2, 2, 2)
        Number of blocks of width 64, 128 and 256, at least one each.
    hidden_units : int, default=1024
        Size of the hidden layer.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configurations ``foldresnet19_32x32`` and
    ``foldresnet34_32x32``.
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
        name = "folded_resnet34" if tuple(blocks) == RESNET34 else "folded_resnet19"
        check_images(name, input_shape, RESNET_CROP * 3 // 2)
        channels, *sides = input_shape
        self.to_local = Crops(nn.Sequential(*residual_layers(channels, blocks)), RESNET_CROP)
        height, width = (crops_along(side, RESNET_CROP) for side in sides)
        self.to_conv = nn.Identity()
        self.to_hidden = hidden_layer(RESNET_UNITS * height * width, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)
