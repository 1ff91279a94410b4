"""The local and the global term: information between the code and a map of the same sample."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from skdim.bounds import Bound
from skdim.critics import AbstractCritic
from skdim.encoders import Features
from skdim.objectives.base import AbstractObjective, Batch
from skdim.pairs import bound_of_pairs

__all__ = ["Information"]


class Information(AbstractObjective):
    """Maximise a bound on the information between a code and a layer.

    Parameters
    ----------
    name : str
        Name of the term: "local" or "global".
    critic : AbstractCritic
        Scores codes against the layer.
    bound : Bound
        Scores to a number to maximise.
    weight : float, default=1.0
        Weight of the term in the loss: the paper's beta (local) or alpha (global).
    negatives : {"all", "shift"} or int, default="all"
        Which false pairs are compared; see :mod:`skdim.pairs`.
    looks : sequence of (int, int), default=((0, 0),)
        ``(look of the code, look of the layer)``; the bounds of all entries are averaged.
    whole : bool, default=False
        False compares with each location of ``Features.local``, True with the whole of
        ``Features.conv``, flattened.

    References
    ----------
    Hjelm et al. (2019), equations 4 and 5 (bounds) and 6 (local). arXiv:1808.06670.
    """

    def __init__(
        self,
        name: str,
        critic: AbstractCritic,
        bound: Bound,
        *,
        weight: float = 1.0,
        negatives: str | int = "all",
        looks: Sequence[tuple[int, int]] = ((0, 0),),
        whole: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.critic = critic
        self.bound = bound
        self.weight = weight
        self.negatives = negatives
        self.looks = tuple(looks)
        self.whole = whole

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Give the one term, minus the weighted bound; see ``AbstractObjective.forward``."""
        bounds = torch.stack(
            [self.estimate(looks[code], looks[at], batch.generator) for code, at in self.looks]
        )
        # Bounds grow, terms shrink: the one minus sign.
        return {self.name: -self.weight * bounds.mean()}

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Bound the information between code and layer; see ``AbstractObjective.score``."""
        return self.estimate(features, features, batch.generator)

    def estimate(self, of_code: Features, of_layer: Features, generator: Generator) -> Tensor:
        """Bound the information between the code of one look and the layer of another.

        Returns
        -------
        Tensor of shape ()
            Without the weight; in nats for DV, KL and InfoNCE.
        """
        layer = of_layer.conv.flatten(1) if self.whole else of_layer.local
        return bound_of_pairs(
            self.bound,
            self.critic.join,
            self.critic.project_code(of_code.code),
            self.critic.project_local(layer),
            self.negatives,
            generator=generator,
            pair_floats=self.critic.pair_floats,
        )
