"""The term of an autoencoder: the sample is decoded from its code."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from skdim.encoders import Features
from skdim.objectives.base import AbstractObjective, Batch, one_code
from skdim.pairs import in_full

__all__ = ["Reconstruction"]


class Reconstruction(AbstractObjective):
    """Decode the standardised sample from its code.

    The term is the mean squared error of a number of the standardised sample: 1 where the decoder
    knows the mean of each channel only, 0 where it is right. The sample is the one given, whatever
    a view has done to what was encoded, so that a view makes a denoising autoencoder; the codes of
    all looks are decoded. Several globals are averaged to one code, as ``transform`` does.

    Parameters
    ----------
    decoder : Module
        Codes (n, d) to samples (n, *shape).
    standardise : Module
        Samples as given to standardised ones.
    weight : float, default=1.0

    References
    ----------
    Hinton and Salakhutdinov (2006). Reducing the dimensionality of data with neural networks.
    Science 313. Vincent et al. (2008). Extracting and composing robust features with denoising
    autoencoders. ICML.
    """

    def __init__(self, decoder: nn.Module, standardise: nn.Module, *, weight: float = 1.0) -> None:
        super().__init__()
        self.decoder = decoder
        self.standardise = standardise
        self.weight = weight

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the one term; see ``AbstractObjective.forward``."""
        return {"reconstruction": self.weight * self.error(looks, batch)}

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return minus the mean squared error; see ``AbstractObjective.score``."""
        return -self.error([features], batch)

    def error(self, looks: Sequence[Features], batch: Batch) -> Tensor:
        """Return the mean squared error over looks, samples and their numbers; shape ()."""
        decoded = in_full(self.decoder(torch.cat([one_code(look) for look in looks])))
        wanted = self.standardise(batch.x)
        # Broadcast, not repeated: the looks of a sample are compared with the same numbers.
        decoded = decoded.reshape(len(looks), *wanted.shape)
        return mse_loss(decoded, wanted.to(decoded.dtype).expand_as(decoded))
