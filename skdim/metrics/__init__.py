"""Scores of a fitted transformer: probes and the quality of reconstructions."""

from skdim.metrics.online import OnlineProbe
from skdim.metrics.probes import PROBES, probe_scores
from skdim.metrics.reconstruction import reconstruction_quality

__all__ = ["PROBES", "OnlineProbe", "probe_scores", "reconstruction_quality"]
