r"""Linear Deep InfoMax in closed form.

For a code that is linear in fixed features, and a Gaussian critic, the information between the code
and a layer has a maximum in closed form. With :math:`g` the features of one look at a sample and
:math:`l_k` cell :math:`k` of another look, the directions :math:`w` solve the generalised
eigenproblem

.. math:: \Big(\frac{1}{K} \sum_k C_{gk} C_{kk}^{-1} C_{kg}\Big) w = \rho^2 C_{gg} w,

where :math:`\rho^2` is the share of a direction's variance that a cell predicts, averaged over the
cells. With the whole other look as the only cell, these are canonical correlations. The solution
follows from sums over samples (:class:`Sums`), in any order and over several processes.

References
----------
Hotelling (1936). Relations between two sets of variates. Biometrika 28.
Bach and Jordan (2005). A probabilistic interpretation of canonical correlation analysis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

# Least share of the mean variance that is added to all variances.
RIDGE = 0.03
# Correlations above are clipped: a signal-to-noise ratio of 10,000.
MAX_CORRELATION = 0.9999


@dataclass(frozen=True)
class Sums:
    """Sums over pairs of looks, from which the directions follow.

    The code is computed from ``q`` features of the first look of a pair, and compared with ``p``
    features of the second look: those of a layer, cell after cell.

    Parameters
    ----------
    count, samples : Tensor of shape ()
        Numbers of pairs and of samples.
    code_first, layer_first : Tensor of shape (q,) or (p,)
        Sums of the features.
    code_second, layer_second : Tensor of shape (q, q) or (p, p)
        Sums of their outer products.
    cross : Tensor of shape (q, p)
        Sum of the outer products of code and layer.
    """

    count: Tensor
    samples: Tensor
    code_first: Tensor
    code_second: Tensor
    layer_first: Tensor
    layer_second: Tensor
    cross: Tensor

    @classmethod
    def of(
        cls, code: Sequence[Tensor], layer: Sequence[Tensor], pairs: Sequence[tuple[int, int]]
    ) -> Self:
        """Sum over the samples of one batch, in float64 on the CPU.

        Parameters
        ----------
        code : sequence of Tensor of shape (n, q)
            Features of the code, one entry per look.
        layer : sequence of Tensor of shape (n, p)
            Features of the layer; ``code`` itself to compare with the whole look.
        pairs : sequence of (int, int)
            ``(look of the code, look of the layer)``.
        """
        code_looks, layer_looks = zip(*pairs, strict=True)
        used = sorted(set(code_looks))
        partners = torch.cat([sum_of([layer[j] for i, j in pairs if i == look]) for look in used])
        cross = torch.cat([code[look] for look in used]).T @ partners
        code_sums = own_sums(code, code_looks)
        same = layer is code and sorted(code_looks) == sorted(layer_looks)
        samples = torch.tensor(float(len(code[0])), dtype=torch.float64)
        layer_sums = code_sums if same else own_sums(layer, layer_looks)
        return cls(len(pairs) * samples, samples, *code_sums, *layer_sums, to_float64(cross))

    def __add__(self, other: Self) -> Self:
        """Add the sums over other samples."""
        return type(self)(*[getattr(self, f.name) + getattr(other, f.name) for f in fields(self)])

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Apply a function to all tensors."""
        return type(self)(*[change(getattr(self, f.name)) for f in fields(self)])


@dataclass(frozen=True)
class Directions:
    """The directions of most information, in decreasing order.

    Parameters
    ----------
    mean : Tensor of shape (q,)
        Mean of the features of the code.
    weight : Tensor of shape (q, r)
        Directions, uncorrelated and of variance 1.
    correlations : Tensor of shape (r,)
        Square root of the mean share of a direction's variance that the layers predict.
    estimates : dict of str to Estimate
        Estimates of the directions from the layer of each term.
    """

    mean: Tensor
    weight: Tensor
    correlations: Tensor
    estimates: "dict[str, Estimate]"


@dataclass(frozen=True)
class Estimate:
    """The best linear estimates of the directions from each cell of a layer.

    Parameters
    ----------
    weight : Tensor of shape (cells, p, r)
    bias : Tensor of shape (cells, r)
    correlations : Tensor of shape (r,)
        Square root of the mean share, over cells, of a direction's variance that they predict.
    """

    weight: Tensor
    bias: Tensor
    correlations: Tensor


