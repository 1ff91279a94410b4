"""Variational autoencoder: the evidence lower bound of a decoder of noisy codes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from skdim.decoders import make_decoder
from skdim.encoders import Features, layer_of
from skdim.objectives.base import Batch, Setting
from skdim.objectives.reconstruction import Autoencoder, Reconstruction
from skdim.pairs import in_full
from skdim.parameters import Rule, real
from skdim.priors import PRIORS

# Largest absolute log variance: standard deviations lie between exp(-5) and exp(5).
MAX_LOG_VARIANCE = 10.0

DECODER_VARIANCE = 0.1


class Variational(Reconstruction):
    r"""Bound the log density of samples by a decoder of noisy codes.

    The code is the mean of a Gaussian of independent coordinates. Its log variances are computed
    from ``Features.hidden`` by a linear layer that belongs to this criterion. A code is drawn from
    that Gaussian, *q*, and decoded to the mean of another, *p*, with one fixed variance for all
    numbers of the standardised sample *x*. With the standard normal prior *p(z)*,

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x|z) - KL(q(z|x), p(z)).

    Two terms, in nats per sample: ``reconstruction`` is minus the expectation, estimated by one
    draw; ``kl`` is ``beta`` times the divergence, in closed form. With ``beta=1`` they sum to minus
    the bound. The learnt code depends on ``beta * variance`` only. Terms are averaged over looks,
    whose target is the sample as given; several globals are averaged to one code, as in
    ``transform``.

    Parameters
    ----------
    decoder : Module
        Maps codes (n, d) to samples (n, *shape).
    standardise : Module
        Maps samples as given to standardised ones.
    sizes : Features
        Features of any samples, from which the sizes of the layers are read.
    beta : float, default=1.0
        Weight of the divergence.
    variance : float, default=0.1
        Variance of the decoder, in units of the variance of a channel. At 1, only directions of
        the samples with more variance than a whole column would be encoded.
    n_numbers : int, default=1
        Numbers in a sample, over which terms are summed; see ``AbstractCriterion``.

    References
    ----------
    Kingma and Welling (2014). Auto-encoding variational Bayes. ICLR. arXiv:1312.6114. Higgins et
    al. (2017). beta-VAE: learning basic visual concepts with a constrained variational framework.
    ICLR.
    """

    def __init__(
        self,
        decoder: nn.Module,
        standardise: nn.Module,
        sizes: Features,
        *,
        beta: float = 1.0,
        variance: float = DECODER_VARIANCE,
        n_numbers: int = 1,
    ) -> None:
        super().__init__(decoder, standardise)
        self.n_summed = n_numbers
        self.to_log_variance = nn.Linear(sizes.hidden.flatten(1).shape[1], sizes.code.shape[1])
        self.beta = beta
        self.variance = variance

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the two terms, averaged over looks; see ``AbstractCriterion.forward``."""
        log_density, divergence = self.parts(looks, batch)
        return {"reconstruction": -log_density.mean(), "kl": self.beta * divergence.mean()}

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return the bound in nats a sample, without ``beta``; see ``AbstractCriterion.score``."""
        log_density, divergence = self.parts([features], batch)
        return (log_density - divergence).mean()

    def draw_codes(self, size: tuple[int, int], generator: Generator) -> Tensor | None:
        """Return standard normal codes; see ``AbstractCriterion.draw_codes``."""
        return PRIORS["normal"].draw_codes(size, generator)

    def parts(self, looks: Sequence[Features], batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the two parts of the bound.

        Returns
        -------
        log_density : Tensor of shape (n_looks, n)
            Of each sample as given, from one code drawn per look.
        divergence : Tensor of shape (n_looks, n)
            Of the codes of each look from the prior.
        """
        means, log_variances = self.posterior(looks)
        noise = PRIORS["normal"].draw_like(means, batch.generator)
        decoded = in_full(self.decoder(means + noise * (log_variances / 2).exp()))
        target = self.standardise(batch.x).to(decoded.dtype)
        log_density = gaussian_log_density(
            target.flatten(1), decoded.reshape(len(looks), len(target), -1), self.variance
        )
        divergence = gaussian_divergence(means, log_variances)
        return log_density, divergence.reshape(len(looks), -1)

    def posterior(self, looks: Sequence[Features]) -> tuple[Tensor, Tensor]:
        """Return the means and log variances of the codes of all looks, (n_looks * n, d)."""
        means = torch.cat([layer_of(look, "code") for look in looks])
        log_variances = self.to_log_variance(torch.cat([look.hidden.flatten(1) for look in looks]))
        # Bounded by tanh, whose gradient does not vanish as that of clamp.
        return in_full(means), MAX_LOG_VARIANCE * (in_full(log_variances) / MAX_LOG_VARIANCE).tanh()


def gaussian_log_density(x: Tensor, mean: Tensor, variance: float) -> Tensor:
    """Return the log density (*k) of x (*k, d) in nats, coordinates independent of one variance."""
    squares = (x - mean).square().sum(dim=-1)
    return -0.5 * (squares / variance + x.shape[-1] * math.log(2 * math.pi * variance))


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of independent Gaussians from standard normal ones.

    It is in nats and summed over coordinates: (*k) of means and log variances (*k, d).

    References
    ----------
    Kingma and Welling (2014), appendix B. arXiv:1312.6114.

    Examples
    --------
    >>> gaussian_divergence(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    tensor([2.])
    """
    # expm1 is exact for variances near 1.
    return 0.5 * (mean.square() + log_variance.expm1() - log_variance).sum(dim=-1)


@dataclass(eq=False, repr=False)
class VAE(Autoencoder):
    """Variational autoencoder (VAE, beta-VAE).

    The sample is decoded from a noisy code, whose mean is the code that ``transform`` returns. The
    variance of the noise is learnt too, by a layer that is discarded with the decoder. The loss
    bounds minus the log density of the samples; see :class:`Variational`. By default samples are
    encoded as they are, without random views.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the divergence of the codes from a standard normal prior.

    Notes
    -----
    Terms: ``reconstruction`` and ``kl``, in nats a sample. ``score`` is the evidence lower bound
    in nats a sample, without ``beta``.

    References
    ----------
    Kingma and Welling (2014). Auto-encoding variational Bayes. ICLR. arXiv:1312.6114. Higgins et
    al. (2017). beta-VAE: learning basic visual concepts with a constrained variational framework.
    ICLR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import VAE
    >>> images = load_digits().images[:300]
    >>> vae = EncoderTransformer(16, objective=VAE(beta=2.0), max_epochs=2, random_state=0)
    >>> vae.fit_transform(images).shape
    (300, 16)
    """

    rules: ClassVar[Mapping[str, Rule]] = {"beta": real(0)}

    beta: float = 1.0

    @property
    def has_sampler(self) -> bool:
        """Whether codes follow the prior: with any ``beta`` but 0."""
        return self.beta != 0

    def build(self, setting: Setting) -> Variational:
        """Build a decoder and the layer of log variances; see ``AbstractObjective.build``."""
        return Variational(
            make_decoder(setting.shape, setting.sizes.code.shape[1]),
            setting.standardise,
            setting.sizes,
            beta=self.beta,
            n_numbers=math.prod(setting.shape),
        )
