"""An encoder of images whose fixed features consist of patches of the images."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, normalize

from skdim.encoders.layers import Shape, check_images, cut_patches, in_parts, pool, pool_both_signs
from skdim.encoders.linear import AbstractStem, LinearEncoder

# Numbers of patches that are drawn per image, in total, and per round of k-means.
DRAWN_EACH = 10
DRAWN = 30_000
DRAWN_ROUND = 15_000
ROUNDS = 8
# Threshold of the responses, in standard deviations.
THRESHOLD = 0.5
# Added to the variance of a patch; standardised images have variance 1.
SMALLEST_VARIANCE = 0.0025
# Added to the squared length of a whitened patch, relative to its mean.
SMALLEST_LENGTH = 0.05
# Number of images that the second layer is set from, and of channels of its input.
MAPS = 1000
CHANNELS = 64
# Least number of positions of the second layer's patches in each direction for 3x3 cells.
POSITIONS = 6
# Factor of the ridge of covariances for few images; see LinearEncoder.
UNCERTAINTY = 0.25
# Images per part.
IN_CACHE = 16
# Maximum number of responses of an image that are computed at once.
RESPONSES = 2**17


class PatchLayer(nn.Module):
    """Compare the contrast-normalised, whitened patches of a map with filters.

    Patches are projected on their leading ``rank`` whitened principal components, scaled to unit
    length and multiplied by the filters: centroids of such patches (spherical k-means). Both signs
    of the responses are thresholded and averaged over the cells of a grid. ``damping`` is added to
    variances before whitening. In a mirrored layer, there are the mirror images of ``n_filters``
    filters as well, and principal components are even or odd, so that mirroring the map permutes
    the result's channels.
    """

    whiten: Tensor
    filters: Tensor
    floor: Tensor

    def __init__(
        self,
        channels: int,
        side: int,
        rank: int,
        n_filters: int,
        damping: float,
        *,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        rank = min(rank, channels * side**2)
        self.side = side
        self.n_filters = n_filters
        self.damping = damping
        self.mirrored = mirrored
        self.register_buffer("whiten", torch.zeros(rank, channels, side, side))
        self.register_buffer("filters", torch.zeros(n_filters * (2 if mirrored else 1), rank))
        self.register_buffer("floor", torch.ones(()))

    def adapt(self, x: Tensor, parity: Tensor) -> None:
        """Set whitening and filters from maps (n, channels, H, W).

        ``parity``, of shape (channels,), is -1 for channels whose sign changes under mirroring,
        else 1.
        """
        rank, side = len(self.whiten), self.side
        patches = self.draw_patches(x)
        # Even and odd channels have no common mean.
        centered = bool((parity > 0).all())
        if centered:
            patches = patches - patches.mean(dim=1, keepdim=True)
        variances = in_parts(lambda part: part.square().mean(dim=1, keepdim=True), patches, 1024)
        normal = patches / (variances + SMALLEST_VARIANCE).sqrt()
        unit = torch.eye(patches.shape[1]).to(x)
        mirror = unit
        if self.mirrored:
            mirror = unit.reshape(-1, len(parity), side, side).flip(3) * parity[:, None, None]
        variances, axes, signs = principal_pairs(torch.cov(normal.T), mirror.reshape(unit.shape))
        whiten = axes[:, :rank] * (variances[:rank].clamp(min=0) + self.damping).rsqrt()
        whitened = normalize(normal @ whiten, dim=1)
        filters = spherical_kmeans(whitened, self.n_filters, signs[:rank])
        if self.mirrored:
            filters = torch.cat([filters, filters * signs[:rank]])
        if centered:
            whiten = whiten - whiten.mean(dim=0)
        spread = (whitened[:DRAWN_ROUND] @ filters.T).std().clamp(min=1e-6)
        self.whiten.copy_(whiten.T.reshape(self.whiten.shape))
        self.filters.copy_(filters / spread)
        length = (patches @ whiten).square().sum(dim=1).mean()
        self.floor.copy_(SMALLEST_LENGTH * length + 1e-12)

    def draw_patches(self, x: Tensor) -> Tensor:
        """Cut patches (m, channels * side * side) at random places out of maps."""
        n, _, height, width = x.shape
        places = n * (height - self.side + 1) * (width - self.side + 1)
        return cut_patches(x, self.side, min(DRAWN, DRAWN_EACH * n, places))

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Map (n, channels, H, W) to (n, 2 * n_filters, *grid), or twice as many if mirrored."""
        whitened = conv2d(x, self.whiten).permute(0, 2, 3, 1)
        length = whitened.square().sum(dim=-1, keepdim=True) + self.floor
        normal = whitened * length.rsqrt()
        # Responses to all filters at once would not fit into the cache.
        n_parts = -(-whitened[0, ..., 0].numel() * len(self.filters) // RESPONSES)
        responses = (
            (normal @ filters.T).permute(0, 3, 1, 2) for filters in self.filters.chunk(n_parts)
        )
        signs = [pool_both_signs(response, THRESHOLD, grid) for response in responses]
        return torch.cat([sign for both in zip(*signs, strict=True) for sign in both], dim=1)

    def swapped(self, maps: Tensor) -> Tensor:
        """Exchange the channels of filters and of their mirror images."""
        return torch.cat([m.roll(m.shape[1] // 2, dims=1) for m in maps.chunk(2, dim=1)], dim=1)

    def averaged(self, maps: Tensor) -> Tensor:
        """Average the results of a mirrored layer over mirroring: (n, 2 * n_filters, *grid)."""
        if not self.mirrored:
            return maps
        itself, mirror, negative, negative_mirror = maps.chunk(4, dim=1)
        return torch.cat([itself + mirror.flip(3), negative + negative_mirror.flip(3)], dim=1) / 2


class PatchStem(AbstractStem):
    """Two layers of patches: fixed features of images in a grid of cells.

    The second layer has the leading principal channels of the first layer's map as input. Features
    are the square roots of the averages of both layers in each cell; if mirrored, averages over the
    image and its mirror image. Images of more than about 32 pixels a side are averaged down first.
    Patches have a fifth of the side, from 3 to 6 pixels. Parameters are those of
    :class:`PatchEncoder`.
    """

    center: Tensor
    channels: Tensor

    def __init__(
        self,
        input_shape: Shape,
        *,
        n_filters: int = 128,
        n_second: int | None = None,
        mirrored: bool | None = None,
        grid: int | None = None,
    ) -> None:
        super().__init__()
        mirrored = input_shape[0] == 3 if mirrored is None else mirrored
        n_second = (384 if mirrored else 256) if n_second is None else n_second
        self.shrink = max(1, round(min(input_shape[1:]) / 32))
        height, width = (side // self.shrink for side in input_shape[1:])
        side = min(6, max(3, round(0.19 * min(height, width))))
        self.map = (map_side(height - side + 1), map_side(width - side + 1))
        self.first = PatchLayer(input_shape[0], side, 32, n_filters, 0.1, mirrored=mirrored)
        n_maps = 2 * len(self.first.filters)
        n_channels = min(CHANNELS, n_maps)
        self.second = PatchLayer(n_channels, 3, 96, n_second, 0.3, mirrored=mirrored)
        self.register_buffer("center", torch.zeros(n_maps))
        self.register_buffer("channels", torch.zeros(n_maps, n_channels))
        grid = (3 if min(self.map) - 2 >= POSITIONS else 2) if grid is None else grid
        self.out_shape = (2 * (n_filters + n_second), grid, grid)

    def reduce(self, x: Tensor, n: int) -> Tensor:
        """Average large images down."""
        return avg_pool2d(x, self.shrink) if self.shrink > 1 else x

    def adapt(self, x: Tensor) -> None:
        """Set both layers from standardised images (n, C, H, W), after ``reduce``."""
        self.first.adapt(x, torch.ones(x.shape[1]).to(x))
        some = x[torch.arange(min(len(x), MAPS)) * len(x) // min(len(x), MAPS)]
        # Maps are computed twice, since keeping them would take much memory.
        pixels = in_parts(self.some_pixels, some, IN_CACHE)
        center, mirror = pixels.mean(dim=0), torch.eye(pixels.shape[1]).to(x)
        if self.first.mirrored:
            mirror = self.first.swapped(mirror)
            center = (center + mirror @ center) / 2
        self.center.copy_(center)
        variances, axes, signs = principal_pairs(torch.cov(pixels.T), mirror)
        whiten = axes / (variances.clamp(min=0) + 0.02 * variances.mean() + 1e-12).sqrt()
        n_channels = self.channels.shape[1]
        self.channels.copy_(whiten[:, :n_channels])
        del pixels
        maps = in_parts(lambda part: self.reduced(self.first(part, self.map)), some, IN_CACHE)
        self.second.adapt(maps, signs[:n_channels])

    def some_pixels(self, x: Tensor) -> Tensor:
        """Return a third of the pixels (m, channels) of the first layer's maps."""
        pixels: Tensor = self.first(x, self.map).permute(0, 2, 3, 1).flatten(0, 2)
        return pixels[::3].contiguous()

    def reduced(self, maps: Tensor) -> Tensor:
        """Return the leading principal channels of a map."""
        return ((maps.permute(0, 2, 3, 1) - self.center) @ self.channels).permute(0, 3, 1, 2)

    def respond(self, x: Tensor) -> Tensor:
        """Return the features of some images."""
        grid = (self.out_shape[1], self.out_shape[2])
        maps = self.first(self.reduce(x, x.shape[0]), self.map)
        pooled = self.first.averaged(pool(maps, grid))
        second = self.second.averaged(self.second(self.reduced(maps), grid))
        return torch.cat([pooled, second], dim=1).clamp(min=0).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """Map standardised images (n, C, H, W) to (n, channels, *grid)."""
        x = x.contiguous(memory_format=torch.channels_last)
        return in_parts(self.respond, x, IN_CACHE)


def map_side(side: int) -> int:
    """Return the number of cells of the first map along a side of patches."""
    return side if side <= 6 else max(6, round(side / 3))


class PatchEncoder(LinearEncoder):
    """Encode images linearly in fixed features of whitened patches.

    ``conv`` contains the features of two layers of patches and the expanded features, in a grid of
    cells.

    Parameters
    ----------
    input_shape : tuple of three int
        ``(C, H, W)``, with sides of at least 8.
    n_components : int
        Size of the code.
    n_filters : int, default=128
        Filters of the first layer, without mirror images.
    n_second : int, default=None
        Filters of the second layer, without mirror images; None is 384 if mirrored, else 256.
    mirrored : bool, default=None
        Whether an image and its mirror image have the same features; None is True for three
        channels only, since digits and letters change their meaning.
    grid : int, default=None
        Cells of the grid in each direction; None is 3 where the second layer's patches have at
        least 6 positions in each direction, as in images of 28 pixels a side, else 2.
    local_units : int, default=256
        Channels of the local features.
    hidden_units : int, default=1024
        Size of the hidden layer, at least that of the code.
    n_expanded : int, default=256
        Channels of the expanded features; see :class:`LinearEncoder`.

    References
    ----------
    Coates and Ng (2011). The importance of encoding versus training with sparse coding and vector
    quantization. ICML. (Filters of whitened patches, thresholds of both signs.)
    """

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        n_filters: int = 128,
        n_second: int | None = None,
        mirrored: bool | None = None,
        grid: int | None = None,
        local_units: int = 256,
        hidden_units: int = 1024,
        n_expanded: int = 256,
    ) -> None:
        check_images("patches", input_shape)
        stem = PatchStem(
            input_shape, n_filters=n_filters, n_second=n_second, mirrored=mirrored, grid=grid
        )
        super().__init__(
            stem,
            n_components,
            local_units=local_units,
            hidden_units=hidden_units,
            n_coordinates=max(1024, n_components),
            n_expanded=n_expanded,
            uncertainty=UNCERTAINTY,
        )


def principal_pairs(covariance: Tensor, mirror: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return variances (p,), in decreasing order, axes (p, p) as columns, and their signs (p,).

    They are principal axes of a covariance averaged over mirroring, which either keeps them (sign
    1) or negates them (-1). ``mirror`` is symmetric and its own inverse.
    """
    # In float64: of few different patches, eigh in float32 does not converge.
    mirror, given = mirror.double(), covariance.double()
    both = (given + mirror @ given @ mirror) / 2
    unit = torch.eye(len(mirror)).to(mirror)
    parts = []
    for sign in (1, -1):
        shares, axes = torch.linalg.eigh((unit + sign * mirror) / 2)
        space = axes[:, shares > 0.5]
        variances, turned = torch.linalg.eigh(space.T @ both @ space)
        parts.append((variances, space @ turned, sign * torch.ones_like(variances)))
    variances, axes, signs = (
        torch.cat(part, dim=-1).to(covariance) for part in zip(*parts, strict=True)
    )
    order = variances.argsort(descending=True)
    return variances[order], axes[:, order], signs[order]


def spherical_kmeans(x: Tensor, n_clusters: int, signs: Tensor) -> Tensor:
    """Cluster rows (n, p) of unit length by angle; return centroids (n_clusters, p) of unit length.

    A row times ``signs`` is its mirror image, which belongs to the same cluster.
    """
    centroids = x[torch.randint(len(x), (n_clusters,)).to(x.device)].clone()
    for _ in range(ROUNDS):
        drawn = x[torch.randint(len(x), (min(DRAWN_ROUND, len(x)),)).to(x.device)]
        if (signs < 0).any():
            mirrored = drawn * signs
            nearer = (mirrored @ centroids.T).amax(dim=1) > (drawn @ centroids.T).amax(dim=1)
            drawn = torch.where(nearer[:, None], mirrored, drawn)
        nearest = (drawn @ centroids.T).argmax(dim=1)
        total = torch.zeros_like(centroids).index_add_(0, nearest, drawn)
        empty = total.norm(dim=1, keepdim=True) < 1e-6
        centroids = torch.where(empty, centroids, normalize(total, dim=1))
    return centroids
