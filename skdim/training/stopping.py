"""Early stopping."""

import copy
import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

__all__ = ["EarlyStopping", "StopTraining"]


class StopTraining(Exception):  # noqa: N818 - an event of the loop, not an error
    """Raised by callbacks to end a training early, and caught by the net."""


class EarlyStopping(Callback):
    """Stop when the held-out score no longer improves, and restore the best weights.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which the training stops.
    tol : float
        Smallest increase that is an improvement.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience = patience
        self.tol = tol

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Reset the best score."""
        self.best_score_ = -math.inf
        self.best_epoch_ = 0
        self.best_state_: dict[str, Any] | None = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Copy the best weights, or raise StopTraining."""
        score, epoch = net.history[-1, "validation_score"], len(net.history)
        if score > self.best_score_ + self.tol:
            self.best_score_, self.best_epoch_ = score, epoch
            self.best_state_ = copy.deepcopy(net.state())
        elif epoch - self.best_epoch_ >= self.patience:
            raise StopTraining

    def state(self) -> dict[str, Any]:
        """Return the state as tensors and primitives."""
        return {"score": self.best_score_, "epoch": self.best_epoch_, "weights": self.best_state_}

    def load_state(self, state: dict[str, Any]) -> None:
        """Set the state to a result of ``state``."""
        self.best_score_ = float(state["score"])
        self.best_epoch_ = int(state["epoch"])
        self.best_state_ = state["weights"]

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the best weights, and delete the copy."""
        if self.best_state_ is not None:
            net.load_state(self.best_state_)
            self.best_state_ = None
