"""The classifier term: a layer that tells the classes of the samples that have one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.encoders import Features
from skdim.objectives.base import AbstractCriterion, Batch, one_code

__all__ = ["Classification"]

UNKNOWN = -1


class Classification(AbstractCriterion):
    """Classify the samples whose class is known, by a small network on one layer.

    One hidden layer, normalised over all samples of the batch, labelled or not. The term is the
    mean cross-entropy in nats over the labelled ones, and 0 where the batch has none. With several
    looks, all are classified.

    Parameters
    ----------
    layer : {"code", "hidden", "conv", "local"}
        Layer of the features; maps are flattened, several globals averaged.
    sizes : Features
        Features of any samples, from which the size of the layer is read.
    n_classes : int
    weight : float, default=1.0
    units : int, default=200
        Size of the hidden layer: the paper's 200 for its classifiers.

    References
    ----------
    Hjelm et al. (2019), semi-supervised learning on STL-10; the reference code's ``classifier``.
    arXiv:1808.06670.
    """

    def __init__(
        self,
        layer: str,
        sizes: Features,
        n_classes: int,
        *,
        weight: float = 1.0,
        units: int = 200,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.weight = weight
        self.classifier = nn.Sequential(
            nn.Linear(flat_layer(sizes, layer).shape[1], units),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Linear(units, n_classes),
        )

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the one term, and note how many of the labelled samples were told right."""
        logits = self.classifier(torch.cat([flat_layer(look, self.layer) for look in looks]))
        classes = batch.y.repeat(len(looks))
        # Sums and counts, and no selection: how many are labelled is known to the device only.
        count = (classes != UNKNOWN).sum()
        # In single precision at least, as the bounds are.
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        total = cross_entropy(logits, classes, ignore_index=UNKNOWN, reduction="sum")
        right = (logits.detach().argmax(dim=1) == classes).sum()
        batch.notes["classifier_accuracy"] = torch.stack([right, count]).to(logits.dtype)
        return {"classifier": self.weight * total / count.clamp(min=1)}

    def score(self, features: Features, batch: Batch) -> None:
        """Measure nothing: what is wanted is information, for which no class is needed."""


def flat_layer(features: Features, layer: str) -> Tensor:
    """Take one layer as (n, d)."""
    taken: Tensor = one_code(features) if layer == "code" else getattr(features, layer)
    return taken.flatten(1)
