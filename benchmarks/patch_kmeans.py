"""Single-layer patch k-means and random patches, the bar for features without a deep network.

After Coates, Lee and Ng (2011), An analysis of single-layer networks in unsupervised feature
learning (AISTATS), and Coates and Ng (2011), The importance of encoding versus training with sparse
coding and vector quantization (ICML): patches are normalised and whitened, clustered or drawn, and
an image is described by its patches' responses, averaged over the cells of a grid (its quadrants).
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize, unfold

# So many images at a time keep their responses in the cache of a core.
RESPONSES_IN_CACHE = 1 << 20


class PatchKMeans:
    """Describe images by the responses of their patches.

    Parameters
    ----------
    n_components : int
        Numbers an image gets: one of each cell for a centroid ("triangle"), or two ("threshold").
    patch : int, default=6
        Side of a patch, at most half the image's.
    stride : int, default=1
        Pixels from one patch to the next.
    encode : {"triangle", "threshold"}, default="triangle"
        How much nearer than on average a centroid is; or by how much the product with a
        centroid of unit length passes ``threshold``, for either sign.
    threshold : float, default=0.5
    cells : int, default=2
        Cells of the grid in each direction.
    rounds : int, default=10
        Rounds of k-means, each on ``n_patches`` / 2 patches. 0 takes patches as drawn.
    n_patches : int, default=100_000
        Patches to whiten and cluster.
    seed : int, default=0
    """

    def __init__(
        self,
        n_components: int,
        *,
        patch: int = 6,
        stride: int = 1,
        encode: str = "triangle",
        threshold: float = 0.5,
        cells: int = 2,
        rounds: int = 10,
        n_patches: int = 100_000,
        seed: int = 0,
    ) -> None:
        self.n_components = n_components
        self.patch = patch
        self.stride = stride
        self.encode = encode
        self.threshold = threshold
        self.cells = cells
        self.rounds = rounds
        self.n_patches = n_patches
        self.seed = seed

    def fit(self, X: NDArray) -> Self:
        """Whiten and cluster random patches of images (n, C, H, W), uint8."""
        self.side = min(self.patch, X.shape[2] // 2, X.shape[3] // 2)
        draw = torch.Generator().manual_seed(self.seed)
        flat = normalise(self.cut(torch.as_tensor(X), draw), 1)
        self.mean = flat.mean(0)
        variances, axes = torch.linalg.eigh(torch.cov(flat.T))
        self.whiten = axes * (variances.clamp(min=0) + 0.1).rsqrt() @ axes.T
        white = (flat - self.mean) @ self.whiten
        count = self.n_components // self.cells**2 // (1 if self.encode == "triangle" else 2)
        self.centroids = cluster(white, count, self.rounds, draw)
        if self.encode == "threshold":
            self.centroids = normalize(self.centroids, dim=1)
        return self

    def cut(self, images: Tensor, draw: torch.Generator) -> Tensor:
        """Cut patches at random places; (n_patches, C * side * side)."""
        n, _, height, width = images.shape
        which, top, left = (
            torch.randint(high, (self.n_patches, 1, 1), generator=draw)
            for high in (n, height - self.side + 1, width - self.side + 1)
        )
        span = torch.arange(self.side)
        patches = images[which, :, top + span[:, None], left + span]
        return patches.movedim(3, 1).reshape(self.n_patches, -1).float()

    def transform(self, X: NDArray) -> NDArray[np.float32]:
        """Describe images (n, C, H, W) by (n, n_components) numbers."""
        images = torch.as_tensor(X)
        places = images.shape[2] * images.shape[3] // self.stride**2
        at_once = max(1, RESPONSES_IN_CACHE // (places * len(self.centroids)))
        out = torch.empty(len(images), self.n_components)
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            out[part] = self.describe(images[part])
        return out.numpy()

    def describe(self, images: Tensor) -> Tensor:
        """Describe a few images."""
        flat = normalise(unfold(images.float(), self.side, stride=self.stride), 1)
        white = torch.matmul(self.whiten, flat - self.mean[:, None])
        products = torch.matmul(self.centroids, white)
        if self.encode == "triangle":
            norms = self.centroids.square().sum(1)[:, None]
            squares = products.mul_(-2).add_(norms).add_(white.square().sum(1, keepdim=True))
            distances = squares.clamp_(min=0).sqrt_()
            maps = [(distances.mean(1, keepdim=True) - distances).relu_()]
        else:
            maps = [(sign * products - self.threshold).relu_() for sign in (1, -1)]
        return torch.cat([self.pool(each, images.shape[2:]) for each in maps], dim=1)

    def pool(self, maps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Average responses (n, k, places) over the cells of the grid; (n, cells * cells * k)."""
        height, width = ((size - self.side) // self.stride + 1 for size in shape)
        pooled = adaptive_avg_pool2d(maps.unflatten(2, (height, width)), self.cells)
        return pooled.permute(0, 2, 3, 1).flatten(1)


def normalise(patches: Tensor, dim: int) -> Tensor:
    """Give each patch (along one axis) mean 0 and, but for flat ones, variance 1."""
    centred = patches - patches.mean(dim=dim, keepdim=True)
    return centred.div_((centred.square().mean(dim=dim, keepdim=True) + 10).sqrt_())


def cluster(rows: Tensor, count: int, rounds: int, draw: torch.Generator) -> Tensor:
    """Return centroids of rows by Lloyd's algorithm, each round on a random half of the rows.

    A centroid that no row is nearest to is drawn anew.
    """
    centroids = rows[torch.randperm(len(rows), generator=draw)[:count]].clone()
    for _ in range(rounds):
        drawn = rows[torch.randint(len(rows), (len(rows) // 2,), generator=draw)]
        norms = centroids.square().sum(1) / 2
        nearest = torch.cat([(p @ centroids.T - norms).argmax(1) for p in drawn.split(1024)])
        members = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, drawn)
        anew = drawn[torch.randint(len(drawn), (count,), generator=draw)]
        found = (members > 0)[:, None]
        centroids = torch.where(found, sums / members.clamp(min=1)[:, None], anew)
    return centroids
