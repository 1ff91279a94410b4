"""Coordinate tasks: a location tells where it is, two locations how far apart they are."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.encoders import Features
from skdim.objectives.base import AbstractCriterion, Batch, one_code

__all__ = ["AbsoluteCoordinates", "RelativeCoordinates"]


class AxisClassifier(nn.Module):
    """Choose a class on each axis of a grid, from several inputs.

    A hidden layer of ReLUs on all inputs side by side, whose first product is the sum of one for
    each input: a code is never tiled over a map. It starts at the given law of the classes,
    whatever the inputs, so that the first loss is that of chance.

    Parameters
    ----------
    inputs : sequence of int
        Channels of each input.
    laws : sequence of Tensor of shape (classes,)
        Probabilities of the classes of each axis, where nothing is known.
    units : int
        Size of the hidden layer.
    """

    def __init__(self, inputs: Sequence[int], laws: Sequence[Tensor], units: int) -> None:
        super().__init__()
        self.sizes = [len(law) for law in laws]
        whole = nn.Linear(sum(inputs), units)
        parts = [nn.Linear(size, units, bias=False) for size in inputs]
        self.project = nn.ModuleList(parts)
        self.bias = nn.Parameter(whole.bias.detach().clone())
        self.choose = nn.Linear(units, sum(self.sizes))
        with torch.no_grad():
            start = 0
            for part in parts:
                part.weight.copy_(whole.weight[:, start : start + part.in_features])
                start += part.in_features
            self.choose.weight.zero_()
            self.choose.bias.copy_(torch.cat(list(laws)).log())

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return logits of each axis.

        Parameters
        ----------
        *inputs : Tensor of shape (n, locations or 1, channels)

        Returns
        -------
        tuple of Tensor of shape (n, locations, classes)
        """
        hidden = sum(
            (project(given) for project, given in zip(self.project, inputs, strict=True)),
            start=self.bias,
        )
        logits: tuple[Tensor, ...] = torch.split(self.choose(hidden.relu()), self.sizes, dim=-1)
        return logits


class AbstractCoordinates(AbstractCriterion):
    """Predict something about locations from themselves and the code.

    Of several globals, the mean is the code, as in ``transform``.

    Parameters
    ----------
    code_features, local_features : int
        Sizes of a code and of a local feature.
    grid : tuple of int
        Sides of the map.
    weight : float, default=1.0
    looks : sequence of (int, int), default=((0, 0),)
        ``(look of the code, look of the local features)``; the terms of all entries are averaged.
    units : int, default=256
        Size of the hidden layer.

    Raises
    ------
    ValueError
        If the map is of a single location.
    """

    name: ClassVar[str]
    n_locations: ClassVar[int]

    def __init__(
        self,
        code_features: int,
        local_features: int,
        grid: tuple[int, ...],
        *,
        weight: float = 1.0,
        looks: Sequence[tuple[int, int]] = ((0, 0),),
        units: int = 256,
    ) -> None:
        super().__init__()
        inputs = (code_features, *[local_features] * self.n_locations)
        laws = [self.law(side) for side in check_grid(grid)]
        self.classifier = AxisClassifier(inputs, laws, units)
        self.grid = grid
        self.weight = weight
        self.looks = tuple(looks)
        places = torch.cartesian_prod(*(torch.arange(side, device="cpu") for side in grid))
        self.register_buffer("places", places.reshape(-1, len(grid)), persistent=False)

    places: Tensor

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the one term, and note the share of right answers as NAME_accuracy."""
        tasks = [
            self.task(looks[code], looks[at].local, batch.generator) for code, at in self.looks
        ]
        losses, hits = zip(*(judge(*task) for task in tasks), strict=True)
        batch.notes[f"{self.name}_accuracy"] = torch.stack(hits).mean()
        return {self.name: self.weight * torch.stack(losses).mean()}

    @staticmethod
    @abstractmethod
    def law(side: int) -> Tensor:
        """Return the probabilities of the classes of an axis of so many places."""

    @abstractmethod
    def task(
        self, of_code: Features, local: Tensor, generator: Generator
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Return logits (n, l, classes) of each axis, and the right classes (n, l, axes)."""

    def score(self, features: Features, batch: Batch) -> None:
        """Measure nothing: this helps a code, but says little of it."""


