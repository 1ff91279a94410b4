"""Functions of fit: which solver, checks before the training, warnings after it, resetting."""

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from skdim.encoders import ENCODERS, LinearEncoder
from skdim.estimators.build import EncoderSpec
from skdim.inputs import Samples
from skdim.objectives import AbstractObjective
from skdim.parameters import is_same, shown, warn_user
from skdim.training import EncoderNet

MAX_EPOCHS = 100

# Standard deviation of codes below which they have collapsed.
COLLAPSED = 1e-5
# Bound in nats below which nothing has been learnt.
UNINFORMATIVE = 0.01

# Fitted attributes that files store; those of OPTIONAL only if present.
ATTRIBUTES = ("_entropy", "_layer", "_layout", "n_iter_")
OPTIONAL = (
    *("_conversion", "_given_shape", "_n_looks", "_reads_files"),
    *("classes_", "feature_names_in_", "solver_"),
)

# Parameters that only training by gradients uses.
OF_GRADIENTS = ("batch_size", "learning_rate", "optimizer", "schedule", "compile")


def auto_epochs(n: int) -> int:
    """Return the number of epochs for n samples: 800 / sqrt(n), at most 100.

    Few samples need more epochs, many samples more steps. With this factor, the features of
    10,000 small images come near their best in about a minute on two cores
    (benchmarks/features.py).
    """
    return min(math.ceil(800 / math.sqrt(n)), MAX_EPOCHS)


def check_net(net: EncoderNet, epochs: int, held_out: Samples | None, hint: str) -> None:
    """Raise an error for an invalid optimizer, or for held-out samples without a score.

    ``hint`` is what to do for a score.
    """
    if epochs:
        net.make_optimizer()
        check_optimizer(net.optimizer_)
    if held_out is None:
        return
    # In training mode, normalisation over the batch would update its running statistics.
    net.criterion_.eval()
    if net.score_rows(held_out.part(np.arange(2)), seed=0) is None:
        raise ValueError(
            "early_stopping and validation_fraction need a term that measures information. "
            f"{hint}, or hold nothing out."
        )


def check_optimizer(optimizer: object) -> None:
    """Raise a TypeError if this is not an optimizer, a ValueError if its step needs a closure."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer returned an object of type {type(optimizer).__name__}. It must return a "
            "torch.optim.Optimizer when called with the weights and lr."
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"optimizer={type(optimizer).__name__} computes the loss of each batch several times, "
            "with different draws of views and negatives. Choose one that takes a step from one "
            "gradient, such as 'adam'."
        )


@contextmanager
def explained_errors(net: EncoderNet, device: torch.device) -> Iterator[None]:
    """Add the parameters to change to errors of memory and of the compiler."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"{device} ran out of memory at batch_size={net.batch_size}. Try a smaller "
            f"batch_size, smaller networks, or another device. ({error})"
        ) from error
    except RuntimeError as error:
        # Compared by name, since importing the class takes as long as importing torch.
        if type(error).__name__ != "BackendCompilerFailed":
            raise
        raise RuntimeError(
            "compile=True failed: torch.compile needs a C++ compiler on the CPU, and Triton on "
            f"CUDA. Install them, or use compile=False. ({error})"
        ) from error


def split(
    rows: Samples, held_out: float, draws: np.random.Generator
) -> tuple[Samples, Samples | None]:
    """Split off held-out samples; raise a ValueError if a part has fewer than two."""
    if held_out == 0:
        return rows, None
    n_held = round(held_out * len(rows))
    if min(n_held, len(rows) - n_held) < 2:
        raise ValueError(
            f"validation_fraction={held_out:g} of {len(rows)} samples holds out {n_held}. At least "
            "2 must be held out and 2 left to train on: a single sample has no negatives."
        )
    order = draws.permutation(len(rows))
    return rows.part(np.sort(order[n_held:])), rows.part(order[:n_held])


