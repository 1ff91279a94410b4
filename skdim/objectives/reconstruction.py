"""Autoencoders: the sample is decoded from its code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from skdim.decoders import make_decoder
from skdim.encoders import Features, layer_of
from skdim.objectives.base import AbstractCriterion, AbstractObjective, Batch, Setting
from skdim.objectives.matching import PRIOR_RULE, PriorMatching, find_prior, make_discriminator
from skdim.objectives.together import Together
from skdim.pairs import in_full
from skdim.parameters import Rule, real
from skdim.priors import Prior

# With it, the discriminator's loss on 1,200 digits after 8 epochs with 64 components is 1.17,
# without it 0.16 (at chance 1.39); the error of reconstruction is that of an autoencoder.
PENALTY = 1.0


class Reconstruction(AbstractCriterion):
    """Decode the standardised sample from its code.

    The term is the mean squared error per number of the standardised sample: 1 if the decoder
    returns the mean of each channel. The target is the sample as given, so that a view makes a
    denoising autoencoder; the codes of all looks are decoded. Several globals are averaged to one
    code, as in ``transform``.

    Parameters
    ----------
    decoder : Module
        Maps codes (n, d) to samples (n, *shape).
    standardise : Module
        Maps samples as given to standardised ones.

    References
    ----------
    Hinton and Salakhutdinov (2006). Reducing the dimensionality of data with neural networks.
    Science 313. Vincent et al. (2008). Extracting and composing robust features with denoising
    autoencoders. ICML.
    """

    def __init__(self, decoder: nn.Module, standardise: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.standardise = standardise

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the one term; see ``AbstractCriterion.forward``."""
        return {"reconstruction": self.error(looks, batch)}

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return minus the mean squared error; see ``AbstractCriterion.score``."""
        return -self.error([features], batch)

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Return the decoded samples; see ``AbstractCriterion.decode_codes``."""
        decoded: Tensor = self.decoder(codes)
        return decoded

    def error(self, looks: Sequence[Features], batch: Batch) -> Tensor:
        """Return the mean squared error over looks, samples and their numbers."""
        decoded = in_full(self.decoder(torch.cat([layer_of(look, "code") for look in looks])))
        target = self.standardise(batch.x)
        decoded = decoded.reshape(len(looks), *target.shape)
        return mse_loss(decoded, target.to(decoded.dtype).expand_as(decoded))


class Autoencoder(AbstractObjective):
    """Autoencoder: the sample is decoded from its code, with least squared error.

    By default samples are encoded as they are. With a view, such as ``view="occlude"``, it is a
    denoising autoencoder: the sample as given is decoded from the code of a look.

    Notes
    -----
    Term: ``reconstruction``, the mean squared error in units of the variance of a channel.
    ``score`` is minus that error.

    References
    ----------
    Hinton and Salakhutdinov (2006). Reducing the dimensionality of data with neural networks.
    Science 313. Vincent et al. (2008). Extracting and composing robust features with denoising
    autoencoders. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import Autoencoder
    >>> images = load_digits().images[:300]
    >>> auto = EncoderTransformer(16, objective=Autoencoder(), max_epochs=2, random_state=0)
    >>> auto.fit_transform(images).shape
    (300, 16)
    """

    has_decoder = True
    augments_images = False

    def build(self, setting: Setting) -> AbstractCriterion:
        """Build a decoder; see ``AbstractObjective.build``."""
        decoder = make_decoder(setting.shape, setting.sizes.code.shape[1])
        return Reconstruction(decoder, setting.standardise)


@dataclass(eq=False, repr=False)
class AAE(Autoencoder):
    """Adversarial autoencoder: an autoencoder whose codes are matched to a prior.

    Parameters
    ----------
    prior : str or Prior, default="normal"
        A key of ``skdim.priors.PRIORS``, whose discriminator has a gradient penalty of 1; or a
        prior with a penalty of its own.
    prior_weight : float, default=0.1
        Weight of the encoder's term; at 0, this is an autoencoder.

    Notes
    -----
    Terms: ``reconstruction``, ``prior`` and ``discriminator``. ``score`` is minus the mean
    squared error.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow and Frey (2016). Adversarial autoencoders.
    arXiv:1511.05644.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import AAE
    >>> images = load_digits().images[:300]
    >>> aae = EncoderTransformer(16, objective=AAE(), max_epochs=2, random_state=0)
    >>> aae.fit_transform(images).shape
    (300, 16)
    """

    rules: ClassVar[Mapping[str, Rule]] = {"prior": PRIOR_RULE, "prior_weight": real(0)}

    prior: str | Prior = "normal"
    prior_weight: float = 0.1

    @property
    def has_sampler(self) -> bool:
        """Whether codes follow a prior whose draws can be decoded."""
        return self.prior_weight != 0 and find_prior(self.prior).unsquash is not None

    def build(self, setting: Setting) -> AbstractCriterion:
        """Build a decoder and a discriminator; see ``AbstractObjective.build``."""
        reconstruction = super().build(setting)
        if self.prior_weight == 0:
            return reconstruction
        prior = find_prior(self.prior, gradient_penalty=PENALTY)
        discriminator = make_discriminator(prior, setting.sizes.code.shape[1])
        matching = PriorMatching(prior, discriminator, weight=self.prior_weight)
        return Together([reconstruction, matching])
