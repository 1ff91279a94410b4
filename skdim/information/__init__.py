"""Estimates of information in nats, and distributions of known information to evaluate them on.

``TASKS`` names 24 distributions, ``FURTHER_TASKS`` three more and ``BMI_TASKS`` the 40 of the
benchmark ``bmi``, each with its ``information`` and a method ``draw`` that returns arrays. The
samplers draw tensors and also compute the log density ratio, which is the optimal critic.
"""

from skdim.information.estimate import InformationEstimate
from skdim.information.fitting import UntrustedEstimateWarning
from skdim.information.mutual_information import mutual_information
from skdim.information.samplers import CorrelatedNormals, JointTable
from skdim.information.tasks import BMI_TASKS, FURTHER_TASKS, TASKS, BenchmarkTask
from skdim.information.total_correlation import total_correlation

__all__ = [
    "BMI_TASKS",
    "FURTHER_TASKS",
    "TASKS",
    "BenchmarkTask",
    "CorrelatedNormals",
    "InformationEstimate",
    "JointTable",
    "UntrustedEstimateWarning",
    "mutual_information",
    "total_correlation",
]
