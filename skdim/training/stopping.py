"""Ending a training early."""

import copy
import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

__all__ = ["EarlyStopping", "StopTraining"]


class StopTraining(Exception):  # noqa: N818 - an event of the loop, not an error
    """Raised to end training early; never leaves the net."""


class EarlyStopping(Callback):
    """Stop when the held-out score has not grown for a while, and go back to the best epoch.

    Parameters
    ----------
    patience : int
        Epochs without growth that are waited for.
    tol : float
        Growth that counts.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience = patience
        self.tol = tol

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget earlier trainings."""
        self.best_score_ = -math.inf
        self.best_epoch_ = 0
        self.best_state_: dict[str, Any] | None = None

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Keep a copy of the best weights; raise to stop."""
        score, epoch = net.history[-1, "validation_score"], len(net.history)
        if score > self.best_score_ + self.tol:
            self.best_score_, self.best_epoch_ = score, epoch
            self.best_state_ = copy.deepcopy(net.state())
        elif epoch - self.best_epoch_ >= self.patience:
            raise StopTraining

    def state(self) -> dict[str, Any]:
        """Return what is known so far, as tensors and primitives."""
        return {
            "score": self.best_score_,
            "epoch": self.best_epoch_,
            "weights": self.best_state_,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self.best_score_ = state["score"]
        self.best_epoch_ = state["epoch"]
        self.best_state_ = state["weights"]

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Go back to the best weights, and let the copy go."""
        if self.best_state_ is not None:
            net.load_state(self.best_state_)
            self.best_state_ = None
