"""Mutual information of two arrays, by a critic and rows that it has not seen."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
from torch import Generator, Tensor

from skdim.bounds import BOUNDS, Bound
from skdim.critics import AbstractCritic
from skdim.information.columns import Columns, normal_scores, read_columns
from skdim.information.couplings import NormalCritic, denoised, whitening
from skdim.information.fitting import Curve, Fold, Training, fit_network, make_folds
from skdim.information.networks import CRITICS, MakeCritic, NormalPlus, features
from skdim.inputs.draws import SEEDING, draw_seed, drawing
from skdim.pairs import bound_of_pairs, pair_blocks

__all__ = ["UntrustedEstimateWarning", "mutual_information"]

# The bound that a critic is trained with, to the bound that its held-out value is. That of
# Jensen-Shannon is in other units, but its best critic is a log ratio, too.
READ_AS = {"dv": "dv", "infonce": "infonce", "kl": "kl", "jsd": "dv"}
# What the best critic of a bound has beyond the log ratio.
SHIFTS = {"kl": 1.0}
LEAST_ROWS = 20
# Numbers in a block of held-out scores.
MAX_FLOATS = 2**24
# Standard deviations of a whitened score. No normal one is as far; rare values are, and would
# decide alone.
FAR = 5.0
# Training and held-out value are apart from this share of the larger on, and at least by this much.
APART, APART_NATS = 0.5, 0.2


class UntrustedEstimateWarning(UserWarning):
    """An estimate of information that its sample cannot support."""


class Sides(NamedTuple):
    """Features of the two variables, row by row."""

    x: Tensor
    z: Tensor

    def rows(self, of: Any) -> "Sides":
        """Return some rows."""
        return Sides(self.x[of], self.z[of])


@overload
def mutual_information(
    x: Any,
    z: Any,
    *,
    bound: str = ...,
    critic: str | MakeCritic | None = ...,
    test_size: float = ...,
    max_epochs: int = ...,
    batch_size: int = ...,
    learning_rate: float = ...,
    random_state: Any = ...,
    return_curve: Literal[False] = ...,
) -> float: ...


@overload
def mutual_information(
    x: Any,
    z: Any,
    *,
    bound: str = ...,
    critic: str | MakeCritic | None = ...,
    test_size: float = ...,
    max_epochs: int = ...,
    batch_size: int = ...,
    learning_rate: float = ...,
    random_state: Any = ...,
    return_curve: Literal[True],
) -> tuple[float, list[Curve]]: ...


def mutual_information(
    x: Any,
    z: Any,
    *,
    bound: str = "dv",
    critic: str | MakeCritic | None = "dot",
    test_size: float = 0.2,
    max_epochs: int = 40,
    batch_size: int = 250,
    learning_rate: float = 5e-3,
    random_state: Any = None,
    return_curve: bool = False,
) -> float | tuple[float, list[Curve]]:
    """Estimate the mutual information of x and z, by critics judged on rows they have not seen.

    Every column is first replaced by its normal scores, which changes no information. The rows are
    cut into parts. For each part, a critic is trained on the others. The part is in two halves:
    each says after which epoch the critic is judged on the other. What the bound comes to there is
    one estimate, and the mean over parts is given. A critic starts as the log ratio of a fitted
    normal copula, to which a network is added. So what is jointly normal, whatever the margins,
    needs no training.

    A held-out bound falls short of the truth as far as the critic does, but for chance. Independent
    variables give about zero, at times a little below. The standard error is that of the mean of
    the log ratio over all rows.

    The estimate is at most the log of the rows of a part. Beyond, critics can tell all pairs held
    out from all false ones, and the bound grows with every step: on 3,000 copies of 64 normal
    numbers, to 48,000 nats. Rare values are no normal variables: whitened scores are cut at 5
    standard deviations, and the normal copula is left out where it is of no use on rows not fitted
    on. A network adds at most 10 nats to the score of a pair.

    Parameters
    ----------
    x, z : array-like or Tensor of shape (n,) or (n, *axes)
        Row i of both belongs together. At least 20 rows; thousands are needed for two digits.
    bound : {"dv", "infonce", "kl", "jsd"}, default="dv"
        What critics are trained with and judged by; ``"jsd"`` trains with Jensen-Shannon and
        is read by Donsker-Varadhan.
    critic : {"dot", "concat"}, callable or None, default="dot"
        The network beside the normal copula: two embeddings and a dot product, or a network on
        both sides put together, which is slower. A callable gets the numbers of features of x and
        of z, which are the normal scores and their squares, and gives a
        :class:`skdim.critics.AbstractCritic`. None adds no network: the normal copula alone.
    test_size : float, default=0.2
        Share of the rows held out at a time, at most 1/2.
    max_epochs : int, default=40
        Training stops before, after 15 epochs that brought nothing.
    batch_size : int, default=250
        All pairs of a batch are compared.
    learning_rate : float, default=5e-3
        Of AdamW; falls to zero by a cosine.
    random_state : int, RandomState or None, default=None
        Of the parts, the first weights and the batches.
    return_curve : bool, default=False
        Whether to give the curves of all critics, too.

    Returns
    -------
    information : float
        In nats.
    curves : list of Curve
        One a part, with ``training``, ``halves``, ``kept`` and ``held_out``. Only if
        ``return_curve``.

    Raises
    ------
    ValueError
        If the arrays do not fit each other, hold what is no finite number or have too few rows; or
        if a parameter is out of range.
    FloatingPointError
        If the training of a critic diverges.

    Warns
    -----
    UntrustedEstimateWarning
        If the bound is above the log of the rows of a part, which no sample of that size can
        vouch for, so that the log is given in its place; or if the critics do much better on the
        rows that they were trained on.

    References
    ----------
    Belghazi et al. (2018), Mutual information neural estimation, arXiv:1801.04062. Poole et al.
    (2019), On variational bounds of mutual information, arXiv:1905.06922. McAllester and Stratos
    (2020), Formal limitations on the measurement of mutual information, arXiv:1811.04251.
    Chernozhukov et al. (2018), Double/debiased machine learning, on cross-fitting,
    arXiv:1608.00060.

    Examples
    --------
    >>> from skdim.information import TASKS
    >>> x, z = TASKS["1v1-bimodal-0.75"].draw(1000, random_state=0)
    >>> bool(abs(mutual_information(x, z, random_state=0) - 0.413) < 0.1)
    True
    """
    columns = [read_columns(side, name, least=LEAST_ROWS) for side, name in ((x, "x"), (z, "z"))]
    if len(columns[0]) != len(columns[1]):
        raise ValueError(
            f"x has {len(columns[0])} rows and z has {len(columns[1])}; row i of both must belong "
            "together."
        )
    make = check_names(bound, critic)
    training = Training(max_epochs, 15, batch_size, learning_rate)
    draws = np.random.default_rng(draw_seed(random_state))
    folds = list(make_folds(len(columns[0]), test_size, draws))
    scores = [normal_scores(side) for side in columns]
    if min(side.shape[1] for side in scores) == 0:
        # A constant says nothing.
        return (0.0, []) if return_curve else 0.0
    curves = []
    for fold in folds:
        with turn(int(draws.integers(2**63)), alone=not callable(critic)) as generator:
            curves.append(judge_fold(scores, fold, bound, make, training, generator))
    value = float(np.mean([curve.held_out for curve in curves]))
    ceiling = math.log(min(len(fold.held_out) for fold in folds))
    warn_of(value, ceiling, curves)
    estimate = min(value, ceiling)
    return (estimate, curves) if return_curve else estimate


def check_names(bound: str, critic: str | MakeCritic | None) -> MakeCritic | None:
    """Find what builds the network.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    if bound not in READ_AS:
        raise ValueError(
            f"bound={bound!r} is unknown; {', '.join(map(repr, READ_AS))} estimate information in "
            "nats."
        )
    if not isinstance(critic, str):
        return critic
    if critic not in CRITICS:
        raise ValueError(
            f"critic={critic!r} is unknown; choose {', '.join(map(repr, CRITICS))}, None, or a "
            "callable that builds a critic."
        )
    return CRITICS[critic]


