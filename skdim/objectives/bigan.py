"""Bidirectional GAN: an encoder and a generator against a discriminator of pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import mse_loss, softplus

from skdim.critics import JointDiscriminator
from skdim.decoders import make_decoder
from skdim.encoders import Features, layer_of
from skdim.objectives.base import AbstractCriterion, AbstractObjective, Batch, Setting, frozen
from skdim.objectives.matching import PRIOR_RULE, adversarial_loss, find_prior
from skdim.pairs import in_full
from skdim.parameters import Rule, real
from skdim.priors import Prior


class BidirectionalGAN(AbstractCriterion):
    """Train an encoder and a generator until their pairs cannot be discriminated.

    The encoder maps samples to codes, the generator maps draws from a prior to samples. A
    discriminator receives pairs of both kinds: (sample, its code) and (generated sample, its
    draw). Where it cannot discriminate them, the encoder inverts the generator.

    Three terms. ``discriminator`` is the loss of the discriminator on detached pairs, 2 ln 2 at
    chance. ``encoder`` and ``generator`` are the non-saturating losses of these two against a
    frozen discriminator. With several looks, the code of each is paired with the sample as given.
    Several globals are averaged, as in ``transform``.

    Parameters
    ----------
    prior : Prior
        Distribution of the draws; codes are squashed into its range before discrimination.
    generator : Module
        Maps draws (n, d) to standardised samples (n, *shape).
    discriminator : Module
        Maps samples and codes to logits (n, 1), high for samples with their codes.
    standardise : Module
        Maps samples as given to standardised ones.
    gradient_penalty : float, default=0.0
        Weight of half the mean squared length of the discriminator's gradient in the samples with
        their codes. It stabilises training; each step computes a second derivative.

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
        drawn = self.prior.draw_like(codes, batch.generator)
        made = self.generator(drawn)
        real = frozen(self.discriminator, x, codes)
        fake = frozen(self.discriminator, made, drawn)
        return {
            "encoder": softplus(in_full(real)).mean(),
            "generator": softplus(-in_full(fake)).mean(),
            "discriminator": adversarial_loss(
                self.discriminator,
                [x, codes.detach()],
                [made.detach(), drawn],
                penalty=self.gradient_penalty,
            ),
        }

    def squashed(self, look: Features) -> Tensor:
        """Return one code per sample, in the range of the prior."""
        return self.prior.squash(layer_of(look, "code"))

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Return generated samples; see ``AbstractCriterion.decode_codes``."""
        made: Tensor = self.generator(self.prior.squash(codes))
        return made

    def draw_codes(self, size: tuple[int, int], generator: Generator) -> Tensor | None:
        """Return codes from the prior; see ``AbstractCriterion.draw_codes``."""
        return self.prior.draw_codes(size, generator)

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return minus the mean squared error of samples generated from their codes.

        It is in units of the variance of a channel. The losses of adversaries do not measure how
        well the generator inverts the encoder.
        """
        made = self.generator(self.squashed(features))
        return -mse_loss(in_full(made), self.standardise(batch.x.float()))


@dataclass(eq=False, repr=False)
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

    rules: ClassVar[Mapping[str, Rule]] = {"prior": PRIOR_RULE, "gradient_penalty": real(0)}

    has_decoder = True
    augments_images = False
    default_optimizer = "adam_gan"

    prior: str | Prior = "normal"
    gradient_penalty: float = 1.0

    @property
    def has_sampler(self) -> bool:
        """Whether draws from the prior can be decoded."""
        return find_prior(self.prior).unsquash is not None

    def build(self, setting: Setting) -> BidirectionalGAN:
        """Build a generator and a discriminator; see ``AbstractObjective.build``."""
        prior = find_prior(self.prior, gradient_penalty=0.0)
        if prior.discriminator is not None or prior.gradient_penalty:
            raise ValueError(
                "The prior of BiGAN has a discriminator or a gradient_penalty, which would apply "
                "to codes without their samples. Use a prior without them, and set the "
                "gradient_penalty of BiGAN."
            )
        n_components = setting.sizes.code.shape[1]
        return BidirectionalGAN(
            prior,
            make_decoder(setting.shape, n_components),
            JointDiscriminator(setting.shape, n_components),
            setting.standardise,
            gradient_penalty=self.gradient_penalty,
        )
