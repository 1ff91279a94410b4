"""How much the coordinates of a code depend on each other: the paper's NDM."""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor, nn

from skdim.information.autoregressive import AutoregressiveMixture, inputs_of
from skdim.information.columns import Columns, normal_scores, read_columns, those_that_vary
from skdim.information.copulas import fit_copula
from skdim.information.fitting import Fold, Training, fit_network, make_folds
from skdim.information.mutual_information import UntrustedEstimateWarning
from skdim.inputs.draws import SEEDING, draw_seed, drawing

__all__ = ["total_correlation"]

LEAST_ROWS = 20
# A coordinate told to within so many ranks may be told altogether.
COARSE = 10


class Rows(NamedTuple):
    """What the network needs to know of some rows."""

    inputs: Tensor
    whitened: Tensor
    # From the log density of a whitened score, given those before it, to that of the score itself
    # over its own, which is standard normal.
    offsets: Tensor

    def some(self, of: Any) -> "Rows":
        """Return some rows."""
        return Rows(*(part[of] for part in self))


def total_correlation(
    z: Any,
    *,
    test_size: float = 0.2,
    max_epochs: int = 30,
    batch_size: int = 250,
    learning_rate: float = 5e-3,
    random_state: Any = None,
) -> float:
    r"""Estimate the total correlation of the coordinates of z.

    .. math:: TC = \mathrm{KL} \left( p(z) \, \Big\| \, \prod_i p(z_i) \right)
        = \sum_i h(z_i) - h(z)

    It is zero if and only if the coordinates are independent. The paper measures it by its neural
    dependency measure (NDM): a critic that tells codes from the same codes with each coordinate
    shuffled on its own. Such an estimate has no meaning beyond the log of the number of codes, and
    for codes of 64 numbers the truth mostly is (see Notes). Here a density is fitted instead,

    .. math:: TC \geq \sum_i \mathbb{E} \left[ \ln q(s_i \mid s_1, \ldots, s_{i-1})
        - \ln \phi(s_i) \right]

    with s the normal scores of the codes, :math:`\phi` the standard normal density, which is
    that of each of them, and q a normal copula to which a masked network adds what is not normal.
    It is read off rows that q was not fitted on: a lower bound, up to chance, however large.
    For jointly normal codes, whatever the margins, it is exact.

    Nothing but the order within each column counts. So no increasing map of a coordinate changes
    the figure, to the last digit; the true total correlation has the same property. The paper's
    own columns break it: for one and the same encoder they give 0.18 with a sigmoid on the code
    and 9.18 without (Hjelm et al., table 3). That is a difference of their estimates, not of the
    codes. A map that saturates in floating point makes ties, and does lose order. Ties are broken
    at random, which changes nothing about the truth: so coordinates may be counts or categories.

    Parameters
    ----------
    z : array-like or Tensor of shape (n,) or (n, *axes)
        Codes, one a row; at least 20. Coordinates that are constant depend on nothing.
    test_size : float, default=0.2
        Share of the rows held out at a time, at most 1/2.
    max_epochs : int, default=30
        Training stops before, after 10 epochs that brought nothing; 0 leaves the normal copula.
    batch_size : int, default=250
    learning_rate : float, default=5e-3
        Of AdamW; falls to zero by a cosine.
    random_state : int, RandomState or None, default=None
        Of the order of ties, the parts, the first weights and the batches.

    Returns
    -------
    float
        In nats. About zero, at times a little below, for independent coordinates.

    Raises
    ------
    ValueError
        If z holds what is no finite number or has too few rows; or if a parameter is out of range.
    FloatingPointError
        If the training diverges.

    Warns
    -----
    UntrustedEstimateWarning
        If a coordinate follows from those before it to within ten of the n ranks that it can have:
        the truth may then be infinite, as it is where coordinates are functions of each other. Or
        if some are linear functions of others. Other functions of several coordinates cannot be
        told from noise, and do not warn.

    Notes
    -----
    A critic judged by the Donsker-Varadhan bound, as the paper's, has to tell codes from shuffled
    codes without telling them perfectly. Where it can, the bound grows without end: for 64 normals
    of correlation 0.9 and a truth of 70.5 nats it gave 11,186, on rows held out, and this estimate
    70.1. Of codes near a surface of two dimensions, it finds four fifths in 64 dimensions and
    nearly nine tenths in 16; of many weak and crooked dependences, half
    (``benchmarks/dependence.py``).

    References
    ----------
    Hjelm et al. (2019), Learning deep representations by mutual information estimation and
    maximization, section 4, arXiv:1808.06670. Watanabe (1960), Information theoretical analysis of
    multivariate correlation. McAllester and Stratos (2020), Formal limitations on the measurement
    of mutual information, arXiv:1811.04251, on critics and on densities in their place.

    Examples
    --------
    >>> codes = np.random.default_rng(0).standard_normal((1000, 4))
    >>> bool(abs(total_correlation(codes, random_state=0)) < 0.05)
    True
    >>> codes[:, 1] = codes[:, 0] + codes[:, 1]
    >>> bool(abs(total_correlation(codes, random_state=0) - np.log(2) / 2) < 0.1)
    True
    """
    columns = read_columns(z, "z", least=LEAST_ROWS)
    training = Training(max_epochs, 10, batch_size, learning_rate)
    draws = np.random.default_rng(draw_seed(random_state))
    folds = list(make_folds(len(columns), test_size, draws))
    scores = normal_scores(columns, draws)
    if scores.shape[1] < 2:
        # One coordinate depends on nothing.
        return 0.0
    told = np.mean(
        [
            judge_fold(scores, fold, training, Generator().manual_seed(int(draws.integers(2**63))))
            for fold in folds
        ],
        axis=0,
    )
    warn_of(told, len(scores))
    warn_of_rank(columns, 8 * step_of(z), float(told.sum()))
    return float(told.sum())