@contextmanager
def turn(seed: int, *, alone: bool) -> Iterator[Generator]:
    """Return a generator; seed the global ones too where a user's network may draw from them."""
    if alone:
        yield Generator().manual_seed(seed)
        return
    with SEEDING, drawing(seed):
        yield Generator().manual_seed(seed)


def judge_fold(
    scores: list[Columns],
    fold: Fold,
    bound: str,
    make: MakeCritic | None,
    training: Training,
    generator: Generator,
) -> Curve:
    """Train a critic on a fold; its curve has its held-out value."""
    whitened = [(side @ whitening(side[fold.training])).clip(-FAR, FAR) for side in scores]
    sides = Sides(*(features(*side) for side in zip(scores, whitened, strict=True)))
    normal = NormalCritic(fit_correlations(*(side[fold.training] for side in whitened)))
    network = None if make is None else draw_network(make, sides, generator)
    critic = NormalPlus(normal, network, SHIFTS.get(bound, 0.0))
    train, held_out = sides.rows(fold.training), sides.rows(fold.held_out)
    return fit_network(
        critic,
        lambda rows: bound_of_pairs(
            BOUNDS[bound], *critic.projected(*train.rows(rows)), pair_floats=critic.pair_floats
        ),
        lambda critic: judge(critic, held_out, BOUNDS[READ_AS[bound]]),
        len(train.x),
        training,
        generator,
    )


