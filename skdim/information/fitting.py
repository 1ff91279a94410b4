"""Networks trained on some rows, stopped by others, and judged on the rest."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

__all__ = ["Curve", "Fold", "Training", "fit_network", "make_folds"]

# What is judged is a running mean of the weights that are trained: it jumps less than they do.
MEMORY = 0.9


@dataclass(frozen=True)
class Training:
    """How networks are trained.

    Parameters
    ----------
    max_epochs : int
    patience : int
        Epochs without a better validation value after which to stop.
    batch_size : int
    learning_rate : float
        Falls to zero by a cosine.
    weight_decay : float, default=0.01
    """

    max_epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        """Raise an error for settings that cannot be trained with."""
        for name, least in (("max_epochs", 0), ("batch_size", 2)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name}={value!r}; a whole number from {least} on is needed.")
        rate = self.learning_rate
        if not isinstance(rate, Real) or not 0 < rate < math.inf:
            raise ValueError(f"learning_rate={rate!r}; a number above 0 is needed.")


@dataclass
class Curve:
    """How one network learnt, in nats; all but the training on rows it was not trained on.

    The rows held out are in two halves. Each says which weights the other judges, so that no row
    judges weights that it has chosen.

    Parameters
    ----------
    training : list of float
        On the batches, epoch by epoch.
    halves : list of (float, float)
        On either half; first before training, which is what the normal copula alone gives, then
        after each epoch.
    """

    training: list[float] = field(default_factory=list)
    halves: list[tuple[float, float]] = field(default_factory=list)

    @property
    def kept(self) -> tuple[int, int]:
        """Epochs behind the weights that the first half judges, and the second."""
        first, second = np.argmax(self.halves, axis=0)
        return int(second), int(first)

    @property
    def held_out(self) -> float:
        """Mean of the two halves, of the weights that they judge.

        Where a half says that no weights are better than none, the other has 0.
        """
        first, second = self.kept
        by_first, by_second = self.halves[second][0], self.halves[first][1]
        return (
            (self.halves[first][0] if by_second > 0 else 0.0)
            + (self.halves[second][1] if by_first > 0 else 0.0)
        ) / 2


@dataclass(frozen=True)
class Fold:
    """Which rows train a critic, and which do not."""

    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


def make_folds(n: int, test_size: float, draws: np.random.Generator) -> list[Fold]:
    """Cut rows into parts, each of which is held out once.

    Parameters
    ----------
    n : int
    test_size : float
        Share of the rows in a part, up to a half; the nearest one over a whole number is taken.
    draws : Generator

    Returns
    -------
    list of Fold

    Raises
    ------
    ValueError
        If the share is out of range, or a part would have fewer than four rows.
    """
    if not isinstance(test_size, Real) or not 1 / n <= test_size <= 0.5:
        raise ValueError(
            f"test_size={test_size!r}; a share of at least one row, and at most 1/2, is needed."
        )
    count = round(1 / test_size)
    if n < 4 * count:
        raise ValueError(
            f"{n} rows in {count} parts (test_size={test_size:g}) leave fewer than 4 a part; give "
            "more rows or a larger test_size."
        )
    parts = np.array_split(draws.permutation(n), count)
    return [
        Fold(np.concatenate([*parts[:i], *parts[i + 1 :]]), part) for i, part in enumerate(parts)
    ]


def fit_network(
    network: nn.Module,
    value_of_rows: Callable[[Tensor], Tensor],
    judge: Callable[[nn.Module], tuple[float, float]],
    n_rows: int,
    training: Training,
    generator: Generator,
) -> Curve:
    """Train a network, judged after each epoch on both halves of the rows held out.

    Parameters
    ----------
    network : Module
        Is changed.
    value_of_rows : callable
        From the numbers (b,) of some training rows to what is to grow, of this network.
    judge : callable
        Gives the values of a network on the two halves.
    n_rows : int
        Rows to train on.
    training : Training
    generator : Generator
        Of the batches.

    Returns
    -------
    Curve
    """
    mean = copy.deepcopy(network).eval().requires_grad_(False)
    curve = Curve(halves=[judge(mean)])
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if not weights or training.max_epochs == 0:
        return curve
    optimizer = torch.optim.AdamW(
        weights, lr=training.learning_rate, weight_decay=training.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.max_epochs)
    network.train()
    for _ in range(training.max_epochs):
        values = []
        for rows in batches(n_rows, training.batch_size, generator):
            value = value_of_rows(rows)
            optimizer.zero_grad(set_to_none=True)
            (-value).backward()
            optimizer.step()
            follow(mean, network)
            values.append(value.detach())
        schedule.step()
        judged = judge(mean)
        if not np.isfinite(judged).all():
            raise FloatingPointError(
                f"Training diverged after {len(curve.training) + 1} epochs at a learning rate of "
                f"{training.learning_rate:g}. Lower learning_rate."
            )
        curve.training.append(torch.stack(values).mean().item())
        curve.halves.append(judged)
        best = int(np.argmax(np.sum(curve.halves, axis=1)))
        if len(curve.halves) - 1 - best >= training.patience:
            break
    return curve


def batches(n: int, size: int, generator: Generator) -> tuple[Tensor, ...]:
    """Draw batches of about the same size, of at least two rows if there are as many."""
    order = torch.randperm(n, generator=generator)
    return order.tensor_split(max(1, round(n / size)))


def follow(mean: nn.Module, network: nn.Module) -> None:
    """Move running means towards weights; take buffers over."""
    with torch.no_grad():
        for of, to in zip(mean.parameters(), network.parameters(), strict=True):
            of.lerp_(to, 1 - MEMORY)
        for kept, now in zip(mean.buffers(), network.buffers(), strict=True):
            kept.copy_(now)
