"""Total correlation of the coordinates of a code, the NDM of the paper."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr
from torch import Generator, Tensor

from skdim.information.columns import Columns, drop_constant, normal_scores, read_columns
from skdim.information.copulas import copula_bias, fit_copula
from skdim.information.densities import elliptical_information, fit_density
from skdim.information.estimate import BestEstimate, InformationEstimate, exceeds, standard_error
from skdim.information.fitting import Training, make_folds
from skdim.information.neighbours import MAX_COLUMNS, extrapolated_information
from skdim.random import draw_seed

# A warning is issued if a coordinate is determined to within this number of ranks.
RANK_WIDTH = 10


def total_correlation(
    z: ArrayLike | Tensor,
    *,
    test_size: float = 0.2,
    max_epochs: int = 30,
    batch_size: int = 250,
    learning_rate: float = 5e-3,
    random_state: int | np.random.RandomState | None = None,
) -> InformationEstimate:
    r"""Estimate the total correlation of the coordinates of z.

    .. math:: TC = \mathrm{KL} \left( p(z) \, \Big\| \, \prod_i p(z_i) \right)
        = \sum_i h(z_i) - h(z)

    It is zero if and only if the coordinates are independent. The paper estimates it by its neural
    dependency measure (NDM): a critic that discriminates codes from the same codes with each
    coordinate shuffled separately. Such an estimate is not meaningful above the log of the number
    of codes, and for codes with 64 coordinates the true value mostly is (see Notes). Instead, a
    density is fitted here:

    .. math:: TC \geq \sum_i \mathbb{E} \left[ \ln q(s_i \mid s_1, \ldots, s_{i-1})
        - \ln \phi(s_i) \right]

    Here s are the normal scores of the codes, :math:`\phi` is the standard normal density, which is
    the density of each score, and q is a normal copula combined with a masked network that models
    deviations from normality. The right-hand side is evaluated on rows that q was not fitted on: a
    lower bound of any size, up to sampling error. It is tight for jointly normal codes with
    any margins. The information that the copula lacks because it is fitted to a sample is added.
    A density of elliptical symmetry, which describes a scale that coordinates share, replaces the
    estimate where it finds significantly more; so do nearest neighbours among up to four
    coordinates.

    The estimate depends only on the order within each column. Increasing maps of a coordinate
    therefore leave it bit-equal, and the true total correlation unchanged. The estimates of the
    paper lack this property: for the same encoder they are 0.18 with a sigmoid on the code and 9.18
    without (Hjelm et al., table 3). A map that saturates in floating point creates ties and does
    lose order. Ties are broken at random, which does not change the true value, so coordinates may
    be counts or categories.

    Parameters
    ----------
    z : array-like or Tensor of shape (n,) or (n, *axes)
        Codes, one per row, at least 20. Constant coordinates are left out.
    test_size : float, default=0.2
        Share of the rows held out at a time, at most 1/2.
    max_epochs : int, default=30
        Training stops early after 10 epochs without improvement. 0 uses the normal copula alone.
    batch_size : int, default=250
    learning_rate : float, default=5e-3
        Initial learning rate of AdamW with a cosine schedule.
    random_state : int, RandomState or None, default=None
        Determines the order of ties, the parts, the initial weights and the batches.

    Returns
    -------
    InformationEstimate
        A float, in nats, with ``standard_error``, ``interval(level)``, ``pointwise_``,
        ``method_``, ``curve_`` and ``warnings_``. About zero for independent coordinates.

    Raises
    ------
    ValueError
        If z contains values that are not finite or has too few rows; or if a parameter is out of
        range.
    FloatingPointError
        If the training diverges.

    Warns
    -----
    UntrustedEstimateWarning
        If a coordinate is determined by those before it to within ten of the n ranks: the true
        value may then be infinite, as it is where coordinates are functions of each other. Or if
        some coordinates are linear functions of others. Other functions of several coordinates
        cannot be discriminated from noise and do not warn.

    Notes
    -----
    A critic evaluated by the Donsker-Varadhan bound, as in the paper, gives a finite value only if
    it cannot separate codes from shuffled codes completely. Otherwise the bound grows without
    limit: for 64 normals of correlation 0.9 and a true value of 70.5 nats it was 11,186 on held-out
    rows, where this estimate is 70.1. For codes near a surface of two dimensions, this estimate is
    four fifths of the true value in 64 dimensions and nearly nine tenths in 16; for many weak and
    nonlinear dependences it is half (``benchmarks/dependence.py``).

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
    columns = read_columns(z, "z")
    training = Training(max_epochs, 10, batch_size, learning_rate)
    draws = np.random.default_rng(draw_seed(random_state))
    folds = make_folds(len(columns), test_size, draws)
    scores = normal_scores(columns, draws)
    if scores.shape[1] < 2:
        return InformationEstimate(pointwise=np.zeros(len(scores)), ceiling=0.0)
    ratios = np.empty((2, *scores.shape))
    roots, curves = [], []
    for fold in folds:
        generator = Generator().manual_seed(int(draws.integers(2**63)))
        roots.append(np.asarray(np.linalg.cholesky(fit_copula(scores[fold.training]))))
        curve, *ratios[:, fold.held_out] = fit_density(scores, roots[-1], fold, training, generator)
        curves.append(curve)
    base, trained = ratios.sum(axis=2)
    best = add_network(base, trained, copula_correction(scores, base.mean()))
    if max_epochs > 0:
        best = best.or_larger("elliptical", elliptical_information(scores, roots, folds))
    if max_epochs > 0 and scores.shape[1] <= MAX_COLUMNS:
        for sides in (scores, ndtr(scores)):
            blocks = [column[:, None] for column in sides.T]
            best = best.or_larger("neighbours", *extrapolated_information(blocks))
    messages = [
        *describe_near_functions(ratios[1].mean(axis=0), len(scores)),
        *describe_linear_functions(columns, z, best.value),
    ]
    return best.estimate((scores.shape[1] - 1) * math.log(len(scores)), curves, messages)


