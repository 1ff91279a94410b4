"""What accompanies the loop: progress, early stopping, tasks of callbacks of scikit-learn."""

import copy
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from skorch import NeuralNet
from skorch.callbacks import Callback, PrintLog
from tqdm.auto import tqdm

from skdim.bounds import BOUNDS
from skdim.objectives import AbstractCriterion, Information

try:
    from sklearn import callback
except ImportError:  # It is older.
    callback = None

__all__ = [
    "CallbackSupport",
    "EarlyStopping",
    "EpochLog",
    "Progress",
    "StopTraining",
    "TaskEvents",
    "reported",
    "reports",
    "summary_of",
]

# Not object itself, which cannot stand before other bases.
CallbackSupport: type = (
    type("CallbackSupport", (), {}) if callback is None else callback.CallbackSupportMixin
)

Method = TypeVar("Method", bound=Callable[..., Any])

LOGGER = logging.getLogger("skdim")

# Seconds between two lines in a log.
BETWEEN_LINES = 10.0
# A training that takes longer says so, once this many seconds have shown how fast it is.
LONG, MEASURED = 10.0, 1.0

# Bounds on mutual information, in nats.
IN_NATS = (BOUNDS["dv"], BOUNDS["infonce"], BOUNDS["kl"])


class EpochLog(PrintLog):
    """Print a line an epoch, for ``verbose`` of 2 and more."""

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Print the last epoch."""
        if net.verbose > 1:
            super().on_epoch_end(net, **kwargs)


class Progress:
    """Show how much of a training is done, and how long the rest will take.

    Where the standard output is a terminal or a notebook, a bar of tqdm. Elsewhere lines, at most
    one each ten seconds, without control characters. A training of more than ten seconds logs its
    expected time on the logger "skdim", also where nothing is shown.

    Parameters
    ----------
    total : int
        Samples to encode in training, over all epochs.
    n_epochs : int
    shown : bool
    """

    def __init__(self, total: int, n_epochs: int, *, shown: bool) -> None:
        self.total = total
        self.n_epochs = n_epochs
        self.shown = shown
        self.done = self.epoch = 0
        self.text = ""
        self.started = self.last_line = time.perf_counter()
        self.announced = False
        self.bar: Any = None
        if shown and draws_bars():
            self.bar = tqdm(
                total=total, unit=" samples", unit_scale=True, file=sys.stdout, leave=False
            )

    def advance(self, n: int) -> None:
        """Count samples that were trained on."""
        self.done += n
        now = time.perf_counter()
        if not self.announced and now - self.started > MEASURED:
            self.announced = True
            self.announce(now - self.started)
        if self.bar is not None:
            self.bar.update(n)
        elif self.shown and now - self.last_line > BETWEEN_LINES:
            self.write(now)

    def announce(self, elapsed: float) -> None:
        """Log how long the training will take, if that is long."""
        seconds = elapsed * self.total / max(self.done, 1)
        if seconds <= LONG:
            return
        text = f"fit will take about {duration(seconds)}"
        LOGGER.info(text)
        if self.shown:
            self.print(text)

    def describe(self, text: str) -> None:
        """Set what stands beside the bar: the epoch that has ended, and its terms."""
        self.epoch += 1
        self.text = f"epoch {self.epoch}/{self.n_epochs}, {text}"
        if self.bar is not None:
            self.bar.set_postfix_str(self.text, refresh=False)

    def write(self, now: float) -> None:
        """Print a line."""
        self.last_line = now
        share = min(self.done / max(self.total, 1), 1.0)
        left = (now - self.started) * (1 - share) / max(share, 1e-9)
        parts = [f"{share:.0%}", f"{duration(left)} left", self.text]
        self.print(", ".join(part for part in parts if part))

    def print(self, text: str) -> None:
        """Print a line beside the bar, if there is one."""
        if self.bar is None:
            print(text, flush=True)
        else:
            self.bar.write(text, file=sys.stdout)

    def close(self) -> None:
        """Remove the bar, and print what was reached."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
        if self.shown and self.text:
            self.print(f"{self.text}, {duration(time.perf_counter() - self.started)}")


def draws_bars() -> bool:
    """Whether the standard output is a terminal or a notebook."""
    in_notebook = any("notebook" in kind.__module__ for kind in tqdm.__mro__)
    return in_notebook or sys.stdout.isatty()


def duration(seconds: float) -> str:
    """Return seconds in words: "45 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def summary_of(criterion: AbstractCriterion, terms: Mapping[str, float]) -> str:
    """Return the information in the terms of an epoch, or their sum if they measure none."""
    found = [
        f"{part.name} {-terms[part.name] / part.weight:.3f}" + " nats" * (part.bound in IN_NATS)
        for part in criterion.members()
        if isinstance(part, Information) and part.name in terms
    ]
    return ", ".join(found) or f"loss {terms.get('loss', sum(terms.values())):.4g}"


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
    """Decorate a method that reports to callbacks, as scikit-learn asks for where it has them."""
    return method if callback is None else callback.with_callbacks(method)


@contextmanager
def reported(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None, n_epochs: int
) -> Iterator[list[TaskEvents]]:
    """Report a fit to the callbacks that were set by ``set_callbacks``.

    Yields
    ------
    list of TaskEvents
        Callbacks for the net; empty if none were set.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield []
        return
    given = {"estimator": estimator, "X": X, "y": y}
    context = estimator._init_callback_context(max_subtasks=n_epochs)  # noqa: SLF001 (documented)
    context.call_on_fit_task_begin(**given)
    events = TaskEvents(context, given)
    yield [events]
    context.call_on_fit_task_end(**given, reconstruction_attributes=events.attributes)
