"""Estimates of information in nats, and distributions of known information to evaluate them on.

``TASKS`` names 44 distributions, of which ``BMI_TASKS`` are the 40 of the benchmark ``bmi``. Each
has its ``information`` and a method ``draw`` that returns arrays. ``CorrelatedNormals`` and
``JointTable`` draw tensors, and compute the log density ratio as well: the optimal critic.
"""

from skdim.information.estimate import InformationEstimate
from skdim.information.fitting import UntrustedEstimateWarning
from skdim.information.mutual_information import mutual_information
from skdim.information.samplers import CorrelatedNormals, JointTable
from skdim.information.tasks import BMI_TASKS, TASKS, BenchmarkTask
from skdim.information.total_correlation import total_correlation

__all__ = [
    "BMI_TASKS",
    "TASKS",
    "BenchmarkTask",
    "CorrelatedNormals",
    "InformationEstimate",
    "JointTable",
    "UntrustedEstimateWarning",
    "mutual_information",
    "total_correlation",
]
