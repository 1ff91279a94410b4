"""A trained network of images whose first layer consists of patches of the images."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from skdim.encoders.layers import (
    Shape,
    Stages,
    check_images,
    convolution,
    cut_patches,
    hidden_layer,
    in_parts,
    pool_both_signs,
)

# Cells of the grid in each direction.
GRID = 4
# Number of patches that filters are set from.
DRAWN = 20_000
# Images per part: seven times as fast as a whole batch.
IN_CACHE = 32
# Threshold of the filters' responses, and share of the patches' variance added before whitening.
THRESHOLD = 0.5
DAMPING = 1e-3


class PatchNetworkEncoder(Stages):
    """Encode images by whitened patches, followed by a small trained network.

    The filters of the first layer are random patches of the training images, whitened and scaled to
    unit length, and fixed. Both signs of their responses are thresholded and averaged over a grid
    of 4x4 cells. The trained layers are a 1x1 convolution (the local features, one per cell), a 2x2
    convolution (the last map), a hidden layer and a linear code. Filters overlap threefold, at
    about 16 steps along the shorter side.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of the code.
    n_filters : int, default=128
        Number of filters.
    local_units : int, default=128
        Channels of the local features.
    map_units : int, default=256
        Channels of the last map, of 2x2 cells.
    hidden_units : int, default=1024
        Size of the hidden layer.

    References
    ----------
    Coates and Ng (2011). The importance of encoding versus training with sparse coding and vector
    quantization. ICML. (Random patches as filters, thresholds of both signs.)
    """

    filters: Tensor
    offset: Tensor

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        n_filters: int = 128,
        local_units: int = 128,
        map_units: int = 256,
        hidden_units: int = 1024,
    ) -> None:
        super().__init__()
        check_images("patch_network", input_shape)
        channels, side = input_shape[0], min(input_shape[1:])
        self.stride = max(1, round(side / 16))
        self.side = max(4, 3 * self.stride)
        self.register_buffer("filters", torch.zeros(n_filters, channels, self.side, self.side))
        self.register_buffer("offset", torch.zeros(n_filters))
        self.to_local = nn.Sequential(
            nn.BatchNorm2d(2 * n_filters),
            nn.Conv2d(2 * n_filters, local_units, 1, bias=False),
            nn.BatchNorm2d(local_units),
            nn.ReLU(),
        )
        self.to_conv = convolution(local_units, map_units, 2, stride=2)
        self.to_hidden = hidden_layer(map_units * (GRID // 2) ** 2, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)

    def reduce(self, x: Tensor, n: int) -> Tensor:
        """Cut patches out of some of ``n`` standardised images (m, C, H, W)."""
        return cut_patches(x, self.side, -(-DRAWN * len(x) // n))

    @torch.no_grad()
    def adapt(self, patches: Tensor) -> None:
        """Set the filters from the patches (n_patches, C * side * side) of ``reduce``."""
        mean = patches.mean(dim=0)
        variances, axes = torch.linalg.eigh(torch.cov(patches.T))
        damping = (DAMPING * variances.sum()).clamp(min=1e-12)
        whiten = axes * (variances.clamp(min=0) + damping).rsqrt() @ axes.T
        chosen = torch.randint(len(patches), (len(self.filters),)).to(patches.device)
        directions = nn.functional.normalize((patches[chosen] - mean) @ whiten, dim=1)
        filters = directions @ whiten
        self.filters.copy_(filters.reshape(self.filters.shape))
        self.offset.copy_(-filters @ mean)

    def respond(self, x: Tensor) -> Tensor:
        """Return the averaged responses (n, 2 * n_filters, 4, 4) of some images."""
        before = (self.side - self.stride) // 2
        after = self.side - self.stride - before
        padded = pad(x, (before, after, before, after), mode="reflect")
        response = conv2d(
            padded.contiguous(memory_format=torch.channels_last),
            self.filters.contiguous(memory_format=torch.channels_last),
            self.offset,
            stride=self.stride,
        )
        return torch.cat(pool_both_signs(response, THRESHOLD, (GRID, GRID)), dim=1)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the averaged responses of all images."""
        return in_parts(self.respond, x, IN_CACHE)