def own_sums(looks: Sequence[Tensor], used: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Sum the looks and their outer products, weighted by how often ``used`` has each look."""
    numbers = sorted(set(used))
    rows = torch.cat([looks[i] for i in numbers])
    times = torch.cat([used.count(i) * torch.ones(len(looks[i]), 1) for i in numbers])
    weighted = times.to(rows) * rows
    return to_float64(weighted.sum(dim=0)), to_float64(weighted.T @ rows)


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """Sum tensors of one shape."""
    return torch.stack(list(parts)).sum(dim=0) if len(parts) > 1 else parts[0]


def to_float64(x: Tensor) -> Tensor:
    """Return a tensor in float64 on the CPU, since some devices lack float64."""
    return x.cpu().double()


def solve(
    sums: Mapping[str, Sums],
    weights: Mapping[str, float],
    n_cells: int,
    n_directions: int,
    ridge: float = RIDGE,
) -> Directions:
    """Compute the directions of most information.

    Parameters
    ----------
    sums : mapping of {"local", "global"} to Sums
        Sums of each term: "local" compares with each cell, "global" with the whole look.
    weights : mapping of {"local", "global"} to float
        Relative weight of each term.
    n_cells : int
        Number of cells of the layer of the local term.
    n_directions : int
        Maximum number of directions.
    ridge : float, default=0.03
        Share of the mean variance that is added to all variances.
    """
    first = next(iter(sums.values()))
    mean = first.code_first / first.count
    covariance = first.code_second / first.count - torch.outer(mean, mean)
    root = torch.linalg.cholesky(ridged(covariance, ridge))
    shared = torch.zeros_like(root)
    layers: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for name, part in sums.items():
        middle = part.layer_first / part.count
        second = part.layer_second / part.count - torch.outer(middle, middle)
        cross = (part.cross / part.count - torch.outer(mean, middle)).T
        n = n_cells if name == "local" else 1
        width = len(middle) // n
        blocks = second.reshape(n, width, n, width).diagonal(dim1=0, dim2=2).movedim(-1, 0)
        cell_roots = torch.linalg.cholesky(ridged(blocks, ridge))
        crosses = cross.reshape(n, width, -1)
        half = torch.linalg.solve_triangular(cell_roots, crosses, upper=False).flatten(0, 1)
        half = torch.linalg.solve_triangular(root, half.T, upper=False)
        shared += weights[name] / sum(weights[key] for key in sums) / n * (half @ half.T)
        layers[name] = cell_roots, crosses, middle.reshape(n, 1, width)
    strengths, axes = torch.linalg.eigh(shared)
    weight = torch.linalg.solve_triangular(root.T, axes.flip(1)[:, :n_directions], upper=True)
    correlations = strengths.flip(0)[:n_directions].clamp(0, MAX_CORRELATION**2).sqrt()
    estimates = {}
    for name, (cell_roots, crosses, middle) in layers.items():
        products = crosses @ weight
        estimate = torch.cholesky_solve(products, cell_roots)
        share = (products * estimate).sum(dim=1).mean(dim=0).clamp(0, MAX_CORRELATION**2).sqrt()
        estimates[name] = Estimate(estimate, -(middle @ estimate)[:, 0], share)
    return Directions(mean, weight, correlations, estimates)


def ridged(covariance: Tensor, share: float) -> Tensor:
    """Add a share of the mean variance to all variances of covariances (..., p, p)."""
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    ridge = (share * diagonal.mean(dim=-1)).clamp(min=1e-6)
    return covariance + ridge[..., None, None] * torch.eye(covariance.shape[-1]).to(covariance)


def information_of(correlations: Tensor) -> Tensor:
    r"""Return :math:`-\frac{1}{2} \sum \ln (1 - \rho^2)`, of shape (), in nats.

    This is the mutual information of two Gaussian vectors with these canonical correlations.
    """
    return -0.5 * torch.log1p(-correlations.square()).sum()


def scale_of(correlations: Tensor) -> Tensor:
    """Return the scale of each direction, the square root of its signal-to-noise ratio."""
    return torch.sqrt(correlations / (1 - correlations))


def principal_axes(parts: Sequence[Tensor], draw: Tensor) -> Tensor:
    """Return an orthonormal basis of approximately the leading principal axes of centred rows.

    Parameters
    ----------
    parts : sequence of Tensor of shape (n, p)
        Rows, in parts.
    draw : Tensor of shape (p, m)
        Standard normal; ``m`` is at most the rank of all rows.

    Returns
    -------
    Tensor of shape (p, m)

    References
    ----------
    Halko, Martinsson and Tropp (2011). Finding structure with randomness. SIAM Review 53.
    """
    # On the CPU: not all devices have this decomposition.
    basis: Tensor = torch.linalg.qr(sum_of([x.T @ (x @ draw) for x in parts]).cpu())[0]
    return basis.to(draw.device)


def rotation(n: int) -> Tensor:
    """Return the matrix (n, n) of the orthogonal cosine transform.

    It distributes variance about evenly over the components, so that standardising the rotated
    components changes their relative scales little.
    """
    k = torch.arange(n, dtype=torch.float64)
    matrix: Tensor = torch.cos(torch.pi / n * (k[:, None] + 0.5) * k) * (2 / n) ** 0.5
    matrix[:, 0] /= 2**0.5
    return matrix
