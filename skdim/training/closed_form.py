"""Training without gradients: two passes over the samples, and an eigenproblem."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from skdim.closed_form import Sums, rotation, scale_of, solve
from skdim.encoders import LinearEncoder
from skdim.inputs import Rows
from skdim.objectives import AbstractObjective, GaussianInformation, Information, Together
from skdim.views import find_pairs

__all__ = ["LookSums", "Solution", "find_basis", "solve_for", "sum_looks"]

# Samples from which the coordinates are computed.
BASIS_ROWS = 3000
# Samples of which all looks are encoded at once.
CHUNK = 128


@dataclass(frozen=True)
class LookSums:
    """What the closed form knows of all samples so far; more can be added.

    Parameters
    ----------
    basis : Tensor of shape (channels, p)
        Coordinates of the features of a cell.
    sums : Sums or None
        None before any sample.
    """

    basis: Tensor
    sums: Sums | None


@dataclass(frozen=True)
class Solution:
    """What the closed form has found.

    Parameters
    ----------
    terms : dict of str to float
        Minus the weighted information of each term, in nats, of terms with a Gaussian critic.
    spread : float
        Standard deviation of the codes over looks, averaged over their numbers.
    """

    terms: dict[str, float]
    spread: float


def solve_for(module: nn.Sequential, objective: AbstractObjective, known: LookSums) -> Solution:
    """Set an encoder and its Gaussian critics from sums over looks.

    Parameters
    ----------
    module : Sequential
        Standardisation and a :class:`~skdim.encoders.LinearEncoder`.
    objective : AbstractObjective
        Its terms of information say what is compared, and with which weight; if there are none,
        codes are compared with the cells.
    known : LookSums

    Returns
    -------
    Solution
    """
    assert known.sums is not None
    _, encoder = parts_of(module)
    parts = list(objective) if isinstance(objective, Together) else [objective]
    weights = {part.name: part.weight for part in parts if isinstance(part, Information)}
    n_hidden, n_code = encoder.to_hidden.out_features, encoder.to_code.out_features
    found = solve(known.sums, weights or {"local": 1.0}, encoder.mean[0].numel(), n_hidden)
    encoder.set_directions(known.basis, found)
    terms = {
        part.name: -part.weight * part.set_directions(found, known.basis, n_code)
        for part in parts
        if isinstance(part, GaussianInformation)
    }
    variances = scale_of(found.correlations[:n_code]).square()
    spread = (rotation(n_code)[: len(variances)].square().T @ variances).sqrt().mean()
    return Solution(terms, float(spread))


def all_looks(view: Any, x: Tensor, generator: Generator) -> tuple[list[Tensor], Any]:
    """Look at samples; where all looks are compared, the sample as it is counts as one more."""
    looks = list(view(x, generator))
    pairs = find_pairs(view, len(looks))
    n = len(looks)
    if n > 1 and set(pairs) == {(i, j) for i in range(n) for j in range(n) if i != j}:
        looks.append(x)
        pairs = tuple((i, j) for i in range(n + 1) for j in range(n + 1) if i != j)
    return looks, pairs


@torch.no_grad()
def sum_looks(
    module: nn.Sequential,
    view: Any,
    rows: Rows,
    generator: Generator,
    known: LookSums | None,
) -> LookSums:
    """Sum over the looks at all samples, beside what is known.

    Parameters
    ----------
    module : Sequential
        Standardisation and a :class:`~skdim.encoders.LinearEncoder`, in evaluation mode.
    view : View
    rows : Rows
    generator : Generator
        Of the view.
    known : LookSums or None
        None sets the standardisation of the features, and the coordinates, from these samples.

    Returns
    -------
    LookSums
    """
    standardise, encoder = parts_of(module)
    basis = find_basis(module, rows, generator) if known is None else known.basis
    total = None if known is None else known.sums
    with closing(rows.read(rows.chunks(CHUNK), generator)) as chunks:
        for x in chunks:
            looks, pairs = all_looks(view, x.float(), generator)
            coordinates = encoder.project(standardise(torch.cat(looks)), basis)
            new = Sums.of(coordinates.float().chunk(len(looks)), pairs)
            total = new if total is None else total + new
    assert total is not None
    return LookSums(basis, total)


def find_basis(module: nn.Sequential, rows: Rows, generator: Generator) -> Tensor:
    """Standardise features and find coordinates for them, from some of the samples."""
    standardise, encoder = parts_of(module)
    n = min(len(rows), BASIS_ROWS)
    some = rows.numbers[torch.arange(n, device=rows.device) * len(rows) // n]
    parts = [encoder.stem(standardise(rows[part])).float() for part in torch.split(some, CHUNK)]
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device).item()
    return encoder.find_basis(torch.cat(parts), Generator().manual_seed(int(seed)))


def parts_of(module: nn.Sequential) -> tuple[nn.Module, LinearEncoder]:
    """Return the standardisation and the linear encoder of a net's module."""
    standardise, encoder = module
    assert isinstance(encoder, LinearEncoder)
    return standardise, encoder
