"""Draws of a criterion before a compiled step, since torch.compile cannot trace generators."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Generator, Tensor, nn

from skdim.encoders import Features
from skdim.objectives import AbstractCriterion, Batch

__all__ = ["PlannedDraws"]

# Names of draws, and how they are made.
Plan = dict[str, Callable[[Generator], Tensor]]
# Of looks (n_looks * n, *shape), their number and a batch.
Step = Callable[[Tensor, int, Batch], Any]


class PlannedDraws:
    """Draw what a criterion asks ``Batch.draw`` for, in the same order, before it is called.

    Parameters
    ----------
    module : Module
        Maps samples to features.
    criterion : AbstractCriterion
    """

    def __init__(self, module: nn.Module, criterion: AbstractCriterion) -> None:
        self.parts = module, criterion
        self.plans: dict[int, Plan] = {}  # For each number of samples.

    def before(self, run: Step) -> Step:
        """Return a step that is called with the draws."""
        return lambda x, n_looks, batch: run(x, n_looks, self.add_to(batch, x, n_looks))

    def add_to(self, batch: Batch, x: Tensor, n_looks: int) -> Batch:
        """Return a batch with all draws of a step whose looks are ``x``, (n_looks * n, *shape)."""
        n = len(batch.index)
        if n not in self.plans:
            self.plans[n] = self.plan(batch, x, n_looks)
        drawn = {name: make(batch.generator) for name, make in self.plans[n].items()}
        return replace(batch, drawn=drawn)

    def plan(self, batch: Batch, x: Tensor, n_looks: int) -> Plan:
        """Find what is drawn, by a step of copies that draws from a generator of its own."""
        module, criterion = copy.deepcopy(self.parts)
        features: Features = module.eval()(x)
        planned: Plan = {}
        generator = Generator(device=x.device)
        criterion(
            features.split(n_looks), replace(batch, generator=generator, planned=planned, notes={})
        )
        return planned
