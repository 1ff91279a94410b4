"""Coordinate tasks: the place of a location, or the distance of two, is predicted."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.encoders import Features, layer_of
from skdim.objectives.base import AbstractCriterion, Batch
from skdim.pairs import in_full


class AxisClassifier(nn.Module):
    """Predict a class on each axis of a grid from several inputs, by one hidden layer.

    Inputs are projected one by one and added, so that a code is not copied over a map. The initial
    prediction is ``probabilities``, the probabilities (classes,) of each axis.
    """

    def __init__(self, inputs: Sequence[int], probabilities: Sequence[Tensor], units: int) -> None:
        super().__init__()
        self.sizes = [len(part) for part in probabilities]
        whole = nn.Linear(sum(inputs), units)
        parts = [nn.Linear(size, units, bias=False) for size in inputs]
        self.project = nn.ModuleList(parts)
        self.bias = nn.Parameter(whole.bias.detach().clone())
        self.choose = nn.Linear(units, sum(self.sizes))
        with torch.no_grad():
            weights = torch.split(whole.weight, list(inputs), dim=1)
            for part, weight in zip(parts, weights, strict=True):
                part.weight.copy_(weight)
            self.choose.weight.zero_()
            self.choose.bias.copy_(torch.cat(list(probabilities)).log())

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map inputs (n, locations or 1, channels) to logits (n, locations, classes) per axis."""
        parts = (project(given) for project, given in zip(self.project, inputs, strict=True))
        hidden = sum(parts, start=self.bias)
        logits: tuple[Tensor, ...] = torch.split(self.choose(hidden.relu()), self.sizes, dim=-1)
        return logits


class AbstractCoordinates(AbstractCriterion):
    """Predict coordinates from local features and the code; several globals are averaged.

    There is no score, since the accuracy does not measure the quality of a code.
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
        if all(side == 1 for side in grid):
            raise ValueError(
                "coordinate_weight and relative_coordinate_weight need local features at several "
                f"places, but the encoder's map has the grid {grid}, as for vectors of 1 "
                "feature(s). Set them to 0, or use an encoder with a larger map."
            )
        inputs = (code_features, *[local_features] * self.n_locations)
        self.classifier = AxisClassifier(inputs, [self.probabilities(side) for side in grid], units)
        self.grid = grid
        self.weight = weight
        self.looks = tuple(looks)
        places = torch.cartesian_prod(*(torch.arange(side, device="cpu") for side in grid))
        self.register_buffer("places", places.reshape(-1, len(grid)), persistent=False)

    places: Tensor

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return the term, and record the accuracy as NAME_accuracy."""
        results = []
        for i, j in self.looks:
            locations, classes = self.task(looks[j].local.flatten(2).mT, batch)
            logits = self.classifier(layer_of(looks[i], "code")[:, None], *locations)
            results.append(loss_and_accuracy(logits, classes))
        losses, hits = zip(*results, strict=True)
        batch.notes[f"{self.name}_accuracy"] = torch.stack(hits).mean()
        return {self.name: self.weight * torch.stack(losses).mean()}

    @staticmethod
    @abstractmethod
    def probabilities(side: int) -> Tensor:
        """Return the probabilities of the classes of an axis of ``side`` places."""

    @abstractmethod
    def task(self, here: Tensor, batch: Batch) -> tuple[Sequence[Tensor], Tensor]:
        """Return the inputs, of locations (n, l, c), and their true classes (n, l, axes)."""


class AbsoluteCoordinates(AbstractCoordinates):
    """Predict the place of each location on the map, from its local feature and the code.

    The term is the cross-entropy in nats, summed over axes: at chance, ``ln`` of the number of
    locations.

    Parameters
    ----------
    code_features, local_features : int
        Sizes of a code and of a local feature.
    grid : tuple of int
        Sides of the map.
    weight : float, default=1.0
    looks : sequence of (int, int), default=((0, 0),)
        ``(look of the code, look of the local features)``; the terms of all are averaged.
    units : int, default=256
        Size of the hidden layer.

    Raises
    ------
    ValueError
        If the map has a single location.

    References
    ----------
    Hjelm et al. (2019), section on coordinates: "absolute". arXiv:1808.06670.
    """

    name = "coordinate"
    n_locations = 1

    @staticmethod
    def probabilities(side: int) -> Tensor:
        """Return the distribution of a uniform place."""
        return torch.full((side,), 1 / side)

    def task(self, here: Tensor, batch: Batch) -> tuple[Sequence[Tensor], Tensor]:
        """Predict the place of every location."""
        return [here], self.places.expand(len(here), -1, -1)


class RelativeCoordinates(AbstractCoordinates):
    """Predict the offset of two locations, from their local features and the code.

    Each location is paired with one of the same sample, drawn uniformly (itself included). The
    term is the cross-entropy in nats, summed over axes: at chance, the entropy of the difference
    of two uniform places.

    Parameters
    ----------
    code_features, local_features, grid, weight, looks, units
        See :class:`AbsoluteCoordinates`.

    References
    ----------
    Hjelm et al. (2019), section on coordinates: "relative". arXiv:1808.06670.
    """

    name = "relative_coordinate"
    n_locations = 2

    @staticmethod
    def probabilities(side: int) -> Tensor:
        """Return the distribution of the difference of two uniform places."""
        return (side - torch.arange(1 - side, side).abs()) / side**2

    def task(self, here: Tensor, batch: Batch) -> tuple[Sequence[Tensor], Tensor]:
        """Predict the offset of every location from another one."""
        n, n_locations, channels = here.shape
        size = (n, n_locations)
        other = torch.randint(n_locations, size, generator=batch.generator, device=here.device)
        there = here.gather(1, other[:, :, None].expand(-1, -1, channels))
        # Shifted by the largest difference: classes begin at 0.
        return [here, there], self.places - self.places[other] + self.places[-1]


def loss_and_accuracy(logits: Sequence[Tensor], classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of the cross-entropies of the axes, and the mean of their accuracies."""
    losses, hits = [], []
    for scores, target in zip(logits, classes.unbind(-1), strict=True):
        if scores.shape[-1] == 1:
            continue  # an axis with a single place
        scores, target = in_full(scores).flatten(0, -2), target.flatten()
        losses.append(cross_entropy(scores, target))
        hits.append((scores.detach().argmax(dim=1) == target).float().mean())
    return torch.stack(losses).sum(), torch.stack(hits).mean()
