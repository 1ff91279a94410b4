"""From an estimator's parameters to a trained net, or back to where it was."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.encoders.adapter import describe
from skdim.estimators.parts import OPTIMIZERS, find_view, make_encoder, make_standardise
from skdim.inputs import Rows
from skdim.inputs.draws import SEEDING
from skdim.objectives import AbstractObjective
from skdim.training import EarlyStopping, EncoderNet, check_precision, choose_net
from skdim.views import find_pairs

__all__ = ["Plan", "auto_epochs", "build_net", "check_plan", "forget", "forgetting", "run"]

MOST_EPOCHS = 100

COLLAPSED = 1e-5

# What fitting keeps beside its public attributes.
PRIVATE = ("_entropy", "_layer", "_layout", "_n_features_out")


def auto_epochs(n: int) -> int:
    """Choose how often to go through n samples: 800 / sqrt(n) times, at most 100.

    Few samples need more passes, many samples more steps. The factor is where the features of
    10,000 small images have come near their best in about a minute on two cores
    (benchmarks/features.py).
    """
    return min(math.ceil(800 / math.sqrt(n)), MOST_EPOCHS)


@dataclass(frozen=True)
class Plan:
    """How one training goes.

    Parameters
    ----------
    epochs : int
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
    """

    epochs: int
    schedule: str
    held_out: float
    patience: int | None
    tol: float
    callbacks: list[Any]
    settings: dict[str, Any]
    foreign: bool

    @classmethod
    def of(cls, estimator: Any, epochs: int, *, one_pass: bool = False) -> Self:
        """Read the plan off the parameters; ``one_pass`` holds nothing out."""
        stopping = estimator.early_stopping and not one_pass
        share = estimator.validation_fraction or (0.1 if stopping else 0.0)
        return cls(
            epochs=epochs,
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
        )


def build_net(
    estimator: Any,
    rows: Rows,
    entropy: int,
    make_objective: Callable[[Features, Any], AbstractObjective],
) -> tuple[EncoderNet, Features]:
    """Draw first weights for everything that is trained.

    Returns
    -------
    net : EncoderNet
        Initialised.
    sizes : Features
        Features of two samples.
    """
    view = find_view(estimator.view, rows.layout)
    standardise = make_standardise(rows)
    with seeded(entropy, rows.device):
        encoder, sizes = make_encoder(estimator.encoder, estimator.n_components, standardise, rows)
        objective = make_objective(sizes, find_pairs(view, count_looks(view, rows)))
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
    return net.initialize(), sizes


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


@contextmanager
def seeded(entropy: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for a while, one thread at a time, and put them back."""
    devices = [device] if device.type == "cuda" else []
    with SEEDING, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(entropy)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(entropy)
        yield


def check_plan(net: EncoderNet, rows: Rows, plan: Plan) -> None:
    """Refuse, before anything is changed, a training that cannot be gone through with.

    Raises
    ------
    ValueError
        If early stopping has nothing to look at, or too few samples to hold out, or the device
        cannot compute in the precision.
    """
    check_precision(plan.settings["precision"], rows.device)
    _, held_out = split(rows, plan.held_out, np.random.default_rng(0))
    if held_out is not None and net.score_rows(held_out.part(np.arange(2)), seed=0) is None:
        raise ValueError(
            "early_stopping and validation_fraction need a term that measures information. Give "
            "local_weight or global_weight a value above 0, or hold nothing out."
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
    net.plan(plan.schedule, [*plan.callbacks, *([stopping] if stopping else [])], plan.settings)
    generator = Generator(device=rows.device).manual_seed(int(draws.integers(2**63)))
    alone = not plan.foreign and not has_dropout(net.module_)
    guard = nullcontext() if alone else seeded(entropy + done, rows.device)
    try:
        with guard:
            net.train(part, held_out, epochs=plan.epochs, generator=generator)
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"{rows.device} ran out of memory at batch_size={net.batch_size}. Try a smaller "
            f"batch_size, fewer critic_units, or another device. ({error})"
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
    """Say whether a module draws from torch's global generators when it trains."""
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
