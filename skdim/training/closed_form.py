"""Training without gradients: two passes over the samples, and an eigenproblem."""

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Generator, Tensor, nn

from skdim.closed_form import Sums, rotation, scale_of, solve
from skdim.encoders import Basis, LinearEncoder
from skdim.inputs import Samples
from skdim.objectives import AbstractCriterion, GaussianInformation, Information
from skdim.views import find_pairs

__all__ = ["LookSums", "Solution", "find_basis", "solve_for", "sum_looks", "weights_of"]

# Samples from which the coordinates are computed.
BASIS_ROWS = 3000
# Samples of which all looks are encoded at once.
CHUNK = 128


@dataclass(frozen=True)
class LookSums:
    """What the closed form knows of all samples so far; more can be added.

    Parameters
    ----------
    basis : Basis
    sums : dict of str to Sums
        Of each term; empty before any sample.
    """

    basis: Basis
    sums: dict[str, Sums]

    def __add__(self, other: dict[str, Sums]) -> Self:
        """Add the sums over more samples."""
        return replace(
            self,
            sums={n: self.sums[n] + part if self.sums else part for n, part in other.items()},
        )


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


def solve_for(module: nn.Sequential, objective: AbstractCriterion, known: LookSums) -> Solution:
    """Set an encoder and its Gaussian critics from sums over looks.

    Parameters
    ----------
    module : Sequential
        Standardisation and a :class:`~skdim.encoders.LinearEncoder`.
    objective : AbstractCriterion
        Its terms of information say what is compared, and with which weight.
    known : LookSums

    Returns
    -------
    Solution
    """
    _, encoder = parts_of(module)
    weights = weights_of(objective)
    n_hidden, n_code = encoder.to_hidden.out_features, encoder.to_code.out_features
    found = solve(known.sums, weights, encoder.mean[0].numel(), n_hidden)
    encoder.set_directions(known.basis, found)
    terms = {
        part.name: -part.weight * part.set_directions(found, known.basis, n_code)
        for part in objective.members()
        if isinstance(part, GaussianInformation)
    }
    variances = scale_of(found.correlations[:n_code]).square()
    spread = (rotation(n_code)[: len(variances)].square().T @ variances).sqrt().mean()
    return Solution(terms, float(spread))


def all_looks(view: Any, x: Tensor, generator: Generator) -> tuple[list[Tensor], Any]:
    """Draw looks; where all looks are compared, the sample as it is counts as one more."""
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
    rows: Samples,
    generator: Generator,
    basis: Basis,
    names: Collection[str],
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, Sums]:
    """Sum over the looks at all samples.

    Parameters
    ----------
    module : Sequential
        Standardisation and a :class:`~skdim.encoders.LinearEncoder`, in evaluation mode.
    view : View
    rows : Samples
    generator : Generator
        Of the view.
    basis : Basis
    names : collection of {"local", "global"}
        Terms that are to be solved for.
    advance : callable
        Called with the number of samples after each chunk.

    Returns
    -------
    dict of str to Sums
    """
    standardise, encoder = parts_of(module)
    total: dict[str, Sums] = {}
    with closing(rows.read(rows.chunks(CHUNK), generator)) as chunks:
        for x in chunks:
            looks, pairs = all_looks(view, x.float(), generator)
            conv = encoder.features(standardise(torch.cat(looks))).float()
            whole = encoder.whole(conv, basis).chunk(len(looks))
            for name in names:
                cells = name == "local"
                layer = encoder.cells(conv, basis).chunk(len(looks)) if cells else whole
                new = Sums.of(whole, layer, pairs)
                total[name] = total[name] + new if name in total else new
            advance(len(x))
    return total


@torch.no_grad()
def find_basis(module: nn.Sequential, rows: Samples, generator: Generator) -> Basis:
    """Standardise features and find coordinates for them, from some of the samples."""
    standardise, encoder = parts_of(module)
    some = rows.evenly_spaced(BASIS_ROWS)
    parts = [encoder.stem(standardise(rows[part])).float() for part in torch.split(some, CHUNK)]
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device).item()
    return encoder.find_basis(torch.cat(parts), Generator().manual_seed(int(seed)))


def weights_of(objective: AbstractCriterion) -> dict[str, float]:
    """Return the weights of the terms of information; of the global one alone if there are none."""
    weights = {
        part.name: part.weight for part in objective.members() if isinstance(part, Information)
    }
    return weights or {"global": 1.0}


def parts_of(module: nn.Sequential) -> tuple[nn.Module, LinearEncoder]:
    """Return the standardisation and the linear encoder of a net's module."""
    standardise, encoder = module
    assert isinstance(encoder, LinearEncoder)
    return standardise, encoder
