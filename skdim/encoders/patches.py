"""An encoder of images whose fixed features are made of patches of the images themselves."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d, normalize, relu, softshrink

from skdim.encoders.layers import check_images
from skdim.encoders.linear import AbstractStem, LinearEncoder

__all__ = ["PatchEncoder", "PatchLayer", "PatchStem"]

# Patches that are drawn, and how many of them each round of k-means looks at.
DRAWN = 30_000
LOOKED_AT = 15_000
ROUNDS = 8
# Share of the threshold in the spread of the responses.
THRESHOLD = 0.5
# Added to the variance of a patch before it is divided by: standardised images have variance 1.
SMALLEST_VARIANCE = 0.0025
# Added to the squared length of a whitened patch, as a share of its mean.
SMALLEST_LENGTH = 0.05
# Images whose maps set the second layer.
MAPS = 1000
# Principal channels of the first map that the second layer sees.
CHANNELS = 64
# Cells of the features, each way.
GRID = 2
IN_CACHE = 16
# torch 2.6 has no word for exporting alone.
is_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


class PatchLayer(nn.Module):
    """Compare each patch of a map with filters, by contrast-normalised, whitened patches.

    Each patch is projected on the leading whitened principal components of patches, brought to
    unit length, and compared with the filters, which are centroids of such patches (spherical
    k-means). Both signs of the responses pass a threshold, and are averaged over the cells of a
    grid.

    Parameters
    ----------
    channels : int
        Of the map.
    side : int
        Of a patch.
    rank : int
        Principal components of a patch that are kept.
    n_filters : int
    damping : float
        Added to the variances of normalised patches before whitening.
    """

    whiten: Tensor
    filters: Tensor
    floor: Tensor
    threshold: Tensor

    def __init__(self, channels: int, side: int, rank: int, n_filters: int, damping: float) -> None:
        super().__init__()
        rank = min(rank, channels * side**2)
        self.side = side
        self.damping = damping
        self.register_buffer("whiten", torch.zeros(rank, channels, side, side))
        self.register_buffer("filters", torch.zeros(n_filters, rank))
        self.register_buffer("floor", torch.ones(()))
        self.register_buffer("threshold", torch.zeros(()))

    @torch.no_grad()
    def adapt(self, x: Tensor) -> None:
        """Set whitening and filters from maps (n, channels, H, W)."""
        rank, n_filters = len(self.whiten), len(self.filters)
        patches = self.draw_patches(x)
        patches = patches - patches.mean(dim=1, keepdim=True)
        variance = patches.var(dim=1, keepdim=True)
        normal = patches / (variance + SMALLEST_VARIANCE).sqrt()
        variances, axes = torch.linalg.eigh(torch.cov(normal.T))
        leading = variances.flip(0)[:rank].clamp(min=0)
        whiten = axes.flip(1)[:, :rank] * (leading + self.damping).rsqrt()
        whitened = normalize(normal @ whiten, dim=1)
        filters = spherical_kmeans(whitened, n_filters)
        whiten = whiten - whiten.mean(dim=0)  # a filter that is blind to the mean of a patch
        lengths = (patches @ whiten).square().sum(dim=1)
        spread = (whitened[:LOOKED_AT] @ filters.T).std().clamp(min=1e-6)
        self.whiten.copy_(whiten.T.reshape(self.whiten.shape))
        self.filters.copy_(filters / spread)
        self.floor.copy_(SMALLEST_LENGTH * lengths.mean() + 1e-12)

    def draw_patches(self, x: Tensor) -> Tensor:
        """Cut patches at random places out of maps; shape (m, channels * side * side)."""
        n, _, height, width = x.shape
        places = n * (height - self.side + 1) * (width - self.side + 1)
        drawn = min(DRAWN, places)
        image = torch.randint(n, (drawn, 1, 1)).to(x.device)
        top = torch.randint(height - self.side + 1, (drawn, 1, 1)).to(x.device)
        left = torch.randint(width - self.side + 1, (drawn, 1, 1)).to(x.device)
        span = torch.arange(self.side, device=x.device)
        cut = x[image, :, top + span[:, None], left + span]
        return cut.movedim(-1, 1).flatten(1)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Map (n, channels, H, W) to (n, 2 * n_filters, *grid)."""
        whitened = conv2d(x, self.whiten).permute(0, 2, 3, 1)
        length = whitened.square().sum(dim=-1, keepdim=True) + self.floor
        response = ((whitened * length.rsqrt()) @ self.filters.T).permute(0, 3, 1, 2)
        # One tensor holds what passes of both signs. The negative ones are what the mean of the
        # positive ones has beyond the mean of both: a subtraction after pooling, when all is small.
        passed = softshrink(response, THRESHOLD)
        signed = adaptive_avg_pool2d(passed, grid)
        positive = adaptive_avg_pool2d(relu(passed), grid)
        return torch.cat([positive, positive - signed], dim=1)