class AbsoluteCoordinates(AbstractCoordinates):
    """Let each location predict its place on the map, from itself and the code.

    The term is the cross-entropy in nats, summed over axes: ``ln`` of the number of locations at
    chance.

    Parameters
    ----------
    code_features, local_features : int
        Sizes of a code and of a local feature.
    grid : tuple of int
        Sides of the map.
    weight : float, default=1.0
    looks : sequence of (int, int), default=((0, 0),)
        ``(look of the code, look of the local features)``.
    units : int, default=256
        Size of the hidden layer.

    References
    ----------
    Hjelm et al. (2019), section on coordinates: "absolute". arXiv:1808.06670.
    """

    name = "coordinate"
    n_locations = 1

    @staticmethod
    def law(side: int) -> Tensor:
        """Return the law of a uniform place."""
        return torch.full((side,), 1 / side)

    def task(
        self, of_code: Features, local: Tensor, generator: Generator
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Predict the place of every location."""
        here = local.flatten(2).mT
        places = self.places.expand(len(here), -1, -1)
        return self.classifier(one_code(of_code)[:, None], here), places


class RelativeCoordinates(AbstractCoordinates):
    """Let two locations predict how far apart they are, from themselves and the code.

    Each location is asked about another one of the same sample, drawn uniformly (itself
    included). The term is the cross-entropy in nats, summed over axes; at chance it is the
    entropy of the difference of two uniform places, which is triangular.

    Parameters
    ----------
    code_features, local_features : int
        Sizes of a code and of a local feature.
    grid : tuple of int
        Sides of the map.
    weight : float, default=1.0
    looks : sequence of (int, int), default=((0, 0),)
        ``(look of the code, look of the local features)``.
    units : int, default=256
        Size of the hidden layer.

    References
    ----------
    Hjelm et al. (2019), section on coordinates: "relative". arXiv:1808.06670.
    """

    name = "relative_coordinate"
    n_locations = 2

    @staticmethod
    def law(side: int) -> Tensor:
        """Return the law of the difference of two uniform places."""
        return (side - torch.arange(1 - side, side).abs()) / side**2

    def task(
        self, of_code: Features, local: Tensor, generator: Generator
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Predict the distance of every location from another one."""
        here = local.flatten(2).mT
        n, n_locations, channels = here.shape
        other = torch.randint(
            n_locations, (n, n_locations), generator=generator, device=here.device
        )
        there = here.gather(1, other[:, :, None].expand(-1, -1, channels))
        # Differences begin at minus the farthest, which is the last place; classes at 0.
        offsets = self.places - self.places[other] + self.places[-1]
        return self.classifier(one_code(of_code)[:, None], here, there), offsets


def check_grid(grid: tuple[int, ...]) -> tuple[int, ...]:
    """Raise an error for a map of a single location.

    Raises
    ------
    ValueError
        If there is nothing to tell apart.
    """
    if all(side == 1 for side in grid):
        raise ValueError(
            "coordinate_weight and relative_coordinate_weight need local features at several "
            f"places, but the encoder's map has the grid {grid}: one place, as it has for vectors "
            "of 1 feature(s). Set them to 0, or use an encoder with a larger map."
        )
    return grid


def judge(logits: Sequence[Tensor], right: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the cross-entropies of the axes, and average their shares of right answers."""
    losses, hits = [], []
    for scores, wanted in zip(logits, right.unbind(-1), strict=True):
        if scores.shape[-1] == 1:
            continue  # There is nothing to tell on this axis, and no merit in telling it.
        # In single precision at least, as the bounds are.
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32)).flatten(0, -2)
        wanted = wanted.flatten()
        losses.append(cross_entropy(scores, wanted))
        hits.append((scores.detach().argmax(dim=1) == wanted).float().mean())
    return torch.stack(losses).sum(), torch.stack(hits).mean()