def warn_of(told: Columns, n: int) -> None:
    """Warn where ranks are too coarse to tell a narrow density from none."""
    far = np.flatnonzero(told > math.log(n / COARSE))
    if len(far):
        warnings.warn(
            f"{len(far)} of the {len(told)} coordinates that vary follow from those before them to "
            f"within {COARSE} of {n} ranks: the estimate of {told.sum():.2f} nats may be far too "
            "low. Where coordinates are functions of each other, the truth is infinite. Read it as "
            "'large'.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )


def warn_of_rank(columns: Columns, tolerance: float, estimate: float) -> None:
    """Warn where columns (n, d) are linear functions of each other, which ranks do not show."""
    varying = those_that_vary(columns)
    sizes = np.linalg.svd((varying - varying.mean(axis=0)) / varying.std(axis=0), compute_uv=False)
    rank = int((sizes > tolerance * sizes[0]).sum())
    # Rows that are fewer than columns are always of lower rank.
    if rank < min(len(varying) - 1, varying.shape[1]):
        warnings.warn(
            f"The {varying.shape[1]} coordinates that vary are of rank {rank}: some are linear "
            "functions of others, and the truth is infinite. The estimate of "
            f"{estimate:.2f} nats is what {len(varying)} ranks tell of it. Read it as 'large'.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )


def step_of(z: Any) -> float:
    """Return the relative step between numbers of the type of z."""
    name = str(getattr(z, "dtype", "")).removeprefix("torch.")
    return float(np.finfo(name if name in {"float16", "float32"} else "float64").eps)


def judge_fold(scores: Columns, fold: Fold, training: Training, generator: Generator) -> Columns:
    """Fit a density on a fold; give what it tells of each coordinate (d,), on the rows held out."""
    root: Columns = np.linalg.cholesky(fit_copula(scores[fold.training])).astype(np.float64)
    rows = look(scores, root)
    train, held_out = rows.some(fold.training), rows.some(fold.held_out)
    halves = torch.tensor_split(torch.arange(len(fold.held_out)), 2)
    judged: list[list[Tensor]] = []

    def judge(network: nn.Module) -> tuple[float, float]:
        with torch.no_grad():
            each = tell(network, held_out)
        judged.append([each[half].double().mean(0) for half in halves])
        first, second = (half.sum().item() for half in judged[-1])
        return first, second

    network = draw_network(rows, root, generator)
    curve = fit_network(
        network,
        lambda some: tell(network, train.some(some)).sum(1).mean(),
        judge,
        len(fold.training),
        training,
        generator,
    )
    first, second = curve.kept
    return np.asarray((judged[first][0] + judged[second][1]).numpy() / 2)


def look(scores: Columns, root: Columns) -> Rows:
    """Whiten normal scores (n, d) by the root (d, d) of a copula, each given those before it."""
    whitened: Columns = np.linalg.solve(root, scores.T).T.astype(np.float64)
    offsets = np.square(scores) / 2 - np.log(np.diag(root))
    return Rows(
        inputs_of(scores, whitened),
        torch.from_numpy(whitened).float(),
        torch.from_numpy(offsets).float(),
    )


def tell(network: nn.Module, rows: Rows) -> Tensor:
    """Log density of each score (n, d) given those before it, over that of the score alone."""
    return network(rows.inputs, rows.whitened) + rows.offsets


def draw_network(rows: Rows, root: Columns, generator: Generator) -> AutoregressiveMixture:
    """Draw first weights; no component is narrower than the step between ranks."""
    n, d = rows.whitened.shape
    seed = int(torch.randint(2**62, (), generator=generator))
    with SEEDING, drawing(seed):
        return AutoregressiveMixture(d, rows.inputs.shape[1] // d, 1 / (n * np.diag(root)))
