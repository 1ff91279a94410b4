"""What an encoder is trained with: objectives are parameters, which build criteria.

An objective (:class:`InfoMax`, :class:`VAE`, ...) is given to
:class:`~skdim.EncoderTransformer`. It builds a criterion, a module that maps a batch to named
terms, whose sum is the loss.
"""

from skdim.objectives.amdim import AMDIM
from skdim.objectives.base import (
    AbstractCriterion,
    AbstractObjective,
    Batch,
    Defaults,
    Setting,
    frozen,
)
from skdim.objectives.bigan import BidirectionalGAN, BiGAN
from skdim.objectives.classification import Classification
from skdim.objectives.coordinates import AbsoluteCoordinates, RelativeCoordinates
from skdim.objectives.cpc import CPC, ContextPrediction
from skdim.objectives.gaussian import GaussianInformation
from skdim.objectives.infomax import InfoMax
from skdim.objectives.information import Information
from skdim.objectives.matching import PriorMatching
from skdim.objectives.nat import NAT, NoiseAsTargets
from skdim.objectives.pointwise import find_local_term, pointwise_information
from skdim.objectives.reconstruction import AAE, Autoencoder, Reconstruction
from skdim.objectives.together import Together
from skdim.objectives.variational import VAE, Variational

__all__ = [
    "AAE",
    "AMDIM",
    "CPC",
    "NAT",
    "VAE",
    "AbsoluteCoordinates",
    "AbstractCriterion",
    "AbstractObjective",
    "Autoencoder",
    "Batch",
    "BiGAN",
    "BidirectionalGAN",
    "Classification",
    "ContextPrediction",
    "Defaults",
    "GaussianInformation",
    "InfoMax",
    "Information",
    "NoiseAsTargets",
    "PriorMatching",
    "Reconstruction",
    "RelativeCoordinates",
    "Setting",
    "Together",
    "Variational",
    "find_local_term",
    "frozen",
    "pointwise_information",
]
