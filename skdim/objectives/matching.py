"""The prior term: codes that cannot be told from draws of a prior."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from skdim.critics import Discriminator
from skdim.encoders import Features
from skdim.objectives.base import AbstractCriterion, Batch, frozen
from skdim.pairs import in_full
from skdim.priors import Prior

__all__ = ["PriorMatching", "make_discriminator"]


class PriorMatching(AbstractCriterion):
    """Match the distribution of the codes to a prior, against a discriminator.

    Two terms. ``discriminator`` is the discriminator's loss, on codes that it cannot move;
    ``prior`` is the encoder's, non-saturating, against a discriminator that it cannot move.
    Adding one loss for both players, as public ports do, trains the encoder to be told from the
    prior instead.

    Parameters
    ----------
    prior : Prior
        Its ``gradient_penalty`` is part of the term ``discriminator``.
    discriminator : Module
        Codes (n, d) to logits (n, 1).
    weight : float, default=0.1
        Weight of the encoder's term: the paper's gamma. The discriminator's has weight 1: Adam
        would not feel a weight of its own.

    References
    ----------
    Hjelm et al. (2019), equation 7; Goodfellow et al. (2014), Generative adversarial nets, for
    the non-saturating form; Mescheder et al. (2018), arXiv:1801.04406, for the penalty.
    """

    def __init__(self, prior: Prior, discriminator: nn.Module, *, weight: float = 0.1) -> None:
        super().__init__()
        self.prior = prior
        self.discriminator = discriminator
        self.weight = weight

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the two players; see ``AbstractCriterion.forward``."""
        codes = torch.cat([all_globals(look.code) for look in looks])
        codes = self.prior.squash(codes)
        drawn = self.prior.sample(codes.shape, batch.generator, codes.device, codes.dtype)
        loss = self.told_apart(drawn, codes.detach())
        fooled = in_full(frozen(self.discriminator, codes))
        return {"prior": self.weight * softplus(-fooled).mean(), "discriminator": loss}

    def told_apart(self, drawn: Tensor, codes: Tensor) -> Tensor:
        """Return the discriminator's loss on draws and codes, both (n, d) and without a past."""
        coefficient = self.prior.gradient_penalty
        if not coefficient:
            real, fake = self.discriminator(drawn), self.discriminator(codes)
            return discriminator_loss(real, fake)
        # A compiler cannot differentiate what it compiled twice.
        run = (
            torch.compiler.disable(penalised)  # type: ignore[no-untyped-call]
            if torch.compiler.is_compiling()
            else penalised
        )
        loss: Tensor = run(self.discriminator, drawn, codes, coefficient)
        return loss

    def score(self, features: Features, batch: Batch) -> None:
        """Measure nothing: an adversary's loss says how the game stands."""


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Sum the mean losses on logits of draws and of codes: 2 ln 2 where nothing is known."""
    # Logits may come in half precision; their losses are taken in single precision.
    return softplus(-in_full(real)).mean() + softplus(in_full(fake)).mean()


def penalised(discriminator: nn.Module, drawn: Tensor, codes: Tensor, coefficient: float) -> Tensor:
    """Return the discriminator's loss with its gradient penalty."""
    given = [drawn.detach().requires_grad_(), codes.detach().requires_grad_()]
    logits = [discriminator(points) for points in given]
    penalties = [
        torch.autograd.grad(in_full(scores).sum(), points, create_graph=True)[0]
        .square()
        .sum(dim=1)
        .mean()
        for scores, points in zip(logits, given, strict=True)
    ]
    return discriminator_loss(*logits) + coefficient * 0.5 * torch.stack(penalties).sum()


def make_discriminator(prior: Prior, code_features: int) -> nn.Module:
    """Build what a prior says should tell codes from its draws.

    Parameters
    ----------
    prior : Prior
    code_features : int
        Size of a code.

    Returns
    -------
    Module
        Codes (n, d) to logits (n, 1).

    Raises
    ------
    TypeError
        If the prior's callable gives no module.
    ValueError
        If its module gives no logits of that shape.
    """
    given: Any = prior.discriminator
    if given is None:
        return Discriminator(code_features)
    made = copy.deepcopy(given) if isinstance(given, nn.Module) else given(code_features)
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"The discriminator {given!r} of the prior gave an object of type "
            f"{type(made).__name__}. It must give a torch.nn.Module when called with the size of "
            "a code."
        )
    training = made.training
    here = next((weight.device for weight in made.parameters()), None)
    with torch.no_grad():
        logits = made.eval()(torch.zeros(2, code_features, device=here))
    made.train(training)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, 1):
        raise ValueError(
            f"The discriminator {type(made).__name__} of the prior gave {shape} for 2 codes of "
            f"size {code_features}. It must give logits of shape (2, 1)."
        )
    return made


def all_globals(code: Tensor) -> Tensor:
    """Lay codes (n, d, *grid) out as (n * g, d)."""
    return code.flatten(2).movedim(1, 2).flatten(0, 1) if code.ndim > 2 else code
