"""What an encoder is trained for: an objective maps a batch to named terms."""

from skdim.objectives.base import AbstractObjective, Batch, Together, frozen
from skdim.objectives.classification import Classification
from skdim.objectives.coordinates import AbsoluteCoordinates, RelativeCoordinates
from skdim.objectives.infomax import infomax
from skdim.objectives.information import Information
from skdim.objectives.matching import PriorMatching

__all__ = [
    "AbsoluteCoordinates",
    "AbstractObjective",
    "Batch",
    "Classification",
    "Information",
    "PriorMatching",
    "RelativeCoordinates",
    "Together",
    "frozen",
    "infomax",
]
