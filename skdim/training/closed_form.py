"""Training without gradients: two passes over the samples, and an eigenproblem."""

from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Generator, Tensor, nn

from skdim.closed_form import Sums, rotation, scale_of, solve
from skdim.encoders import Basis, LinearEncoder
from skdim.inputs import Samples
from skdim.objectives import AbstractCriterion, GaussianInformation, Information
from skdim.views import Pairs, View, find_pairs
from skdim.views.base import all_pairs

# Maximum number of samples from which the basis is computed.
BASIS_ROWS = 3000
# Maximum number of samples from whose looks the expanded features are set.
EXPANSION_ROWS = 1500
# Number of coordinates of that solution.
EXPANSION_COORDINATES = 256
# Maximum numbers of samples whose looks are encoded at once, and of their values, to limit memory.
CHUNK = 128
NUMBERS = 2**22


@dataclass(frozen=True)
class LookSums:
    """Sums over the looks of all samples so far.

    Parameters
    ----------
    basis : Basis
    sums : dict of str to Sums
        Sums of each term; empty before any sample.
    """

    basis: Basis
    sums: dict[str, Sums]

    def __add__(self, other: dict[str, Sums]) -> Self:
        """Add the sums over more samples."""
        sums = {name: self.sums[name] + part if self.sums else part for name, part in other.items()}
        return replace(self, sums=sums)


def solve_for(
    module: nn.Sequential, criterion: AbstractCriterion, known: LookSums
) -> tuple[dict[str, float], float]:
    """Set an encoder and its Gaussian critics from sums over looks.

    Parameters
    ----------
    module : Sequential
        Standardisation and a :class:`~skdim.encoders.LinearEncoder`.
    criterion : AbstractCriterion
        Its terms of information are solved for.
    known : LookSums

    Returns
    -------
    terms : dict of str to float
        Minus the weighted information in nats, of terms with a Gaussian critic.
    spread : float
        Standard deviation of the codes over looks, averaged over their coordinates.
    """
    _, encoder = parts_of(module)
    n_hidden, n_code = encoder.to_hidden.out_features, encoder.to_code.out_features
    ridge = encoder.ridge(next(iter(known.sums.values())).samples.item())
    found = solve(known.sums, weights_of(criterion), encoder.mean[0].numel(), n_hidden, ridge)
    encoder.set_directions(known.basis, found)
    terms = {
        part.name: -part.weight * part.set_directions(found, known.basis, n_code)
        for part in criterion.members()
        if isinstance(part, GaussianInformation)
    }
    variances = scale_of(found.correlations[:n_code]).square()
    spread = (rotation(n_code)[: len(variances)].square().T @ variances).sqrt().mean()
    return terms, float(spread)


def all_looks(view: View, x: Tensor, generator: Generator) -> tuple[list[Tensor], Pairs]:
    """Draw looks and their pairs; if all are compared, the sample itself is another look."""
    looks = list(view(x, generator))
    pairs = find_pairs(view, len(looks))
    n = len(looks)
    # With several given looks, there is no such sample.
    is_look = x.shape == looks[0].shape
    if is_look and n > 1 and set(pairs) == set(all_pairs(n)):
        return [*looks, x], all_pairs(n + 1)
    return looks, pairs


@torch.no_grad()
def sum_looks(
    module: nn.Sequential,
    view: View,
    rows: Samples,
    generator: Generator,
    basis: Basis,
    names: Collection[str],
    advance: Callable[[int], None] = lambda n: None,
) -> dict[str, Sums]:
    """Return the sums over the looks of samples for the named terms, "local" or "global".

    ``advance`` is called with the number of samples after each chunk.
    """
    standardise, encoder = parts_of(module)
    total = LookSums(basis, {})
    with closing(rows.read(rows.chunks(chunk_of(rows)), generator)) as chunks:
        for x in chunks:
            looks, pairs = all_looks(view, x.float(), generator)
            conv = encoder.features(standardise(torch.cat(looks))).float()
            whole = encoder.whole(conv, basis).chunk(len(looks))
            layers = {"global": whole}
            if "local" in names:
                layers["local"] = encoder.cells(conv, basis).chunk(len(looks))
            total += {name: Sums.of(whole, layers[name], pairs) for name in names}
            advance(len(x))
    return total.sums


@torch.no_grad()
def find_basis(module: nn.Sequential, view: View, rows: Samples, generator: Generator) -> Basis:
    """Standardise the features and compute their basis, from a subset of the samples.

    Expanded features are set from the closed form of these samples without them.
    """
    standardise, encoder = parts_of(module)
    single = rows.single().thinned(BASIS_ROWS)
    chunks = single.chunks(chunk_of(rows))
    # No variable refers to the features, so that they are freed after standardisation.
    conv = encoder.set_statistics(
        torch.cat([encoder.stem(standardise(single[chunk])).float() for chunk in chunks])
    )
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device).item()
    draws = Generator().manual_seed(int(seed))
    if encoder.n_expanded:
        basis = encoder.find_basis(conv, draws, EXPANSION_COORDINATES)
        few = rows.thinned(EXPANSION_ROWS)
        sums = sum_looks(module, view, few, generator, basis, ["global"])
        found = solve(sums, {"global": 1.0}, encoder.mean[0].numel(), EXPANSION_COORDINATES)
        encoder.set_expansion(basis, found, draws)
    return encoder.find_basis(conv, draws)


def chunk_of(rows: Samples) -> int:
    """Return how many samples are encoded at once."""
    return max(2, min(CHUNK, NUMBERS // rows.layout.n_features))


def weights_of(criterion: AbstractCriterion) -> dict[str, float]:
    """Return the weights of the terms of information; without any, that of a global term."""
    weights = {
        part.name: part.weight for part in criterion.members() if isinstance(part, Information)
    }
    return weights or {"global": 1.0}


def parts_of(module: nn.Sequential) -> tuple[nn.Module, LinearEncoder]:
    """Return the standardisation and the linear encoder of a module."""
    standardise, encoder = module
    assert isinstance(encoder, LinearEncoder)
    return standardise, encoder
