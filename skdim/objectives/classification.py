"""The classifier term, for samples whose class is known."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.encoders import Features, layer_of
from skdim.objectives.base import AbstractCriterion, Batch
from skdim.pairs import in_full

UNKNOWN = -1


class Classification(AbstractCriterion):
    """Classify the samples whose class is known, by a network on one layer.

    The network has one hidden layer with batch normalisation over all samples, labelled or not.
    The term is the mean cross-entropy in nats over labelled samples, 0 if the batch has none. All
    looks are classified. There is no score, which must not need labels.

    Parameters
    ----------
    layer : {"code", "hidden", "conv", "local"}
        Layer of the features; maps are flattened, several globals averaged.
    sizes : Features
        Features of any samples, from which the size of the layer is read.
    n_classes : int
    weight : float, default=1.0
    units : int, default=200
        Size of the hidden layer, as in the paper.

    References
    ----------
    Hjelm et al. (2019), semi-supervised learning on STL-10; the reference code's ``classifier``.
    arXiv:1808.06670.
    """

    def __init__(
        self, layer: str, sizes: Features, n_classes: int, *, weight: float = 1.0, units: int = 200
    ) -> None:
        super().__init__()
        self.layer = layer
        self.weight = weight
        self.classifier = nn.Sequential(
            nn.Linear(layer_of(sizes, layer).flatten(1).shape[1], units),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Linear(units, n_classes),
        )

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the term, and record the accuracy on labelled samples."""
        layers = [layer_of(look, self.layer).flatten(1) for look in looks]
        logits = self.classifier(torch.cat(layers))
        classes = batch.y.repeat(len(looks))
        # Selecting the labelled samples would wait for the device.
        count = (classes != UNKNOWN).sum()
        logits = in_full(logits)
        total = cross_entropy(logits, classes, ignore_index=UNKNOWN, reduction="sum")
        n_correct = (logits.detach().argmax(dim=1) == classes).sum()
        batch.notes["classifier_accuracy"] = torch.stack([n_correct, count]).to(logits.dtype)
        return {"classifier": self.weight * total / count.clamp(min=1)}