def fit_correlations(x: Columns, z: Columns) -> Columns:
    """Find correlations (dx, dz) of whitened rows, with as much denoising as these rows ask for.

    The last fifth of the rows judges what the others give; then all give it.
    """
    cut = len(x) * 4 // 5
    tried = denoised(x[:cut].T @ z[:cut] / cut, cut)
    last = [torch.from_numpy(side[cut:]).float() for side in (x, z)]

    def value(name: str) -> float:
        return NormalCritic(tried[name]).log_likelihood(*last)

    best = max(tried, key=value)
    # True pairs alone are no judge of what is not normal at all, such as rare values: the log ratio
    # is far too high in its tails, and false pairs cost more than true ones bring.
    critic = NormalPlus(NormalCritic(tried[best]), None)
    if bound_of_pairs(BOUNDS["dv"], *critic.projected(*last)) <= 0:
        best = "none"
    return denoised(x.T @ z / len(x), len(x))[best]


def judge(critic: Any, held_out: Sides, bound: Bound) -> tuple[float, float]:
    """Return the bound of either half of some rows, each with all of them for negatives."""
    n = len(held_out.x)
    with torch.no_grad():
        block_samples = max(1, MAX_FLOATS // (n * critic.pair_floats))
        blocks = pair_blocks(*critic.projected(*held_out), block_samples=block_samples)
        gains, costs = (
            torch.cat(parts)
            for parts in zip(*(bound.anchors(*block) for block in blocks), strict=True)
        )
    halves = (slice(None, n // 2), slice(n // 2, None))
    first, second = (bound.total(gains[half], costs[half]).item() for half in halves)
    return first, second


def draw_network(make: MakeCritic, sides: Sides, generator: Generator) -> AbstractCritic:
    """Draw first weights."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with SEEDING, drawing(seed):
        return make(sides.x.shape[1], sides.z.shape[1])


def warn_of(value: float, ceiling: float, curves: list[Curve]) -> None:
    """Warn where an estimate cannot be trusted."""
    if value > ceiling:
        warnings.warn(
            f"The critics reach {value:.2f} nats, above {ceiling:.2f}, the log of the "
            f"{math.exp(ceiling):.0f} rows held out at a time: no sample of that size can vouch "
            "for more, and it is what you are given. The truth may be far above, and is infinite "
            "for noiseless codes. Give more rows, or read it as 'large'.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )
    trained = [(c.training[max(c.kept) - 1], c.held_out) for c in curves if max(c.kept)]
    seen, unseen = np.mean(trained, axis=0) if trained else (0.0, 0.0)
    if seen - unseen > max(APART_NATS, APART * abs(seen)):
        warnings.warn(
            f"The critics reach {seen:.2f} nats on the rows they were trained on, and {unseen:.2f} "
            "on rows held out: they have too few rows to learn from, and the estimate is too low. "
            "Give more rows, or fewer columns.",
            UntrustedEstimateWarning,
            stacklevel=3,
        )
