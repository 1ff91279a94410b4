"""Codes told from draws of a prior."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

__all__ = ["Discriminator", "keras_discriminator"]


class Discriminator(nn.Module):
    """Discriminate codes from draws of the prior: 1000-200-1 with ReLUs, as in the paper.

    Parameters
    ----------
    code_features : int
        Size of a code.
    units : sequence of int, default=(1000, 200)
        Sizes of the hidden layers.
    batch_norm : bool, default=False
        Whether hidden layers are normalised over the batch, in place of a bias. Codes and draws
        are judged in batches of their own.
    """

    def __init__(
        self, code_features: int, units: Sequence[int] = (1000, 200), *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([code_features, *units]):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU())
        last = nn.Linear([code_features, *units][-1], 1)
        self.network = nn.Sequential(*layers, last)

    def forward(self, code: Tensor) -> Tensor:
        """Score codes (n, d) by logits (n, 1); high means drawn from the prior."""
        logits: Tensor = self.network(code)
        return logits


def keras_discriminator(code_features: int) -> Discriminator:
    """Build the Keras tutorial's discriminator: 32-200-1, hidden layers normalised."""
    return Discriminator(code_features, (32, 200), batch_norm=True)
