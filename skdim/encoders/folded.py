"""Encoders that see an image as overlapping crops, each encoded alone."""

from collections.abc import Sequence

from torch import Tensor, nn

from skdim.encoders.alexnet import MAP_UNITS as ALEXNET_UNITS
from skdim.encoders.alexnet import alexnet_layers
from skdim.encoders.features import Features
from skdim.encoders.layers import Stages, check_images, convolution, hidden_layer
from skdim.encoders.resnet import MAP_UNITS as RESNET_UNITS
from skdim.encoders.resnet import RESNET19, RESNET34, residual_layers

__all__ = ["Crops", "FoldedAlexNetEncoder", "FoldedAlexNetMultiEncoder", "FoldedResNetEncoder"]

# The trunks bring a crop of this side down to one location.
ALEXNET_CROP = 16
RESNET_CROP = 8

SMALLER = "take 'dcgan' or 'patches', from 8x8 on"


class Crops(nn.Module):
    """Encode overlapping square crops of images, each alone, and fold them back to a map.

    Crops overlap by half, in both directions: 16x16 crops of 64x64 pixels, or 8x8 crops of 32x32
    pixels, make a grid of 7x7. Pixels at the right and lower border that fill no crop are not seen.
    A crop's padding is zeros, never its neighbours' pixels; through batch normalisation crops meet
    in training only.

    Parameters
    ----------
    trunk : Module
        From crops (m, C, side, side) to (m, c, 1, 1).
    side : int
        Of a crop; even.

    References
    ----------
    van den Oord, Li and Vinyals (2018). Representation learning with contrastive predictive
    coding. arXiv:1807.03748. (7x7 crops that overlap by half.)
    """

    def __init__(self, trunk: nn.Module, side: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        """Encode images (n, C, H, W) to maps (n, c, rows of crops, columns of crops)."""
        cut = x.unfold(2, self.side, self.side // 2).unfold(3, self.side, self.side // 2)
        n, _, rows, columns = cut.shape[:4]
        # (n * rows * columns, C, side, side): a crop is a sample of the trunk. In memory the
        # channels come last: such maps convolve faster.
        crops = cut.movedim(1, 5).flatten(0, 2).movedim(3, 1)
        encoded: Tensor = self.trunk(crops)
        return encoded.reshape(n, rows, columns, encoded.shape[1]).movedim(3, 1)


def crops_along(side: int, crop: int) -> int:
    """Count the crops along one side of an image."""
    return (side - crop) // (crop // 2) + 1


class FoldedAlexNetEncoder(Stages):
    """Encode images by 16x16 crops, each put through AlexNet's convolutions alone.

    Made for comparison with contrastive predictive coding, which sees an image so. Of 64x64
    images, 7x7 crops at stride 8 go through the convolutions of ``"alexnet"`` and are folded to the
    local features, 192x7x7; a 3x3 convolution of stride 2 makes the last map of them, 384x3x3,
    behind which are a hidden layer of 4,096 and a linear code. 17,915,680 parameters for three
    channels, 64x64 and 64 components. Biases that batch normalisation cancels are left out.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 32, which give 3x3 crops.
    n_components : int
        Size of the code.
    hidden_units : int, default=4096
        Size of the hidden layer.
    dropout : float, default=0.1
        Share of the last map's channels and of the hidden units left out in training.

    Raises
    ------
    ValueError
        If the samples are no images, or smaller.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configuration ``foldalex64x64`` ("used for
    STL10 CPC comparison").
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        hidden_units: int = 4096,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        check_images("folded_alexnet", input_shape, 2 * ALEXNET_CROP, SMALLER)
        channels, *sides = input_shape
        self.to_local = Crops(nn.Sequential(*alexnet_layers(channels)), ALEXNET_CROP)
        wider = 2 * ALEXNET_UNITS
        self.to_conv = convolution(ALEXNET_UNITS, wider, 3, stride=2, dropout=dropout)
        height, width = ((crops_along(side, ALEXNET_CROP) - 3) // 2 + 1 for side in sides)
        self.to_hidden = hidden_layer(wider * height * width, hidden_units, dropout=dropout)
        self.to_code = nn.Linear(hidden_units, n_components)


class FoldedAlexNetMultiEncoder(nn.Module):
    """Encode images by 16x16 crops, with a code for each 3x3 of them: several globals.

    The local features are those of ``"folded_alexnet"``, 192x7x7 of 64x64 images. A 3x3 convolution
    without padding makes the last map, 192x5x5, and a 1x1 convolution a code at each of its
    locations: 25 globals, of which each sees 3x3 crops (32x32 pixels). Each is trained against all
    local features; ``transform`` gives their mean. 3,169,696 parameters for three channels and 64
    components, whatever the size of the images.

    The reference's globals have 192 numbers and end in batch normalisation and a ReLU. Here they
    are linear, as all codes are, so that they can follow any prior.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 32, which give one global.
    n_components : int
        Size of each global.

    Raises
    ------
    ValueError
        If the samples are no images, or smaller.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configuration ``foldmultialex64x64`` ("used
    for STL10 CPC comparison").
    """

    def __init__(self, input_shape: tuple[int, ...], n_components: int) -> None:
        super().__init__()
        check_images("folded_alexnet_multi", input_shape, 2 * ALEXNET_CROP, SMALLER)
        self.to_local = Crops(nn.Sequential(*alexnet_layers(input_shape[0])), ALEXNET_CROP)
        self.to_conv = convolution(ALEXNET_UNITS, ALEXNET_UNITS, 3)
        self.to_code = nn.Conv2d(ALEXNET_UNITS, n_components, 1)

    def forward(self, x: Tensor) -> Features:
        """Encode.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)

        Returns
        -------
        Features
            With a code of shape (n, n_components, rows, columns), and ``hidden`` the flattened
            ``conv``.
        """
        local = self.to_local(x)
        conv = self.to_conv(local)
        return Features(local, conv, conv.flatten(1), self.to_code(conv))


class FoldedResNetEncoder(Stages):
    """Encode images by 8x8 crops, each put through residual blocks alone.

    Of 32x32 images, 7x7 crops at stride 4 go through the convolutions of ``"resnet19"`` or
    ``"resnet34"``, which bring each down to one location, and are folded to the local features,
    1024x7x7. These are the last map too; behind them are a hidden layer of 1,024 and a linear code.
    54,884,224 and 57,192,064 parameters for three channels and 64 components, of which the hidden
    layer has 51 million.

    ``"folded_resnet34"`` has the 3, 6 and 3 blocks of ``"resnet34"``. That is what the reference
    means: its code calls the network ``foldresnet37``, which counts the convolutions of these
    blocks, and an earlier state of it has them. In its last state the two blocks of stride 2 are
    repeated zero times, and so are missing: crops of 4x4 locations are then folded into 16 times
    the channels, which the next layer does not fit.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 12, which give 2x2 crops.
    n_components : int
        Size of the code.
    blocks : sequence of three int, default=(2, 2, 2)
        Number of blocks of width 64, 128 and 256, at least one each.
    hidden_units : int, default=1024
        Size of the hidden layer.

    Raises
    ------
    ValueError
        If the samples are no images, or smaller.

    References
    ----------
    Hjelm et al. (2019), arXiv:1808.06670: public code, configurations ``foldresnet19_32x32`` and
    ``foldresnet34_32x32`` ("used in the CIFAR10 CPC comparison").
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        blocks: Sequence[int] = RESNET19,
        hidden_units: int = 1024,
    ) -> None:
        super().__init__()
        name = "folded_resnet34" if tuple(blocks) == RESNET34 else "folded_resnet19"
        check_images(name, input_shape, RESNET_CROP * 3 // 2, SMALLER)
        channels, *sides = input_shape
        self.to_local = Crops(nn.Sequential(*residual_layers(channels, blocks)), RESNET_CROP)
        height, width = (crops_along(side, RESNET_CROP) for side in sides)
        self.to_conv = nn.Identity()
        self.to_hidden = hidden_layer(RESNET_UNITS * height * width, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)
