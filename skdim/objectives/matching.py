"""The prior term: codes are matched to a prior by a discriminator."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from skdim.critics import Discriminator
from skdim.encoders import Features
from skdim.objectives.base import AbstractCriterion, Batch, frozen
from skdim.pairs import in_full, uncompiled
from skdim.parameters import any_of, choice, instance
from skdim.priors import PRIORS, Prior

PRIOR_RULE = any_of(choice(PRIORS), instance("a skdim.priors.Prior", Prior))


def find_prior(prior: str | Prior, **changes: Any) -> Prior:
    """Return a prior as it is, or the one of a key with some fields changed."""
    return replace(PRIORS[prior], **changes) if isinstance(prior, str) else prior


class PriorMatching(AbstractCriterion):
    """Match the distribution of the codes to a prior, against a discriminator.

    Two terms. ``discriminator`` is the loss of the discriminator on detached codes. ``prior`` is
    the non-saturating loss of the encoder against a frozen discriminator. A single loss for both
    players, as in public ports, would train the encoder to be discriminated from the prior. There
    is no score, since the losses of adversaries do not measure the quality of a code.

    Parameters
    ----------
    prior : Prior
        Its ``gradient_penalty`` is part of the term ``discriminator``.
    discriminator : Module
        Maps codes (n, d) to logits (n, 1).
    weight : float, default=0.1
        Weight of the encoder's term: the paper's gamma. The discriminator's has weight 1, since
        Adam does not depend on the scale of a loss.

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
        drawn = self.prior.draw_like(codes, batch.generator)
        loss = adversarial_loss(
            self.discriminator,
            [drawn],
            [codes.detach()],
            penalty=self.prior.gradient_penalty,
            penalise_fake=True,
        )
        logits = in_full(frozen(self.discriminator, codes))
        return {"prior": self.weight * softplus(-logits).mean(), "discriminator": loss}

    def draw_codes(self, size: tuple[int, int], generator: Generator) -> Tensor | None:
        """Return codes from the prior; see ``AbstractCriterion.draw_codes``."""
        return self.prior.draw_codes(size, generator)


def adversarial_loss(
    discriminator: nn.Module,
    real: Sequence[Tensor],
    fake: Sequence[Tensor],
    *,
    penalty: float,
    penalise_fake: bool = False,
) -> Tensor:
    """Compute the loss of a discriminator, whose logits (n, 1) are high for real: 2 ln 2 at chance.

    ``real`` and ``fake`` are its arguments, detached tensors (n, ...). The penalty is the weight of
    half the mean squared length of the gradient in ``real`` and, if asked, in ``fake``.
    """
    if not penalty:
        return loss_of(discriminator(*real), discriminator(*fake))
    # The gradient of a module with buffers cannot be compiled.
    run = uncompiled(penalised_loss) if has_buffers(discriminator) else penalised_loss
    return run(discriminator, real, fake, penalty, penalise_fake)


def has_buffers(module: nn.Module) -> bool:
    """Whether a module has buffers, such as running statistics."""
    return next(module.buffers(), None) is not None


def penalised_loss(
    discriminator: nn.Module,
    real: Sequence[Tensor],
    fake: Sequence[Tensor],
    penalty: float,
    penalise_fake: bool,
) -> Tensor:
    """Compute the loss of a discriminator with its gradient penalty."""
    of_real, gradients = logits_and_gradients(discriminator, real)
    if penalise_fake:
        of_fake, more = logits_and_gradients(discriminator, fake)
        gradients = [*gradients, *more]
    else:
        of_fake = discriminator(*fake)
    squares = [part.flatten(1).square().sum(dim=1).mean() for part in gradients]
    return loss_of(of_real, of_fake) + penalty * 0.5 * torch.stack(squares).sum()


def logits_and_gradients(
    discriminator: nn.Module, inputs: Sequence[Tensor]
) -> tuple[Tensor, Sequence[Tensor]]:
    """Return the logits of a discriminator, and their gradients in its inputs."""
    points = [part.detach() for part in inputs]
    if has_buffers(discriminator):
        # Not by torch.func.grad, in which running statistics cannot change.
        points = [point.requires_grad_() for point in points]
        logits = discriminator(*points)
        return logits, torch.autograd.grad(in_full(logits).sum(), points, create_graph=True)

    def total(*points: Tensor) -> tuple[Tensor, Tensor]:
        logits = discriminator(*points)
        return in_full(logits).sum(), logits

    gradient = torch.func.grad(total, argnums=tuple(range(len(points))), has_aux=True)
    gradients, logits = gradient(*points)
    return logits, gradients


def loss_of(real: Tensor, fake: Tensor) -> Tensor:
    """Sum the mean losses on logits of both kinds, in at least single precision."""
    return softplus(-in_full(real)).mean() + softplus(in_full(fake)).mean()


def make_discriminator(prior: Prior, code_features: int) -> nn.Module:
    """Build the discriminator of a prior, which maps codes (n, d) to logits (n, 1).

    Raise a TypeError if the prior's callable does not return a module, a ValueError if that does
    not return logits of that shape.
    """
    given = prior.discriminator
    if given is None:
        return Discriminator(code_features)
    made = copy.deepcopy(given) if isinstance(given, nn.Module) else given(code_features)
    if not isinstance(made, nn.Module):
        raise TypeError(
            f"The discriminator {given!r} of the prior returned an object of type "
            f"{type(made).__name__}. It must return a torch.nn.Module when called with the size of "
            "a code."
        )
    training = made.training
    device = next((weight.device for weight in made.parameters()), None)
    with torch.no_grad():
        logits = made.eval()(torch.zeros(2, code_features, device=device))
    made.train(training)
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if shape != (2, 1):
        raise ValueError(
            f"The discriminator {type(made).__name__} of the prior returned {shape} for 2 codes of "
            f"size {code_features}. It must return logits of shape (2, 1)."
        )
    return made


def all_globals(code: Tensor) -> Tensor:
    """Reshape codes (n, d, *grid) to (n * g, d)."""
    return code.flatten(2).movedim(1, 2).flatten(0, 1) if code.ndim > 2 else code
