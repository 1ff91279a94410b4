"""Pictures of a fitted transformer, by scikit-learn's rules for displays.

The constructor holds data, ``from_estimator`` computes them and draws, ``plot`` draws again and
computes nothing. matplotlib is needed: ``pip install 'scikit-deepinfomax[plot]'``.
"""

from skdim.displays.embedding import EmbeddingDisplay
from skdim.displays.information_map import InformationMapDisplay
from skdim.displays.neighbors import NeighborsDisplay
from skdim.displays.terms import TermsDisplay

__all__ = ["EmbeddingDisplay", "InformationMapDisplay", "NeighborsDisplay", "TermsDisplay"]
