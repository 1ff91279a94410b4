"""From an estimator's parameters to a trained net, or back to where it was."""

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.encoders.adapter import describe
from skdim.estimators.parts import OPTIMIZERS, find_view, make_standardise
from skdim.inputs import Layout, Rows, Standardise
from skdim.inputs.draws import seeded
from skdim.objectives import AbstractObjective, Setting
from skdim.training import Checkpoints, EarlyStopping, EncoderNet, check_precision, choose_net
from skdim.views import View, find_pairs

__all__ = [
    "Plan",
    "auto_epochs",
    "build_net",
    "check_plan",
    "check_unchanged",
    "count_epochs",
    "forget",
    "forgetting",
    "is_same",
    "run",
    "warn_of_collapse",
]

MOST_EPOCHS = 100

COLLAPSED = 1e-5

# Parameters of a training, and not of what is trained.
READ_EACH_TIME = (
    *("max_epochs", "batch_size", "learning_rate", "schedule", "precision", "compile"),
    *("validation_fraction", "early_stopping", "n_iter_no_change", "tol"),
    *("warm_start", "verbose", "checkpoint_every"),
)

# What fitting keeps beside its public attributes.
PRIVATE = ("_built", "_entropy", "_layer", "_layout", "_n_features_out")


def auto_epochs(n: int) -> int:
    """Choose how often to go through n samples: 800 / sqrt(n) times, at most 100.

    Few samples need more passes, many samples more steps. The factor is where the features of
    10,000 small images have come near their best in about a minute on two cores
    (benchmarks/features.py).
    """
    return min(math.ceil(800 / math.sqrt(n)), MOST_EPOCHS)


def check_unchanged(estimator: Any, built: Mapping[str, Any]) -> None:
    """Raise an error if a net to be trained further was built from other parameters.

    Parameters
    ----------
    estimator : object
    built : mapping of str to object
        Parameters as they were when the net was built.

    Raises
    ------
    ValueError
        If one of them is another now, and is not read anew for each training.
    """
    changed = [
        f"{name}={getattr(estimator, name)!r} (was {before!r})"
        for name, before in built.items()
        if name not in READ_EACH_TIME and not is_same(getattr(estimator, name), before)
    ]
    if changed:
        raise ValueError(
            f"{', '.join(changed)}: training cannot go on with what was built from other "
            "parameters. Set them back, or begin anew: fit with warm_start=False."
        )


def is_same(now: Any, before: Any) -> bool:
    """Return whether a parameter is the one it was: equal if it is plain, else the same object."""
    plain = (bool, int, float, str, tuple, list, np.generic)
    if isinstance(now, plain) and isinstance(before, plain):
        return bool(now == before)
    return now is before


def count_epochs(estimator: Any, rows: Rows, *, solvable: bool) -> int:
    """Return how often ``max_epochs`` asks to go through the samples by gradients."""
    if isinstance(estimator.max_epochs, str):
        return 0 if solvable else auto_epochs(len(rows))
    return int(estimator.max_epochs)


@dataclass(frozen=True)
class Plan:
    """How one training goes.

    Parameters
    ----------
    epochs : int
        By gradients.
    solving : bool
        Whether to begin with the closed form.
    schedule : str
        Of the learning rate.
    held_out : float
        Share of the samples that is scored only.
    patience : int or None
        Epochs without growth after which to stop; None trains to the end.
    tol : float
        Growth that counts.
    callbacks : list
        skorch callbacks of the user.
    settings : dict
        Of the net: batch size, learning rate, verbosity.
    foreign : bool
        Whether a part is the user's own, which may draw from torch's global generators.
    checkpoints : Checkpoints or None
        What writes the training down.
    """

    epochs: int
    solving: bool
    schedule: str
    held_out: float
    patience: int | None
    tol: float
    callbacks: list[Any]
    settings: dict[str, Any]
    foreign: bool
    checkpoints: Checkpoints | None = None

    @classmethod
    def of(
        cls,
        estimator: Any,
        epochs: int,
        *,
        solving: bool,
        one_pass: bool = False,
        checkpoints: Checkpoints | None = None,
    ) -> Self:
        """Read the plan off the parameters; ``one_pass`` holds nothing out."""
        stopping = estimator.early_stopping and not one_pass
        share = estimator.validation_fraction or (0.1 if stopping else 0.0)
        return cls(
            epochs=min(epochs, 1) if one_pass else epochs,
            solving=solving,
            schedule="constant" if one_pass else estimator.schedule,
            held_out=0.0 if one_pass else share,
            patience=estimator.n_iter_no_change if stopping else None,
            tol=estimator.tol,
            callbacks=list(estimator.callbacks or []),
            settings={
                "batch_size": estimator.batch_size,
                # skorch's history, like ours, keeps plain floats.
                "lr": float(estimator.learning_rate),
                "verbose": estimator.verbose,
                "precision": estimator.precision,
                "compiling": estimator.compile,
            },
            foreign=not all(
                isinstance(getattr(estimator, part, ""), str)
                for part in ("encoder", "critic", "prior")
            ),
            checkpoints=checkpoints,
        )


