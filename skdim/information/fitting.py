"""Cross-fitting: networks trained on some rows and evaluated on held-out rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TypeAlias, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from torch import Generator, Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# Decay of the running mean of the trained weights. The mean is what is evaluated, because its
# values fluctuate less.
DECAY = 0.9
# Largest number of batches of an epoch, so that the time does not grow with the rows.
MAX_BATCHES = 40
# Training stops after this many batches and epochs if no epoch was better than no training.
MIN_BATCHES, MIN_EPOCHS = 100, 5

Network = TypeVar("Network", bound=nn.Module)


class UntrustedEstimateWarning(UserWarning):
    """An estimate of information that its sample size does not support."""


@dataclass(frozen=True)
class Training:
    """Settings of the training of networks by AdamW with a cosine schedule.

    Training stops after ``patience`` epochs without a better validation value.
    """

    max_epochs: int
    patience: int
    batch_size: int
    learning_rate: float

    def __post_init__(self) -> None:
        """Raise an error for invalid settings."""
        for name, minimum in (("max_epochs", 0), ("batch_size", 2)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < minimum:
                raise ValueError(f"{name}={value!r}; an integer of at least {minimum} is needed.")
        rate = self.learning_rate
        if not isinstance(rate, Real) or not 0 < rate < math.inf:
            raise ValueError(f"learning_rate={rate!r}; a positive finite number is needed.")


@dataclass
class Curve:
    """Learning curve of one network, in nats.

    The held-out rows are divided into two halves. Each half selects the epoch whose weights are
    evaluated on the other half, so that no row evaluates weights that it has selected.

    Parameters
    ----------
    training : list of float
        Mean over the training batches of each epoch.
    halves : list of (float, float)
        Values on the two halves: the first entry before training (the normal copula alone), then
        one entry per epoch.
    """

    training: list[float] = field(default_factory=list)
    halves: list[tuple[float, float]] = field(default_factory=list)

    @property
    def selected(self) -> tuple[int, int]:
        """Epochs whose weights are evaluated on the first half, and on the second."""
        first, second = np.argmax(self.halves, axis=0)
        return int(second), int(first)

    @property
    def is_positive(self) -> tuple[bool, bool]:
        """Whether the best value on the other half is positive; if not, that of a half is 0."""
        first, second = self.selected
        return self.halves[first][1] > 0, self.halves[second][0] > 0

    @property
    def held_out(self) -> float:
        """Mean of the values on the two halves, each of the weights selected by the other half."""
        values = (self.halves[epoch][half] for half, epoch in enumerate(self.selected))
        return sum(v for v, positive in zip(values, self.is_positive, strict=True) if positive) / 2


# The curve of a network, and pointwise values on the held-out rows of a fold: of the normal copula
# alone, and of the selected epochs.
Fitted: TypeAlias = tuple[Curve, NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Fold:
    """Indices of the rows that a network is trained on, and of the rows that are held out."""

    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


def make_folds(n: int, test_size: float, draws: np.random.Generator) -> list[Fold]:
    """Divide n rows into parts, each of which is held out once.

    ``test_size`` is the share of the rows in a part, rounded so that its inverse is an integer.
    Raise a ValueError if it is more than 1/2, or if a part would have fewer than four rows.
    """
    if not isinstance(test_size, Real) or not 1 / n <= test_size <= 0.5:
        raise ValueError(
            f"test_size={test_size!r}; a share of at least one row and at most 1/2 is needed."
        )
    count = round(1 / test_size)
    if n < 4 * count:
        raise ValueError(
            f"test_size={test_size:g} divides {n} rows into {count} parts of fewer than 4 rows. "
            "Pass more rows or increase test_size."
        )
    order = draws.permutation(n)
    return [
        Fold(order[training], order[held_out]) for training, held_out in KFold(count).split(order)
    ]


def fit_network(
    network: Network,
    objective: Callable[[Tensor], Tensor],
    evaluate: Callable[[Network], tuple[float, float]],
    n_rows: int,
    training: Training,
    generator: Generator,
) -> Curve:
    """Train a network, and evaluate its averaged weights before training and after each epoch.

    ``objective`` maps the indices (b,) of a batch of the ``n_rows`` training rows, drawn by
    ``generator``, to the value to maximise; ``evaluate`` maps a network to its values on the two
    halves of the held-out rows. Raise a FloatingPointError if one of them is not finite.
    """
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY))  # type: ignore[no-untyped-call]
    # The first update copies the weights.
    averaged.update_parameters(network)
    mean = cast(Network, averaged.module.eval().requires_grad_(False))
    curve = Curve(halves=[evaluate(mean)])
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if not weights or training.max_epochs == 0:
        return curve
    optimizer = torch.optim.AdamW(weights, lr=training.learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.max_epochs)
    n_batches = max(1, round(n_rows / training.batch_size))
    n_drawn = n_rows * min(n_batches, MAX_BATCHES) // n_batches
    initial_patience = max(MIN_EPOCHS, MIN_BATCHES // min(n_batches, MAX_BATCHES))
    network.train()
    for _ in range(training.max_epochs):
        values = []
        order = torch.randperm(n_rows, generator=generator)
        for rows in order[:n_drawn].tensor_split(min(n_batches, MAX_BATCHES)):
            value = objective(rows)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(-value)
            optimizer.step()
            averaged.update_parameters(network)
            values.append(value.detach())
        schedule.step()
        curve.training.append(torch.stack(values).mean().item())
        curve.halves.append(evaluate(mean))
        if not np.isfinite(curve.halves[-1]).all():
            raise FloatingPointError(
                f"Training diverged in epoch {len(curve.training)} at a learning rate of "
                f"{training.learning_rate:g}. Decrease learning_rate."
            )
        best = int(np.argmax(np.sum(curve.halves, axis=1)))
        patience = training.patience if best else min(training.patience, initial_patience)
        if len(curve.halves) - 1 - best >= patience:
            break
    return curve
