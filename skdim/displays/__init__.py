"""Displays of a fitted transformer, by scikit-learn's conventions.

The constructor holds data, ``from_estimator`` computes and draws them, and ``plot`` draws them
again. matplotlib is required: ``pip install 'scikit-deepinfomax[plot]'``.
"""

from skdim.displays.embedding import EmbeddingDisplay
from skdim.displays.information_map import InformationMapDisplay
from skdim.displays.neighbors import NeighborsDisplay
from skdim.displays.terms import TermsDisplay

__all__ = ["EmbeddingDisplay", "InformationMapDisplay", "NeighborsDisplay", "TermsDisplay"]
