"""Draws of (x, y) that know their own mutual information, to test and to measure against.

A sampler has ``information``, in nats; ``draw``, which gives n pairs; and ``log_ratio``, the
logarithm of the joint density over the product of the marginal ones, which is the best critic.

``TASKS`` names 24 distributions for an estimate of mutual information to be judged on. A task has
``information``, in nats, and ``draw``, which gives arrays.

References
----------
Czyż, Grabowski, Vogt, Beerenwinkel and Marx (2023), Beyond normal: on the evaluation of mutual
information estimators, arXiv:2306.11078.
"""

from skdim.samplers.normals import CorrelatedNormals
from skdim.samplers.tables import JointTable
from skdim.samplers.tasks import FURTHER_TASKS, TASKS, Task

__all__ = ["FURTHER_TASKS", "TASKS", "CorrelatedNormals", "JointTable", "Task"]
