"""The training loop: a skorch net whose module is an encoder."""

from skdim.training.callbacks import EarlyStopping, StopTraining, TaskEvents
from skdim.training.checkpoints import Checkpoints, find_checkpoint
from skdim.training.distributed import agree_on_seed, choose_net
from skdim.training.net import SETTINGS, EncoderNet
from skdim.training.steps import (
    PRECISIONS,
    SCHEDULES,
    Batches,
    Schedule,
    check_precision,
    has_bfloat16,
)

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
    "agree_on_seed",
    "check_precision",
    "choose_net",
    "find_checkpoint",
    "has_bfloat16",
]
