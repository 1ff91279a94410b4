"""The objective of Deep InfoMax: its local, global and prior terms together."""

from collections.abc import Callable, Mapping, Sequence

from skdim.bounds import Bound
from skdim.critics import AbstractCritic, Discriminator
from skdim.encoders import Features
from skdim.objectives.base import Together
from skdim.objectives.information import Information
from skdim.objectives.matching import PriorMatching
from skdim.priors import Prior

__all__ = ["infomax"]


def infomax(
    sizes: Features,
    *,
    global_weight: float,
    local_weight: float,
    prior_weight: float,
    bound: Bound,
    critics: Mapping[str, Callable[[int, int], AbstractCritic]],
    negatives: str | int,
    prior: Prior,
    looks: Sequence[tuple[int, int]] = ((0, 0),),
) -> Together:
    """Build the terms of Deep InfoMax whose weight is not zero.

    Parameters
    ----------
    sizes : Features
        Features of any samples, from which the sizes are read.
    global_weight, local_weight, prior_weight : float
        Alpha, beta and gamma of the paper.
    bound : Bound
        Scores to a number to maximise.
    critics : mapping of {"local", "global"} to callable
        ``(code_features, local_features) -> AbstractCritic``.
    negatives : {"all", "shift"} or int
        Which false pairs are compared.
    prior : Prior
        What the codes should follow.
    looks : sequence of (int, int), default=((0, 0),)
        Which look's code meets which look's map.

    Returns
    -------
    Together
        The local term first, whose bound is then the score.

    References
    ----------
    Hjelm et al. (2019), equation 8. arXiv:1808.06670.
    """
    code_features = sizes.code.shape[1]
    widths = {"local": sizes.local.shape[1], "global": sizes.conv[0].numel()}
    weights = {"local": local_weight, "global": global_weight}
    terms = [
        Information(
            name,
            critics[name](code_features, widths[name]),
            bound,
            weight=weight,
            negatives=negatives,
            looks=looks,
            whole=name == "global",
        )
        for name, weight in weights.items()
        if weight > 0
    ]
    matching = (
        [PriorMatching(prior, Discriminator(code_features), weight=prior_weight)]
        if prior_weight > 0
        else []
    )
    return Together([*terms, *matching])
