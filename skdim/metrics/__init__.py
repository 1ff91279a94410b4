"""What a representation is worth: arrays in, floats out."""

from skdim.metrics.mutual_information import UntrustedEstimateWarning, mutual_information
from skdim.metrics.online import OnlineProbe
from skdim.metrics.probes import PROBES, probe_scores
from skdim.metrics.reconstruction import reconstruction_quality
from skdim.metrics.total_correlation import total_correlation

__all__ = [
    "PROBES",
    "OnlineProbe",
    "UntrustedEstimateWarning",
    "mutual_information",
    "probe_scores",
    "reconstruction_quality",
    "total_correlation",
]
