"""From an estimator's parameters to a trained net, or back to where it was."""

import inspect
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from torch import Generator

from skdim.encoders import ENCODERS, LinearEncoder
from skdim.estimators.build import EncoderSpec
from skdim.inputs import Samples
from skdim.objectives import AbstractObjective
from skdim.parameters import is_same, shown, stacklevel_of_user
from skdim.random import seeded
from skdim.training import Checkpoints, EarlyStopping, EncoderNet, check_precision

__all__ = [
    "ATTRIBUTES",
    "OPTIONAL",
    "Plan",
    "auto_epochs",
    "check_plan",
    "choose_solver",
    "forget",
    "forgetting",
    "is_linear",
    "run",
    "warn_of_failure",
    "warn_of_idle",
    "why_not_closed",
]

MOST_EPOCHS = 100

COLLAPSED = 1e-5
# Bounds below so many nats are of critics that discriminate nothing.
UNINFORMATIVE = 0.01

# Fitted attributes that files store; those of OPTIONAL only if present.
ATTRIBUTES = ("_entropy", "_layer", "_layout", "n_iter_")
OPTIONAL = (
    *("_conversion", "_given_shape", "_n_looks", "_reads_files"),
    *("classes_", "feature_names_in_", "solver_"),
)

# Parameters of training by gradients alone.
OF_GRADIENTS = ("batch_size", "learning_rate", "optimizer", "schedule", "compile")


def auto_epochs(n: int) -> int:
    """Choose how often to go through n samples: 800 / sqrt(n) times, at most 100.

    Few samples need more passes, many samples more steps. The factor is where the features of
    10,000 small images have come near their best in about a minute on two cores
    (benchmarks/features.py).
    """
    return min(math.ceil(800 / math.sqrt(n)), MOST_EPOCHS)


@dataclass(frozen=True)
class Plan:
    """How one training goes."""

    # By gradients, after the closed form if that is solved first.
    epochs: int
    solving: bool
    # Share of the samples that is scored only.
    held_out: float
    stopping: EarlyStopping | None
    # Of the user.
    callbacks: list[Any]
    # Of the net, by the names in ``skdim.training.SETTINGS``.
    settings: dict[str, Any]
    checkpoints: Checkpoints | None = None


