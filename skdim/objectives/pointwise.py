"""Where a code's information sits: the critic's answers, location by location."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skdim.bounds import BOUNDS, Bound
from skdim.objectives.base import AbstractCriterion
from skdim.objectives.information import Information
from skdim.pairs import in_full

__all__ = ["find_local_term", "pointwise_information"]

# A ratio of densities of 0 has no logarithm: scores of "chi2" that say so are read as this one.
SMALLEST_RATIO = 1e-6


def log_ratio_of_chi2(scores: Tensor) -> Tensor:
    """Undo ``v = 2 (p / q - 1)``."""
    return (1 + scores / 2).clamp(min=SMALLEST_RATIO).log()


# From what the best critic of a bound answers to ln(p / q), up to a function of the code.
LOG_RATIOS: dict[Bound, Callable[[Tensor], Tensor]] = {
    BOUNDS["h2"]: lambda scores: 2 * scores,
    BOUNDS["chi2"]: log_ratio_of_chi2,
}


def find_local_term(objective: AbstractCriterion) -> Information:
    """Find the local term among what an encoder was trained with.

    Parameters
    ----------
    objective : AbstractCriterion
        ``net_.criterion_`` of a fitted transformer.

    Returns
    -------
    Information
        The one that compares codes with each location.

    Raises
    ------
    ValueError
        If there is none.
    """
    for part in objective.members():
        if isinstance(part, Information) and not part.whole:
            return part
    raise ValueError(
        "There is no critic of locations: the local term was not trained. Fit a "
        "DeepInfoMaxTransformer with local_weight above 0."
    )


@torch.no_grad()
def pointwise_information(
    term: Information, code: Tensor, local: Tensor, rows: Sequence[int] | None = None
) -> Tensor:
    r"""Estimate how much a code tells of each location of its own sample.

    For the code :math:`z` and the local features :math:`y` at one location, this is the pointwise
    mutual information

    .. math:: \ln \frac{p(y \mid z)}{p(y)} \approx v(z, y)
        - \ln \frac{1}{K} \sum_{k=1}^{K} e^{v(z, y_k)}

    with the critic's score :math:`v` and the locations :math:`y_k` of all other samples. The last
    term is needed because a bound may leave scores open up to a constant (``"dv"``) or to any
    function of the code (``"infonce"``); a true ratio has it at zero, so it does no harm where the
    bound leaves nothing open. Scores are first read as a logarithm of a ratio: those of ``"h2"``
    are doubled, and those of ``"chi2"`` go through :math:`\ln(1 + v / 2)`.

    Parameters
    ----------
    term : Information
        The local term, trained, in evaluation mode.
    code : Tensor of shape (n, d, *grid)
        Codes of n samples.
    local : Tensor of shape (n, c, *grid)
        Local features of the same samples.
    rows : sequence of int, default=None
        Samples to look at; None is all of them. The others only give false pairs.

    Returns
    -------
    Tensor of shape (m, *grid)
        In nats, for every bound; over several globals of a code, the mean. Above 0, the code
        makes what is there more likely than it is in any sample; below 0, less likely. It is as
        good as the critic.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or not as many codes as maps.

    References
    ----------
    van den Oord et al. (2018), arXiv:1807.03748, on the ratio that a critic estimates; Nowozin
    et al. (2016), arXiv:1606.00709, table 2, on the best critic of each bound.
    """
    n = len(local)
    if n < 2 or len(code) != n:
        raise ValueError(
            f"{len(code)} code(s) and {n} local map(s) were given. As many of each are needed, and "
            "at least 2: a location is compared with those of other samples."
        )
    codes, locations = term.critic.project_code(code), term.critic.project_local(local)
    maps = []
    for row in range(n) if rows is None else rows:
        # (n, g, l): one code against every location of every sample.
        scores = in_full(term.critic.join(codes[row : row + 1], locations))
        if term.bound in LOG_RATIOS:
            scores = LOG_RATIOS[term.bound](scores)
        own = scores[row]
        others = torch.cat([scores[:row], scores[row + 1 :]]).movedim(1, 0).flatten(1)
        open_part = others.logsumexp(dim=1) - math.log(others.shape[1])
        maps.append((own - open_part[:, None]).mean(dim=0))
    return torch.stack(maps).reshape(-1, *local.shape[2:])
