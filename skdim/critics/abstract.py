"""What a critic is: two projections and a join."""

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

from torch import Tensor, nn

__all__ = ["AbstractCritic", "takes_map"]


class AbstractCritic(nn.Module, ABC):
    """Score pairs of codes and local features.

    ``pair_floats`` says how many numbers the join holds for one pair at its widest, from which
    the size of a block follows. ``whole_map`` says that the critic compares codes with the whole
    local map, as one location; it is then built from the size of a code and the shape
    ``(c, *grid)`` of the map, and serves the global term only.

    Parameters
    ----------
    samples : int, default=None
        How many locations of each sample a training step compares with, drawn anew with
        replacement; of the local term only. Pairs and memory shrink by as much. None takes all
        locations, as a score does in any case.
    activation_penalty : float, default=0.0
        Weight of the mean squared length of the codes' projections, a term beside the bound
        named NAME_activation. Holds back scores that grow without end.

    Raises
    ------
    ValueError
        If either is out of range.

    References
    ----------
    Hjelm et al. (2019), public code: ``local_samples`` and ``act_penalty``. It samples projections;
    here locations are sampled first, so that the others need not be projected.
    """

    pair_floats: int = 1
    whole_map: bool = False

    def __init__(self, *, samples: int | None = None, activation_penalty: float = 0.0) -> None:
        super().__init__()
        if samples is not None and samples < 1:
            raise ValueError(
                f"samples={samples}; at least one location is needed, or None for all."
            )
        if not 0 <= activation_penalty < math.inf:
            raise ValueError(f"activation_penalty={activation_penalty}; it must be 0 or more.")
        self.samples = samples
        self.activation_penalty = activation_penalty

    @abstractmethod
    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, u), one for each of g globals."""

    @abstractmethod
    def project_local(self, local: Tensor) -> Tensor:
        """Project local features (n, c, *grid) to (n, l, u), one for each of l locations."""

    @abstractmethod
    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score each code with each local feature.

        Parameters
        ----------
        code : Tensor of shape (*batch, g, u)
        local : Tensor of shape (*batch, l, u)
            Leading axes broadcast.

        Returns
        -------
        Tensor of shape (*batch, g, l)
        """

    def forward(self, code: Tensor, local: Tensor) -> Tensor:
        """Score every code against every location of every sample.

        Parameters
        ----------
        code : Tensor of shape (n, d, *grid)
        local : Tensor of shape (n, c, *grid)

        Returns
        -------
        Tensor of shape (n, g, n, l)
            Entry ``[i, a, j, k]`` scores global a of code i against location k of sample j.
        """
        codes, locations = self.project_code(code), self.project_local(local)
        scores = self.join(codes.flatten(0, 1), locations.flatten(0, 1))
        return scores.reshape(*codes.shape[:2], *locations.shape[:2])


def takes_map(critic: Any) -> bool:
    """Return whether a critic, or what a callable builds, compares codes with whole maps.

    Parameters
    ----------
    critic : AbstractCritic or callable
        A class of critics, a ``functools.partial`` of one, or anything with a ``whole_map``.

    Returns
    -------
    bool
        Its ``whole_map``; False where it has none.
    """
    while isinstance(critic, partial):
        critic = critic.func
    return bool(getattr(critic, "whole_map", False))