def check_optimizer(optimizer: object) -> None:
    """Raise a TypeError for what is none, a ValueError for one whose step needs a closure."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer gave an object of type {type(optimizer).__name__}. It must give a "
            "torch.optim.Optimizer when called with the weights and lr."
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"optimizer={type(optimizer).__name__} computes the loss of each batch several times, "
            "on which views and negatives are drawn anew. Choose one that takes a step from one "
            "gradient, such as 'adam'."
        )


def check_plan(net: EncoderNet, rows: Samples, plan: Plan, hint: str) -> None:
    """Raise an error, before anything is changed, for a training that cannot be completed.

    That is one with an optimizer or a precision that cannot be used, too few samples to hold out,
    or nothing to score them by; ``hint`` says what to do then.
    """
    check_precision(plan.settings["precision"], rows.device)
    if plan.epochs:
        net.make_optimizer()
        check_optimizer(net.optimizer_)
    _, held_out = split(rows, plan.held_out, np.random.default_rng(0))
    if held_out is None:
        return
    # What is normalised over the batch would else keep the statistics of these two samples.
    net.criterion_.eval()
    if net.score_rows(held_out.part(np.arange(2)), seed=0) is None:
        raise ValueError(
            "early_stopping and validation_fraction need a term that measures information. "
            f"{hint}, or hold nothing out."
        )


def run(net: EncoderNet, rows: Samples, plan: Plan, entropy: int) -> int:
    """Train a net as planned; return the number of epochs behind the weights that are kept."""
    done = len(net.history)
    draws = np.random.default_rng([entropy, done])
    part, held_out = split(rows, plan.held_out, draws)
    if plan.checkpoints is not None:
        plan.checkpoints.stopping = plan.stopping
    own = [callback for callback in (plan.stopping, plan.checkpoints) if callback is not None]
    net.plan([*plan.callbacks, *own], plan.settings)
    generator = Generator(device=rows.device).manual_seed(int(draws.integers(2**63)))
    try:
        with seeded(entropy + done, rows.device):
            net.train(part, held_out, epochs=plan.epochs, generator=generator, solving=plan.solving)
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"{rows.device} ran out of memory at batch_size={net.batch_size}. Try a smaller "
            f"batch_size, smaller networks, or another device. ({error})"
        ) from error
    except RuntimeError as error:
        # Named, since importing the class would take as long as all of torch.
        if type(error).__name__ != "BackendCompilerFailed":
            raise
        raise RuntimeError(
            "compile=True failed: torch.compile needs a C++ compiler on the CPU, and Triton on "
            f"CUDA. Install them, or use compile=False. ({error})"
        ) from error
    finally:
        net.clear_callbacks()
    return plan.stopping.best_epoch_ if plan.stopping else len(net.history)


def split(
    rows: Samples, held_out: float, draws: np.random.Generator
) -> tuple[Samples, Samples | None]:
    """Draw the samples that are scored only; raise a ValueError for less than two on a side."""
    if held_out == 0:
        return rows, None
    n_held = round(held_out * len(rows))
    if min(n_held, len(rows) - n_held) < 2:
        raise ValueError(
            f"validation_fraction={held_out:g} of {len(rows)} samples holds out {n_held}. At least "
            "2 must be held out and 2 left to train on: a sample alone has no negatives."
        )
    order = draws.permutation(len(rows))
    return rows.part(np.sort(order[n_held:])), rows.part(order[:n_held])


def warn_of_failure(estimator: BaseEstimator) -> None:
    """Warn if all samples have one code, or all bounds stayed at 0 in the second half of epochs.

    The latter is asked of three epochs and more.
    """
    name, history, n_epochs = type(estimator).__name__, estimator.history_, estimator.n_iter_
    spread = history["spread"][n_epochs - 1]
    weights = estimator.net_.criterion_.weights_of_bounds
    late = slice(n_epochs // 2, n_epochs)
    bounds = [abs(term / weights[key]) for key in weights for term in history[key][late]]
    if spread < COLLAPSED:
        text = (
            f"The codes of {name} have collapsed: their standard deviation over samples is "
            f"{spread:.1e}. See history_['spread']. A lower learning_rate, another bound or more "
            "varied data may help."
        )
    elif n_epochs >= 3 and bounds and max(bounds) < UNINFORMATIVE:
        text = (
            f"{name} learnt nothing: the bound on the information stayed at 0, which is that of "
            f"codes without information. See history_[{next(iter(weights))!r}]. Another "
            "learning_rate, bound or view, or more epochs may help, if there is something to learn "
            "in X."
        )
    else:
        return
    warnings.warn(text, ConvergenceWarning, stacklevel=stacklevel_of_user())


def forget(estimator: BaseEstimator) -> None:
    """Remove everything that fitting has learnt."""
    kept = ("_built", *ATTRIBUTES, *OPTIONAL)
    for name in [name for name in vars(estimator) if name.endswith("_") or name in kept]:
        delattr(estimator, name)


@contextmanager
def forgetting(estimator: BaseEstimator) -> Iterator[None]:
    """Begin anew, and leave nothing that looks fitted behind an error, Ctrl-C included."""
    forget(estimator)
    try:
        yield
    except BaseException:
        forget(estimator)
        raise


def choose_solver(net: EncoderNet, epochs: int, before: str | None) -> tuple[bool, str]:
    """Return whether a training begins with the closed form, and the attribute ``solver_``.

    ``before`` is that of the training that this one continues; None if it begins. A ValueError is
    raised if there is nothing to do without gradients.
    """
    if epochs == 0 and before is not None and (net.look_sums is None or "gradients" in before):
        raise ValueError(
            "The closed form cannot be solved for more samples: the sums over the earlier "
            "ones are kept neither in copies and files, nor where gradients have trained. "
            "Fit all samples anew; or train by gradients, with max_epochs of 1 or more."
        )
    linear = isinstance(net.module_[1], LinearEncoder)
    solving = linear and (epochs == 0 or before is None)
    closed = solving or (before or "").startswith("closed form")
    return solving, " then ".join(["closed form"] * closed + ["gradients"] * (epochs > 0))


def is_linear(encoder: EncoderSpec, *, automatic: bool) -> bool:
    """Whether an encoder given as a parameter is linear in fixed features; "auto" is if asked."""
    while isinstance(encoder, partial):
        encoder = encoder.func
    if isinstance(encoder, str):
        if encoder == "auto":
            return automatic
        encoder = ENCODERS[encoder]
    kind: type = encoder if isinstance(encoder, type) else type(encoder)
    return issubclass(kind, LinearEncoder)


def why_not_closed(estimator: BaseEstimator, objective: AbstractObjective) -> str:
    """Explain why ``max_epochs=0`` is not possible."""
    names = objective.without_closed_form()
    text = "max_epochs=0 computes the closed form of Deep InfoMax, which"
    if names is None:
        return f"{text} {type(objective).__name__} does not have. Give at least one epoch."
    given = ", ".join(
        f"{name}={shown(getattr(estimator if hasattr(estimator, name) else objective, name))}"
        for name in names or ["encoder"]
    )
    return (
        f"{text} cannot honour {given}. Give at least one epoch to train by gradients, or leave "
        "these at their defaults."
    )


def warn_of_idle(estimator: BaseEstimator) -> None:
    """Warn of parameters that were set, but of which the closed form makes no use."""
    defaults = inspect.signature(type(estimator)).parameters
    idle = [
        f"{name}={shown(getattr(estimator, name))}"
        for name in OF_GRADIENTS
        if name in defaults and not is_same(getattr(estimator, name), defaults[name].default)
    ]
    if idle:
        warnings.warn(
            f"{', '.join(idle)} had no effect: with these parameters the closed form is computed, "
            "without gradients. To train by gradients from there, set max_epochs to 1 or more.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
