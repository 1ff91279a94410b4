"""The base class of critics."""

import math
from abc import ABC, abstractmethod
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

HAS_ONEDNN = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


class AbstractCritic(nn.Module, ABC):
    """Score pairs of codes and local features.

    Class attributes: ``pair_floats`` is the maximal number of values that the join holds per pair.
    A critic with ``whole_map`` compares codes with the whole local map as one location; it is built
    from the size of a code and the shape ``(c, *grid)`` of the map, for the global term only.

    Parameters
    ----------
    samples : int, default=None
        Number of locations of each sample, drawn with replacement, that a training step of the
        local term compares with. None is all locations, as in a score.
    activation_penalty : float, default=0.0
        Weight of the mean squared norm of the codes' projections, an additional term named
        NAME_activation, which limits the growth of scores.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    Hjelm et al. (2019), public code: ``local_samples`` and ``act_penalty``.
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
        """Project local features (n, c, *grid) to (n, l, u), one per location."""

    @abstractmethod
    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score projections (*batch, g, u) with (*batch, l, u), to (*batch, g, l)."""

    def forward(self, code: Tensor, local: Tensor) -> Tensor:
        """Score codes (n, d, *grid) against local features (n, c, *grid).

        Returns
        -------
        Tensor of shape (n, g, n, l)
            Entry ``[i, a, j, k]`` scores global a of code i against location k of sample j.
        """
        codes, locations = self.project_code(code), self.project_local(local)
        scores = self.join(codes.flatten(0, 1), locations.flatten(0, 1))
        return scores.reshape(*codes.shape[:2], *locations.shape[:2])


def takes_map(critic: object) -> bool:
    """Return the ``whole_map`` of a critic, or of the class that a partial builds."""
    while isinstance(critic, partial):
        critic = critic.func
    return bool(getattr(critic, "whole_map", False))


def as_sequence(features: Tensor) -> Tensor:
    """Reshape features (n, channels, *grid) to (n, positions, channels)."""
    return features.reshape(*features.shape[:2], -1).mT


def at_positions(layer: nn.Linear, features: Tensor, *, relu: bool = False) -> Tensor:
    """Apply a linear layer, and optionally a ReLU, to features (*batch, positions, channels).

    On a CPU it is computed as a 1x1 convolution in oneDNN, which uses AVX-512; MKL, behind linear
    layers, does not on AMD processors and is half as fast there.
    """
    of_onednn = HAS_ONEDNN and features.device.type == "cpu" and features.dtype != torch.float64
    if not of_onednn or features.ndim < 3 or features.shape[-2] == 1:
        applied: Tensor = layer(features)
        return applied.relu() if relu else applied
    image = features.contiguous().flatten(0, -3)[:, None].movedim(-1, 1)  # (batch, c, 1, positions)
    convolved = conv2d(image, layer.weight[:, :, None, None], layer.bias)
    if relu:
        # In place before there are views, so that backward does not copy.
        convolved.relu_()
    return convolved.movedim(1, -1).reshape(*features.shape[:-1], -1)
