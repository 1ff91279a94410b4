"""The loop: a skorch net whose module is an encoder and whose criterion is an objective."""

from skdim.training.batches import Batches
from skdim.training.net import EncoderNet
from skdim.training.schedules import SCHEDULES
from skdim.training.stopping import EarlyStopping, StopTraining

__all__ = ["SCHEDULES", "Batches", "EarlyStopping", "EncoderNet", "StopTraining"]
