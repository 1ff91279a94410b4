"""The prior term: codes that cannot be told from draws of a prior."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from skdim.encoders import Features
from skdim.objectives.base import AbstractObjective, Batch, frozen
from skdim.priors import Prior

__all__ = ["PriorMatching"]


class PriorMatching(AbstractObjective):
    """Match the distribution of the codes to a prior, against a discriminator.

    Two terms. ``discriminator`` is the discriminator's loss, on codes that it cannot move;
    ``prior`` is the encoder's, non-saturating, against a discriminator that it cannot move.
    Adding one loss for both players, as public ports do, trains the encoder to be told from the
    prior instead.

    Parameters
    ----------
    prior : Prior
    discriminator : Module
        Codes (n, d) to logits (n, 1).
    weight : float, default=0.1
        Weight of the encoder's term: the paper's gamma. The discriminator's has weight 1: Adam
        would not feel a weight of its own.

    References
    ----------
    Hjelm et al. (2019), equation 7; Goodfellow et al. (2014), Generative adversarial nets, for
    the non-saturating form.
    """

    def __init__(self, prior: Prior, discriminator: nn.Module, *, weight: float = 0.1) -> None:
        super().__init__()
        self.prior = prior
        self.discriminator = discriminator
        self.weight = weight

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Give the terms of the two players; see ``AbstractObjective.forward``."""
        codes = torch.cat([all_globals(look.code) for look in looks])
        codes = self.prior.squash(codes)
        drawn = self.prior.sample(codes.shape, batch.generator, codes.device, codes.dtype)
        real = self.discriminator(drawn)
        fake = self.discriminator(codes.detach())
        fooled = frozen(self.discriminator, codes)
        return {
            "prior": self.weight * softplus(-fooled).mean(),
            "discriminator": softplus(-real).mean() + softplus(fake).mean(),
        }

    def score(self, features: Features, batch: Batch) -> None:
        """Measure nothing: an adversary's loss says how the game stands."""


def all_globals(code: Tensor) -> Tensor:
    """Lay codes (n, d, *grid) out as (n * g, d)."""
    return code.flatten(2).movedim(1, 2).flatten(0, 1) if code.ndim > 2 else code
