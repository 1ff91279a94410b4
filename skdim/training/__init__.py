"""The training loop: a skorch net whose module is an encoder."""

from skdim.training.batches import Batches
from skdim.training.checkpoints import Checkpoints, find_checkpoint
from skdim.training.keeping import SETTINGS, Weights, give_back, take_out
from skdim.training.net import EncoderNet, choose_net
from skdim.training.precision import PRECISIONS, check_precision
from skdim.training.processes import agree_on_seed, find_own_device
from skdim.training.schedules import SCHEDULES, Schedule
from skdim.training.stopping import EarlyStopping, StopTraining
from skdim.training.tasks import TaskEvents

__all__ = [
    "PRECISIONS",
    "SCHEDULES",
    "SETTINGS",
    "Batches",
    "Checkpoints",
    "EarlyStopping",
    "EncoderNet",
    "Schedule",
    "StopTraining",
    "TaskEvents",
    "Weights",
    "agree_on_seed",
    "check_precision",
    "choose_net",
    "find_checkpoint",
    "find_own_device",
    "give_back",
    "take_out",
]