def warn_of_failure(estimator: BaseEstimator) -> None:
    """Warn if all codes are equal, or all bounds stayed at 0 in the second half of the epochs.

    Bounds are checked after three epochs or more.
    """
    name, history, n_epochs = type(estimator).__name__, estimator.history_, estimator.n_iter_
    spread = history["spread"][n_epochs - 1]
    weights = estimator.net_.criterion_.weights_of_bounds
    late = slice(n_epochs // 2, n_epochs)
    bounds = [abs(term / weights[key]) for key in weights for term in history[key][late]]
    if spread < COLLAPSED:
        warn_user(
            f"The codes of {name} have collapsed: their standard deviation over samples is "
            f"{spread:.1e}. See history_['spread']. A lower learning_rate, another bound or more "
            "varied data may help.",
            ConvergenceWarning,
        )
    elif n_epochs >= 3 and bounds and max(bounds) < UNINFORMATIVE:
        warn_user(
            f"{name} learnt nothing: the bound on the information stayed at 0, as for codes "
            f"without information. See history_[{next(iter(weights))!r}]. Another learning_rate, "
            "bound or view, or more epochs may help, if X has structure.",
            ConvergenceWarning,
        )


def forget(estimator: BaseEstimator) -> None:
    """Delete all fitted attributes."""
    private = ("_built", *ATTRIBUTES, *OPTIONAL)
    for name in [name for name in vars(estimator) if name.endswith("_") or name in private]:
        delattr(estimator, name)


@contextmanager
def forgetting(estimator: BaseEstimator) -> Iterator[None]:
    """Delete fitted attributes at the start, and again after any error, Ctrl-C included."""
    forget(estimator)
    try:
        yield
    except BaseException:
        forget(estimator)
        raise


def choose_solver(
    estimator: BaseEstimator,
    objective: AbstractObjective,
    epochs: int,
    *,
    closed_form: bool,
    continues: bool,
) -> tuple[bool, str]:
    """Return whether to compute the closed form, and the value of ``solver_`` after training.

    ``closed_form`` is whether the parameters have one, ``continues`` whether the net was trained
    before. A ValueError is raised if there are neither a closed form nor epochs; a warning names
    parameters that the closed form does not use.
    """
    net = estimator.net_
    before = getattr(estimator, "solver_", "") if continues else None
    linear = isinstance(net.module_[1], LinearEncoder)
    if epochs == 0:
        if not (linear and closed_form):
            raise ValueError(why_not_closed(estimator, objective))
        if before is not None and (net.look_sums is None or "gradients" in before):
            raise ValueError(
                "The closed form cannot be computed with more samples: sums over the earlier ones "
                "are neither in copies and files, nor in what was trained by gradients. Fit all "
                "samples again, with warm_start=False; or train by gradients, with max_epochs of 1 "
                "or more."
            )
        warn_of_unused(estimator)
    solving = linear and (epochs == 0 or before is None)
    closed = solving or (before or "").startswith("closed form")
    return solving, " then ".join(["closed form"] * closed + ["gradients"] * (epochs > 0))


def is_auto(value: object) -> bool:
    """Whether a parameter is "auto"; objects of users may compare in their own ways."""
    return isinstance(value, str) and value == "auto"


def is_linear(encoder: EncoderSpec, *, automatic: bool) -> bool:
    """Whether an encoder is linear in fixed features; ``automatic`` is the answer for "auto"."""
    if is_auto(encoder):
        return automatic
    kind: Any = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    while isinstance(kind, partial):
        kind = kind.func
    return issubclass(kind if isinstance(kind, type) else type(kind), LinearEncoder)


def why_not_closed(estimator: BaseEstimator, objective: AbstractObjective) -> str:
    """Return the message that explains why ``max_epochs=0`` is not possible."""
    names = objective.without_closed_form()
    text = "max_epochs=0 computes the closed form of Deep InfoMax, which"
    if names is None:
        return f"{text} {type(objective).__name__} does not have. Give at least one epoch."
    listed = ", ".join(
        f"{name}={shown(getattr(estimator if hasattr(estimator, name) else objective, name))}"
        for name in names or ["encoder"]
    )
    return (
        f"{text} does not support {listed}. Give at least one epoch to train by gradients, or "
        "leave these at their defaults."
    )


def warn_of_unused(estimator: BaseEstimator) -> None:
    """Warn of parameters that were set, but that the closed form does not use."""
    defaults = inspect.signature(type(estimator)).parameters
    unused = [
        f"{name}={shown(getattr(estimator, name))}"
        for name in OF_GRADIENTS
        if name in defaults and not is_same(getattr(estimator, name), defaults[name].default)
    ]
    if unused:
        warn_user(
            f"{', '.join(unused)} had no effect: the closed form is computed, without gradients. "
            "To train by gradients from there, set max_epochs to 1 or more."
        )
