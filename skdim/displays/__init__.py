"""Displays of a fitted transformer or of its codes, by scikit-learn's conventions.

The constructor holds data, ``from_estimator``, ``from_codes`` and ``from_samples`` compute and draw
them, and ``plot`` draws them again. matplotlib is required:
``pip install 'scikit-deepinfomax[plot]'``.
"""

from skdim.displays.embedding import EmbeddingDisplay
from skdim.displays.information import InformationCurveDisplay, InformationPlaneDisplay
from skdim.displays.information_map import InformationMapDisplay
from skdim.displays.label_efficiency import LabelEfficiencyDisplay
from skdim.displays.looks import LooksDisplay
from skdim.displays.neighbors import NeighborsDisplay
from skdim.displays.patterns import PatternsDisplay
from skdim.displays.terms import TermsDisplay

__all__ = [
    "EmbeddingDisplay",
    "InformationCurveDisplay",
    "InformationMapDisplay",
    "InformationPlaneDisplay",
    "LabelEfficiencyDisplay",
    "LooksDisplay",
    "NeighborsDisplay",
    "PatternsDisplay",
    "TermsDisplay",
]
