"""Estimates of information in nats, and distributions of known information to test them on."""

from skdim.information.mutual_information import UntrustedEstimateWarning, mutual_information
from skdim.information.normals import CorrelatedNormals
from skdim.information.tables import JointTable
from skdim.information.tasks import FURTHER_TASKS, TASKS, Task
from skdim.information.total_correlation import total_correlation

__all__ = [
    "FURTHER_TASKS",
    "TASKS",
    "CorrelatedNormals",
    "JointTable",
    "Task",
    "UntrustedEstimateWarning",
    "mutual_information",
    "total_correlation",
]
