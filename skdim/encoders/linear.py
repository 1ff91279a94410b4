"""Encoders that are linear in fixed features, which the closed form of InfoMax solves for."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from skdim.closed_form import RIDGE, Directions, principal_axes, rotation, scale_of
from skdim.encoders.layers import Features, Shape, in_parts

# Added to the standard deviation of features.
SMALLEST_SPREAD = 1e-4
# Divides constant features; finite, so that it can be saved.
LARGEST_SPREAD = 1e30
# Number of principal axes above which there must be at least two rows per axis.
FEW_AXES = 256
# Number of directions that are expanded.
EXPANDED = 32
# Number of samples whose features are expanded at once, to limit memory.
EXPANDED_ROWS = 256


class AbstractStem(nn.Module, ABC):
    """A network that is set from training samples and not trained."""

    out_shape: Shape  # (channels, *grid) of its features

    def reduce(self, x: Tensor, n: int) -> Tensor:
        """Return the parts of some standardised samples that ``adapt`` needs: by default all."""
        return x

    @abstractmethod
    def adapt(self, x: Tensor) -> None:
        """Set buffers from standardised training samples (n, *input_shape), after ``reduce``."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map standardised samples (n, *input_shape) to features (n, channels, *grid)."""


def cell_products(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map (n, channels, *grid) by (cells, channels, units), and a bias, to (n, units, *grid)."""
    cells = x.flatten(2).permute(2, 0, 1)
    mapped = cells @ weight if bias is None else torch.baddbmm(bias[:, None], cells, weight)
    return mapped.permute(1, 2, 0).reshape(x.shape[0], -1, *x.shape[2:])


class CellLinear(nn.Module):
    """A linear layer for each cell: (n, channels, *grid) to (n, units, *grid)."""

    def __init__(self, channels: int, units: int, grid: Shape) -> None:
        super().__init__()
        cells = math.prod(grid)
        spread = 1 / math.sqrt(channels)
        self.weight = nn.Parameter(torch.empty(cells, channels, units).uniform_(-spread, spread))
        self.bias = nn.Parameter(torch.zeros(cells, units))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels, *grid) to (n, units, *grid)."""
        return cell_products(x, self.weight, self.bias)


@dataclass(frozen=True)
class Basis:
    """Projections of fixed features to the coordinates that the closed form is solved in.

    ``whole``, (channels * cells, q), are principal axes of all features of a sample, and ``cell``,
    (channels, p), those of the channels over all cells.
    """

    whole: Tensor
    cell: Tensor


class LinearEncoder(nn.Module):
    """Encode linearly in the features of a fixed network.

    ``conv`` contains the standardised features, a grid of cells; ``hidden`` and ``code`` are linear
    in them. A channel of ``local`` is a direction: its estimate from a cell if the closed form has
    a local term, else the contribution of the cell.

    With ``n_expanded``, the closed form is solved twice, first on some samples. The contributions
    of each cell to the leading directions are then expanded: combined at random, and rectified.
    These features of the cell, with half the variance, stand beside those of the stem in ``conv``
    and in the second solution.

    The linear layers are set by the closed form of InfoMax (:mod:`skdim.closed_form`) and can be
    trained further by gradients. A direction of correlation r is scaled to variance ``r / (1 -
    r)``, so that the variance between looks at one sample is equal in all directions. ``hidden``
    and ``code`` are then rotated, so that standardising them nearly keeps this scale.

    Parameters
    ----------
    stem : AbstractStem
        The fixed network.
    n_components : int
        Size of the code.
    local_units : int, default=256
        Channels of the local features.
    hidden_units : int, default=1024
        Size of the hidden layer, at least that of the code.
    n_coordinates : int, default=1024
        Maximum number of coordinates that the closed form is solved in.
    n_expanded : int, default=0
        Channels of the expanded features.
    uncertainty : float, default=0.0
        Factor of the ridge of covariances for few samples; see ``ridge``.
    """

    stem: AbstractStem
    expansion: Tensor
    mean: Tensor
    spread: Tensor
    correlations: Tensor

    def __init__(
        self,
        stem: AbstractStem,
        n_components: int,
        *,
        local_units: int = 256,
        hidden_units: int = 1024,
        n_coordinates: int = 1024,
        n_expanded: int = 0,
        uncertainty: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.n_coordinates = n_coordinates
        self.uncertainty = uncertainty
        self.n_expanded = n_expanded
        n_raw, *grid = stem.out_shape
        cells = math.prod(grid)
        channels = n_raw + n_expanded
        n_features = channels * cells
        hidden_units = max(n_components, min(hidden_units, n_features))
        if n_expanded:
            self.register_buffer("expansion", torch.zeros(cells, n_raw, n_expanded))
        self.register_buffer("mean", torch.zeros(channels, *grid))
        self.register_buffer("spread", torch.ones(channels, *grid))
        self.register_buffer("correlations", torch.zeros(hidden_units))
        self.to_local = CellLinear(channels, min(local_units, hidden_units), tuple(grid))
        self.to_hidden = nn.Linear(n_features, hidden_units)
        self.to_code = nn.Linear(hidden_units, n_components)

    def features(self, x: Tensor) -> Tensor:
        """Return the standardised features (n, channels, *grid), expanded ones last."""
        raw = self.stem(x)
        n = raw.shape[1]
        conv: Tensor = (raw - self.mean[:n]) / self.spread[:n]
        if not self.n_expanded:
            return conv
        return torch.cat([conv, (self.expanded(conv) - self.mean[n:]) / self.spread[n:]], dim=1)

    def expanded(self, conv: Tensor) -> Tensor:
        """Expand standardised features of the fixed network to (n, n_expanded, *grid)."""
        return cell_products(conv, self.expansion).relu()

    def forward(self, x: Tensor) -> Features:
        """Encode standardised samples (n, *input_shape)."""
        conv = self.features(x)
        hidden = self.to_hidden(conv.flatten(1))
        return Features(self.to_local(conv), conv, hidden, self.to_code(hidden))

    def reduce(self, x: Tensor, n: int) -> Tensor:
        """Return the parts of some of ``n`` standardised samples that ``adapt`` needs."""
        return self.stem.reduce(x, n)

    @torch.no_grad()
    def adapt(self, x: Tensor) -> None:
        """Set the fixed network from standardised training samples, after ``reduce``."""
        self.stem.adapt(x)

    @torch.no_grad()
    def set_statistics(self, raw: Tensor) -> Tensor:
        """Set the standardisation of features (n, channels, *grid) of the fixed network.

        Return them standardised, (n, channels + n_expanded, *grid), with zeros in place of the
        expanded features.
        """
        mean, spread = mean_and_spread(raw)
        n = raw.shape[1]
        self.mean[:n], self.spread[:n] = mean, spread
        conv = raw.new_zeros(len(raw), *self.mean.shape)
        torch.sub(raw, mean, out=conv[:, :n]).div_(spread)
        return conv

    @torch.no_grad()
    def find_basis(
        self, conv: Tensor, generator: Generator, n_coordinates: int | None = None
    ) -> Basis:
        """Compute the projections of features; set the standardisation of expanded ones.

        Parameters
        ----------
        conv : Tensor of shape (n, channels + n_expanded, *grid)
            Result of ``set_statistics``; the expanded features are written into it.
        generator : Generator
            On the CPU.
        n_coordinates : int, default=None
            Maximum number of coordinates; None is that of the encoder.
        """
        if self.n_expanded:
            n = conv.shape[1] - self.n_expanded
            expanded = in_parts(self.expanded, conv[:, :n], EXPANDED_ROWS)
            mean, spread = mean_and_spread(expanded)
            spread = spread * math.sqrt(2)  # Half the variance.
            self.mean[n:], self.spread[n:] = mean, spread
            torch.sub(expanded, mean, out=conv[:, n:]).div_(spread)
        cells = conv.flatten(2).unbind(2)
        n_max = self.n_coordinates if n_coordinates is None else n_coordinates
        return Basis(
            axes_of([conv.flatten(1)], n_max, generator),
            axes_of(cells, n_max // len(cells), generator),
        )

    @torch.no_grad()
    def set_expansion(self, basis: Basis, found: Directions, generator: Generator) -> None:
        """Set the expanded features from a solution of the closed form without them.

        ``generator``, on the CPU, draws the combinations.
        """
        cells, n_raw, _ = self.expansion.shape
        weight = found.weight[:, :EXPANDED] * scale_of(found.correlations[:EXPANDED])
        weight = (basis.whole.cpu().double() @ weight).reshape(-1, cells, weight.shape[1])[:n_raw]
        draw = torch.randn(cells, weight.shape[2], self.n_expanded, generator=generator)
        self.expansion.copy_((weight.movedim(1, 0) @ draw.double()).float())

    def ridge(self, n_samples: float) -> float:
        """Return the share of the mean variance that is added to the variances of samples.

        It is ``uncertainty`` times the number of coordinates over that of samples, at least 0.03.
        """
        n_coordinates = min(self.n_coordinates, self.to_hidden.in_features)
        return max(RIDGE, self.uncertainty * n_coordinates / n_samples)

    def whole(self, conv: Tensor, basis: Basis) -> Tensor:
        """Return the coordinates (n, q) of standardised features."""
        return conv.flatten(1) @ basis.whole

    def cells(self, conv: Tensor, basis: Basis) -> Tensor:
        """Return the coordinates (n, cells * p) of the cells of standardised features."""
        return (conv.flatten(2).mT @ basis.cell).flatten(1)

    @torch.no_grad()
    def set_directions(self, basis: Basis, found: Directions) -> None:
        """Set the linear layers from the solution of the closed form."""
        n_hidden, n_code = self.to_code.in_features, self.to_code.out_features
        n_local = self.to_local.weight.shape[2]
        n_found = len(found.correlations)
        scale = scale_of(found.correlations)
        matrix = rotation(n_hidden)
        # The axes are rounded to float32: products with them gain nothing from float64.
        whole, single_cell = basis.whole.cpu().float(), basis.cell.cpu().float()
        # From coordinates to scaled directions, as columns; missing ones are 0.
        weight, bias = found.weight * scale, -(found.mean @ found.weight) * scale
        self.to_hidden.weight.copy_((whole @ (weight @ matrix[:n_found]).float()).T)
        self.to_hidden.bias.copy_(bias @ matrix[:n_found])
        self.to_code.weight.copy_((matrix.T[:, :n_code] @ rotation(n_code)).T)
        self.to_code.bias.zero_()
        self.correlations.copy_(padded(found.correlations, n_hidden))
        n_cells, channels, _ = self.to_local.weight.shape
        if "local" in found.estimates:
            estimate = found.estimates["local"]
            cell = single_cell @ (estimate.weight * scale).float()
            offset = estimate.bias * scale
        else:
            added = whole @ weight[:, :n_local].float()
            cell = added.reshape(channels, n_cells, -1).movedim(1, 0)
            offset = bias.expand(n_cells, -1) / n_cells
        self.to_local.weight.copy_(padded(cell, n_local))
        self.to_local.bias.copy_(padded(offset, n_local))


def mean_and_spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of features (n, ...), and the spread by which they are divided."""
    spread = x.std(dim=0)
    # Constant features become 0, not rounding errors.
    largest = torch.maximum(x.amax(dim=0), -x.amin(dim=0))
    constant = spread <= SMALLEST_SPREAD * largest.clamp(min=1e-3)
    return x.mean(dim=0), torch.where(constant, LARGEST_SPREAD, spread + SMALLEST_SPREAD)


def axes_of(parts: Sequence[Tensor], n_max: int, generator: Generator) -> Tensor:
    """Return at most ``n_max`` approximate leading principal axes of centred rows in parts.

    There are fewer axes than rows, and at least two rows per axis if there are more than FEW_AXES.
    """
    n, width = sum(map(len, parts)), parts[0].shape[1]
    n_axes = min(max(1, n_max), n - 1, max(FEW_AXES, n // 2), width)
    return principal_axes(parts, torch.randn(width, n_axes, generator=generator).to(parts[0]))


def padded(x: Tensor, n: int) -> Tensor:
    """Cut or pad the last axis to n entries."""
    return nn.functional.pad(x[..., :n], (0, n - min(n, x.shape[-1])))
