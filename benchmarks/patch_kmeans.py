"""Single-layer patch k-means, the bar for features without a deep network.

After Coates, Lee and Ng (2011), An analysis of single-layer networks in unsupervised feature
learning, and Coates and Ng (2012), Learning feature representations with k-means: patches are
normalised and whitened, clustered, and an image is described by how much nearer than on average
each centroid is to its patches ("triangle"), summed over its four quadrants.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn.functional import unfold


class PatchKMeans:
    """Describe images by the centroids of their patches.

    Parameters
    ----------
    n_components : int
        Numbers an image gets: four a centroid.
    patch : int, default=6
        Side of a patch, at most half the image's.
    n_patches : int, default=100_000
        Patches to whiten and cluster.
    seed : int, default=0
    """

    def __init__(
        self, n_components: int, *, patch: int = 6, n_patches: int = 100_000, seed: int = 0
    ) -> None:
        self.n_components = n_components
        self.patch = patch
        self.n_patches = n_patches
        self.seed = seed

    def fit(self, X: NDArray) -> Self:
        """Whiten and cluster random patches of images (n, C, H, W), uint8."""
        images = torch.as_tensor(X)
        n, _, height, width = images.shape
        self.side = min(self.patch, height // 2, width // 2)
        draw = torch.Generator().manual_seed(self.seed)
        which = torch.randint(n, (self.n_patches,), generator=draw)
        top = torch.randint(height - self.side + 1, (self.n_patches,), generator=draw)
        left = torch.randint(width - self.side + 1, (self.n_patches,), generator=draw)
        span = torch.arange(self.side)
        rows, columns = (top[:, None] + span)[:, :, None], (left[:, None] + span)[:, None, :]
        patches = images[which[:, None, None], :, rows, columns]  # (patches, side, side, C)
        flat = normalise(patches.permute(0, 3, 1, 2).reshape(self.n_patches, -1).float())
        self.mean = flat.mean(0)
        variances, axes = torch.linalg.eigh(torch.cov(flat.T))
        self.whiten = axes * (variances + 0.1).rsqrt() @ axes.T
        clusters = MiniBatchKMeans(
            self.n_components // 4, random_state=self.seed, batch_size=4096, n_init=1
        ).fit(((flat - self.mean) @ self.whiten).numpy())
        self.centroids = torch.as_tensor(clusters.cluster_centers_, dtype=torch.float32)
        return self

    def transform(self, X: NDArray) -> NDArray[np.float32]:
        """Describe images (n, C, H, W) by (n, n_components) numbers."""
        return torch.cat([self.describe(part) for part in torch.as_tensor(X).split(100)]).numpy()

    def describe(self, images: Tensor) -> Tensor:
        """Describe a few images."""
        height, width = (size - self.side + 1 for size in images.shape[2:])
        flat = normalise(unfold(images.float(), self.side).mT)
        distances = torch.cdist((flat - self.mean) @ self.whiten, self.centroids)
        nearer = (distances.mean(dim=2, keepdim=True) - distances).relu()
        maps = nearer.mT.reshape(len(images), -1, height, width)
        middle = (height + 1) // 2, (width + 1) // 2
        halves = [maps[:, :, : middle[0]], maps[:, :, middle[0] :]]
        quadrants = [q for h in halves for q in (h[..., : middle[1]], h[..., middle[1] :])]
        return torch.stack([q.sum(dim=(2, 3)) for q in quadrants], dim=2).flatten(1)


def normalise(patches: Tensor) -> Tensor:
    """Give each patch (the last axis) mean 0 and, but for flat ones, variance 1."""
    centred = patches - patches.mean(dim=-1, keepdim=True)
    return centred / (patches.var(dim=-1, keepdim=True) + 10).sqrt()
