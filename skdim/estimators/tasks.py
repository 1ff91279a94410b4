"""Support of scikit-learn's callbacks, from scikit-learn 1.9 on."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skdim.training import EncoderNet, TaskEvents

__all__ = ["CallbackSupport", "reported", "reports"]

try:
    from sklearn import callback
except ImportError:  # It is older.
    callback = None

# Not object itself, which cannot stand before other bases.
CallbackSupport: type = (
    type("CallbackSupport", (), {}) if callback is None else callback.CallbackSupportMixin
)

Method = TypeVar("Method", bound=Callable[..., Any])


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
    events = TaskEvents(context, given, partial(attributes_of, estimator))
    yield [events]
    context.call_on_fit_task_end(**given, reconstruction_attributes=events.attributes)


def attributes_of(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the fitted attributes of an estimator in training, with a net in evaluation mode."""
    net: EncoderNet = estimator.net_
    copied = copy.copy(net)
    copied.module_, copied.criterion_ = copy.deepcopy((net.module_, net.criterion_))
    copied.module_.eval()
    copied.criterion_.eval()
    return {"net_": copied}