def build_net(
    estimator: Any,
    rows: Rows,
    entropy: int,
    make_encoder: Callable[[Standardise, Rows], tuple[nn.Sequential, Features]],
    make_objective: Callable[[Setting], AbstractObjective],
    auto_view: Callable[[Layout], View],
) -> tuple[EncoderNet, Setting]:
    """Draw first weights for everything that is trained.

    Returns
    -------
    net : EncoderNet
        Initialised.
    setting : Setting
        What the objective was built from.
    """
    view = find_view(estimator.view, rows.layout, auto_view(rows.layout))
    standardise = make_standardise(rows)
    with seeded(entropy, rows.device):
        encoder, sizes = make_encoder(standardise, rows)
        looks = find_pairs(view, count_looks(view, rows))
        setting = Setting(
            sizes,
            looks,
            standardise=encoder[0],
            encoder=encoder[1],
            shape=rows.layout.shape,
            n_samples=len(rows),
        )
        objective = make_objective(setting)
    optimizer = estimator.optimizer
    net = choose_net(estimator.device)(
        encoder,
        objective,
        view=view,
        optimizer=OPTIMIZERS.get(optimizer) if isinstance(optimizer, str) else optimizer,
        lr=float(estimator.learning_rate),
        batch_size=estimator.batch_size,
        device=str(rows.device),
        callbacks=None,
        verbose=0,
    )
    net.initialize()
    return net, setting


def check_optimizer(optimizer: Any) -> None:
    """Raise an error for an optimizer that computes the loss of a batch more than once.

    Raises
    ------
    ValueError
        If its step needs a closure.
    TypeError
        If it is none.
    """
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


def count_looks(view: Any, rows: Rows) -> int:
    """Try a view on two samples.

    Raises
    ------
    ValueError
        If it gives anything but a tuple of tensors shaped like the samples.
    """
    x = rows[rows.numbers[:2]].float()
    looks = view(x, Generator(device=rows.device).manual_seed(0))
    shapes = [
        look.shape if isinstance(look, Tensor) else None
        for look in (looks if isinstance(looks, tuple | list) else ())
    ]
    if not shapes or any(shape != x.shape for shape in shapes):
        raise ValueError(
            f"view={view!r} gave {describe(looks)} for samples of shape {tuple(x.shape)}. It must "
            "give a tuple of tensors of that shape, one a look."
        )
    return len(shapes)


def check_plan(net: EncoderNet, rows: Rows, plan: Plan, hint: str) -> None:
    """Raise an error, before anything is changed, for a training that cannot be completed.

    ``hint`` says what to do where there is no score.

    Raises
    ------
    ValueError
        If early stopping has nothing to look at, or too few samples to hold out, or the device
        cannot compute in the precision.
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


def run(net: EncoderNet, rows: Rows, plan: Plan, entropy: int) -> int:
    """Train a net as planned.

    Returns
    -------
    int
        Epochs behind the weights that are kept.
    """
    done = len(net.history)
    draws = np.random.default_rng([entropy, done])
    part, held_out = split(rows, plan.held_out, draws)
    stopping = None if plan.patience is None else EarlyStopping(plan.patience, plan.tol)
    alone = not plan.foreign and not has_dropout(net.module_)
    if plan.checkpoints is not None:
        n_epochs = max(plan.epochs, 1)
        plan.checkpoints.watch(stopping, draws_globally=not alone, n_epochs=n_epochs)
    own = [callback for callback in (stopping, plan.checkpoints) if callback is not None]
    net.plan(plan.schedule, [*plan.callbacks, *own], plan.settings)
    generator = Generator(device=rows.device).manual_seed(int(draws.integers(2**63)))
    guard = nullcontext() if alone else seeded(entropy + done, rows.device)
    try:
        with guard:
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
    return stopping.best_epoch_ if stopping else len(net.history)


def has_dropout(module: nn.Module) -> bool:
    """Return whether a module draws from torch's global generators when it trains."""
    return any(isinstance(part, nn.Dropout | nn.Dropout2d) for part in module.modules())


def split(rows: Rows, held_out: float, draws: np.random.Generator) -> tuple[Rows, Rows | None]:
    """Draw the samples that are scored only.

    Raises
    ------
    ValueError
        If fewer than two samples would be on either side.
    """
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


def warn_of_collapse(spread: float, name: str) -> None:
    """Warn where all samples have come to one code."""
    if spread < COLLAPSED:
        warnings.warn(
            f"The codes of {name} have collapsed: their standard deviation over samples is "
            f"{spread:.1e}. See history_['spread']. A lower learning_rate, another bound or more "
            "varied data may help.",
            ConvergenceWarning,
            stacklevel=4,
        )


def forget(estimator: Any) -> None:
    """Remove everything that fitting has learnt."""
    for name in [name for name in vars(estimator) if name.endswith("_") or name in PRIVATE]:
        delattr(estimator, name)


@contextmanager
def forgetting(estimator: Any, unless: type[BaseException] | tuple[()] = ()) -> Iterator[None]:
    """Leave nothing that looks fitted behind an error, Ctrl-C included."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, unless):
            forget(estimator)
        raise
