"""The terms of a variational autoencoder: how well a code tells its sample, at what cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from skdim.decoders import make_decoder
from skdim.encoders import Features
from skdim.inputs import Layout
from skdim.objectives.base import (
    AbstractCriterion,
    AbstractObjective,
    Batch,
    Defaults,
    Setting,
    one_code,
)
from skdim.pairs import in_full
from skdim.parameters import Rule, real
from skdim.priors import PRIORS
from skdim.views import Identity

__all__ = ["VAE", "Variational", "gaussian_divergence", "gaussian_log_density"]

# Of log variances: what is drawn has a spread between exp(-5) and exp(5), 0.007 and 148. Beyond,
# exponentials would soon overflow.
WIDEST = 10.0

DECODER_VARIANCE = 0.1


class Variational(AbstractCriterion):
    r"""Bound the log density of samples by a decoder of noisy codes.

    The encoder's code is the mean of a Gaussian of independent coordinates; its log variances are
    given by a linear layer on ``Features.hidden`` that belongs to this objective, and is thrown
    away with it. A code is drawn from that Gaussian, *q*, and decoded to the mean of another, *p*,
    of one fixed variance for all numbers of the standardised sample *x*. With *p(z)* the standard
    normal prior,

    .. math:: \log p(x) \ge E_{q(z|x)} \log p(x|z) - KL(q(z|x), p(z)).

    Two terms, both in nats a sample: ``reconstruction`` is minus the first, from one draw, and
    ``kl`` is ``beta`` times the second, in closed form. With a ``beta`` of 1 they sum to minus the
    bound. What is learnt depends on ``beta * variance`` alone; ``variance`` says which density is
    bounded. Terms are averaged over looks, all of which tell the sample as it was given; several
    globals are averaged to one code, as ``transform`` does.

    Parameters
    ----------
    decoder : Module
        Codes (n, d) to samples (n, *shape).
    standardise : Module
        Samples as given to standardised ones.
    sizes : Features
        Features of any samples, from which the sizes of the layers are read.
    beta : float, default=1.0
        Weight of the divergence: above 1, codes are held closer to the prior.
    variance : float, default=0.1
        Of the decoder: a tenth of the variance of a channel. At 1, a direction of the samples is
        worth a coordinate of the code only if it holds more variance than a whole column, and
        most of what tells classes apart is not told.
    n_numbers : int, default=1
        In a sample: all terms are sums over them; see ``AbstractCriterion``.

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
        super().__init__()
        self.n_summed = n_numbers
        self.decoder = decoder
        self.standardise = standardise
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

    def parts(self, looks: Sequence[Features], batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the two parts of the bound.

        Returns
        -------
        log_density : Tensor of shape (n_looks, n)
            Of each sample as given, under what is decoded from one code drawn for each look.
        divergence : Tensor of shape (n_looks, n)
            Of the codes of each look from the prior.
        """
        means, log_variances = self.posterior(looks)
        noise = PRIORS["normal"].sample(means.shape, batch.generator, means.device, means.dtype)
        decoded = in_full(self.decoder(means + noise * (log_variances / 2).exp()))
        wanted = self.standardise(batch.x).to(decoded.dtype)
        log_density = gaussian_log_density(
            wanted.flatten(1), decoded.reshape(len(looks), len(wanted), -1), self.variance
        )
        divergence = gaussian_divergence(means, log_variances)
        return log_density, divergence.reshape(len(looks), -1)

    def posterior(self, looks: Sequence[Features]) -> tuple[Tensor, Tensor]:
        """Return the parameters of the codes' distribution, for all looks.

        Returns
        -------
        means, log_variances : Tensor of shape (n_looks * n, d)
            Log variances lie between -10 and 10.
        """
        means = torch.cat([one_code(look) for look in looks])
        given = self.to_log_variance(torch.cat([look.hidden.flatten(1) for look in looks]))
        # Of slope 1 in the middle, and never flat, as a cut would be.
        return in_full(means), WIDEST * (in_full(given) / WIDEST).tanh()


def gaussian_log_density(x: Tensor, mean: Tensor, variance: float) -> Tensor:
    """Return the log density of a Gaussian of independent coordinates of one variance, in nats.

    Parameters
    ----------
    x, mean : Tensor of shape (*k, d)
        Broadcast against each other.
    variance : float

    Returns
    -------
    Tensor of shape (*k,)
    """
    squares = (x - mean).square().sum(dim=-1)
    return -0.5 * (squares / variance + x.shape[-1] * math.log(2 * math.pi * variance))


def gaussian_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of independent Gaussians from standard normal ones.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (*k, d)

    Returns
    -------
    Tensor of shape (*k,)
        In nats, summed over coordinates.

    References
    ----------
    Kingma and Welling (2014), appendix B. arXiv:1312.6114.

    Examples
    --------
    >>> gaussian_divergence(torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    tensor([2.])
    """
    # expm1 keeps what is left of variances near 1.
    return 0.5 * (mean.square() + log_variance.expm1() - log_variance).sum(dim=-1)


class VAE(AbstractObjective):
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

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def build(self, setting: Setting) -> Variational:
        """Build a decoder and the layer of log variances; see ``AbstractObjective.build``."""
        return Variational(
            make_decoder(setting.shape, setting.sizes.code.shape[1]),
            setting.standardise,
            setting.sizes,
            beta=self.beta,
            n_numbers=math.prod(setting.shape),
        )

    def defaults(self, layout: Layout, *, closed_form: bool) -> Defaults:
        """Return the defaults, without random views."""
        return replace(super().defaults(layout, closed_form=closed_form), view=Identity())