class PatchStem(AbstractStem):
    """Two layers of patches: fixed features of images in a grid of 2x2 cells.

    The second layer sees the leading principal channels of the map that the first one gives. Each
    cell holds the square roots of what both layers average over it.

    Sizes follow from the image. Images of more than about 32 pixels a side are averaged down to
    that first. Patches are a fifth of the side, from 3 to 6 pixels.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``.
    n_filters : int, default=128
        Of the first layer.
    n_second : int, default=256
        Of the second layer.
    """

    center: Tensor
    channels: Tensor

    def __init__(
        self, input_shape: tuple[int, ...], *, n_filters: int = 128, n_second: int = 256
    ) -> None:
        super().__init__()
        self.shrink = max(1, round(min(input_shape[1:]) / 32))
        height, width = (side // self.shrink for side in input_shape[1:])
        side = min(6, max(3, round(0.19 * min(height, width))))
        self.map = (map_side(height - side + 1), map_side(width - side + 1))
        self.first = PatchLayer(input_shape[0], side, 32, n_filters, 0.1)
        n_channels = min(CHANNELS, 2 * n_filters)
        self.second = PatchLayer(n_channels, 3, 96, n_second, 0.3)
        self.register_buffer("center", torch.zeros(2 * n_filters))
        self.register_buffer("channels", torch.zeros(2 * n_filters, n_channels))
        self.out_shape = (2 * n_filters + 2 * n_second, GRID, GRID)

    @torch.no_grad()
    def adapt(self, x: Tensor) -> None:
        """Set both layers from standardised images (n, C, H, W)."""
        x = self.shrunk(x)
        self.first.adapt(x)
        some = x[torch.arange(min(len(x), MAPS)) * len(x) // min(len(x), MAPS)]
        maps = torch.cat([self.first(part, self.map) for part in torch.split(some, IN_CACHE)])
        pixels = maps.permute(0, 2, 3, 1).flatten(0, 2)[::3]
        self.center.copy_(pixels.mean(dim=0))
        variances, axes = torch.linalg.eigh(torch.cov(pixels.T))
        whiten = axes / (variances.clamp(min=0) + 0.02 * variances.mean() + 1e-12).sqrt()
        self.channels.copy_(whiten.flip(1)[:, : self.channels.shape[1]])
        self.second.adapt(self.reduced(maps))

    def shrunk(self, x: Tensor) -> Tensor:
        """Average large images down."""
        return avg_pool2d(x, self.shrink) if self.shrink > 1 else x

    def reduced(self, maps: Tensor) -> Tensor:
        """Return the leading principal channels of a map."""
        return ((maps.permute(0, 2, 3, 1) - self.center) @ self.channels).permute(0, 3, 1, 2)

    def respond(self, x: Tensor) -> Tensor:
        """Return the features of some images."""
        maps = self.first(self.shrunk(x), self.map)
        pooled = adaptive_avg_pool2d(maps, GRID)
        both = torch.cat([pooled, self.second(self.reduced(maps), (GRID, GRID))], dim=1)
        return both.clamp(min=0).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """Map standardised images (n, C, H, W) to (n, channels, 2, 2)."""
        x = x.contiguous(memory_format=torch.channels_last)
        # On a CPU the responses of a few images stay in its cache.
        # An exported model has no fixed number of images, nor of parts.
        if x.device.type != "cpu" or is_exporting():
            return self.respond(x)
        return torch.cat([self.respond(part) for part in torch.split(x, IN_CACHE)])


def map_side(side: int) -> int:
    """Return the cells of the first map along a side of so many places."""
    return side if side <= 6 else max(6, round(side / 3))


class PatchEncoder(LinearEncoder):
    """Encode images linearly in fixed features of whitened patches.

    The features are those of two layers of patches, :class:`PatchStem`: fixed networks of this kind
    are strong on small images and cost no training. ``conv`` holds them, in 2x2 cells.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of the code.
    n_filters, n_second : int, default=128, 256
        Filters of the first and of the second layer.
    local_units : int, default=256
        Channels of the local features.
    hidden_units : int, default=1024
        Size of the hidden layer; at least that of the code.

    References
    ----------
    Coates and Ng (2011). The importance of encoding versus training with sparse coding and vector
    quantization. ICML. (Filters of whitened patches, thresholds of both signs.)
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_components: int,
        *,
        n_filters: int = 128,
        n_second: int = 256,
        local_units: int = 256,
        hidden_units: int = 1024,
    ) -> None:
        check_images("patches", input_shape, 8)
        stem = PatchStem(input_shape, n_filters=n_filters, n_second=n_second)
        super().__init__(
            stem,
            n_components,
            local_units=local_units,
            hidden_units=hidden_units,
            n_coordinates=max(1024, n_components),
        )


def spherical_kmeans(x: Tensor, n_clusters: int) -> Tensor:
    """Cluster rows of unit length by their angles; return centroids of unit length (k, p)."""
    centroids = x[torch.randint(len(x), (n_clusters,)).to(x.device)].clone()
    for _ in range(ROUNDS):
        seen = x[torch.randint(len(x), (min(LOOKED_AT, len(x)),)).to(x.device)]
        nearest = (seen @ centroids.T).argmax(dim=1)
        total = torch.zeros_like(centroids).index_add_(0, nearest, seen)
        empty = total.norm(dim=1, keepdim=True) < 1e-6
        centroids = torch.where(empty, centroids, normalize(total, dim=1))
    return centroids
