"""Pointwise mutual information of a code and each location, from a trained critic."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skdim.bounds import BOUNDS, Bound
from skdim.objectives.base import AbstractCriterion
from skdim.objectives.information import Information
from skdim.pairs import in_full

# Ratios of densities below it are clipped before the logarithm.
SMALLEST_RATIO = 1e-6

# From the optimal scores of a bound to ln(p / q), up to a function of the code.
LOG_RATIOS: dict[Bound, Callable[[Tensor], Tensor]] = {
    BOUNDS["h2"]: lambda scores: 2 * scores,
    BOUNDS["chi2"]: lambda scores: (1 + scores / 2).clamp(min=SMALLEST_RATIO).log(),
}


def find_local_term(criterion: AbstractCriterion) -> Information:
    """Return the local term of a criterion: the one that compares codes with each location.

    Parameters
    ----------
    criterion : AbstractCriterion
        ``net_.criterion_`` of a fitted transformer.

    Returns
    -------
    Information

    Raises
    ------
    ValueError
        If there is none.
    """
    for part in criterion.members():
        if isinstance(part, Information) and not part.whole:
            return part
    raise ValueError(
        "There is no critic of locations: the local term was not trained. Fit a "
        "DeepInfoMaxTransformer with local_weight above 0 and max_epochs of 1 or more: the closed "
        "form has none."
    )


@torch.no_grad()
def pointwise_information(
    term: Information, code: Tensor, local: Tensor, rows: Sequence[int] | None = None
) -> Tensor:
    r"""Estimate the pointwise mutual information of a code and each location of its sample.

    For the code :math:`z` and the local features :math:`y` at one location, this is

    .. math:: \ln \frac{p(y \mid z)}{p(y)} \approx v(z, y)
        - \ln \frac{1}{K} \sum_{k=1}^{K} e^{v(z, y_k)}

    with the critic's score :math:`v` and the locations :math:`y_k` of all other samples. The last
    term normalises scores, which a bound may determine only up to a constant (``"dv"``) or a
    function of the code (``"infonce"``). Scores are first converted to log ratios: those of
    ``"h2"`` are doubled, and those of ``"chi2"`` are mapped by :math:`\ln(1 + v / 2)`.

    Parameters
    ----------
    term : Information
        The local term, trained, in evaluation mode.
    code : Tensor of shape (n, d, *grid)
        Codes of n samples.
    local : Tensor of shape (n, c, *grid)
        Local features of the same samples.
    rows : sequence of int, default=None
        Samples whose maps are returned; None is all. The others serve as negatives only.

    Returns
    -------
    Tensor of shape (m, *grid)
        In nats, for every bound; the mean over several globals of a code. Above 0, the code
        makes the local features more likely; below 0, less likely.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or not as many codes as maps.

    References
    ----------
    van den Oord et al. (2018), arXiv:1807.03748, on the ratio that a critic estimates; Nowozin
    et al. (2016), arXiv:1606.00709, table 2, on the optimal critic of each bound.
    """
    n = len(local)
    if n < 2 or len(code) != n:
        raise ValueError(
            f"Got {len(code)} code(s) and {n} local map(s). Equal numbers of both are needed, and "
            "at least 2, since a location is compared with those of other samples."
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
        normaliser = others.logsumexp(dim=1) - math.log(others.shape[1])
        maps.append((own - normaliser[:, None]).mean(dim=0))
    return torch.stack(maps).reshape(-1, *local.shape[2:])
