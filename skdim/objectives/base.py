"""What an objective is, how several are one, and how a player is asked without being moved."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn

from skdim.encoders import Features

__all__ = ["AbstractObjective", "Batch", "Setting", "Together", "frozen", "one_code"]


@dataclass(frozen=True)
class Setting:
    """What is known when an objective is built: the encoder's sizes, and the data's.

    Parameters
    ----------
    sizes : Features
        Features of two samples.
    looks : tuple of (int, int)
        Which look's code meets which look's local features.
    standardise : Module
        Samples as given to the standardised ones that the encoder begins with; shared with it.
    encoder : Module
        Standardised samples to features: to be looked at, never kept.
    shape : tuple of int
        Of one sample: ``(C, H, W)``, ``(C, L)`` or ``(d,)``.
    n_samples : int
        Samples in the fitted set: each has its ``Batch.index`` below that.
    """

    sizes: Features
    looks: tuple[tuple[int, int], ...]
    standardise: nn.Module
    encoder: nn.Module
    shape: tuple[int, ...]
    n_samples: int


@dataclass(frozen=True)
class Batch:
    """What an objective may know of a batch beside its features.

    Parameters
    ----------
    x : Tensor of shape (n, *shape)
        The samples as given, before views and standardisation.
    index : Tensor of shape (n,)
        Row of each sample in the fitted set.
    y : Tensor of shape (n,)
        Class of each sample, -1 where unknown.
    generator : Generator
        Where all random draws come from.
    notes : dict of str to Tensor of shape () or (2,)
        What objectives write down beside their terms, detached: such as how often a task was
        solved. It goes to the history: a number as its mean over samples; a sum and a count, of
        what is not known of every sample, as their ratio over the epoch.
    """

    x: Tensor
    index: Tensor
    y: Tensor
    generator: Generator
    notes: dict[str, Tensor] = field(default_factory=dict)


class AbstractObjective(nn.Module, ABC):
    """What an encoder is trained with, and thrown away after.

    Attributes
    ----------
    n_summed : int
        Over how many numbers of a sample terms are sums, and not means: they may be larger by that
        factor before the loop takes a training for diverged. By default 1.
    scores_looks : bool
        Whether the score is of the looks of the view, and not of samples as they are. By default
        False.
    """

    n_summed: int = 1
    scores_looks: bool = False

    @abstractmethod
    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Map a batch to named terms; the loss is their sum.

        Parameters
        ----------
        looks : sequence of Features
            Features of the same samples, one entry a look.
        batch : Batch

        Returns
        -------
        dict of str to Tensor of shape ()
            To be minimised.
        """

    @abstractmethod
    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Score an encoder on samples as they are.

        Adversaries make the sum of the terms measure nothing, so that this is what early
        stopping and ``score`` look at.

        Parameters
        ----------
        features : Features
            Of samples that may be new, in evaluation mode.
        batch : Batch

        Returns
        -------
        Tensor of shape () or None
            To be maximised, without weights; None if this objective measures nothing.
        """

    def members(self) -> list["AbstractObjective"]:
        """Return the objectives that this one is made of: itself, if it is not several."""
        return [self]

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor | None:
        """Score looks at samples; see ``score``, which is asked of the first look by default."""
        return self.score(looks[0], batch)


class Together(AbstractObjective):
    """Several objectives as one: the union of their terms.

    Parameters
    ----------
    objectives : sequence of AbstractObjective
        Whose terms have different names.
    """

    def __init__(self, objectives: Sequence[AbstractObjective]) -> None:
        super().__init__()
        self.objectives = nn.ModuleList(objectives)
        self.n_summed = max((objective.n_summed for objective in objectives), default=1)
        self.scores_looks = any(objective.scores_looks for objective in objectives)

    def __iter__(self) -> Iterator[AbstractObjective]:
        """Yield the objectives in their order."""
        for objective in self.objectives:
            assert isinstance(objective, AbstractObjective)
            yield objective

    def members(self) -> list[AbstractObjective]:
        """Return the objectives in their order."""
        return list(self)

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Gather the terms of all objectives."""
        terms: dict[str, Tensor] = {}
        for objective in self:
            added = objective(looks, batch)
            if twice := terms.keys() & added.keys():
                raise ValueError(f"Two objectives have a term named {', '.join(sorted(twice))!r}.")
            terms |= added
        return terms

    def score(self, features: Features, batch: Batch) -> Tensor | None:
        """Return the score of the first objective that has one."""
        for objective in self:
            score = objective.score(features, batch)
            if score is not None:
                return score
        return None

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor | None:
        """Return the score of the first objective that has one."""
        for objective in self:
            score = objective.score_looks(looks, batch)
            if score is not None:
                return score
        return None


def frozen(module: nn.Module, *args: Any) -> Any:
    """Evaluate a module without changing its parameters or statistics.

    Gradients flow through to the arguments, none reaches the weights, and buffers such as
    running means stay as they were. One optimizer can so train two players at once, each seeing
    the other frozen.

    Parameters
    ----------
    module : Module
    *args : Any
        Arguments of its ``forward``.

    Returns
    -------
    Any
        What ``module(*args)`` gives.
    """
    weights = {name: weight.detach() for name, weight in module.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    return torch.func.functional_call(module, weights | buffers, args)


def one_code(features: Features) -> Tensor:
    """Return one code a sample, as ``transform`` does: several globals are averaged.

    Returns
    -------
    Tensor of shape (n, d)
    """
    return features.code.flatten(2).mean(dim=2) if features.code.ndim > 2 else features.code