def copula_correction(scores: Columns, held_out: float) -> float:
    """Return what the fitted copula lacks on held-out rows, because it is fitted to a sample.

    It is at most twice the bias of the sample correlations, which may be singular.
    """
    n, d = scores.shape
    if n <= 2 * d:
        return 0.0
    expected = copula_bias((1,) * d, n)
    information = -np.linalg.slogdet(np.corrcoef(scores, rowvar=False))[1] / 2
    return float(np.clip(information - expected - held_out, 0, 2 * expected))


def add_network(base: Columns, trained: Columns, correction: float) -> BestEstimate:
    """Return the estimate of the copula, or of the network where it adds something."""
    if exceeds(trained, base.mean(), base):
        return BestEstimate("density", float(trained.mean() + correction), trained)
    if base.mean() > standard_error(base):
        return BestEstimate("copula", float(base.mean() + correction), base)
    return BestEstimate("copula", 0.0, np.zeros(len(base)))


def describe_near_functions(information: Columns, n: int) -> list[str]:
    """Return a warning if coordinates (d,) have nearly as much information as n ranks can have."""
    n_coordinates = int((information > math.log(n / RANK_WIDTH)).sum())
    if not n_coordinates:
        return []
    return [
        f"{n_coordinates} of the {len(information)} coordinates that vary are determined by those "
        f"before them to within {RANK_WIDTH} of {n} ranks: the estimate of {information.sum():.2f} "
        "nats may be far too low. The true value is infinite if coordinates are functions of "
        "each other. Report the value as 'large'."
    ]


def describe_linear_functions(columns: Columns, z: object, estimate: float) -> list[str]:
    """Return a warning if columns (n, d) are linearly dependent, which their ranks do not show.

    They are compared with the precision of z, from which they were converted.
    """
    dtype = str(getattr(z, "dtype", "")).removeprefix("torch.")
    precision = np.finfo(dtype if dtype in {"float16", "float32"} else "float64").eps
    varying = drop_constant(columns)
    sizes = np.linalg.svd((varying - varying.mean(axis=0)) / varying.std(axis=0), compute_uv=False)
    rank = int((sizes > 8 * float(precision) * sizes[0]).sum())
    # Fewer rows than columns always have a lower rank.
    if rank >= min(len(varying) - 1, varying.shape[1]):
        return []
    return [
        f"The {varying.shape[1]} coordinates that vary have rank {rank}: some are linear "
        f"functions of others, and the true value is infinite. The estimate of {estimate:.2f} "
        f"nats is limited by the {len(varying)} rows. Report the value as 'large'."
    ]
