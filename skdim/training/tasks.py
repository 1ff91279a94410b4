"""Epochs and batches as tasks of scikit-learn's callbacks."""

from collections.abc import Callable, Mapping
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skdim.training.stopping import StopTraining

__all__ = ["TaskEvents"]


class TaskEvents(Callback):
    """Report epochs and batches to the callbacks of a fit of scikit-learn.

    Parameters
    ----------
    context : sklearn.callback.CallbackContext
        Task of the whole fit.
    given : dict
        ``estimator``, ``X`` and ``y`` of the fit.
    attributes : callable
        Returns the attributes of the estimator as if the fit had ended.
    """

    def __init__(
        self,
        context: Any,
        given: Mapping[str, Any],
        attributes: Callable[[], dict[str, Any]],
    ) -> None:
        self.context = context
        self.given = given
        self.attributes = attributes

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
