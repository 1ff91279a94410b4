"""Callbacks of the loop: early stopping, and tasks of scikit-learn's callbacks (1.9 and later)."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback

try:
    from sklearn import callback
except ImportError:  # scikit-learn < 1.9
    callback = None

# Not object itself, which cannot precede other base classes.
CallbackSupport: type = (
    type("CallbackSupport", (), {}) if callback is None else callback.CallbackSupportMixin
)

Method = TypeVar("Method", bound=Callable[..., Any])


class StopTraining(Exception):  # noqa: N818 - an event of the loop, not an error
    """Exception that callbacks raise to end a training early, and the net catches."""


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


class TaskEvents(Callback):
    """Report epochs and batches to the callbacks of a fit of scikit-learn.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Task of the whole fit.
    given : dict
        ``estimator``, ``X`` and ``y`` of the fit.
    """

    def __init__(self, context: Any, given: Mapping[str, Any]) -> None:
        self.context = context
        self.given = given

    def attributes(self) -> dict[str, Any]:
        """Return the attributes of the estimator as if the fit had ended."""
        net = self.given["estimator"].net_
        copied = copy.copy(net)
        copied.module_, copied.criterion_ = copy.deepcopy((net.module_, net.criterion_))
        copied.module_.eval()
        copied.criterion_.eval()
        return {"net_": copied}

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **kwargs: Any) -> None:
        """Begin a task, with as many subtasks as there are batches."""
        n_batches = len(net.get_iterator(dataset_train, training=True)) if net.n_steps else 0
        self.epoch = self.context.subcontext(task_name="epoch", max_subtasks=n_batches)
        self.epoch.call_on_fit_task_begin(**self.given)

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Begin and end the task of a batch."""
        if training:
            batch = self.epoch.subcontext(task_name="batch")
            batch.call_on_fit_task_begin(estimator=self.given["estimator"])
            batch.call_on_fit_task_end(estimator=self.given["estimator"])

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """End the task of the epoch; stop if a callback asks for it."""
        stop = self.epoch.call_on_fit_task_end(
            **self.given, reconstruction_attributes=self.attributes
        )
        if stop:
            raise StopTraining


def reports(method: Method) -> Method:
    """Decorate a method that reports to callbacks, where scikit-learn has them."""
    return method if callback is None else callback.with_callbacks(method)


@contextmanager
def reported(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None, n_epochs: int
) -> Iterator[list[TaskEvents]]:
    """Report a fit to the callbacks of ``set_callbacks``; yield the net's callbacks for them."""
    if not getattr(estimator, "_skl_callbacks", None):
        yield []
        return
    given = {"estimator": estimator, "X": X, "y": y}
    context = estimator._init_callback_context(max_subtasks=n_epochs)  # noqa: SLF001 (documented)
    context.call_on_fit_task_begin(**given)
    events = TaskEvents(context, given)
    yield [events]
    context.call_on_fit_task_end(**given, reconstruction_attributes=events.attributes)
