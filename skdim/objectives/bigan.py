"""Adversarially learned inference: an encoder and a generator against one who sees pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, softplus

from skdim.critics import JointDiscriminator
from skdim.decoders import make_decoder
from skdim.encoders import Features
from skdim.inputs import Layout
from skdim.objectives.base import (
    AbstractCriterion,
    AbstractObjective,
    Batch,
    Defaults,
    Setting,
    frozen,
    one_code,
)
from skdim.pairs import in_full
from skdim.parameters import Rule, any_of, choice, instance, real
from skdim.priors import PRIORS, Prior
from skdim.views import Identity

__all__ = ["BiGAN", "BidirectionalGAN"]


class BidirectionalGAN(AbstractCriterion):
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
        """Return the terms of the three players; see ``AbstractCriterion.forward``."""
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


class BiGAN(AbstractObjective):
    """Bidirectional GAN (BiGAN; adversarially learned inference).

    An encoder and a generator are trained until a discriminator cannot discriminate pairs of
    samples and their codes from pairs of generated samples and their draws; see
    :class:`BidirectionalGAN`. By default there are no random views, and the optimizer is Adam with
    the betas .5 and .999.

    Parameters
    ----------
    prior : str or Prior, default="normal"
        Distribution of the draws: a key of ``skdim.priors.PRIORS``, or a prior without a
        discriminator and a penalty of its own.
    gradient_penalty : float, default=1.0
        Weight of half the mean squared length of the discriminator's gradient.

    Notes
    -----
    Terms: ``encoder``, ``generator`` and ``discriminator``. ``score`` is minus the mean squared
    error with which the generator reconstructs samples from their codes, in units of the variance
    of a channel.

    References
    ----------
    Donahue, Krähenbühl and Darrell (2017). Adversarial feature learning. ICLR. arXiv:1605.09782.
    Dumoulin et al. (2017). Adversarially learned inference. ICLR. arXiv:1606.00704.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import BiGAN
    >>> images = load_digits().images[:300]
    >>> bigan = EncoderTransformer(16, objective=BiGAN(), max_epochs=2, random_state=0)
    >>> bigan.fit_transform(images).shape
    (300, 16)
    """

    rules: ClassVar[Mapping[str, Rule]] = {
        "prior": any_of(choice(PRIORS), instance("a skdim.priors.Prior", Prior)),
        "gradient_penalty": real(0),
    }

    def __init__(self, prior: str | Prior = "normal", gradient_penalty: float = 1.0) -> None:
        self.prior = prior
        self.gradient_penalty = gradient_penalty

    def build(self, setting: Setting) -> BidirectionalGAN:
        """Build a generator and a discriminator; see ``AbstractObjective.build``."""
        prior = PRIORS[self.prior] if isinstance(self.prior, str) else self.prior
        if prior.discriminator is not None or prior.gradient_penalty:
            raise ValueError(
                "the prior of BiGAN has a discriminator or a gradient_penalty of its own, which "
                "would be given codes without their samples. Give a prior without them, and the "
                "gradient_penalty to BiGAN."
            )
        n_components = setting.sizes.code.shape[1]
        return BidirectionalGAN(
            prior,
            make_decoder(setting.shape, n_components),
            JointDiscriminator(setting.shape, n_components),
            setting.standardise,
            gradient_penalty=self.gradient_penalty,
        )

    def defaults(self, layout: Layout, *, closed_form: bool) -> Defaults:
        """Return the defaults, without random views and with the optimizer of GANs."""
        found = super().defaults(layout, closed_form=closed_form)
        return replace(found, view=Identity(), optimizer="adam_gan")
