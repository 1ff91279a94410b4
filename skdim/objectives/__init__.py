"""What an encoder is trained for: an objective maps a batch to named terms."""

from skdim.objectives.base import AbstractObjective, Batch, Setting, Together, frozen
from skdim.objectives.bigan import BidirectionalGAN
from skdim.objectives.classification import Classification
from skdim.objectives.coordinates import AbsoluteCoordinates, RelativeCoordinates
from skdim.objectives.cpc import ContextPrediction, unseen_rows
from skdim.objectives.gaussian import GaussianInformation
from skdim.objectives.infomax import infomax
from skdim.objectives.information import Information
from skdim.objectives.matching import PriorMatching
from skdim.objectives.nat import NoiseAsTargets
from skdim.objectives.pointwise import find_local_term, pointwise_information
from skdim.objectives.reconstruction import Reconstruction
from skdim.objectives.variational import Variational

__all__ = [
    "AbsoluteCoordinates",
    "AbstractObjective",
    "Batch",
    "BidirectionalGAN",
    "Classification",
    "ContextPrediction",
    "GaussianInformation",
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
    "infomax",
    "pointwise_information",
    "unseen_rows",
]
