"""Adversarially learned inference: an encoder and a generator against one who sees pairs."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from skdim.encoders import Features
from skdim.objectives.base import AbstractObjective, Batch, frozen, one_code
from skdim.pairs import in_full
from skdim.priors import Prior

__all__ = ["BidirectionalGAN"]


class BidirectionalGAN(AbstractObjective):
    """Train an encoder and a generator until their pairs cannot be told apart.

    The encoder makes codes of samples, the generator samples of draws from a prior. A
    discriminator is shown pairs of both kinds: (sample, its code) and (made-up sample, its draw).
    Where it can tell nothing, the encoder is the inverse of the generator.

    Three terms. ``discriminator`` is the discriminator's loss, on pairs that it cannot move, 2 ln 2
    where it knows nothing. ``encoder`` and ``generator`` are those of the two others, in
    non-saturating form, against a discriminator that they cannot move: each player moves itself
    only. With several looks, the code of each is paired with the sample as given. Several globals
    are averaged, as ``transform`` does.

    Parameters
    ----------
    prior : Prior
        What is drawn; codes are squashed into its range before they are judged.
    generator : Module
        Draws (n, d) to standardised samples (n, *shape).
    discriminator : Module
        Called with samples and codes; gives logits (n, 1), high for samples with their codes.
    standardise : Module
        Samples as given to standardised ones.
    gradient_penalty : float, default=0.0
        Weight of half the mean squared length of the discriminator's gradient in the samples with
        their codes. It steadies the game; each step costs a second derivative.

    References
    ----------
    Donahue, Krähenbühl and Darrell (2017). Adversarial feature learning. ICLR. arXiv:1605.09782.
    Dumoulin et al. (2017). Adversarially learned inference. ICLR. arXiv:1606.00704.
    Mescheder, Geiger and Nowozin (2018). arXiv:1801.04406 (the penalty, R1).
    """

    def __init__(
        self,
        prior: Prior,
        generator: nn.Module,
        discriminator: nn.Module,
        standardise: nn.Module,
        *,
        gradient_penalty: float = 0.0,
    ) -> None:
        super().__init__()
        self.prior = prior
        self.generator = generator
        self.discriminator = discriminator
        self.standardise = standardise
        self.gradient_penalty = gradient_penalty

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the three players; see ``AbstractObjective.forward``."""
        x = self.standardise(batch.x.float())
        x = x.repeat(len(looks), *[1] * (x.ndim - 1))
        codes = torch.cat([self.squashed(look) for look in looks])
        drawn = self.prior.sample(codes.shape, batch.generator, codes.device, codes.dtype)
        made = self.generator(drawn)
        given = frozen(self.discriminator, x, codes)
        made_up = frozen(self.discriminator, made, drawn)
        return {
            "encoder": softplus(in_full(given)).mean(),
            "generator": softplus(-in_full(made_up)).mean(),
            "discriminator": self.told_apart((x, codes.detach()), (made.detach(), drawn)),
        }

    def told_apart(self, given: tuple[Tensor, Tensor], made_up: tuple[Tensor, Tensor]) -> Tensor:
        """Return the discriminator's loss on the two kinds of pairs, both without a past."""
        if not self.gradient_penalty:
            return loss_of(self.discriminator(*given), self.discriminator(*made_up))
        # A compiler cannot differentiate what it compiled twice.
        run = (
            torch.compiler.disable(penalised)  # type: ignore[no-untyped-call]
            if torch.compiler.is_compiling()
            else penalised
        )
        loss: Tensor = run(self.discriminator, given, made_up, self.gradient_penalty)
        return loss

    def squashed(self, look: Features) -> Tensor:
        """Return one code a sample, in the range of the prior."""
        return self.prior.squash(one_code(look))

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return minus the mean squared error of what the generator makes of the codes.

        In units of the variance of a channel: adversaries' losses say how the game stands, this
        says how far the generator undoes the encoder.
        """
        made = self.generator(self.squashed(features))
        return -mse_loss(in_full(made), self.standardise(batch.x.float()))


def loss_of(given: Tensor, made_up: Tensor) -> Tensor:
    """Sum the mean losses on logits of both kinds of pairs: 2 ln 2 where nothing is known."""
    # Logits may come in half precision; their losses are taken in single precision.
    return softplus(-in_full(given)).mean() + softplus(in_full(made_up)).mean()


def penalised(
    discriminator: nn.Module,
    given: tuple[Tensor, Tensor],
    made_up: tuple[Tensor, Tensor],
    coefficient: float,
) -> Tensor:
    """Return the discriminator's loss with its gradient penalty."""
    points = [part.detach().requires_grad_() for part in given]
    logits = discriminator(*points)
    gradients = torch.autograd.grad(in_full(logits).sum(), points, create_graph=True)
    penalty = torch.stack([g.flatten(1).square().sum(dim=1).mean() for g in gradients]).sum()
    return loss_of(logits, discriminator(*made_up)) + coefficient * 0.5 * penalty
